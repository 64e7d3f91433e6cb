"""Parents that are asked before they are acted for, under a real daemon."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from hhmrs.controller.timestamps import to_iso

Script = Callable[..., list[str]]
LONG = {"decide_within": "40s", "heartbeat_interval": "3s"}
"""Long enough to answer, and for a child to live until it crashes by itself."""


def _house(script: Script, *boss: str, child: tuple[str, ...] = ("--in-attempts", "1"), **more: Any) -> Any:
    """chief over boss over worker, and a sibling of the worker's."""

    def one(name: str, command: list[str], **fields: Any) -> dict[str, Any]:
        return {"profile": "shell", "command": command, "workspace": name, **fields}

    return {
        "chief": one("chief", script("overseer")),
        "boss": one("boss", script("overseer", *boss), parent="chief", prompt="look after them"),
        "worker": one(
            "worker",
            script("crasher", "--after", "1", "--say", "$(rm -rf /) `x`; <sick>", *child),
            parent="boss",
            decider="parent",
            prompt="work",
            **more,
        ),
        "sibling": one("sibling", script("overseer"), parent="boss"),
    }


def _steady(script: Script) -> Any:
    """The same, with a worker that works until it is killed."""
    house = _house(script)
    house["worker"]["command"] = script("overseer")
    return house


def _alerts(fleet: Any, agent: str) -> list[dict[str, Any]]:
    """What the agent itself has read of its alerts."""
    path = fleet.workspace(agent) / "alerts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _post(fleet: Any, agent: str, **fields: Any) -> None:
    """A letter of this agent, as it would write it itself."""
    inbox = fleet.state.inbox_of(agent)
    letter = {"agent": agent, "attempt": 1, "at": to_iso(time.time()), **fields}
    draft = inbox / "tmp" / f"{time.time_ns()}.json"
    draft.write_text(json.dumps(letter))
    draft.rename(inbox / "new" / draft.name)


def test_a_parent_chooses_what_is_done_about_its_child(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_house(script, "--choose", "restart"), policy=LONG)
    fleet.up()
    fleet.wait_event("hhmrs_recovered", agent="worker")
    (restart,) = fleet.events("hhmrs_restart", agent="worker")
    assert restart.data["decided_by"] == "boss"
    assert "chosen by boss" in restart.data["reason"]
    assert (restart.parent, restart.data["grandparent"]) == ("boss", "chief")
    assert restart.data["restart_count"] == 1, "what it asks for spends the budget"
    (alert,) = _alerts(fleet, "boss")
    assert (alert["child"], alert["incident"], alert["level"]) == ("worker", "worker-i1", 1)
    assert (alert["symptom"], alert["cause"]) == ("exited", "crash")
    assert alert["options"] == ["restart", "escalate"]
    assert 30 < alert["within_s"] <= 40
    (path,) = (fleet.state.inbox_of("boss") / "alerts").iterdir()
    assert path.name == "worker-i1-1.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    comms = fleet.state.comms_log.read_text()
    assert "|TRON|boss|CMD|Decide for worker: exited, cause crash; restart, escalate; otherwise" in comms
    assert "|boss|TRON|RESPONSE|Decided for worker: restart" in comms
    typed = fleet.workspace("boss") / "typed.txt"
    fleet.wait(typed.exists, what="the line in its pane")
    (line,) = typed.read_text().splitlines()
    assert line.startswith("HHMRS alert: worker is exited, cause crash, incident worker-i1. ")
    assert not set(line) & set("$`;<>()|&\"'\\*"), "nothing that a shell would act upon"
    assert fleet.agent("boss")["phase"] == "working"


