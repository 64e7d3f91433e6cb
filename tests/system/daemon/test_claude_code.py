"""Claude Code by its documented protocol, under a real daemon: the profile `claude` as it is shipped, and an
agent that speaks its screen, transcript and hooks (tests/agents/claude_code.py; no account, no network)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hhmrs.tests.system.daemon.test_environments import environ_of

POLICY: dict[str, Any] = {
    "heartbeat_interval": "20s", "progress_timeout": "2m", "verify_within": "10s", "max_restarts": 2,
    "backoff": {"initial": "50ms", "factor": 1, "max": "100ms", "jitter": 0},
}  # fmt: skip
AGENT = [sys.executable, str(Path(__file__).parents[2] / "agents" / "claude_code.py")]
BYPASS = "--dangerously-skip-permissions"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its folder of settings and transcripts."""
    folder = tmp_path / "claude config"
    folder.mkdir()
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(folder))
    return folder


def agent(prompt: str, *words: str) -> dict[str, Any]:
    return {"profile": "claude", "command": [*AGENT, *words], "prompt": prompt, "workspace": "w"}


def transcripts(config: Path) -> dict[str, list[dict[str, Any]]]:
    """Session id -> its lines."""
    files = config.glob("projects/*/*.jsonl")
    return {file.stem: [json.loads(line) for line in file.read_text("utf-8").splitlines()] for file in files}


def told(config: Path, session: str) -> list[str]:
    """What the model of this session was told by its user."""
    said = [line["message"]["content"] for line in transcripts(config)[session] if line["type"] == "user"]
    return [text for text in said if isinstance(text, str)]


def answered_with(config: Path) -> str:
    """The last words of the only session there is."""
    (lines,) = transcripts(config).values()
    last = lines[-1]["message"]
    return str(last["content"][0].get("text")) if last["role"] == "assistant" else ""


def test_a_permission_is_waited_for_and_answered_once(make_fleet: Any, config: Path) -> None:
    fleet = make_fleet({"c": agent("PERM echo yes >allowed.txt")}, policy=POLICY)
    fleet.up()
    fleet.wait(lambda: fleet.phase("c") == "waiting", 20, "it asks")
    refused = fleet.run("send", "c", "go on")
    assert refused.returncode == 1
    assert not (fleet.folder / "w" / "allowed.txt").exists()
    answered = fleet.run("send", "c", "--answer", "--key", "1")
    assert answered.returncode == 0, answered.stderr
    fleet.wait((fleet.folder / "w" / "allowed.txt").exists, 10, "the command ran")
    fleet.wait(lambda: fleet.phase("c") == "working", 20, "it asks no more")
    fleet.wait(lambda: answered_with(config) == "Done.", 10, "its turn is over")
    assert fleet.events("hhmrs_nudge", "hhmrs_resume", "hhmrs_restart") == []
    tools = [line for line in next(iter(transcripts(config).values())) if "tool_result" in json.dumps(line)]
    assert len(tools) == 1


def test_killed_in_the_middle_it_is_resumed_in_the_same_session(
    make_fleet: Any, config: Path, is_gone: Callable[[int], bool]
) -> None:
    fleet = make_fleet({"c": agent("build it all\nSTEPS 40 out", BYPASS)}, policy=POLICY)
    fleet.up()
    out = fleet.folder / "w" / "out"
    fleet.wait(lambda: len(list(out.glob("*.txt"))) >= 3, 30, "three files")
    first = fleet.pid("c")
    (session,) = transcripts(config)
    os.kill(first, signal.SIGKILL)
    (recovered,) = fleet.wait_event("hhmrs_recovered", agent="c", deadline=40)
    assert is_gone(first)
    (resumed,) = fleet.events("hhmrs_resume", agent="c")
    assert resumed.data["cause"] == "killed"
    assert list(transcripts(config)) == [session], "no session beside it"
    command = Path(f"/proc/{fleet.pid('c')}/cmdline").read_bytes().decode().split("\0")
    assert command[command.index("--resume") + 1] == session
    assert environ_of(fleet.pid("c"))["CLAUDE_CONFIG_DIR"] == str(config)
    fleet.wait(lambda: len(list(out.glob("*.txt"))) == 40, 60, "all of them")
    earlier, later = told(config, session)
    assert earlier.startswith("build it all")
    assert "interrupted" in later
    written = [line for line in transcripts(config)[session] if '"name": "Write"' in json.dumps(line)]
    assert len(written) <= 41, "no file twice, but the one it was at when it was killed"
    assert recovered.data["proof"]


