"""What an agent's process really has in its environment, in a real tmux under a real daemon."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

FOREIGN = {
    "CODEX_HOME": "/nobody/codex", "OPENAI_API_KEY": "sk-of-another", "GEMINI_CLI": "1", "AMP_API_KEY": "amp",
    "CLAUDECODE": "1", "CLAUDE_CODE_ENTRYPOINT": "cli", "DATABASE_URL": "db", "HHMRS_CHECKPOINT": "/old.json",
    "TMUX_PANE": "%77", "TERM_PROGRAM": "somewhere",
}  # fmt: skip
SLEEP = ["sh", "-c", "exec sleep 600"]
"""Whatever arguments follow."""
OWN = {"ANTHROPIC_AUTH_TOKEN": "of-its-own", "CLAUDE_CONFIG_DIR": "/h/claude", "HTTPS_PROXY": "http://p:1"}


def environ_of(pid: int) -> dict[str, str]:
    raw = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in raw if "=" in entry)


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell in which every agent CLI was used before."""
    for name, value in (FOREIGN | OWN).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("crowded")
def test_no_variable_of_another_cli_reaches_an_agent(make_fleet: Any) -> None:
    fleet = make_fleet(
        {
            "claude": {"profile": "claude", "command": SLEEP, "liveness": ["process"]},
            "other": {"profile": "mine", "command": SLEEP, "liveness": ["process"]},
            "plain": {"command": SLEEP, "liveness": ["process"]},
            "open": {"profile": "all", "command": SLEEP, "liveness": ["process"]},
        },
        profiles={
            "mine": {"like": "codex", "pass_env": ["DATABASE_*"], "env": {"KEY": "${ANTHROPIC_AUTH_TOKEN}"}},
            "all": {"like": "claude", "pass_env": ["*"]},
        },
    )
    fleet.up()
    fleet.wait(lambda: all(fleet.agent(name)["pid"] for name in ("claude", "other", "plain", "open")))
    claude, other, plain, opened = (
        environ_of(fleet.pid(name)) for name in ("claude", "other", "plain", "open")
    )
    assert OWN.items() <= claude.items()
    assert not FOREIGN.keys() & (claude.keys() - {"TMUX_PANE", "TERM_PROGRAM"})
    assert {claude["HHMRS_AGENT"], claude["HHMRS_FLEET"]} == {"claude", fleet.name}
    assert {"CODEX_HOME", "OPENAI_API_KEY", "DATABASE_URL"} <= other.keys()
    assert other["KEY"] == "of-its-own", "a reference is looked up in all that the daemon has"
    assert not {"ANTHROPIC_AUTH_TOKEN", "CLAUDE_CONFIG_DIR", "AMP_API_KEY"} & other.keys()
    assert {"DATABASE_URL", "CODEX_HOME", "ANTHROPIC_AUTH_TOKEN"} <= plain.keys(), "a person's own program"
    assert {"DATABASE_URL", "CODEX_HOME"} <= opened.keys()
    assert "CLAUDECODE" not in opened, "what is unset stays unset"
    for env in (claude, other, plain, opened):
        assert env.get("TMUX_PANE") != "%77"
        assert env.get("TERM_PROGRAM") != "somewhere"


@pytest.mark.usefixtures("crowded")
def test_neither_the_tmux_server_nor_what_it_starts_by_itself_holds_a_secret(make_fleet: Any) -> None:
    fleet = make_fleet({"claude": {"profile": "claude", "command": SLEEP, "liveness": ["process"]}})
    fleet.up()
    fleet.wait(lambda: fleet.agent("claude")["pid"])
    server = int(fleet.tmux("display-message", "-p", "#{pid}"))
    secrets = {"OPENAI_API_KEY", "AMP_API_KEY", "ANTHROPIC_AUTH_TOKEN", "DATABASE_URL", "CODEX_HOME"}
    assert not secrets & environ_of(server).keys()
    told = {line.partition("=")[0] for line in fleet.tmux("show-environment", "-g").splitlines()}
    assert not secrets & told
    with fleet.visitor("claude"):
        fleet.wait(lambda: "claude" in fleet.tmux("list-clients", "-F", "#{session_name}"))
        fleet.tmux("split-window", "-d", "-t", "=claude:", "sleep 601")
        deadline = time.monotonic() + 10
        while len(pids := fleet.tmux("list-panes", "-t", "=claude:", "-F", "#{pane_pid}").split()) < 2:
            assert time.monotonic() < deadline
        assert not secrets & environ_of(int(pids[1])).keys(), "a person's split inherits no key either"
