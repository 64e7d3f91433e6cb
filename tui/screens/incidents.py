"""Every incident there ever was: open ones first, then the newest; enter shows the post-mortem of one."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from ..exporting import Printout
from ..incident_rows import IncidentRow, incident_rows, matching
from ..keymap import bindings
from ..looks import clean
from ..numbers import Told
from ..prose import Line
from ..report_page import report_page
from ..tones import Tone
from ..widgets.incident_list import IncidentList
from ..widgets.lines import LineView
from ..widgets.pane import StillView
from .past import Lookback, PastScreen
from .postmortem import PostMortemScreen, report_of

HOUR = 3600.0
"""How old an incident is changes its row no more often than this (s)."""


class IncidentsScreen(PastScreen):
    BINDINGS: ClassVar[list[BindingType]] = list(bindings("incidents"))
    place = "incidents"

    def __init__(self, past: Lookback) -> None:
        super().__init__(past)
        self.all: tuple[IncidentRow, ...] = ()
        self.rows: tuple[IncidentRow, ...] = ()
        self.needle = ""
        self._made_of: tuple[Any, ...] | None = None
        self._every: tuple[IncidentRow, ...] = ()

    def body(self) -> ComposeResult:
        yield IncidentList(self.glyphs, id="incidents")
        yield StillView(id="past-lines")
        yield Input(placeholder="filter: an agent, a cause, an outcome; !x for all without x", id="filter")

    def on_mount(self) -> None:
        self.query_one("#filter", Input).can_focus = False  # what is for all such screens is done there

    @property
    def view(self) -> LineView:
        return self.incidents

    @property
    def incidents(self) -> IncidentList:
        return self.query_one(IncidentList)

    def ask(self, wanted: object, told: Told) -> Any:
        """The rows are made here as well, for of thousands it takes a while; only when something is new."""
        lines, titles, now = self.past.numbers.incidents(told), self.past.titles(), time.time()
        made_of = (lines, titles, now // HOUR)
        if self._made_of is None or lines is not self._made_of[0] or made_of[1:] != self._made_of[1:]:
            self._made_of = made_of
            self._every = incident_rows(lines, titles, now, plain=self.glyphs.plain)
        return self._every

    def take(self, found: Any) -> None:
        self.all = found

    def head(self) -> Line:
        open_now = sum(row.is_open for row in self.all)
        found = f", {len(self.rows)} found" if self.needle else ""
        pieces: list[tuple[str, Tone]] = [
            (self.past.fleet(), Tone.BUSY), ("  incidents: ", Tone.TEXT),
            (f"{open_now} open", Tone.LIMIT if open_now else Tone.GOOD),
            (f", {len(self.all)} in all{found}", Tone.TEXT),
        ]  # fmt: skip
        if self.needle:
            pieces.append((f"  /{self.needle}", Tone.ASK))
        return tuple(pieces)

    def paint(self) -> None:
        self.rows = matching(self.all, self.needle)
        self.incidents.put(self.rows)
        self.set_class(not self.rows and self.read_at is not None, "-empty")
        self.query_one("#past-lines", StillView).put(self._empty())
        super().paint()

    def _empty(self) -> list[Line]:
        if self.all:
            return [(("No incident holds all of these words; esc shows every one again.", Tone.TEXT),)]
        return [
            (("No incident has happened in this fleet.", Tone.GOOD),),
            (("An agent that fails stands here with its cause, what was tried, how it ended.", Tone.QUIET),),
        ]

    def printout(self) -> Printout | None:
        row = self.incidents.row
        if row is None:
            return None
        page = partial(report_of, self.past.numbers, row.id)
        return report_page(row.id, page, dark=self.app.current_theme.dark)

    # -- keys -------------------------------------------------------------------------------------
    def action_move(self, by: int) -> None:
        self.incidents.move_to(self.incidents.cursor + by)

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self.incidents.size.height - 2))

    def action_edge(self, side: int) -> None:
        self.incidents.move_to(0 if side < 0 else len(self.rows))

    def _chosen(self) -> IncidentRow | None:
        if self.incidents.row is None:
            self.app.notify("no incident is selected", severity="warning", markup=False)
        return self.incidents.row

    def action_open(self) -> None:
        if (row := self._chosen()) is not None:
            _ = self.app.push_screen(PostMortemScreen(self.past, row.id, row.agent))

    def on_incident_list_opened(self) -> None:
        self.action_open()

    def action_agent(self) -> None:
        if (row := self._chosen()) is not None:
            self.goto(row.agent)

    def action_numbers(self) -> None:
        from .numbers import NumbersScreen

        _ = self.app.switch_screen(NumbersScreen(self.past))

    def action_only(self, column: str) -> None:
        """Only the incidents that share this with the selected one; again: all of them."""
        row = self.incidents.row if self.needle else self._chosen()
        word = "" if row is None else (row.cause if column == "cause" else row.agent)
        self._search("" if word == self.needle else word)

    def action_filter(self) -> None:
        line = self.query_one("#filter", Input)
        line.value = self.needle
        line.can_focus = True
        line.add_class("-open")
        self.set_focus(line)

    @on(Input.Changed, "#filter")
    def _filtering(self, event: Input.Changed) -> None:
        if self.query_one("#filter", Input).has_class("-open"):
            self._search(clean(event.value, 80))

    @on(Input.Submitted, "#filter")
    def _filtered(self) -> None:
        self._close_filter()

    def _search(self, needle: str) -> None:
        self.needle = needle
        self.paint()

    def _close_filter(self) -> None:
        line = self.query_one("#filter", Input)
        line.remove_class("-open")
        line.can_focus = False
        self.set_focus(self.incidents)

    def action_leave(self) -> None:
        if self.query_one("#filter", Input).has_class("-open") or self.needle:
            self._close_filter()
            self._search("")
        else:
            super().action_leave()
