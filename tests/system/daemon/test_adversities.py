"""Daemons killed or stopped at any moment, folders taken away: nothing is done twice, nobody blamed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from hhmrs.controller.ledger.writer import LedgerReader
from hhmrs.tests.system.daemon.lives import double_lives, lives_of

Script = Callable[..., list[str]]
ENDLESS = ("worker20", "--subtasks", "100000", "--pace", "0.05")


def _agent(command: list[str], workspace: str = "worker", **more: Any) -> dict[str, Any]:
    return {"profile": "shell", "command": command, "workspace": workspace, "prompt": "go", **more}


def _keeps(holds: Callable[[], bool], seconds: float) -> None:
    """It holds, and goes on to hold for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert holds()
        time.sleep(0.1)


def _state(fleet: Any, agent: str = "worker") -> dict[str, Any]:
    reader = LedgerReader(fleet.state.ledger)
    try:
        return dict(reader.states()[agent])
    finally:
        reader.close()


def test_a_daemon_killed_anywhere_in_a_recovery_never_leaves_two_attempts(
    make_fleet: Any, script: Script
) -> None:
    worker = _agent(["nohup", *script(*ENDLESS), "--ignore-term"])
    quick = {"max_restarts": 100, "kill_grace": "200ms", "backoff": {"initial": "10ms", "max": "50ms"}}
    fleet = make_fleet({"worker": worker}, policy=quick)
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    dice = random.Random(7)
    with double_lives(f"{fleet.name}:worker") as doubles:
        for _ in range(2):
            if dice.random() < 0.7:
                os.kill(fleet.pid("worker"), signal.SIGKILL)
            else:
                fleet.run("restart", "worker", "--no-wait")
            time.sleep(dice.random() * 0.5)
            daemon = fleet.holder()
            daemon.kill()
            daemon.wait(5)
            fleet.up()
            fleet.wait(lambda: fleet.phase("worker") == "working", 30, "back at work")
    assert doubles == []
    attempts = [x.data["attempt"] for x in fleet.events("agent_started")]
    assert attempts == sorted(set(attempts)), "an attempt was started twice"


@pytest.mark.parametrize("stage", ["backoff", "verifying"])
def test_a_daemon_killed_in_a_recovery_changes_no_budget_and_no_incident(
    make_fleet: Any, script: Script, stage: str
) -> None:
    silent = _agent(script("printer", "silent"))
    slow = {"initial": "30s", "max": "30s"} if stage == "backoff" else {"initial": "1s", "max": "1s"}
    late = "1s" if stage == "backoff" else "20s"
    fleet = make_fleet({"worker": silent}, policy={"backoff": slow, "verify_within": late})
    fleet.up()

    fleet.wait_event("agent_incident")
    if stage == "verifying":
        os.kill(fleet.pid("worker"), signal.SIGKILL)
    fleet.wait(lambda: _state(fleet)["restarts"] == 1)
    fleet.wait(lambda: (_state(fleet)["recovery"] or {}).get("stage") == stage)
    before = _state(fleet)
    fleet.holder().kill()
    fleet.up()
    fleet.wait_event("agent_adopted")
    fleet.run("heal", "--check-now")
    after = _state(fleet)
    for key in ("restarts", "reassigns", "nudges", "attempt", "pid"):
        assert after[key] == before[key], key
    assert after["incident"]["id"] == before["incident"]["id"]
    assert after["incident"]["attempts"] == before["incident"]["attempts"]
    assert after["recovery"]["stage"] == stage


def test_an_order_that_was_carried_out_is_not_carried_out_again_by_the_next_daemon(
    make_fleet: Any, script: Script
) -> None:
    fleet = make_fleet({"worker": _agent(script(*ENDLESS))})
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    letters = fleet.state.operator_inbox / "new"
    kept = fleet.folder / "kept"
    fleet.holder().suspend()
    order = subprocess.Popen(
        [sys.executable, "-m", "hhmrs", "restart", "worker", "--config", str(fleet.config)],
        stdout=subprocess.DEVNULL,
    )
    fleet.wait(lambda: list(letters.iterdir()))
    (letter,) = letters.iterdir()
    os.link(letter, kept)
    fleet.holder().resume()
    assert order.wait(30) == 0
    fleet.holder().kill()
    kept.rename(letter)  # as if the daemon had been killed between writing it down and taking it away
    fleet.up()
    fleet.wait(lambda: not list(letters.iterdir()))
    assert len(fleet.events("operator_order")) == 1
    assert len(fleet.events("agent_started")) == 2


