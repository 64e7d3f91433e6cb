"""Answer a waiting agent: its question as it stands on its screen, and the ways to answer it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ..aside import aside
from ..keymap import bindings
from ..looks import clean
from ..questions import LONGEST_ANSWER, Question, Reply, typed
from ..recoveries import Choice
from ..themes import palette
from ..tones import Tone
from .confirm import Buttons

EVERY = 0.5
"""Seconds between two looks at the question, while it is shown."""

Ask = Callable[[], Question]
"""What it asks now; blocking, may raise."""


class AnswerScreen(ModalScreen[Choice | None]):
    """Ends with the choice to send, or None. What is answered is what was last shown: an answer to a screen
    that has changed meanwhile is held back."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings("answer"))

    def __init__(self, title: str, ask: Ask) -> None:
        super().__init__()
        self._title = title
        self._ask = ask
        self._shown: Question | None = None
        self._busy = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -answer"):
            with VerticalScroll(can_focus=False):
                yield Static(Text("reading its screen ..."), id="question", markup=False)
                yield Static(Text(""), id="screen", classes="verbatim", markup=False)
            yield OptionList(id="replies")
            yield Input(placeholder="or words of your own", max_length=LONGEST_ANSWER, id="own")
            yield Static(Text(""), id="does", markup=False)
            yield Buttons(self.app.current_theme.dark, "answer", more=(("tab", "own words", "turn"),))

    def on_mount(self) -> None:
        self.query_one("#replies").display = False
        self.query_one("#screen").display = False
        self.query_one("#own", Input).focus()
        self._read()
        self.set_interval(EVERY, self._read)

    # -- looking ----------------------------------------------------------------------------------
    def _read(self) -> None:
        if not self._busy and self.is_current:
            self._busy = True
            aside(self._look, "hhmrs-question")

    def _look(self) -> None:
        """Runs in a thread: tmux may take its time."""
        found = self._now()
        self.app.call_from_thread(self._seen, found)

    def _now(self) -> Question:
        try:
            return self._ask()
        except Exception as error:  # noqa: BLE001  # tmux may be gone: told, and the person can still type
            return Question("", (), (), clean(f"its screen cannot be read: {error}", 200))

    def _seen(self, found: Question) -> None:
        self._busy = False
        if self.is_attached and found != self._shown:
            self._show(found)

    def _show(self, found: Question) -> None:
        before, self._shown = self._shown, found
        colours = palette(self.app.current_theme.dark)
        text = Text().append(f"{self._title} asks\n", Style(color=colours[Tone.TEXT], bold=True))
        if found.asked:
            text.append(f"\n{found.asked}\n", colours[Tone.ASK])
        if found.fault:
            text.append(f"\n{found.fault}\n", colours[Tone.SICK])
        elif found.lines:
            text.append("\nthe bottom of its screen:", colours[Tone.QUIET])
        self.query_one("#question", Static).update(text)
        screen = self.query_one("#screen", Static)
        screen.display = bool(found.lines)
        screen.update(Text("\n".join(found.lines)))
        if before is None or before.replies != found.replies:
            self._offer(found, first=before is None)
        if before is None and not found.asked:  # then what is asked stands at the bottom
            self.call_after_refresh(self.query_one(VerticalScroll).scroll_end, animate=False)
        self._tell()

    def _offer(self, found: Question, *, first: bool) -> None:
        options = self.query_one("#replies", OptionList)
        options.clear_options()
        options.add_options([Option(Text(reply.label)) for reply in found.replies])
        options.display = bool(found.replies)
        if found.replies:
            options.highlighted = 0
            if first and not self.query_one("#own", Input).value:
                options.focus()
        else:
            self.query_one("#own", Input).focus()

    # -- answering --------------------------------------------------------------------------------
    @property
    def _reply(self) -> Reply | str:
        """The one that enter would give now, or why there is none."""
        own = self.query_one("#own", Input)
        options = self.query_one("#replies", OptionList)
        found = self._shown
        if found is None:
            return "its screen is still being read"
        if own.has_focus or not found.replies:
            return typed(own.value, key=False)
        index = options.highlighted
        return found.replies[index] if index is not None else "choose an answer"

    def _tell(self, why: str = "") -> None:
        colours, reply = palette(self.app.current_theme.dark), self._reply
        text = Text(why, colours[Tone.SICK])
        if not why:
            said = f"enter {reply.does}" if isinstance(reply, Reply) else reply
            text = Text(said, colours[Tone.QUIET])
        self.query_one("#does", Static).update(text)

    def on_option_list_option_highlighted(self) -> None:
        self._tell()

    def on_option_list_option_selected(self) -> None:
        self.action_accept()

    def on_input_changed(self) -> None:
        self._tell()

    def on_input_submitted(self) -> None:
        self.action_accept()

    def on_descendant_focus(self) -> None:
        self._tell()

    def action_turn(self) -> None:
        options, own = self.query_one("#replies", OptionList), self.query_one("#own", Input)
        (options if own.has_focus and options.display else own).focus()

    def action_accept(self) -> None:
        reply, shown = self._reply, self._shown
        if not isinstance(reply, Reply) or shown is None:
            self._tell(reply if isinstance(reply, str) else "its screen is still being read")
            return
        _ = self.run_worker(partial(self._give, reply, shown), thread=True, exclusive=True, group="give")

    def _give(self, reply: Reply, shown: Question) -> None:
        """Runs in a thread. One more look: the answer is for this question and no other."""
        found = self._now()
        self.app.call_from_thread(self._given, reply, shown, found)

    def _given(self, reply: Reply, shown: Question, found: Question) -> None:
        if not self.is_attached:
            return
        if found.fingerprint != shown.fingerprint:
            self._show(found)
            self._tell("its screen has changed: nothing was typed. Look again, then press enter again")
            return
        _ = self.dismiss(Choice(reply.label, reply.args))

    def action_scroll_by(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_leave(self) -> None:
        _ = self.dismiss(None)
