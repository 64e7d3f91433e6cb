"""Search in the view that has the focus: a line to type in below it, and how many lines match."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual import on
from textual.widgets import Input

from ..looks import clean
from ..tones import Tone
from ..widgets.bars import OneLine
from ..widgets.reading import ReadView
from .working import Working

LONGEST = 80


class Found(OneLine):
    """What is searched for, which match is chosen and how many there are."""

    def put(self, view: ReadView) -> None:
        self.display = bool(view.needle)
        number, count = view.found
        self.put_line((view.needle, number, count), lambda: self._text(view.needle, number, count))

    def _text(self, needle: str, number: int, count: int) -> Text:
        text = Text(f" /{needle}", Style(color=self.colours[Tone.ASK], bold=True))
        said = f"  {number} of {count} lines" if count else "  nothing of it here"
        text.append(said, self.colours[Tone.TEXT if count else Tone.LIMIT])
        return text.append("   f next  F last  esc leaves", self.colours[Tone.QUIET])


class Searching(Working):
    """The line is made when it is first wanted: most who look do not search."""

    async def action_search(self) -> None:
        if not self.query("#search"):
            line = Input(max_length=LONGEST, id="search")
            await self.query_one("#agent").mount(line, Found(self.glyphs, id="found"))
        line = self.query_one("#search", Input)
        line.placeholder = f"search in the {self.tab}; esc, tab, / filters the agents"
        with line.prevent(Input.Changed):
            line.value = self.view.needle
        line.add_class("-open")
        line.can_focus = True
        self.set_focus(line)

    @on(Input.Changed, "#search")
    def _searching(self, event: Input.Changed) -> None:
        self.view.search(clean(event.value, LONGEST))
        self._paint_found()

    @on(Input.Submitted, "#search")
    def _search_typed(self) -> None:
        self._close_search()

    def _close_search(self) -> None:
        line = self.query_one("#search", Input)
        line.remove_class("-open")
        line.can_focus = False
        self.set_focus(self.view, scroll_visible=False)

    def _leave_search(self) -> bool:
        """Whether there was anything to leave."""
        typing = bool(self.query("#search.-open"))
        if not (self.view.needle or typing):
            return False
        self.view.search("")
        if typing:
            self._close_search()
        self._paint_found()
        return True

    def action_next_match(self, by: int) -> None:
        if not self.view.needle:
            self.app.notify("nothing is searched for: tab to the view, then /", markup=False)
            return
        self.view.next_match(by)
        self._paint_found()

    def _paint_found(self) -> None:
        for line in self.query(Found):
            line.put(self.view)
