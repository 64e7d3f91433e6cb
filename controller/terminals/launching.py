"""The other side of the launcher: the words that start it, and what it reports."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...config.paths import StateDir
from ..ports import Identity
from ..processes.process_table import TICK, boot, content, read_row

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
    born: tuple[int, int] | None = None
    """Of the command: its start in ticks since the boot, and which boot that was; None: nobody knows."""
    launcher: tuple[int, int] | None = None
    """Pid and start of the launcher, if it inherits what the command lets go."""
    left: tuple[tuple[int, int], ...] = ()
    """Pid and start of what the command had let go when it ended."""

    def who(self, identify: Callable[[int], Identity | None]) -> Identity | None:
        """The command, if it lives. Who came later to its number, say since the host was started anew, is
        somebody else."""
        if self.pid is None or self.over:
            return None
        found = identify(self.pid)
        if self.born is not None:
            row = read_row(self.pid)
            same = row is not None and (round(row.started / TICK), boot()) == self.born
            return found if same else None
        # The launcher writes as soon as the command exists.
        return found if found and found.created <= self.written + WRITES_WITHIN else None

    def strays(self, identify: Callable[[int], Identity | None]) -> list[Identity]:
        """Who was started by the command, directly or not, and let go, and lives, whatever it is called."""
        if self.born is None or boot() != self.born[1]:
            return []
        known = list(self.left)
        if self.launcher is not None and _is_there(*self.launcher):
            pid = self.launcher[0]
            children = map(int, content(f"/proc/{pid}/task/{pid}/children").split())
            known += [(row.pid, round(row.started / TICK)) for row in map(read_row, children) if row]
        found = (identify(pid) for pid, ticks in known if pid != self.pid and _is_there(pid, ticks))
        return [who for who in found if who is not None]

    @property
    def over(self) -> bool:
        return self.status is not None or self.signal is not None


def _is_there(pid: int, ticks: int) -> bool:
    row = read_row(pid)
    return row is not None and not row.gone and round(row.started / TICK) == ticks


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
    """The newest report of the agent's launcher, or None while there is none that can be read."""
    found: dict[str, int] = {}
    pairs: dict[str, list[tuple[int, int]]] = {"launcher": [], "left": []}
    try:
        fd = os.open(report_path(state, agent), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            seen = os.fstat(fd)
            # The agent's own hand may have put something else there.
            raw = os.read(fd, 4096) if stat.S_ISREG(seen.st_mode) else b""
        finally:
            os.close(fd)
    except OSError:
        return None
    for line in raw.decode("ascii", "replace").splitlines():
        word, _, number = line.partition(" ")
        with contextlib.suppress(ValueError):
            if word in pairs:
                pid, ticks = map(int, number.split())
                pairs[word].append((pid, ticks))
            else:
                found[word] = int(number)
    if "attempt" not in found:
        return None
    born = (found["started"], found["boot"]) if {"started", "boot"} <= found.keys() else None
    return Report(
        found["attempt"],
        found.get("pid"),
        found.get("exit"),
        found.get("signal"),
        seen.st_mtime,
        born,
        next(iter(pairs["launcher"]), None),
        tuple(pairs["left"]),
    )
