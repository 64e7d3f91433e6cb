"""Every setting of the fleet or of one agent: what counts, where it comes from; changed in place.

The fleet file is read, previewed and written in threads; the list stays usable meanwhile."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar, TypeVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widgets import Input

from ...config.editing import Value
from ..aside import aside
from ..keymap import bindings, in_bar
from ..keys.settings import KEYS
from ..looks import Glyphs, clean
from ..settings import Applied, Change, Preview, Row, Settings, Sheet, rows, shown, standing, told
from ..tones import Tone
from ..widgets.bars import KeyBar, Offer, OneLine
from ..widgets.pane import StillView
from ..widgets.settings_list import SettingsList
from .changing import PreviewScreen, ValueScreen
from .help import HelpScreen
from .toasts import put_away

T = TypeVar("T")
LOOK_EVERY = 2.0
"""Seconds between two looks at the file: somebody else may write it."""


class SettingsHead(OneLine):
    """Whose settings these are, and whether they are in force."""

    def put(self, sheet: Sheet | None, whose: str, busy: str, needle: str) -> None:
        up = sheet is not None and sheet.up and not sheet.stale
        words = busy or (standing(sheet) if sheet is not None else "reading the fleet file ...")
        bad = sheet is not None and bool(sheet.fault or sheet.problems)
        if bad and not busy:
            fault = sheet is not None and sheet.fault
            what = "cannot be read" if fault else "is not valid now"
            words = f"the fleet file {what}: the one before it stays in force"
        key = (whose, words, needle, bad, up)
        self.put_line(
            key,
            lambda: self._text(whose, words, needle, Tone.BAD if bad else Tone.GOOD if up else Tone.LIMIT),
        )

    def _text(self, whose: str, words: str, needle: str, tone: Tone) -> Text:
        text = Text().append(" settings ", Style(color=self.colours[Tone.BUSY], bold=True))
        text.append(clean(whose, 80), Style(color=self.colours[Tone.TEXT], bold=True))
        if needle:
            text.append(f"  /{needle}", Style(color=self.colours[Tone.ASK], bold=True))
        return text.append(f"  {self.glyphs.dot} ", self.colours[Tone.QUIET]).append(
            words, self.colours[tone]
        )


class SettingsScreen(Screen[None]):
    BINDINGS: ClassVar[list[BindingType]] = list(bindings("settings"))
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012  # Textual declares it without ClassVar
        (0, "-low"),
        (16, "-roomy"),
    ]

    def __init__(self, settings: Settings, glyphs: Glyphs, agent: str | None = None) -> None:
        """`agent`: whose settings the tab key turns to."""
        super().__init__()
        self.settings = settings
        self.glyphs = glyphs
        self.sheet: Sheet | None = None
        self.entry: str | None = None
        """The key below `agents:` whose settings are shown; None: the fleet's."""
        self._agent = agent
        self._needle = ""
        self._busy = ""
        self._looking = False

    def compose(self) -> ComposeResult:
        yield SettingsHead(self.glyphs, id="headline")
        yield SettingsList(self.glyphs, id="settings")
        yield StillView(id="about")
        yield Input(placeholder="filter: part of a key or of what it means", id="filter")
        yield KeyBar(self.glyphs, id="keys")

    def on_screen_suspend(self) -> None:
        put_away(self)

    def on_mount(self) -> None:
        self.query_one("#filter", Input).can_focus = False
        self.table.focus()
        self.set_interval(LOOK_EVERY, self._look)
        self._look()
        self.paint()

    @property
    def table(self) -> SettingsList:
        return self.query_one(SettingsList)

    @property
    def whose(self) -> str:
        if self.entry is None:
            return "the fleet"
        members = list(self.sheet.entries.values()).count(self.entry) if self.sheet is not None else 0
        return f"{self.entry}, a pool of {members}" if members > 1 else self.entry

    # -- what comes in ----------------------------------------------------------------------------
    def _in_thread(self, work: Callable[[], T], then: Callable[[T], None], busy: str = "") -> None:
        """One thing at a time; what a person asks for goes before a mere look."""
        if self._busy:
            return
        if busy:
            self._busy = busy
            self.paint()
            _ = self.run_worker(partial(self._run, work, then), thread=True, group="asked", exclusive=True)
        elif not self._looking:
            self._looking = True
            aside(partial(self._look_aside, work, then), "hhmrs-settings")

    def _look_aside(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """One at a time: a look that hangs must not be joined by others."""
        try:
            self._run(work, then)
        finally:
            self._looking = False

    def _run(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        try:
            done = work()
        except Exception as error:  # noqa: BLE001  # whatever happens is told, and the screen stays
            self.app.call_from_thread(self._failed, clean(f"that did not work: {error}", 300))
        else:
            self.app.call_from_thread(self._done, then, done)

    def _done(self, then: Callable[[T], None], done: T) -> None:
        if self.is_attached:
            then(done)
        elif isinstance(done, Applied):  # who has left the settings hears of it all the same
            self._say(clean(done.words, 800), "information" if done.in_force else "warning")

    def _failed(self, words: str) -> None:
        self._busy = ""
        self._say(words, "error")
        self.paint()

    def _look(self) -> None:
        self._in_thread(self.settings.read, self._seen)

    def _seen(self, sheet: Sheet) -> None:
        self.sheet = sheet
        if self.entry is not None and self.entry not in sheet.entries.values() and not sheet.problems:
            self.entry = None
        self.paint()

    def _say(self, words: str, severity: SeverityLevel = "information") -> None:
        self.app.notify(words, severity=severity, markup=False)

    # -- painting ---------------------------------------------------------------------------------
    def paint(self) -> None:
        sheet = self.sheet
        self.query_one(SettingsHead).put(sheet, self.whose, self._busy, self._needle)
        if sheet is not None:
            self.table.put(rows(sheet, self.entry, self._needle))
        self._paint_about()
        self.query_one(KeyBar).put(list(self._offers()))

    @on(SettingsList.Chosen)
    def _paint_about(self) -> None:
        sheet, row = self.sheet, self.table.row
        about = self.query_one("#about", StillView)
        width = max(20, about.across)
        lines: list[tuple[tuple[str, Tone], ...]] = []
        for problem in (sheet.fault, *sheet.problems) if sheet is not None else ():
            lines += [((part, Tone.BAD),) for part in textwrap.wrap(clean(problem, 600), width)]
        if sheet is not None and row is not None:
            lines_told = told(row, sheet, self.entry)
            for number, words in enumerate(lines_told):
                tone = Tone.TEXT if number == 0 or words is lines_told[-1] else Tone.QUIET
                lines += [((part, tone),) for part in textwrap.wrap(clean(words, 800), width)]
        about.put(lines or [(("no setting has these words", Tone.QUIET),)] if sheet is not None else [])

    def _offers(self) -> Iterator[Offer]:
        for key in in_bar(place="settings"):
            yield Offer(key, key.label, self.off(key.id))

    def off(self, key_id: str) -> str | None:
        """Why a key cannot be used now."""
        sheet, row = self.sheet, self.table.row
        if key_id in ("settings.change", "settings.reset"):
            if sheet is None or sheet.root is None:
                return "the fleet file cannot be read"
            if row is None:
                return "no key is selected"
            if row.off:
                return row.off
            if key_id == "settings.reset" and not row.own:
                return "it is not written here"
        if key_id == "settings.undo" and not self.settings.done:
            return "nothing was changed from here yet"
        if key_id == "settings.reload" and (sheet is None or not sheet.up):
            return "no daemon is running"
        if key_id in ("settings.scope", "settings.next", "settings.last") and (
            sheet is None or not sheet.entries
        ):
            return "no agents are known: the fleet file is not valid"
        return None

    def _ready(self, key_id: str) -> bool:
        why = self.off(key_id) or (f"wait: {self._busy}" if self._busy else None)
        if why is not None:
            self._say(why, "warning")
        return why is None

    # -- keys: changing ---------------------------------------------------------------------------
    def action_change(self) -> None:
        row = self.table.row
        if self._ready("settings.change") and row is not None:
            _ = self.app.push_screen(ValueScreen(row, self.whose), partial(self._chosen, row))

    def on_settings_list_opened(self) -> None:
        self.action_change()

    def _chosen(self, row: Row, value: Value | None) -> None:
        if value is None:
            return
        if row.own and value == row.value:
            self._say(f"{row.setting.key} is {shown(value)} already")
            return
        words = f"{row.setting.key} of {self.whose}: {shown(row.value)} -> {shown(value)}"
        self._preview(Change(words, row.setting.path(self.entry), value), row.setting.live)

    def action_reset(self) -> None:
        row = self.table.row
        if self._ready("settings.reset") and row is not None:
            instead = (
                "the fleet's value" if self.entry is not None else f"the default {shown(row.setting.default)}"
            )
            words = f"{row.setting.key} of {self.whose}: {shown(row.value)} -> {instead}"
            self._preview(Change(words, row.setting.path(self.entry)), row.setting.live)

    def action_undo(self) -> None:
        if not self._ready("settings.undo"):
            return
        last = self.settings.done[-1]
        if self.sheet is None or self.sheet.raw != last.after:
            why = "the file was changed since by somebody else; an undo would take that away too"
            self._say(f"{why}: change it back by hand", "warning")
            return
        self._preview(Change(f"take back: {last.change.words}", whole=last.before), "as the change did")

    def _preview(self, change: Change, live: str) -> None:
        sheet = self.sheet
        if sheet is not None:
            work = partial(self.settings.preview, sheet, change)
            self._in_thread(work, partial(self._previewed, live), "looking what it would change ...")

    def _previewed(self, live: str, preview: Preview) -> None:
        self._busy = ""
        self.paint()
        up = self.sheet is not None and self.sheet.up
        effect = (
            f"The daemon reads it at once; it counts {live}."
            if up
            else "No daemon runs: it counts at its next start."
        )
        screen = PreviewScreen(preview, str(self.sheet.path) if self.sheet is not None else "", effect)
        _ = self.app.push_screen(screen, partial(self._decided, preview))

    def _decided(self, preview: Preview, yes: bool | None) -> None:
        if yes:
            self._in_thread(
                partial(self.settings.apply, preview), self._applied, "writing; the daemon reads it ..."
            )

    def _applied(self, applied: Applied) -> None:
        self._busy = ""
        severity: SeverityLevel = "information"
        if applied.in_force is False or not applied.written:
            severity = "error"
        self._say(clean(applied.words, 800), severity)
        self._look()

    def action_reload(self) -> None:
        if self._ready("settings.reload"):
            self._in_thread(self.settings.reload, self._reloaded, "the daemon reads the fleet file ...")

    def _reloaded(self, applied: Applied) -> None:
        self._busy = ""
        self._say(clean(applied.words, 800), "information" if applied.in_force else "error")
        self._look()

    # -- keys: looking ----------------------------------------------------------------------------
    def action_scope(self) -> None:
        if self.sheet is not None and self._ready("settings.scope"):
            entries, agent = self.sheet.entries, self._agent or ""
            own = agent if agent in entries.values() else entries.get(agent) or next(iter(entries.values()))
            self.entry = own if self.entry is None else None
            self.paint()

    def action_turn(self, by: int) -> None:
        if self.sheet is not None and self._ready("settings.next"):
            entries = list(dict.fromkeys(self.sheet.entries.values()))
            at = entries.index(self.entry) + by if self.entry in entries else (0 if by > 0 else -1)
            self.entry = self._agent = entries[at % len(entries)]
            self.paint()

    def action_move(self, by: int) -> None:
        self.table.step(by)

    def action_page(self, by: int) -> None:
        self.table.page(by)

    def action_edge(self, side: int) -> None:
        self.table.move_to(0 if side < 0 else 1 << 30)

    def action_filter(self) -> None:
        line = self.query_one("#filter", Input)
        line.can_focus = True
        line.add_class("-open")
        self.set_focus(line)

    @on(Input.Changed, "#filter")
    def _filtering(self, event: Input.Changed) -> None:
        self._needle = clean(event.value, 80)
        self.paint()
        self.table.to_name(self._needle)

    @on(Input.Submitted, "#filter")
    def _filtered(self) -> None:
        line = self.query_one("#filter", Input)
        line.remove_class("-open")
        line.can_focus = False
        self.table.focus()

    def action_back(self) -> None:
        line = self.query_one("#filter", Input)
        if line.has_class("-open") or self._needle:
            line.value = self._needle = ""
            self._filtered()
            self.paint()
        else:
            _ = self.dismiss()

    def action_help(self) -> None:
        reasons = {key.id: why for key in KEYS if (why := self.off(key.id)) is not None}
        _ = self.app.push_screen(HelpScreen(self.glyphs, reasons, "settings"))

    def action_press_key(self, key: str) -> None:
        self.app.simulate_key(key)
