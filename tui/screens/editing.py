"""A text of several lines that a person writes or changes before it is sent."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from ...healing.handoff import MOST_EDITED, too_long
from ...healing.markdown import inert
from ..keymap import bindings
from ..themes import palette
from ..tones import Tone


class EditScreen(ModalScreen[str | None]):
    """Ends with the text, or None when it shall stay as it was. `longest`: characters, for a note; without
    it the text is a whole handoff."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings("edit"))

    def __init__(self, about: str, text: str, longest: int | None = None) -> None:
        super().__init__()
        self._about = about
        self._text = inert(text)
        self._longest = longest

    def compose(self) -> ComposeResult:
        from .confirm import Buttons  # confirm opens this one

        with Vertical(classes="dialog -edit"):
            yield Static(Text(self._about), markup=False)
            yield TextArea(self._text, soft_wrap=True, id="text")
            yield Static(Text(""), id="wrong", markup=False)
            yield Buttons(self.app.current_theme.dark, "take it", key="ctrl+o")

    def on_mount(self) -> None:
        area = self.query_one(TextArea)
        area.show_line_numbers = False
        area.focus()

    def on_text_area_changed(self) -> None:
        self._told()

    def _told(self) -> str:
        """Why the text is not taken; shown at once."""
        text = self.query_one(TextArea).text
        note = self._longest is not None
        why = too_long(text if note else "", "" if note else text)
        shown = self.query_one("#wrong", Static)
        bad = palette(self.app.current_theme.dark)[Tone.BAD]
        size = f"{self._longest:,} characters" if note else f"{MOST_EDITED:,} bytes"
        left = f"{len(text) if note else len(text.encode('utf-8', 'replace')):,} of {size} at most"
        shown.update(Text(why, bad) if why else Text(left, palette(self.app.current_theme.dark)[Tone.QUIET]))
        return why

    def action_accept(self) -> None:
        if not self._told():
            _ = self.dismiss(inert(self.query_one(TextArea).text))

    def action_leave(self) -> None:
        _ = self.dismiss(None)
