"""Whatever is killed, and whenever: nothing is lost, one step at most is repeated, one attempt lives."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from hhmrs.controller.ports import Event
from hhmrs.controller.timestamps import from_iso
from hhmrs.tests.system.daemon.lives import double_lives

Script = Callable[..., list[str]]
KILLS = int(os.environ.get("HHMRS_KILLS", "20"))
STRIDE = int(os.environ.get("HHMRS_STRIDE", "27"))
"""Of the instants between two steps every so manieth is tried; with 3, as `script/soak` does, each."""
SUBTASKS = max(50, KILLS * 5 // 2)
RESTLESS = {
    "max_restarts": 200,
    "max_llm_retries": 0,
    "verify_within": "10s",
    "backoff": {"initial": "10ms", "max": "20ms"},
}


def _journal(folder: Path) -> list[dict[str, Any]]:
    found = []
    with contextlib.suppress(FileNotFoundError):
        for line in (folder / "journal.jsonl").read_text().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
    return [x for x in found if x.get("subtask") is not None]


# -- a worker of fifty ---------------------------------------------------------------------------


class Reaper:
    """Kills one thing after the other: the agent, its pane, the daemon, the tmux server."""

    def __init__(self, fleet: Any) -> None:
        self._fleet = fleet
        self.killed: Counter[str] = Counter()

    def kill(self, what: str) -> None:
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess, KeyError):
            getattr(self, f"_{what}")()
            self.killed[what] += 1

    def _agent(self) -> None:
        os.kill(self._fleet.pid("worker"), signal.SIGKILL)

    def _pane(self) -> None:
        self._fleet.tmux("kill-pane", "-t", self._fleet.panes()["worker"][0])

    def _daemon(self) -> None:
        daemon = self._fleet.holder()
        daemon.kill()
        daemon.wait(10)
        self._fleet.up()

    def _tmux(self) -> None:
        os.kill(int(self._fleet.tmux("display-message", "-p", "#{pid}").strip()), signal.SIGKILL)


def test_fifty_subtasks_survive_whatever_is_killed_at_any_instant(make_fleet: Any, script: Script) -> None:
    words = ("--subtasks", str(SUBTASKS), "--pace", "0.8", "--trust", "checkpoint", "--hurry", "over")
    worker = {"profile": "shell", "command": script("worker20", *words), "workspace": "worker"}
    fleet = make_fleet({"worker": worker | {"prompt": "do the fifty"}}, policy=RESTLESS)
    fleet.up()
    home, dice, reaper = fleet.workspace("worker"), random.Random(50), Reaper(fleet)
    targets = ("agent", "pane", "daemon", "tmux")
    for number in range(KILLS):
        # At work, and then at any instant of a step.
        goal = len(_journal(home)) + 1
        fleet.wait(lambda goal=goal: len(_journal(home)) >= goal, 60, "work")
        threading.Event().wait(dice.random() * 0.2)
        reaper.kill(targets[number % len(targets)])
    (home / "over").touch()
    fleet.wait_event("agent_done", agent="worker", deadline=120)
    done = Counter(x["subtask"] for x in _journal(home))
    kills = sum(reaper.killed.values())
    assert kills >= KILLS - 2, "who has just died on its own account cannot be killed"
    assert len(reaper.killed) == 4
    assert len(done) == SUBTASKS, "a subtask was lost"
    assert sum(done.values()) - SUBTASKS <= kills, "more was repeated than was cut off"
    written = {path.name: path.read_text() for path in (home / "out").iterdir()}
    assert set(written) == {f"{name}.txt" for name in done}
    assert all(text.startswith(name.removesuffix(".txt")) for name, text in written.items())
    assert fleet.phase("worker") == "done"


# -- a daemon that dies between two steps ----------------------------------------------------------


def _of_every_strategy(script: Script) -> dict[str, Any]:
    """One agent for each strategy; all fall at once. The first attempt of each hangs at its third subtask and
    does not end because its terminal goes; `woken` is one whom a nudge brings back."""
    worker: dict[str, Any] = {"profile": "shell", "prompt": "work"}
    endless = ["nohup", *script("worker20", "--subtasks", "100000", "--pace", "0.1", "--ignore-term")]
    hangs = [*endless, "--hang-at", "3"]
    quick = {"recovery": {"stalled": ["nudge", "resume", "restart"], "killed": ["resume"]}}
    return {
        "woken": worker | {"command": script("nudgeable"), "workspace": "woken", "policy": quick},
        "resumed": worker
        | {
            "command": hangs,
            "workspace": "resumed",
            "policy": {"recovery": {"stalled": ["resume"]}},
        },
        "restarted": worker
        | {
            "command": hangs,
            "workspace": "restarted",
            "policy": {"recovery": {"stalled": ["restart"]}},
        },
        "reassigned": worker
        | {
            "command": hangs,
            "workspace": "reassigned",
            "alternates": [{"command": endless}],
            "policy": {"recovery": {"stalled": ["reassign"]}},
        },
        "lost": worker
        | {
            "command": script("printer", "silent"),
            "workspace": "lost",
            "policy": {"recovery": {"stalled": []}},
        },
    }


QUICKLY = {"max_restarts": 20, "verify_within": "5s", "kill_grace": "300ms"}


def _mortal(fleet: Any, armed: Path, dies_at: int) -> subprocess.Popen[bytes]:
    program = Path(__file__).parents[2] / "agents" / "mortal_daemon.py"
    log = fleet.folder / "mortal.log"
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, str(program), str(fleet.config), str(armed), str(dies_at)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _healed(fleet: Any) -> bool:
    working = all(fleet.phase(name) == "working" for name in ("resumed", "restarted", "reassigned"))
    return working and fleet.phase("woken") in ("working", "idle") and fleet.phase("lost") == "escalated"


def _fall_and_heal(fleet: Any, armed: Path, dies_at: int) -> bool:
    """All fall under a daemon that dies at its step `dies_at`, and another takes over. Whether it died."""
    daemon = _mortal(fleet, armed, dies_at)
    fleet.wait(lambda: daemon.poll() is not None or len(fleet.panes()) == 5, 30, "all are started")
    armed.touch()
    try:
        fleet.wait(lambda: daemon.poll() is not None or _healed(fleet), 60, f"step {dies_at}")
        died = daemon.poll() is not None
        if died:
            assert daemon.returncode == -signal.SIGKILL
            fleet.up()
        fleet.wait(lambda: _healed(fleet), 60, f"healed by the next daemon after step {dies_at}")
    finally:
        daemon.kill()
        daemon.wait(10)
    return died


@pytest.mark.parametrize("begin", range(3))
def test_a_controller_killed_between_any_two_steps_leaves_one_attempt_at_most(
    make_fleet: Any, script: Script, begin: int
) -> None:
    number, died = 1 + begin * STRIDE // 3, True
    while died:
        fleet = make_fleet(_of_every_strategy(script), policy=QUICKLY)
        tokens = [f"{fleet.name}:{name}" for name in _of_every_strategy(script)]
        with double_lives(*tokens) as doubles:
            died = _fall_and_heal(fleet, fleet.folder / "armed", number)
        assert doubles == [], f"step {number}"
        for name in _of_every_strategy(script):
            attempts = [x.data["attempt"] for x in fleet.events("agent_started", agent=name)]
            assert attempts == sorted(set(attempts)), f"{name}: an attempt was started twice, step {number}"
        for name in ("resumed", "restarted", "reassigned"):
            done = Counter(x["subtask"] for x in _journal(fleet.workspace(name)))
            assert max(done.values()) <= 2, f"{name}, step {number}"
        failures = fleet.events("hhmrs_failure", agent="lost")
        assert len(failures) == 1, f"step {number}"
        fleet.end()
        number += STRIDE


# -- those who run for ever, and those who are left alone ------------------------------------------


@pytest.mark.parametrize("kind", ["same", "counter", "prose"])
def test_a_runaway_is_called_looping_in_time_and_ends_within_the_bound_that_check_printed(
    make_fleet: Any, script: Script, kind: str
) -> None:
    printer = script("printer", kind, "--beat")
    fleet = make_fleet(
        {
            "talker": {
                "profile": "shell",
                "command": printer,
                "workspace": "talker",
                "prompt": "say something",
                "alternates": [{"command": printer}],
            }
        },
        policy={"progress_timeout": "3s", "verify_within": "1s", "max_restarts": 2, "max_llm_retries": 2},
    )
    document = json.loads(fleet.run("check", "--json").stdout)
    bound = next(b["seconds"] for b in document["agents"][0]["worst_case"] if b["cause"] == "looping")
    fleet.up()
    started = fleet.wait_event("agent_started")[0]
    timeout = fleet.wait_event("hhmrs_timeout", deadline=30)[0]
    failed = fleet.wait_event("hhmrs_failure", deadline=bound + 40)[0]
    assert timeout.data["symptom"] == "looping"
    assert _between(started, timeout) <= 2 * 3.0 + 1.5
    starts = len(fleet.events("agent_started")) - 1
    assert _between(started, failed) <= bound + 1.5 + starts, "starts are not part of the bound"
    assert not fleet.events("hhmrs_recovered"), "printing proves nothing"
    assert fleet.phase("talker") == "escalated"


def test_who_works_silently_for_long_is_left_alone(make_fleet: Any, script: Script) -> None:
    """A compiler: no output, no file, no letter, its child busy. Four times as long as anybody else may be
    silent."""
    fleet = make_fleet(
        {
            "compiler": {
                "profile": "shell",
                "command": script("builder"),
                "workspace": "compiler",
                "prompt": "build it",
            },
            "sleeper": {
                "profile": "shell",
                "command": script("builder", "--idle-child"),
                "workspace": "sleeper",
                "prompt": "build it",
            },
        },
        policy={"progress_timeout": "2s", "tool_timeout": "5m", "verify_within": "1s", "max_restarts": 3},
    )
    fleet.up()
    fleet.wait_event("hhmrs_failure", agent="sleeper", deadline=60)
    started = fleet.events("agent_started", agent="compiler")[0]
    last = fleet.events("hhmrs_failure", agent="sleeper")[0]
    assert _between(started, last) > 4.0, "long enough to have been missed"
    assert not fleet.events("agent_incident", agent="compiler")
    assert len(fleet.events("agent_started", agent="compiler")) == 1


def _between(first: Event, last: Event) -> float:
    return from_iso(last.at) - from_iso(first.at)
