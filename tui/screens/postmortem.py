"""The post-mortem of one incident, as `hhmrs report` prints it, made easy to read."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from ..exporting import Printout
from ..keymap import bindings
from ..localtime import localised
from ..looks import clean
from ..numbers import Numbers, Told
from ..pages import page_lines
from ..prose import Line
from ..report_page import report_page
from ..tones import Tone
from .past import Lookback, PastScreen


class PostMortemScreen(PastScreen):
    BINDINGS: ClassVar[list[BindingType]] = list(bindings("report"))
    place = "report"
    every = 15.0  # its diff is made by git

    def __init__(self, past: Lookback, incident: str, agent: str) -> None:
        super().__init__(past)
        self.incident = incident
        self.agent = agent
        self.markdown: str | None = None
        self._drawn: tuple[object, ...] = ()
        self._lines: list[Line] = []

    def ask(self, wanted: object, told: Told) -> str | None:
        told("the incident", 1, 1)
        return self.past.numbers.report(self.incident)

    def take(self, found: str | None) -> None:
        self.markdown = found

    def lines(self, width: int) -> list[Line]:
        if self._drawn != (width, self.markdown):
            self._drawn = (width, self.markdown)
            self._lines = [(("The ledger knows this incident no more.", Tone.TEXT),)]
            if self.markdown is not None:
                self._lines = page_lines(localised(self.markdown), width, self.glyphs.plain)
        return self._lines

    def head(self) -> Line:
        return ((self.past.fleet(), Tone.BUSY), (f"  post-mortem of {clean(self.incident, 80)}", Tone.TEXT))

    def printout(self) -> Printout | None:
        dark = self.app.current_theme.dark
        return None if self.markdown is None else report_page(self.incident, self._page, dark=dark)

    def _page(self) -> str:
        return self.markdown or ""

    def action_agent(self) -> None:
        self.goto(self.agent)


def report_of(numbers: Numbers, incident: str) -> str:
    """The page. Raises LookupError when the ledger does not have it."""
    page = numbers.report(incident)
    if page is None:
        raise LookupError(f"the ledger knows no incident {clean(incident, 80)}")
    return page
