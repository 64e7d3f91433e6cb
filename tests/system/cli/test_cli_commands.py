"""The real command where no daemon runs: what it prints, what it writes, what it exits with."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hhmrs.controller.ports import Row
from hhmrs.healing.agent import AgentState, Attempt, Happening, Incident, Phase, Strategy
from hhmrs.healing.codec import dump_state

if TYPE_CHECKING:  # pytest gives the fixture; only the checkers need its name
    from hhmrs.tests.system.cli.home import Home

ACTING = (
    *("nudge a", "resume a", "restart a", "reassign a", "escalate a", "pause a", "unpause a", "stop a"),
    *("start a", "clear a", "send a hello", "attach a", "heal --check-now", "down", "down --kill"),
)
HOSTILE = "\x1b]0;owned\x07\x9b2J\r\u202egnirts"


def tree(home: Home) -> list[Path]:
    """Everything there is; only the folder where tmux looks for its sockets is tmux's own affair."""
    return sorted(path for path in home.root.rglob("*") if path.relative_to(home.root).parts[0] != "tmux")


@pytest.mark.parametrize("command", ACTING)
def test_who_acts_without_a_daemon_writes_nothing_and_exits_3(home: Home, command: str) -> None:
    before = tree(home)
    done = home.run(*command.split())
    assert done.returncode == 3
    assert "no daemon is running" in done.stderr
    assert "hhmrs up" in done.stderr
    assert done.stdout == ""
    assert tree(home) == before


@pytest.mark.parametrize("command", ["events", "explain a", "stats", "logs a", "check"])
def test_who_only_reads_exits_0_without_a_daemon(home: Home, command: str) -> None:
    before = tree(home)
    for json_too in ([], ["--json"]):
        assert home.run(*command.split(), *json_too).returncode == 0
    assert tree(home) == before


@pytest.mark.parametrize("command", ["pause b", "explain b", "logs b", "send b x", "attach b", "pause A"])
def test_an_unknown_agent_exits_2_and_names_the_nearest(home: Home, command: str) -> None:
    home.write(
        "  bb: {profile: shell, command: [sleep, '600']}\n  a: {profile: shell, command: [sleep, '1']}\n"
    )
    done = home.run(*command.split())
    assert done.returncode == 2
    assert "did you mean" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_name_like_no_other_is_answered_with_the_names_there_are(home: Home) -> None:
    done = home.run("logs", "zzz")
    assert done.returncode == 2
    assert "it has a" in done.stderr


def test_killing_agents_without_a_daemon_says_how(home: Home) -> None:
    done = home.run("down", "--kill")
    assert done.returncode == 3
    assert re.search(r"`hhmrs up .*`, then again `hhmrs down --kill .*`", done.stderr)


def test_a_pool_is_not_an_agent(home: Home) -> None:
    home.write("  w: {profile: shell, command: [sleep, '600'], count: 3}\n")
    done = home.run("pause", "w")
    assert done.returncode == 2
    assert "w-01 to w-03" in done.stderr


@pytest.mark.parametrize(
    "command", ["check", "up", "--daemon", "status", "events", "pause a", "heal --start-daemon"]
)
def test_a_bad_fleet_file_exits_2_with_one_line_per_problem(home: Home, command: str) -> None:
    home.file.write_text("fleet: f\nagents:\n  a: {profil: shell}\n  b: {parent: c, profile: shell}\n")
    done = home.run(*command.split())
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith(f"{home.file}:") for line in lines)
    assert any(line.startswith(f"{home.file}:3:7: ") for line in lines)


