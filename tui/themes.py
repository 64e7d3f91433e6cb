"""Colours: three themes of our own and one palette of tones for the parts we draw ourselves.

The orange is kept for interventions alone, so that it never reads as an error or as "waiting". Only our own
themes are offered: every tone can be read on every ground of them, and a test says so.
"""

from __future__ import annotations

from textual.theme import Theme

from .tones import Tone

TRON_ORANGE = "#ff6c00"
"""The ground of the bar and of the mark on an agent. As a colour of text each ground needs its own."""
TRON_PULSE = "#ffc08a"
TRON_INK = "#000000"
TRON_FADED = "#cf9366"
"""The bar's ground in its last seconds."""

DARK: dict[Tone, str] = {
    Tone.TEXT: "#dce3ea",
    Tone.QUIET: "#a0abb7",
    Tone.GOOD: "#7ee787",
    Tone.BUSY: "#79c0ff",
    Tone.ASK: "#d2a8ff",
    Tone.LIMIT: "#f2cc60",
    Tone.HOLD: "#56d4dd",
    Tone.SICK: "#ffa8b4",
    Tone.BAD: "#ff8080",
    Tone.TRON: "#ff8c33",
}
LIGHT: dict[Tone, str] = {
    Tone.TEXT: "#1f2328",
    Tone.QUIET: "#525a63",
    Tone.GOOD: "#0f5c27",
    Tone.BUSY: "#0550ae",
    Tone.ASK: "#6030b0",
    Tone.LIMIT: "#5a5000",
    Tone.HOLD: "#07575f",
    Tone.SICK: "#8f1237",
    Tone.BAD: "#b0000f",
    Tone.TRON: "#a63c00",
}
DARK_GROUND, LIGHT_GROUND, CONTRAST_GROUND = "#0d1117", "#ffffff", "#000000"

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
    panel="#1b222c",
    dark=True,
    variables={
        "line": "#3a4554",
        "quiet": DARK[Tone.QUIET],
        "tron": TRON_ORANGE,
        "banner": "#5c1a1f",
        "cursor": "#1c3350",
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
    panel="#e9eef3",
    dark=False,
    variables={
        "line": "#b4bec9",
        "quiet": LIGHT[Tone.QUIET],
        "tron": TRON_ORANGE,
        "banner": "#ffd9d9",
        "cursor": "#d8ecff",
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
    panel="#101010",
    dark=True,
    variables={
        "line": "#c9d1d9",
        "quiet": DARK[Tone.QUIET],
        "tron": TRON_ORANGE,
        "banner": "#3a0008",
        "cursor": "#0b1c33",
        "cursor-calm": "#141414",
    },
)
THEMES = (HHMRS_DARK, HHMRS_LIGHT, HHMRS_CONTRAST)

EXTRA_VARIABLES: dict[str, str] = dict(HHMRS_DARK.variables)
"""What our stylesheet needs beside Textual's own variables."""


def palette(dark: bool) -> dict[Tone, str]:
    """Hex colour of each tone for a dark or a light theme."""
    return DARK if dark else LIGHT


def cursor_ground(theme: Theme, focused: bool) -> str:
    """Background of the selected row; a calmer one while the list does not have the focus."""
    return theme.variables["cursor" if focused else "cursor-calm"]
