"""Lists of ready-made lines that change now and then; in some of them a line can be chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message

from ..looks import Glyphs
from ..prose import Line, Page
from ..themes import cursor_ground
from ..tones import Tone
from .reading import ReadView


class StillView(ReadView):
    """The explanation, the tasks, the usage."""

    def put(self, lines: Sequence[Line]) -> None:
        """Each line is a row of (text, tone) pieces."""
        self.show(tuple(lines), max(map(_cells, lines), default=0))

    def put_page(self, page: Page) -> None:
        self.put(page.lines)

    @property
    def room(self) -> int:
        """Cells for the text of a line."""
        return self.across

    def draw(self, index: int) -> Text:
        return self.marked(self._text(index), index)

    def plain(self, index: int) -> str:
        pieces = self._keys[index]
        return "".join(piece for piece, _ in pieces) if isinstance(pieces, tuple) else ""

    def _text(self, index: int) -> Text:
        colours, text = self.colours, Text()
        pieces = self._keys[index]
        if isinstance(pieces, tuple):
            for piece, tone in pieces:
                text.append(piece, colours[tone])
        return text


def _cells(line: Line) -> int:
    return sum(cell_len(piece) for piece, _ in line)


class PickView(StillView):
    """Has a cursor, which stays with what it stands on; enter or two clicks choose that."""

    class Picked(Message):
        """`what`: as `Page.picks` names it."""

        def __init__(self, view: PickView, what: object) -> None:
            self.view = view
            self.what = what
            super().__init__()

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyphs
        self._picks: Mapping[int, object] = {}
        self.cursor = 0
        self._subject: object = None

    def put_page(self, page: Page, subject: object = None) -> None:
        """Another `subject` (agent, checkpoint) is read from its beginning. Where nothing can be chosen there
        is no cursor."""
        on, within = self._standing()
        first_to_choose = page.picks and not self._picks
        self._picks = page.picks
        self.put(page.lines)
        if subject != self._subject or first_to_choose:
            self._subject = subject
            self.cursor = 0
            self.scroll_to(y=0, animate=False, immediate=True)
            self._settle(min(self._picks, default=0))
            return
        again = [index for index, what in self._picks.items() if what == on] if on is not None else []
        if again:
            self._settle(min(again[0] + within, again[-1]))
        elif self._picks and self.cursor >= len(self._keys):
            self._settle(self.cursor)

    def _standing(self) -> tuple[object, int]:
        """What the cursor stands on, and how many lines below where that begins."""
        on = self._picks.get(self.cursor)
        first = self.cursor
        while on is not None and self._picks.get(first - 1) == on:
            first -= 1
        return on, self.cursor - first

    @property
    def room(self) -> int:
        return max(0, self.across - 1)

    @property
    def chosen(self) -> object:
        """What the cursor stands on; None for a line that is only to be read."""
        return self._picks.get(self.cursor)

    # -- moving -----------------------------------------------------------------------------------
    def step(self, by: int) -> None:
        if self._picks:
            self._settle(self.cursor + by)
        else:
            super().step(by)

    def edge(self, side: int) -> None:
        super().edge(side)
        self._settle(0 if side < 0 else len(self._keys) - 1)

    def reach(self, index: int) -> None:
        super().reach(index)
        self._settle(index)

    def _settle(self, cursor: int) -> None:
        before, self.cursor = self.cursor, max(0, min(cursor, len(self._keys) - 1))
        if before != self.cursor:
            self.refresh_line_at(before)
            self.refresh_line_at(self.cursor)
        top, height = self.scroll_offset.y, self.size.height
        if height > 0 and not top <= self.cursor < top + height:
            to = self.cursor if self.cursor < top else self.cursor - height + 1
            self.scroll_to(y=to, animate=False, immediate=True)

    # -- choosing ---------------------------------------------------------------------------------
    def choose(self) -> bool:
        """Choose what the cursor stands on; whether there is anything to choose."""
        if self.chosen is None:
            return False
        self.post_message(self.Picked(self, self.chosen))
        return True

    def on_click(self, event: events.Click) -> None:
        line = event.y + self.scroll_offset.y
        if 0 <= line < len(self._keys):
            self._settle(line)
            if event.chain == 2:
                _ = self.choose()

    def on_focus(self) -> None:
        self.refresh_line_at(self.cursor)

    def on_blur(self) -> None:
        self.refresh_line_at(self.cursor)

    # -- painting ---------------------------------------------------------------------------------
    def ground(self, index: int) -> Style:
        if index != self.cursor or not self._picks:
            return Style()
        return Style(bgcolor=cursor_ground(self.app.current_theme, self.has_focus))

    def draw(self, index: int) -> Text:
        sign = self._glyphs.cursor if index == self.cursor and self._picks else " "
        text = Text().append(sign, self.colours[Tone.BUSY]).append_text(self._text(index))
        return self.marked(text, index, 1)
