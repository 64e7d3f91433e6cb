"""Storms of files, lost events, a kernel that watches no more: nothing is missed, nothing goes on and on."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hhmrs.controller.inotify import Inotify, Notice
from hhmrs.controller.workspaces import trees, watches
from hhmrs.controller.workspaces.marker import write_marker
from hhmrs.controller.workspaces.trees import FolderTrees
from hhmrs.controller.workspaces.workspaces import Workspaces

Wait = Callable[..., None]

QUEUE = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


class Storm:
    """Workspaces under watch, and what was told of them."""

    def __init__(self, place: Path, number: int, sweep_every: float = 15.0) -> None:
        self.told: dict[str, list[str]] = {}
        self.folders = [place / f"w{index}" for index in range(number)]
        for folder in self.folders:
            for name in ("src/a", "src/b", "docs"):
                (folder / name).mkdir(parents=True)
                (folder / name / "file").write_text("x")
        self.watched = Workspaces(self._heard, settle=0.02, sweep_every=sweep_every)
        for folder in self.folders:
            self.watched.watch(folder.name, folder)
        assert self.watched.ready()

    def _heard(self, agent: str, path: str, when: float) -> None:
        assert when <= time.time()
        self.told.setdefault(agent, []).append(path)

    @property
    def trees(self) -> FolderTrees:
        trees = self.watched._watching.trees  # type: ignore[attr-defined]  # the Linux one
        assert isinstance(trees, FolderTrees)
        return trees

    def seen(self, folder: Path) -> list[str]:
        return self.told.get(folder.name, [])

    @contextmanager
    def nobody_reads(self) -> Generator[None]:
        """The kernel's queue fills up meanwhile."""
        go_on, held = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            go_on.wait(60)

        self.trees._order(hold)
        assert held.wait(10)
        try:
            yield
        finally:
            go_on.set()

    def flood(self, folder: Path) -> None:
        """More events than the kernel keeps, of one agent that rewrites two files in turn."""
        files = [os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600) for name in ("ping", "pong")]
        for number in range(QUEUE + 1_000):
            os.pwrite(files[number % 2], b"x", 0)
        for file in files:
            os.close(file)


@pytest.fixture
def storm(tmp_path: Path) -> Iterator[Storm]:
    storm = Storm(tmp_path, 10)
    yield storm
    storm.watched.stop()


def busy(seconds: float) -> float:
    """The share of a core that this process uses while nothing happens."""
    before = time.process_time()
    threading.Event().wait(seconds)
    return (time.process_time() - before) / seconds


def test_after_lost_events_nothing_is_missed_and_nobody_is_credited_for_nothing(
    storm: Storm, tmp_path: Path, wait_until: Wait
) -> None:
    loud, made, written, gone, moved, emptied, remade, marked, quiet, linked = storm.folders
    (made / "old").mkdir()
    wait_until(lambda: storm.seen(made))
    wait_until(lambda: not storm.trees._survey._later, what="the second looks")
    settled = time.time()
    wait_until(lambda: time.time() > settled + 0.05)
    storm.told.clear()
    with storm.nobody_reads():
        storm.flood(loud)
        (made / "new" / "deep").mkdir(parents=True)
        (made / "new" / "deep" / "file").write_text("x")
        (written / "src" / "a" / "file").write_text("y")
        (gone / "docs" / "file").unlink()
        (moved / "src").rename(moved / "code")
        shutil.rmtree(emptied / "src")
        shutil.rmtree(remade)
        (remade / "again").mkdir(parents=True)
        (remade / "again" / "file").write_text("x")
        write_marker(marked, "w7", "i1", "because", "now")
        (linked / "out").symlink_to(made)
    wait_until(lambda: storm.trees.reviews == 1)
    for folder in (loud, made, written, gone, moved, emptied, remade, linked):
        wait_until(lambda folder=folder: storm.seen(folder), what=folder.name)
    wait_until(lambda: storm.trees.at_rest)
    assert storm.seen(gone) == ["docs/file"]
    assert storm.seen(written) == ["src/a/file"]
    assert storm.seen(marked) == storm.seen(quiet) == []
    storm.told.clear()
    for folder, name in (
        (made, "new/deep/file"), (moved, "code/b/file"), (remade, "again/file"), (quiet, "docs/file"),
    ):  # fmt: skip
        (folder / name).write_text("z")
        wait_until(lambda folder=folder, name=name: name in storm.seen(folder), what=f"{folder.name}/{name}")
    assert storm.trees.reviews == 1
    assert busy(0.3) < 0.2


