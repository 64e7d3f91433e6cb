"""File changes seen by a real observer: whose they are, which count, and that watching stays quiet."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hhmrs.controller.checkpoints.snapshots import Snapshots
from hhmrs.controller.workspaces import workspaces as module
from hhmrs.controller.workspaces.marker import clear_marker, write_marker
from hhmrs.controller.workspaces.workspaces import FILTER, Workspaces

Wait = Callable[..., None]


class Heard:
    """Collects what is emitted; `fence` proves that everything before it was dealt with."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str, float]] = []
        self.when: dict[tuple[str, str], float] = {}

    def __call__(self, agent: str, path: str, when: float) -> None:
        self.changes.append((agent, path, time.monotonic()))
        self.when[agent, path] = when

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


def watch(watched: Workspaces, agent: str, place: Path) -> None:
    """From here on every change is one after the watch."""
    watched.watch(agent, place)
    assert watched.ready()


def settle(watched: Workspaces, heard: Heard, wait_until: Wait) -> list[str]:
    """Everything told, once all that happened before this call has been judged."""
    with tempfile.TemporaryDirectory() as fence:
        watch(watched, "fence", Path(fence))
        # One queue of events, one thread that judges them in the order of the workspaces.
        (Path(fence) / "mark").write_text("x")
        wait_until(lambda: heard.paths("fence"), what="the mark")
        wait_until(lambda: not any(w.pending or w.kept for w in watched._crediting._shared.values()))
        watched.unwatch("fence")
    heard.changes = [change for change in heard.changes if change[0] != "fence"]
    return [path for _, path, _ in heard.changes]


def test_a_change_is_told_with_its_path(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    watch(watched, "worker", work)
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
    watch(watched, "worker", work)
    for name in (".git/index", "node_modules/x.js", "src/__pycache__/a.pyc", "a.pyc", ".a.swp", "b~"):
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).write_text("x")
    (work / ".venv" / "lib").mkdir(parents=True)
    (work / ".venv" / "lib" / "x").touch()
    list(work.rglob("*"))
    (work / "src").joinpath("__pycache__", "a.pyc").read_text()
    assert settle(watched, heard, wait_until) == []


def test_what_we_write_is_not_the_agents(
    watched: Workspaces, heard: Heard, work: Path, tmp_path: Path, wait_until: Wait
) -> None:
    (work / ".claude").mkdir()
    (work / "code").write_text("x")
    watched.ours(work / ".claude" / "settings.json")
    watch(watched, "worker", work)
    write_marker(work, "worker", "i1", "because", "now")
    clear_marker(work, "worker")
    (work / ".claude" / "settings.json").write_text("{}")
    Snapshots(tmp_path / "snapshots").take("worker", work)
    assert settle(watched, heard, wait_until) == []


