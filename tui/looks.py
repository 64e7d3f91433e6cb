"""How a phase looks: glyph, ASCII glyph, word and tone. Also the one cleaner for text that others wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..healing.agent import Phase
from .inert import inert
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
    ascii_only: bool = False
    """Nothing else can be sent to the terminal, whoever wrote it."""

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


_PLAIN = str.maketrans({"\t": " ", "\n": " ", "\r": " ", "\x1b": None})


def clean(text: object, limit: int = 400, *, keep_indent: bool = False) -> str:
    """One inert line of at most `limit` characters: no controls, no escapes, no direction tricks."""
    source = str(text)[: limit * 4]
    if not (source.isascii() and source.isprintable()):
        source = inert(_ESCAPE.sub("", source).translate(_PLAIN))
    line = source.rstrip() if keep_indent else source.strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)


def age(seconds: float | None) -> str:
    """At most four cells: `7s 12m 3h 4d`; `-` when there is none. A unit goes on to where two of the next
    (of days five) are whole, so that no step back is seen: `119s`, then `2m`."""
    if seconds is None:
        return "-"
    try:
        whole = max(0, int(seconds))
    except (ValueError, OverflowError):  # of a damaged ledger: no number of seconds at all
        return "-"
    if whole < 2 * 60:
        return f"{whole}s"
    if whole < 2 * 3600:
        return f"{whole // 60}m"
    return f"{whole // 3600}h" if whole < 5 * 86400 else f"{min(999, whole // 86400)}d"
