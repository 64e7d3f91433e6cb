"""The kernel's watches and the disk run out under a daemon at work, and come back. Nobody is blamed for it.

The daemon runs in namespaces of its own, so that what runs out is its alone."""

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

Script = Callable[..., list[str]]
APART = ["unshare", "--user", "--map-current-user", "--keep-caps"]
INTO = ["nsenter", "--user", "--preserve-credentials", "--target"]
GRAVE = {"agent_incident", "agent_exited"}
LIMIT = "/proc/sys/user/max_inotify_watches"
DISK = 8 * 2**20
"""Bytes of the disk that is filled."""


def _allowed(words: list[str]) -> None:
    try:
        tried = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare on this system")
    if tried.returncode:
        pytest.skip(f"no namespaces of our own here: {tried.stderr.strip()}")


@pytest.fixture
def daemons() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Daemons that were started apart; the fleet takes them down, here they are waited for."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def _set_limit(daemon: subprocess.Popen[bytes], watches: int) -> None:
    words = [*INTO, str(daemon.pid), "sh", "-c", f"echo {watches} >{LIMIT}"]
    subprocess.run(words, check=True, capture_output=True)


def _up_apart(fleet: Any, daemons: list[subprocess.Popen[bytes]], before: str, *more: str) -> None:
    """Start the daemon in namespaces of its own (user, and `more`), after the shell words `before`."""
    daemon = [sys.executable, "-m", "hhmrs", "--daemon", "--config", str(fleet.config)]
    with (fleet.folder / "said").open("wb") as said:
        words = [*APART, *more, "sh", "-c", f'{before}; exec "$@"', "sh", *daemon]
        daemons.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said))


def _watches(daemon: subprocess.Popen[bytes]) -> int:
    """How many watches it holds now."""
    return sum(
        entry.read_text().count("inotify wd:") for entry in Path(f"/proc/{daemon.pid}/fdinfo").iterdir()
    )


def _quiet(fleet: Any) -> list[tuple[str, str, str]]:
    """What was done to agents, or said against them."""
    events = [x for x in fleet.events() if x.type.startswith("hhmrs_") or x.type in GRAVE]
    return [(x.type, x.agent, str(x.data.get("reason") or x.data.get("detail"))) for x in events]


def _journal(fleet: Any) -> list[Any]:
    return list(fleet.events("checkpoint_stored", agent="worker"))


def _worker(script: Script, *more: str) -> dict[str, Any]:
    command = script("worker20", "--subtasks", "100000", "--pace", "0.05", *more)
    return {"profile": "shell", "command": command, "workspace": "worker", "prompt": "go"}


