"""Charts made of letters, pure: numbers go in, lines of coloured pieces come out.

Every chart takes the cells it may use, and `plain` for terminals without block letters. Nothing is told by
colour alone: each kind of a stack has a letter of its own, each bar its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from .prose import Line
from .tones import Tone

_BLOCK = "▇"
"""Not the full one: bars one below the other would run into a slab."""
_UPWARD = "▁▂▃▄▅▆▇█"
_PLAIN_UPWARD = "_.:-=+*#"
"""As many steps as plain letters can be told apart."""
NICE = (1, 2, 3, 4, 5, 6, 8)
"""What one cell of a stack may stand for, times a power of ten."""
WIDEST_BAR = 40
WIDEST_COLUMN = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart. `figures` stand right-aligned behind the bar, `note` after them."""

    label: str
    value: float
    figures: tuple[str, ...] = ()
    note: str = ""
    tone: Tone = Tone.BUSY


@dataclass(frozen=True, slots=True)
class Kind:
    """One part of a stack: how it is called, and its letter on fonts with and without blocks."""

    name: str
    glyph: str
    ascii: str
    tone: Tone

    def letter(self, plain: bool) -> str:
        return self.ascii if plain else self.glyph


def bar(part: float, whole: float, cells: int, plain: bool = False) -> str:
    """`part` of `whole` as a bar of at most `cells` cells; whatever is more than nothing is seen."""
    if whole <= 0 or part <= 0 or cells <= 0:
        return ""
    return ("#" if plain else _BLOCK) * max(1, round(min(1.0, part / whole) * cells))


