"""Of all that is heard of a workspace the newest change is told, by its name and with its time.

What is heard is given by hand here, in the orders that events and looks come in; the files are real."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hhmrs.controller.workspaces import crediting, intake
from hhmrs.controller.workspaces.crediting import Crediting

COARSE = 5
"""CLOCK_REALTIME_COARSE of Linux, by which files are stamped."""


class Unwatched:
    """Nothing is watched: what changed is said by the test."""

    def add(self, root: str, ignored: set[str], asked: int) -> None: ...
    def drop(self, root: str) -> None: ...
    def pass_over(self, root: str, folders: Iterable[str], since: int | None = None) -> None: ...


class Desk:
    """Agents with a folder each of the same name, and what is told of them."""

    def __init__(self, place: Path, *agents: str, settle: float = 0.0) -> None:
        self.place = Path(os.path.realpath(place))
        self.told: list[tuple[str, str, float]] = []
        self._crediting = Crediting(
            lambda *word: self.told.append(word), Unwatched(), None, settle, counts=lambda *_: True
        )
        for agent in agents or ("worker",):
            (self.place / agent).mkdir()
            self._crediting.join(agent, str(self.place / agent))

    def hear(self, name: str, agent: str = "worker", *, written: bool = True) -> None:
        self._crediting.heard(str(self.place / agent), str(self.place / agent / name), written=written)

    def turn(self) -> float | None:
        """What the thread does once it was woken: seconds until it is time for a word that came too soon."""
        return self._crediting._turn()

    def tell(self) -> None:
        while (wait := self.turn()) is not None:
            time.sleep(wait)

    def write(self, name: str, agent: str = "worker") -> Path:
        path = self.place / agent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(time.monotonic()))
        return path

    def unpack(self, name: str) -> None:
        """As package tools do: beside, and then moved; heard of is only what it was called before."""
        for inner in ("lib/a.js", "index.js"):
            self.write(f".tmp/{inner}")
            self.hear(f".tmp/{inner}")
        (self.place / "worker" / ".tmp").rename(self.place / "worker" / name)


def tick() -> float:
    """Wait until the clock by which the kernel stamps files has moved on; what it says then."""
    before = time.clock_gettime(COARSE)
    while (now := time.clock_gettime(COARSE)) == before:
        time.sleep(0.001)
    return now


def word(path: Path) -> tuple[str, str, float]:
    """What must be told of it, as it is now."""
    return "worker", path.name, path.lstat().st_ctime


@pytest.mark.parametrize("ghosts_first", [True, False])
def test_what_is_gone_with_its_folder_does_not_hide_what_was_written_after(
    tmp_path: Path, ghosts_first: bool
) -> None:
    desk = Desk(tmp_path)
    if ghosts_first:
        desk.unpack("package")
    else:
        shutil.copytree(desk.write("other/inner/x").parents[1], desk.place / "worker" / "package")
    tick()
    mine = desk.write("mine")
    desk.hear("mine")
    if not ghosts_first:
        # A look that began before tells late.
        for name in (".old/lib/a.js", ".old/index.js"):
            desk.hear(name, written=False)
    desk.turn()
    assert desk.told == [word(mine)]


def test_what_is_gone_was_changed_no_later_than_it_was_heard_of(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    before = tick()
    desk.unpack("package")
    heard = time.time()
    tick()
    desk.write("package/node_modules/x")  # which nobody hears of, and makes the folder's time newer
    desk.write("__pycache__/x")
    desk.turn()
    ((agent, path, when),) = desk.told
    assert (agent, path.split("/")[0]) == ("worker", ".tmp")
    assert before <= when <= heard


def test_a_workspace_that_is_gone_altogether_was_there_when_it_was_heard_of(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    before = tick()
    desk.write("src/a")
    desk.hear("src/a")
    heard = time.time()
    shutil.rmtree(desk.place / "worker")
    tick()
    desk.turn()
    ((_, path, when),) = desk.told
    assert path == "src/a"
    assert before <= when <= heard


def test_a_file_passes_for_newer_than_its_folder_and_what_left_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    names = ["src/.a.new", "src", "src/a"]
    for name in (".b.new", ".a.new"):
        desk.write(f"src/{name}").rename(desk.place / "worker" / "src" / name[1:2])
    for name in (*names, *reversed(names)):
        desk.hear(name, written=False)
    desk.turn()
    assert [path for _, path, _ in desk.told] == ["src/a"]


def test_one_judged_before_and_changed_again_is_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crediting, "MOST_PENDING", 3)
    desk = Desk(tmp_path, settle=0.5)
    desk.write("first")
    desk.hear("first")
    desk.turn()
    for name in ("mine", "other", "third"):
        desk.write(name)
        desk.hear(name)
    desk.turn()
    tick()
    mine = desk.write("mine")
    desk.hear("mine")
    desk.tell()
    assert desk.told[-1] == word(mine)


@pytest.mark.parametrize("bound", [2, 1000])
def test_a_change_is_not_hidden_by_many_older_files_that_a_look_finds_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: int
) -> None:
    monkeypatch.setattr(crediting, "AT_ONCE", 5)
    monkeypatch.setattr(crediting, "MOST_PENDING", bound)
    desk = Desk(tmp_path)
    for number in range(50):
        desk.write(f"old/{number}")
    tick()
    mine = desk.write("mine")
    desk.hear("mine")
    for number in range(50):
        desk.hear(f"old/{number}", written=False)
    desk.turn()
    assert desk.told == [word(mine)]


def test_a_flood_costs_nobody_the_newest_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(intake, "MOST_NEWS", 20)
    desk = Desk(tmp_path, "loud", "quiet")
    desk.write("early", "quiet")
    desk.hear("early", "quiet")
    for number in range(100):
        desk.write(f"f{number:03d}", "loud")
        desk.hear(f"f{number:03d}", "loud")
    desk.write("late", "quiet")
    desk.hear("late", "quiet")
    assert sum(map(len, desk._crediting._intake._news.values())) <= 20
    desk.turn()
    assert {(agent, path) for agent, path, _ in desk.told} == {("loud", "f099"), ("quiet", "late")}
    assert len([line for line in caplog.messages if "changed at once" in line]) == 1


FOLDERS = ("a", "b", "a/in", "b/in")
FILES = tuple(f"{folder}/{name}" for folder in FOLDERS for name in "xy")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["write", "remove", "find", "cache"]), st.sampled_from(FILES)),
        st.tuples(st.just("move"), st.sampled_from(FOLDERS)),
        st.just(("turn", "")),
    ),
    max_size=25,
)


def play(desk: Desk, step: str, name: str) -> None:
    """Do one thing to the files, and say what events, or a look that comes late, would say of it."""
    path = desk.place / "worker" / name
    if step == "turn":
        desk.turn()
    elif step == "write":
        desk.write(name)
        desk.hear(name)
    elif step == "find":
        desk.hear(name, written=False)  # whether it is still there or not
    elif step == "cache":
        desk.write(f"{Path(name).parent}/__pycache__/x")
        desk.hear(f"{Path(name).parent}/__pycache__/x")
    elif path.exists():
        desk.hear(name, written=False)
        if step == "remove":
            path.unlink()
        else:
            shutil.rmtree(desk.place / "worker" / "moved", ignore_errors=True)
            path.rename(desk.place / "worker" / "moved")
            desk.hear("moved", written=False)


@settings(max_examples=120, deadline=None)
@given(steps=STEPS, late=st.lists(st.sampled_from(FILES), max_size=8), last=st.sampled_from(FILES))
@pytest.mark.parametrize("bound", [3, 1000])
def test_the_last_change_is_told_whatever_came_before_and_however_late_it_is_told(
    bound: int, steps: list[tuple[str, str]], late: list[str], last: str
) -> None:
    with (
        TemporaryDirectory() as place,
        mock.patch.object(crediting, "AT_ONCE", bound),
        mock.patch.object(crediting, "MOST_PENDING", 2 * bound),
    ):
        desk = Desk(Path(place))
        for step, name in steps:
            play(desk, step, name)
        tick()
        newest = desk.write(last)
        desk.hear(last)
        for name in late:
            desk.hear(name, written=False)
        desk.tell()
        assert desk.told[-1] == ("worker", last, newest.lstat().st_ctime)
        assert all(when <= time.time() for _, _, when in desk.told)
