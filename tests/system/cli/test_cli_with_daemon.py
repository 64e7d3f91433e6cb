"""The real command beside a real daemon: orders and their outcomes, adoption, and who is told what."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pytest gives the fixture; only the checkers need its name
    from hhmrs.tests.system.cli.conftest import Home


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_up_and_down_leave_the_agents_running_and_a_new_daemon_adopts_them(running: Home) -> None:
    running.until(lambda: running.agent("a")["pid"] is not None, "a is running")
    pid = running.agent("a")["pid"]
    again = running.run("up")
    assert again.returncode == 0
    assert "already" in again.stdout
    down = running.run("down")
    assert down.returncode == 0
    assert running.run("down").returncode == 3
    assert running.run("status").returncode == 3
    assert alive(pid)
    assert "did" in running.run("logs", "a").stdout
    assert running.run("up").returncode == 0
    assert running.agent("a")["pid"] == pid
    killed = running.run("down", "--kill")
    assert killed.returncode == 0
    running.until(lambda: not alive(pid), "a's process is gone")


def test_a_healthy_fleet_is_status_0_and_its_tree_is_shown(running: Home) -> None:
    running.until(lambda: running.agent("b")["phase"] == "waiting", "b asks")
    done = running.run("status")
    assert done.returncode == 0
    assert "└─ b" in done.stdout
    assert "waiting" in done.stdout


def test_orders_wait_for_their_outcome(running: Home) -> None:
    running.until(lambda: running.agent("a")["phase"] in ("working", "idle"), "a is up")
    assert running.run("pause", "a").returncode == 0
    assert running.agent("a")["phase"] == "paused"
    twice = running.run("pause", "a")
    assert twice.returncode == 1
    assert "already paused" in twice.stderr
    assert running.run("unpause", "a").returncode == 0
    before = running.agent("a")
    restarted = running.run("restart", "a")
    assert restarted.returncode == 0, restarted.stderr
    after = running.agent("a")
    assert after["attempt"] == before["attempt"] + 1
    assert after["pid"] != before["pid"]
    assert running.run("stop", "a").returncode == 0
    assert running.agent("a")["phase"] == "stopped"
    assert running.run("start", "a").returncode == 0
    assert running.run("reassign", "a").returncode == 1


def test_no_wait_returns_before_the_outcome_which_comes_all_the_same(running: Home) -> None:
    done = running.run("pause", "a", "--no-wait")
    assert done.returncode == 0
    assert "ordered" in done.stdout
    running.until(lambda: running.agent("a")["phase"] == "paused", "a is paused")


def test_an_escalated_agent_makes_status_exit_1_until_cleared(running: Home) -> None:
    running.until(lambda: running.agent("a")["phase"] in ("working", "idle"), "a is up")
    assert running.run("escalate", "a").returncode == 0
    sick = running.run("status", "--json")
    assert sick.returncode == 1
    assert json.loads(sick.stdout)["agents"][0]["phase"] == "escalated"
    assert running.run("heal", "--check-now").returncode == 1
    assert running.run("clear", "a").returncode == 0
    assert running.run("status").returncode == 0


def test_text_is_not_typed_into_a_question_unless_it_is_the_answer(running: Home) -> None:
    running.until(lambda: running.agent("b")["phase"] == "waiting", "b asks")
    answers = running.file.parent / "b" / "answers.txt"
    refused = running.run("send", "b", "let", "me", "think")
    assert refused.returncode == 1
    assert "--answer" in refused.stderr
    assert "operator_order" not in running.run("events").stdout
    assert running.run("send", "b", "--answer", "yes", "please").returncode == 0
    running.until(answers.exists, "the answer arrives")
    assert answers.read_text() == "yes please\n"


def test_a_pass_by_hand_is_printed_agent_by_agent(running: Home) -> None:
    running.until(lambda: running.agent("b")["phase"] == "waiting", "b asks")
    plain = running.run("heal", "--check-now")
    assert plain.returncode == 0
    assert [line.split()[0] for line in plain.stdout.splitlines()] == ["a", "b"]
    verbose = running.run("heal", "--check-now", "--verbose")
    assert len(verbose.stdout.splitlines()) > 10
    assert "budget" in verbose.stdout


def test_a_daemon_that_dies_is_noticed_by_who_waits_for_it(running: Home) -> None:
    running.until(lambda: running.agent("a")["phase"] in ("working", "idle"), "a is up")
    pid = running.json("status")["daemon"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    with running.start("pause", "a", "--timeout", "60") as process:
        assert process.stderr is not None
        running.until(
            lambda: any((running.state.operator_inbox / "new").iterdir()), "the order lies in the inbox"
        )
        os.kill(pid, signal.SIGKILL)
        assert process.wait(timeout=30) == 3
        assert "the daemon ended before it answered" in process.stderr.read()


def test_the_foreground_daemon_ends_at_sigterm_and_leaves_its_agents(home: Home) -> None:
    with home.start("heal", "--start-daemon", "--threshold", "60", "--interval", "20") as process:
        home.until(lambda: home.run("status").returncode == 0, "it supervises")
        home.until(lambda: home.agent("a")["pid"] is not None, "a is running")
        pid = home.agent("a")["pid"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert alive(pid)
    assert home.run("up").returncode == 0
