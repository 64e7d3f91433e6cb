"""Nudges of real agents in real tmux: what wakes them, what is written and typed, and what proves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hhmrs.controller.ports import Event
from hhmrs.controller.timestamps import from_iso
from hhmrs.healing.nudges import RESCUE

Script = Callable[..., list[str]]
OLD: dict[str, list[Any] | dict[str, Any]] = {
    "status_files": [{"pattern": "status.json", "kind": "status"}, {"pattern": "inbox/*", "kind": "inbox"}],
    "dialogs": {"news": {"pattern": "^What is new in version", "keys": ["Escape"], "lines": 40}},
}
LONG = {"heartbeat_interval": "1s", "progress_timeout": "2s", "verify_within": "12s", "max_restarts": 1}
"""Stuck agents that look around now and then live: they are found by their want of progress."""


def stuck(script: Script, kind: str, **more: Any) -> dict[str, Any]:
    return {"profile": "old", "command": script("stuck", kind), "workspace": "w", "prompt": "work", **more}


def steps(fleet: Any, agent: str = "a") -> list[tuple[str, bool]]:
    told = fleet.events("agent_nudge_step", agent=agent)
    return [(str(x.data["step"]), bool(x.data["ok"])) for x in told]


def woken(fleet: Any) -> list[str]:
    path = fleet.folder / "w" / "woken.txt"
    return path.read_text().split() if path.exists() else []


WAKES = [
    ("fresh", {}, ["force_update"]),
    ("tasks", {}, ["force_update", "clear_stuck_tasks"]),
    ("reset", {"clear_stuck_tasks": False}, ["force_update", "auto_reset"]),
    ("letter", {}, ["force_update", "clear_stuck_tasks", "auto_reset", "rescue"]),
    ("note", {}, ["force_update", "clear_stuck_tasks", "auto_reset", "rescue"]),
]


@pytest.mark.parametrize(("kind", "flags", "taken"), WAKES, ids=[kind for kind, *_ in WAKES])
def test_the_least_that_wakes_it_is_all_that_is_done(
    make_fleet: Any, script: Script, kind: str, flags: dict[str, bool], taken: list[str]
) -> None:
    rules = list(OLD["status_files"])
    profile = OLD | {"status_files": rules[:1] if kind == "note" else rules}
    fleet = make_fleet({"a": stuck(script, kind)}, policy=LONG | {"nudge": flags}, profiles={"old": profile})
    fleet.up()
    recovered = fleet.wait_event("hhmrs_recovered", deadline=40)[0]
    assert recovered.data["strategy"] == "nudge"
    assert woken(fleet) == [kind]
    fleet.wait(lambda: len(steps(fleet)) >= len(taken), what="the last step came to its end")
    told = [step for step, _ in steps(fleet)]
    # On a loaded machine it may take longer than its moment to show that it woke; then more was done.
    assert told[: len(taken)] == taken
    assert len(fleet.events("agent_started")) == 1
    if kind in ("fresh", "tasks", "reset"):
        said = json.loads((fleet.folder / "w" / "status.json").read_bytes())
        assert [one["action"] for one in said["healing_applied"]][: len(taken)] == taken
        assert (said["current_mission"], said["notes"]) == ("Parse", {"of": ["its", "own"]})
        assert "rescue" in told or not (fleet.folder / "w" / "typed.txt").exists()
    text = fleet.state.comms_log.read_text()
    assert "Nudging a (attempt 1)" in text
    assert f"{taken[-1]} done" in text


def test_the_quick_look_wakes_it_gently_without_an_incident(make_fleet: Any, script: Script) -> None:
    calm = {"heartbeat_interval": "10s", "progress_timeout": "5m", "quick_look": "1500ms"}
    fleet = make_fleet({"a": stuck(script, "tasks")}, policy=calm, profiles={"old": OLD})
    fleet.up()
    fleet.wait(lambda: woken(fleet) == ["tasks"], 30, "it goes on")
    fleet.wait(lambda: ("clear_stuck_tasks", True) in steps(fleet), what="which is written down")
    looked = fleet.events("agent_quick_look")[0]
    assert looked.data["steps"] == ["force_update", "clear_stuck_tasks"]
    assert not [x for x in fleet.events() if x.type.startswith("hhmrs_") or "incident" in x.type]
    assert fleet.agent("a")["phase"] == "working"
    assert not (fleet.folder / "w" / "typed.txt").exists(), "nothing was typed"


def test_a_dialog_is_closed_by_its_keys_and_nothing_else_is_pressed(make_fleet: Any, script: Script) -> None:
    calm = {"heartbeat_interval": "10s", "progress_timeout": "5m", "quick_look": "2s"}
    fleet = make_fleet({"a": stuck(script, "dialog")}, policy=calm, profiles={"old": OLD})
    fleet.up()
    fleet.wait(lambda: woken(fleet) == ["dialog"], 30, "it goes on")
    fleet.wait(lambda: steps(fleet)[:1] == [("close_dialog", True)], what="which is written down")
    assert fleet.events("agent_nudge_step")[0].data["why"] == "dialog news closed by Escape"
    assert not fleet.events("agent_incident")
    assert not (fleet.folder / "w" / "typed.txt").exists()


def test_a_permission_question_is_never_answered(make_fleet: Any, script: Script) -> None:
    """The same words are a question here: whatever `dialogs` says, it waits for a person."""
    asks = {"ask": {"phase": "waiting", "pattern": "^What is new in version", "lines": 40}}
    calm = {"heartbeat_interval": "1s", "progress_timeout": "3s", "quick_look": "1s"}
    fleet = make_fleet({"a": stuck(script, "dialog")}, policy=calm, profiles={"old": OLD | {"screens": asks}})
    fleet.up()
    fleet.wait(lambda: fleet.phase("a") == "waiting", 30, "it waits")
    refused = fleet.run("nudge", "a", "--timeout", "4")
    assert refused.returncode == 1
    fleet.wait_event("agent_nudge_step", count=4)
    typing = [x for x in fleet.events("agent_nudge_step") if x.data["step"] in ("close_dialog", "rescue")]
    assert all("not typed: its screen waits for a person" in x.data["why"] for x in typing)
    assert woken(fleet) == []
    assert not (fleet.folder / "w" / "typed.txt").exists()


def test_a_nudge_by_hand_takes_the_same_steps(make_fleet: Any, script: Script) -> None:
    calm = {"heartbeat_interval": "10s", "progress_timeout": "5m", "quick_look": "5m"}
    fleet = make_fleet({"a": stuck(script, "reset")}, policy=calm, profiles={"old": OLD})
    fleet.up()
    fleet.wait((fleet.folder / "w" / "status.json").exists, 20, "it is stuck")
    explained = fleet.run("explain", "a").stdout
    assert "a nudge would refresh its status file" in explained
    done = fleet.run("nudge", "a", "--timeout", "30")
    assert (done.returncode, woken(fleet)) == (0, ["reset"]), done.stderr
    told = {step for step, _ in steps(fleet)}
    assert {"force_update", "clear_stuck_tasks", "auto_reset"} >= told >= {"auto_reset"}


def test_the_message_is_typed_once_and_left_as_a_note(make_fleet: Any) -> None:
    deaf = ["sh", "-c", "echo begun; exec sleep 600"]
    agent = {"profile": "shell", "command": deaf, "workspace": "w", "prompt": "go"}
    policy = {"heartbeat_interval": "1s", "max_restarts": 1, "verify_within": "3s"}
    fleet = make_fleet({"a": agent}, policy=policy)
    fleet.up()
    (step,) = fleet.wait_event("agent_nudge_step")
    assert (step.data["ok"], step.data["why"]) == (True, "a note in notes/ of its inbox; typed into its pane")
    assert typed(fleet) == 1
    (note,) = (fleet.state.inbox_of("a") / "notes").iterdir()
    assert RESCUE in note.read_text()
    failed = fleet.wait_event("agent_attempt_failed", deadline=30)[0]
    assert (failed.data["strategy"], failed.data["why"]) == ("nudge", "no fresh progress within 3 s")
    assert not fleet.events("hhmrs_recovered"), "what was typed, echoed and written proves nothing"
    assert not fleet.events("agent_letter_refused"), "the note is no letter to us"


def typed(fleet: Any) -> int:
    """How often the message stands on the pane, wherever its lines break."""
    return str("".join(fleet.run("logs", "a", "-n", "200").stdout.split())).count("".join(RESCUE.split()))


@pytest.mark.parametrize("dies_at", [9, 13, 19])
def test_a_daemon_that_dies_between_two_steps_takes_none_twice(make_fleet: Any, dies_at: int) -> None:
    said = json.dumps({"status": "BLOCKED", "current_tasks": ["x"], "last_updated": 1})
    deaf = ["sh", "-c", f"echo '{said}' > status.json; exec sleep 600"]
    agent = {"profile": "old", "command": deaf, "workspace": "w", "prompt": "go", "restart": "temporary"}
    policy = {"heartbeat_interval": "1s", "verify_within": "4s", "recovery": {"stalled": ["nudge"]}}
    fleet = make_fleet({"a": agent}, policy=policy, profiles={"old": OLD})
    armed = fleet.folder / "armed"
    armed.touch()
    program = Path(__file__).parents[2] / "agents" / "mortal_daemon.py"
    words = [sys.executable, str(program), str(fleet.config), str(armed), str(dies_at)]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True) as daemon:
        try:
            fleet.wait(lambda: daemon.poll() is not None, 60, "it dies")
        finally:
            daemon.kill()
    assert daemon.returncode == -signal.SIGKILL
    fleet.up()
    fleet.wait_event("hhmrs_failure", deadline=60)
    signed = json.loads((fleet.folder / "w" / "status.json").read_bytes())["healing_applied"]
    actions = [one["action"] for one in signed]
    assert len(set(actions)) == len(actions), "an edit was made twice"
    assert typed(fleet) <= 1
    assert len(fleet.events("hhmrs_nudge")) == 1
    told = [str(x.data["step"]) for x in fleet.events("agent_nudge_step")]
    assert told == ["force_update", "clear_stuck_tasks", "auto_reset", "rescue"], "each came to its end, once"
    assert len(list((fleet.state.inbox_of("a") / "notes").iterdir())) == 1


# -- frozen ----------------------------------------------------------------------------------------


@contextmanager
def somebody_else(path: Path, how: str) -> Generator[None]:
    """Touches the file, or writes something new into it, several times in a second until the end."""
    over = threading.Event()

    def go_on() -> None:
        number = 0
        while not over.wait(0.3):
            number += 1
            if how == "touch":
                path.touch()
            else:
                said = {"status": "running", "last_updated": number, "current_tasks": [number]}
                new = path.with_name(".new")
                new.write_text(json.dumps(said))
                new.rename(path)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("how", ["touch", "rewrite"])
@pytest.mark.parametrize("profile", ["old", "shell"])
def test_a_frozen_agent_is_found_though_somebody_touches_its_status_file(
    make_fleet: Any, script: Script, profile: str, how: str
) -> None:
    agent: dict[str, Any] = {"profile": profile, "workspace": "w", "prompt": "work"}
    agent["command"] = ["sh", "-c", "n=0; while :; do n=$((n+1)); echo $n > out-$((n%9)); sleep 0.2; done"]
    quick = {"heartbeat_interval": "1s", "missed_heartbeats": 2, "verify_within": "2s"}
    policy = quick | {"progress_timeout": "20s", "max_restarts": 1, "nudge": {"rescue": True}}
    fleet = make_fleet({"a": agent}, policy=policy, profiles={"old": OLD})
    fleet.up()
    status = fleet.folder / "w" / "status.json"
    fleet.wait((fleet.folder / "w" / "out-8").exists, what="it works")
    status.write_text('{"status": "running"}')
    with somebody_else(status, how):
        os.kill(fleet.pid("a"), signal.SIGSTOP)
        found: Event = fleet.wait_event("hhmrs_timeout", deadline=30)[0]
        assert found.data["symptom"] == "stalled"
        assert "stopped (state T)" in found.data["reason"]
        nudged = fleet.wait_event("hhmrs_nudge", deadline=10)[0]
        # Neither the touches nor our own edits bring it back; only a new attempt does.
        recovered = fleet.wait_event("hhmrs_recovered", deadline=40)[0]
        assert recovered.data["strategy"] in ("resume", "restart")
        assert from_iso(recovered.at) - from_iso(nudged.at) >= 2.0
        failed = fleet.events("agent_attempt_failed")[0]
        assert failed.data["strategy"] == "nudge"
