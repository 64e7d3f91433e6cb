"""A fleet over three tmux servers of two agents each, under a real daemon."""

from __future__ import annotations

import os
import resource
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.loading import load_fleet
from hhmrs.controller.ledger.writer import LedgerReader
from hhmrs.controller.processes.open_files import ENOUGH
from hhmrs.controller.terminals.servers import FleetTerminals
from hhmrs.controller.terminals.sockets import sockets_on_disk
from hhmrs.tui.daemon_source import DaemonSource

NAMES = [f"a{n}" for n in range(1, 7)]
ECHO = "echo I am $HHMRS_AGENT; while read line; do echo heard $line >> heard.txt; done"


@pytest.fixture(autouse=True)
def _two_agents_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HHMRS_AGENTS_PER_SERVER", "2")


def _quiet(names: list[str], **more: Any) -> dict[str, Any]:
    """Agents that answer what is typed to them and are otherwise in peace."""
    kind = {"profile": "shell", "command": ["sh", "-c", ECHO], "liveness": ["process"], **more}
    return {name: {**kind, "workspace": name} for name in names}


def _running(fleet: Any, names: list[str]) -> dict[str, dict[str, Any]]:
    """id -> agent in `status --json`, once each of them runs."""
    reader = LedgerReader(fleet.state.ledger)
    fleet.wait(
        lambda: set(names) <= {name for name, s in reader.states().items() if s["alive"]}, what="all up"
    )
    reader.close()
    return {agent["id"]: agent for agent in fleet.status()["agents"]}


def _server(socket: str, fleet: Any) -> int:
    pid = FleetTerminals(fleet.name, fleet.state.tmux_conf).server(socket).server_pid()
    assert pid is not None
    return pid


def test_agents_are_spread_found_adopted_in_place_and_all_ended(make_fleet: Any, is_gone: Any) -> None:
    fleet = make_fleet(_quiet(NAMES))
    fleet.up()
    before = _running(fleet, NAMES)
    sockets = [f"hhmrs-{fleet.name}", f"hhmrs-{fleet.name}-2", f"hhmrs-{fleet.name}-3"]
    assert Counter(agent["socket"] for agent in before.values()) == dict.fromkeys(sockets, 2)
    asked = [next(name for name in NAMES if before[name]["socket"] == socket) for socket in sockets]
    for name in asked:
        fleet.wait(lambda name=name: f"I am {name}" in fleet.run("logs", name).stdout)

    fleet.holder().send_signal(signal.SIGKILL)
    fleet.wait(lambda: fleet.run("status").returncode == 3, what="the daemon is gone")
    for name in asked:
        told = fleet.run("attach", name)
        assert (told.returncode, f"tmux -L {before[name]['socket']} attach" in told.stderr) == (3, True)
    fleet.up()
    after = _running(fleet, NAMES)
    for name in NAMES:
        assert {k: after[name][k] for k in ("pid", "pane", "socket", "attempt")} == {
            k: before[name][k] for k in ("pid", "pane", "socket", "attempt")
        }
    assert sockets_on_disk(fleet.name) == sockets
    assert len(fleet.events("agent_started")) == 6

    assert fleet.run("send", "a5", "over here").returncode == 0
    fleet.wait((fleet.workspace("a5") / "heard.txt").exists)
    assert [p.parent.name for p in fleet.folder.glob("*/heard.txt")] == ["a5"]
    source = DaemonSource(fleet.state, None, FleetTerminals(fleet.name, fleet.state.tmux_conf))
    assert before["a5"]["socket"] in source.attach_argv("a5")
    assert "I am a5" in "\n".join(source.pane("a5"))
    source.close()

    done = fleet.run("down", "--kill")
    assert done.returncode == 0, done.stderr
    assert sockets_on_disk(fleet.name) == []
    assert all(is_gone(agent["pid"]) for agent in before.values())


def test_a_server_that_dies_concerns_only_its_own_agents(make_fleet: Any) -> None:
    fleet = make_fleet(_quiet(NAMES))
    fleet.up()
    before = _running(fleet, NAMES)
    hit = [name for name in NAMES if before[name]["socket"] == f"hhmrs-{fleet.name}-2"]
    os.kill(_server(f"hhmrs-{fleet.name}-2", fleet), signal.SIGKILL)
    for name in hit:
        fleet.wait_event("hhmrs_recovered", agent=name)
    after = _running(fleet, NAMES)
    for name in NAMES:
        assert after[name]["socket"] == before[name]["socket"]
        assert (after[name]["pid"] != before[name]["pid"]) == (name in hit)
    struck = {event.agent for event in fleet.events() if event.incident or event.type == "agent_unseen"}
    assert struck - {None, ""} == set(hit)


def test_a_server_of_another_fleet_is_refused_and_left_alone(make_fleet: Any) -> None:
    other = make_fleet(_quiet(["theirs"]))
    fleet = make_fleet(_quiet(NAMES[:3]))
    _rename(other, f"{fleet.name}-2")
    other.up()
    theirs = _running(other, ["theirs"])["theirs"]
    refused = fleet.run("up")
    assert refused.returncode == 1
    assert f"the socket hhmrs-{fleet.name}-2 is the fleet {other.name}'s" in refused.stderr
    assert "rename one of the two fleets" in refused.stderr
    assert "Traceback" not in refused.stderr
    fleet.write(_quiet(NAMES[:2]))
    fleet.up()
    _running(fleet, NAMES[:2])
    assert fleet.run("down", "--kill").returncode == 0
    assert other.agent("theirs")["pid"] == theirs["pid"]
    assert other.agent("theirs")["socket"] == f"hhmrs-{fleet.name}-2"


def test_agents_that_come_by_reload_find_room_and_those_that_are_there_stay(make_fleet: Any) -> None:
    fleet = make_fleet(_quiet(NAMES[:2]))
    fleet.up()
    before = _running(fleet, NAMES[:2])
    # First in the file now: the order of the file has no say in where those live that are there.
    fleet.write(_quiet(["a0", *NAMES[:2]]))
    fleet.holder().send_signal(signal.SIGHUP)
    after = _running(fleet, ["a0", *NAMES[:2]])
    assert after["a0"]["socket"] == f"hhmrs-{fleet.name}-2"
    for name in NAMES[:2]:
        assert (after[name]["socket"], after[name]["pid"]) == (before[name]["socket"], before[name]["pid"])


def test_the_daemon_may_open_more_files_than_its_agents(make_fleet: Any) -> None:
    fleet = make_fleet(_quiet(["a1"], command=["sh", "-c", "ulimit -S -n > limit; exec sleep 60"]))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 512
    assert few < hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    try:
        fleet.up()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    told = fleet.workspace("a1") / "limit"
    fleet.wait(lambda: told.exists() and told.read_text().strip())
    assert told.read_text().strip() == str(few)
    assert resource.prlimit(fleet.holder().pid, resource.RLIMIT_NOFILE)[0] == min(hard, ENOUGH)


def _rename(fleet: Any, name: str) -> None:
    fleet.config.write_text(fleet.config.read_text().replace(fleet.name, name))
    fleet.name = name
    fleet.state = type(fleet.state)(Path(os.environ["HHMRS_STATE_DIR"]), name)
    assert load_fleet(fleet.config).fleet == name
