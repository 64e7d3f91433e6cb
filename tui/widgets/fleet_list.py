"""The agent tree: one widget, one line an agent; the selection stays with its agent, not with its line."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from ..looks import LOOKS, Glyphs, age
from ..themes import TRON_INK, TRON_ORANGE, cursor_ground
from ..tones import Tone
from ..viewmodel import Row, changed, place
from .lines import LineView

PHASE_CELLS = 12
PERCENT = 4
"""Cells of a progress without its bar."""
_GAP = 1


@dataclass(frozen=True, slots=True)
class Columns:
    """Cells of each column; 0 leaves it out. The phase word goes last of all, the message first."""

    name: int
    phase: int
    seen: int
    tries: int
    bar: int
    message: int

    @staticmethod
    def fit(width: int, wanted: int) -> Columns:
        """Share out `width` cells; `wanted` is the widest name with its tree in front."""
        room = max(0, width - 1)
        phase = PHASE_CELLS if room >= 24 else 0
        tries = 4 if room >= 36 else 0
        seen = 5 if room >= 42 else 0
        fixed = sum(part + _GAP for part in (phase, tries, seen) if part)
        name = max(4, min(wanted, room - fixed, max(18, room * 45 // 100)))
        left = room - fixed - name
        bar = 9 if left >= 26 else PERCENT if left >= 14 else 0
        message = max(0, left - (bar + _GAP if bar else 0) - _GAP)
        if message < 8:
            name, message = name + message, 0
        return Columns(name, phase, seen, tries, bar, message)


class FleetList(LineView):
    """Line 0 of the widget is the column head and does not scroll."""

    can_focus = True

    class Chosen(Message):
        """The selection moved to another agent."""

        def __init__(self, agent: str | None) -> None:
            self.agent = agent
            super().__init__()

    class Opened(Message):
        """The selected agent was clicked twice."""

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyphs
        self._rows: tuple[Row, ...] = ()
        self._wanted = 0
        self._now = 0.0
        self._ages: dict[int, str] = {}
        """How long ago the agent of a line was seen, as it stands there."""
        self._named: dict[str, tuple[Row, int]] = {}
        self.cursor = 0
        self.agent: str | None = None

    # -- data -------------------------------------------------------------------------------------
    def put(self, rows: tuple[Row, ...], now: float) -> None:
        """Show new rows as of `now` (epoch seconds); the selection follows its agent."""
        self._now = now
        if rows is self._rows:
            self._grow_older()
            return
        change = changed(self._rows, rows)
        self._rows = rows
        wanted = max(map(self._cells, rows), default=0)
        cursor = place(rows, self.agent, self.cursor)
        if change.resized or wanted != self._wanted:
            self._wanted = wanted
            self._keys = rows
            self.measure(Size(0, len(rows) + 1))
        else:
            self._keys = rows
            for index in change.lines:
                self.refresh_line_at(index)
            self._grow_older()
        self._settle(cursor)

    def _cells(self, row: Row) -> int:
        """How wide its name is with the tree in front."""
        known = self._named.get(row.agent)
        if known is None or known[0] is not row:
            known = self._named[row.agent] = (row, self._titled(row).cell_len)
        return known[1]

    def _grow_older(self) -> None:
        """Paint the lines in sight again whose age is another now."""
        top = self.scroll_offset.y
        for index in range(top, min(top + self.size.height, len(self._rows))):
            if self._ages.get(index) != self._age(self._rows[index]):
                self.refresh_line_at(index)

    def _age(self, row: Row) -> str:
        return age(None if row.seen is None else self._now - row.seen)

    @property
    def row(self) -> Row | None:
        return self._rows[self.cursor] if self._rows else None

    def row_at(self, index: int) -> Row | None:
        return self._rows[index] if 0 <= index < len(self._rows) else None

    # -- selection --------------------------------------------------------------------------------
    def move_to(self, index: int) -> None:
        self._settle(max(0, min(index, len(self._rows) - 1)))

    def choose(self, agent: str) -> bool:
        """Select an agent if it is in sight; whether it is."""
        for index, row in enumerate(self._rows):
            if row.agent == agent:
                self._settle(index)
                return True
        return False

    def parent_of_cursor(self) -> int | None:
        """Line of the selected agent's parent."""
        row = self.row
        if row is None or not row.rails:
            return None
        above = (i for i in range(self.cursor - 1, -1, -1) if len(self._rows[i].rails) < len(row.rails))
        return next(above, None)

    def _settle(self, cursor: int) -> None:
        before, self.cursor = self.cursor, max(0, cursor)
        agent = self.row.agent if self.row is not None else None
        if before != self.cursor:
            self.refresh_line_at(before)
            self.refresh_line_at(self.cursor)
        if self.size.height > 1:
            top, height = self.scroll_offset.y, self.size.height - 1
            if self.cursor < top:
                self.scroll_to(y=self.cursor, animate=False, immediate=True)
            elif self.cursor >= top + height:
                self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)
        if agent != self.agent:
            self.agent = agent
            self.post_message(self.Chosen(agent))

    def on_click(self, event: events.Click) -> None:
        line = event.y - 1 + self.scroll_offset.y
        if event.y < 1 or self.row_at(line) is None:
            return
        self.move_to(line)
        if event.chain == 2:
            self.post_message(self.Opened())

    def on_focus(self) -> None:
        self.refresh_line_at(self.cursor)

    def on_blur(self) -> None:
        self.refresh_line_at(self.cursor)

    def on_resize(self) -> None:
        # Before the next refresh the scroll range is still that of the old size.
        self.call_after_refresh(lambda: self._settle(self.cursor))

    # -- painting ---------------------------------------------------------------------------------
    def refresh_line_at(self, index: int) -> None:
        super().refresh_line_at(index + 1 if index >= self.scroll_offset.y else -1)

    def render_line(self, y: int) -> Strip:
        if y == 0:
            return self._head()
        return self.strip_of(self.scroll_offset.y + y - 1, 0, self.scroll_offset.y + y - 1)

    @property
    def columns(self) -> Columns:
        return Columns.fit(self.across, self._wanted)

    def ground(self, index: int) -> Style:
        if index != self.cursor:
            return Style()
        return Style(bgcolor=cursor_ground(self.app.current_theme.dark, self.has_focus))

    def _head(self) -> Strip:
        columns, quiet = self.columns, Style(color=self.colours[Tone.QUIET])
        cells = [
            (columns.name, "agent"),
            (columns.phase, "phase"),
            (columns.seen, " seen"),
            (columns.tries, "  ×"),
        ]
        line = " " + " ".join(set_cell_size(word, size) for size, word in cells if size)
        if columns.bar:
            line += " " + set_cell_size("progress" if columns.bar > PERCENT else "   %", columns.bar)
        line += " message" if columns.message else ""
        base = self.rich_style + quiet
        return Strip([Segment(line, base)], cell_len(line)).crop_extend(0, self.across, base)

    def draw(self, index: int) -> Text:
        row, columns, colours = self._rows[index], self.columns, self.colours
        text = Text().append(self._glyphs.cursor if index == self.cursor else " ", colours[Tone.BUSY])
        text.append_text(_fit(self._titled(row), columns.name))
        if columns.phase:
            text.append(" ").append_text(self._phase(row))
        if columns.seen:
            old = row.seen is not None and self._now - row.seen >= 30
            told = self._ages[index] = self._age(row)
            text.append(f" {told:>5}", colours[Tone.LIMIT if old and not row.stale else Tone.QUIET])
        if columns.tries:
            text.append(f"  ×{row.tries}".ljust(5) if row.tries else "     ", colours[Tone.TEXT])
        if columns.bar:
            text.append(" ").append_text(self._progress(row, columns.bar))
        if columns.message:
            text.append(" " + _cut(row.message, columns.message), colours[Tone.QUIET])
        if row.stale:
            text.stylize(Style(dim=True))
        return text

    def _titled(self, row: Row) -> Text:
        """Tree guides, fold mark, glyph and title, and for a folded parent what is below it."""
        colours, (blank, passing, branch, last) = self.colours, self._glyphs.guides
        rails = "".join(passing if on else blank for on in row.rails[:-1])
        rails += (branch if row.rails[-1] else last) if row.rails else ""
        leaf, opened, closed = self._glyphs.fold
        text = Text().append(rails, colours[Tone.QUIET])
        text.append(
            (closed if row.folded else opened) if row.parent else leaf if row.rails else " ",
            colours[Tone.QUIET],
        )
        look = LOOKS[row.phase]
        tone = Tone.TRON if row.affected else look.tone
        text.append(" " + self._glyphs.phase(row.phase) + " ", Style(color=colours[tone], bold=True))
        text.append(row.title, Style(color=colours[Tone.TEXT], bold=row.affected or look.rank >= 4))
        if row.folded:
            text.append(f" +{row.hidden}", colours[Tone.QUIET])
            for phase, count in row.below[:3]:
                text.append(
                    f" {self._glyphs.phase(phase)}{count}", Style(color=colours[LOOKS[phase].tone], bold=True)
                )
        return text

    def _phase(self, row: Row) -> Text:
        word = set_cell_size(row.phase.value, PHASE_CELLS)
        if row.affected:
            return Text().append(
                f" {row.phase.value} ".ljust(PHASE_CELLS),
                Style(color=TRON_INK, bgcolor=TRON_ORANGE, bold=True),
            )
        look = LOOKS[row.phase]
        return Text().append(word, Style(color=self.colours[look.tone], bold=look.rank >= 4))

    def _progress(self, row: Row, width: int) -> Text:
        if row.percent is None:
            return Text(" " * width)
        if width <= PERCENT:
            return Text(f"{row.percent:>3}%", self.colours[Tone.QUIET])
        full, empty = self._glyphs.cells
        lit = round(row.percent * 4 / 100)
        text = Text().append(full * lit, self.colours[Tone.BUSY])
        text.append(empty * (4 - lit), self.colours[Tone.QUIET])
        return text.append(f" {row.percent:>3}%"[: width - 4], self.colours[Tone.QUIET])


def _cut(line: str, width: int) -> str:
    return line if cell_len(line) <= width else set_cell_size(line, max(0, width - 1)) + "…"


def _fit(text: Text, width: int) -> Text:
    """Exactly `width` cells."""
    if text.cell_len > width:
        text.truncate(width, overflow="ellipsis")
    text.pad_right(width - text.cell_len)
    return text
