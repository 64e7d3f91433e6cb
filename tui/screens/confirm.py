"""Before anything is sent: what exactly will happen, or why it cannot happen now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from ..previews import Known, facts
from ..recoveries import Choice, Plan
from ..themes import palette
from ..tones import Tone
from .editing import EditScreen

Look = Callable[[Mapping[str, str]], Known]
"""args -> what the order would meet; blocking, may raise."""
Check = Callable[[str], str | None]
"""PROFILE[:MODEL] -> why it cannot be that."""
LONGEST = 4000
SHOWN = 400
"""Lines of a handoff that are shown; it is sent whole."""


def told(plan: Plan, dark: bool) -> Text:
    """Heading, numbered steps, and who is left alone."""
    colours = palette(dark)
    text = Text().append(plan.heading + "\n\n", Style(color=colours[Tone.TEXT], bold=True))
    for number, step in enumerate(plan.steps, 1):
        mark = f"{number}. " if len(plan.steps) > 1 else ""
        text.append(mark, colours[Tone.BUSY]).append(step + "\n", colours[Tone.TEXT])
    if plan.left and plan.agents:
        text.append("\nleft alone\n", Style(color=colours[Tone.QUIET], bold=True))
        for line in plan.left:
            text.append(f"  {clean(line, 200)}\n", colours[Tone.QUIET])
    return text


class Buttons(Static):
    """The line of keys that end a dialog; each can be clicked. `more`: key, what it does, its action."""

    def __init__(
        self, dark: bool, do: str | None, keep: str = "cancel", more: Sequence[tuple[str, str, str]] = (),
        key: str = "enter",
    ) -> None:  # fmt: skip
        colours = palette(dark)
        cap = Style(color=colours[Tone.BUSY], bold=True)
        text = Text()
        first = [(key, do, "accept")] if do is not None else []
        for name, words, action in [*first, *more, ("esc", keep, "leave")]:
            click = Style(meta={"@click": f"screen.{action}"})
            text.append("   " if text else "")
            text.append(name, cap + click).append(f" {words}", Style(color=colours[Tone.TEXT]) + click)
        super().__init__(text, classes="buttons", markup=False)
        self.auto_links = False


class ConfirmScreen(ModalScreen[Choice | None]):
    """Ends with the choice to send, with the person's own words in its args, or None."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings("confirm"))

    def __init__(self, plan: Plan, look: Look | None = None, check: Check | None = None) -> None:
        super().__init__()
        self.plan = plan
        self.known: Known | None = None
        self._look = look if plan.reason is None else None
        self._check = check
        self._said: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        plan, dark = self.plan, self.app.current_theme.dark
        off = plan.reason is not None
        with Vertical(classes="dialog" + (" -off" if off else " -grave" if plan.grave else "")):
            with VerticalScroll(can_focus=False):
                yield Static(told(plan, dark), markup=False)
                if plan.verbatim:
                    yield Static(Text(clean(plan.verbatim, 2000)), classes="verbatim", markup=False)
                if len(plan.choices) > 1 and not off:
                    yield OptionList(*(Option(Text(choice.label)) for choice in plan.choices))
                    yield Input(placeholder="PROFILE or PROFILE:MODEL", max_length=200, id="seat")
                if self._look is not None:
                    yield Static(Text("looking at processes and papers ..."), id="known", markup=False)
                    yield Static(Text(""), id="handoff", classes="verbatim", markup=False)
                if plan.reason is not None:
                    yield Static(self._reason(plan.reason), id="reason", markup=False)
                yield Static(Text(""), id="wrong", markup=False)
            yield Buttons(dark, None if off else plan.order, "back" if off else "cancel", self._more())

    def _more(self) -> list[tuple[str, str, str]]:
        notes = [("n", "note", "note")] if self.plan.takes_note else []
        return [*notes, ("e", "edit handoff", "edit")] if self.plan.takes_edit and self._look else notes

    def _reason(self, reason: str) -> Text:
        colours = palette(self.app.current_theme.dark)
        label = Text().append("Not now: ", Style(color=colours[Tone.BAD], bold=True))
        return label.append(clean(reason, 400) + "\n", colours[Tone.TEXT])

    _asked = 0
    """How often it was looked at: only the newest look counts."""

    def on_mount(self) -> None:
        for name in ("#seat", "#handoff", "#wrong"):
            for part in self.query(name):
                part.display = False
        options = self.query(OptionList)
        if options:
            options.first().highlighted = 0
            options.first().focus()
        self._look_again()

    # -- what a look tells ------------------------------------------------------------------------
    def _look_again(self) -> None:
        if self._look is not None:
            args = dict(self._said)
            option = self._chosen
            if option is not None and "to" in option.args:
                args["to"] = option.args["to"]
            self._asked += 1
            aside(partial(self._ask, self._look, args, self._asked), "hhmrs-preview")

    def _ask(self, look: Look, args: Mapping[str, str], number: int) -> None:
        """Runs in a thread: it reads files, runs git, and goes through the processes."""
        try:
            known, fault = look(args), ""
        except Exception as error:  # noqa: BLE001  # the order can be given all the same; why nothing is known is told
            known, fault = Known(), clean(f"what it would do cannot be looked at: {error}", 300)
        self.app.call_from_thread(self._found, known, fault, number)

    def _found(self, known: Known, fault: str, number: int) -> None:
        if not self.is_attached or number != self._asked:  # it was asked again meanwhile
            return
        self.known = known
        colours = palette(self.app.current_theme.dark)
        text = Text(fault + "\n" if fault else "", colours[Tone.SICK])
        for line in facts(known):
            text.append(f"- {line}\n", colours[Tone.QUIET])
        if known.handoff:
            whose = "in your own version" if "handoff" in self._said else "as it would be now"
            more = ", with your note" if "note" in self._said else ""
            text.append(f"\nThe handoff it gets, {whose}{more}:", Style(color=colours[Tone.TEXT], bold=True))
        self.query_one("#known", Static).update(text)
        shown = self.query_one("#handoff", Static)
        shown.display = bool(known.handoff)
        shown.update(_page(known.handoff))

    # -- choosing ---------------------------------------------------------------------------------
    @property
    def _chosen(self) -> Choice | None:
        options = self.query(OptionList)
        index = (options.first().highlighted or 0) if options else 0
        return self.plan.choices[index] if index < len(self.plan.choices) else None

    def on_option_list_option_highlighted(self) -> None:
        choice = self._chosen
        for part in self.query("#seat"):
            part.display = choice is not None and choice.open
        if self.is_mounted and choice is not None and not choice.open:
            self._look_again()

    def on_option_list_option_selected(self) -> None:
        choice = self._chosen
        if choice is not None and choice.open:
            self.query_one("#seat", Input).focus()
        else:
            self.action_accept()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._wrong(self._check(event.value) if self._check and event.value.strip() else None)

    def on_input_submitted(self) -> None:
        self.action_accept()

    def _wrong(self, why: str | None) -> None:
        part = self.query_one("#wrong", Static)
        part.display = why is not None
        part.update(self._reason(why) if why is not None else Text(""))

    # -- keys -------------------------------------------------------------------------------------
    def action_accept(self) -> None:
        if self.plan.reason is not None:
            _ = self.dismiss(None)
            return
        choice = self._chosen
        if choice is None:
            return
        if choice.open:
            to = clean(self.query_one("#seat", Input).value, 200)
            why = self._check(to) if self._check else None
            if why is not None or not to:
                self._wrong(why or "name a profile")
                self.query_one("#seat", Input).focus()
                return
            choice = replace(choice, args={**choice.args, "to": to})
        _ = self.dismiss(replace(choice, args={**choice.args, **self._said}))

    def action_note(self) -> None:
        if self.plan.takes_note:
            about = "Your own words to the new attempt; they stand at the head of its handoff."
            screen = EditScreen(about, self._said.get("note", ""), LONGEST)
            _ = self.app.push_screen(screen, partial(self._take, "note"))

    def action_edit(self) -> None:
        if not self.plan.takes_edit or self.known is None:
            return
        if not self.known.handoff:
            self.notify("it gets no handoff that could be changed; add a note with n", markup=False)
            return
        about = "The whole handoff. It is sent as it stands here: newer lines and changes do not come in."
        text = self._said.get("handoff") or self.known.handoff
        _ = self.app.push_screen(EditScreen(about, text), partial(self._take_edit, text))

    def _take_edit(self, before: str, text: str | None) -> None:
        if text is not None and text.strip() != before.strip():
            if "handoff" not in self._said:
                self._said.pop("note", None)  # the text that was changed has it already
            self._take("handoff", text)

    def _take(self, name: str, text: str | None) -> None:
        if text is None:
            return
        if text.strip():
            self._said[name] = text.strip()
        else:
            self._said.pop(name, None)
        self._look_again()
        if self._look is None:
            said = f"with your note: {clean(text, 120)}" if text.strip() else "without a note"
            self.notify(said, markup=False)

    def action_scroll_by(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_leave(self) -> None:
        _ = self.dismiss(None)


def _page(text: str) -> Text:
    lines = [clean(line, 400, keep_indent=True) for line in text.split("\n")]
    more = [f"... and {len(lines) - SHOWN} lines more"] if len(lines) > SHOWN else []
    return Text("\n".join([*lines[:SHOWN], *more]).rstrip())