def test_a_usage_limit_is_waited_out_until_the_time_that_it_names(make_fleet: Any, config: Path) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=2, minutes=5)).replace(second=0, microsecond=0)
    when = f"{ends:%I:%M%p} (UTC)".lower().lstrip("0").replace("(utc)", "(UTC)")
    fleet = make_fleet({"c": agent(f"EUSAGE {when}", BYPASS)}, policy=POLICY)
    fleet.up()
    fleet.wait(lambda: fleet.phase("c") == "limited", 20, "its limit")
    until = datetime.fromisoformat(fleet.agent("c")["limited_until"])
    assert abs(until - ends) <= timedelta(seconds=61), (until, ends)
    assert fleet.events("hhmrs_resume", "hhmrs_restart", "hhmrs_reassign", "hhmrs_failure") == []
    assert len(told(config, next(iter(transcripts(config))))) == 1


def test_who_is_not_logged_in_is_a_persons_matter_at_once(make_fleet: Any, config: Path) -> None:
    fleet = make_fleet({"c": agent("E401", BYPASS)}, policy=POLICY)
    fleet.up()
    (failure,) = fleet.wait_event("hhmrs_failure", agent="c", deadline=30)
    assert failure.data["cause"] == "auth"
    assert fleet.phase("c") == "escalated"
    assert fleet.events("hhmrs_resume", "hhmrs_restart", "hhmrs_nudge") == []
    assert len(transcripts(config)) == 1, "no doomed start after it"


def test_an_id_that_is_gone_is_no_end(make_fleet: Any, config: Path) -> None:
    """Its transcript was deleted: the resume ends with 1, the next attempt begins anew with the handoff."""
    fleet = make_fleet({"c": agent("STEPS 40 out", BYPASS)}, policy=POLICY)
    fleet.up()
    out = fleet.folder / "w" / "out"
    fleet.wait(lambda: len(list(out.glob("*.txt"))) >= 2, 30, "two files")
    (session,) = transcripts(config)
    pid = fleet.pid("c")
    os.kill(pid, signal.SIGSTOP)
    shutil.rmtree(config / "projects")
    os.kill(pid, signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered", agent="c", deadline=40)
    assert session not in transcripts(config)
    (later,) = transcripts(config)
    assert "Handoff" in told(config, later)[0]


def test_its_hooks_tell_what_its_screen_would(make_fleet: Any, config: Path) -> None:
    """Wired by `hooks install`, run by the agent, and gone again without a trace."""
    settings = config / "settings.json"
    settings.write_text('{"theme":  "dark"}\n', encoding="utf-8")
    quiet = {
        "claude": {
            "screens": {name: {"phase": "ready", "pattern": "(?!)"} for name in ("permission", "login")}
        }
    }
    fleet = make_fleet({"c": agent("PERM echo yes >allowed.txt")}, policy=POLICY, profiles=quiet)
    assert fleet.run("hooks", "install", "claude").returncode == 0
    assert json.loads(settings.read_text("utf-8"))["theme"] == "dark"
    fleet.up()
    fleet.wait(lambda: fleet.phase("c") == "waiting", 20, "its hook says that it asks")
    fleet.tmux("send-keys", "-t", "=c:", "1")
    fleet.wait((fleet.folder / "w" / "allowed.txt").exists, 10, "the command ran")
    fleet.wait(lambda: fleet.phase("c") != "waiting", 10, "its hook says that it goes on")
    fleet.run("down", "--kill")
    assert fleet.run("hooks", "remove", "claude").returncode == 0
    assert settings.read_text("utf-8") == '{"theme":  "dark"}\n'
