"""A provider that is down and a tmux server that is lost, under a real daemon: one incident each."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from hhmrs.controller.ledger.writer import LedgerReader
from hhmrs.controller.ports import Event
from hhmrs.controller.terminals.servers import FleetTerminals

NAMES = [f"a{n:02}" for n in range(12)]
PROVIDER = {"shell": {"exits": [{"cause": "api_error", "pattern": "API error", "status": [1]}]}}
PATIENT = {
    "heartbeat_interval": "20s",  # a loaded machine is no silent agent
    "verify_within": "10s",
    "backoff": {"initial": "200ms", "factor": 2, "max": "1s", "jitter": 0.1},
    "cascade": {"share": "30%", "at_least": 3, "window": "5s"},
    "recoveries": {"at_least": 4},
}


def _workers(
    script: Any, outage: Path, parents: dict[str, str] | None = None, names: list[str] = NAMES
) -> dict[str, Any]:
    return {
        name: {
            "profile": "shell",
            "command": script("needs_provider", str(outage)),
            "workspace": name,
            "prompt": "go on",
            "liveness": ["file"],
            **({"parent": parents[name]} if parents and name in parents else {}),
        }
        for name in names
    }


def _all_at_work(fleet: Any, names: list[str]) -> bool:
    reader = LedgerReader(fleet.state.ledger)
    try:
        states = reader.states()
    finally:
        reader.close()
    well = {name: s["phase"] for name, s in states.items() if s["incident"] is None}
    return well == dict.fromkeys(names, "working")


def _cascades(fleet: Any) -> tuple[list[Event], list[Event]]:
    """Those that began, and the ends of those that are over."""
    events = fleet.events("hhmrs_cascade")
    return [x for x in events if not x.data.get("over")], [x for x in events if x.data.get("over")]


def _goes_on(fleet: Any, name: str, attempt: int) -> bool:
    path = fleet.workspace(name) / "done.txt"
    return bool(path.exists() and path.read_text().split()[-1] == str(attempt))


def test_a_provider_that_is_down_is_one_incident_one_alert_and_no_budgets(
    make_fleet: Any, script: Any, notified: tuple[str, list[bytes]], tmp_path: Path
) -> None:
    url, received = notified
    outage = tmp_path / "provider down"
    fleet = make_fleet(_workers(script, outage), policy=PATIENT, profiles=PROVIDER, notify=[url])
    fleet.up()
    fleet.wait(lambda: _all_at_work(fleet, NAMES), 60, "all at work")

    outage.touch()
    fleet.wait_event("agent_attempt_failed", count=2, deadline=60)
    fleet.wait(lambda: received, 30, "the alert")
    document = fleet.status()
    assert document["cascade"]["cause"] == "api_error"
    assert set(document["cascade"]["agents"]) <= set(NAMES)
    held = [a for a in document["agents"] if a["held_back"]]
    assert len(held) >= 10
    told = fleet.run("explain", held[0]["id"]).stdout
    assert "held back" in told
    assert "api_error" in told
    assert "shared cause: api_error" in fleet.run("status").stdout

    daemon = fleet.holder()
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(30)
    fleet.up()
    again = fleet.status()
    assert again["cascade"]["cascade"] == document["cascade"]["cascade"]
    assert len([a for a in again["agents"] if a["held_back"]]) >= 10

    outage.unlink()
    fleet.wait(lambda: _all_at_work(fleet, NAMES), 90, "all at work again")
    fleet.wait(lambda: _cascades(fleet)[1], 60, "the end of the cascade")
    began, over = _cascades(fleet)
    assert (len(began), len(over)) == (1, 1)
    assert set(over[0].data["agents"]) == set(NAMES)
    assert fleet.events("hhmrs_failure", "hhmrs_escalation") == []
    assert len(received) == 1, [json.loads(x) for x in received]
    assert "api_error" in json.loads(received[0])["title"]
    assert [(a["restarts"], a["reassigns"]) for a in fleet.status()["agents"]] == [(1, 0)] * 12
    assert fleet.status()["cascade"] is None
    tried = {x.agent for x in fleet.events("agent_attempt_failed")}
    for name in set(NAMES) - tried:
        attempts = (fleet.workspace(name) / "attempts.txt").read_text().splitlines()
        assert len(attempts) == 2, f"{name} was held back until it was over: {attempts}"


def test_a_lost_tmux_server_is_one_incident_and_all_are_resumed_parents_first(
    make_fleet: Any, script: Any, notified: tuple[str, list[bytes]], tmp_path: Path
) -> None:
    url, received = notified
    parents = {"a01": "a00", "a02": "a00", "a03": "a01", "a04": "a01", "a05": "a02"}
    names = NAMES[:6]
    agents = _workers(script, tmp_path / "never", parents, names)
    fleet = make_fleet(agents, policy=PATIENT, notify=[url])
    fleet.up()
    fleet.wait(lambda: _all_at_work(fleet, names), 60, "all at work")
    for name in names:
        fleet.wait_event("checkpoint_stored", agent=name, deadline=60)

    server = FleetTerminals(fleet.name, fleet.state.tmux_conf).server(f"hhmrs-{fleet.name}").server_pid()
    assert server is not None
    os.kill(server, signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered", count=6, deadline=90)
    fleet.wait(lambda: _cascades(fleet)[1], 60, "the end of the cascade")
    began, _ = _cascades(fleet)
    assert [x.data["cause"] for x in began] == ["tmux_lost"]
    assert set(began[0].data["agents"]) <= set(names)
    resumed = [str(x.agent) for x in fleet.events("hhmrs_resume", "hhmrs_restart")]
    assert sorted(resumed) == names
    for child, parent in parents.items():
        assert resumed.index(parent) < resumed.index(child), resumed
    assert {x.data["strategy"] for x in fleet.events("hhmrs_resume", "hhmrs_restart")} == {"resume"}
    for name in names:
        attempt, seq = (fleet.workspace(name) / "attempts.txt").read_text().splitlines()[-1].split()
        assert (attempt, int(seq) > 0) == ("2", True), "from a checkpoint"
        fleet.wait(lambda name=name: _goes_on(fleet, name, 2), 30, f"{name} at work")
    assert len(received) == 1
    assert "tmux_lost" in json.loads(received[0])["title"]