def test_a_silent_parent_leaves_it_to_the_policy(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_house(script), policy=LONG | {"decide_within": "700ms"})
    fleet.up()
    fleet.wait_event("hhmrs_recovered", agent="worker")
    (asked,) = fleet.events("agent_decider_asked")
    (silent,) = fleet.events("agent_decider_silent")
    (restart,) = fleet.events("hhmrs_restart")
    assert asked.data["decider"] == "boss"
    assert silent.data["why"] == "boss gave no answer within 0.7 s"
    assert restart.data["decided_by"] is None
    assert asked.seq < silent.seq < restart.seq
    _post(fleet, "boss", kind="decide", incident="worker-i1", strategy="escalate")
    (refused,) = fleet.wait_event("agent_decision_refused", agent="worker")
    assert (refused.data["by"], refused.data["why"]) == ("boss", "that incident is over")
    assert fleet.phase("worker") == "working"


def test_to_a_parent_that_a_person_holds_nothing_is_typed(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_steady(script), policy=LONG | {"decide_within": "700ms"})
    fleet.up()
    fleet.wait(lambda: fleet.phase("boss") == fleet.phase("worker") == "working")
    with fleet.visitor("boss"):
        fleet.wait_event("operator_attached", agent="boss")
        os.kill(fleet.pid("worker"), signal.SIGKILL)
        fleet.wait_event("agent_decider_silent")
        fleet.wait(lambda: len(_alerts(fleet, "boss")) == 1, what="the alert itself is there")
        assert not (fleet.workspace("boss") / "typed.txt").exists()


def test_nobody_but_an_ancestor_decides(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_house(script), policy=LONG)
    fleet.up()
    fleet.wait_event("agent_decider_asked")
    _post(fleet, "sibling", kind="decide", incident="worker-i1", strategy="restart")
    (refused,) = fleet.wait_event("agent_letter_refused", agent="sibling")
    assert "sibling is no ancestor" in refused.data["reason"]
    bad = fleet.state.inbox_of("sibling") / "bad"
    fleet.wait(lambda: len(list(bad.glob("*.reason"))) == 1, what="the letter with the reason beside it")
    assert fleet.events("agent_decided") == []
    assert fleet.phase("worker") == "exited"
    _post(fleet, "chief", kind="decide", incident="worker-i1", strategy="restart")
    fleet.wait_event("hhmrs_recovered", agent="worker")
    (restart,) = fleet.events("hhmrs_restart")
    assert restart.data["decided_by"] == "chief", "an ancestor of the one that was asked counts as well"


def test_what_is_not_possible_is_refused_and_the_policys_way_goes_on(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_house(script, "--choose", "nudge"), policy=LONG)
    fleet.up()
    fleet.wait_event("hhmrs_recovered", agent="worker")
    (refused,) = fleet.events("agent_decision_refused")
    assert refused.data["why"] == "nudge is not in the ladder of cause crash"
    assert fleet.events("hhmrs_restart")[0].data["decided_by"] is None


def test_a_person_decides_by_command(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_house(script), policy=LONG | {"decide_within": "10m"})
    fleet.up()
    fleet.wait_event("agent_decider_asked")
    told = json.loads(fleet.run("explain", "worker", "--json").stdout)
    assert "boss is asked to decide" in told["next"]
    assert 0 < told["when_s"] <= 600
    asks = fleet.agent("worker")["asks"]
    assert asks["agent"] == "boss"
    assert "asks boss" in fleet.run("status").stdout
    assert fleet.run("decide", "worker-i9", "restart").returncode == 2
    assert fleet.run("decide", "worker-i1", "dance").returncode == 2
    done = fleet.run("decide", "worker-i1", "restart")
    assert done.returncode == 0, done.stderr
    (restart,) = fleet.events("hhmrs_restart")
    assert restart.data["manual"] is True
    assert restart.data["restart_count"] == 0
    over = fleet.run("decide", "worker-i1", "restart")
    assert over.returncode == 1
    assert "no open incident" in over.stderr


