"""Colours: two themes of our own and one palette of tones for the parts we draw ourselves.

The orange is kept for interventions alone, so that it never reads as an error or as "waiting".
"""

from __future__ import annotations

from textual.theme import Theme

from .tones import Tone

TRON_ORANGE = "#ff6c00"
TRON_PULSE = "#ffc08a"
TRON_INK = "#000000"


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
    Tone.TRON: TRON_ORANGE,
}
LIGHT: dict[Tone, str] = {
    Tone.TEXT: "#1f2328",
    Tone.QUIET: "#525a63",
    Tone.GOOD: "#0f5c27",
    Tone.BUSY: "#0550ae",
    Tone.ASK: "#6030b0",
    Tone.LIMIT: "#714600",
    Tone.HOLD: "#07575f",
    Tone.SICK: "#8f1237",
    Tone.BAD: "#b0000f",
    Tone.TRON: TRON_ORANGE,
}
DARK_GROUND, DARK_CURSOR = "#0d1117", "#1c3350"
LIGHT_GROUND, LIGHT_CURSOR = "#ffffff", "#d8ecff"

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
    variables={"line": "#3a4554", "quiet": DARK[Tone.QUIET], "tron": TRON_ORANGE, "banner": "#5c1a1f"},
)
HHMRS_LIGHT = Theme(
    name="hhmrs-light",
    primary="#0550ae",
    secondary="#07575f",
    accent="#0550ae",
    success="#0f5c27",
    warning="#714600",
    error="#b0000f",
    foreground=LIGHT[Tone.TEXT],
    background=LIGHT_GROUND,
    surface="#f6f8fa",
    panel="#e9eef3",
    dark=False,
    variables={"line": "#b4bec9", "quiet": LIGHT[Tone.QUIET], "tron": TRON_ORANGE, "banner": "#ffd9d9"},
)
THEMES = (HHMRS_DARK, HHMRS_LIGHT)

EXTRA_VARIABLES: dict[str, str] = dict(HHMRS_DARK.variables)
"""What our stylesheet needs beside Textual's own variables, for themes that are not ours."""


def palette(dark: bool) -> dict[Tone, str]:
    """Hex colour of each tone for a dark or a light theme."""
    return DARK if dark else LIGHT


def cursor_ground(dark: bool, focused: bool) -> str:
    """Background of the selected row; a calmer one while the list does not have the focus."""
    if dark:
        return DARK_CURSOR if focused else "#182230"
    return LIGHT_CURSOR if focused else "#eaf0f6"
