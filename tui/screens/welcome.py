"""What stands before the fleet's screen: the first run, and a fleet file with problems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from ..introducing import Began, Piece, broken_lines, first_lines
from ..keymap import bindings, in_bar
from ..looks import Glyphs, clean
from ..themes import palette
from ..tones import Tone
from ..widgets.bars import KeyBar, Offer
from .help import HelpScreen

LOOK_EVERY = 0.5
"""Seconds between two looks at whether the file was saved."""


class Front(Screen[None]):
    """Lines of words above a bar of keys; `place` in the key table."""

    PLACE: ClassVar[str]

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self.glyphs = glyphs

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="front", can_focus=False):
            yield Static("", id="words", markup=False)
        yield KeyBar(self.glyphs, id="keys")

    def on_mount(self) -> None:
        self.paint()
        # A theme is chosen in the palette, which does not tell the screen below it.
        self.app.theme_changed_signal.subscribe(self, lambda _: self.paint())

    def on_resize(self) -> None:
        self.paint()

    def lines(self) -> Sequence[Sequence[Piece]]:
        raise NotImplementedError

    def off(self, key: str) -> str | None:
        """Why a key is off now."""
        return None

    def paint(self) -> None:
        colours, text = palette(self.app.current_theme.dark), Text()
        for number, line in enumerate(self.lines()):
            for said, tone, action in line:
                click = Style(meta={"@click": action}) if action else Style()
                strong = tone in (Tone.BUSY, Tone.BAD) or not number
                text.append(said, Style(color=colours[tone], bold=strong) + click)
            text.append("\n")
        words = self.query_one("#words", Static)
        words.auto_links = False
        words.update(text)
        keys = in_bar(place=self.PLACE)
        self.query_one(KeyBar).put([Offer(key, key.label, self.off(key.id)) for key in keys])

    def action_help(self) -> None:
        reasons = {key.id: why for key in in_bar(place=self.PLACE) if (why := self.off(key.id)) is not None}
        _ = self.app.push_screen(HelpScreen(self.glyphs, reasons, self.PLACE))

    def action_press_key(self, key: str) -> None:
        self.app.simulate_key(key)

    def action_leave(self) -> None:
        self.app.exit(0)


class WelcomeScreen(Front):
    """Says what this is, and does what it offers. `wish` is what the person wants next: `open` or `demo`."""

    PLACE = "welcome"
    BINDINGS: ClassVar[list[BindingType]] = list(bindings("welcome"))

    def __init__(self, glyphs: Glyphs, folder: Path, begin: Callable[[], Began]) -> None:
        """`begin` writes the first fleet file; it is called from a thread."""
        super().__init__(glyphs)
        self.wish = ""
        self.began: Began | None = None
        self._folder = folder
        self._begin = begin

    def lines(self) -> Sequence[Sequence[Piece]]:
        return first_lines(str(self._folder), self.began)

    def off(self, key: str) -> str | None:
        written = self.began is not None and self.began.ok
        if key == "welcome.open" and not written:
            return "there is no fleet file yet; i writes one"
        return "the file is written" if key == "welcome.init" and written else None

    def action_init(self) -> None:
        if (why := self.off("welcome.init")) is not None:
            self.app.notify(why, markup=False)
            return
        self.run_worker(self._write, thread=True, exclusive=True)

    def _write(self) -> None:
        """Runs in a thread: it looks for programs on the disk."""
        try:
            began = self._begin()
        except Exception as error:  # noqa: BLE001  # a folder that cannot be written to is told, never fatal
            began = Began(False, (clean(f"the file could not be written: {error}", 400),))
        self.app.call_from_thread(self._written, began)

    def _written(self, began: Began) -> None:
        self.began = began
        self.paint()

    def action_open(self) -> None:
        if (why := self.off("welcome.open")) is not None:
            self.app.notify(why, severity="warning", markup=False)
            return
        self._leave_for("open")

    def action_demo(self) -> None:
        self._leave_for("demo")

    def _leave_for(self, wish: str) -> None:
        self.wish = wish
        self.app.exit(0)


class BrokenScreen(Front):
    """Every problem of the file with its place; goes on by itself once there is none."""

    PLACE = "broken"
    BINDINGS: ClassVar[list[BindingType]] = list(bindings("broken"))

    def __init__(
        self, glyphs: Glyphs, problems: Sequence[str], read: Callable[[bool], Sequence[str] | None]
    ) -> None:
        """`read` looks at the file again, or with True reads it whether or not it was saved: its problems,
        None when it is as it was."""
        super().__init__(glyphs)
        self.wish = ""
        self._problems = tuple(problems)
        self._read = read

    def on_mount(self) -> None:
        self.set_interval(LOOK_EVERY, lambda: self._look(False))

    def lines(self) -> Sequence[Sequence[Piece]]:
        return broken_lines(self._problems)

    def action_again(self) -> None:
        self._look(True)

    def _look(self, anyway: bool) -> None:
        found = self._read(anyway)
        if found is None:
            return
        if not found:
            self.wish = "open"
            self.app.exit(0)
        elif tuple(found) != self._problems:
            self._problems = tuple(found)
            self.paint()
        elif anyway:
            self.app.notify("the same problems are still there", markup=False)

    def action_scroll(self, lines: int) -> None:
        self.query_one("#front", VerticalScroll).scroll_relative(y=lines, animate=False)
