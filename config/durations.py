"""Durations as a fleet file writes them: `500ms 30s 10m 2h`, also together: `1h30m`."""

from __future__ import annotations

import re

EXPECTED = "a duration with its unit, such as 500ms, 30s, 10m, 2h or 1h30m"
LONGEST = 10_000 * 3600.0
"""Seconds; longer ones are slips of the finger and would overflow calendars later."""

_PARTS = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m(?!s))?(?:([0-9]+)s)?(?:([0-9]+)ms)?")
_DAYS = re.compile(r"([0-9]{1,5})d")
_UNITS = (3600.0, 60.0, 1.0, 0.001)
_LONGEST_TEXT = 40


def parse_duration(text: str) -> float:
    """Seconds of `text`, 0 or more. Raises ValueError that says what was expected."""
    found = _PARTS.fullmatch(text) if text and len(text) <= _LONGEST_TEXT else None
    if found is None:
        raise ValueError(f"expected {EXPECTED}")
    seconds = sum(int(part) * unit for part, unit in zip(found.groups(), _UNITS, strict=True) if part)
    if seconds > LONGEST:
        raise ValueError("expected at most 10000h")
    return seconds


def parse_age(text: str) -> float:
    """As `parse_duration`; whole days may be written as well, `14d`. Raises ValueError."""
    days = _DAYS.fullmatch(text)
    if days is None:
        try:
            return parse_duration(text)
        except ValueError as error:
            raise ValueError(str(error).replace("such as", "such as 14d,")) from None
    if int(days[1]) * 86_400.0 > LONGEST:
        raise ValueError("expected at most 416d")
    return int(days[1]) * 86_400.0


def format_duration(seconds: float) -> str:
    """`seconds` as a fleet file would write it, to the millisecond: 5400 is `1h30m`, 0 is `0s`."""
    left = max(0, round(seconds * 1000))
    words: list[str] = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words) or "0s"
