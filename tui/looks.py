"""How a phase looks: glyph, ASCII glyph, word and tone. Also the one cleaner for text that others wrote."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from ..healing.agent import Phase
from .tones import Tone


@dataclass(frozen=True, slots=True)
class Look:
    """`rank`: how much a person should care, 0 is fine; folded parents show the highest below them."""

    glyph: str
    ascii: str
    tone: Tone
    rank: int


LOOKS: dict[Phase, Look] = {
    Phase.ESCALATED: Look("▲", "^", Tone.BAD, 9),
    Phase.EXITED: Look("✗", "x", Tone.SICK, 8),
    Phase.STALLED: Look("⊘", "!", Tone.SICK, 7),
    Phase.LOOPING: Look("∞", "@", Tone.SICK, 6),
    Phase.RECOVERING: Look("↻", "+", Tone.TRON, 5),
    Phase.WAITING: Look("◆", "?", Tone.ASK, 4),
    Phase.UNKNOWN: Look("?", "~", Tone.QUIET, 3),
    Phase.LIMITED: Look("◔", "%", Tone.LIMIT, 2),
    Phase.PAUSED: Look("‖", "=", Tone.HOLD, 1),
    Phase.STARTING: Look("◌", ".", Tone.BUSY, 0),
    Phase.WORKING: Look("●", "*", Tone.GOOD, 0),
    Phase.IDLE: Look("○", "o", Tone.QUIET, 0),
    Phase.STOPPED: Look("■", "#", Tone.QUIET, 0),
    Phase.DONE: Look("✓", "v", Tone.GOOD, 0),
}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Every sign the screen draws. `plain` is for terminals and fonts without Unicode."""

    plain: bool = False

    def phase(self, phase: Phase) -> str:
        look = LOOKS[phase]
        return look.ascii if self.plain else look.glyph

    @property
    def guides(self) -> tuple[str, str, str, str]:
        """Blank, passing line, branch, last branch; two cells each."""
        return ("  ", "| ", "|-", "`-") if self.plain else ("  ", "│ ", "├─", "└─")

    @property
    def fold(self) -> tuple[str, str, str]:
        """Leaf below a parent, open, closed."""
        return ("-", "v", ">") if self.plain else ("─", "▾", "▸")

    @property
    def cursor(self) -> str:
        return ">" if self.plain else "▌"

    @property
    def mark(self) -> str:
        """Before a marked agent."""
        return "*" if self.plain else "»"

    @property
    def dot(self) -> str:
        return "-" if self.plain else "·"

    @property
    def cells(self) -> tuple[str, str]:
        """Full and empty cell of a progress bar."""
        return ("#", ".") if self.plain else ("▰", "▱")


# Bidirectional controls can make a line read differently from what it is; zero-width ones hide in it.
_TRICKS = frozenset(
    "\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufeff" + "".join(map(chr, range(0x202A, 0x202F)))
)
_ISOLATES = frozenset(map(chr, range(0x2066, 0x206A)))


def clean(text: object, limit: int = 400, *, keep_indent: bool = False) -> str:
    """One inert line of at most `limit` characters: no controls, no escapes, no direction tricks."""
    source = str(text)[: limit * 4]
    kept = [
        " " if ch in "\t\n\r" else ch
        for ch in _ESCAPE.sub("", source)
        if ch in "\t\n\r"
        or not (unicodedata.category(ch) in ("Cc", "Cs") or ch in _TRICKS or ch in _ISOLATES)
    ]
    line = "".join(kept).rstrip() if keep_indent else "".join(kept).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)


def age(seconds: float | None) -> str:
    """At most four cells: `7s 12m 3h 4d`; `-` when there is none."""
    if seconds is None:
        return "-"
    whole = max(0, int(seconds))
    if whole < 100:
        return f"{whole}s"
    if whole < 100 * 60:
        return f"{whole // 60}m"
    return f"{whole // 3600}h" if whole < 100 * 3600 else f"{whole // 86400}d"
