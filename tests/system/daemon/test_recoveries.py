"""Recoveries of real processes in real tmux: what the promises say must be seen from outside."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

Script = Callable[..., list[str]]
RESTLESS = {"max_restarts": 50, "max_llm_retries": 0, "backoff": {"initial": "10ms", "max": "20ms"}}


def _number(line: dict[str, Any]) -> int:
    return int(line["subtask"].rpartition("-")[2])


def _journal(folder: Path) -> list[dict[str, Any]]:
    path = folder / "journal.jsonl"
    if not path.exists():
        return []
    found = []
    for line in path.read_text().splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return [x for x in found if x.get("subtask") is not None]


def _worker(script: Script, *words: str, **more: Any) -> dict[str, Any]:
    return {
        "worker": {
            "profile": "shell",
            "command": script("worker20", *words),
            "workspace": "worker",
            "prompt": "do the twenty",
            **more,
        }
    }


def test_a_worker_killed_between_subtasks_is_resumed_and_does_each_exactly_once(
    make_fleet: Any, script: Script
) -> None:
    fleet = make_fleet(_worker(script, "--kill-at", "7", "--pace", "0.05", "--trust", "checkpoint"))
    fleet.up()
    fleet.wait_event("agent_done", agent="worker")
    done = Counter(x["subtask"] for x in _journal(fleet.workspace("worker")))
    assert len(done) == 20
    assert set(done.values()) == {1}
    assert [x.data["strategy"] for x in fleet.events("hhmrs_resume", "hhmrs_restart")] == ["resume"]
    recovered = fleet.events("hhmrs_recovered")[0]
    assert recovered.data["proof"]
    assert fleet.phase("worker") == "done"


def test_killed_at_any_instant_nothing_is_lost_and_at_most_the_cut_off_step_repeats(
    make_fleet: Any, script: Script
) -> None:
    fleet = make_fleet(_worker(script, "--pace", "0.15", "--trust", "checkpoint"), policy=RESTLESS)
    fleet.up()
    dice = random.Random(20)
    kills = 0
    while kills < 5 and fleet.phase("worker") != "done":
        before = len(_journal(fleet.workspace("worker")))
        goal = before + dice.randint(1, 3)
        fleet.wait(
            lambda goal=goal: (
                len(_journal(fleet.workspace("worker"))) >= goal or fleet.phase("worker") == "done"
            )
        )
        attempt = len(fleet.events("agent_started"))
        pid = fleet.pid("worker")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            kills += 1
        fleet.wait(
            lambda n=attempt: len(fleet.events("agent_started")) > n or fleet.phase("worker") == "done"
        )
    fleet.wait_event("agent_done", agent="worker", deadline=30)
    lines = _journal(fleet.workspace("worker"))
    done = Counter(x["subtask"] for x in lines)
    assert len(done) == 20
    assert sum(done.values()) - 20 <= kills
    for last, line in pairwise(lines):
        # An attempt goes on behind its own step, or begins at most with the one that was cut off.
        back = line["attempt"] > last["attempt"] and line["subtask"] == last["subtask"]
        assert back or _number(line) == _number(last) + 1, (last, line)
    assert kills >= 4


def test_sigstop_at_every_start_walks_the_whole_ladder_then_silence(
    make_fleet: Any, script: Script, notified: tuple[str, list[bytes]]
) -> None:
    url, received = notified
    sleeper = script("sleeper")
    fleet = make_fleet(
        {
            "boss": {"profile": "shell", "command": script("printer", "prose"), "workspace": "boss"},
            "worker": {
                "parent": "boss",
                "profile": "shell",
                "command": sleeper,
                "workspace": "worker",
                "prompt": "go",
                "alternates": [{"command": sleeper}],
            },
        },
        policy={"verify_within": "1s", "heartbeat_interval": "500ms"},
        notify=[url],
    )
    fleet.up()
    started = fleet.wait_event("agent_started", agent="worker")[0]
    timeout = fleet.wait_event("hhmrs_timeout", agent="worker")[0]
    assert _between(started.at, timeout.at) < 1.0 + 1.0
    fleet.wait_event("hhmrs_failure", agent="worker", deadline=60)
    fleet.wait((fleet.workspace("worker") / ".ESCALATION_REQUIRED").exists, 5, "the marker")
    types = Counter(x.type for x in fleet.events(agent="worker"))
    assert types["hhmrs_nudge"] == 1
    assert types["hhmrs_restart"] + types["hhmrs_resume"] == 3
    assert types["hhmrs_reassign"] == 3
    assert types["hhmrs_escalation"] == 2
    assert types["hhmrs_failure"] == 1
    assert types["hhmrs_recovered"] == 0
    assert fleet.phase("worker") == "escalated"
    fleet.wait(lambda: received, 10, "the notification")
    seen = len(fleet.events(agent="worker"))
    fleet.run("heal", "--check-now")
    assert [x for x in fleet.events(agent="worker")[seen:] if x.type.startswith("hhmrs_")] == []
    assert fleet.run("status").returncode == 1
    assert len(received) == 1
    cleared = fleet.run("clear", "worker")
    assert cleared.returncode == 0, cleared.stderr + cleared.stdout
    assert not (fleet.workspace("worker") / ".ESCALATION_REQUIRED").exists()


def _between(first: str, second: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(second) - datetime.fromisoformat(first)).total_seconds()


def test_a_nudge_brings_back_who_listens_and_a_restart_who_does_not(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(
        {
            "hears": {
                "profile": "shell",
                "command": script("nudgeable"),
                "workspace": "hears",
                "prompt": "go",
            },
            "deaf": {
                "profile": "shell",
                "command": script("worker20", "--hang-at", "3"),
                "workspace": "deaf",
                "prompt": "go",
            },
        }
    )
    fleet.up()
    hears = fleet.wait_event("hhmrs_recovered", agent="hears")[0]
    assert hears.data["strategy"] == "nudge"
    assert (fleet.workspace("hears") / "heard.txt").exists()
    deaf = fleet.wait_event("hhmrs_recovered", agent="deaf")[0]
    assert deaf.data["strategy"] in ("restart", "resume")


def test_reassign_goes_to_the_alternate_that_works(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(
        {
            "worker": {
                "profile": "shell",
                "command": script("crasher"),
                "workspace": "worker",
                "prompt": "go",
                "model": "one",
                "alternates": [{"command": script("worker20", "--pace", "0.1"), "model": "two"}],
            }
        },
        policy={"max_restarts": 1},
    )
    fleet.up()
    recovered = fleet.wait_event("hhmrs_recovered", agent="worker")[0]
    assert recovered.data["strategy"] == "reassign"
    reassign = fleet.events("hhmrs_reassign")[0]
    assert (reassign.data["old_model"], reassign.data["new_model"]) == ("one", "two")
    assert "shell:one -> shell:two" in fleet.state.comms_log.read_text()


def test_a_child_that_left_the_session_is_dead_before_the_next_attempt(
    make_fleet: Any, script: Script, is_gone: Callable[[int], bool]
) -> None:
    fleet = make_fleet(
        {
            "worker": {
                "profile": "shell",
                "command": script("runaway", "--kill-self"),
                "workspace": "worker",
                "prompt": "go",
            }
        },
        policy={"max_restarts": 1},
    )
    fleet.up()
    fleet.wait((fleet.workspace("worker") / "runaway.pid").exists)
    orphan = int((fleet.workspace("worker") / "runaway.pid").read_text())
    fleet.wait_event("agent_started", agent="worker", count=2)
    assert is_gone(orphan)


def test_the_death_of_the_tmux_server_is_survived(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_worker(script, "--subtasks", "2000", "--pace", "0.1"))
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    os.kill(int(fleet.tmux("display-message", "-p", "#{pid}")), signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered", agent="worker")
    assert fleet.panes()["worker"]


def test_runaway_9c2c9284_in_proportion(make_fleet: Any, script: Script) -> None:
    """A child whose end its parent never hears of, on a task that never closes: it ends in time."""
    fleet = make_fleet(
        {
            "director": {
                "profile": "shell",
                "command": script("printer", "silent"),
                "workspace": "director",
                "prompt": "report when done",
            }
        }
    )
    bound = json.loads(fleet.run("check", "--json").stdout)
    fleet.up()
    started = fleet.wait_event("agent_started")[0]
    failed = fleet.wait_event("hhmrs_failure", deadline=60)[0]
    seconds = max(b["seconds"] for b in _bounds(bound, "director") if b["cause"] == "stalled")
    assert _between(started.at, failed.at) <= seconds + 3
    assert fleet.events("task_failed")


def _bounds(document: Any, agent: str) -> list[dict[str, Any]]:
    found = next(a for a in document["agents"] if a["id"] == agent)
    bounds: list[dict[str, Any]] = found["worst_case"]
    return bounds
