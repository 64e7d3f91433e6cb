"""What `status` shows: the contract's document, with and without daemon, ledger and fleet file."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy, Profile, Seat
from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.lock import DaemonLock, Holder
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.controller.processes.processes import identify
from hhmrs.controller.reports.views import fleet_view
from hhmrs.healing.agent import (
    AgentState,
    Attempt,
    Happening,
    Incident,
    Phase,
    Recovery,
    Stage,
    Strategy,
    Task,
    Trace,
)
from hhmrs.healing.codec import dump_state

T0 = 1_795_255_200.0
CLAUDE, CODEX = Profile(name="claude"), Profile(name="codex")
FLEET_KEYS = {"fleet", "at", "host", "daemon", "cascade", "agents", "incidents"}
AGENT_KEYS = {
    "id",
    "parent",
    "profile",
    "model",
    "phase",
    "since",
    "attempt",
    "restarts",
    "reassigns",
    "pid",
    "pane",
    "task",
    "progress",
    "message",
    "cpu_pct",
    "memory_mb",
    "evidence",
    "incident",
}
INCIDENT_KEYS = {"id", "agent", "opened", "symptom", "cause", "detail", "attempts", "outcome"}

WORKING = {
    "id": "code",
    "parent": "arch",
    "title": "Code",
    "profile": "codex",
    "model": None,
    "phase": "working",
    "since": "2026-11-21T09:59:00.000Z",
    "attempt": 2,
    "restarts": 1,
    "reassigns": 0,
    "pid": 123,
    "pane": "%3",
    "task": "code-1",
    "task_text": "build it",
    "progress": 0.4,
    "message": "step 2",
    "cpu_pct": 1.5,
    "memory_mb": 80.1,
    "incident": None,
    "attached": True,
    "stage": None,
    "next": None,
}
"""What is shown of the agent in the test with live values."""


@pytest.fixture
def state_dir(tmp_path: Path) -> StateDir:
    folder = StateDir(tmp_path / "state", "nightly")
    folder.create()
    return folder


@pytest.fixture
def book(state_dir: StateDir) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(state_dir.ledger, parents={"code": "arch", "gone": "left", "left": None})
    yield ledger
    ledger.close()


def spec(*names: tuple[str, str | None]) -> FleetSpec:
    seats = (Seat(profile=CLAUDE, model="sonnet"), Seat(profile=CODEX))
    agents = {
        name: AgentSpec(
            id=name,
            parent=parent,
            title=name.title(),
            seats=seats,
            workspace=Path("/w"),
            policy=Policy(),
            liveness=CLAUDE.liveness,
        )
        for name, parent in names
    }
    return FleetSpec(fleet="nightly", path=Path("/f.yaml"), policy=Policy(), agents=agents, profiles={})


FAMILY = spec(("arch", None), ("code", "arch"))


def put(book: SqliteLedger, state: AgentState, *told: Happening) -> None:
    book.append([Row(state.id, dump_state(state), told)])


def shown(state_dir: StateDir, fleet: FleetSpec | None = FAMILY, now: float = T0) -> dict[str, Any]:
    document = fleet_view(state_dir, fleet, now).as_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    return document


def test_no_daemon_and_no_ledger_is_an_answer_too(state_dir: StateDir) -> None:
    document = shown(state_dir)
    assert set(document) == FLEET_KEYS
    assert (document["fleet"], document["at"]) == ("nightly", "2026-11-21T10:00:00.000Z")
    assert document["host"] == socket.gethostname()
    assert document["daemon"] is None
    assert [(a["id"], a["parent"], a["phase"], a["since"]) for a in document["agents"]] == [
        ("arch", None, "unknown", None),
        ("code", "arch", "unknown", None),
    ]
    assert set(document["agents"][0]) >= AGENT_KEYS
    assert document["agents"][0]["evidence"] == dict.fromkeys(
        ("beat", "output", "file", "transcript", "process", "cpu")
    )
    assert document["incidents"] == []
    assert not state_dir.ledger.exists()
    assert shown(state_dir, None)["agents"] == []


def test_a_working_agent_with_live_values(state_dir: StateDir, book: SqliteLedger) -> None:
    put(
        book,
        AgentState(
            "code",
            Phase.WORKING,
            since=T0 - 60,
            attempt=2,
            seat=1,
            restarts=1,
            pid=123,
            pane="%3",
            alive=True,
            ready=True,
            task=Task("code-1", "build it"),
            trace=Trace(beat=T0 - 30, output=T0 - 5, process=T0 - 9),
        ),
    )
    book.beat(
        {
            "code": {
                "beat": T0 - 3.1,
                "output": T0 - 7,
                "process": T0 + 2,
                "cpu": T0 - 1.9,
                "cpu_pct": 1.53,
                "memory_mb": 80.06,
                "progress": 0.4,
                "message": "step 2",
                "attached": True,
            }
        }
    )
    book.close()
    agent = shown(state_dir)["agents"][1]
    assert {name: agent[name] for name in WORKING} == WORKING
    assert agent["evidence"] == {
        "beat": 3.1,
        "output": 5.0,
        "file": None,
        "transcript": None,
        "process": 0.0,
        "cpu": 1.9,
    }
    assert "orphan" not in agent


def test_a_recovery_under_way_and_its_incident(state_dir: StateDir, book: SqliteLedger) -> None:
    attempts = (
        Attempt(1, Strategy.NUDGE, T0 - 30, "failure", "no progress"),
        Attempt(2, Strategy.RESTART, T0 - 1),
    )
    incident = Incident("code-i1", T0 - 40, "exited", "killed", "SIGKILL", attempts=attempts)
    recovery = Recovery(Strategy.RESTART, Stage.VERIFYING, "k", 0, due=T0 + 29)
    put(book, AgentState("code", Phase.RECOVERING, since=T0 - 1, incident=incident, recovery=recovery))
    view = fleet_view(state_dir, FAMILY, T0)
    assert [i.id for i in view.incidents if i.outcome is None] == ["code-i1"]
    document = view.as_json()
    agent = document["agents"][1]
    assert (agent["incident"], agent["stage"]) == ("code-i1", "verifying")
    assert agent["next"] == {"strategy": "restart", "at": "2026-11-21T10:00:29.000Z"}
    (shown_incident,) = document["incidents"]
    assert set(shown_incident) >= INCIDENT_KEYS
    assert (shown_incident["opened"], shown_incident["outcome"]) == ("2026-11-21T09:59:20.000Z", None)
    assert shown_incident["attempts"] == [
        {
            "n": 1,
            "strategy": "nudge",
            "at": "2026-11-21T09:59:30.000Z",
            "outcome": "failure",
            "why": "no progress",
        },
        {"n": 2, "strategy": "restart", "at": "2026-11-21T09:59:59.000Z", "outcome": "pending", "why": ""},
    ]


def test_open_incidents_come_first_and_closed_ones_are_limited(
    state_dir: StateDir, book: SqliteLedger
) -> None:
    for n in range(1, 31):
        name = f"code-i{n}"
        put(
            book,
            AgentState("code"),
            Happening(
                "agent_incident", "code", T0 + n, name, {"symptom": "exited", "cause": "crash", "detail": "x"}
            ),
            Happening("agent_incident_closed", "code", T0 + n + 0.5, name, {"outcome": "recovered"}),
        )
    put(
        book,
        AgentState(
            "arch",
            Phase.ESCALATED,
            incident=Incident("arch-i1", T0 - 999, "stalled", "stalled", "d", level=3),
        ),
    )
    found = shown(state_dir, now=T0 + 60)["incidents"]
    assert [(i["id"], i["outcome"], i["level"]) for i in found[:2]] == [
        ("arch-i1", None, 3),
        ("code-i30", "recovered", 1),
    ]
    assert len(found) == 21


def test_who_left_the_file_keeps_no_incident_open_and_is_gone_once_nothing_of_it_runs(
    state_dir: StateDir, book: SqliteLedger
) -> None:
    trouble = Incident("left-i1", T0, "exited", "crash", "exit 3", level=3)
    opened = Happening(
        "agent_incident", "left", T0, "left-i1", {"symptom": "exited", "cause": "crash", "detail": "exit 3"}
    )
    put(book, AgentState("left", Phase.ESCALATED, alive=True, incident=trouble), opened)
    put(book, AgentState("over", Phase.DONE))
    document = shown(state_dir)
    assert [a["id"] for a in document["agents"]] == ["arch", "code", "left"]
    assert [(i["id"], i["outcome"]) for i in document["incidents"]] == [("left-i1", "cleared")]
    alone = shown(state_dir, None)
    assert {a["id"] for a in alone["agents"]} == {"left", "over"}
    assert [i["outcome"] for i in alone["incidents"]] == [None]


def test_an_agent_no_longer_in_the_file_is_an_orphan(state_dir: StateDir, book: SqliteLedger) -> None:
    put(book, AgentState("gone", Phase.WORKING, since=T0))
    put(
        book,
        AgentState("left", Phase.WORKING, since=T0),
        Happening("agent_started", "left", T0, None, {"profile": "opencode", "model": "llama"}),
    )
    agents = shown(state_dir)["agents"]
    assert [(a["id"], a.get("orphan")) for a in agents] == [
        ("arch", None),
        ("code", None),
        ("left", True),
        ("gone", True),
    ]
    assert (agents[2]["profile"], agents[2]["model"], agents[3]["parent"]) == ("opencode", "llama", "left")
    without_file = shown(state_dir, None)["agents"]
    assert [(a["id"], a.get("orphan")) for a in without_file] == [("left", None), ("gone", None)]


def test_the_daemon_that_runs_is_named(state_dir: StateDir) -> None:
    who = identify(os.getpid())
    assert who is not None
    lock = DaemonLock(state_dir)
    lock.acquire(Holder(who.pid, who.created, "box", "0.1.0", "/f.yaml", "observe", T0 - 90.5, False))
    try:
        document = shown(state_dir)
        assert document["daemon"] == {
            "pid": os.getpid(),
            "uptime_s": 90.5,
            "mode": "observe",
            "version": "0.1.0",
            "ready": False,
            "config": "/f.yaml",
            "stopped": False,
        }
        assert document["host"] == "box"
        assert {a["phase"] for a in document["agents"]} == {"starting"}
    finally:
        lock.release()
    assert shown(state_dir)["daemon"] is None


def test_a_killed_daemon_is_none_even_before_its_parent_takes_notice(state_dir: StateDir) -> None:
    child = subprocess.Popen(["sleep", "600"])
    try:
        who = identify(child.pid)
        assert who is not None
        lock = DaemonLock(state_dir)
        lock.acquire(Holder(who.pid, who.created, "box", "0.1.0", "/f.yaml", "armed", T0, True))
        assert shown(state_dir)["daemon"] is not None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table: a zombie
        assert shown(state_dir)["daemon"] is None
    finally:
        child.kill()
        child.wait()


def test_a_process_that_is_gone_lends_its_number_to_nobody(state_dir: StateDir, book: SqliteLedger) -> None:
    put(book, AgentState("arch", Phase.WORKING, pid=123, alive=True))
    put(book, AgentState("code", Phase.ESCALATED, pid=124, alive=False))
    assert [a["pid"] for a in shown(state_dir)["agents"]] == [123, None]


def test_a_state_nobody_can_read_is_unknown_and_hides_no_other(
    state_dir: StateDir, book: SqliteLedger
) -> None:
    broken = asdict(AgentState("arch")) | {"phase": "enlightened", "memory": 7}
    book.append([Row("arch", broken)])
    put(book, AgentState("code", Phase.WORKING, progress=float("nan"), cpu_pct=float("inf")))
    assert [a["phase"] for a in shown(state_dir)["agents"]] == ["unknown", "working"]


def test_a_shared_failure_is_shown_while_it_lasts(state_dir: StateDir, book: SqliteLedger) -> None:
    book.append(
        [Row("", None, (Happening("hhmrs_cascade", "", T0, None, {"cause": "api_error", "agents": ["a"]}),))]
    )
    cascade = shown(state_dir)["cascade"]
    assert cascade == {"opened": "2026-11-21T10:00:00.000Z", "cause": "api_error", "agents": ["a"]}
    book.append([Row("", None, (Happening("hhmrs_cascade", "", T0, None, {"over": True}),))])
    assert shown(state_dir)["cascade"] is None
