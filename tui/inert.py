"""Text that others wrote, made so that it takes exactly the cells that it is counted for, in any terminal.

Terminals differ on how wide joined emoji, flags, variation selectors and spacing vowel signs are. Where ours
and the person's differ by one cell, a line runs over into the next and stays there. So what they differ on is
shown by signs that they agree on: a flag by its two letters, a joined emoji by its parts."""

from __future__ import annotations

import re
import unicodedata

MOST_MARKS = 3
"""Accents on one letter. No script needs more; a pile of them runs over the lines above."""
UNSURE = "\ufffd"

_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
_SKINS = range(0x1F3FB, 0x1F400)
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0), range(0x180B, 0x1810))
_FILLERS = frozenset((0x115F, 0x1160, 0x3164, 0xFFA0, 0x20E3))
"""Letters without a shape, and the frame of a keycap."""
_DISPUTED = (
    range(0x2630, 0x2638),
    range(0x268A, 0x2690),
    range(0x3248, 0x3250),
    range(0x4DC0, 0x4E00),
    range(0x1D300, 0x1D357),
    range(0x1D360, 0x1D377),
)
"""Signs that have become wide, or narrow, in a newer Unicode."""
_GONE = frozenset(("Cc", "Cf", "Cs"))
_BREAKS = frozenset(("Zl", "Zp"))
_UNKNOWN = frozenset(("Cn", "Mc"))
_MOST_KNOWN = 20_000

_WITH_MARKS = re.compile(
    "[\u0300-\u1fff\u20d0-\u20ff\u2cef-\u2cf1\u2d7f\u2de0-\u2dff\u302a-\u302f\u3099\u309a\ua66f-\uabff"
    "\ufb1e\ufe20-\ufe2f\U00010000-\U0001ffff]{4,}"
)
"""Where accents are among what else there is: not among what lines and boxes are drawn with."""


class _Shown(dict[int, str | None]):
    """For str.translate: what each character is shown as. Filled as characters are met."""

    def __missing__(self, code: int) -> str | None:
        if len(self) > _MOST_KNOWN:  # somebody goes through all of Unicode
            for known in [known for known in self if known > 0x7F]:
                del self[known]
        self[code] = shown = _shown(code)
        return shown


_TABLE = _Shown({9: "\t", 10: "\n", 27: "\x1b"})


def _shown(code: int) -> str | None:
    char = chr(code)
    kind = unicodedata.category(char)
    if kind in _GONE or code in _SKINS or code in _FILLERS or any(code in one for one in _SELECTORS):
        return None
    if kind in _BREAKS:
        return " "
    if code in _FLAG_LETTERS:
        return chr(ord("A") + code - _FLAG_LETTERS.start)
    return UNSURE if kind in _UNKNOWN or any(code in one for one in _DISPUTED) else char


def inert(text: str) -> str:
    """`text` without controls, direction tricks and characters that cannot be seen; what terminals do not
    agree on is shown by what they do. Tab, newline and ESC stay: those are the caller's matter."""
    if text.isascii() and text.isprintable():
        return text
    told = text.translate(_TABLE)
    return told if told.isascii() else _WITH_MARKS.sub(_few_marks, told)


def _few_marks(found: re.Match[str]) -> str:
    kept, run = [], 0
    for char in found[0]:
        run = run + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if run <= MOST_MARKS:
            kept.append(char)
    return "".join(kept)


def in_ascii(text: str) -> str:
    """`text` in as many cells for a terminal that has no other letters; lines and walls stay such."""
    if text.isascii():
        return text
    from rich.cells import cell_len  # plain commands clean their text as well, and draw nothing

    return "".join(char if char.isascii() else _ASCII.get(char) or "?" * cell_len(char) for char in text)


_ASCII = {
    **dict.fromkeys("\u2502\u2503\u258e\u258f\u258a\u258c\u2590\u2595", "|"),
    **dict.fromkeys("\u2500\u2501\u2581\u2594", "-"),
    **dict.fromkeys("\u256d\u256e\u256f\u2570\u250c\u2510\u2514\u2518", "+"),
    "\u2026": "~",
}