def bars(rows: Sequence[Bar], width: int, plain: bool = False) -> list[Line]:
    """A row each, all on the scale of the largest; no row is wider than `width`."""
    if not rows:
        return []
    label = min(max(cell_len(row.label) for row in rows), max(6, width * 2 // 5))
    columns = [max(map(cell_len, column)) for column in zip(*(row.figures for row in rows), strict=True)]
    figures = sum(cells + 2 for cells in columns)
    note = max((cell_len(row.note) for row in rows), default=0)
    room = width - label - 2 - figures
    kept = min(note, max(0, room - 10)) if room >= 22 else 0
    cells = max(0, min(WIDEST_BAR, room - (kept + 2 if kept else 0)))
    most = max(row.value for row in rows)
    return [_bar_line(row, most, (label, cells, columns, kept), plain) for row in rows]


def _bar_line(row: Bar, most: float, fit: tuple[int, int, list[int], int], plain: bool) -> Line:
    label, cells, columns, note = fit
    drawn = bar(row.value, most, cells, plain)
    numbers = "".join(
        "  " + " " * (wide - cell_len(figure)) + figure
        for figure, wide in zip(row.figures, columns, strict=True)
    )
    pieces = [
        (set_cell_size(cut(row.label, label, plain), label) + "  ", Tone.TEXT),
        (drawn + " " * (cells - len(drawn)), row.tone),
        (numbers, Tone.TEXT),
    ]
    if note and row.note:
        pieces.append(("  " + cut(row.note, note, plain), Tone.QUIET))
    return tuple(pieces)


def gauge(value: float, target: float | None, cells: int, plain: bool = False) -> Line:
    """A rate (percent) as a bar of exactly `cells` cells, with a mark where it should reach: what missed its
    target ends before the mark, however little it missed it by."""
    tone = Tone.HOLD if target is None else Tone.GOOD if value >= target else Tone.SICK
    drawn = len(bar(value, 100.0, cells))
    block, rest, sign = ("#", ".", "|") if plain else (_BLOCK, "▁", "┃")
    if target is None or cells < 2:
        whole = ((block * drawn, tone), (rest * (cells - drawn), Tone.QUIET))
        return tuple(piece for piece in whole if piece[0])
    mark = min(cells - 1, round(target / 100.0 * cells))
    drawn = max(drawn, mark) if value >= target else min(drawn, mark)
    pieces = (
        (block * min(drawn, mark), tone), (rest * (mark - drawn), Tone.QUIET), (sign, Tone.TEXT),
        (block * (drawn - mark - 1), tone), (rest * (cells - max(drawn, mark + 1)), Tone.QUIET),
    )  # fmt: skip
    return tuple(piece for piece in pieces if piece[0])


def sparkline(values: Sequence[float | None], plain: bool = False) -> str:
    """One letter a value, from nought to the largest; a blank where nothing was measured."""
    most = max((value for value in values if value is not None), default=0.0)
    steps = _PLAIN_UPWARD if plain else _UPWARD
    last = len(steps) - 1
    return "".join(
        " " if value is None else steps[round(last * value / most)] if most > 0 else steps[0]
        for value in values
    )


@dataclass(frozen=True, slots=True)
class Grid:
    """How columns lie in their room: `fold` neighbours are one column of `cells` cells with its gap."""

    fold: int
    cells: int
    count: int

    @property
    def drawn(self) -> int:
        """Cells of a column without its gap."""
        return self.cells - 1 if self.cells > 2 else self.cells


def grid(count: int, room: int) -> Grid:
    """`count` columns in `room` cells; neighbours are put together, hours into parts of a day, if need be."""
    for fold in (1, 2, 3, 4, 6, 8, 12, 24):
        columns = -(-count // fold)
        if columns <= room:
            return Grid(fold, max(1, min(WIDEST_COLUMN, room // max(1, columns))), columns)
    fold = -(-count // max(1, room))
    return Grid(fold, 1, -(-count // fold))


def unit(most: int, height: int) -> int:
    """What one cell stands for so that `most` fits in `height` cells: 1, 2, 5, 10, 20, ..."""
    scale = 1
    while True:
        for step in NICE:
            if most <= step * scale * height:
                return step * scale
        scale *= 10


def stacks(
    columns: Sequence[Sequence[int]], kinds: Sequence[Kind], shape: Grid, height: int, plain: bool = False
) -> list[Line]:
    """Stacked columns over their axis: one count a kind in each column, the first kind at the bottom.

    A cell stands for `unit` cases; a kind that is too rare for a cell is not drawn (`tallies` tells it)."""
    most = max((sum(column) for column in columns), default=0)
    step = unit(most, max(1, height))
    piles = [_pile(column, step) for column in columns]
    tall = max(1, max((len(pile) for pile in piles), default=0))
    margin = len(str(tall * step))
    tick, wall, floor = ("+", "|", "-") if plain else ("┤", "│", "─")
    lines: list[Line] = []
    for row in range(tall, 0, -1):
        mark = f"{row * step:>{margin}} {tick}" if row == tall else " " * margin + f" {wall}"
        pieces: list[tuple[str, Tone]] = [(mark, Tone.QUIET)]
        for pile, column in zip(piles, columns, strict=True):
            kind = kinds[pile[row - 1]] if len(pile) >= row else None
            letter = kind.letter(plain) if kind is not None else " "
            if letter == "█" and row == len(pile):  # as high as the rest of it reaches
                letter = _UPWARD[max(0, round(8 * (sum(column) / step - row + 1)) - 1)]
            text = letter * shape.drawn + " " * (shape.cells - shape.drawn)
            _add(pieces, text, kind.tone if kind is not None else Tone.QUIET)
        lines.append(tuple(pieces))
    corner = "+" if plain else "└"
    lines.append(((f"{0:>{margin}} {corner}{floor * (len(piles) * shape.cells)}", Tone.QUIET),))
    return lines


def axis(labels: Sequence[str], shape: Grid, margin: int, width: int) -> Line:
    """Words under columns, as many as fit in `width` with the blanks they end with; an empty one is none."""
    text = " " * margin
    for number, label in enumerate(labels):
        at = margin + number * shape.cells
        if label and (len(text) <= at or not text.strip()) and at + len(label) <= width:
            text = text.ljust(at) + label
    return ((text, Tone.QUIET),)


def tallies(counts: Sequence[int], shape: Grid) -> str:
    """A figure under each column that has any; `+` for ten and more."""
    return "".join(
        ("" if not count else "+" if count > 9 else str(count)).center(shape.drawn).ljust(shape.cells)
        for count in counts
    ).rstrip()


def margin_of(columns: Sequence[Sequence[int]], height: int) -> int:
    """Cells left of the first column of these `stacks`."""
    most = max((sum(column) for column in columns), default=0)
    step = unit(most, max(1, height))
    return len(str(max(1, -(-most // step)) * step)) + 2


def legend(counts: Sequence[int], kinds: Sequence[Kind], plain: bool = False) -> Line:
    """Letter, name and count of each kind."""
    pieces: list[tuple[str, Tone]] = []
    for count, kind in zip(counts, kinds, strict=True):
        pieces += [(kind.letter(plain), kind.tone), (f" {kind.name} {count}   ", Tone.TEXT)]
    return tuple(pieces)


def beside(left: Sequence[Line], right: Sequence[Line], at: int) -> list[Line]:
    """Two blocks of lines next to each other, the second one from cell `at` on."""
    lines: list[Line] = []
    for row in range(max(len(left), len(right))):
        first = left[row] if row < len(left) else ()
        gap = at - sum(cell_len(text) for text, _ in first)
        second = right[row] if row < len(right) else ()
        lines.append((*first, (" " * max(0, gap), Tone.QUIET), *second) if second else tuple(first))
    return lines


def trimmed(line: Line, width: int) -> Line:
    """The line without what would not fit in `width` cells, and without blanks at its end."""
    pieces: list[tuple[str, Tone]] = []
    for text, tone in line:
        kept = text if cell_len(text) <= width else set_cell_size(text, max(0, width))
        width -= cell_len(kept)
        pieces.append((kept, tone))
    while pieces and not pieces[-1][0].rstrip():
        pieces.pop()
    if pieces:
        pieces[-1] = (pieces[-1][0].rstrip(), pieces[-1][1])
    return tuple(piece for piece in pieces if piece[0])


def cut(text: str, cells: int, plain: bool = False) -> str:
    """The text, shortened to `cells` cells with a sign that something is missing."""
    if cell_len(text) <= cells:
        return text
    sign = "~" if plain else "…"
    return set_cell_size(text, max(0, cells - 1)).rstrip() + sign if cells else ""


def _pile(column: Sequence[int], step: int) -> list[int]:
    """Which kind each cell of a column shows, from the bottom: by share, the rest to the largest parts."""
    total = sum(column)
    tall = -(-total // step)
    shares = [count * tall / total if total else 0.0 for count in column]
    cells = [int(share) for share in shares]
    while sum(cells) < tall:
        cells[max(range(len(column)), key=lambda kind: shares[kind] - cells[kind])] += 1
    return [kind for kind, count in enumerate(cells) for _ in range(count)]


def _add(pieces: list[tuple[str, Tone]], text: str, tone: Tone) -> None:
    """Another piece, joined to the one before where the tone is the same."""
    if pieces[-1][1] is tone:
        pieces[-1] = (pieces[-1][0] + text, tone)
    else:
        pieces.append((text, tone))
