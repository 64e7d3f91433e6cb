"""`.ESCALATION_REQUIRED` in a workspace: one line for each of its agents that waits for a person."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from pathlib import Path

from ...config.workspaces import refuse_link

NAME = ".ESCALATION_REQUIRED"
_DRAFT = f"{NAME}.hhmrs~"
"""A name that is noise in a workspace."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_one_at_a_time = threading.Lock()
"""Several agents of one workspace may be given up in the same moment, each in a thread of its own."""


def write_marker(workspace: Path, agent: str, incident: str, reason: str, at: str) -> None:
    """Add or replace the agent's line. Raises OSError, and WorkspaceError for a workspace that is a link now;
    a marker that is a link is refused."""
    refuse_link(workspace)
    line = {"agent": agent, "incident": incident, "reason": reason, "at": at, "next": f"hhmrs clear {agent}"}
    with _one_at_a_time:
        _write(workspace, [*_of_others(workspace, agent), line])


def clear_marker(workspace: Path, agent: str) -> None:
    """Remove the agent's line, and the file with its last one. Raises as `write_marker` does."""
    refuse_link(workspace)
    with _one_at_a_time:
        if lines := _of_others(workspace, agent):
            _write(workspace, lines)
        else:
            with contextlib.suppress(FileNotFoundError):
                (workspace / NAME).unlink()


def _of_others(workspace: Path, agent: str) -> list[dict[str, str]]:
    return [line for line in _read(workspace) if line.get("agent") != agent]


def _read(workspace: Path) -> list[dict[str, str]]:
    try:
        fd = os.open(workspace / NAME, _FILE)
    except FileNotFoundError:
        return []
    try:
        # Anything else is no marker of ours; where a new one cannot take its place, that will be told.
        raw = os.read(fd, 65536) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)
    found = []
    for line in raw.decode("utf-8", "replace").splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(line)
            if isinstance(value, dict):
                found.append(value)
    return found


def _write(workspace: Path, lines: list[dict[str, str]]) -> None:
    # A new file in the place of the old one: the folder belongs to the agent, which is not trusted with where
    # our write lands. What it put there, were it a second name of another file, is left as it was.
    folder = os.open(workspace, _FOLDER)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_DRAFT, dir_fd=folder)
        with os.fdopen(os.open(_DRAFT, _NEW, 0o644, dir_fd=folder), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        os.rename(_DRAFT, NAME, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(_DRAFT, dir_fd=folder)
        raise
    finally:
        os.close(folder)
