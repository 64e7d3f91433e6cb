"""Who wrote, among agents that share a folder: told by what real processes do, or not told at all."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from hhmrs.controller.workspaces.workspaces import Workspaces
from hhmrs.controller.workspaces.writers import MOST_AGENTS, AgentTrees, Writers

Wait = Callable[..., None]

OBEY = """
import os, sys
held = {}
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "write":
        with open(rest, "w") as file:
            file.write("x" * 10)
    elif word == "draw":
        with open("/dev/null", "w") as terminal:
            terminal.write("x" * 1000)
    elif word == "hold":
        held[rest] = open(rest, "a")
    elif word == "more":
        held[rest].write("y" * 10)
        held[rest].flush()
    elif word == "child":
        os.spawnlp(os.P_WAIT, "sh", "sh", "-c", f"echo z > {rest}")
    elif word == "stray":
        later = f"(sleep 0.1; echo z >> {rest}; exec sleep 60) >/dev/null 2>&1 & exit 0"
        os.spawnlp(os.P_WAIT, "setsid", "setsid", "sh", "-c", later)
    print("done", flush=True)
"""


class Agent:
    """A process that does as it is told, and nothing else."""

    def __init__(self, token: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", OBEY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HHMRS_TOKEN": token},
        )
        self.pid = self._process.pid

    def tell(self, word: str, path: Path) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word} {path}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


class Pair:
    """Two agents, and what is told of them."""

    def __init__(self, wait_until: Wait) -> None:
        self._wait = wait_until
        self._run = secrets.token_hex(4)
        self.agents = {name: Agent(self.token(name)) for name in ("one", "two")}
        self.trees = AgentTrees(lambda: {name: agent.pid for name, agent in self.agents.items()}, self.token)
        self.writers = Writers(self.trees)

    def token(self, name: str) -> str:
        return f"{self._run}:{name}"

    def tell(self, name: str, word: str, path: Path) -> None:
        self.agents[name].tell(word, path)

    def look(self, *written: Path) -> dict[str, str]:
        """Who wrote since the last look; afterwards the clock of files has moved on."""
        found = self.writers.who(["one", "two"], [str(path) for path in written])
        looked = time.time()
        self._wait(lambda: time.time() > looked + 0.03)
        return found

    def end(self) -> None:
        strays = [pid for tree in self.trees(["one", "two"]).values() for pid in tree]
        for agent in self.agents.values():
            agent.end()
        for pid in set(strays) - {agent.pid for agent in self.agents.values()}:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def pair(wait_until: Wait) -> Iterator[Pair]:
    pair = Pair(wait_until)
    # Started is not yet waiting for orders.
    for name in pair.agents:
        pair.tell(name, "nothing", Path())
    yield pair
    pair.end()


def is_counted(folder: Path) -> bool:
    """Whether the kernel counts there what is written for a disk: in memory alone it does not."""
    words = ["sh", "-c", 'echo x > "$1/counted"; cat /proc/$$/io', "sh", str(folder)]
    return (
        "\nwrite_bytes: 0\n" not in subprocess.run(words, capture_output=True, text=True, check=True).stdout
    )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk, also where those for tests are in memory."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as other:
        on_disk = next((folder for folder in (tmp_path, Path(other)) if is_counted(folder)), None)
        if on_disk is None:
            pytest.skip("the kernel counts nothing that is written here")
        yield on_disk


@pytest.fixture
def file(disk: Path) -> Path:
    return disk / "file"


@pytest.mark.parametrize("word", ["write", "child"])
def test_the_only_one_that_did_anything_wrote_it(pair: Pair, file: Path, word: str) -> None:
    pair.look()
    pair.tell("one", word, file)
    assert pair.look(file) == {"one": str(file)}
    pair.tell("two", word, file)
    assert pair.look(file) == {"two": str(file)}


def test_who_only_draws_on_a_terminal_did_not_write_what_a_person_wrote(pair: Pair, file: Path) -> None:
    for _ in range(3):
        pair.tell("one", "draw", file)
        file.write_text("a person's")
        assert pair.look(file) == {}


def test_when_both_did_something_it_was_nobody(pair: Pair, file: Path, tmp_path: Path) -> None:
    pair.look()
    pair.tell("one", "write", file)
    pair.tell("two", "write", tmp_path / "other")
    assert pair.look(file) == {}


def test_who_writes_on_in_an_open_file_is_known_whatever_the_other_does(
    pair: Pair, file: Path, tmp_path: Path
) -> None:
    pair.tell("one", "hold", file)
    pair.tell("one", "more", file)
    pair.look()
    pair.tell("one", "more", file)
    pair.tell("two", "write", tmp_path / "other")
    assert pair.look(file) == {"one": str(file)}


def test_who_only_holds_a_file_open_did_not_write_it(pair: Pair, file: Path, tmp_path: Path) -> None:
    pair.tell("one", "hold", file)
    pair.look()
    pair.tell("one", "write", tmp_path / "other")
    pair.tell("two", "write", file)
    assert pair.look(file) == {}
    pair.tell("two", "write", file)
    assert pair.look(file) == {"two": str(file)}


def test_a_child_that_left_its_tree_still_casts_doubt(
    pair: Pair, file: Path, tmp_path: Path, wait_until: Wait
) -> None:
    pair.tell("two", "stray", file)
    pair.look()
    wait_until(file.exists)
    pair.tell("one", "write", tmp_path / "other")
    wait_until(file.read_text)
    assert pair.look(file) == {}


def test_what_changed_before_the_last_look_says_nothing(pair: Pair, file: Path) -> None:
    assert pair.look() == {}
    pair.tell("two", "write", file)
    pair.look()
    pair.tell("one", "nothing", file)
    assert pair.look(file) == {}


def test_without_a_look_before_nobody_is_named(pair: Pair, file: Path) -> None:
    pair.tell("one", "write", file)
    assert pair.look(file) == {}


def test_a_process_that_ended_meanwhile_casts_doubt(pair: Pair, file: Path) -> None:
    pair.look()
    pair.tell("two", "write", file)
    pair.agents["two"].end()
    pair.tell("one", "nothing", file)
    assert pair.look(file) == {}


def test_files_that_are_gone_empty_or_no_files_name_nobody(pair: Pair, file: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    pair.look()
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to(file)
    pair.tell("one", "write", file)
    assert pair.look(tmp_path / "gone", tmp_path / "empty", tmp_path / "fifo", tmp_path / "link") == {}


def test_a_crowd_is_not_looked_at(file: Path) -> None:
    def trees(agents: Collection[str]) -> dict[str, list[int]]:
        raise AssertionError(agents)

    crowd = [f"a{number}" for number in range(MOST_AGENTS + 1)]
    assert Writers(trees).who(crowd, [str(file)]) == {}


def test_in_a_shared_workspace_the_one_that_writes_is_told_of(
    pair: Pair, disk: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr("hhmrs.controller.workspaces.crediting.SHARED_EVERY", 0.05)
    work = disk / "work"
    work.mkdir()
    watched = Workspaces(lambda agent, path, _: told.append((agent, path)), settle=0.02, trees=pair.trees)
    try:
        for name in pair.agents:
            watched.watch(name, work)
        assert watched.ready()

        def seen() -> bool:
            pair.tell("one", "write", work / "file")
            return bool(told)

        wait_until(seen)
        assert set(told) == {("one", "file")}
    finally:
        watched.stop()


def test_what_an_agent_further_out_provably_wrote_is_not_the_inner_ones(
    pair: Pair, disk: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`one` works in the outer folder and drops files into that of `two`, who is alone in its own."""
    told: list[tuple[str, str]] = []
    monkeypatch.setattr("hhmrs.controller.workspaces.crediting.SHARED_EVERY", 0.05)
    inner = disk / "outer" / "inner"
    inner.mkdir(parents=True)
    watched = Workspaces(lambda agent, path, _: told.append((agent, path)), settle=0.02, trees=pair.trees)
    try:
        watched.watch("one", inner.parent)
        watched.watch("two", inner)
        assert watched.ready()
        pair.tell("one", "hold", inner / "report")
        pair.tell("one", "more", inner / "report")
        # Nothing proves yet whose the new file is: in its own folder an agent is believed.
        wait_until(lambda: ("two", "report") in told)

        def dropped(times: int) -> None:
            for _ in range(times):
                before = (inner / "report").stat().st_size
                pair.tell("one", "more", inner / "report")
                wait_until(lambda size=before: (inner / "report").stat().st_size > size)
                (disk / "outer" / "mark").write_text(str(before))
                marks = told.count(("one", "mark"))
                wait_until(lambda seen=marks: told.count(("one", "mark")) > seen)

        dropped(4)  # until it was looked at before and after a change
        told.clear()
        dropped(3)
        assert [path for agent, path in told if agent == "two"] == []

        def seen() -> bool:
            pair.tell("one", "more", inner / "report")
            pair.tell("two", "write", inner / "own")
            return ("two", "own") in told

        wait_until(seen)
        assert ("two", "report") not in told
    finally:
        watched.stop()
