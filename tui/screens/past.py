"""What the screens of the past share: a ledger read in a worker thread, told in a head line."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen

from ..aside import aside
from ..exporting import Printout
from ..keymap import in_bar
from ..looks import Glyphs, clean
from ..numbers import Numbers, Told
from ..prose import Line
from ..themes import palette
from ..tones import Tone
from ..widgets.bars import KeyBar, Offer, OneLine
from ..widgets.lines import LineView
from ..widgets.pane import StillView
from .help import HelpScreen
from .saving import SaveScreen
from .toasts import put_away

EVERY = 5.0
"""Seconds between two looks; one that finds nothing new costs a number."""
SHARE = 10
"""A look that took long is made again only after this many times as long."""
PATIENCE = 0.3
"""Seconds after which it is told that something is being read."""


@dataclass(frozen=True, slots=True)
class Lookback:
    """What such a screen is given: where its numbers come from, and the way back to an agent (False: there is
    none of that name)."""

    numbers: Numbers
    glyphs: Glyphs
    fleet: Callable[[], str]
    titles: Callable[[], dict[str, str]]
    goto: Callable[[str], bool]


class Found(Message):
    """What a look found, or why it failed; `wanted` is what it was asked for."""

    def __init__(self, wanted: object, found: Any, fault: str, spent: float) -> None:
        self.wanted, self.found, self.fault, self.spent = wanted, found, fault, spent
        super().__init__()


class Reading(Message):
    """How far a look is that takes its time."""

    def __init__(self, words: str) -> None:
        self.words = words
        super().__init__()


class HeadLine(OneLine):
    """One line of coloured pieces."""

    def put(self, pieces: Line) -> None:
        self.put_line(pieces, lambda: self._text(pieces))

    def _text(self, pieces: Line) -> Text:
        text = Text(" ")
        for number, (words, tone) in enumerate(pieces):
            text.append(words, Style(color=palette(self.app.current_theme.dark)[tone], bold=number == 0))
        return text


class PastScreen(Screen[None]):
    """Subclasses give `place`, `wanted`, `ask` (runs in a thread), `take` and `head`."""

    BINDINGS: ClassVar[list[BindingType]] = []
    place: ClassVar[str]
    every: ClassVar[float] = EVERY

    def __init__(self, past: Lookback) -> None:
        super().__init__()
        self.past = past
        self.glyphs = past.glyphs
        self.read_at: float | None = None
        self.notice: Line = ()
        self._busy = False

    def compose(self) -> ComposeResult:
        yield HeadLine(self.glyphs, id="past-head")
        yield from self.body()
        yield KeyBar(self.glyphs, id="keys")

    def on_screen_suspend(self) -> None:
        put_away(self)

    def on_mount(self) -> None:
        self.view.can_focus = True
        self.view.focus()
        self.look()

    # -- for subclasses ---------------------------------------------------------------------------
    def body(self) -> ComposeResult:
        yield StillView(id="past-lines")

    def wanted(self) -> object:
        """What is to be seen now; another answer than at the last look makes a new one."""
        return None

    def ask(self, wanted: Any, told: Told) -> Any:
        """Read it; in a worker thread, may raise."""
        raise NotImplementedError

    def take(self, found: Any) -> None:
        """Keep what was read."""
        raise NotImplementedError

    def lines(self, width: int) -> list[Line]:
        """What is in the view, once something was taken."""
        raise NotImplementedError

    def head(self) -> Line:
        raise NotImplementedError

    def printout(self) -> Printout | None:
        """What can be exported now."""
        raise NotImplementedError

    # -- looking ----------------------------------------------------------------------------------
    @property
    def view(self) -> LineView:
        return self.query_one(LineView)

    def look(self) -> None:
        """Read again unless that is under way."""
        if self._busy:
            return
        self._busy = True
        wanted = self.wanted()
        aside(lambda: self._look(wanted), "hhmrs-past")

    def _look(self, wanted: object) -> None:
        began = time.monotonic()

        def told(what: str, number: int, of: int) -> None:
            spent = time.monotonic() - began
            if spent > PATIENCE or self.read_at is None:
                part = f", {number} of {of}" if of > 1 else ""
                self.post_message(Reading(f"reading the ledger: {what}{part}"))

        found, fault = None, ""
        try:
            found = self.ask(wanted, told)
        except Exception as error:  # noqa: BLE001  # whatever a ledger does is told, and ends nothing
            fault = clean(f"cannot read the ledger: {error}", 300)
        self.post_message(Found(wanted, found, fault, time.monotonic() - began))

    @on(Reading)
    def _reading(self, message: Reading) -> None:
        if self._busy:
            self.notice = ((message.words, Tone.LIMIT),)
            self._paint_head()

    @on(Found)
    def _found(self, message: Found) -> None:
        self._busy = False
        self.notice = ((message.fault, Tone.BAD), ("; r reads again", Tone.TEXT)) if message.fault else ()
        if message.wanted != self.wanted():
            self.look()
            return
        if not message.fault:
            self.read_at = time.time()
            self.take(message.found)
        self.set_timer(max(self.every, SHARE * message.spent), self.look)
        self.paint()

    # -- painting ---------------------------------------------------------------------------------
    def paint(self) -> None:
        self._paint_head()
        view = self.view
        if isinstance(view, StillView) and self.read_at is not None:
            bar = 0 if view.show_vertical_scrollbar else 1  # it may come with the lines
            view.put(self.lines(max(8, view.across - bar)))
        self.query_one(KeyBar).put([Offer(key, key.label) for key in in_bar(place=self.place)])

    def _paint_head(self) -> None:
        notice: Line = self.notice or ((("reading the ledger", Tone.LIMIT),) if self.read_at is None else ())
        self.query_one(HeadLine).put((*self.head(), *((("   ", Tone.TEXT), *notice) if notice else ())))

    def on_resize(self) -> None:
        self.call_after_refresh(self.paint)

    # -- keys -------------------------------------------------------------------------------------
    def action_scroll_by(self, by: int) -> None:
        self.view.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        self.view.scroll_relative(y=by * max(1, self.view.size.height - 1), animate=False)

    def action_edge(self, side: int) -> None:
        if side < 0:
            self.view.scroll_home(animate=False)
        else:
            self.view.scroll_end(animate=False)

    def action_read(self) -> None:
        self.look()

    def action_help(self) -> None:
        _ = self.app.push_screen(HelpScreen(self.glyphs, {}, self.place))

    def action_press_key(self, key: str) -> None:
        self.app.simulate_key(key)

    def action_leave(self) -> None:
        _ = self.app.pop_screen()

    def action_export(self) -> None:
        page = self.printout()
        if page is None:
            self.app.notify("there is nothing to export yet", severity="warning", markup=False)
        else:
            _ = self.app.push_screen(SaveScreen(page))

    def goto(self, agent: str) -> None:
        """To the agent in the fleet's own screen; all screens of the past close."""
        if not self.past.goto(agent):
            told = f"{clean(agent, 64)} is no longer in the fleet"
            self.app.notify(told, severity="warning", markup=False)