def test_what_git_ignores_is_not_told(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    (work / ".gitignore").write_text("*.log\nout/\n")
    (work / "out").mkdir()
    watch(watched, "worker", work)
    (work / "a.log").write_text("x")
    (work / "out" / "deep").write_text("x")
    assert settle(watched, heard, wait_until) == []
    (work / ".gitignore").write_text("out/\n")
    wait_until(lambda: ".gitignore" in heard.paths())
    (work / "a.log").write_text("y")
    wait_until(lambda: "a.log" in heard.paths())


def test_the_innermost_workspace_owns_a_change(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    (work / "inner").mkdir()
    watch(watched, "outer", work)
    watch(watched, "inner", work / "inner")
    (work / "inner" / "a").write_text("x")
    wait_until(lambda: heard.paths("inner"))
    settle(watched, heard, wait_until)
    assert heard.paths("outer") == []
    assert set(heard.paths("inner")) == {"a"}


def test_a_shared_workspace_proves_nobodys_progress(
    watched: Workspaces, heard: Heard, work: Path, tmp_path: Path, wait_until: Wait
) -> None:
    watch(watched, "one", work)
    watch(watched, "two", work)
    (work / "a").write_text("x")
    assert settle(watched, heard, wait_until) == []
    watched.unwatch("two")
    (work / "b").write_text("x")
    wait_until(lambda: "b" in heard.paths("one"))


def test_a_burst_is_told_in_few_words(heard: Heard, work: Path, wait_until: Wait) -> None:
    watched = Workspaces(heard, settle=0.2)
    try:
        watch(watched, "worker", work)
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
    watch(watched, "worker", work)
    watched.unwatch("worker")
    (work / "a").write_text("x")
    assert settle(watched, heard, wait_until) == []
    assert seen_folders(watched) == 0


def test_a_workspace_that_comes_later_or_comes_again_is_watched(
    watched: Workspaces, heard: Heard, tmp_path: Path, wait_until: Wait
) -> None:
    place = tmp_path / "later"
    watch(watched, "worker", place)

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
    watch(watched, "worker", tmp_path / "name")
    (tmp_path / "elsewhere" / "x").write_text("x")
    assert settle(watched, heard, wait_until) == []


def make_folders(root: Path, number: int) -> None:
    for outer in range(number // 100):
        for inner in range(100):
            (root / f"d{outer}" / f"e{inner}").mkdir(parents=True)


def seen_folders(watched: Workspaces) -> int:
    return len(watched._watching.trees.watches)  # type: ignore[attr-defined]  # the Linux one


def test_what_was_made_before_the_watch_stood_is_told(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    watch(watched, "worker", work)
    for number in range(10):
        deep = work / f"top{number}" / "a" / "b" / "c"
        deep.mkdir(parents=True)
        (deep / "file").write_text("x")
        wait_until(lambda last=f"top{number}/a/b/c/file": last in heard.paths())
        wait_until(lambda folders=4 * number: seen_folders(watched) > folders and watched.ready())
        heard.changes.clear()
        (deep / "file").write_text("y")
        wait_until(lambda last=f"top{number}/a/b/c/file": heard.paths()[-1:] == [last])
        heard.changes.clear()


def test_a_change_right_after_the_call_is_not_missed(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    (work / "src").mkdir()
    watched.watch("worker", work)
    asked = time.time()
    # The kernel stamps files with the time of its last tick.
    wait_until(lambda: time.time() > asked + 0.02)
    (work / "src" / "a").write_text("x")
    wait_until(lambda: "src/a" in heard.paths())


def test_a_moved_folder_is_followed_inside_and_let_go_outside(
    watched: Workspaces, heard: Heard, work: Path, tmp_path: Path, wait_until: Wait
) -> None:
    (work / "one" / "deep").mkdir(parents=True)
    watch(watched, "worker", work)
    (work / "one").rename(work / "two")
    wait_until(lambda: "two" in heard.paths())
    (work / "two" / "deep" / "a").write_text("x")
    wait_until(lambda: "two/deep/a" in heard.paths())
    (work / "two").rename(tmp_path / "outside")
    wait_until(lambda: seen_folders(watched) == 1)
    settle(watched, heard, wait_until)
    heard.changes.clear()
    (tmp_path / "outside" / "deep" / "b").write_text("x")
    assert settle(watched, heard, wait_until) == []
    (tmp_path / "outside").rename(work / "back")
    wait_until(lambda: seen_folders(watched) == 3)
    heard.changes.clear()
    (work / "back" / "deep" / "c").write_text("x")
    wait_until(lambda: "back/deep/c" in heard.paths())


def test_hostile_names_are_only_names(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    (work / ".gitignore").write_text("*.log\n")
    watch(watched, "worker", work)
    for name in (b"a\nb", b"\x1b[2J", b"\xff\xfe", b"-rf", b"--", b":(glob)*", b"$(id)", b"x" * 255, b" "):
        heard.changes.clear()
        folder = os.fsencode(work) + b"/d" + name[:200]
        os.mkdir(folder)
        with open(folder + b"/" + name, "wb") as file:
            file.write(b"x")
        expected = os.fsdecode(b"d" + name[:200] + b"/" + name)
        wait_until(lambda expected=expected: expected in heard.paths(), what=repr(name))
        with open(folder + b"/" + name[:200] + b".log", "wb") as file:
            file.write(b"x")
    assert not [path for path in heard.paths() if path.endswith(".log")]


def test_a_change_is_told_with_its_time(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    watch(watched, "worker", work)
    (work / "a").write_text("x")
    wait_until(lambda: "a" in heard.paths())
    assert heard.when["worker", "a"] == os.lstat(work / "a").st_ctime
    before = time.time()
    (work / "a").unlink()
    heard.changes.clear()
    wait_until(lambda: "a" in heard.paths())
    assert before - 1 < heard.when["worker", "a"] <= time.time()


def test_folders_that_git_ignores_are_not_watched(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    (work / ".gitignore").write_text("out/\n")
    make_folders(work / "out", 200)
    (work / "src").mkdir()
    watch(watched, "worker", work)
    assert seen_folders(watched) == 2
    (work / "deeper" / "out").mkdir(parents=True)
    wait_until(heard.paths)
    (work / "deeper" / "out" / "x").mkdir()
    wait_until(lambda: seen_folders(watched) == 3, what="the new out/ is left alone too")
    (work / ".gitignore").write_text("src/\n")
    wait_until(lambda: seen_folders(watched) == 1 + 203 + 3, what="out/ is watched, src/ no longer")
    (work / "out" / "d1" / "e50" / "a").write_text("x")
    wait_until(lambda: "out/d1/e50/a" in heard.paths())
    settle(watched, heard, wait_until)  # one write is two events, and may be told twice
    heard.changes.clear()
    (work / "src" / "a").write_text("x")
    assert settle(watched, heard, wait_until) == []


def test_repositories_within_and_worktrees_have_their_own_rules(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    def git(place: Path, *words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *who, *words], cwd=place, check=True, capture_output=True)

    git(work, "init", "-q")
    (work / ".gitignore").write_text("trees/\nout/\n")
    git(work, "add", ".")
    git(work, "commit", "-qm", "first")
    git(work, "worktree", "add", "-q", "trees/one")
    (work / "lib" / "big").mkdir(parents=True)
    git(work / "lib", "init", "-q")
    (work / "lib" / ".gitignore").write_text("big/\n")
    watch(watched, "outer", work)
    watch(watched, "inner", work / "trees" / "one")
    wait_until(lambda: seen_folders(watched) == 3, what="work, lib and the worktree, not lib/big")
    for name in ("big/x", "out/x"):
        (work / "lib" / name).parent.mkdir(exist_ok=True)
        (work / "lib" / name).write_text("x")
    wait_until(lambda: "lib/out/x" in heard.paths("outer"), what="what only the outer one ignores counts")
    assert "lib/big/x" not in heard.paths("outer")
    (work / "trees" / "one" / "out").mkdir()
    (work / "trees" / "one" / "out" / "a").write_text("x")
    (work / "trees" / "one" / "b").write_text("x")
    wait_until(lambda: "b" in heard.paths("inner"))
    assert "out/a" not in heard.paths("inner")
    assert not [path for path in heard.paths("outer") if path.startswith("trees")]


def test_one_folder_has_one_watch_however_many_workspaces_hold_it(
    watched: Workspaces, heard: Heard, work: Path, wait_until: Wait
) -> None:
    make_folders(work, 200)
    watch(watched, "outer", work)
    alone = seen_folders(watched)
    for number in range(5):
        watch(watched, f"same{number}", work)
        watch(watched, f"below{number}", work / "d1" / f"e{number}")
    watch(watched, "middle", work / "d1")
    assert seen_folders(watched) == alone
    (work / "d1" / "e3" / "a").write_text("x")
    wait_until(lambda: heard.paths("below3") == ["a"])
    watched.unwatch("below3")
    wait_until(lambda: seen_folders(watched) == alone and watched.ready())
    (work / "d1" / "e3" / "b").write_text("x")
    wait_until(lambda: "e3/b" in heard.paths("middle"))
    watched.unwatch("middle")
    assert watched.ready()
    for agent in ("outer", *(f"same{number}" for number in range(4))):
        watched.unwatch(agent)
    (work / "d1" / "e3" / "c").write_text("x")
    wait_until(lambda: "d1/e3/c" in heard.paths("same4"))


def test_beyond_the_bound_changes_are_still_found_and_with_room_watched_again(
    heard: Heard, work: Path, wait_until: Wait
) -> None:
    make_folders(work, 200)
    watched = Workspaces(heard, settle=0.02, most_folders=20, sweep_every=0.05)
    try:
        watch(watched, "worker", work)
        assert set(watched.partial()) == {"worker"}
        (means,) = watched.means()
        assert not means.full
        assert "20 folders" in means.why
        for outer in range(2):
            (work / f"d{outer}" / "e77" / "a").write_text("x")
            wait_until(lambda where=f"d{outer}/e77/a": where in heard.paths())
            (work / f"d{outer}" / "e77" / "a").unlink()
            heard.changes.clear()
            wait_until(lambda where=f"d{outer}/e77/a": where in heard.paths())
        watched.unwatch("worker")
        watch(watched, "worker", work / "d0" / "e5")
        assert watched.partial() == {}
        assert [means.full for means in watched.means()] == [True]
    finally:
        watched.stop()


def test_caches_are_not_even_watched(watched: Workspaces, work: Path) -> None:
    make_folders(work / "node_modules", 300)
    watch(watched, "worker", work)
    assert seen_folders(watched) == 1


def test_our_own_folder_is_not_even_watched(watched: Workspaces, work: Path) -> None:
    make_folders(work / "state", 100)
    watched.ours(work / "state")
    watch(watched, "worker", work)
    assert seen_folders(watched) == 1


def test_nothing_can_be_scheduled_without_a_filter(watched: Workspaces, work: Path) -> None:
    observer = watched._watching.observer  # type: ignore[attr-defined]  # the Linux one
    with pytest.raises(ValueError, match="event filter"):
        observer.schedule(module._Ear(str(work), watched._crediting), str(work), recursive=True)


def test_the_filter_holds_no_event_that_reading_makes() -> None:
    names = {kind.__name__ for kind in FILTER}
    assert not [name for name in names if "Opened" in name or "Closed" in name or name == "FileSystemEvent"]


def test_a_killed_daemon_leaves_nothing_behind(heard: Heard, work: Path, wait_until: Wait) -> None:
    places = (Path(tempfile.gettempdir()), work)
    before = {place: set(os.listdir(place)) for place in places}
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    watched = Workspaces(heard, settle=0.02)
    watch(watched, "worker", work)
    made = {name for name in set(os.listdir(places[0])) - before[places[0]] if "hhmrs-ignores" in name}
    watched.stop()
    assert made == set()
    assert set(os.listdir(work)) - before[work] == {".git"}


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
