"""The screen: tree, agent, bars. It turns snapshots into lines and keys into orders, and decides nothing."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widgets import ContentSwitcher, Input

from ..feed import FleetSeen, PaneSeen, Source
from ..interventions import intervention
from ..keymap import bindings
from ..listing import Listing
from ..looks import Glyphs
from ..remembered import Left, Remembering
from ..ringing import Calling
from ..widgets.agent_head import AgentHead
from ..widgets.banner import Banner
from ..widgets.bars import Headline, KeyBar
from ..widgets.fleet_list import FleetList
from ..widgets.painted import keep_painted
from ..widgets.pane import PaneView
from ..widgets.still import PickView, StillView
from ..widgets.tron import TronBar
from .moving import Moving
from .opening import Opening
from .ordering import Ordering
from .standing import Standing

FILTER = "filters agents: words !without phase: under: (view: tab /)"


class FleetScreen(Moving, Opening, Standing):
    """The actions stand in its rooms: `moving`, `arranging`, `looking`, `acting`, `opening`, `standing`."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings())
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012  # Textual declares it without ClassVar
        (0, "-narrow"),
        (110, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012  # as above
        (0, "-tiny"),
        (12, "-roomy"),
    ]

    def __init__(self, source: Source, glyphs: Glyphs, remembering: Remembering) -> None:
        super().__init__(source, glyphs)
        self._remembering = remembering
        self.listing = remembering.found.listing

    def compose(self) -> ComposeResult:
        yield TronBar(self.glyphs, id="tron")
        yield Headline(self.glyphs, id="headline")
        yield Banner(self.glyphs, id="banner")
        with Container(id="body"):
            yield FleetList(self.glyphs, id="fleet")
            with Vertical(id="agent"):
                yield AgentHead(self.glyphs, id="agent-head")
                with ContentSwitcher(initial="pane", id="views"):
                    yield PaneView(id="pane")
                    yield PickView(self.glyphs, id="timeline")
                    yield StillView(id="explain")
                    yield PickView(self.glyphs, id="work")
                    yield PickView(self.glyphs, id="checkpoints")
                    yield StillView(id="tasks")
                    yield StillView(id="usage")
        yield Input(placeholder=FILTER, id="filter")
        yield KeyBar(self.glyphs, id="keys")

    def on_mount(self) -> None:
        self.agents.focus()
        self.agents.home = self._remembering.found.agent
        self.query_one("#filter", Input).can_focus = False
        self.ordering = Ordering(self.app, self.source)
        self.begin_waiting()
        keep_painted(self)
        self.feed.start()

    def on_unmount(self) -> None:
        self.feed.stop()
        if self.fleet.agents:
            self._remembering.leave(self._left())

    def _left(self) -> Left:
        """How one finds the screen again; folds and filter begin anew."""
        listing = self.listing
        plain = Listing(listing.view, listing.sort, listing.backwards)
        return Left(plain, self.agents.home or self.agents.agent)

    # -- what comes in ----------------------------------------------------------------------------
    @on(FleetSeen)
    def _fleet_seen(self, message: FleetSeen) -> None:
        self.seen = message.snapshot
        self.samples.take(self.seen.fleet)
        self._forget_the_gone()
        self.ordering.take(self.seen)
        if call := self._alarms.take(self.seen):
            self.post_message(Calling(call))
        self.paint()
        if self.fleet.agents:
            self._remembering.look(self._left())
        if (told := self.when_seen) is not None:
            self.when_seen = None
            self.call_after_refresh(self.call_after_refresh, told)  # the first one may be the layout's

    @on(PaneSeen)
    def _pane_seen(self, message: PaneSeen) -> None:
        if message.agent == self.agents.agent:
            self.query_one(PaneView).take(message.agent, message.lines, message.fault)

    def _turn_views(self, agent: str | None) -> None:
        self.query_one(PaneView).turn_to(agent)

    # -- painting ---------------------------------------------------------------------------------
    def paint(self) -> None:
        """Bring every part up to the last snapshot; each paints only what differs."""
        now = self.fleet.at
        self.query_one(TronBar).put(
            intervention(self.seen.events, self.fleet, now, self._dismissed, self.glyphs.plain), now
        )
        words = self.listing.in_words(len(self._marks), self.glyphs.plain)
        self.query_one(Headline).put(self.fleet, words)
        self._put_banner()
        self._paint_list(now)
        wide = self.has_class("-wide")
        self.query_one(AgentHead).put(self.selected, self.fleet, self.tab, wide)
        self._paint_tab(now)
        self.query_one(KeyBar).put(list(self._offers()))
