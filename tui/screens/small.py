"""A terminal with no room for the screen: one plain sentence, until there is."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

from ..bar_lines import LEAST_CELLS
from ..keymap import bindings

LEAST = Size(*LEAST_CELLS)


def is_small(size: Size) -> bool:
    return size.width < LEAST.width or size.height < LEAST.height


def sentence(size: Size) -> str:
    return (
        f"This terminal is {size.width}x{size.height}; hhmrs needs {LEAST.width}x{LEAST.height}. "
        "Make it larger, or press q to leave."
    )


class SmallScreen(ModalScreen[None]):
    """Goes by itself when there is room; what was open below it is as it was."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings("small"))

    def compose(self) -> ComposeResult:
        yield Static(Text(sentence(self.app.size)), id="small", markup=False)

    def on_resize(self, event: events.Resize) -> None:
        self.query_one("#small", Static).update(Text(sentence(event.size)))

    def on_screen_resume(self) -> None:
        """What was opened over it meanwhile has closed."""
        if not is_small(self.app.size):
            _ = self.app.pop_screen()
