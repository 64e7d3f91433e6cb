"""What the process trees did between two looks: CPU, busy children, memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .ports import Identity
from .process_table import ProcessRow, Table, below, children_of, moved_bytes


@dataclass(frozen=True, slots=True)
class Measure:
    """One look at one tree: the values of evidence.ProcessMeasured. Ages in seconds."""

    cpu_grew: bool
    busy_children: tuple[float, ...]
    stopped: bool
    cpu_pct: float
    memory_mb: float
    threads: int


@dataclass(frozen=True, slots=True)
class _Past:
    started: float
    cpu: float
    moved: int


class Meter:
    """Remembers the look before. Not for two threads at once.

    A process seen for the first time counts for nothing yet: an agent that only keeps starting children
    does not get anywhere by it."""

    def __init__(self, since_boot: Callable[[], float], moved: Callable[[int], int] = moved_bytes) -> None:
        self._since_boot = since_boot
        self._moved = moved
        self._past: dict[int, _Past] = {}
        self._looked: float | None = None

    def look(self, roots: Mapping[str, ProcessRow], table: Table) -> dict[str, Measure]:
        """One measure for each root, from one table."""
        now = time.monotonic()
        elapsed = now - self._looked if self._looked is not None else 0.0
        children = children_of(table)
        present: dict[int, _Past] = {}
        found = {
            name: self._tree(root, [table[pid] for pid in below(root.pid, children)], present, elapsed)
            for name, root in roots.items()
        }
        self._past, self._looked = present, now
        return found

    def _tree(
        self, root: ProcessRow, members: list[ProcessRow], present: dict[int, _Past], elapsed: float
    ) -> Measure:
        used, busy, clock = 0.0, [], self._since_boot()
        for row in members:
            moved = self._moved(row.pid) if row.pid != root.pid else 0
            present[row.pid] = _Past(row.started, row.cpu, moved)
            before = self._past.get(row.pid)
            if before is None or before.started != row.started:
                continue
            used += max(0.0, row.cpu - before.cpu)
            if row.pid != root.pid and (row.cpu > before.cpu or moved > before.moved):
                busy.append(max(0.0, clock - row.started))
        return Measure(
            cpu_grew=used > 0,
            busy_children=tuple(busy),
            stopped=root.stopped,
            cpu_pct=round(100.0 * used / elapsed, 1) if elapsed > 0 else 0.0,
            memory_mb=round(sum(row.rss for row in members) / 2**20, 1),
            threads=sum(row.threads for row in members),
        )


def rooted(
    roots: Mapping[str, Identity], table: Table, identity: Callable[[ProcessRow], Identity]
) -> dict[str, ProcessRow]:
    """The rows of the roots that are still the processes meant."""
    rows = {name: row for name, who in roots.items() if (row := table.get(who.pid)) and not row.gone}
    return {name: row for name, row in rows.items() if same(identity(row), roots[name])}


def same(one: Identity, other: Identity) -> bool:
    """Whether both mean one process. The system's idea of its own boot time may move by a second or two
    under clock corrections, never by a fraction of one: the hundredths of a start time stay."""
    apart = one.created - other.created
    return one.pid == other.pid and abs(apart) < 3.0 and abs(apart - round(apart)) < 0.005
