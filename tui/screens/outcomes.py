"""What came of the orders that were given from this screen: the toasts go, this stays."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from ..desk import Outcome
from ..keymap import bindings
from ..looks import Glyphs, age
from ..themes import palette
from ..tones import Tone
from .confirm import Buttons

_MARKS = {True: ("✓", "+", Tone.GOOD), False: ("✗", "x", Tone.BAD), None: ("…", "~", Tone.QUIET)}


def outcome_lines(outcomes: Sequence[Outcome], now: float, *, plain: bool, dark: bool) -> Text:
    """Newest first, each with its age."""
    colours = palette(dark)
    text = Text()
    for one in reversed(outcomes):
        glyph, sign, tone = _MARKS[one.ok]
        text.append(f"{sign if plain else glyph} ", Style(color=colours[tone], bold=True))
        text.append(f"{age(now - one.at):>4}  ", colours[Tone.QUIET]).append(
            one.line + "\n", colours[Tone.TEXT]
        )
    if not outcomes:
        text.append("No order was given from this screen yet.\n", colours[Tone.QUIET])
    return text


class OutcomesScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = list(bindings("outcomes"))

    def __init__(self, outcomes: Sequence[Outcome], glyphs: Glyphs, on_their_way: int = 0) -> None:
        super().__init__()
        self._outcomes = outcomes
        self._glyphs = glyphs
        self._on_their_way = on_their_way

    def compose(self) -> ComposeResult:
        dark, now = self.app.current_theme.dark, time.time()
        head = "What came of the orders given from this screen"
        if self._on_their_way:
            head += f"; {self._on_their_way} on the way"
        colours = palette(dark)
        with Vertical(classes="dialog"):
            with VerticalScroll(can_focus=False):
                yield Static(Text(head + "\n", Style(color=colours[Tone.TEXT], bold=True)), markup=False)
                told = outcome_lines(self._outcomes, now, plain=self._glyphs.plain, dark=dark)
                yield Static(told, id="outcomes", markup=False)
            yield Buttons(dark, None, "back")

    def action_scroll_by(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_leave(self) -> None:
        _ = self.dismiss(None)
