"""The screen of a replay: the fleet as it was, at any moment and speed. Nothing can be ordered here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widgets import ContentSwitcher, Input

from ...controller.ports import Event
from ..document import moment
from ..feed import FleetSeen, Source
from ..interventions import ICONS, Dismissal, intervention
from ..keymap import bindings, in_bar
from ..looks import Glyphs
from ..sources.replay import NO_ORDERS, NO_PANE, ReplaySource
from ..tones import Tone
from ..widgets.bars import KeyBar, Offer
from ..widgets.fleet_list import FleetList
from ..widgets.replay_bar import ReplayBar, ReplayHead
from ..widgets.still import PickView, StillView
from ..widgets.tron import TronBar
from .help import HelpScreen
from .moving import Moving

JUST = 2.0
"""Seconds of a person's time: who plays and jumps back lands before the mark that went by just now."""


class ReplayScreen(Moving):
    BINDINGS: ClassVar[list[BindingType]] = list(bindings("replay"))
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012  # Textual declares it without ClassVar
        (0, "-narrow"),
        (110, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012  # as above
        (0, "-tiny"),
        (12, "-roomy"),
    ]

    def __init__(self, source: ReplaySource, glyphs: Glyphs) -> None:
        # The rooms shared with the fleet's screen ask it for looks only; what else a fleet gives it has not.
        super().__init__(cast("Source", source), glyphs)
        self.replay = source
        self.player = source.player
        self.tab = "timeline"

    def compose(self) -> ComposeResult:
        yield TronBar(self.glyphs, id="tron")
        yield ReplayBar(self.glyphs, id="replay-bar")
        with Container(id="body"):
            yield FleetList(self.glyphs, id="fleet")
            with Vertical(id="agent"):
                yield ReplayHead(self.glyphs, id="replay-head")
                with ContentSwitcher(initial="timeline", id="views"):
                    yield PickView(self.glyphs, id="timeline")
                    yield StillView(id="explain")
                    yield StillView(id="pane")
        yield Input(placeholder="filter: a name, a phase, a model; !x for all without x", id="filter")
        yield KeyBar(self.glyphs, id="keys")

    def on_mount(self) -> None:
        self.agents.focus()
        self.query_one("#filter", Input).can_focus = False
        self.query_one("#pane", StillView).put([((NO_PANE, Tone.QUIET),)])
        if self.replay.recording.note:
            self.app.notify(
                self.replay.recording.note, title="damaged", severity="warning", timeout=30, markup=False
            )
        self.feed.start()

    def on_unmount(self) -> None:
        self.feed.stop()

    # -- what comes in ----------------------------------------------------------------------------
    @on(FleetSeen)
    def _fleet_seen(self, message: FleetSeen) -> None:
        self.seen = message.snapshot
        self._forget_the_gone()
        self.paint()

    @on(ReplayBar.Sought)
    def _sought(self, message: ReplayBar.Sought) -> None:
        self._seek(self.player.begin + message.share * (self.player.end - self.player.begin))

    def _look_where_one_looks(self) -> None:
        self.feed.focus(self.agents.agent)

    # -- painting ---------------------------------------------------------------------------------
    def paint(self) -> None:
        now = self.fleet.at
        self._paint_tron(now)
        bar = self.query_one(ReplayBar)
        words = self.listing.in_words(0, self.glyphs.plain)
        bar.put(self.fleet, self.player, self.replay.recording.marks, words, self.seen.fault)
        self._paint_list(now)
        self.query_one(ReplayHead).put(self.selected, self.fleet, self.tab)
        self._paint_tab(now)
        self.query_one(KeyBar).put(
            [Offer(key, self._label(key.id, key.label)) for key in in_bar(place="replay")]
        )

    def _paint_tron(self, now: float) -> None:
        """An intervention stays as long for a person as in the live fleet, however fast the night goes by."""
        events, speed = self.seen.events, self.player.speed
        told = intervention(events, self.fleet, now, self._dismissed, self.glyphs.plain)
        if told is None and speed > 1 and self.player.playing:
            last = _last_intervention(events)
            if last is not None:
                slow = last + (now - last) / speed
                told = intervention(events, self.fleet, slow, self._dismissed, self.glyphs.plain)
                now = slow
        self.query_one(TronBar).put(told, now)

    def _label(self, key: str, label: str) -> str:
        return "pause" if key == "replay.toggle" and self.player.playing else label

    # -- keys -------------------------------------------------------------------------------------
    def action_toggle_play(self) -> None:
        self.player.toggle()
        self._look_again()

    def action_seek_by(self, seconds: int) -> None:
        self._seek(self.player.now + seconds)

    def action_seek_edge(self, side: int) -> None:
        self._seek(self.player.begin if side < 0 else self.player.end)

    def action_seek_mark(self, side: int) -> None:
        recording, now = self.replay.recording, self.player.now
        if side > 0:
            mark = recording.mark_after(now)
        else:
            mark = recording.mark_before(now - (JUST * self.player.speed if self.player.playing else 0.0))
        if mark is None:
            self.app.notify(f"no trouble {'after' if side > 0 else 'before'} this moment", markup=False)
        else:
            self._seek(mark)

    def action_faster(self, by: int) -> None:
        self.player.faster(by)
        self._look_again()

    def _seek(self, at: float) -> None:
        self.player.seek(at)
        self._look_again()

    def _look_again(self) -> None:
        self.feed.look()
        self.paint()

    def action_turn(self, by: int) -> None:
        tabs = ReplayHead.TABS
        self.action_tab(tabs[(tabs.index(self.tab) + by) % len(tabs)])

    def _remember_dismissal(self, before: Dismissal) -> None:
        """Nothing can be taken back in a replay: one goes back in it."""

    def action_refuse_order(self) -> None:
        self.app.notify(NO_ORDERS, severity="warning", markup=False)

    def action_help(self) -> None:
        _ = self.app.push_screen(HelpScreen(self.glyphs, {}, "replay"))

    def action_press_key(self, key: str) -> None:
        self.app.simulate_key(key)

    def action_quit_screen(self) -> None:
        self.app.exit(0)


def _last_intervention(events: Iterable[Event]) -> float | None:
    """When it was, epoch seconds."""
    return next((moment(event.at) for event in reversed([*events]) if event.type in ICONS), None)