def test_a_daemon_that_was_stopped_for_a_while_blames_nobody(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet({"worker": _agent(script(*ENDLESS))})
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    daemon = fleet.holder()
    daemon.suspend()
    try:
        _keeps(daemon.is_running, 2.0)
    finally:
        daemon.resume()
    stored = len(fleet.events("checkpoint_stored"))
    fleet.wait(lambda: len(fleet.events("checkpoint_stored")) > stored + 30)
    assert fleet.events("agent_incident") == []


def test_whoever_ends_well_only_because_its_terminal_went_is_not_done(
    make_fleet: Any, script: Script
) -> None:
    polite = "import signal,sys,time,itertools\nsignal.signal(signal.SIGHUP, lambda *_: sys.exit(0))\n"
    polite += "for n in itertools.count():\n open('w%d' % (n % 9), 'w').write(str(n)); time.sleep(0.1)\n"
    fleet = make_fleet({"worker": _agent([sys.executable, "-c", polite])})
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    os.kill(int(fleet.tmux("display-message", "-p", "#{pid}")), signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered")
    assert fleet.events("agent_done") == []
    assert fleet.events("agent_incident")[0].data["cause"] == "tmux_lost"


def test_while_a_person_is_attached_nothing_is_typed_and_nothing_ended(
    make_fleet: Any, script: Script
) -> None:
    fleet = make_fleet({"worker": _agent(script("nudgeable"))}, policy={"heartbeat_interval": "1s"})
    fleet.up()
    fleet.wait_event("agent_started")
    with fleet.visitor("worker"):
        fleet.wait_event("operator_attached")
        _keeps(lambda: fleet.events("hhmrs_nudge", "hhmrs_timeout") == [], 2.5)
        assert not (fleet.workspace("worker") / "heard.txt").exists()
    fleet.wait_event("hhmrs_nudge")


def test_letters_arrive_again_after_the_inbox_was_removed(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet({"worker": _agent(script("printer", "prose"))})
    fleet.up()
    fleet.wait_event("agent_started")
    box = fleet.state.inbox_of("worker")
    (box / "new").rename(fleet.folder / "taken away")
    fleet.wait((box / "new").is_dir, 15, "the inbox was made anew")
    letter = {"kind": "checkpoint", "agent": "worker", "attempt": 1, "at": "2026-11-21T10:00:00Z",
              "completed": ["one"]}  # fmt: skip
    (box / "tmp" / "x").write_text(json.dumps(letter))
    (box / "tmp" / "x").rename(box / "new" / "x")
    fleet.wait_event("checkpoint_stored")


def test_an_agent_whose_workspace_holds_our_own_state_is_not_at_work_because_of_it(
    make_fleet: Any, script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inside = tmp_path / "wide" / ".state"
    inside.mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HHMRS_STATE_DIR", str(inside))
    silent = _agent(script("printer", "silent"), str(tmp_path / "wide"), allow_outside=True)
    fleet = make_fleet({"worker": silent, "busy": _agent(script(*ENDLESS), "busy")},
                       policy={"verify_within": "1s", "max_restarts": 1})  # fmt: skip
    fleet.up()
    fleet.wait_event("hhmrs_failure", agent="worker")
    assert fleet.events("hhmrs_recovered") == []


def test_an_agent_that_left_the_file_and_came_back_goes_on_where_it_was(
    make_fleet: Any, script: Script
) -> None:
    both = {"worker": _agent(["nohup", *script(*ENDLESS), "--ignore-term"]),
            "other": _agent(script("printer", "prose"), "other")}  # fmt: skip
    fleet = make_fleet(both)
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    os.kill(fleet.pid("worker"), signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered")
    pid = fleet.pid("worker")
    for number, agents in enumerate(({"other": both["other"]}, both), 1):
        fleet.write(agents)
        assert fleet.run("heal", "--check-now").returncode in (0, 1)
        fleet.holder().send_signal(signal.SIGHUP)
        fleet.wait_event("operator_reloaded", count=number)
        assert psutil.pid_exists(pid)
    fleet.wait_event("agent_adopted", agent="worker")
    assert fleet.agent("worker")["attempt"] == 2
    assert lives_of(f"{fleet.name}:worker").keys() == {2}