def test_losing_events_again_and_again_does_not_go_round_for_ever(storm: Storm, wait_until: Wait) -> None:
    for number in range(3):
        with storm.nobody_reads():
            storm.flood(storm.folders[0])
            (storm.folders[1] / f"new{number}").mkdir()
            (storm.folders[1] / f"new{number}" / "file").write_text("x")
        wait_until(lambda number=number: storm.trees.reviews > number and storm.trees.at_rest)
        (storm.folders[1] / f"new{number}" / "file").write_text("y")
        wait_until(lambda number=number: f"new{number}/file" in storm.seen(storm.folders[1]))
    assert storm.trees.reviews == 3
    assert busy(0.3) < 0.2


def make_folders(root: Path, number: int) -> None:
    for index in range(number):
        (root / f"d{index // 100}" / f"e{index}").mkdir(parents=True)


def test_six_thousand_folders_neither_spin_nor_deafen(storm: Storm, tmp_path: Path, wait_until: Wait) -> None:
    make_folders(tmp_path / "big", 6_000)
    storm.watched.watch("big", tmp_path / "big")
    assert storm.watched.ready(30)
    assert len(storm.trees.watches) == 10 * 5 + 6_061
    subprocess.run(["grep", "-r", "x", str(tmp_path / "big")], check=False, capture_output=True)
    wait_until(lambda: not storm.trees._survey._later, 30, what="the second looks")
    assert busy(0.5) < 0.2
    assert storm.watched.partial() == {}
    assert [means.full for means in storm.watched.means()] == [True]
    (tmp_path / "big" / "d59" / "e5999" / "a").write_text("x")
    wait_until(lambda: "d59/e5999/a" in storm.seen(tmp_path / "big"))


