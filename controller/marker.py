"""`.ESCALATION_REQUIRED` in a workspace: one line for each of its agents that waits for a person."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from ..config.workspaces import refuse_link

NAME = ".ESCALATION_REQUIRED"


def write_marker(workspace: Path, agent: str, incident: str, reason: str, at: str) -> None:
    """Add or replace the agent's line. Raises OSError, and WorkspaceError for a workspace that is a link now;
    a marker that is a link is refused."""
    refuse_link(workspace)
    lines = [line for line in _read(workspace) if line.get("agent") != agent]
    lines.append(
        {"agent": agent, "incident": incident, "reason": reason, "at": at, "next": f"hhmrs clear {agent}"}
    )
    _write(workspace, lines)


def clear_marker(workspace: Path, agent: str) -> None:
    """Remove the agent's line, and the file with its last one. Raises as `write_marker` does."""
    refuse_link(workspace)
    lines = [line for line in _read(workspace) if line.get("agent") != agent]
    if lines:
        _write(workspace, lines)
    else:
        with contextlib.suppress(FileNotFoundError):
            (workspace / NAME).unlink()


def _read(workspace: Path) -> list[dict[str, str]]:
    try:
        fd = os.open(workspace / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return []
    with os.fdopen(fd, encoding="utf-8", errors="replace") as file:
        found = []
        for line in file.read(65536).splitlines():
            with contextlib.suppress(ValueError):
                value = json.loads(line)
                if isinstance(value, dict):
                    found.append(value)
        return found


def _write(workspace: Path, lines: list[dict[str, str]]) -> None:
    # In place and without following links: the folder belongs to the agent, which is not trusted with
    # where our write lands.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
    fd = os.open(workspace / NAME, flags, 0o644)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
