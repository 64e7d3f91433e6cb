"""A list of lines in one widget: only lines that changed are painted again, however many there are."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from ..themes import palette
from ..tones import Tone
from ..viewmodel import changed
from .painted import PlainLines


class LineView(ScrollView, inherit_bindings=False):
    """Shows lines of Rich text; subclasses give `draw`. Never parses markup."""

    def __init__(self, *, id: str | None = None, follow: bool = False) -> None:
        """`follow`: stay at the bottom while the person has not scrolled up."""
        super().__init__(id=id)
        self._keys: Sequence[object] = ()
        self._wide = 0
        self._follow = follow
        self._styles_cache = PlainLines(self._prepare)
        self._base, self._room, self._none = Style(), 0, Strip([])
        """The style of the widget, the cells across and a line without anything, as of the last paint."""

    # -- for subclasses ---------------------------------------------------------------------------
    def draw(self, index: int) -> Text:
        """Line `index` of the current keys as text."""
        raise NotImplementedError

    def ground(self, index: int) -> Style:
        """The style under line `index`, to the right edge."""
        return Style()

    def show(self, keys: Sequence[object], wide: int = 0) -> None:
        """Take new lines; `keys` are compared to find what differs, `wide` is the widest in cells."""
        at_end = self.scroll_offset.y >= self.max_scroll_y
        change = changed(self._keys, keys)
        self._keys = keys
        if change.resized or wide != self._wide:
            self._wide = wide
            self.measure(Size(wide, len(keys)))
        else:
            for index in change.lines:
                self.refresh_line_at(index)
        if self._follow and at_end:
            self.scroll_end(animate=False, immediate=True)

    def measure(self, size: Size) -> None:
        """Take on another size of what can be scrolled, and paint anew. To set `virtual_size` would have the
        whole screen laid out again, which only the coming and going of a scroll bar is worth."""
        rows = max(self.virtual_size.height, size.height) - self.scroll_offset.y
        # Pyright takes what stands in the class for a Size, which it is in an object only.
        self.set_reactive(Widget.virtual_size, size)  # pyright: ignore[reportArgumentType]
        self._refresh_scrollbars()
        self._scroll_update(size)
        self.refresh(Region(0, 0, self.size.width, min(self.size.height, max(0, rows))))

    # -- painting ---------------------------------------------------------------------------------
    @property
    def colours(self) -> dict[Tone, str]:
        return palette(self.app.current_theme.dark)

    @property
    def across(self) -> int:
        """Cells a line has, the scroll bar left out."""
        return self.scrollable_content_region.width

    def refresh_line_at(self, index: int) -> None:
        """Paint one line again if it is in sight."""
        row = index - self.scroll_offset.y
        if 0 <= row < self.size.height:
            self.refresh(Region(0, row, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        left, top = self.scroll_offset
        return self.strip_of(top + y, left, top + y)

    def _prepare(self) -> None:
        """Once before a paint, for it takes longer than a line: what all lines have in common."""
        self._base, self._room = self.rich_style, self.across
        self._none = Strip.blank(self._room, self._base)

    def strip_of(self, index: int, left: int, offset: int) -> Strip:
        width = self._room
        if not 0 <= index < len(self._keys):
            return self._none
        text = self.draw(index)
        text.end = ""
        text.no_wrap = True
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(index)) is not None:
            start, end = span
            text.stylize(Style(reverse=True), start, len(text) if end == -1 else end)
        base = self._base + self.ground(index)
        segments = [
            Segment(s.text, base + s.style if s.style else base) for s in text.render(self.app.console)
        ]
        strip = Strip(segments, text.cell_len).crop_extend(left, left + width, base)
        return strip.apply_offsets(left, offset)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        return selection.extract("\n".join(self.draw(i).plain for i in range(len(self._keys)))), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()
