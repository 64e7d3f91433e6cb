"""The colours alone, without Textual: what the early frame is painted with before Textual is loaded."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Faces:
    """The grounds and lines of one theme that the first frame has, as hex colours."""

    dark: bool
    ground: str
    panel: str
    line: str
    cursor: str


FACES: dict[str, Faces] = {
    "hhmrs-dark": Faces(True, DARK_GROUND, "#1b222c", "#3a4554", "#1c3350"),
    "hhmrs-light": Faces(False, LIGHT_GROUND, "#e9eef3", "#b4bec9", "#d8ecff"),
    "hhmrs-contrast": Faces(True, CONTRAST_GROUND, "#101010", "#c9d1d9", "#0b1c33"),
}
"""By the name of the theme; the first is the one that stands in for an unknown name."""


def palette(dark: bool) -> dict[Tone, str]:
    """Hex colour of each tone for a dark or a light theme."""
    return DARK if dark else LIGHT
