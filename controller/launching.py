"""The other side of the launcher: the words that start it, and what it reports."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.paths import StateDir
from .ports import Identity

WRITES_WITHIN = 5.0
"""Seconds by which a clock that was set meanwhile may put the start of the command after the writing."""
_LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True)
class Report:
    """What the launcher of `attempt` says: the command's pid (None: it could not be run) and its end."""

    attempt: int
    pid: int | None = None
    status: int | None = None
    signal: int | None = None
    written: float = 0.0
    """When the last line of it was written, in seconds since the epoch."""

    def who(self, identify: Callable[[int], Identity | None]) -> Identity | None:
        """The command, if it lives. Who came later to its number, say since the host was started anew, is
        somebody else: the launcher writes as soon as the command exists."""
        found = identify(self.pid) if self.pid is not None and not self.over else None
        return found if found and found.created <= self.written + WRITES_WITHIN else None

    @property
    def over(self) -> bool:
        return self.status is not None or self.signal is not None


def report_path(state: StateDir, agent: str) -> Path:
    return state.runs / agent


def launcher_words(
    state: StateDir, agent: str, attempt: int, token: str, command: Sequence[str], env: Mapping[str, str]
) -> list[str]:
    """The argv that runs `command` under the launcher, and forgets what an earlier one reported."""
    path = report_path(state, agent)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    locale = "--" if "LC_CTYPE" in env else "--no-ctype"
    return [sys.executable, "-I", "-S", str(_LAUNCHER), str(path), str(attempt), token, locale, *command]


def read_report(state: StateDir, agent: str) -> Report | None:
    """The newest report of the agent's launcher, or None while there is none."""
    try:
        fd = os.open(report_path(state, agent), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, encoding="ascii", errors="replace") as file:
        found: dict[str, int] = {}
        written = os.fstat(fd).st_mtime
        for line in file.read(4096).splitlines():
            word, _, number = line.partition(" ")
            with contextlib.suppress(ValueError):
                found[word] = int(number)
    if "attempt" not in found:
        return None
    return Report(found["attempt"], found.get("pid"), found.get("exit"), found.get("signal"), written)
