"""The stretch of time that figures are asked for: last night, a day, a week, or a length of one's own.

Nights and days are those of the person who asks: wall clock, with whatever summer time does to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from ...config.durations import format_duration, parse_age

NAMES = ("night", "day", "week", "all")
EVENING, MORNING = 18, 9
"""The hours between which it is night: from when people leave to when they are back."""
DAY, HOUR, SHORT = 86_400.0, 3_600.0, 300.0
"""The widths of a slice (s)."""
FEW = 36
"""Up to so many slices of five minutes; what is longer is told by the hour."""
MOST = 192
"""Up to so many slices of an hour, which is eight days; what is longer is told by the day, or by more."""
EXPECTED = "night, day, week, all, or a length of time such as 8h or 3d"


@dataclass(frozen=True, slots=True)
class Span:
    """`since <= time < until` (epoch seconds), both None for the whole ledger. `edges`: of the slices."""

    name: str
    words: str
    since: float | None
    until: float | None
    edges: tuple[float, ...]

    def holds(self, at: float) -> bool:
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


def span_of(
    name: str,
    now: float,
    oldest: float | None = None,
    newest: float | None = None,
    zone: tzinfo | None = None,
) -> Span:
    """The span of that name as of `now`; `oldest` and `newest` bound what there is, for `all`. `zone`: whose
    clock tells night from day, else this machine's. Raises ValueError that says what was expected.

    Spans end with a whole slice, so that one asked for twice within a minute is the same."""
    here = datetime.fromtimestamp(now, zone)
    if name == "night":
        return _night(here, now)
    if name == "day":
        first = _hour(here).timestamp() - 23 * HOUR
        return _span(name, "the last 24 hours", first, now, HOUR)
    if name == "week":
        begin = _midnight(here) - timedelta(days=6)
        return _span(name, "the last 7 days", begin.timestamp(), now, HOUR)
    if name == "all":
        first_at, last_at = now if oldest is None else oldest, now if newest is None else newest
        return Span(name, "all that is written down", None, None, _edges(first_at, last_at, zone))
    try:
        length = parse_age(name)
    except ValueError:
        raise ValueError(f"expected {EXPECTED}") from None
    if length < 60:
        raise ValueError("expected at least a minute")
    edges = _edges(now - length, now, zone)
    words = f"the last {name}" if name.endswith("d") else f"the last {format_duration(length)}"
    return Span(name, words, edges[0], edges[-1], edges)


def _night(here: datetime, now: float) -> Span:
    """From yesterday's evening to this morning; before that, as far as it went."""
    today = _midnight(here)
    evening = _midnight(today - timedelta(days=1)).replace(hour=EVENING)
    morning = today.replace(hour=MORNING)
    over = morning.timestamp() <= now
    edges = _by_seconds(evening.timestamp(), morning.timestamp() if over else now + 0.001, HOUR)
    return Span("night", "last night" if over else "this night so far", edges[0], edges[-1], edges)


def _span(name: str, words: str, first: float, now: float, width: float) -> Span:
    edges = _by_seconds(first, now + 0.001, width)
    return Span(name, words, edges[0], edges[-1], edges)


def _edges(first: float, last: float, zone: tzinfo | None) -> tuple[float, ...]:
    """Slices of the narrowest width that leaves few enough of them; the last one holds `last`."""
    length = max(0.0, last - first)
    begin = datetime.fromtimestamp(first, zone)
    if length <= FEW * SHORT:
        start = begin.replace(minute=begin.minute // 5 * 5, second=0, microsecond=0)
        return _by_seconds(start.timestamp(), last + 0.001, SHORT)
    if length <= MOST * HOUR:
        return _by_seconds(_hour(begin).timestamp(), last + 0.001, HOUR)
    step = timedelta(days=1 + int(length / DAY / MOST))
    days = [_midnight(begin)]
    while days[-1].timestamp() <= last:
        days.append(_midnight(days[-1]) + step)
    return tuple(day.timestamp() for day in days)


def _by_seconds(first: float, last: float, width: float) -> tuple[float, ...]:
    """Whole slices from `first` on, the last of which reaches to `last` or beyond."""
    count = max(1, -int(-(last - first) // width))
    return tuple(first + n * width for n in range(count + 1))


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
