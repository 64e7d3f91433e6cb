"""What a colour means. Apart from the themes, so that plain commands need no screen library."""

from __future__ import annotations

from enum import StrEnum


class Tone(StrEnum):
    """What a colour means; the palette says which colour that is on a dark or a light ground."""

    TEXT = "text"
    QUIET = "quiet"
    GOOD = "good"
    BUSY = "busy"
    ASK = "ask"
    LIMIT = "limit"
    HOLD = "hold"
    SICK = "sick"
    BAD = "bad"
    TRON = "tron"
