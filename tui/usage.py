"""What agents use, as this screen has seen it: samples of each that grow coarser instead of more.

The daemon keeps only the newest values, so the past is as long as the screen was open. Pure."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .charts import sparkline
from .document import Agent, Fleet
from .looks import age, clean
from .prose import Line, Page, broken
from .tones import Tone
from .work import Spent

EVERY = 5.0
"""Seconds between two samples at first; the daemon itself looks about as often."""
MOST = 240
"""Samples of an agent. When there are so many, two become one, and the next are taken half as often."""
_NONE = math.nan
Telling = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Series:
    """Samples `every` seconds apart, the newest last; None where nothing was known."""

    every: float
    cpu: tuple[float | None, ...] = ()
    memory: tuple[float | None, ...] = ()
    progress: tuple[float | None, ...] = ()


class Samples:
    """Of all agents, from the looks at the fleet: some 3 kB an agent, however long the screen is open."""

    def __init__(self, every: float = EVERY, most: int = MOST) -> None:
        self.every = every
        self._most = most
        self._next = 0.0
        self._taken = 0
        self._of: dict[str, tuple[array[float], array[float], array[float]]] = {}

    def take(self, fleet: Fleet) -> None:
        """Sample this look, if it is time; most looks cost one comparison."""
        if fleet.at < self._next or not fleet.up:
            return
        self._next = fleet.at + self.every
        if self._taken >= self._most:
            self._thin()
        known = self._of
        self._of = {}
        for agent in fleet.agents:
            rows = known.get(agent.id)
            if rows is None:
                rows = (self._unknown(), self._unknown(), self._unknown())
            for row, value in zip(rows, measured(agent), strict=True):
                row.append(_NONE if value is None else value)
            self._of[agent.id] = rows
        self._taken += 1

    def _unknown(self) -> array[float]:
        """As many samples as were taken, of somebody who was not there."""
        return array("f", [_NONE]) * self._taken

    def of(self, agent: str) -> Series:
        rows = self._of.get(agent)
        if rows is None:
            return Series(self.every)
        cpu, memory, progress = (tuple(None if math.isnan(v) else v for v in row) for row in rows)
        return Series(self.every, cpu, memory, progress)

    def _thin(self) -> None:
        """Half as many samples, each the mean of two."""
        self.every *= 2
        self._next += self.every / 2
        for agent, rows in self._of.items():
            cpu, memory, progress = (_halved(row) for row in rows)
            self._of[agent] = (cpu, memory, progress)
        self._taken = (self._taken + 1) // 2


def _halved(row: array[float]) -> array[float]:
    pairs = [[v for v in row[i : i + 2] if not math.isnan(v)] for i in range(0, len(row), 2)]
    return array("f", [sum(pair) / len(pair) if pair else _NONE for pair in pairs])


def measured(agent: Agent) -> tuple[float | None, float | None, float | None]:
    """CPU (percent of one core), memory (MB), progress (0..1); None for what nobody measured."""
    alive = agent.pid is not None and agent.trace.get("process") is not None
    return (agent.cpu_pct if alive else None, agent.memory_mb if alive else None, agent.progress)


def fitted(values: Sequence[float | None], cells: int) -> tuple[float | None, ...]:
    """The values in at most `cells` steps, each the mean of those it stands for."""
    if len(values) <= cells or cells < 1:
        return tuple(values)
    group = math.ceil(len(values) / cells)
    first = len(values) % group
    parts = [values[:first]] if first else []
    parts += [values[i : i + group] for i in range(first, len(values), group)]
    return tuple(_mean(part) for part in parts)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


@dataclass(frozen=True, slots=True)
class Counted:
    """What the daemon told last and keeps no past of; None: nobody told. `threads` and `moved` (bytes read
    and written) are of the agent's whole process tree."""

    threads: int | None = None
    moved: int | None = None
    missed: int | None = None


