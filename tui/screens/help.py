"""All keys from the table, and for those that are off now, why."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from ...healing.agent import Phase
from ..interventions import ICONS
from ..keymap import bindings, grouped
from ..keys.key import spell
from ..looks import LOOKS, Glyphs
from ..themes import palette
from ..tones import Tone
from .confirm import Buttons

INDENT = 16
WIDTH = 92
"""Cells of the dialog where there is room, as in the style sheet."""
AROUND = 7
"""Cells of its border, its padding and its scroll bar."""


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = list(bindings("help"))

    def __init__(self, glyphs: Glyphs, reasons: Mapping[str, str], place: str = "fleet") -> None:
        """`reasons`: why a key is off, by the key's id; `place`: whose keys (keymap.PLACES)."""
        super().__init__()
        self._glyphs = glyphs
        self._reasons = reasons
        self._place = place

    def compose(self) -> ComposeResult:
        dark = self.app.current_theme.dark
        with Vertical(classes="dialog"):
            with VerticalScroll():
                yield Static(self._keys(dark), markup=False)
                if self._place not in WITHOUT_AGENTS:
                    yield Static(self._phases(dark), markup=False)
                    yield Static(self._interventions(dark), markup=False)
            yield Buttons(dark, None, "back")

    def _keys(self, dark: bool) -> Text:
        colours, text = palette(dark), Text()
        for group, keys in grouped(self._place):
            text.append(f"{group}\n", Style(color=colours[Tone.TEXT], bold=True))
            for key in keys:
                reason = self._reasons.get(key.id)
                names = " ".join(spell(name) for name in key.keys)
                text.append(
                    f"  {names:<14}",
                    Style(color=colours[Tone.QUIET if reason else Tone.BUSY], bold=not reason),
                )
                text.append(self._beside(key.about), colours[Tone.QUIET if reason else Tone.TEXT])
                if reason:
                    text.append(" " * INDENT + self._beside(f"off: {reason}"), colours[Tone.SICK])
            text.append("\n")
        return text

    def _beside(self, words: str) -> str:
        """The words as they stand right of a key, however narrow the screen."""
        room = max(20, min(WIDTH, self.app.size.width) - AROUND - INDENT)
        return ("\n" + " " * INDENT).join(textwrap.wrap(words, room)) + "\n"

    def _phases(self, dark: bool) -> Text:
        colours = palette(dark)
        text = Text().append("Phases\n", Style(color=colours[Tone.TEXT], bold=True))
        for phase, words in PHASES.items():
            mark = f"  {self._glyphs.phase(phase)} {phase.value:<12}"
            text.append(mark, Style(color=colours[LOOKS[phase].tone], bold=True))
            text.append(self._beside(words), colours[Tone.TEXT])
        return text.append("\n")

    def _interventions(self, dark: bool) -> Text:
        """Orange is theirs alone, so the legend says where it stands."""
        colours = palette(dark)
        text = Text().append("Interventions\n", Style(color=colours[Tone.TEXT], bold=True))
        for kind, words in INTERVENTIONS.items():
            icon, plain, word = ICONS[kind]
            mark = f"  {plain if self._glyphs.plain else icon} {word:<12}"
            text.append(mark, Style(color=colours[Tone.TRON], bold=True))
            text.append(self._beside(words), colours[Tone.TEXT])
        where = "the bar on top, the agent, and the line from it to the parent that answers for it"
        told = " " * INDENT + self._beside(f"orange is theirs alone: {where}")
        return text.append(told, colours[Tone.QUIET])

    def action_leave(self) -> None:
        _ = self.dismiss(None)

    def action_scroll_by(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_scroll_edge(self, side: int) -> None:
        page = self.query_one(VerticalScroll)
        if side < 0:
            page.scroll_home(animate=False)
        else:
            page.scroll_end(animate=False)


WITHOUT_AGENTS = frozenset({"welcome", "broken"})
"""Places where no state is shown, so that none needs a legend."""
INTERVENTIONS: dict[str, str] = {
    "hhmrs_timeout": "no life or no progress for too long",
    "hhmrs_nudge": "it is woken, its process goes on",
    "hhmrs_resume": "its process was ended, its session goes on",
    "hhmrs_restart": "its process was ended and is started afresh",
    "hhmrs_reassign": "another profile or model goes on with its work",
    "hhmrs_escalation": "who answers for it is now one level up",
    "hhmrs_recovered": "fresh progress proved that it is back",
    "hhmrs_failure": "the last level is spent: a person is needed",
    "hhmrs_cascade": "many fail of one cause, held back together",
}
PHASES: dict[Phase, str] = {
    Phase.STARTING: "its attempt began, nothing proved yet",
    Phase.WORKING: "it makes progress",
    Phase.IDLE: "alive with nothing to do",
    Phase.WAITING: "a person must answer it",
    Phase.LIMITED: "its provider said: not before a time",
    Phase.STALLED: "no sign of life for too long",
    Phase.LOOPING: "alive, but no progress for too long",
    Phase.EXITED: "its process ended",
    Phase.RECOVERING: "a recovery is under way",
    Phase.ESCALATED: "healing gave up: a person is needed",
    Phase.PAUSED: "hands off, by a person",
    Phase.STOPPED: "ended by a person",
    Phase.DONE: "finished its work",
    Phase.UNKNOWN: "cannot be seen now; never acted on",
}
