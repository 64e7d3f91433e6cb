"""The screen: tree, agent, bars. It turns snapshots into lines and keys into orders, and decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Input

from ...healing.agent import Phase
from ..document import Agent, Fleet
from ..feed import Feed, FleetSeen, PaneSeen, Snapshot, Source
from ..interventions import Dismissal, intervention, timeline
from ..keymap import bindings, in_bar
from ..keys.fleet import KEYS
from ..looks import Glyphs, clean
from ..prose import explain_lines, timeline_lines
from ..recoveries import attach_why_not, turn
from ..viewmodel import Lines, next_in_need
from ..widgets.bars import AgentHead, Headline, KeyBar, Offer, TronBar
from ..widgets.fleet_list import FleetList
from ..widgets.lines import LineView
from ..widgets.pane import PaneView, StillView
from .attach import attach
from .help import HelpScreen
from .ordering import Ordering

TABS = AgentHead.TABS
NEEDS = {
    Phase.WAITING: "send",
    Phase.ESCALATED: "clear",
    Phase.PAUSED: "unpause",
    Phase.STOPPED: "start",
    Phase.DONE: "start",
}
"""Phase -> the order that an agent in it waits for."""


class FleetScreen(Screen[None]):
    BINDINGS: ClassVar[list[BindingType]] = list(bindings())
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012  # Textual declares it without ClassVar
        (0, "-narrow"),
        (110, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012  # as above
        (0, "-tiny"),
        (12, "-roomy"),
    ]

    def __init__(self, source: Source, glyphs: Glyphs) -> None:
        super().__init__()
        self.source = source
        self.feed = Feed(source, self.post_message)
        self.glyphs = glyphs
        self.seen = Snapshot(Fleet(name="", at=0.0, up=True))
        self.tab = "pane"
        self._folded: frozenset[str] = frozenset()
        self._needle = ""
        self._dismissed = Dismissal()
        self._lines = Lines()

    def compose(self) -> ComposeResult:
        yield TronBar(self.glyphs, id="tron")
        yield Headline(self.glyphs, id="headline")
        with Container(id="body"):
            yield FleetList(self.glyphs, id="fleet")
            with Vertical(id="agent"):
                yield AgentHead(self.glyphs, id="agent-head")
                with ContentSwitcher(initial="pane", id="views"):
                    yield PaneView(id="pane")
                    yield StillView(id="timeline")
                    yield StillView(id="explain")
        yield Input(placeholder="filter: a name, a phase, a model; !x for all without x", id="filter")
        yield KeyBar(self.glyphs, id="keys")

    def on_mount(self) -> None:
        self.agents.focus()
        self.query_one("#filter", Input).can_focus = False
        self.ordering = Ordering(self.app, self.source)
        self.feed.start()

    def on_unmount(self) -> None:
        self.feed.stop()

    # -- what is where ----------------------------------------------------------------------------
    @property
    def agents(self) -> FleetList:
        return self.query_one(FleetList)

    @property
    def fleet(self) -> Fleet:
        return self.seen.fleet

    @property
    def selected(self) -> Agent | None:
        return self.fleet.agent(self.agents.agent)

    @property
    def view(self) -> LineView:
        """The tab in sight."""
        return self.query_one(f"#{self.tab}", LineView)

    @property
    def _pane_in_sight(self) -> bool:
        return self.tab == "pane" and self.query_one("#agent").display

    # -- what comes in ----------------------------------------------------------------------------
    @on(FleetSeen)
    def _fleet_seen(self, message: FleetSeen) -> None:
        self.seen = message.snapshot
        self.ordering.take(self.seen)
        self.paint()

    @on(PaneSeen)
    def _pane_seen(self, message: PaneSeen) -> None:
        if message.agent == self.agents.agent:
            self.query_one(PaneView).take(message.agent, message.lines, message.fault)

    @on(FleetList.Chosen)
    def _chosen(self, message: FleetList.Chosen) -> None:
        self.query_one(PaneView).turn_to(message.agent)
        self._look_where_one_looks()
        self.paint()

    def _look_where_one_looks(self) -> None:
        """Tell the feed what is in sight, so that nothing else is fetched."""
        self.feed.focus(self.agents.agent)
        self.feed.watch(self.agents.agent if self._pane_in_sight else None)

    # -- painting ---------------------------------------------------------------------------------
    def paint(self) -> None:
        """Bring every part up to the last snapshot; each paints only what differs."""
        now = self.fleet.at
        self.query_one(TronBar).put(
            intervention(self.seen.events, self.fleet, now, self._dismissed, self.glyphs.plain)
        )
        self.query_one(Headline).put(self.fleet, self._needle, self.seen.fault)
        self.agents.put(self._lines.of(self.fleet, self._folded, self._needle), now)
        wide = self.has_class("-wide")
        self.query_one(AgentHead).put(self.selected, self.fleet, self.tab, wide)
        self._paint_tab(now)
        self.query_one(KeyBar).put(list(self._offers()))

    def _paint_tab(self, now: float) -> None:
        mine, width = self.seen.focus == self.agents.agent, self.view.across
        if self.tab == "timeline":
            moments = timeline(self.seen.timeline, now, self.glyphs.plain) if mine else ()
            self.query_one("#timeline", StillView).put(timeline_lines(moments, width))
        elif self.tab == "explain":
            told = self.seen.explain if mine else ()
            self.query_one("#explain", StillView).put(explain_lines(told, width))

    def _offers(self) -> Iterator[Offer]:
        agent = self.selected
        for key in in_bar(NEEDS.get(agent.phase) if agent is not None else None):
            label = key.label
            if key.order == "pause":
                label = turn("pause", self.selected)
            yield Offer(key, label, self.off(key.order, key.id))

    def off(self, order: str | None, key_id: str = "") -> str | None:
        """Why a key cannot be used now."""
        agent = self.selected
        if key_id == "talk.attach":
            return attach_why_not(agent)
        return self.ordering.off(order, agent) if order is not None else None

    # -- keys: moving -----------------------------------------------------------------------------
    def action_move(self, by: int) -> None:
        if self._in_tree:
            self.agents.move_to(self.agents.cursor + by)
        else:
            self.view.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        if self._in_tree:
            self.agents.move_to(self.agents.cursor + by * max(1, self.agents.size.height - 2))
        else:
            self.view.scroll_relative(y=by * max(1, self.view.size.height - 1), animate=False)

    def action_edge(self, side: int) -> None:
        if self._in_tree:
            self.agents.move_to(0 if side < 0 else 1 << 30)
        elif side < 0:
            self.view.scroll_home(animate=False)
        else:
            self.view.scroll_end(animate=False)

    @property
    def _in_tree(self) -> bool:
        return self.agents.has_focus or not self.query_one("#agent").display

    def action_outward(self) -> None:
        row = self.agents.row
        if not self._in_tree:
            self.view.scroll_relative(x=-4, animate=False)
        elif row is not None and row.parent and not row.folded and not self._needle:
            self._fold(row.agent)
        elif (above := self.agents.parent_of_cursor()) is not None:
            self.agents.move_to(above)

    def action_inward(self) -> None:
        row = self.agents.row
        if not self._in_tree:
            self.view.scroll_relative(x=4, animate=False)
        elif row is not None and row.folded:
            self._fold(row.agent)
        elif row is not None and row.parent:
            self.agents.move_to(self.agents.cursor + 1)

    def action_fold(self) -> None:
        row = self.agents.row
        if row is not None and row.parent:
            self._fold(row.agent)

    def _fold(self, agent: str) -> None:
        self._folded = self._folded ^ {agent}
        self.paint()

    def action_worst(self) -> None:
        agent = next_in_need(self.fleet, self.agents.agent)
        if agent is None:
            self.app.notify("nobody needs you", markup=False)
        else:
            self.reveal(agent)

    def reveal(self, agent: str) -> None:
        """Select an agent wherever it is: the filter goes, its ancestors unfold."""
        if not self.agents.choose(agent):
            self._needle = ""
            self._folded = frozenset()
            self.paint()
            self.agents.choose(agent)

    # -- keys: looking ----------------------------------------------------------------------------
    def action_tab(self, name: str) -> None:
        in_view = not self._in_tree
        self.tab = name
        self.query_one("#views", ContentSwitcher).current = name
        if in_view:
            self.view.focus()
        self._look_where_one_looks()
        self.paint()

    def action_turn(self, by: int) -> None:
        self.action_tab(TABS[(TABS.index(self.tab) + by) % len(TABS)])

    def action_panel(self) -> None:
        if self._in_tree and self.query_one("#agent").display:
            self.view.focus()
        else:
            self.remove_class("-focused")
            self.agents.focus()

    def action_enlarge(self) -> None:
        if self.selected is None:
            return
        self.toggle_class("-focused")
        (self.view if self.has_class("-focused") else self.agents).focus()
        self.call_after_refresh(self._look_where_one_looks)
        self.paint()

    def on_fleet_list_opened(self) -> None:
        self.action_enlarge()

    def action_filter(self) -> None:
        line = self.query_one("#filter", Input)
        line.can_focus = True
        line.add_class("-open")
        line.focus()

    @on(Input.Changed, "#filter")
    def _filtering(self, event: Input.Changed) -> None:
        self._needle = clean(event.value, 80)
        self.paint()

    @on(Input.Submitted, "#filter")
    def _filtered(self) -> None:
        self._close_filter()

    def _close_filter(self) -> None:
        line = self.query_one("#filter", Input)
        line.remove_class("-open")
        line.can_focus = False
        self.agents.focus()

    def action_back(self) -> None:
        line = self.query_one("#filter", Input)
        if line.has_class("-open") or self._needle:
            line.value = ""
            self._needle = ""
            self._close_filter()
            self.paint()
        elif self.has_class("-focused"):
            self.action_enlarge()
        else:
            self.agents.focus()

    def action_hush(self) -> None:
        line = self.query_one(TronBar).now
        if line is not None:
            self._dismissed = Dismissal(line.seq, self._dismissed.incidents | line.incidents)
            self.paint()

    def action_help(self) -> None:
        reasons = {key.id: why for key in KEYS if (why := self.off(key.order, key.id)) is not None}
        _ = self.app.push_screen(HelpScreen(self.glyphs, reasons))

    def action_press_key(self, key: str) -> None:
        self.app.simulate_key(key)

    def action_quit_screen(self) -> None:
        self.app.exit(0)

    # -- keys: acting -----------------------------------------------------------------------------
    def action_order(self, order: str) -> None:
        self.ordering.ask(order, self.selected)

    def action_attach(self) -> None:
        reason = attach_why_not(self.selected)
        if reason is not None or self.selected is None:
            self.app.notify(f"cannot attach: {reason}", severity="warning", markup=False)
            return
        attach(self.app, self.source, self.feed, self.selected)
