"""File changes seen by a real observer: whose they are, which count, and that watching stays quiet."""

from __future__ import annotations

import itertools
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hhmrs.controller import workspaces as module
from hhmrs.controller.marker import clear_marker, write_marker
from hhmrs.controller.snapshots import Snapshots
from hhmrs.controller.workspaces import FILTER, Workspaces

Wait = Callable[..., None]


class Heard:
    """Collects what is emitted; `fence` proves that everything before it was dealt with."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str, float]] = []

    def __call__(self, agent: str, path: str) -> None:
        self.changes.append((agent, path, time.monotonic()))

    def paths(self, agent: str = "worker") -> list[str]:
        return [path for who, path, _ in self.changes if who == agent]

    @property
    def agents(self) -> set[str]:
        return {who for who, _, _ in self.changes}


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def watched(heard: Heard) -> Iterator[Workspaces]:
    watched = Workspaces(heard, settle=0.02)
    yield watched
    watched.stop()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def settle(folder: Path, heard: Heard, wait_until: Wait, agent: str = "worker") -> list[str]:
    """Everything heard before a last, real change in `folder`; events of one observer come in order."""
    name = f"fence-{len(heard.changes)}"
    before = len(heard.changes)
    (folder / name).write_text("x")
    wait_until(
        lambda: any(path.endswith(name) for _, path, _ in heard.changes[before:]), what=f"{name} of {agent}"
    )
    return [path for _, path, _ in heard.changes if "fence" not in path]


def test_a_change_is_told_with_its_path(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    watched.watch("worker", work)
    (work / "src").mkdir()
    wait_until(heard.paths)
    (work / "src" / "a.py").write_text("1")
    wait_until(lambda: "src/a.py" in heard.paths())
    (work / "src" / "a.py").rename(work / "src" / "b.py")
    wait_until(lambda: "src/b.py" in heard.paths())
    heard.changes.clear()
    (work / "src" / "b.py").unlink()
    wait_until(lambda: "src/b.py" in heard.paths())


def test_noise_is_not_told(watched: Workspaces, heard: Heard, work: Path, wait_until: Wait) -> None:
    for name in (".git", "node_modules", "src"):
        (work / name).mkdir()
    watched.watch("worker", work)
    for name in (".git/index", "node_modules/x.js", "src/__pycache__/a.pyc", "a.pyc", ".a.swp", "b~"):
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).write_text("x")
    (work / ".venv" / "lib").mkdir(parents=True)
    (work / ".venv" / "lib" / "x").touch()
    list(work.rglob("*"))
    (work / "src").joinpath("__pycache__", "a.pyc").read_text()
    assert settle(work, heard, wait_until) == []


def test_what_we_write_is_not_the_agents(
    watched: Workspaces, heard: Heard, work: Path, tmp_path: Path, wait_until: Wait
) -> None:
    (work / ".claude").mkdir()
    (work / "code").write_text("x")
    watched.ours(work / ".claude" / "settings.json")
    watched.watch("worker", work)
    write_marker(work, "worker", "i1", "because", "now")
    clear_marker(work, "worker")
    (work / ".claude" / "settings.json").write_text("{}")
    Snapshots(tmp_path / "snapshots").take("worker", work)
    assert settle(work, heard, wait_until) == []


def test_what_git_ignores_is_not_told(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    (work / ".gitignore").write_text("*.log\nout/\n")
    (work / "out").mkdir()
    watched.watch("worker", work)
    (work / "a.log").write_text("x")
    (work / "out" / "deep").write_text("x")
    assert settle(work, heard, wait_until) == []
    (work / ".gitignore").write_text("out/\n")
    wait_until(lambda: ".gitignore" in heard.paths())
    (work / "a.log").write_text("y")
    wait_until(lambda: "a.log" in heard.paths())


def test_the_innermost_workspace_owns_a_change(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    (work / "inner").mkdir()
    watched.watch("outer", work)
    watched.watch("inner", work / "inner")
    (work / "inner" / "a").write_text("x")
    wait_until(lambda: heard.paths("inner"))
    settle(work, heard, wait_until, "outer")
    assert [path for path in heard.paths("outer") if "fence" not in path] == []
    assert set(heard.paths("inner")) == {"a"}


def test_a_shared_workspace_proves_nobodys_progress(
    watched: Workspaces, heard: Heard, work: Path, tmp_path: Path, wait_until: Wait
) -> None:
    (tmp_path / "alone").mkdir()
    watched.watch("one", work)
    watched.watch("two", work)
    watched.watch("worker", tmp_path / "alone")
    (work / "a").write_text("x")
    settle(tmp_path / "alone", heard, wait_until)
    assert heard.agents == {"worker"}
    watched.unwatch("two")
    (work / "b").write_text("x")
    wait_until(lambda: "b" in heard.paths("one"))


def test_a_burst_is_told_in_few_words(heard: Heard, work: Path, wait_until: Wait) -> None:
    watched = Workspaces(heard, settle=0.2)
    try:
        watched.watch("worker", work)
        for number in range(300):
            (work / f"f{number:03d}").write_text("x")
        wait_until(lambda: "f299" in heard.paths())
        times = [at for _, _, at in heard.changes]
        assert all(later - sooner > 0.15 for sooner, later in itertools.pairwise(times))
    finally:
        watched.stop()


def test_unwatch_ends_it(
    watched: Workspaces, heard: Heard, work: Path, tmp_path: Path, wait_until: Wait
) -> None:
    (tmp_path / "other").mkdir()
    watched.watch("worker", work)
    watched.watch("other", tmp_path / "other")
    watched.unwatch("worker")
    (work / "a").write_text("x")
    settle(tmp_path / "other", heard, wait_until, "other")
    assert heard.agents == {"other"}


def test_a_workspace_that_comes_later_or_comes_again_is_watched(
    watched: Workspaces, heard: Heard, tmp_path: Path, wait_until: Wait
) -> None:
    place = tmp_path / "later"
    watched.watch("worker", place)

    def changed_after(step: Callable[[], object]) -> None:
        step()
        heard.changes.clear()

        def seen() -> bool:
            (place / "a").write_text(str(time.monotonic()))
            return bool(heard.paths())

        wait_until(seen)

    def remade() -> None:
        shutil.rmtree(place)
        place.mkdir()

    def replaced() -> None:
        place.rename(tmp_path / "gone")
        place.mkdir()

    changed_after(place.mkdir)
    changed_after(remade)
    changed_after(replaced)


def test_a_workspace_behind_a_link_and_a_link_in_a_workspace(
    watched: Workspaces, heard: Heard, work: Path, tmp_path: Path, wait_until: Wait
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (work / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "name").symlink_to(work)
    watched.watch("worker", tmp_path / "name")
    (tmp_path / "elsewhere" / "x").write_text("x")
    assert settle(work, heard, wait_until) == []


def make_folders(root: Path, number: int) -> None:
    for outer in range(number // 100):
        for inner in range(100):
            (root / f"d{outer}" / f"e{inner}").mkdir(parents=True)


def busy(seconds: float) -> float:
    """The share of one core this whole process used while nothing was asked of it."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    before = used()
    threading.Event().wait(seconds)
    return (used() - before) / seconds


