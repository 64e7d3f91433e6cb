"""Tokens and budgets under a real daemon: read from a growing transcript, shown, warned of, held, freed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALM = {"heartbeat_interval": "60s", "progress_timeout": "10m", "testing": False, "missed_heartbeats": 2}
OLD: dict[str, Any] = {
    "transcripts": [{"roots": ["{workspace}"], "file": ".log/*.jsonl", "counts": '"type":"assistant"'}],
    "bookkeeping": [".log"],
}


def turn(log: Path, name: str, sent: int, received: int) -> None:
    """The CLI writes down a turn of its own."""
    usage = {"input_tokens": sent, "output_tokens": received, "cache_read_input_tokens": 7}
    told = {"type": "assistant", "message": {"id": name, "usage": usage}, "costUSD": 0.125}
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")


def test_it_is_counted_warned_of_held_and_freed(
    make_fleet: Callable[..., Any], wait_until: Callable[..., None], notified: tuple[str, list[bytes]]
) -> None:
    url, received = notified
    agent = {"command": ["sleep", "600"], "profile": "old", "workspace": "w", "prompt": "work"}
    other = {"command": ["sleep", "600"], "profile": "shell"}
    policy = CALM | {"spending": {"tokens": 1000}}
    fleet = make_fleet({"a1": agent, "b1": other}, policy=policy, profiles={"old": OLD}, notify=[url])
    log = fleet.folder / "w" / ".log" / "1.jsonl"
    log.parent.mkdir(parents=True)
    turn(log, "of another time", 70_000, 30_000)
    fleet.up()

    def usage() -> dict[str, Any]:
        found: dict[str, Any] = fleet.agent("a1")["usage"]
        return found

    wait_until(lambda: usage()["sent"] == 0, deadline=20)
    turn(log, "m1", 700, 50)
    wait_until(lambda: usage()["sent"] == 700, deadline=20)
    assert usage() == {"sent": 700, "received": 50, "cached": 7, "cost": 0.125, "context_left": None}
    nothing = dict.fromkeys(("sent", "received", "cached", "cost", "context_left"))
    assert fleet.agent("b1")["usage"] == nothing
    turn(log, "m2", 50, 50)
    fleet.wait_event("agent_budget_warned", agent="a1")
    wait_until(lambda: any(b"85 % of its budget of 1,000 tokens" in one for one in received), deadline=20)
    turn(log, "m3", 100, 100)
    fleet.wait_event("agent_budget_spent", agent="a1")
    assert fleet.agent("a1")["phase"] != "paused", "it may finish its turn"
    assert "it may finish its turn; raise it by" in fleet.agent("a1")["budget"]

    os.kill(fleet.pid("a1"), signal.SIGKILL)
    fleet.wait(lambda: fleet.phase("a1") == "paused", what="held, and not recovered")
    fleet.holder().send_signal(signal.SIGKILL)
    fleet.wait(lambda: fleet.run("up").returncode == 0, what="another daemon")
    assert fleet.phase("a1") == "paused"
    done = fleet.run("status")
    assert "held: a1: its budget of 1,000 tokens is spent; raise it by `hhmrs set spending." in done.stdout
    done = fleet.run("restart", "a1")
    assert done.returncode == 1
    assert "its budget of 1,000 tokens is spent" in done.stderr + done.stdout
    sums = json.loads(fleet.run("stats", "--json").stdout)["usage"]
    assert (sums["sent"], sums["received"], sums["cost"], sums["agents"]) == (850, 200, 0.375, 1)
    assert fleet.events("hhmrs_resume", "hhmrs_restart", "hhmrs_reassign", "hhmrs_failure") == []

    done = fleet.run("set", "spending.tokens", "5000", "--json")
    assert (done.returncode, json.loads(done.stdout)["in_force"]) == (0, True), done.stderr
    fleet.wait(lambda: fleet.agent("a1")["pid"] is not None, what="it is brought back")
    assert fleet.events("hhmrs_resume", "hhmrs_restart")
    assert [len(fleet.events(f"agent_budget_{what}")) for what in ("warned", "spent")] == [1, 1]
    assert usage()["sent"] == 850
    assert fleet.agent("a1")["budget"] is None
