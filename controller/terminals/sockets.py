"""The names of a fleet's tmux sockets: which there may be, and which are there."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

PER_SERVER = 100
"""Agents. With one line a second in every pane a server uses 2 % of a core at 100 panes, 25 % at 500."""
PER_SERVER_VARIABLE = "HHMRS_AGENTS_PER_SERVER"


def agents_per_server(environ: Mapping[str, str] = os.environ) -> int:
    """PER_SERVER, or what the environment asks for instead."""
    asked = environ.get(PER_SERVER_VARIABLE, "")
    return int(asked) if asked.isdecimal() and int(asked) > 0 else PER_SERVER


def socket_name(fleet: str, number: int = 1) -> str:
    """Name of the fleet's socket with this number; the first has none in its name."""
    return f"hhmrs-{fleet}" if number == 1 else f"hhmrs-{fleet}-{number}"


def socket_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where tmux keeps the sockets of this user."""
    return Path(environ.get("TMUX_TMPDIR") or "/tmp") / f"tmux-{os.getuid()}"  # noqa: S108 - tmux's own place


def sockets_on_disk(fleet: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Sockets that by their names may be the fleet's, first server first; nobody may listen on them."""
    pattern = _pattern(fleet)
    numbers: list[int] = []
    with contextlib.suppress(OSError), os.scandir(socket_folder(environ)) as entries:
        numbers += [
            int(found[1] or 1) for e in entries if (found := pattern.fullmatch(e.name)) and _is_socket(e)
        ]
    return [socket_name(fleet, number) for number in sorted(numbers)]


def _is_socket(entry: os.DirEntry[str]) -> bool:
    try:
        return stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode)
    except OSError:
        return False


def may_be(fleet: str, socket: str) -> bool:
    """Whether `socket` can name a socket of the fleet."""
    return bool(_pattern(fleet).fullmatch(socket))


def _pattern(fleet: str) -> re.Pattern[str]:
    return re.compile(re.escape(socket_name(fleet)) + r"(?:-([2-9]|[1-9][0-9]{1,4}))?")
