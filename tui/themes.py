"""Colours: three themes of our own and one palette of tones for the parts we draw ourselves.

The orange is kept for interventions alone, so that it never reads as an error or as "waiting". Only our own
themes are offered: every tone can be read on every ground of them, and a test says so.
"""

from __future__ import annotations

from textual.theme import Theme

from .colours import (
    CONTRAST_GROUND,
    DARK,
    DARK_GROUND,
    FACES,
    LIGHT,
    LIGHT_GROUND,
    TRON_FADED,
    TRON_INK,
    TRON_ORANGE,
    TRON_PULSE,
    palette,
)
from .tones import Tone

__all__ = [
    "CONTRAST_GROUND",
    "DARK",
    "DARK_GROUND",
    "EXTRA_VARIABLES",
    "HHMRS_CONTRAST",
    "HHMRS_DARK",
    "HHMRS_LIGHT",
    "LIGHT",
    "LIGHT_GROUND",
    "THEMES",
    "TRON_FADED",
    "TRON_INK",
    "TRON_ORANGE",
    "TRON_PULSE",
    "cursor_ground",
    "palette",
]

HHMRS_DARK = Theme(
    name="hhmrs-dark",
    primary="#58a6ff",
    secondary="#56d4dd",
    accent="#58a6ff",
    success="#7ee787",
    warning="#f2cc60",
    error="#ff8080",
    foreground=DARK[Tone.TEXT],
    background=DARK_GROUND,
    surface="#11161d",
    panel=FACES["hhmrs-dark"].panel,
    dark=True,
    variables={
        "line": FACES["hhmrs-dark"].line,
        "quiet": DARK[Tone.QUIET],
        "tron": TRON_ORANGE,
        "banner": "#5c1a1f",
        "cursor": FACES["hhmrs-dark"].cursor,
        "cursor-calm": "#182230",
    },
)
HHMRS_LIGHT = Theme(
    name="hhmrs-light",
    primary="#0550ae",
    secondary="#07575f",
    accent="#0550ae",
    success="#0f5c27",
    warning=LIGHT[Tone.LIMIT],
    error="#b0000f",
    foreground=LIGHT[Tone.TEXT],
    background=LIGHT_GROUND,
    surface="#f6f8fa",
    panel=FACES["hhmrs-light"].panel,
    dark=False,
    variables={
        "line": FACES["hhmrs-light"].line,
        "quiet": LIGHT[Tone.QUIET],
        "tron": TRON_ORANGE,
        "banner": "#ffd9d9",
        "cursor": FACES["hhmrs-light"].cursor,
        "cursor-calm": "#eaf0f6",
    },
)
HHMRS_CONTRAST = Theme(
    name="hhmrs-contrast",
    primary=DARK[Tone.BUSY],
    secondary=DARK[Tone.HOLD],
    accent=DARK[Tone.BUSY],
    success=DARK[Tone.GOOD],
    warning=DARK[Tone.LIMIT],
    error=DARK[Tone.BAD],
    foreground="#ffffff",
    background=CONTRAST_GROUND,
    surface=CONTRAST_GROUND,
    panel=FACES["hhmrs-contrast"].panel,
    dark=True,
    variables={
        "line": FACES["hhmrs-contrast"].line,
        "quiet": DARK[Tone.QUIET],
        "tron": TRON_ORANGE,
        "banner": "#3a0008",
        "cursor": FACES["hhmrs-contrast"].cursor,
        "cursor-calm": "#141414",
    },
)
THEMES = (HHMRS_DARK, HHMRS_LIGHT, HHMRS_CONTRAST)

EXTRA_VARIABLES: dict[str, str] = dict(HHMRS_DARK.variables)
"""What our stylesheet needs beside Textual's own variables."""


def cursor_ground(theme: Theme, focused: bool) -> str:
    """Background of the selected row; a calmer one while the list does not have the focus."""
    return theme.variables["cursor" if focused else "cursor-calm"]
