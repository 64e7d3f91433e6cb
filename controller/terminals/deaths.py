"""The end of a process, told within milliseconds (pidfd), and what tmux knows about how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..ports import Identity
from ..processes.processes import alive
from .launching import Report
from .tmux_control import ControlRefused
from .tmux_words import Row, panes_of, read_rows

_PAUSES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512)
"""Seconds between the looks for a status that is not there yet."""

_REPORT_PAUSES = (0.001, 0.001, 0.002, 0.003, 0.005, 0.008, 0.02)
_DRAIN = (0.001, 0.002, 0.003, 0.004, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""Seconds between the looks at a pane until it shows its launcher's mark, or is closed."""
_RESERVE = 256
"""Descriptors left to all else that a daemon opens; the processes that would need them are polled."""

Said = Callable[[str], Report | None]
"""The report of an agent's launcher."""
Ask = Callable[..., Awaitable[list[str]]]
"""Runs one tmux command, given as words; raises ControlRefused, ControlLost."""


class DeathWatch:
    """Calls `told(name)` on the loop, once, when the process watched under `name` has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, told: Callable[[str], None]) -> None:
        self._loop = loop
        self._told = told
        self._who: dict[str, Identity] = {}
        self._fds: dict[str, int] = {}
        self._why = ""

    @property
    def why(self) -> str:
        """Why some are polled, and how to mend it; empty while the kernel tells of all."""
        return self._why if len(self._fds) < len(self._who) else ""

    def watch(self, name: str, who: Identity) -> None:
        self.forget(name)
        self._who[name] = who
        try:
            fd = os.pidfd_open(who.pid)
        except ProcessLookupError:
            self._loop.call_soon(self._over, name, who)
            return
        except (AttributeError, OSError) as e:
            self._why = f"no pidfd: {e}"
            return  # `poll` sees it
        if fd >= _room():
            os.close(fd)
            self._why = "the limit of open files is too low for all agents; raise it (`ulimit -n 8192`)"
            return
        if not alive(who):
            os.close(fd)
            self._loop.call_soon(self._over, name, who)
            return
        self._fds[name] = fd
        self._loop.add_reader(fd, self._over, name, who)

    def poll(self) -> None:
        """Look after those that could not be watched."""
        if len(self._fds) == len(self._who):
            return
        for name in [n for n in self._who if n not in self._fds]:
            if not alive(self._who[name]):
                self._over(name, self._who[name])

    def forget(self, name: str) -> None:
        self._who.pop(name, None)
        fd = self._fds.pop(name, None)
        if fd is not None:
            self._loop.remove_reader(fd)
            os.close(fd)

    def close(self) -> None:
        for name in list(self._who):
            self.forget(name)

    def _over(self, name: str, who: Identity) -> None:
        if self._who.get(name) == who:
            self.forget(name)
            self._told(name)


def _room() -> int:
    """The first descriptor that is not ours to take; the system gives the lowest that is free."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft // 2, soft - _RESERVE) if soft != resource.RLIM_INFINITY else 1 << 30


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended, both None when nobody knows; `row` is its pane if it is still there."""

    status: int | None
    signal: int | None
    row: Row | None

    @property
    def lost(self) -> bool:
        """Its terminal is gone: the pane itself, or the launcher that held it open, which said no more."""
        return self.row is None or (self.row.closed and self.status is None and self.signal is None)


async def ending_of(ask: Ask, said: Said, agent: str, attempt: int) -> Ending:
    """How this attempt of the agent ended: by its launcher's word, else by tmux's. Raises ControlLost."""
    for pause in _REPORT_PAUSES:
        report = said(agent)
        if report is None or report.attempt != attempt:
            break
        if report.over:
            return Ending(report.status, report.signal, await _drained(ask, agent, attempt))
        await asyncio.sleep(pause)
    row = await _look(ask, agent, attempt)
    for pause in _PAUSES:
        known = row is not None and (row.view.status is not None or row.view.signal is not None)
        # With the terminal still open its last lines may not have been read yet.
        if row is None or (known and (row.closed or row.marked)):
            break
        if not known:
            # Some tmux builds before 3.6 lose SIGCHLD and would never learn the status by themselves.
            with contextlib.suppress(OSError):
                os.kill(row.server, signal.SIGCHLD)
        await asyncio.sleep(pause)
        row = await _look(ask, agent, attempt)
    report = said(agent)
    if report is not None and report.attempt == attempt:
        # How the launcher itself ended (somebody killed it) says nothing of how its command did.
        return Ending(report.status, report.signal, row)
    return Ending(row.view.status, row.view.signal, row) if row else Ending(None, None, None)


async def _drained(ask: Ask, agent: str, attempt: int) -> Row | None:
    """The pane once tmux has read it to the end: the launcher's mark stands behind all that was printed. A
    busy machine may take its time for that; two looks that show the same prove nothing."""
    row = None
    for pause in _DRAIN:
        await asyncio.sleep(pause)
        row = await _look(ask, agent, attempt)
        if row is None or row.closed or row.marked:
            break
    return row


async def _look(ask: Ask, agent: str, attempt: int) -> Row | None:
    try:
        lines = await ask(*panes_of(agent))
    except ControlRefused:
        return None
    rows = (row for row in read_rows(lines) if row.view.agent == agent)
    return next((row for row in rows if row.view.attempt == attempt), None)
