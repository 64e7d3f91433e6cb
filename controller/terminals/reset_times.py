"""When a limit ends, as a screen says it: seconds, a length of time, a time of day, a date with one.

Pure: the present moment, in the local time zone, is given. What may mean two things is not read at all."""

from __future__ import annotations

import re
from collections import deque
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

MOST = 400 * 86400.0
AHEAD = timedelta(hours=20)
"""A bare time of day further ahead than this may as well be the one that has just passed."""

_NUMBER = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,6})?")
_LENGTH = re.compile(
    r"(?:in\s+)?(?:(\d{1,3})\s*d(?:ays?)?)?[\s,]*(?:(\d{1,4})\s*h(?:ours?|rs?)?)?[\s,]*"
    r"(?:(\d{1,5})\s*m(?:in(?:ute)?s?)?)?[\s,]*(?:(\d{1,7}(?:\.\d{1,6})?)\s*s(?:ec(?:ond)?s?)?)?",
    re.IGNORECASE,
)
_MOMENT = re.compile(
    r"(?:at\s+)?(?:(?P<month>[a-z]{3,9})\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?(?:,?\s+(?P<year>\d{4}))?"
    r"(?:,?\s+at\s+|,?\s+))?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?\s*(?P<half>[ap]\.?m\b\.?)?"
    r"(?:\s*\(?(?P<zone>[a-z][a-z0-9_/+:-]{0,60})\)?)?",
    re.IGNORECASE,
)
_OFFSET = re.compile(r"(?:UTC|GMT|Z)(?:([+-])(\d{1,2})(?::?(\d{2}))?)?", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EPOCH = 1e9


def seconds_until(text: str, now: datetime, zone: str | None = None) -> float | None:
    """Seconds from `now` (aware, local) until the moment `text` names; None when it does not say, or not for
    certain: no morning or afternoon, a time zone nobody knows, an hour that the clocks skip or show twice,
    a moment past. `zone`: the time zone of a time of day; else the one in `text`, else the one of `now`."""
    text = " ".join(text.split())[:200]
    if _NUMBER.fullmatch(text):
        number = float(text)
        return _sane(number - now.timestamp() if number >= _EPOCH else number)
    if (length := _LENGTH.fullmatch(text)) and any(length.groups()):
        days, hours, minutes, seconds = (float(part or 0) for part in length.groups())
        return _sane(days * 86400 + hours * 3600 + minutes * 60 + seconds)
    moment = _MOMENT.fullmatch(text)
    where = _zone(zone or moment["zone"], now) if moment else None
    clock = _clock(moment) if moment else None
    if moment is None or where is None or clock is None:
        return None
    there = now.astimezone(where)
    when = _dated(moment, clock, there) if moment["month"] else _next(clock, there)
    if when is None or _unclear(when):
        return None
    return _sane(when.timestamp() - now.timestamp())


def read_end(resets: re.Pattern[str], text: str, now: datetime) -> float | None:
    """As `seconds_until`, for what the first group of the newest match of `resets` in `text` names, in the
    time zone of the second group if there is one."""
    found = deque(resets.finditer(text), maxlen=1)
    if not found or resets.groups < 1 or found[0][1] is None:
        return None
    return seconds_until(found[0][1], now, found[0][2] if resets.groups > 1 else None)


def _sane(seconds: float) -> float | None:
    return seconds if 0 <= seconds < MOST else None


def _clock(moment: re.Match[str]) -> tuple[int, int, int] | None:
    """Hour, minute and second; None without a sure half of the day."""
    written, half = moment["hour"], (moment["half"] or "")[:1].lower()
    hour, minute, second = int(written), int(moment["minute"] or 0), int(moment["second"] or 0)
    if minute > 59 or second > 59:
        return None
    if half:
        return (hour % 12 + (12 if half == "p" else 0), minute, second) if 1 <= hour <= 12 else None
    sure = moment["minute"] is not None and (hour > 12 or written.startswith("0"))
    return (hour, minute, second) if sure and hour < 24 else None


def _zone(name: str | None, now: datetime) -> tzinfo | None:
    if name is None or name.lower() == (now.tzname() or "").lower():
        return now.tzinfo
    if found := _OFFSET.fullmatch(name):
        minutes = int(found[2] or 0) * 60 + int(found[3] or 0)
        if minutes > 14 * 60:
            return None
        return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))
    if "/" not in name:
        return None  # PST, IST, CST: each is said of several zones
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return None


def _dated(moment: re.Match[str], clock: tuple[int, int, int], there: datetime) -> datetime | None:
    month = moment["month"].lower()[:3]
    if month not in _MONTHS:
        return None
    years = [int(moment["year"])] if moment["year"] else [there.year, there.year + 1]
    for year in years:
        try:
            when = datetime(year, _MONTHS.index(month) + 1, int(moment["day"]), *clock, tzinfo=there.tzinfo)
        except ValueError:
            continue
        # Without a year: the next one, and never nearly a year ahead, which is a day that has just passed.
        if moment["year"] or timedelta(0) <= when - there < timedelta(days=300):
            return when
    return None


def _next(clock: tuple[int, int, int], there: datetime) -> datetime | None:
    hour, minute, second = clock
    when = there.replace(hour=hour, minute=minute, second=second, microsecond=0)
    if when < there:
        when += timedelta(days=1)
    return when if when - there <= AHEAD else None


def _unclear(when: datetime) -> bool:
    """The clocks show this twice, or never."""
    return when.replace(fold=0).utcoffset() != when.replace(fold=1).utcoffset()
