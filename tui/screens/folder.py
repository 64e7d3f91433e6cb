"""Asks for the folder into which the files of a checkpoint are brought back."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ..keymap import bindings
from ..themes import palette
from ..tones import Tone
from .confirm import Buttons

LONGEST = 1000


class FolderScreen(ModalScreen[str | None]):
    BINDINGS: ClassVar[list[BindingType]] = list(bindings("folder"))

    def __init__(self, agent: str, title: str, seq: int) -> None:
        """`agent`: its id, of which the folder that is offered has its name; `title`: of the agent, clean."""
        super().__init__()
        self._agent = agent
        self._title = title
        self._seq = seq

    def compose(self) -> ComposeResult:
        dark = self.app.current_theme.dark
        colours = palette(dark)
        said = Text(f"Bring back {self._title}, checkpoint {self._seq}\n", Style(bold=True))
        said.append(
            "Its files are written into a new or empty folder outside every workspace: the work itself is not"
            " touched, nothing is ever written over.",
            colours[Tone.QUIET],
        )
        with Vertical(classes="dialog"):
            yield Static(said, markup=False)
            # What is offered is selected: enter takes it, the first letter typed replaces it.
            yield Input(f"~/restored-{self._agent}-{self._seq}", max_length=LONGEST, id="folder")
            yield Buttons(dark, "bring back")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self) -> None:
        self.action_accept()

    def action_accept(self) -> None:
        if folder := self.query_one(Input).value.strip():
            _ = self.dismiss(folder)

    def action_leave(self) -> None:
        _ = self.dismiss(None)
