"""How each kind of line of the fleet's list looks: columns, tree, dots, headings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text

from ..colours import TRON_INK, TRON_ORANGE
from ..listing import Listing, Sort
from ..looks import LOOKS, Glyphs, age
from ..problems import INDENT, Dots, Heading, Need, Note
from ..rows import Row
from ..tones import Tone

PHASE_CELLS = 12
SENTENCE, WORDS = 24, 14
"""Cells of a message that says what it is about, and of one that still hints at it."""
PERCENT = 4
"""Cells of a progress without its bar."""
_GAP = 1
NEEDS: Mapping[Need, Tone] = {
    Need.YOU: Tone.BAD,
    Need.HEALING: Tone.TRON,
    Need.TIME: Tone.LIMIT,
    Need.NOBODY: Tone.GOOD,
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Cells of each column; 0 leaves it out. What says why is told before how far: the progress gives way to
    the message first, then the retries, then the age; the phase word goes last of all."""

    name: int
    phase: int
    seen: int
    tries: int
    bar: int
    message: int

    @staticmethod
    def fit(width: int, wanted: int, *, figures: bool = False) -> Columns:
        """Share out `width` cells; `wanted` is the widest name with its tree in front; `figures`: the column
        of the retries tells by what the lines are ordered, and stays."""
        room = max(0, width - 1)
        phase = PHASE_CELLS if room >= 24 else 0
        tries = 4 if room >= 36 else 0
        seen = 5 if room >= 42 else 0
        fixed = sum(part + _GAP for part in (phase, tries, seen) if part)
        name = max(4, min(wanted, room - fixed, max(18, room * 45 // 100)))
        left = room - fixed - name
        if left - _GAP < SENTENCE and tries and not figures:
            left, tries = left + tries + _GAP, 0
        if left - _GAP < WORDS and seen:
            left, seen = left + seen + _GAP, 0
        bar = next((size for size in (9, PERCENT) if left - size - 2 * _GAP >= SENTENCE), 0)
        message = max(0, left - (bar + _GAP if bar else 0) - _GAP)
        if message < 8:
            name, message = name + message, 0
        return Columns(name, phase, seen, tries, bar, message)

    def sort_at(self, x: int) -> Sort:
        """What a click `x` cells right of the gutter on the column heads orders by."""
        heads = {Sort.NAME: self.name, Sort.NEED: self.phase, Sort.SEEN: self.seen, Sort.TRIES: self.tries}
        for sort, size in heads.items():
            if size and x <= size:
                return sort
            x -= size + _GAP if size else 0
        return Sort.TREE


@dataclass(frozen=True, slots=True)
class Look:
    """What a line is drawn with beside itself. `marks`: whether there is a column for them."""

    glyphs: Glyphs
    colours: Mapping[Tone, str]
    columns: Columns
    listing: Listing
    now: float
    marks: bool = False

    @property
    def gutter(self) -> int:
        """Cells before the first column."""
        return 2 if self.marks else 1


def gutter(look: Look, here: bool, marked: bool) -> Text:
    """The cursor's cell, and that of the mark while there are any."""
    text = Text().append(look.glyphs.cursor if here else " ", look.colours[Tone.BUSY])
    if look.marks:
        text.append(look.glyphs.mark if marked else " ", Style(color=look.colours[Tone.BUSY], bold=True))
    return text


def head_line(look: Look) -> str:
    """The heads of the columns, and by what the lines are ordered."""
    columns, listing = look.columns, look.listing
    told = listing.told(look.glyphs.plain)
    figures = {Sort.CPU: " cpu", Sort.MEMORY: " mem"}
    cells = [
        (columns.name, f"agent  {told}" if told else "agent"),
        (columns.phase, "phase"),
        (columns.seen, " seen"),
        (columns.tries, figures.get(listing.sort, "  x" if look.glyphs.plain else "  ×")),
    ]
    line = " " * look.gutter + " ".join(set_cell_size(word, size) for size, word in cells if size)
    if columns.bar:
        line += " " + set_cell_size("progress" if columns.bar > PERCENT else "   %", columns.bar)
    return line + (" message" if columns.message else "")


def row_line(row: Row, look: Look, lit: int = 0, marked: bool = False) -> Text:
    """An agent's line without the gutter. `lit`: see `alerted`."""
    columns, colours = look.columns, look.colours
    text = _fit(titled(row, look, lit, marked), columns.name)
    if columns.phase:
        text.append(" ").append_text(_phase(row, look))
    if columns.seen:
        old = row.seen is not None and look.now - row.seen >= 30 and not row.stale
        text.append(f" {seen(row, look.now):>5}", colours[Tone.LIMIT if old else Tone.QUIET])
    if columns.tries:
        times = "x" if look.glyphs.plain else "×"
        tries = f"  {times}{row.tries}" if row.tries else ""
        text.append(f"{row.figure:>5}" if _by_figure(look) else f"{tries:<5}", colours[Tone.TEXT])
    if columns.bar:
        text.append(" ").append_text(_progress(row, columns.bar, look))
    if columns.message:
        text.append(" " + _cut(row.message, columns.message), colours[Tone.QUIET])
    if row.stale:
        text.stylize(Style(color=colours[Tone.QUIET]))  # not dim: it must be read
    return text


def _by_figure(look: Look) -> bool:
    return look.listing.figures


def seen(row: Row, now: float) -> str:
    """How long ago the agent was seen, as it stands in its column."""
    return age(None if row.seen is None else now - row.seen)


def titled(row: Row, look: Look, lit: int = 0, marked: bool = False) -> Text:
    """Tree rails, fold sign, glyph and title, then what is below it or what it is below of."""
    colours, glyphs = look.colours, look.glyphs
    text = _rails(row, look, lit)
    leaf, opened, closed = glyphs.fold
    sign = (closed if row.folded else opened) if row.parent else leaf if row.rails else " "
    ways = lit >> len(row.rails)  # that end here, or begin
    text.append(sign, colours[Tone.TRON if ways & (1 if row.parent else 2) else Tone.QUIET])
    look_of = LOOKS[row.phase]
    tone = Tone.TRON if row.affected else look_of.tone
    text.append(f" {glyphs.phase(row.phase)} ", Style(color=colours[tone], bold=True))
    bold = row.affected or look_of.rank >= 4 or marked
    ink = Tone.BUSY if marked else Tone.QUIET if row.context else Tone.TEXT
    text.append(row.title, Style(color=colours[ink], bold=bold and not row.context))
    if row.folded:
        text.append(f" +{row.hidden}", colours[Tone.QUIET])
    for phase, count in row.below[: 3 if row.folded else 1]:
        style = Style(color=colours[LOOKS[phase].tone], bold=row.folded)
        text.append(f" {glyphs.phase(phase)}{count}", style)
    if row.within:
        text.append(f" {glyphs.dot} {row.within}", colours[Tone.QUIET])
    return text


def title_cells(row: Row) -> int:
    """Cells that `titled` takes, without making it."""
    below = row.below[: 3 if row.folded else 1]
    counts = sum(2 + len(str(count)) for _, count in below)
    hidden = 2 + len(str(row.hidden)) if row.folded else 0
    within = 3 + cell_len(row.within) if row.within else 0
    return 2 * len(row.rails) + 4 + cell_len(row.title) + hidden + counts + within


def fold_cell(row: Row) -> int | None:
    """Where the fold sign stands, in cells from the gutter; None where there is none."""
    return 2 * len(row.rails) if row.parent else None


def _rails(row: Row, look: Look, lit: int) -> Text:
    blank, passing, branch, last = look.glyphs.guides
    text, colours = Text(), look.colours
    depth = len(row.rails)
    for level, on in enumerate(row.rails):
        own = level == depth - 1
        rail = (branch if on else last) if own else passing if on else blank
        bright = colours[Tone.TRON if lit >> level & 1 else Tone.QUIET]
        if own:  # what only passes by does not lead to this line
            text.append(rail[:1], bright)
            text.append(rail[1:], colours[Tone.TRON if lit >> depth + 1 & 1 else Tone.QUIET])
        else:
            text.append(rail, bright)
    return text


def _phase(row: Row, look: Look) -> Text:
    if row.affected:
        word = f" {row.phase.value} ".ljust(PHASE_CELLS)
        return Text().append(word, Style(color=TRON_INK, bgcolor=TRON_ORANGE, bold=True))
    look_of = LOOKS[row.phase]
    word = set_cell_size(row.phase.value, PHASE_CELLS)
    return Text().append(word, Style(color=look.colours[look_of.tone], bold=look_of.rank >= 4))


def _progress(row: Row, width: int, look: Look) -> Text:
    if row.percent is None:
        return Text(" " * width)
    if width <= PERCENT:
        return Text(f"{row.percent:>3}%", look.colours[Tone.QUIET])
    full, empty = look.glyphs.cells
    cells = round(row.percent * 4 / 100)
    text = Text().append(full * cells, look.colours[Tone.BUSY])
    text.append(empty * (4 - cells), look.colours[Tone.QUIET])
    return text.append(f" {row.percent:>3}%"[: width - 4], look.colours[Tone.QUIET])


def drawn(
    line: Row | Heading | Dots | Note,
    look: Look,
    chosen: str | None = None,
    lit: int = 0,
    marked: frozenset[str] = frozenset(),
) -> Text:
    """A line of any kind with its gutter. `chosen`: the selected agent, where it stands in this line."""
    if isinstance(line, Row):
        mark = line.agent in marked
        return gutter(look, chosen is not None, mark).append_text(row_line(line, look, lit, mark))
    if isinstance(line, Dots):
        text = gutter(look, chosen is not None, marked=False)
        return text.append_text(dots_line(line, look, chosen, marked))
    told = heading_line(line, look) if isinstance(line, Heading) else note_line(line, look)
    return Text(" ").append_text(told)


def heading_line(line: Heading, look: Look) -> Text:
    """The name of a group, how many are in it, and in which phases."""
    text = Text(" " * (look.gutter - 1))
    text.append(line.need.value, Style(color=look.colours[NEEDS[line.need]], bold=True))
    text.append(f"  {line.count}", look.colours[Tone.TEXT])
    if line.need is Need.NOBODY or len(line.phases) > 1:
        for phase, count in line.phases:
            told = f"   {look.glyphs.phase(phase)} {count} {phase.value}"
            text.append(told, look.colours[LOOKS[phase].tone])
    return text


def note_line(line: Note, look: Look) -> Text:
    """A line in words."""
    tone = Tone.GOOD if line.good else Tone.TEXT
    return Text(" " * (look.gutter - 1)).append(line.words, Style(color=look.colours[tone], bold=True))


def dots_line(line: Dots, look: Look, chosen: str | None, marked: frozenset[str]) -> Text:
    """One sign an agent; the `chosen` one is turned round, marked ones are underlined."""
    text = Text(" " * (INDENT - look.gutter))
    for name, phase in zip(line.agents, line.phases, strict=True):
        style = Style(color=look.colours[LOOKS[phase].tone], underline=name in marked or None)
        if name == chosen:
            style += Style(reverse=True, bold=True)
        text.append(look.glyphs.phase(phase), style)
    return text


def _cut(line: str, width: int) -> str:
    return line if cell_len(line) <= width else set_cell_size(line, max(0, width - 1)) + "…"


def _fit(text: Text, width: int) -> Text:
    """Exactly `width` cells."""
    if text.cell_len > width:
        text.truncate(width, overflow="ellipsis")
    text.pad_right(width - text.cell_len)
    return text
