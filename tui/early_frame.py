"""The early frame as bytes for a terminal: drawn of the same lines as the screen, before Textual is loaded.

Pure. The agent's own half of the screen stays empty until Textual paints; all else is as that will paint it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.color import ColorSystem
from rich.style import Style
from rich.text import Text

from .alerted import NONE, alerted
from .bar_lines import LEAST_CELLS, bar_keys, bar_line, headline, tron_line
from .colours import FACES, TRON_FADED, TRON_ORANGE, Faces, palette
from .glimpse import Glimpse
from .interventions import FADES_AFTER, Dismissal, intervention
from .looks import Glyphs
from .problems import Dots
from .rows import Row
from .tones import Tone
from .viewmodel import Line as ListLine
from .viewmodel import Lines, place
from .widgets import fleet_lines as draw

WIDE, ROOMY = 110, 12
"""Columns from which on the agent stands beside the list, and rows from which on it is there at all."""
BESIDE, MOST_BESIDE, ABOVE, LEAST_LIST = 58, 96, 45, 3
"""Percent of the columns that the list has then, and no more cells than that; percent of the rows, and its
least rows (hhmrs.tcss)."""


@dataclass(frozen=True, slots=True)
class Paint:
    """With what is drawn. `system`: which colours the terminal knows; None: none are wanted."""

    glyphs: Glyphs
    theme: str
    system: ColorSystem | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the screen: what stands in its first `across` cells, and on which ground. `edge`: where
    the agent's half begins beside it."""

    text: Text
    ground: str
    across: int
    edge: str = ""
    ends: bool = False
    """Whether it says so where it is cut off."""


