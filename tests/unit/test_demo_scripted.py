"""The demo's agent, run as a process of its own with a real inbox: what its letters and journal promise."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hhmrs.tui.demo.fleet import SCRIPT
from hhmrs.tui.demo.proof import read_journal
from hhmrs.tui.demo.scripted import RUNAWAY, TROUBLES

DEADLINE = 20.0


def until(what: str, holds: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, f"waited {DEADLINE:.0f} s in vain for: {what}"
        time.sleep(0.01)


class Stage:
    """A workspace and an inbox for one agent, and its attempts."""

    def __init__(self, root: Path) -> None:
        self.workspace = root / "work" / "agent"
        self.inbox = root / "inbox"
        for folder in (self.workspace, self.inbox / "tmp", self.inbox / "new"):
            folder.mkdir(parents=True)
        self.checkpoint = root / "checkpoint.json"
        self.processes: list[subprocess.Popen[str]] = []

    def start(
        self, trouble: str, *more: str, attempt: int = 1, role: str = "parser"
    ) -> subprocess.Popen[str]:
        env = {"HHMRS_AGENT": "agent", "HHMRS_ATTEMPT": str(attempt), "HHMRS_INBOX": str(self.inbox),
               "HHMRS_WORKSPACE": str(self.workspace)}  # fmt: skip
        if self.checkpoint.exists():
            env["HHMRS_CHECKPOINT"] = str(self.checkpoint)
        argv = [
            sys.executable,
            "-I",
            "-S",
            str(SCRIPT),
            "--role",
            role,
            "--trouble",
            trouble,
            "--pace",
            "0.01",
            *more,
        ]
        process = subprocess.Popen(
            argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=self.workspace
        )
        self.processes.append(process)
        return process

    def run(self, trouble: str, *more: str, attempt: int = 1, role: str = "parser") -> int:
        return self.start(trouble, *more, attempt=attempt, role=role).wait(DEADLINE)

    def letters(self, kind: str) -> list[dict[str, Any]]:
        paths = sorted((self.inbox / "new").iterdir())
        return [letter for path in paths if (letter := json.loads(path.read_bytes()))["kind"] == kind]

    def keep_checkpoint(self) -> None:
        """Do what the supervisor does: make the newest checkpoint letter the file to resume from."""
        self.checkpoint.write_text(json.dumps(self.letters("checkpoint")[-1]), encoding="utf-8")

    def subtasks(self) -> list[str]:
        return [entry.subtask for entry in read_journal(self.workspace)]

    def tear_down(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=DEADLINE)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.tear_down()


def names(count: int, role: str = "parser") -> list[str]:
    return [f"{role}-{n:02d}" for n in range(1, count + 1)]


@pytest.mark.parametrize("role", ["parser", "sorter", "checksums", "docs", "report"])
def test_it_does_its_work_once_and_says_so(stage: Stage, role: str) -> None:
    assert stage.run("none", "--subtasks", "4", role=role) == 0
    assert stage.subtasks() == names(4, role)
    assert [len(letter["completed"]) for letter in stage.letters("checkpoint")] == [1, 2, 3, 4]
    assert len(stage.letters("done")) == 1
    for name in stage.letters("checkpoint")[-1]["files"]:
        assert (stage.workspace / name).stat().st_size > 0, f"{name} is promised by the checkpoint"


def test_every_letter_carries_who_which_attempt_and_when(stage: Stage) -> None:
    stage.run("none", "--subtasks", "2", attempt=7)
    letters = stage.letters("beat") + stage.letters("checkpoint") + stage.letters("done")
    assert {(letter["agent"], letter["attempt"]) for letter in letters} == {("agent", 7)}
    assert all(letter["at"].endswith("Z") and len(letter["at"]) == 24 for letter in letters)
    assert not list((stage.inbox / "tmp").iterdir()), "a letter was left half posted"
    assert all(0 <= letter["progress"] <= 1 for letter in stage.letters("beat"))


def test_resume_kills_itself_and_goes_on_after_the_checkpoint(stage: Stage) -> None:
    assert stage.run("resume", "--subtasks", "6") == -signal.SIGKILL
    assert stage.subtasks() == names(3)
    stage.keep_checkpoint()
    assert stage.run("resume", "--subtasks", "6", attempt=2) == 0
    assert stage.subtasks() == names(6), "each subtask exactly once"
    first = next(entry for entry in read_journal(stage.workspace) if entry.attempt == 2)
    assert first.resumed == tuple(names(3))
    assert first.found == ()


def test_without_a_checkpoint_it_says_that_only_the_journal_knew(stage: Stage) -> None:
    stage.run("resume", "--subtasks", "5")
    assert stage.run("resume", "--subtasks", "5", attempt=2) == 0
    first = next(entry for entry in read_journal(stage.workspace) if entry.attempt == 2)
    assert (first.resumed, first.found) == ((), tuple(names(3)))
    assert stage.subtasks() == names(5)


def test_nudge_is_silent_until_a_line_is_typed(stage: Stage) -> None:
    process = stage.start("nudge", "--subtasks", "5")
    until("three subtasks", lambda: len(stage.subtasks()) == 3)
    assert process.stdin is not None
    process.stdin.write("please go on\n")
    process.stdin.flush()
    assert process.wait(DEADLINE) == 0
    assert stage.subtasks() == names(5)


def test_restart_leaves_nothing_behind_and_ignores_what_is_typed(stage: Stage) -> None:
    process = stage.start("restart", "--subtasks", "3")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    process.stdin.write("please go on\n")
    process.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.kill()
    assert not list(stage.workspace.iterdir())
    assert not list((stage.inbox / "new").iterdir())
    assert stage.run("restart", "--subtasks", "3", attempt=2) == 0
    assert stage.subtasks() == names(3)


def test_reassign_works_on_another_seat_only(stage: Stage) -> None:
    for attempt in (1, 2, 3):
        assert stage.run("reassign", "--subtasks", "2", attempt=attempt) == 1
    assert not list(stage.workspace.iterdir())
    assert stage.run("reassign", "--subtasks", "2", "--seat", "1", attempt=4) == 0
    assert stage.subtasks() == names(2)


@pytest.mark.parametrize("seat", ["0", "1"])
def test_escalate_fails_on_every_seat(stage: Stage, seat: str) -> None:
    assert stage.run("escalate", "--seat", seat, attempt=5) == 1
    assert not list(stage.workspace.iterdir())


def test_loop_beats_for_ever_without_a_new_line_or_file(stage: Stage) -> None:
    process = stage.start("loop", "--subtasks", "5")
    until("three subtasks", lambda: len(stage.subtasks()) == 3)
    before = len(stage.letters("beat"))
    until("more beats", lambda: len(stage.letters("beat")) >= before + 3)
    assert stage.subtasks() == names(3)
    process.kill()
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    assert len(set(lines[4:])) == 1, "every line after the last subtask is the same"


def test_ask_waits_for_the_answer_and_uses_it(stage: Stage) -> None:
    process = stage.start("ask", "--subtasks", "5", role="docs")
    until("the question", lambda: stage.letters("ask"))
    assert stage.letters("ask")[0]["options"] == ["name", "size"]
    process.communicate("size\n", DEADLINE)
    results = [entry.result for entry in read_journal(stage.workspace)]
    assert ["by size" in result for result in results] == [False, False, False, True, True]


def test_limit_says_when_it_ends(stage: Stage) -> None:
    process = stage.start("limit", "--subtasks", "4")
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(5)]
    assert "usage limit reached, resets in 8 seconds\n" in seen


def test_runaway_leaves_a_child_that_ignores_term(stage: Stage) -> None:
    assert stage.run("runaway", "--subtasks", "5") == -signal.SIGKILL
    child = int(json.loads((stage.workspace / RUNAWAY).read_bytes())["pid"])
    try:
        until("leaving the session", lambda: os.getsid(child) == child)
        until("ignoring SIGTERM", lambda: _ignores_term(child))
        stage.keep_checkpoint()
        assert stage.run("runaway", "--subtasks", "5", attempt=2) == 0
        first = next(entry for entry in read_journal(stage.workspace) if entry.attempt == 2)
        assert first.runaway_alive is True, "the new attempt tells that the old child lives"
    finally:
        os.kill(child, signal.SIGKILL)


def _ignores_term(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return True
    line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("SigIgn"))
    return bool(int(line.split()[1], 16) & 1 << (signal.SIGTERM - 1))


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--role", "poet"], "--role must be one of"),
        (["--role", "docs", "--trouble", "love"], "--trouble must be one of"),
        (["--rôle", "docs"], "expected --name value pairs"),
        (["--role"], "expected --name value pairs"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(argv: list[str], says: str) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_every_trouble_is_described() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert [name for name in TROUBLES if f"    {name} " not in text] == []
