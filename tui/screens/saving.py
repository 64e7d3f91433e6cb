"""Where a page shall be written: the person says it, sees the whole path, and is asked before anything is
covered."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ..exporting import FORMS, ExportError, FileThere, Printout, export
from ..keymap import bindings
from ..looks import clean
from ..themes import palette
from ..tones import Tone
from .confirm import Buttons

LONGEST = 1000


class Written(Message):
    """The file is there, or why it is not; `there`: because another one is."""

    def __init__(self, path: Path | None, words: str, there: bool = False) -> None:
        self.path, self.words, self.there = path, words, there
        super().__init__()


class SaveScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = list(bindings("export"))

    def __init__(self, page: Printout, folder: Path | None = None) -> None:
        """`folder`: where the file is proposed to lie; else the current one."""
        super().__init__()
        self._page = page
        self._folder = folder
        self._covering = ""
        """The place whose file the person was told of: entered once more, it is written over."""
        self._busy = False
        self.words = ""
        """What is told below the line."""

    def compose(self) -> ComposeResult:
        dark = self.app.current_theme.dark
        colours = palette(dark)
        words = Text("Export to a file\n\n", colours[Tone.TEXT]).append(
            f"Its ending says how: {FORMS[0]} is Markdown, {FORMS[1]} a picture; tab changes it.\n",
            colours[Tone.QUIET],
        )
        with Vertical(classes="dialog"):
            yield Static(words, markup=False)
            yield Input(self._proposed(), max_length=LONGEST, id="place")
            yield Static("", id="told", markup=False)
            yield Buttons(dark, "write")

    def on_mount(self) -> None:
        line = self.query_one(Input)
        line.focus()
        line.cursor_position = len(line.value)

    def _proposed(self) -> str:
        name = self._page.name + FORMS[0]
        try:
            return str((self._folder or Path.cwd()) / name)
        except OSError:  # the folder it was started in is gone
            return f"~/{name}"

    def action_form(self) -> None:
        """The other form, where the name ends in one of them."""
        line = self.query_one(Input)
        for form, other in (FORMS, FORMS[::-1]):
            if line.value.lower().endswith(form):
                line.value = line.value[: -len(form)] + other
                line.cursor_position = len(line.value)
                return

    def on_input_changed(self) -> None:
        if self.query_one(Input).value != self._covering:
            self._covering = ""
            self._tell("")

    def on_input_submitted(self) -> None:
        self.action_accept()

    def action_accept(self) -> None:
        place = self.query_one(Input).value
        if self._busy:
            return
        self._busy = True
        over = bool(place) and place == self._covering
        self._tell("writing")
        self.run_worker(lambda: self._write(place, over), thread=True, exit_on_error=False)

    def _write(self, place: str, over: bool) -> None:
        """Runs in a thread: a page is made, and the disk is waited for."""
        try:
            path = export(self._page, place, over=over)
        except FileThere as error:
            self.post_message(Written(None, f"{error}. Enter once more writes over it.", there=True))
        except ExportError as error:
            self.post_message(Written(None, str(error)))
        except Exception as error:  # noqa: BLE001  # a page that cannot be made is told, and ends nothing
            self.post_message(Written(None, f"cannot be exported: {error}"))
        else:
            self.post_message(Written(path, f"written: {path}"))

    @on(Written)
    def _written(self, message: Written) -> None:
        self._busy = False
        if message.path is not None:
            self.app.notify(clean(message.words, 400), timeout=10, markup=False)
            _ = self.dismiss(None)
            return
        self._covering = self.query_one(Input).value if message.there else ""
        self._tell(message.words)

    def _tell(self, words: str) -> None:
        self.words = words
        tone = Tone.QUIET if words == "writing" else Tone.BAD
        text = Text(clean(words, 500), palette(self.app.current_theme.dark)[tone])
        self.query_one("#told", Static).update(text)

    def action_leave(self) -> None:
        _ = self.dismiss(None)
