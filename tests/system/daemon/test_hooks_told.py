"""Hooks installed by the command, run by a CLI as it would, taken in by a real daemon."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CALM = {"heartbeat_interval": "30s", "progress_timeout": "10m", "verify_within": "10s"}


class Cli:
    """The scripted CLI of one agent, seen from the side of what happens to it."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.config, self.fifo = config, folder / f"{config.parent.name}.fifo"
        os.mkfifo(self.fifo)

    def command(self, script: Callable[..., list[str]]) -> list[str]:
        return script("hooked", str(self.config), str(self.fifo))

    def hook(self, event: str, **said: Any) -> float:
        """It happens now; when that was."""
        with self.fifo.open("w") as told:
            at = time.monotonic()
            told.write(f"{event} {json.dumps(said)}\n")
        return at


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    places = {"claude": ("CLAUDE_CONFIG_DIR", "settings.json"), "codex": ("CODEX_HOME", "hooks.json")}
    found = {}
    for name, (variable, file) in places.items():
        monkeypatch.setenv(variable, str(tmp_path / name))
        found[name] = tmp_path / name / file
    return found


def test_waiting_turns_and_limits_are_known_within_a_second(
    make_fleet: Any, script: Callable[..., list[str]], homes: dict[str, Path], tmp_path: Path
) -> None:
    clis = {name: Cli(tmp_path, config) for name, config in homes.items()}
    agents = {name: {"profile": name, "command": cli.command(script)} for name, cli in clis.items()}
    fleet = make_fleet(agents, policy=CALM)
    for name in clis:
        done = fleet.run("hooks", "install", name)
        assert done.returncode == 0, done.stderr
    fleet.up()
    for name in clis:
        fleet.wait(lambda name=name: fleet.phase(name) in ("idle", "starting"), 10, "it is up")
    codex, claude = clis["codex"], clis["claude"]

    def follows(agent: str, phase: str, event: str, **said: Any) -> None:
        at = clis[agent].hook(event, **said)
        fleet.wait(lambda: fleet.phase(agent) == phase, 5, f"{event} -> {phase}")
        assert time.monotonic() - at < 1.0, f"{event} -> {phase}"

    codex.hook("SessionStart", session_id="0192-abcd", source="startup")
    follows("codex", "working", "UserPromptSubmit", prompt="x")
    follows(
        "codex", "waiting", "PermissionRequest", tool_name="Bash", tool_input={"command": "make 'it' \"now\""}
    )
    assert fleet.agent("codex")["message"] == "may it use Bash: make 'it' \"now\"?"
    follows("codex", "working", "PostToolUse", tool_name="Bash", tool_response="x" * 200_000)
    follows("codex", "idle", "Stop")
    assert fleet.state.path.exists()
    assert _state(fleet, "codex")["session"] == "0192-abcd"

    follows("claude", "working", "UserPromptSubmit", prompt="x")
    ends = time.time() + 900
    words = f"Claude AI usage limit reached|{int(ends)}"
    follows("claude", "limited", "StopFailure", error="rate_limit", error_message=words)
    assert _state(fleet, "claude")["limited_until"] == pytest.approx(ends, abs=5)
    claude.hook("Notification", notification_type="idle_prompt", message="it waits")
    follows("claude", "working", "UserPromptSubmit", prompt="go on")
    assert fleet.status()["incidents"] == []
    assert not fleet.events("agent_letter_refused")
    assert not fleet.events("operator_order")


def test_a_hook_of_the_attempt_before_changes_nothing(
    make_fleet: Any, script: Callable[..., list[str]], homes: dict[str, Path], tmp_path: Path
) -> None:
    cli = Cli(tmp_path, homes["codex"])
    fleet = make_fleet({"codex": {"profile": "codex", "command": cli.command(script)}}, policy=CALM)
    assert fleet.run("hooks", "install", "codex").returncode == 0
    fleet.up()
    fleet.wait(lambda: fleet.phase("codex") in ("idle", "starting"), 10, "it is up")
    line = json.loads(homes["codex"].read_text())["hooks"]["PermissionRequest"][0]["hooks"][0]["command"]
    env = {"HHMRS_INBOX": str(fleet.state.inbox_of("codex")), "HHMRS_AGENT": "codex", "HHMRS_ATTEMPT": "0"}
    subprocess.run(["sh", "-c", line], input=b"{}", env=os.environ | env, check=True)
    (refused,) = fleet.wait_event("agent_letter_refused", agent="codex")
    assert "attempt 0" in str(refused.data["reason"])
    assert fleet.phase("codex") != "waiting"
    assert fleet.run("hooks", "remove", "codex").returncode == 0
    assert not homes["codex"].parent.exists()


def _state(fleet: Any, agent: str) -> dict[str, Any]:
    from hhmrs.controller.ledger.writer import LedgerReader

    reader = LedgerReader(fleet.state.ledger)
    try:
        found: dict[str, Any] = reader.states()[agent]
        return found
    finally:
        reader.close()
