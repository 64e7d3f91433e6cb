"""Processes, named so that they cannot be mistaken, and ended so that none is left (ports.Processes)."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Mapping

import psutil

from .measuring import Measure, Meter, rooted, same
from .ports import Identity
from .process_table import (
    ON_PROC,
    ProcessRow,
    Table,
    ancestors,
    below,
    children_of,
    moved_bytes,
    read_row,
    read_table,
    tagged,
)

__all__ = ["ProcessTable", "Measure", "alive", "identify", "same"]

TAG = "HHMRS_TOKEN"
_KILL_WAIT = 3.0
"""How long a killed process may take to vanish before it counts as a survivor (seconds)."""
_BOOT = psutil.boot_time()
"""Read once: the system moves it with its clock, and a process must not change its name meanwhile."""


def identify(pid: int) -> Identity | None:
    """Who has this pid now (a zombie still has it), or None."""
    row = _row(pid)
    return _identity(row) if row else None


def alive(who: Identity) -> bool:
    """Whether that very process runs or could run again (stopped); a zombie does not."""
    row = _row(who.pid)
    return row is not None and not row.gone and same(_identity(row), who)


class ProcessTable:
    """This host's process table. `spared` gives pids that are never signalled, such as our tmux servers;
    neither are we, what we run under, pid 1, and anything that calls itself a tmux server."""

    def __init__(self, spared: Callable[[], Collection[int]] = tuple) -> None:
        self._spared = spared
        self._meter = Meter(_since_boot, moved_bytes)

    def identify(self, pid: int) -> Identity | None:
        return identify(pid)

    def alive(self, who: Identity) -> bool:
        return alive(who)

    def tree(self, who: Identity, *, tag: str | None = None) -> list[Identity]:
        """`who` and its descendants, deepest first, with what carries the tag; never what must be spared."""
        return self._find([who], tag)

    def end_tree(self, who: Identity, *, grace: float, tag: str | None = None) -> list[Identity]:
        """End `who`, all below it and all that carry the tag; wait until they are seen gone.

        `grace`: seconds between TERM and KILL. Returns those that live on: in state D, or not ours to end."""
        survivors = self._end([who], grace, tag)
        return survivors if who in survivors or not alive(who) else [*survivors, who]

    def end_tagged(self, tag: str, *, grace: float) -> list[Identity]:
        """Like end_tree where no root is known any more."""
        return self._end([], grace, tag)

    def measure(self, roots: Mapping[str, Identity]) -> dict[str, Measure]:
        """What each tree did since the last call; roots that are gone are left out."""
        table = _table()
        return self._meter.look(rooted(roots, table, _identity), table)

    def _find(self, roots: Iterable[Identity], tag: str | None) -> list[Identity]:
        table = _table()
        children = children_of(table)
        spared = self._never(table)
        tops = [r.pid for r in roots if (row := table.get(r.pid)) and same(_identity(row), r)]
        if tag is not None:
            tops += sorted(_tagged(table, tag, spared))
        order: dict[int, None] = {}
        for top in tops:
            if top in spared:
                continue
            # An agent may have started a fleet of its own: what that runs is not the agent's work.
            for pid in below(top, children, closed=spared):
                order.pop(pid, None)
                order[pid] = None
        return [_identity(table[pid]) for pid in order if not table[pid].gone]

    def _never(self, table: Table) -> set[int]:
        servers = {row.pid for row in table.values() if row.name.startswith("tmux: server")}
        return {0, 1} | servers | set(self._spared()) | ancestors(os.getpid(), table)

    def _end(self, roots: list[Identity], grace: float, tag: str | None) -> list[Identity]:
        known: dict[Identity, None] = {}
        self._ask_to_end(known, self._find(roots, tag))
        end = time.monotonic() + grace
        while time.monotonic() < end:
            # Whatever is born meanwhile is found through those that still live, and through the tag.
            fresh = self._find([*roots, *known], tag) or self._look_again([*roots, *known], tag)
            if not fresh:
                return []
            self._ask_to_end(known, [who for who in fresh if who not in known])
            _wait_gone(fresh, min(0.1, max(0.0, end - time.monotonic())))
        return self._kill([*roots, *known], tag)

    def _look_again(self, roots: Iterable[Identity], tag: str | None) -> list[Identity]:
        """A child born while the table was read, of a parent that died just then, is in no single look."""
        time.sleep(0.005)
        return self._find(roots, tag)

    def _ask_to_end(self, known: dict[Identity, None], victims: list[Identity]) -> None:
        for who in victims:
            known[who] = None
            _signal(who, signal.SIGTERM)
            row = _row(who.pid)
            if row is not None and row.stopped:
                # It hears TERM only once it runs again; sent before TERM, CONT would let it work on.
                _signal(who, signal.SIGCONT)

    def _kill(self, roots: list[Identity], tag: str | None) -> list[Identity]:
        end = time.monotonic() + _KILL_WAIT
        known = dict.fromkeys(roots)
        while True:
            victims = self._find(known, tag) or self._look_again(known, tag)
            if not victims or time.monotonic() > end:
                return victims
            known.update(dict.fromkeys(victims))
            for who in reversed(victims):  # parents first: the dead have no more children
                _signal(who, signal.SIGKILL)
            _wait_gone(victims, 0.25)


def _wait_gone(victims: Iterable[Identity], within: float) -> None:
    """Return when none lives or `within` seconds are over. psutil.wait_procs would wait for zombies too."""
    end, pause = time.monotonic() + within, 0.002
    while any(alive(who) for who in victims) and time.monotonic() < end:
        time.sleep(min(pause, max(0.0, end - time.monotonic())))
        pause = min(pause * 2, 0.05)


def _signal(who: Identity, number: signal.Signals) -> None:
    """Send `number` to exactly that process; a gone one is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
            if alive(who):
                os.kill(who.pid, number)
            return
        # The descriptor is taken first: after the check no other process can have slipped under the pid.
        handle = os.pidfd_open(who.pid)
        try:
            if alive(who):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def _since_boot() -> float:
    """Seconds, on the clock that start times are on; `_BOOT` is cut to whole seconds by the system."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if ON_PROC else time.time() - _BOOT


def _identity(row: ProcessRow) -> Identity:
    return Identity(row.pid, round(_BOOT + row.started, 2))


def _row(pid: int) -> ProcessRow | None:
    if pid <= 0:
        return None
    if ON_PROC:
        return read_row(pid)
    try:
        return _from_psutil(psutil.Process(pid))
    except psutil.Error:
        return None


def _table() -> dict[int, ProcessRow]:
    if ON_PROC:
        return read_table()
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found[process.pid] = _from_psutil(process)
    return found


def _from_psutil(process: psutil.Process) -> ProcessRow:
    with process.oneshot():
        state = {psutil.STATUS_ZOMBIE: "Z", psutil.STATUS_DEAD: "X", psutil.STATUS_STOPPED: "T"}
        cpu = process.cpu_times()
        return ProcessRow(
            process.pid, process.ppid(), process.name(), state.get(process.status(), "S"),
            process.create_time() - _BOOT, cpu.user + cpu.system, process.memory_info().rss,
            process.num_threads(),
        )  # fmt: skip


def _tagged(table: Table, tag: str, spared: Collection[int]) -> set[int]:
    wanted = f"{TAG}={tag}"
    if ON_PROC:
        return tagged(table, os.fsencode(wanted), spared.__contains__)
    found = set()
    for pid in table.keys() - set(spared):
        with contextlib.suppress(psutil.Error):
            if psutil.Process(pid).environ().get(TAG) == tag:
                found.add(pid)
    return found
