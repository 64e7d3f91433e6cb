"""Lines of the screen as an SVG picture. Pure: it names no font to be fetched, holds no script and no link.

Block letters are drawn as rectangles, so that charts have no gaps, whatever font the reader has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from rich.cells import cell_len

from .prose import Line
from .themes import DARK_GROUND, LIGHT_GROUND, palette
from .tones import Tone

CELL, ROW = 8.4, 18.0
"""Pixels of a letter and of a line."""
SIZE = 14
EDGE = 14.0
_FONTS = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
_UP = "▁▂▃▄▅▆▇█"
_ACROSS = "▏▎▍▌▋▊▉█"
_SHADES = {"░": 0.3, "▒": 0.55}


def svg(lines: Sequence[Line], title: str, width: int, dark: bool = True) -> str:
    """The picture; `width` in cells. What others wrote must be clean already; here it becomes inert XML."""
    colours = palette(dark)
    ground = DARK_GROUND if dark else LIGHT_GROUND
    across, down = width * CELL + 2 * EDGE, (len(lines) + 2) * ROW + 2 * EDGE
    size = f'viewBox="0 0 {across:.1f} {down:.1f}" width="{across:.0f}" height="{down:.0f}"'
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{_xml(title)}</title>",
        f'<rect width="100%" height="100%" fill="{ground}"/>',
        f'<g font-family="{_FONTS}" font-size="{SIZE}" xml:space="preserve">',
        _text(0, 0, title, colours[Tone.TEXT], ' font-weight="bold"'),
    ]
    for number, line in enumerate(lines):
        at = 0
        for text, tone in line:
            body += _piece(at, number + 2, text, colours[tone])
            at += cell_len(text)
    return "\n".join([*body, "</g>", "</svg>", ""])


def _piece(at: int, row: int, text: str, colour: str) -> Iterator[str]:
    """A piece of one colour: its words as text, its blocks as rectangles, its blanks as nothing."""
    for block, letters in groupby(text, _block):
        run = "".join(letters)
        if block is not None and block[0] == 1.0:
            yield _rectangle(at, row, len(run), block, colour)
        elif block is not None:  # narrower than its cell, so that it joins with no other
            yield from (_rectangle(at + number, row, 1, block, colour) for number in range(len(run)))
        elif run.strip():
            lead = len(run) - len(run.lstrip())
            yield _text(at + lead, row, run.strip(), colour)
        at += cell_len(run)


def _block(letter: str) -> tuple[float, float, float] | None:
    """(share of the width, share of the height, how dense); None for what is no block."""
    if letter in _SHADES:
        return 1.0, 1.0, _SHADES[letter]
    if letter in _UP:
        return 1.0, (_UP.index(letter) + 1) / 8, 1.0
    if letter in _ACROSS:
        return (_ACROSS.index(letter) + 1) / 8, 1.0, 1.0
    return None


def _rectangle(at: int, row: int, count: int, block: tuple[float, float, float], colour: str) -> str:
    wide, tall, dense = block
    x, y = EDGE + at * CELL, EDGE + row * ROW + ROW * (1 - tall)
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{count * CELL * wide:.1f}" height="{ROW * tall:.1f}"'
    faint = f' fill-opacity="{dense}"' if dense < 1 else ""
    return f'<rect {shape} fill="{colour}"{faint}/>'


def _text(at: int, row: int, text: str, colour: str, more: str = "") -> str:
    """`textLength` keeps the columns, whatever font the reader's is."""
    x, y = EDGE + at * CELL, EDGE + row * ROW + ROW * 0.75
    long = f'textLength="{cell_len(text) * CELL:.1f}" lengthAdjust="spacingAndGlyphs"'
    shape = f'x="{x:.1f}" y="{y:.1f}" {long}'
    return f'<text {shape} fill="{colour}"{more}>{_xml(text)}</text>'


def _xml(text: str) -> str:
    """Letters that XML has no place for are left out."""
    kept = "".join(
        letter
        for letter in text
        if letter in "\t\n" or 0x20 <= ord(letter) <= 0xD7FF or 0xE000 <= ord(letter) <= 0xFFFD
        or ord(letter) > 0xFFFF
    )  # fmt: skip
    return escape(kept, {'"': "&quot;"})
