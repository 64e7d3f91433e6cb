"""The settings in one widget: key, value, where it comes from; the selection stays with its key."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.message import Message
from textual.strip import Strip

from ..looks import Glyphs, clean
from ..settings import Row, shown
from ..tones import Tone
from ..viewmodel import changed
from .headed_list import HeadedList

DEFAULT_FROM = 80
"""Cells from which on a line says the default, too."""


@dataclass(frozen=True, slots=True)
class SettingColumns:
    """Cells of each column; 0 leaves it out. The last one has what is left."""

    key: int
    value: int
    default: int
    origin: int

    @classmethod
    def fit(cls, width: int, widest: int) -> SettingColumns:
        """`widest`: the cells of the longest key in sight."""
        key = min(widest + 2, max(16, width // 2 - 5))
        if width < DEFAULT_FROM:
            return cls(key, max(8, width - key - 21), 0, 19)
        left = width - key - 25
        return cls(key, max(12, left // 2), max(8, left - left // 2), 24)


class SettingsList(HeadedList):
    """The selection is a key's: where that goes, it goes."""

    class Chosen(Message):
        """The selection moved."""

    class Opened(HeadedList.Opened):
        """The selected key was clicked twice."""

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__(glyphs, id=id)
        self._rows: tuple[Row, ...] = ()
        self._widest = 0
        self.key = ""

    @property
    def row(self) -> Row | None:
        return self._rows[self.cursor] if 0 <= self.cursor < len(self._rows) else None

    def put(self, rows: tuple[Row, ...]) -> None:
        """Show new rows; the selection follows its key."""
        change = changed(self._rows, rows)
        self._rows = self._keys = rows
        self._widest = max((cell_len(row.setting.key) for row in rows), default=0)
        if change.resized:
            self.measure(self.virtual_size.with_height(len(rows) + 1).with_width(0))
        for index in change.lines:
            self.refresh_line_at(index)
        keys = [row.setting.key for row in rows]
        self.move_to(keys.index(self.key) if self.key in keys else self.cursor)

    def move_to(self, index: int) -> None:
        super().move_to(index)
        row = self.row
        if row is not None and row.setting.key != self.key:
            self.key = row.setting.key
            self.post_message(self.Chosen())

    def to_name(self, needle: str) -> None:
        """To the first key in whose name the needle is: that is what most who search for one mean."""
        found = needle.strip().casefold()
        names = [row.setting.key for row in self._rows if found in row.setting.key]
        if found and names and self.key not in names:
            self.move_to(next(at for at, row in enumerate(self._rows) if row.setting.key == names[0]))

    def step(self, by: int) -> None:
        self.move_to(self.cursor + by)

    def page(self, by: int) -> None:
        self.step(by * max(1, self.size.height - 2))

    # -- painting ---------------------------------------------------------------------------------
    @property
    def columns(self) -> SettingColumns:
        return SettingColumns.fit(self.across, self._widest)

    def head(self) -> Strip:
        columns = self.columns
        line = " " + set_cell_size("KEY", columns.key) + set_cell_size("VALUE", columns.value)
        if columns.default:
            line += set_cell_size("DEFAULT", columns.default)
        line += "FROM"
        base = self.rich_style + Style(color=self.colours[Tone.QUIET])
        return Strip([Segment(line, base)], cell_len(line)).crop_extend(0, self.across, base)

    def draw(self, index: int) -> Text:
        row, columns, colours = self._rows[index], self.columns, self.colours
        here = index == self.cursor
        text = Text(self._glyphs.cursor if here else " ", colours[Tone.BUSY])
        key = Style(color=colours[Tone.QUIET if row.off else Tone.TEXT], bold=row.own)
        text.append(_cell(row.setting.key, columns.key), key)
        tone = Tone.BUSY if row.own else Tone.TEXT if row.origin != "default" else Tone.QUIET
        text.append(
            _cell(clean(shown(row.value), 200), columns.value), Style(color=colours[tone], bold=row.own)
        )
        if columns.default:
            text.append(_cell(shown(row.setting.default), columns.default), colours[Tone.QUIET])
        return text.append(clean(row.origin, 40), colours[Tone.TEXT if row.own else Tone.QUIET])


def _cell(words: str, cells: int) -> str:
    """The words in their column, cut with an ellipsis, a gap behind them."""
    room = max(1, cells - 1)
    if cell_len(words) > room:
        words = set_cell_size(words, room - 1) + "…"
    return set_cell_size(words, cells)
