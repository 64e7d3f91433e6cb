"""The two dialogs of a changed setting: its new value, and what would be written."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ...config.editing import Value
from ...config.settings import as_typed
from ..keymap import bindings
from ..looks import clean
from ..settings import Preview, Row, in_few, sentence, shown
from ..themes import palette
from ..tones import Tone
from .confirm import Buttons

LONGEST = 1000


class ValueScreen(ModalScreen[Value | None]):
    """Ends with a value that the loader takes, or None. Bounds between keys show in the preview."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings("value"))

    def __init__(self, row: Row, whose: str) -> None:
        super().__init__()
        self.row = row
        self._whose = whose

    def compose(self) -> ComposeResult:
        setting, dark = self.row.setting, self.app.current_theme.dark
        with Vertical(classes="dialog"):
            with VerticalScroll(can_focus=False):
                yield Static(self._told(), markup=False)
                if setting.kind == "choice":
                    yield OptionList(*(Option(Text(choice)) for choice in setting.choices))
                else:
                    yield Input(as_typed(self.row.value), max_length=LONGEST, id="value")
                yield Static(Text(""), id="verdict", markup=False)
            yield Buttons(dark, "preview")

    def _told(self) -> Text:
        setting, colours = self.row.setting, palette(self.app.current_theme.dark)
        strong, calm = Style(color=colours[Tone.TEXT], bold=True), colours[Tone.QUIET]
        text = Text().append(f"{setting.key} of {self._whose}\n\n", strong)
        text.append(sentence(setting.about) + "\n\n", colours[Tone.TEXT])
        listed = ", ".join(setting.choices)
        legal = (
            f"in order, with commas, of {listed}; empty for none"
            if setting.kind == "list" and listed
            else setting.legal
        )
        text.append(f"legal: {legal}\n", calm)
        text.append(f"now: {clean(shown(self.row.value), 200)} ({self.row.origin})", calm)
        return text.append(f"   default: {shown(setting.default)}\n", calm)

    def on_mount(self) -> None:
        options = self.query(OptionList)
        if options:
            choices = self.row.setting.choices
            now = choices.index(self.row.value) if self.row.value in choices else 0
            # the other one is what a person wants who opens this
            options.first().highlighted = (now + 1) % len(choices)
            options.first().focus()
        else:
            self.query_one(Input).focus()  # which selects the value, so that typing replaces it

    @property
    def value(self) -> Value:
        setting, options = self.row.setting, self.query(OptionList)
        if options:
            return setting.choices[options.first().highlighted or 0]
        return setting.value_of(clean(self.query_one(Input).value, LONGEST))

    def on_input_changed(self) -> None:
        self._judge()

    def _judge(self) -> str:
        """What is wrong with the value, shown at once."""
        why = self.row.setting.why_not(self.value)
        colours = palette(self.app.current_theme.dark)
        words = clean(why, 400) if why else f"it will be {shown(self.value)}"
        self.query_one("#verdict", Static).update(Text(words, colours[Tone.BAD if why else Tone.GOOD]))
        return why

    def on_option_list_option_selected(self) -> None:
        self.action_accept()

    def on_input_submitted(self) -> None:
        self.action_accept()

    def action_accept(self) -> None:
        if not self._judge():
            _ = self.dismiss(self.value)

    def action_leave(self) -> None:
        _ = self.dismiss(None)


class PreviewScreen(ModalScreen[bool]):
    """What would be written, line by line, or why it is not. Ends with the person's yes."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings("preview"))

    def __init__(self, preview: Preview, path: str, effect: str) -> None:
        super().__init__()
        self.preview = preview
        self._path = path
        self._effect = effect

    def compose(self) -> ComposeResult:
        bad = bool(self.preview.problems)
        with Vertical(classes="dialog" + (" -off" if bad else "")):
            with VerticalScroll(can_focus=False):
                yield Static(self._told(), markup=False)
            yield Buttons(
                self.app.current_theme.dark, None if bad else "write it", "back" if bad else "cancel"
            )

    def _told(self) -> Text:
        preview, colours = self.preview, palette(self.app.current_theme.dark)
        strong = Style(color=colours[Tone.TEXT], bold=True)
        text = Text().append(clean(preview.change.words, 200) + "\n", strong)
        text.append(clean(self._path, 300) + "\n\n", colours[Tone.QUIET])
        for line in preview.lines:
            tone = {"+": Tone.GOOD, "-": Tone.SICK, "@": Tone.BUSY}.get(line[:1], Tone.QUIET)
            text.append(clean(line, 300, keep_indent=True) + "\n", colours[tone])
        if preview.problems:
            text.append(
                "\nNot written, the file would be wrong:\n", Style(color=colours[Tone.BAD], bold=True)
            )
            for problem in preview.problems:
                text.append(clean(problem, 600) + "\n", colours[Tone.TEXT])
            return text
        if preview.keep:
            has = (
                "have values of their own and keep them"
                if len(preview.keep) > 1
                else "has a value of its own and keeps it"
            )
            text.append(f"\n{in_few(preview.keep)} {has}.\n", colours[Tone.LIMIT])
        return text.append(f"\n{self._effect}\n", colours[Tone.QUIET])

    def action_accept(self) -> None:
        _ = self.dismiss(not self.preview.problems)

    def action_leave(self) -> None:
        _ = self.dismiss(False)

    def action_scroll_by(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)
