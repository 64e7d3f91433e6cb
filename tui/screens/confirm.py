"""Before anything is sent: what exactly will happen, or why it cannot happen now."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ..looks import clean
from ..recoveries import Choice, Plan
from ..themes import palette
from ..tones import Tone


def told(plan: Plan, dark: bool) -> Text:
    """Heading and numbered steps."""
    colours = palette(dark)
    text = Text().append(plan.heading + "\n\n", Style(color=colours[Tone.TEXT], bold=True))
    for number, step in enumerate(plan.steps, 1):
        mark = f"{number}. " if len(plan.steps) > 1 else ""
        text.append(mark, colours[Tone.BUSY]).append(step + "\n", colours[Tone.TEXT])
    return text


class Buttons(Static):
    """The line of keys that end a dialog; each can be clicked."""

    def __init__(self, dark: bool, do: str | None, keep: str = "cancel") -> None:
        colours = palette(dark)
        cap = Style(color=colours[Tone.BUSY], bold=True)
        text = Text()
        if do is not None:
            click = Style(meta={"@click": "screen.accept"})
            text.append("enter", cap + click).append(f" {do}    ", Style(color=colours[Tone.TEXT]) + click)
        click = Style(meta={"@click": "screen.leave"})
        text.append("esc", cap + click).append(f" {keep}", Style(color=colours[Tone.TEXT]) + click)
        super().__init__(text, classes="buttons", markup=False)
        self.auto_links = False


class ConfirmScreen(ModalScreen[Choice | None]):
    """Ends with the choice to send, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "accept", "do it", priority=True),
        Binding("escape,q", "leave", "cancel"),
    ]

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    def compose(self) -> ComposeResult:
        plan, dark = self.plan, self.app.current_theme.dark
        off = plan.reason is not None
        with Vertical(classes="dialog" + (" -off" if off else " -grave" if plan.grave else "")):
            with VerticalScroll(can_focus=False):
                yield Static(told(plan, dark), markup=False)
                if plan.verbatim:
                    yield Static(Text(clean(plan.verbatim, 2000)), classes="verbatim", markup=False)
                if len(plan.choices) > 1:
                    yield OptionList(*(Option(Text(choice.label)) for choice in plan.choices))
                if plan.reason is not None:
                    reason = Text().append("Not now: ", Style(color=palette(dark)[Tone.BAD], bold=True))
                    yield Static(reason.append(plan.reason + "\n", palette(dark)[Tone.TEXT]), markup=False)
            yield Buttons(dark, None if off else plan.order, "back" if off else "cancel")

    def on_mount(self) -> None:
        options = self.query(OptionList)
        if options:
            options.first().highlighted = 0
            options.first().focus()

    def on_option_list_option_selected(self) -> None:
        self.action_accept()

    def action_accept(self) -> None:
        if self.plan.reason is not None:
            _ = self.dismiss(None)
            return
        options = self.query(OptionList)
        index = (options.first().highlighted or 0) if options else 0
        _ = self.dismiss(self.plan.choices[index])

    def action_leave(self) -> None:
        _ = self.dismiss(None)