def test_check_tells_problems_as_json_too(home: Home) -> None:
    home.file.write_text("fleet: f\nagents: {a: {profil: shell}}\n")
    done = home.run("check", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"], document["problems"][0]["line"]) == (2, False, 2)


def test_no_fleet_file_says_how_to_get_one(home: Home) -> None:
    home.file.unlink()
    for words in (["status"], ["up"], []):
        done = home.run(*words)
        assert done.returncode == 2
        assert "hhmrs init" in done.stderr


def test_the_fleet_file_is_found_above_and_named_anywhere(home: Home) -> None:
    below = home.file.parent / "deep" / "er"
    below.mkdir(parents=True)
    for words in (["check", "--json"], ["--config", str(home.file), "check", "--json"]):
        done = subprocess.run([sys.executable, "-m", "hhmrs", *words], cwd=below, env=home.env, text=True,
                              capture_output=True, check=True)  # fmt: skip
        assert json.loads(done.stdout)["path"] == str(home.file.resolve())


def test_the_screen_needs_a_terminal(home: Home) -> None:
    done = home.run()
    assert done.returncode == 2
    assert "no terminal" in done.stderr
    assert not home.state.path.exists()


def test_check_prints_the_tree_and_the_worst_case(home: Home) -> None:
    home.write(
        "  boss: {profile: shell, command: [sleep, '600']}\n"
        "  w: {parent: boss, profile: shell, command: [sleep, '600'], count: 2, workspace: w}\n"
    )
    done = home.run("check")
    assert done.returncode == 0
    for words in ("└─ w-02", "boss", "worst case", "silence: 30 s x 2", "3 min"):
        assert words in done.stdout
    document = home.json("check")
    assert [a["id"] for a in document["agents"]] == ["boss", "w-01", "w-02"]
    assert document["agents"][0]["worst_case"][0]["seconds"] > 60


def test_check_gives_each_advice_once_with_all_whom_it_concerns(home: Home) -> None:
    home.write(
        "".join(f"  w{n}: {{command: [sleep, '60'], workspace: w{n}, prompt: go}}\n" for n in range(12))
    )
    said = [line for line in home.run("check").stdout.splitlines() if line.startswith("advice: ")]
    assert len(said) == 1
    assert said[0].startswith("advice: w0, w1, w2, w3, w4, w5, w6, w7 and 4 more: has no alternates, so")


def test_init_writes_a_valid_file_once(home: Home) -> None:
    home.file.unlink()
    first = home.run("init")
    assert (first.returncode, home.file.exists()) == (0, True)
    assert home.run("check").returncode == 0
    written = home.file.read_text()
    second = home.run("init")
    assert second.returncode == 2
    assert str(home.file) in second.stderr
    assert home.file.read_text() == written


def test_a_second_file_of_the_same_name_exits_2_and_names_both(home: Home) -> None:
    home.ledger().close()
    other = home.root / "other.yaml"
    shutil.copy(home.file, other)
    for command in ("check", "status", "pause a", "up"):
        done = home.run(*command.split(), "--config", str(other))
        assert done.returncode == 2, command
        assert str(other) in done.stderr
        assert str(home.file) in done.stderr


def test_a_fleet_that_was_run_before_is_known_by_its_name(home: Home) -> None:
    home.ledger().close()
    elsewhere = home.root / "home"
    words = [sys.executable, "-m", "hhmrs", "--fleet", home.fleet, "check", "--json"]
    done = subprocess.run(words, cwd=elsewhere, env=home.env, text=True, capture_output=True, check=True)
    assert json.loads(done.stdout)["fleet"] == home.fleet
    unknown = home.run("status", "--fleet", home.fleet[:-1])
    assert unknown.returncode == 2
    assert home.fleet in unknown.stderr


def broken(agent: str, message: str = "") -> Row:
    """An agent in trouble, as a daemon that is gone had written it down."""
    at = time.time()
    tries = (Attempt(1, Strategy.RESTART, at, "failure", "no fresh progress"),)
    incident = Incident(f"{agent}-i1", at, "exited", "killed", f"SIGKILL {message}", attempts=tries)
    state = AgentState(
        agent, Phase.EXITED, since=at, attempt=2, restarts=1, incident=incident, message=message
    )
    told = (
        Happening("agent_exited", agent, at, incident.id, {"status": None, "signal": 9, "cause": "killed"}),
        Happening("agent_incident", agent, at, incident.id,
                  {"symptom": "exited", "cause": "killed", "detail": incident.detail}),
    )  # fmt: skip
    return Row(agent, dump_state(state), told)


def test_status_of_a_fleet_that_was_never_started_claims_no_last_state(home: Home) -> None:
    told = home.run("status")
    assert told.returncode == 3
    assert "none of its agents was ever started" in told.stdout
    assert "last known" not in told.stdout


def test_status_without_a_daemon_is_the_last_known_state_and_exits_3(home: Home) -> None:
    ledger = home.ledger()
    ledger.append([broken("a")])
    ledger.close()
    done = home.run("status", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 3
    assert document["daemon"] is None
    assert document["agents"][0]["phase"] == "exited"
    assert document["incidents"][0]["outcome"] is None
    told = home.run("status")
    assert told.returncode == 3
    assert "exited" in told.stdout
    assert "a-i1" in told.stdout
    assert "last known" in told.stdout


def test_events_are_json_lines_from_the_first_unless_since(home: Home) -> None:
    ledger = home.ledger()
    ledger.append([broken("a")])
    ledger.close()
    done = home.run("events", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, events[0]["seq"]) == (0, 1)
    assert [e["type"] for e in events] == ["agent_exited", "agent_incident"]
    later = home.run("events", "--json", "--since", "1").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in later] == [2]


def test_text_of_others_steers_no_terminal(home: Home) -> None:
    ledger = home.ledger()
    ledger.append([broken("a", HOSTILE)])
    ledger.close()
    for command in ("status", "events", "explain a", "status --json", "events --json", "explain a --json"):
        said = home.run(*command.split()).stdout
        assert said.strip()
        assert said.replace("\n", "").isprintable(), command


def test_explain_tells_rule_evidence_and_what_comes_next(home: Home) -> None:
    ledger = home.ledger()
    ledger.append([broken("a")])
    ledger.beat({"a": {"output": time.time() - 5, "last_progress": time.time() - 7}})
    ledger.close()
    document = home.json("explain", "a")
    assert document["phase"] == "exited"
    assert "SIGKILL" in document["rule"]
    assert {e["kind"]: e["age_s"] for e in document["evidence"]}["output"] == pytest.approx(5, abs=60)
    assert "next:" in home.run("explain", "a").stdout


def test_stats_has_the_figures_that_scripts_rely_on(home: Home) -> None:
    ledger = home.ledger()
    ledger.append([broken("a")])
    ledger.close()
    document = home.json("stats")
    promised = {
        *("total_actions", "successful", "failed", "success_rate", "by_agent", "recent_actions", "reasons"),
        *("first_try_success", "recovery_success_rate", "failed_after_recovery", "average_recovery_time_s"),
        *("mttd_s", "mttr_s", "false_alarms"),
    }
    assert promised <= set(document)
    assert home.run("stats").stdout.strip()


def test_a_reader_that_leaves_early_is_no_trouble(home: Home) -> None:
    ledger = home.ledger()
    one = Happening("agent_phase", "a", time.time(), None, {"from": "x", "to": "y" * 200})
    ledger.append([Row("a", None, (one,) * 2000)])
    ledger.close()
    with home.start("events", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 0


def test_a_reader_that_was_never_there_is_no_trouble_either(home: Home) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with home.start("--help", stdout=writing) as process:
        os.close(writing)
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 0


def test_follow_shows_what_comes_and_ends_quietly(home: Home) -> None:
    ledger = home.ledger()
    ledger.append([broken("a")])
    with home.start("events", "--follow", "--json", "--since", "1") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["seq"] == 2
        ledger.append([Row("a", None, (Happening("agent_done", "a", time.time(), None, {}),))])
        assert json.loads(process.stdout.readline())["type"] == "agent_done"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == ""
    ledger.close()


def test_doctor_exits_1_only_when_something_must_be_mended(home: Home) -> None:
    sound = home.run("doctor", "--json")
    document = json.loads(sound.stdout)
    assert document["ok"] == (sound.returncode == 0)
    assert {f["level"] for f in document["findings"]} <= {"ok", "warn", "fail"}
    home.write("  a: {profile: shell, command: [no-such-program-here]}\n")
    sick = home.run("doctor")
    assert sick.returncode == 1
    assert "no-such-program-here" in sick.stdout
    assert "mend:" in sick.stdout


def test_a_terminal_without_unicode_gets_plain_signs(home: Home) -> None:
    ledger = home.ledger()
    ledger.append([broken("a", "naïve ☃")])
    ledger.close()
    home.env["PYTHONIOENCODING"] = "ascii"
    done = home.run("status")
    assert done.returncode == 3
    assert done.stdout.isascii()


def test_python_dash_m_and_both_scripts_are_one_program(home: Home) -> None:
    scripts = Path(sys.executable).parent
    said = {
        subprocess.run([*words, "--version"], env=home.env, text=True, capture_output=True, check=True).stdout
        for words in ([sys.executable, "-m", "hhmrs"], [str(scripts / "hhmrs")], [str(scripts / "hhmrs-tui")])
    }
    assert len(said) == 1
