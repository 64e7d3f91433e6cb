"""The dashboards: what was recovered, how well and how fast, over a span that a person chooses."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from textual.binding import BindingType

from ...controller.reports.spans import NAMES
from ..dashboard import dashboard, span_words
from ..dashboard_page import dashboard_page
from ..exporting import Printout
from ..keymap import bindings
from ..numbers import Told
from ..prose import Line
from ..tones import Tone
from .past import Lookback, PastScreen

NOON = 12


class NumbersScreen(PastScreen):
    BINDINGS: ClassVar[list[BindingType]] = list(bindings("numbers"))
    place = "numbers"

    def __init__(self, past: Lookback, span: str | None = None) -> None:
        """`span`: else last night in the morning, and the last day afterwards."""
        super().__init__(past)
        morning = datetime.fromtimestamp(time.time()).astimezone().hour < NOON
        self.span = span or ("night" if morning else "day")
        self.document: Mapping[str, Any] | None = None
        self._drawn: tuple[object, ...] = ()
        self._lines: list[Line] = []

    def wanted(self) -> str:
        return self.span

    def ask(self, wanted: str, told: Told) -> Mapping[str, Any]:
        return self.past.numbers.document(wanted, told)

    def take(self, found: Mapping[str, Any]) -> None:
        self.document = found

    def lines(self, width: int) -> list[Line]:
        """Drawn only when something of it is new."""
        document = self.document
        if document is None:
            return []
        if self._drawn[:1] != (width,) or self._drawn[1] is not document:
            self._lines = dashboard(document, width, self.glyphs.plain)
            self._drawn = (width, document)
        return self._lines

    def head(self) -> Line:
        named = span_words(self.document) if self.document is not None else self.span
        fresh = self.document is None or self.document["span"]["name"] == self.span
        return (
            (self.past.fleet(), Tone.BUSY),
            ("  " + (named if fresh else f"{self.span} ..."), Tone.TEXT),
        )

    def printout(self) -> Printout | None:
        dark = self.app.current_theme.dark
        return None if self.document is None else dashboard_page(self.document, self.past.fleet(), dark=dark)

    def action_span(self, span: str) -> None:
        if span != self.span:
            self.span = span
            self.view.scroll_home(animate=False)
            self._paint_head()
            self.look()

    def action_turn(self, by: int) -> None:
        self.action_span(NAMES[(NAMES.index(self.span) + by) % len(NAMES)])

    def action_incidents(self) -> None:
        from .incidents import IncidentsScreen

        _ = self.app.switch_screen(IncidentsScreen(self.past))