def test_without_a_single_watch_an_agent_at_work_is_seen_at_work_and_its_end_as_its_end(
    make_fleet: Any, script: Script, daemons: list[subprocess.Popen[bytes]]
) -> None:
    _allowed([*APART, "sh", "-c", f"echo 0 >{LIMIT}"])
    fleet = make_fleet({"worker": _worker(script)})
    _up_apart(fleet, daemons, f"echo 0 >{LIMIT}")
    fleet.wait(lambda: fleet.state.ledger.exists() and fleet.phase("worker") == "working")
    assert _watches(daemons[0]) == 0
    # Twice the silence that would be held against it, and letters come in all the while.
    fleet.wait(lambda: len(_journal(fleet)) > 25, 30, "letters are read")
    assert _quiet(fleet) == []
    os.kill(fleet.pid("worker"), signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered", deadline=30)
    (exited,) = fleet.events("agent_exited")
    assert exited.data["signal"] == signal.SIGKILL


def test_the_watches_run_out_under_way_and_come_back(
    make_fleet: Any, script: Script, daemons: list[subprocess.Popen[bytes]]
) -> None:
    _allowed([*APART, "sh", "-c", f"echo 0 >{LIMIT}"])
    talker = {
        "profile": "shell",
        "command": script("printer", "prose"),
        "workspace": "talker",
        "prompt": "go",
    }
    fleet = make_fleet({"worker": _worker(script), "talker": talker}, policy={"progress_timeout": "1m"})
    _up_apart(fleet, daemons, ":")
    fleet.wait(lambda: fleet.state.ledger.exists() and fleet.phase("worker") == "working")
    fleet.wait(lambda: fleet.phase("talker") == "working")
    fleet.wait(lambda: len(_journal(fleet)) > 10)
    assert _watches(daemons[0]) > 0
    for limit in (0, 100_000):
        _set_limit(daemons[0], limit)
        stored = len(_journal(fleet))
        fleet.wait(lambda stored=stored: len(_journal(fleet)) > stored + 25, 30, f"letters, limit {limit}")
        assert _quiet(fleet) == []
        assert {fleet.phase("worker"), fleet.phase("talker")} <= {"working", "unknown"}
    os.kill(fleet.pid("worker"), signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered", agent="worker", deadline=30)


def _fill(folder: Path) -> Path:
    """Take every byte that is left on the disk of `folder`."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as out:
        for size in (2**16, 2**12, 1):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                continue
    return filler


class Inside:
    """A fleet whose state lies on a disk that only its daemon's own namespace has."""

    def __init__(self, fleet: Any, daemon: subprocess.Popen[bytes]) -> None:
        self._fleet = fleet
        self._into = [*INTO, str(daemon.pid), "--mount"]
        self.root = Path(f"/proc/{daemon.pid}/root{fleet.state.root}")
        self.box = self.root / fleet.name / "inbox"

    def _ask(self, *words: str) -> str:
        command = [*self._into, sys.executable, "-m", "hhmrs", *words, "--config", str(self._fleet.config)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def agents(self) -> dict[str, dict[str, Any]]:
        told = self._ask("status", "--json")
        return {agent["id"]: agent for agent in json.loads(told)["agents"]} if told else {}

    def phases(self) -> set[str]:
        return {agent["phase"] for agent in self.agents().values()}

    def events(self, *types: str) -> list[dict[str, Any]]:
        events = [json.loads(line) for line in self._ask("events", "--json").splitlines()]
        return [event for event in events if event["type"] in types]


def test_while_the_disk_is_full_nothing_is_done_and_no_letter_taken_and_all_of_it_afterwards(
    make_fleet: Any, script: Script, daemons: list[subprocess.Popen[bytes]]
) -> None:
    _allowed([*APART, "--mount", "sh", "-c", "mount -t tmpfs none /mnt"])
    talker = {"profile": "shell", "command": script("printer", "prose"), "prompt": "go"}
    fleet = make_fleet({"victim": talker, "other": talker}, policy={"progress_timeout": "1m"})
    fleet.state.root.mkdir(mode=0o700)
    _up_apart(fleet, daemons, f"mount -t tmpfs -o size={DISK},mode=0700 none '{fleet.state.root}'", "--mount")
    inside = Inside(fleet, daemons[0])
    fleet.wait(lambda: inside.phases() == {"working"})
    letter = {"kind": "checkpoint", "agent": "other", "attempt": 1, "at": "2026-11-21T10:00:00Z",
              "completed": ["one"], "data": {"bulk": "x" * 100_000}}  # fmt: skip
    prepared, arrived = inside.box / "other" / "tmp" / "one", inside.box / "other" / "new" / "one"
    prepared.write_text(json.dumps(letter))
    before = inside.agents()

    filler = _fill(inside.root)
    prepared.rename(arrived)
    os.kill(before["victim"]["pid"], signal.SIGKILL)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        taken = not arrived.exists()
        assert not taken or inside.events("checkpoint_stored"), "taken, and nowhere written down"
        assert len(inside.events("agent_started")) == 2 + len(inside.events("hhmrs_restart"))
        assert daemons[0].poll() is None, "the daemon ended"
    during = inside.agents()
    assert during["other"]["pid"] == before["other"]["pid"]
    assert {x["agent"] for x in inside.events("agent_incident", "agent_exited")} <= {"victim"}

    filler.unlink()
    fleet.wait(lambda: inside.events("hhmrs_recovered"), 30, "the victim is recovered")
    fleet.wait(
        lambda: inside.events("checkpoint_stored") and not arrived.exists(), what="the letter is taken"
    )
    told = [(x["type"], x["agent"]) for x in inside.events("agent_exited", "agent_incident", "hhmrs_restart")]
    assert sorted(told) == [
        ("agent_exited", "victim"),
        ("agent_incident", "victim"),
        ("hhmrs_restart", "victim"),
    ]
    assert inside.phases() == {"working"}