def test_six_thousand_folders_neither_spin_nor_deafen(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    make_folders(work, 6000)
    watched.watch("worker", work)
    (work / "d59" / "e99" / "a").write_text("x")
    wait_until(lambda: "d59/e99/a" in heard.paths(), 20)
    subprocess.run(["grep", "-r", "x", str(work)], check=False, capture_output=True)
    assert busy(1.0) < 0.5
    assert watched.partial() == {}
    (work / "d0" / "e0" / "b").write_text("x")
    wait_until(lambda: "d0/e0/b" in heard.paths(), 20)


def test_beyond_the_bound_changes_are_still_found(
    heard: Heard, work: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SWEEP_EVERY", 0.05)
    monkeypatch.setattr(module, "ARM_EVERY", 0.05)
    make_folders(work, 200)
    watched = Workspaces(heard, settle=0.02, most_folders=20)
    try:
        watched.watch("worker", work)
        assert set(watched.partial()) == {"worker"}
        for outer in range(2):
            (work / f"d{outer}" / "e77" / "a").write_text("x")
            wait_until(lambda where=f"d{outer}/e77/a": where in heard.paths())
        watched.unwatch("worker")
        small = work / "d0" / "e5"
        watched.watch("worker", small)
        assert watched.partial() == {}
    finally:
        watched.stop()


def test_caches_are_not_even_watched(watched: Workspaces, work: Path) -> None:
    make_folders(work / "node_modules", 300)
    budget = watched._watcher._budget
    before = budget.left
    watched.watch("worker", work)
    assert before - budget.left == 1


def test_nothing_can_be_scheduled_without_a_filter(watched: Workspaces, work: Path) -> None:
    with pytest.raises(ValueError, match="event filter"):
        watched._watcher._observer.schedule(module._Ear(print), str(work), recursive=True)


def test_the_filter_holds_no_event_that_reading_makes() -> None:
    names = {kind.__name__ for kind in FILTER}
    assert not [name for name in names if "Opened" in name or "Closed" in name or name == "FileSystemEvent"]


def test_many_threads_may_call_it_while_files_change(watched: Workspaces, tmp_path: Path) -> None:
    places = [tmp_path / f"w{number}" for number in range(4)]
    for place in places:
        place.mkdir()

    def churn(number: int) -> None:
        for turn in range(20):
            watched.watch(f"a{number}", places[(number + turn) % 4])
            (places[turn % 4] / f"f{number}-{turn}").write_text("x")
            watched.unwatch(f"a{number}")

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
