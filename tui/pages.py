"""A Markdown page of ours as lines for the screen. Pure, and as much Markdown as our own reports use:
headings, tables, lists, quotations in fences, code in backticks. Whatever else stands there is text.

Nothing on a page is carried out: every line goes through `clean`, and nothing becomes markup."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size

from .charts import cut, trimmed
from .looks import clean
from .prose import Line
from .tones import Tone

LONGEST = 2_000
"""Characters of one line of a page."""
NARROWEST = 8
"""Cells that a column of a table keeps, and below which no text is broken."""
_FENCE = re.compile(r"(`{3,})\w*\s*$")
_HEADING = re.compile(r"(#{1,6}) +(.*)")
_ITEM = re.compile(r"(\s*)(?:[-*]|\d{1,3}\.) +(.*)")
_RULE = re.compile(r":?-{3,}:?")
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]<>()#+\-.!|])")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:T(?=.*Z)| )(\d\d:\d\d:\d\d)(?:\.\d+Z)?")
_CELL_END = re.compile(r"(?<!\\)\|")


def page_lines(markdown: str, width: int, plain: bool = False) -> list[Line]:
    """The page in lines of at most `width` cells."""
    width = max(NARROWEST, width)
    lines: list[Line] = []
    rows: list[list[str]] = []
    fence = ""
    for raw in markdown.split("\n"):
        if not fence and raw.lstrip().startswith("|"):
            rows.append(_cells(raw))
            continue
        if rows:
            lines += _table(rows, width, plain)
            rows = []
        fenced = _FENCE.match(raw)
        if fence and fenced and len(fenced[1]) >= len(fence) and raw.strip("` \t") == "":
            fence = ""
        elif fence:
            lines += _quoted(raw, width, plain)
        elif fenced:
            fence = fenced[1]
        else:
            lines += _paragraph(raw, width, plain)
    if rows:
        lines += _table(rows, width, plain)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _paragraph(raw: str, width: int, plain: bool) -> Iterator[Line]:
    heading = _HEADING.match(raw)
    item = _ITEM.match(raw)
    if heading is not None:
        tone = Tone.BUSY if len(heading[1]) > 1 else Tone.TEXT
        text = _said(heading[2])
        for part in _broken(text, width):
            yield ((part, tone),)
        if len(heading[1]) == 1:
            yield ((("=" if plain else "═") * min(width, cell_len(text)), Tone.QUIET),)
    elif item is not None:
        mark = "- " if plain else "• "
        for number, part in enumerate(_broken(_said(item[2]), width - 2)):
            yield ((mark if number == 0 else "  ", Tone.BUSY), (part, Tone.TEXT))
    elif not raw.strip():
        yield ()
    else:
        for part in _broken(_said(raw), width):
            yield ((part, Tone.TEXT),)


def _quoted(raw: str, width: int, plain: bool) -> Iterator[Line]:
    """What somebody else said, behind a bar; a diff in its colours."""
    text = clean(raw.replace("\t", "    "), LONGEST, keep_indent=True)
    tone = Tone.QUIET
    if text.startswith("+") and not text.startswith("+++"):
        tone = Tone.GOOD
    elif text.startswith("-") and not text.startswith("---"):
        tone = Tone.SICK
    wall = "| " if plain else "▏ "
    for part in _chopped(text, width - 2):
        yield ((wall, Tone.BUSY), (part, tone))


def _table(rows: Sequence[Sequence[str]], width: int, plain: bool) -> Iterator[Line]:
    """Columns as wide as they need while there is room; the last one takes what is left and is broken."""
    body = [row for row in rows if not all(_RULE.fullmatch(cell) for cell in row if cell) or not any(row)]
    if not body:
        return
    count = max(len(row) for row in body)
    filled = [[*map(_clock, row[:-1]), *row[-1:], *([""] * (count - len(row)))] for row in body]
    fit = _widths(filled, width)
    for number, row in enumerate(filled):
        if not any(row):
            continue
        head = number == 0 and len(body) < len(rows)
        parts = [
            _broken(cell, fit[-1]) if at == count - 1 else [cut(cell, fit[at], plain)]
            for at, cell in enumerate(row)
        ]
        for line in range(max(map(len, parts))):
            told = [part[line] if line < len(part) else "" for part in parts]
            padded = [set_cell_size(text, cells) for text, cells in zip(told, fit, strict=True)]
            first, rest = padded[0] + "  ", "  ".join(padded[1:]).rstrip()
            yield trimmed(((first, Tone.QUIET), (rest, Tone.QUIET if head else Tone.TEXT)), width)


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    wanted = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    last = max(NARROWEST, min(wanted[-1], width // 2))
    room = width - last - 2 * (len(wanted) - 1)
    while sum(wanted[:-1]) > room and max(wanted[:-1], default=0) > NARROWEST:
        widest = wanted.index(max(wanted[:-1]))
        wanted[widest] -= 1
    left = width - sum(wanted[:-1]) - 2 * (len(wanted) - 1)
    return [*wanted[:-1], max(1, min(wanted[-1], left))]


def _cells(raw: str) -> list[str]:
    inner = raw.strip().removeprefix("|").removesuffix("|")
    return [_said(cell.strip()) for cell in _CELL_END.split(inner)]


def _clock(text: str) -> str:
    """A moment as its time of day: the day stands in the page's head."""
    moment = _MOMENT.fullmatch(text)
    return moment[1] if moment is not None else text


def _said(text: str) -> str:
    """Text as it is meant: escapes taken back, code without its backticks."""
    inert = clean(text, LONGEST)
    return _ESCAPED.sub(r"\1", re.sub(r"(?<!\\)`", "", inert))


def _broken(text: str, width: int) -> list[str]:
    """At spaces where there are any; no part is wider than `width` cells."""
    if cell_len(text) <= width:
        return [text]
    parts = textwrap.wrap(text, max(1, width), break_on_hyphens=False) or [""]
    return [piece for part in parts for piece in _chopped(part, width)]


def _chopped(text: str, width: int) -> list[str]:
    """Cut where the width ends: a quotation keeps its spaces."""
    parts: list[str] = []
    while cell_len(text) > width:
        piece, used = "", 0
        for letter in text:
            used += cell_len(letter)
            if used > max(1, width):
                break
            piece += letter
        piece = piece or text[0]
        parts.append(piece)
        text = text[len(piece) :]
    return [*parts, text]
