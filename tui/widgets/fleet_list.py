"""The agents in one widget; the selection stays with its agent, not with its line."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from ..alerted import NONE, alerted
from ..listing import Listing, Sort
from ..looks import Glyphs
from ..problems import INDENT, Dots
from ..rows import Row
from ..themes import cursor_ground
from ..tones import Tone
from ..viewmodel import Line, changed, place, settle
from . import fleet_lines as draw
from .fleet_lines import Columns, Look
from .lines import LineView


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

    class Pointed(Message):
        """A sign in an agent's line was clicked: that of its `fold`, or the column of the `mark`."""

        def __init__(self, what: str, agent: str) -> None:
            self.what = what
            self.agent = agent
            super().__init__()

    class Sorted(Message):
        """A column head was clicked."""

        def __init__(self, sort: Sort) -> None:
            self.sort = sort
            super().__init__()

    class Resized(Message):
        """There is another number of cells now."""

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyphs
        self._rows: tuple[Line, ...] = ()
        self._lit: tuple[int, ...] = ()
        self._listing = Listing()
        self._marked: frozenset[str] = frozenset()
        self._wanted = 0
        self._now = 0.0
        self._ages: dict[int, str] = {}
        """How long ago the agent of a line was seen, as it stands there."""
        self._named: dict[str, tuple[Row, int]] = {}
        self._column = 0
        """Place in a line of dots where the selection stands, or stood last."""
        self._following = True
        """Whether what is in sight goes with the selection; not once the person has scrolled away from it."""
        self._fresh = True
        """Nobody has moved yet: what is in sight is as if the list had had its size from the start."""
        self._height = 0
        """Of the last size that was taken up."""
        self.cursor = 0
        self.agent: str | None = None
        self.home: str | None = None
        """Whom the person selected; while it is not listed another one is selected in its stead."""

    # -- data -------------------------------------------------------------------------------------
    def put(
        self,
        rows: tuple[Line, ...],
        now: float,
        listing: Listing | None = None,
        marked: frozenset[str] = frozenset(),
    ) -> None:
        """Show new lines as of `now` (epoch seconds); the selection follows its agent."""
        self._now = now
        listing = listing or self._listing
        follow = listing != self._listing or self._follows
        turned = listing.view is not self._listing.view
        self._arrange(listing, marked)
        if rows is self._rows:
            self._following = follow
            self._grow_older()
            return
        change = changed(self._rows, rows)
        self._rows = rows
        wanted = max((self._cells(row) for row in rows if isinstance(row, Row)), default=0)
        lit, before = self._ways(rows), self._lit
        self._lit = lit
        cursor = place(rows, self.home, self._place_of_agent(rows))
        if change.resized or wanted != self._wanted:
            self._wanted = wanted
            self._keys = rows
            self.measure(Size(0, len(rows) + 1))
        else:
            self._keys = rows
            for index in change.lines:
                self.refresh_line_at(index)
            self._relight(before, lit)
            self._grow_older()
        if turned and isinstance(rows[cursor] if rows else None, Dots):
            self.scroll_to(y=0, animate=False, immediate=True)  # who turns to the problems wants to see them
            follow = False
        self._settle(cursor, self.home, follow)

    @property
    def _follows(self) -> bool:
        """Whether the selection is in sight; before a new size is taken up, whether it was."""
        return self._in_sight(self.cursor) if self.size.height == self._height > 1 else self._following

    def _in_sight(self, index: int) -> bool:
        return 0 <= index - self.scroll_offset.y < self.size.height - 1

    def _ways(self, rows: tuple[Line, ...]) -> tuple[int, ...]:
        """The rails that lead to an intervention; only a tree has any."""
        return alerted([row for row in rows if isinstance(row, Row)]) if self._listing.branching else NONE

    def _place_of_agent(self, rows: tuple[Line, ...]) -> int:
        return place(rows, self.agent, self.cursor) if self.home != self.agent else self.cursor

    def _arrange(self, listing: Listing, marked: frozenset[str]) -> None:
        """Take the order and the marks; the lines of whom they concern are painted again."""
        if listing != self._listing:
            self._listing = listing
            self.refresh(Region(0, 0, self.size.width, 1))
        if bool(marked) != bool(self._marked):  # the column of the marks comes or goes
            self.refresh()
        for index in self._lines_of(marked ^ self._marked):
            self.refresh_line_at(index)
        self._marked = marked

    def _lines_of(self, agents: frozenset[str]) -> list[int]:
        if not agents:
            return []
        top = self.scroll_offset.y
        return [
            index
            for index in range(top, min(top + self.size.height, len(self._rows)))
            if not agents.isdisjoint(_agents_in(self._rows[index]))
        ]

    def _relight(self, before: tuple[int, ...], after: tuple[int, ...]) -> None:
        if before == after:
            return
        for index in range(len(self._rows)):
            if (before[index] if before else 0) != (after[index] if after else 0):
                self.refresh_line_at(index)

    def _cells(self, row: Row) -> int:
        """How wide its name is with the tree in front."""
        known = self._named.get(row.agent)
        if known is None or known[0] is not row:
            known = self._named[row.agent] = (row, draw.title_cells(row))
        return known[1]

    def _grow_older(self) -> None:
        """Paint the lines in sight again whose age is another now."""
        top = self.scroll_offset.y
        for index in range(top, min(top + self.size.height, len(self._rows))):
            row = self._rows[index]
            if isinstance(row, Row) and self._ages.get(index) != draw.seen(row, self._now):
                self.refresh_line_at(index)

    @property
    def row(self) -> Row | None:
        """The selected agent's row; None where it is only a dot."""
        return self.row_at(self.cursor)

    def row_at(self, index: int) -> Row | None:
        line = self._rows[index] if 0 <= index < len(self._rows) else None
        return line if isinstance(line, Row) else None

    @property
    def listed(self) -> tuple[str, ...]:
        """Agents that have a row of their own, without those that stand there only for others."""
        return tuple(row.agent for row in self._rows if isinstance(row, Row) and not row.context)

    # -- selection --------------------------------------------------------------------------------
    def step(self, by: int) -> None:
        """So many lines on; from the edge of what is in sight, if the selection is not."""
        start = self.cursor
        if not self._in_sight(start):
            top, last = self.scroll_offset.y, self.scroll_offset.y + self.size.height - 2
            start = top - 1 if by > 0 else last + 1
        self._go(settle(self._rows, start + by, by))

    def page(self, by: int) -> None:
        """So many screenfuls on."""
        self.step(by * max(1, self.size.height - 2))

    def edge(self, side: int) -> None:
        """To the first or the last agent."""
        self._go(settle(self._rows, 0 if side < 0 else len(self._rows) - 1, -side))

    def sideways(self, by: int) -> bool:
        """To the dot beside the selected one; False where the selection is no dot."""
        line = self._rows[self.cursor] if self._rows else None
        if not isinstance(line, Dots):
            return False
        column = self._column + by
        if 0 <= column < len(line.agents):
            self._column = column
        elif 0 <= (index := self.cursor + by) < len(self._rows) and isinstance(self._rows[index], Dots):
            self._column = 0 if by > 0 else 1 << 30
            self._go(index)
            return True
        self._go(self.cursor)
        return True

    def choose(self, agent: str) -> bool:
        """Select an agent if it is in sight; whether it is."""
        self._fresh = False
        index = place(self._rows, agent, -1)
        if index < len(self._rows) and agent in _agents_in(self._rows[index]):
            self._settle(index, agent)
            self.home = self.agent
            return True
        return False

    def _go(self, index: int) -> None:
        """The selection goes where the person wants it."""
        self._fresh = False
        self._settle(index, None)
        self.home = self.agent

    def _settle(self, cursor: int, agent: str | None, follow: bool = True) -> None:
        """The selection stands in line `cursor`; among dots on `agent`, else in the column it had."""
        before, self.cursor = self.cursor, max(0, cursor)
        line = self._rows[self.cursor] if self._rows else None
        chosen: str | None = None
        if isinstance(line, Row):
            chosen = line.agent
        elif isinstance(line, Dots):
            if agent in line.agents:
                self._column = line.agents.index(agent)
            self._column = max(0, min(self._column, len(line.agents) - 1))
            chosen = line.agents[self._column]
        if before != self.cursor or chosen != self.agent:
            self.refresh_line_at(before)
            self.refresh_line_at(self.cursor)
        self._following = follow
        self._scroll_to_cursor()
        if chosen != self.agent:
            self.agent = chosen
            self.post_message(self.Chosen(chosen))

    def _scroll_to_cursor(self) -> None:
        """The heading above the first line of a group comes with it."""
        if self.size.height <= 1 or not self._following:
            return
        top, height = 0 if self._fresh else self.scroll_offset.y, self.size.height - 1
        first, to = self.cursor, top
        while first > 0 and height > 2 and not isinstance(self._rows[first - 1], Row | Dots):
            first -= 1
        if self._fresh and self._rows and isinstance(self._rows[self.cursor], Dots):
            to = 0  # whoever finds the problems wants to see them
        elif first < top:
            to = first
        elif self.cursor >= top + height:
            to = self.cursor - height + 1
        if to != self.scroll_offset.y:
            self.scroll_to(y=to, animate=False, immediate=True)

    # -- mouse ------------------------------------------------------------------------------------
    def on_click(self, event: events.Click) -> None:
        left = event.x - self.look.gutter
        if event.y < 1:
            self.post_message(self.Sorted(self.columns.sort_at(left)))
            return
        index = event.y - 1 + self.scroll_offset.y
        line = self._rows[index] if index < len(self._rows) else None
        if isinstance(line, Dots):
            column = event.x - INDENT
            if 0 <= column < len(line.agents):
                self._column = column
                self._go(index)
        elif isinstance(line, Row):
            self._click_row(event, index, line, left)

    def _click_row(self, event: events.Click, index: int, row: Row, left: int) -> None:
        self._go(index)
        if left < 0:
            self.post_message(self.Pointed("mark", row.agent))
        elif left == draw.fold_cell(row):
            self.post_message(self.Pointed("fold", row.agent))
        elif event.chain == 2:
            self.post_message(self.Opened())

    def on_focus(self) -> None:
        self.refresh_line_at(self.cursor)

    def on_blur(self) -> None:
        self.refresh_line_at(self.cursor)

    def on_resize(self) -> None:
        self.post_message(self.Resized())  # lines of dots are as long as there is room
        # Before the next refresh the scroll range is still that of the old size.
        self.call_after_refresh(self._take_size)

    def _take_size(self) -> None:
        self._height = self.size.height
        self._scroll_to_cursor()

    # -- painting ---------------------------------------------------------------------------------
    def refresh_line_at(self, index: int) -> None:
        super().refresh_line_at(index + 1 if index >= self.scroll_offset.y else -1)

    def render_line(self, y: int) -> Strip:
        if y == 0:
            return self._head()
        return self.strip_of(self.scroll_offset.y + y - 1, 0, self.scroll_offset.y + y - 1)

    @property
    def columns(self) -> Columns:
        return Columns.fit(self.across - bool(self._marked), self._wanted, figures=self._listing.figures)

    @property
    def look(self) -> Look:
        colours: Mapping[Tone, str] = self.colours
        return Look(self._glyphs, colours, self.columns, self._listing, self._now, bool(self._marked))

    def ground(self, index: int) -> Style:
        if index != self.cursor or isinstance(self._rows[index], Dots):
            return Style()
        return Style(bgcolor=cursor_ground(self.app.current_theme, self.has_focus))

    def _head(self) -> Strip:
        line, base = draw.head_line(self.look), self.rich_style + Style(color=self.colours[Tone.QUIET])
        return Strip([Segment(line, base)], cell_len(line)).crop_extend(0, self.across, base)

    def draw(self, index: int) -> Text:
        line, chosen = self._rows[index], self.agent if index == self.cursor else None
        if isinstance(line, Row):
            self._ages[index] = draw.seen(line, self._now)
        lit = self._lit[index] if self._lit else 0
        return draw.drawn(line, self.look, chosen, lit, self._marked)


def _agents_in(line: Line) -> tuple[str, ...]:
    if isinstance(line, Row):
        return (line.agent,)
    return line.agents if isinstance(line, Dots) else ()
