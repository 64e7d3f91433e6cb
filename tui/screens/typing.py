"""A line of a person's own: typed into an agent's pane, or queued as a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ..keymap import bindings
from ..looks import clean
from ..recoveries import Choice, Plan
from .confirm import Buttons, told

LONGEST = 4000


class TypingScreen(ModalScreen[Choice | None]):
    """`make` gives the plan for a text; the preview is that plan, so what one sees is what is sent."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings("typing"))

    def __init__(self, make: Callable[[str], Plan]) -> None:
        super().__init__()
        self._make = make

    def compose(self) -> ComposeResult:
        dark = self.app.current_theme.dark
        with Vertical(classes="dialog"):
            with VerticalScroll(can_focus=False):
                yield Static(told(self._make(""), dark), markup=False)
                yield Static(Text("(nothing yet)"), id="preview", classes="verbatim", markup=False)
            yield Input(placeholder="your text", max_length=LONGEST, id="text")
            yield Buttons(dark, "send")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @property
    def text(self) -> str:
        return clean(self.query_one(Input).value, LONGEST)

    def on_input_changed(self) -> None:
        self.query_one("#preview", Static).update(Text(self._make(self.text).verbatim or "(nothing yet)"))

    def on_input_submitted(self) -> None:
        self.action_accept()

    def action_accept(self) -> None:
        if self.text:
            _ = self.dismiss(self._make(self.text).choices[0])  # to those whom the preview named

    def action_leave(self) -> None:
        _ = self.dismiss(None)