def test_inside_an_agent_the_command_is_a_letter(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_house(script), policy=LONG)
    fleet.up()
    fleet.wait_event("agent_decider_asked")
    inside = {"HHMRS_INBOX": str(fleet.state.inbox_of("boss")), "HHMRS_AGENT": "boss", "HHMRS_ATTEMPT": "1"}
    sent = _as_agent(fleet.folder, inside, "decide", "worker-i1", "restart")
    assert sent == 0
    fleet.wait_event("hhmrs_recovered", agent="worker")
    assert fleet.events("hhmrs_restart")[0].data["decided_by"] == "boss"


def _as_agent(folder: Path, inside: dict[str, str], *words: str) -> int:
    command = [sys.executable, "-m", "hhmrs", *words]
    return subprocess.run(
        command, cwd=folder, env=os.environ | inside, timeout=60, check=False, stdin=subprocess.DEVNULL
    ).returncode


def test_a_parents_silence_while_its_child_recovers_is_no_stall(make_fleet: Any, script: Script) -> None:
    """It falls silent at the first alert. The child is tried three times, each asked about for longer than a
    whole silence; only when that is over does the parent's own silence count again."""
    house = _house(script, "--hush", child=("--after", "0.3"))
    fleet = make_fleet(house, policy={"decide_within": "1500ms", "max_restarts": 3})
    fleet.up()
    (failure,) = fleet.wait_event("hhmrs_failure", agent="worker", deadline=60)
    (timeout, *_) = fleet.wait_event("hhmrs_timeout", agent="boss", deadline=60)
    assert len(fleet.events("agent_decider_asked")) == 3
    assert timeout.data["symptom"] == "stalled"
    assert timeout.seq > failure.seq, "not before the child's recoveries were over"
    assert len(_alerts(fleet, "boss")) == 1, "it was silent from the first on"


def test_a_parent_that_is_recovered_leaves_its_children_at_work(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_steady(script))
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working" and fleet.phase("boss") == "working")
    worker, boss = fleet.pid("worker"), fleet.pid("boss")
    os.kill(boss, signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered", agent="boss")
    assert fleet.pid("worker") == worker
    assert psutil.pid_exists(worker)
    assert fleet.events("agent_incident", agent="worker") == []


def test_when_the_parent_is_gone_the_nearest_living_ancestor_is_alerted(
    make_fleet: Any, script: Script
) -> None:
    fleet = make_fleet(_steady(script), policy=LONG)
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working" and fleet.phase("chief") == "idle")
    assert fleet.run("stop", "boss").returncode == 0
    os.kill(fleet.pid("worker"), signal.SIGKILL)
    (asked,) = fleet.wait_event("agent_decider_asked", agent="worker")
    assert asked.data["decider"] == "chief"
    fleet.wait(lambda: len(_alerts(fleet, "chief")) == 1, what="the alert in chief's inbox")
    fleet.wait(lambda: "Alert: worker" in fleet.state.comms_log.read_text())
    comms = fleet.state.comms_log.read_text().splitlines()
    (line,) = [x for x in comms if "Alert: worker" in x]
    assert line.split("|")[1:3] == ["TRON", "chief"]
    assert line.endswith("(in place of boss, gone)")
    incident = fleet.events("hhmrs_escalation", "agent_incident", agent="worker")[0]
    assert incident.incident == "worker-i1"


def test_a_question_outlives_the_daemon_and_is_put_and_answered_once(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_house(script), policy=LONG)
    fleet.up()
    fleet.wait_event("agent_decider_asked")
    typed = fleet.workspace("boss") / "typed.txt"
    fleet.wait(lambda: _alerts(fleet, "boss") and typed.exists(), what="the alert is read, and typed")
    holder = fleet.holder()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(10)
    _post(fleet, "boss", kind="decide", incident="worker-i1", strategy="restart")
    fleet.up()
    fleet.wait_event("hhmrs_recovered", agent="worker")
    assert [x.data["decided_by"] for x in fleet.events("hhmrs_restart")] == ["boss"]
    assert len(fleet.events("agent_decided")) == 1
    assert len(typed.read_text().splitlines()) == 1
    assert len(_alerts(fleet, "boss")) == 1
