"""What all our programs on the screen share: their themes, and a sentence where there is no room."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from rich.segment import Segment
from textual import events
from textual.app import App, SystemCommand
from textual.color import Color
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.theme import Theme

from .hangup import hangup_of_stdin
from .inert import in_ascii
from .looks import Glyphs, clean
from .remembered import Memory
from .screens.small import SmallScreen, is_small
from .themes import EXTRA_VARIABLES, HHMRS_DARK, THEMES


@contextmanager
def _told_of_colours() -> Generator[None]:
    """tmux takes true colour whatever TERM it gives its panes, and shows what the terminal around it can."""
    told = "COLORTERM" in os.environ or not os.environ.get("TMUX")
    if not told:
        os.environ["COLORTERM"] = "truecolor"
    try:
        yield
    finally:
        if not told:  # who is started by us must not be told
            del os.environ["COLORTERM"]


class AsciiLetters(LineFilter):
    """For a terminal that is told nothing but ASCII: a letter it cannot be sent would come as an escape of
    several cells, and shift all behind it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002  # Textual's own signature
        return [Segment(in_ascii(text), style, control) for text, style, control in segments]


class Face(App[int]):
    TITLE = "hhmrs"
    CSS_PATH = Path(__file__).with_name("hhmrs.tcss")

    def __init__(self, glyphs: Glyphs, theme: str | None = None, driver: type[Driver] | None = None) -> None:
        """`theme`: that of TEXTUAL_THEME, then the remembered one, then the dark one stand in for None."""
        with _told_of_colours():
            super().__init__(driver_class=driver)
        self.glyphs = glyphs
        if glyphs.ascii_only:
            self._filters.append(AsciiLetters())
        self._memory = Memory()
        # Only themes whose contrast is known are offered.
        for name in set(self.available_themes) - {one.name for one in THEMES}:
            self.unregister_theme(name)
        for one in THEMES:
            self.register_theme(one)
        wishes = (theme, os.environ.get("TEXTUAL_THEME"), self._memory.theme())
        self.theme = next((wish for wish in wishes if wish in self.available_themes), HHMRS_DARK.name)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return EXTRA_VARIABLES

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:  # noqa: ARG002  # Textual's own signature
        yield SystemCommand(
            "Theme", "choose other colours: dark, light, high contrast", self.action_change_theme
        )

    def on_mount(self) -> None:
        self._hangup = None if self.is_headless or self.is_web else hangup_of_stdin()
        if self._hangup is not None:
            self._hangup.watch(asyncio.get_running_loop())
        self.theme_changed_signal.subscribe(self, self._keep_theme)

    def _keep_theme(self, theme: Theme) -> None:
        try:
            self._memory.keep_theme(theme.name)
        except OSError as error:
            self.notify(
                clean(f"the theme cannot be remembered: {error}", 160), severity="warning", markup=False
            )

    def on_resize(self, event: events.Resize) -> None:
        covered = isinstance(self.screen, SmallScreen)
        if is_small(event.size) and not covered:
            _ = self.push_screen(SmallScreen())
        elif covered and not is_small(event.size):
            _ = self.pop_screen()

    async def _on_key(self, event: events.Key) -> None:
        """Nobody took the key. What is typed into a line comes here only if it was sent to where one was
        before: keys that come together are handed out before the first of them has opened the line."""
        event.prevent_default()  # Textual's own, which does the first half of this
        if await self._check_bindings(event.key):
            return
        line = self.focused
        if line is not None and line.check_consume_key(event.key, event.character):
            line.post_message(events.Key(event.key, event.character))

    async def action_exit(self) -> None:
        """Leave at once."""
        self.exit(0)
