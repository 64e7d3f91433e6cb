"""Lines below a column head that does not scroll, one of them selected: by keys, a click, a double click."""

from __future__ import annotations

from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from ..looks import Glyphs
from ..themes import cursor_ground
from .lines import LineView


class HeadedList(LineView):
    """Line 0 of the widget is the head (`head`), so that row n stands in line n + 1."""

    can_focus = True

    class Opened(Message):
        """The selected line was clicked twice."""

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyphs
        self.cursor = 0

    def head(self) -> Strip:
        """The names of the columns."""
        raise NotImplementedError

    def move_to(self, index: int) -> None:
        """Select that row, or the nearest there is, and bring it into sight."""
        before, self.cursor = self.cursor, max(0, min(index, len(self._keys) - 1))
        for line in {before, self.cursor} if before != self.cursor else ():
            self.refresh_line_at(line)
        self._scroll_to_cursor()

    def _scroll_to_cursor(self) -> None:
        top, height = self.scroll_offset.y, self.size.height - 1
        if height < 1:
            return
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)

    def on_click(self, event: events.Click) -> None:
        index = event.y - 1 + self.scroll_offset.y
        if event.y < 1 or not 0 <= index < len(self._keys):
            return
        self.move_to(index)
        if event.chain == 2:
            self.post_message(self.Opened())

    def on_resize(self) -> None:
        # Before the next refresh the scroll range is still that of the old size.
        self.call_after_refresh(self._scroll_to_cursor)

    # -- painting ---------------------------------------------------------------------------------
    def refresh_line_at(self, index: int) -> None:
        super().refresh_line_at(index + 1 if index >= self.scroll_offset.y else -1)

    def render_line(self, y: int) -> Strip:
        if y == 0:
            return self.head()
        return self.strip_of(self.scroll_offset.y + y - 1, 0, self.scroll_offset.y + y - 1)

    def ground(self, index: int) -> Style:
        if index != self.cursor:
            return Style()
        return Style(bgcolor=cursor_ground(self.app.current_theme, self.has_focus))
