"""What must not happen: acts on the healthy, acts against a person's word, two daemons, strange tmux."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from hhmrs.controller.letters.orders import send_order

Script = Callable[..., list[str]]
Gone = Callable[[int], bool]


def _two(script: Script) -> dict[str, Any]:
    return {
        "printer": {"profile": "shell", "command": script("printer", "prose"), "workspace": "printer"},
        "worker": {
            "profile": "shell",
            "command": script("worker20", "--subtasks", "2000", "--pace", "0.1"),
            "workspace": "worker",
            "prompt": "go",
            "parent": "printer",
        },
    }


def test_kill_9_of_the_daemon_touches_no_agent(make_fleet: Any, script: Script) -> None:
    agents = _two(script) | {
        "broken": {
            "profile": "shell",
            "command": script("crasher", "--status", "126"),
            "workspace": "broken",
            "prompt": "go",
        }
    }
    fleet = make_fleet(agents)
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    fleet.wait_event("hhmrs_failure", agent="broken")
    os.kill(fleet.pid("worker"), signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered", agent="worker")
    before, panes, daemon = fleet.status(), fleet.panes(), fleet.holder()
    daemon.kill()
    daemon.wait(5)
    dead = fleet.run("status", "--json")
    assert dead.returncode == 3
    assert json.loads(dead.stdout)["daemon"] is None
    fleet.up()
    assert fleet.holder().pid != daemon.pid
    fleet.wait(lambda: len(fleet.events("agent_adopted")) >= 2)
    after = fleet.status()
    assert fleet.panes() == panes
    keep = ("id", "attempt", "restarts", "reassigns", "pid", "pane", "incident")
    assert [{k: a[k] for k in keep} for a in after["agents"]] == [
        {k: a[k] for k in keep} for a in before["agents"]
    ]
    assert next(a for a in after["agents"] if a["id"] == "worker")["restarts"] == 1
    assert [i["id"] for i in after["incidents"] if i["outcome"] is None] == [
        i["id"] for i in before["incidents"] if i["outcome"] is None
    ]
    assert len(fleet.events("agent_started")) == 4


def test_sigterm_leaves_the_agents_running(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_two(script))
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    panes = fleet.panes()
    assert fleet.run("down").returncode == 0
    assert fleet.panes() == panes
    assert all(psutil.pid_exists(pid) for _, pid in panes.values())
    assert fleet.run("down").returncode in (0, 3)


def test_an_agent_that_died_while_no_daemon_looked_is_recovered(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_two(script))
    fleet.up()
    fleet.wait_event("checkpoint_stored", agent="worker", count=3)
    fleet.run("down")
    os.kill(fleet.pid("worker"), signal.SIGKILL)
    fleet.up()
    recovered = fleet.wait_event("hhmrs_recovered", agent="worker")[0]
    assert recovered.data["strategy"] == "resume"


def test_an_agent_whose_launcher_is_killed_over_its_head_is_brought_back(
    make_fleet: Any, script: Script
) -> None:
    fleet = make_fleet(_two(script))
    fleet.up()
    fleet.wait_event("checkpoint_stored", agent="worker", count=3)
    os.kill(fleet.panes()["worker"][1], signal.SIGKILL)
    assert fleet.wait_event("hhmrs_recovered", agent="worker")[0].data["strategy"] == "resume"
    (exited,) = fleet.events("agent_exited", agent="worker")
    assert exited.data["cause"] == "tmux_lost", "nobody killed the agent itself"


def test_pause_holds_and_unpause_ends_it(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(
        {
            "worker": {
                "profile": "shell",
                "command": script("printer", "silent"),
                "workspace": "worker",
                "prompt": "go",
            }
        },
        policy={"heartbeat_interval": "20s"},
    )
    fleet.up()
    fleet.wait_event("agent_started")
    assert fleet.run("pause", "worker").returncode == 0
    pid = fleet.pid("worker")
    os.kill(pid, signal.SIGKILL)
    fleet.wait_event("agent_exited")
    assert "paused" in fleet.run("heal", "--check-now").stdout
    assert fleet.phase("worker") == "paused"
    assert fleet.events("hhmrs_restart", "hhmrs_nudge", "hhmrs_resume") == []
    assert fleet.run("unpause", "worker").returncode == 0
    fleet.wait_event("agent_started", count=2)


def test_stop_ends_the_tree_and_holds_over_a_new_daemon(
    make_fleet: Any, script: Script, is_gone: Gone
) -> None:
    fleet = make_fleet(_two(script))
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    pid = fleet.pid("worker")
    stopped = fleet.run("stop", "worker")
    assert stopped.returncode == 0, stopped.stderr
    assert is_gone(pid)
    fleet.run("down")
    fleet.up()
    assert "stopped" in fleet.run("heal", "--check-now").stdout
    assert fleet.phase("worker") == "stopped"
    assert len(fleet.events("agent_started", agent="worker")) == 1
    started = fleet.run("start", "worker")
    assert started.returncode == 0, started.stderr
    fleet.wait(lambda: fleet.phase("worker") == "working")


def test_two_daemons_the_second_says_who_holds_the_fleet(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_two(script))
    fleet.up()
    second = fleet.run("--daemon")
    assert second.returncode == 1
    assert str(fleet.holder().pid) in second.stderr
    assert "Traceback" not in second.stderr


def test_a_second_file_of_the_same_fleet_is_refused_naming_both(
    make_fleet: Any, script: Script, tmp_path: Path
) -> None:
    fleet = make_fleet(_two(script))
    fleet.up()
    fleet.run("down")
    other = tmp_path / "other" / "hhmrs.yaml"
    other.parent.mkdir()
    other.write_text(fleet.config.read_text())
    fleet.config, first = other, fleet.config
    refused = fleet.run("up")
    fleet.config = first
    assert refused.returncode == 2
    assert str(first) in refused.stderr
    assert str(other) in refused.stderr


def test_the_users_own_tmux_server_is_untouched(make_fleet: Any, script: Script, tmux_socket: str) -> None:
    def mine(*words: str) -> str:
        done = subprocess.run(["tmux", "-L", tmux_socket, *words], capture_output=True, text=True, check=True)
        return done.stdout

    mine("-f", "/dev/null", "new-session", "-d", "-s", "worker", "-x", "77", "-y", "21", "cat")
    look = (
        "list-panes",
        "-a",
        "-F",
        "#{session_name} #{pane_id} #{pane_pid} #{window_width}x#{window_height}",
    )
    before = mine(*look)
    fleet = make_fleet(_two(script))
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    os.kill(fleet.pid("worker"), signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered", agent="worker")
    assert fleet.run("down", "--kill").returncode == 0
    assert mine(*look) == before
    assert mine("capture-pane", "-p", "-t", "=worker:").strip() == ""


def test_down_kill_leaves_nothing_and_up_begins_again(make_fleet: Any, script: Script, is_gone: Gone) -> None:
    fleet = make_fleet(_two(script))
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    pids, launchers = [fleet.pid("worker"), fleet.pid("printer")], [pid for _, pid in fleet.panes().values()]
    done = fleet.run("down", "--kill")
    assert done.returncode == 0, done.stderr
    assert all(is_gone(pid) for pid in pids)
    fleet.wait(lambda: all(is_gone(pid) for pid in launchers), 5)
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    assert fleet.events("hhmrs_failure", "hhmrs_restart") == []


@pytest.mark.parametrize("signal_name", ["SIGHUP"])
def test_reload_takes_new_agents_and_leaves_removed_ones_running(
    make_fleet: Any, script: Script, signal_name: str
) -> None:
    fleet = make_fleet(_two(script))
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    panes = fleet.panes()
    agents = _two(script)
    del agents["worker"]
    agents["late"] = {"profile": "shell", "command": script("printer", "counter"), "workspace": "late"}
    fleet.write(agents)
    os.kill(fleet.holder().pid, getattr(signal, signal_name))
    fleet.wait_event("agent_started", agent="late")
    assert fleet.panes()["worker"] == panes["worker"]
    fleet.config.write_text("fleet: [\n")
    os.kill(fleet.holder().pid, signal.SIGHUP)
    fleet.wait_event("operator_reload_refused")
    assert fleet.holder().is_running()
    fleet.write(_two(script))
    os.kill(fleet.holder().pid, signal.SIGHUP)
    fleet.wait_event("agent_adopted", agent="worker")
    fleet.wait(lambda: fleet.phase("worker") == "working")
    assert fleet.panes()["worker"] == panes["worker"], "who comes back is adopted as it runs"
    assert len(fleet.events("agent_started", agent="worker")) == 1


def test_while_a_reload_waits_for_tmux_everything_else_goes_on(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_two(script))
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    server = int(fleet.tmux("display-message", "-p", "#{pid}"))
    late = {"profile": "shell", "command": script("printer", "counter"), "workspace": "late"}
    fleet.write(_two(script) | {"late": late})
    os.kill(server, signal.SIGSTOP)
    try:
        send_order(fleet.state, "reload", None)
        fleet.wait_event("operator_order")
        send_order(fleet.state, "pause", "late")
        known = len(fleet.events("checkpoint_stored", agent="worker"))
        fleet.wait_event("checkpoint_stored", agent="worker", count=known + 5)
        assert fleet.events("operator_outcome", "operator_reloaded", "operator_reload_refused") == []
    finally:
        os.kill(server, signal.SIGCONT)
    fleet.wait_event("operator_reloaded")
    reload, pause = fleet.wait_event("operator_outcome", count=2)
    assert (reload.data["order"], reload.data["ok"]) == ("reload", True)
    assert (pause.data["order"], pause.agent) == ("pause", "late"), "taken when the agent was there"


def test_a_hostile_letter_changes_nothing(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet(_two(script))
    fleet.up()
    fleet.wait(lambda: fleet.phase("worker") == "working")
    new = fleet.state.inbox_of("worker") / "new"
    (new / secrets.token_hex(4)).write_text(
        '{"kind": "done", "agent": "worker", "attempt": 99, "at": "2026-11-21T00:00:00Z"}'
    )
    os.mkfifo(new / "pipe")
    (new / "link").symlink_to("/etc/passwd")
    (new / "broken").write_bytes(b"\xff\xfe{")
    fleet.wait_event("agent_letter_refused", agent="worker", count=4)
    assert fleet.phase("worker") == "working"
    bad = fleet.state.inbox_of("worker") / "bad"
    assert len(list(bad.glob("*.reason"))) == 4
