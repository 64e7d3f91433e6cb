"""The list of incidents as rows, pure: what was read and what is searched for go in, rows come out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from .looks import clean
from .tones import Tone

if TYPE_CHECKING:
    from ..controller.reports.incidents import IncidentLine

ENDINGS: dict[str, tuple[str, str, Tone]] = {
    "open": ("●", "o", Tone.LIMIT),
    "given up": ("▲", "^", Tone.BAD),
    "recovered": ("✓", "v", Tone.GOOD),
    "by itself": ("↺", "~", Tone.HOLD),
    "cleared": ("◇", "-", Tone.QUIET),
    "watched": ("◌", ".", Tone.QUIET),
}
"""How an incident ended -> its glyph with and without Unicode, and its colour."""
WEEK = 6 * 86_400.0


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One line of the list. `when`: the moment it was opened, `short` the same in five cells at most; `took`:
    the time to its proved recovery."""

    id: str
    agent: str
    title: str
    cause: str
    ending: str
    is_open: bool
    mark: str
    tone: Tone
    when: str
    short: str
    tries: str
    took: str
    detail: str


def incident_rows(
    lines: Iterable[IncidentLine],
    titles: Mapping[str, str],
    now: float,
    *,
    plain: bool = False,
    zone: tzinfo | None = None,
) -> tuple[IncidentRow, ...]:
    """Rows of the incidents in the order given. `now`: epoch seconds; `zone`: whose clock."""
    return tuple(_row(line, titles, now, plain, zone) for line in lines)


def matching(rows: tuple[IncidentRow, ...], needle: str) -> tuple[IncidentRow, ...]:
    """The rows in which every word of the needle is found."""
    words = needle.casefold().split()
    return tuple(row for row in rows if all(_matches(row, word) for word in words)) if words else rows


def _matches(row: IncidentRow, word: str) -> bool:
    """A leading `!` turns a word round, as in the fleet's own filter."""
    inverse = word.startswith("!")
    hay = f"{row.id} {row.agent} {row.title} {row.cause} {row.ending} {row.detail}".casefold()
    return (word.removeprefix("!") in hay) != inverse


def _row(
    line: IncidentLine, titles: Mapping[str, str], now: float, plain: bool, zone: tzinfo | None
) -> IncidentRow:
    glyph, letter, tone = ENDINGS.get(line.ending, ("·", "-", Tone.QUIET))
    opened = datetime.fromtimestamp(line.opened, zone)
    recent, today = now - line.opened < WEEK, now - line.opened < WEEK / 6
    tries = f"{'x' if plain else '×'}{line.attempts}" if line.attempts else ""
    needs = line.ending == "given up" and not line.is_open
    return IncidentRow(
        id=line.id,
        agent=line.agent,
        title=clean(titles.get(line.agent) or line.agent, 64),
        cause=clean(line.cause, 40),
        ending=line.ending,
        is_open=line.is_open,
        mark=letter if plain else glyph,
        tone=Tone.SICK if needs else tone,
        when=f"{opened:%a %H:%M}" if recent else f"{opened:%d %b %y}",
        short=f"{opened:%H:%M}" if today else f"{opened:%d.%m}",
        tries=tries,
        took=_took(line.recovered),
        detail=clean(f"{line.last}: {line.detail}" if line.last else line.detail, 200),
    )


def _took(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 1000 else f"{seconds / 60:.0f} min"