def cells_beside(width: int) -> int:
    """Cells of the list where the agent stands beside it, on a screen of `width` columns."""
    return min(width * BESIDE // 100, MOST_BESIDE)


def most_rows(size: tuple[int, int]) -> int:
    """Agents that can be in sight on a screen of so many columns and rows."""
    return size[1]


def frame(seen: Glimpse, size: tuple[int, int], paint: Paint) -> list[Line] | None:
    """The lines of the screen from above; None where there is no room for it."""
    (width, height), fleet = size, seen.fleet
    if width < LEAST_CELLS[0] or height < LEAST_CELLS[1] or not fleet.agents:
        return None
    face = FACES.get(paint.theme, FACES["hhmrs-dark"])
    colours, top = palette(face.dark), list[Line]()
    told = intervention(seen.events, fleet, fleet.at, Dismissal(), paint.glyphs.plain)
    if told is not None:
        ground = TRON_FADED if told.seconds(fleet.at) > FADES_AFTER else TRON_ORANGE
        top.append(Line(tron_line(told, fleet.at, ground, paint.glyphs, width), ground, width, ends=True))
    listing = seen.left.listing
    words = listing.in_words(0, paint.glyphs.plain)
    top.append(Line(headline(fleet, words, paint.glyphs, colours, width), face.panel, width, ends=True))
    listed = _list(seen, (width, height - len(top) - 1), paint, colours, face)
    chosen = fleet.agent(listed.selected)
    keys = [(key, label, True) for key, label in bar_keys(chosen, listing, marked=False)]
    return [*top, *listed.lines, Line(bar_line(keys, colours, width), face.panel, width, ends=True)]


@dataclass(frozen=True, slots=True)
class _Listed:
    lines: list[Line]
    selected: str | None


def _list(
    seen: Glimpse, size: tuple[int, int], paint: Paint, colours: Mapping[Tone, str], face: Faces
) -> _Listed:
    """The list of agents, with the edge of the agent's half beside or below it. `size`: of both."""
    width, height = size
    wide, roomy = width >= WIDE, height + 2 >= ROOMY
    mine = cells_beside(width) if wide and roomy else width
    rows = height if wide or not roomy else max(LEAST_LIST, height * ABOVE // 100)
    listing, room = seen.left.listing, mine
    lines = Lines().of(seen.fleet, listing, room)
    if len(lines) + 1 > rows:
        room -= 1  # the scroll bar
        lines = Lines().of(seen.fleet, listing, room)
    listed = [line for line in lines if isinstance(line, Row)]
    columns = draw.Columns.fit(
        room, max((draw.title_cells(row) for row in listed), default=0), figures=listing.figures
    )
    look = draw.Look(paint.glyphs, colours, columns, listing, seen.fleet.at)
    lit = (alerted(listed) if listing.branching else NONE) or NONE
    edge = ("|" if paint.glyphs.plain else "│") if wide and roomy else ""
    drawn = [Line(Text(draw.head_line(look), colours[Tone.QUIET]), face.ground, mine, edge)]
    cursor = place(lines, seen.left.agent, 0)
    selected = _agent_in(lines[cursor] if lines else None, seen.left.agent)
    for index, line in _in_sight(lines, cursor, rows - 1):
        here = index == cursor
        text = draw.drawn(line, look, selected if here else None, lit[index] if lit else 0)
        text.truncate(room, overflow="crop")
        ground = face.cursor if here and isinstance(line, Row) else face.ground
        drawn.append(Line(text, ground, room, edge))
    blank = Line(Text(), face.ground, mine, edge)
    drawn += [blank] * (rows - len(drawn))
    if rows < height:
        rule = ("-" if paint.glyphs.plain else "─") * width
        drawn += [Line(Text(rule, face.line), face.ground, width)]
        drawn += [Line(Text(), face.ground, width)] * (height - len(drawn))
    return _Listed(drawn, selected)


def _agent_in(line: ListLine | None, wanted: str | None) -> str | None:
    """Who is selected in the line where the cursor stands."""
    if isinstance(line, Dots):
        return wanted if wanted in line.agents else line.agents[0]
    return line.agent if isinstance(line, Row) else None


def _in_sight(lines: Sequence[ListLine], cursor: int, rows: int) -> Iterator[tuple[int, ListLine]]:
    """The lines for which there is room, with their places: with the cursor the last of them if it is far
    down. Of the problems the first are in sight where somebody without any is selected."""
    first = 0 if lines and isinstance(lines[cursor], Dots) else max(0, cursor - rows + 1)
    yield from enumerate(lines[first : first + rows], first)


def painted(lines: Sequence[Line], width: int, paint: Paint) -> bytes:
    """What a terminal is sent: every cell once, from the upper left corner, the cursor hidden."""
    face = FACES.get(paint.theme, FACES["hhmrs-dark"])
    parts: list[str] = []
    for number, line in enumerate(lines, 1):
        text = line.text.copy()
        if line.ends and text.cell_len > line.across:
            text.truncate(line.across, overflow="ellipsis")
        parts.append(f"\x1b[{number};1H" + _shown(text, line, width, face, paint.system))
    return "".join(parts).encode("utf-8", "replace")


def _shown(text: Text, line: Line, width: int, face: Faces, system: ColorSystem | None) -> str:
    base = Style(color=palette(face.dark)[Tone.TEXT], bgcolor=line.ground)
    plain = Style(color=face.line, bgcolor=face.ground)
    text.truncate(line.across, overflow="crop")
    pieces = [*_runs(text, base), (" " * max(0, line.across - text.cell_len), base)]
    if (rest := width - line.across) > 0:
        edge = cells_beside(width) - line.across if line.edge else 0
        pieces.append((" " * edge + line.edge + " " * max(0, rest - edge - len(line.edge)), plain))
    return "".join(_sgr(words, style, system) for words, style in pieces if words)


def _sgr(words: str, style: Style, system: ColorSystem | None) -> str:
    if system is None:
        style = style.without_color
        return style.render(words, color_system=ColorSystem.STANDARD)
    return style.render(words, color_system=system)


def _runs(text: Text, base: Style) -> list[tuple[str, Style]]:
    """The text in pieces of one style."""
    styles = [base + _style(text.style)] * len(text.plain)
    for span in text.spans:
        extra = _style(span.style)
        for at in range(span.start, min(span.end, len(styles))):
            styles[at] = styles[at] + extra
    runs: list[tuple[str, Style]] = []
    begin = 0
    for at in range(1, len(styles) + 1):
        if at == len(styles) or styles[at] != styles[begin]:
            runs.append((text.plain[begin:at], styles[begin]))
            begin = at
    return runs


def _style(style: str | Style) -> Style:
    return Style.parse(style) if isinstance(style, str) else style