def usage_page(
    agent: Agent,
    series: Series,
    counted: Counted,
    spent: Spent | str | None,
    now: float,
    width: int,
    plain: bool = False,
) -> Page:
    """`spent`: what its transcript tells, or in words why it does not; None while that is being read."""
    cpu, memory, progress = measured(agent)
    cells = max(8, min(60, width - 34))
    lines: list[Line] = [
        _row("cpu", series.cpu, cpu, lambda v: f"{v:.1f}%", cells, plain),
        _row("memory", series.memory, memory, lambda v: f"{v:.0f} MB", cells, plain),
        _row("progress", series.progress, progress, lambda v: f"{100 * v:.0f}%", cells, plain),
    ]
    if not spent or isinstance(spent, str) or spent.tokens is None:
        lines += _no_tokens(spent, width)
    else:
        lines += _tokens(spent, now, cells, width, plain)
    beat = agent.trace.get("beat")
    beats = "no beat yet" if beat is None else f"last {age(now - beat)} ago"
    missed = "" if counted.missed is None else f", {counted.missed} missed"
    lines.append(_fact("beats", beats + missed))
    threads = "-" if counted.threads is None or cpu is None else str(counted.threads)
    moved = "-" if counted.moved is None else f"{counted.moved / 1e6:.1f} MB"
    lines.append(_fact("threads", f"{threads}, {moved} read and written"))
    lines.append(())
    lines += [((part, Tone.QUIET),) for part in broken(_span(series), width)]
    return Page(tuple(lines))


def _row(
    name: str, values: Sequence[float | None], now: float | None, told: Telling, cells: int, plain: bool
) -> Line:
    known = [value for value in values if value is not None]
    drawn = sparkline(fitted(values, cells), plain)
    most = f"  most {told(max(known))}" if known else ""
    return (
        (f"{name:<9}", Tone.QUIET),
        (f"{drawn:>{cells}} ", Tone.BUSY),
        (f"{'-' if now is None else told(now):>8}", Tone.TEXT),
        (most, Tone.QUIET),
    )


def _tokens(spent: Spent, now: float, cells: int, width: int, plain: bool) -> list[Line]:
    tokens = spent.tokens
    assert tokens is not None  # else there is nothing to tell
    lines: list[Line] = []
    if spent.minutes:
        first, last = spent.minutes[0][0], max(spent.minutes[-1][0], int(now // 60))
        by_minute = dict(spent.minutes)
        rows = [float(by_minute.get(minute, 0)) for minute in range(max(first, last - 24 * 60), last + 1)]
        most = f"  most {_count(round(max(rows)))} a minute"
        lines.append(
            (
                (f"{'tokens':<9}", Tone.QUIET),
                (f"{sparkline(fitted(rows, cells), plain):>{cells}} ", Tone.BUSY),
                (f"{age(60.0 * len(rows)):>8}", Tone.TEXT),
                (most, Tone.QUIET),
            )
        )
    told = (
        f"{_count(tokens.sent)} sent, {_count(tokens.received)} received, {_count(tokens.cached)} from cache"
    )
    lines.append(_fact("session", told))
    cost = "-" if tokens.cost is None else f"${tokens.cost:.2f}"
    lines.append(_fact("cost", cost + ("" if tokens.cost is not None else " (its transcript does not tell)")))
    whole = "" if spent.whole else ", its newest part"
    lines += _below(f"by its own transcript {clean(spent.source, 300)}{whole}", width)
    return lines


def _no_tokens(spent: Spent | str | None, width: int) -> list[Line]:
    if isinstance(spent, str):
        why = spent
    elif spent is None:
        why = "reading its transcript ..."
    else:
        why = f"nothing of it in its transcript {spent.source}"
    return [_fact("tokens", "-"), _fact("cost", "-"), *_below(clean(why, 400), width)]


def _fact(name: str, told: str) -> Line:
    return ((f"{name:<9}", Tone.QUIET), (told, Tone.TEXT))


def _below(text: str, width: int) -> list[Line]:
    return [((" " * 9 + part, Tone.QUIET),) for part in broken(text, width - 9)]


def _count(number: int | None) -> str:
    """`725`, `12.3k`, `4.1M`; `-` when nobody told."""
    if number is None:
        return "-"
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def _span(series: Series) -> str:
    count = len(series.cpu)
    if not count:
        return "this screen has not looked long enough to draw cpu, memory and progress"
    span = f"{age(count * series.every)}, one sample in {series.every:.0f} s"
    return f"cpu, memory and progress: {span}, since this screen was opened; the daemon keeps none"
