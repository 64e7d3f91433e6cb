"""The incidents as lines; the selection stays with its incident, not with its line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Size
from textual.strip import Strip

from ..charts import cut
from ..incident_rows import IncidentRow
from ..localtime import zone_name
from ..looks import Glyphs
from ..tones import Tone
from ..viewmodel import changed
from .headed_list import HeadedList

_ENDING = 11
"""Cells of the longest word of an ending, with its glyph."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Cells of each column; 0 leaves it out."""

    when: int
    agent: int
    cause: int
    tries: int
    took: int
    detail: int

    @staticmethod
    def of(width: int, agent: int, cause: int) -> Fit:
        """`agent` and `cause`: the widest there are."""
        room = width - 1 - _ENDING - 1
        when = 9 if width >= 76 else 5
        tries, took = (4, 8) if width >= 54 else (0, 0)
        left = room - when - sum(cells + 1 for cells in (tries, took) if cells) - 2
        cause = min(cause, max(5, left // 3), 17)
        agent = min(agent, max(6, left - cause - 1))
        detail = left - agent - cause - 1
        return Fit(when, agent, cause, tries, took, detail if detail >= 10 else 0)


class IncidentList(HeadedList):
    """The selection is an incident's: where that goes, it goes."""

    class Opened(HeadedList.Opened):
        """The selected incident was clicked twice."""

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__(glyphs, id=id)
        self._rows: tuple[IncidentRow, ...] = ()
        self._widest = (0, 0)
        self.incident: str | None = None

    def put(self, rows: tuple[IncidentRow, ...]) -> None:
        """Show new rows; the selection follows its incident, or stays where it was."""
        change = changed(self._rows, rows)
        wide = (
            max((cell_len(row.title) for row in rows), default=0),
            max((cell_len(row.cause) for row in rows), default=0),
        )
        self._rows = self._keys = rows
        at = next((number for number, row in enumerate(rows) if row.id == self.incident), self.cursor)
        if change.resized or wide != self._widest:
            self._widest = wide
            self.measure(Size(0, len(rows) + 1))
        else:
            for index in change.lines:
                self.refresh_line_at(index)
        self.move_to(at)

    @property
    def row(self) -> IncidentRow | None:
        return self._rows[self.cursor] if self._rows else None

    def move_to(self, index: int) -> None:
        super().move_to(index)
        self.incident = self.row.id if self.row is not None else None

    # -- painting ---------------------------------------------------------------------------------
    def draw(self, index: int) -> Text:
        row, colours = self._rows[index], self.colours
        here = index == self.cursor
        text = Text().append(self._glyphs.cursor if here else " ", colours[Tone.BUSY])
        for words, cells, tone, right in self._cells(row):
            shown = cut(words, cells, self._glyphs.plain)
            shown = shown.rjust(cells) if right else set_cell_size(shown, cells)
            text.append(shown + " ", Style(color=colours[tone], bold=here and tone is Tone.TEXT))
        return text

    def _cells(self, row: IncidentRow) -> Iterator[tuple[str, int, Tone, bool]]:
        fit = Fit.of(self.across, *self._widest)
        yield f"{row.mark} {row.ending}", _ENDING, row.tone, False
        yield row.when if fit.when > 5 else row.short, fit.when, Tone.QUIET, False
        yield row.title, fit.agent, Tone.TEXT, False
        yield row.cause, fit.cause, Tone.SICK, False
        if fit.tries:
            yield row.tries, fit.tries, Tone.TEXT, False
            yield row.took, fit.took, Tone.TEXT, True
        if fit.detail:
            yield row.detail, fit.detail, Tone.QUIET, False

    def head(self) -> Strip:
        named = IncidentRow(
            id="", agent="", title="agent", cause="cause", ending="outcome", is_open=False, mark="",
            tone=Tone.QUIET, when=f"at {zone_name(time.time())}", short="at", tries="n", took="to heal",
            detail="last try: why",
        )  # fmt: skip
        style = self.rich_style + Style(color=self.colours[Tone.QUIET])
        words = " "
        for text, cells, _, right in self._cells(named):
            shown = cut(text.strip(), cells, self._glyphs.plain)
            words += (shown.rjust(cells) if right else set_cell_size(shown, cells)) + " "
        return Strip([Segment(words, style)], cell_len(words)).crop_extend(0, self.across, style)