def test_giving_up_many_watches_does_not_fill_the_queue(
    tmp_path: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm = Storm(tmp_path, 1)
    unread: list[int] = []
    read = storm.trees.watches.read

    def recorded() -> list[Notice]:
        unread.append(storm.trees.watches.unread)
        return read()

    monkeypatch.setattr(storm.trees.watches, "read", recorded)
    monkeypatch.setattr(trees, "SLICE", 10.0)
    try:
        make_folders(tmp_path / "one", 6_000)
        storm.watched.watch("one", tmp_path / "one")
        wait_until(lambda: len(storm.trees.watches) > 6_000 and storm.watched.ready())
        storm.watched.unwatch("one")
        wait_until(lambda: len(storm.trees.watches) == 5 and sum(unread) > 6_000)
        # Each that is given up comes back as an event.
        assert max(unread) <= watches.MOST_UNREAD < QUEUE / 2
        assert storm.trees.reviews == 0
    finally:
        storm.watched.stop()


def install(folder: Path, packages: int = 30) -> None:
    """As package tools do: unpacked beside, moved into place."""
    for number in range(packages):
        fresh = folder / f".tmp-{number}"
        (fresh / "lib" / "inner").mkdir(parents=True)
        for name in ("index.js", "lib/a.js", "lib/inner/b.js"):
            (fresh / name).write_text("x")
        fresh.rename(folder / f"package-{number}")


def at_once(work: Callable[[Path], object], places: list[Path]) -> None:
    threads = [threading.Thread(target=work, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def test_packages_installed_in_ten_workspaces_at_once_are_nobodys_work(
    storm: Storm, wait_until: Wait
) -> None:
    watching = len(storm.trees.watches)
    for folder in storm.folders:
        (folder / "node_modules").mkdir()
    at_once(install, [folder / "node_modules" for folder in storm.folders])
    (storm.folders[0] / "code").write_text("x")
    wait_until(lambda: storm.seen(storm.folders[0]))
    assert storm.told == {"w0": ["code"]}
    assert len(storm.trees.watches) == watching


def test_packages_unpacked_where_work_is_done_are_all_followed(storm: Storm, wait_until: Wait) -> None:
    for folder in storm.folders:
        (folder / "vendor").mkdir()
    at_once(install, [folder / "vendor" for folder in storm.folders])
    expected = 10 * (1 + 4 + 1 + 30 * 3)
    wait_until(lambda: len(storm.trees.watches) == expected and storm.trees.at_rest, 40.0)
    storm.told.clear()
    name = "vendor/package-29/lib/inner/b.js"
    for folder in storm.folders:
        (folder / name).write_text("y")
    # Once each, and newer than all that is still to be told of the unpacking.
    wait_until(lambda: all(name in storm.seen(folder) for folder in storm.folders), 40.0)


LIMITED = """
import json, sys, time
from pathlib import Path
from hhmrs.controller.workspaces.workspaces import Workspaces

what, place = sys.argv[1], Path(sys.argv[2])
bound = Path("/proc/sys/user", "max_inotify_" + what)
whole = bound.read_text()
bound.write_text("50" if what == "watches" else "0")
told = []
watched = Workspaces(lambda agent, path, when: told.append(path), settle=0.02, sweep_every=0.05)
watched.watch("worker", place)
assert watched.ready()
found = {"limited": [means.full for means in watched.means()], "why": watched.means()[0].why,
         "partial": sorted(watched.partial())}
def told_of(name):
    end = time.monotonic() + 10
    (place / name).write_text("x")
    while name not in told and time.monotonic() < end:
        time.sleep(0.01)
    return name in told
found["told"] = all([told_of(f"d{number}/file") for number in (0, 50, 99)])
bound.write_text(whole)
end = time.monotonic() + 10
while not watched.means()[0].full and time.monotonic() < end:
    time.sleep(0.01)
found["mended"] = [means.full for means in watched.means()]
found["told again"] = told_of("d70/other")
watched.stop()
print(json.dumps(found))
"""


@pytest.mark.parametrize("what", ["watches", "instances"])
def test_at_the_kernels_limits_times_are_looked_at_until_it_is_lifted(
    own_limits: list[str], tmp_path: Path, what: str
) -> None:
    for number in range(100):
        (tmp_path / "work" / f"d{number}").mkdir(parents=True)
    words = [*own_limits, sys.executable, "-c", LIMITED, what, str(tmp_path / "work")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert f"sudo sysctl user.max_inotify_{what}=" in found.pop("why")
    assert found == {
        "limited": [False], "partial": ["worker"], "told": True, "mended": [True], "told again": True,
    }  # fmt: skip


def test_without_a_descriptor_files_are_looked_at_and_later_watched(
    tmp_path: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left() -> Inotify:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(watches, "Inotify", none_left)
    storm = Storm(tmp_path, 3, sweep_every=0.05)
    try:
        (means,) = storm.watched.means()
        assert not means.full
        assert "max_user_instances" in means.why or "max_inotify_instances" in means.why
        (storm.folders[1] / "src" / "a" / "file").write_text("y")
        wait_until(lambda: storm.seen(storm.folders[1]) == ["src/a/file"])
        assert storm.seen(storm.folders[0]) == []
        monkeypatch.setattr(watches, "Inotify", Inotify)
        wait_until(lambda: storm.watched.means()[0].full)
        (storm.folders[2] / "docs" / "file").write_text("y")
        wait_until(lambda: storm.seen(storm.folders[2]) == ["docs/file"])
    finally:
        storm.watched.stop()
