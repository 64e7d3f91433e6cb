"""What the process trees did between two looks: CPU, busy children, bytes moved, memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from ..ports import Identity
from .clis import NO_CLIS, CliWatch, heads_of
from .kinship import Families
from .process_table import ProcessRow, Table, command_line, moved_bytes

IO_READS = 256
"""Of how many processes one look asks what they moved: it costs as much again as the rest of the look. Which
ones takes turns, and each is compared with what it had moved when it was last asked."""
IN_NO_HURRY = 60.0
"""Seconds after which those are asked again whose answer changes nothing: their tree is at work as it is."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One look at one tree: the values of evidence.ProcessMeasured. Ages in seconds.

    `moved`: bytes that its living processes have read and written, None when none of them may be asked.
    `stopped_child`: who of its children is in state T, in words. `window`: what grew did so at most this long
    before the look began. `cli`, `busy_kinds`: see evidence.ProcessMeasured."""

    cpu_grew: bool
    busy_children: tuple[float, ...]
    stopped: bool
    cpu_pct: float
    memory_mb: float
    threads: int
    moved: int | None = None
    stopped_child: str = ""
    window: float = 0.0
    cli: str = ""
    busy_kinds: tuple[int, ...] = ()


class _Past(NamedTuple):
    """A process as last seen. `asked`: when it was asked what it `moved` (None: it did not say)."""

    row: ProcessRow
    asked: float = -1e9
    moved: int | None = None


@dataclass(slots=True)
class _Tally:
    """What is known so far of one tree in one look."""

    root: ProcessRow
    window: float
    heads: frozenset[int] = frozenset()
    """The CLI's own processes below the root; they count as the root does."""
    used: float = 0.0
    rss: int = 0
    threads: int = 0
    busy: list[ProcessRow] = field(default_factory=list)
    kinds: tuple[int, ...] = ()
    held: ProcessRow | None = None


class Meter:
    """Remembers the look before. Not for two threads at once.

    A process seen for the first time counts for nothing yet: an agent that only keeps starting children
    does not get anywhere by it."""

    def __init__(
        self,
        since_boot: Callable[[], float],
        moved: Callable[[int], int | None] = moved_bytes,
        io_reads: int = IO_READS,
        command_line: Callable[[int], bytes] = command_line,
    ) -> None:
        self._since_boot = since_boot
        self._moved = moved
        self._io_reads = io_reads
        self._command_line = command_line
        self._past: dict[int, _Past] = {}
        self._turns: deque[int] = deque()
        self._clis = CliWatch()
        self._looked: float | None = None

    def look(
        self, families: Families, began: float | None = None, clis: Mapping[str, Sequence[str]] = NO_CLIS
    ) -> dict[str, Measure]:
        """One measure for each family, from one table that was read from `began` on (monotonic time).
        `clis`: how the process that matters is called, of agents whose command may be a shell above it."""
        now = time.monotonic() if began is None else began
        elapsed = now - self._looked if self._looked is not None else 0.0
        present: dict[int, _Past] = {}
        of: dict[int, _Tally] = {}
        tallies = {
            name: self._tally(rows, present, of, elapsed, heads_of(rows, clis.get(name, ())))
            for name, rows in families.items()
        }
        self._ask(present, of, now)
        for tally in tallies.values():
            tally.kinds = tuple(map(self._kind, tally.busy))
        self._past, self._looked = present, now
        clock = self._since_boot()
        where = self._clis.look({name: families[name] for name in clis if name in families}, clis, clock)
        return {
            name: _measure(tally, _moved_by(families[name], present), clock, elapsed, where.get(name, ""))
            for name, tally in tallies.items()
        }

    def _kind(self, row: ProcessRow) -> int:
        """A number that stands for what the process was started as; its name, where nobody may read that.

        The same for daemons to come, and as long as JSON takes it for a number (53 bits)."""
        words = self._command_line(row.pid) or row.name.encode()
        return int.from_bytes(blake2b(words, digest_size=6).digest())

    def _tally(
        self,
        rows: list[ProcessRow],
        present: dict[int, _Past],
        of: dict[int, _Tally],
        elapsed: float,
        heads: frozenset[int],
    ) -> _Tally:
        root = rows[0]
        tally = _Tally(root, elapsed, heads)
        for row in rows:
            pid = row.pid
            of[pid] = tally
            tally.rss += row.rss
            tally.threads += row.threads
            if row.stopped and row is not root and tally.held is None:
                tally.held = row
            before = self._past.get(pid)
            if before is None or before.row.started != row.started:
                present[pid] = _Past(row)
                self._turns.append(pid)
            elif before.row is row:
                present[pid] = before  # not even a page of memory moved
            else:
                present[pid] = _Past(row, before.asked, before.moved)
                if row.cpu > before.row.cpu:
                    tally.used += row.cpu - before.row.cpu
                    if row is not root and pid not in heads:
                        tally.busy.append(row)
        return tally

    def _ask(self, present: dict[int, _Past], of: Mapping[int, _Tally], now: float) -> None:
        """Ask the processes that waited longest what they have moved, and mark children that moved more."""
        left = self._io_reads
        for _ in range(len(self._turns)):
            if not left:
                return
            pid = self._turns.popleft()
            before, tally = present.get(pid), of.get(pid)
            if before is None or tally is None or before.asked == now:
                continue  # gone, or here twice because its number was used again
            self._turns.append(pid)
            idle = before.row is not tally.root and not tally.busy
            if not idle and now - before.asked < IN_NO_HURRY and len(present) > self._io_reads:
                continue
            left -= 1
            moved = self._moved(pid)
            present[pid] = _Past(before.row, now, moved)
            grew = moved is not None and before.moved is not None and moved > before.moved
            if grew and before.row is not tally.root and pid not in tally.heads:
                self._mark(tally, before.row, now - before.asked)

    def _mark(self, tally: _Tally, row: ProcessRow, window: float) -> None:
        """A child moved bytes within `window` seconds."""
        if any(one is row for one in tally.busy):
            return
        if not tally.busy:
            # Nobody knows when since it was last asked; what is claimed must hold at the least.
            tally.window = max(tally.window, window)
        tally.busy.append(row)


def _moved_by(rows: list[ProcessRow], present: Mapping[int, _Past]) -> int | None:
    known = [m for row in rows if (m := present[row.pid].moved) is not None]
    return sum(known) if known else None


def _measure(tally: _Tally, moved: int | None, clock: float, elapsed: float, cli: str) -> Measure:
    return Measure(
        cpu_grew=tally.used > 0,
        busy_children=tuple(max(0.0, clock - row.started) for row in tally.busy),
        stopped=tally.root.stopped,
        cpu_pct=round(100.0 * tally.used / elapsed, 1) if elapsed > 0 else 0.0,
        memory_mb=round(tally.rss / 2**20, 1),
        threads=tally.threads,
        moved=moved,
        stopped_child=_called(tally.held) if tally.held else "",
        window=tally.window,
        cli=cli,
        busy_kinds=tally.kinds,
    )


def _called(row: ProcessRow) -> str:
    """A process in words; what it calls itself is its own choice, and shown as nothing but letters."""
    name = "".join(c if c.isprintable() else "?" for c in row.name[:32])
    return f"{name} (pid {row.pid})"


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
