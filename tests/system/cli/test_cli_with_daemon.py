"""The real command beside a real daemon: orders and their outcomes, adoption, and who is told what."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hhmrs.controller.ledger.writer import LedgerReader
from hhmrs.controller.letters.orders import await_outcome, send_order

if TYPE_CHECKING:  # pytest gives the fixture; only the checkers need its name
    from hhmrs.tests.system.cli.home import Home


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


def test_what_an_agent_puts_in_its_workspaces_place_keeps_nobody_from_the_others(running: Home) -> None:
    place = running.file.parent / "b"
    running.until(place.is_dir, "b has its workspace")
    place.rename(running.root / "gone")
    for make in (lambda: place.symlink_to("/etc"), lambda: os.mkfifo(place), lambda: place.write_text("x")):
        make()
        named = ["--fleet", running.fleet]
        for words in (["status"], ["explain", "a"], ["explain", "a", *named], ["pause", "a"],
                      ["unpause", "a", *named], ["up"]):  # fmt: skip
            done = running.run(*words)
            assert done.returncode == 0, (words, done.stderr)
            assert re.match(rf"{running.file}:5:\d+: agents.b.workspace: 'b' ", done.stderr), done.stderr
        strict = running.run("check", "--json")
        assert strict.returncode == 2
        assert "agents.b.workspace" in json.loads(strict.stdout)["problems"][0]["message"]
        place.unlink()
    place.symlink_to("/etc")
    pid = running.agent("a")["pid"]
    reloading = running.json("status")["daemon"]["pid"]
    os.kill(reloading, signal.SIGHUP)
    running.until(
        lambda: "operator_reload_refused" in running.run("events", "--json").stdout, "the reload is refused"
    )
    assert running.agent("a")["pid"] == pid, "the old file is in force"
    assert running.run("down", "--kill").returncode == 0
    running.until(lambda: not alive(pid), "a's process is gone")
    first = running.run("up")
    assert first.returncode == 2, "no daemon begins with such a workspace"
    assert first.stderr.count("agents.b.workspace") == 1
    assert running.run("status").returncode == 3


def test_a_stopped_daemon_is_told_and_is_none(running: Home) -> None:
    running.until(lambda: running.agent("a")["phase"] in ("working", "idle"), "a is up")
    assert running.json("status")["daemon"]["stopped"] is False
    pid = running.json("status")["daemon"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        running.until(lambda: running.json("status")["daemon"]["stopped"], "the stop is told")
        shown = running.run("status")
        assert shown.returncode == 3
        assert "daemon stopped" in shown.stdout.splitlines()[0]
        assert f"kill -CONT {pid}" in shown.stderr
        assert "last known state" in running.run("explain", "a").stderr
    finally:
        os.kill(pid, signal.SIGCONT)
    running.until(lambda: running.run("status").returncode == 0, "it supervises again")


def test_who_waits_for_an_order_that_is_refused_at_the_door_is_told(running: Home) -> None:
    order = send_order(running.state, "pause", "a", expires_after=-5.0)
    reader = LedgerReader(running.state.ledger)
    outcome = await_outcome(reader, order, 30.0)
    reader.close()
    assert outcome is not None
    assert not outcome.ok
    assert outcome.message.startswith("refused: it expired at ")
    assert running.agent("a")["phase"] != "paused"


def test_attach_finds_the_agents_pane_in_a_renamed_session(running: Home) -> None:
    running.until(lambda: running.agent("b")["phase"] == "waiting", "b asks")
    tmux = ["tmux", "-L", f"hhmrs-{running.fleet}", "-N"]

    def told(*words: str) -> str:
        done = subprocess.run([*tmux, *words], env=running.env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    told("rename-session", "-t", "=b", "mine")
    master, slave = os.openpty()
    words = [sys.executable, "-m", "hhmrs", "attach", "b", "--config", str(running.file)]
    env = running.env | {"TERM": "xterm"}
    with subprocess.Popen(
        words, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
    ) as process:
        os.close(slave)
        try:
            asked = ("list-clients", "-F", "#{session_name}", "-t", "=mine")
            running.until(lambda: told(*asked) == "mine", "it is attached")
            assert process.poll() is None
            told("detach-client", "-s", "=mine")
            assert process.wait(30) == 0
        finally:
            os.close(master)
            process.kill()
