"""What the rooms of the fleet's screen share: its state, and where its parts are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from textual import on
from textual.screen import Screen

from ..alarms import Alarms
from ..document import Agent, Fleet
from ..feed import Feed, Snapshot, Source
from ..interventions import Dismissal
from ..listing import Listing
from ..looks import Glyphs
from ..tree import Tree
from ..viewmodel import Lines
from ..widgets.fleet_list import FleetList
from ..widgets.reading import ReadView
from .ordering import Ordering
from .toasts import put_away


class FleetParts(Screen[None]):
    """Each room (moving, looking, arranging, acting) adds the actions of its keys to this; `FleetScreen` is
    made of all of them. A room calls `paint` after it changed what is to be seen."""

    ordering: Ordering

    def __init__(self, source: Source, glyphs: Glyphs) -> None:
        super().__init__()
        self.source = source
        self.feed = Feed(source, self.post_message)
        self.glyphs = glyphs
        self.seen = Snapshot(Fleet(name="", at=0.0, up=True))
        self.tab = "pane"
        self._viewed: str | None = None
        """Whose views are shown."""
        self.listing = Listing()
        self._marks: frozenset[str] = frozenset()
        self._dismissed = Dismissal()
        self._lines = Lines()
        self._in_order: tuple[frozenset[str], Tree, tuple[str, ...]] = (self._marks, self._lines.tree, ())
        self._alarms = Alarms()
        self.when_seen: Callable[[], None] | None = None
        """Called once, when the first look at the fleet has been painted."""

    def on_screen_suspend(self) -> None:
        put_away(self)

    def paint(self) -> None:
        """Bring every part up to the last snapshot; each paints only what differs."""
        raise NotImplementedError

    @on(FleetList.Chosen)
    def turn_to_selected(self) -> None:
        """Show the views of the selected agent, where they are still those of another."""
        agent = self.agents.agent
        if agent == self._viewed:
            return
        self._viewed = agent
        self._turn_views(agent)
        self._look_where_one_looks()
        self.paint()

    def _turn_views(self, agent: str | None) -> None:
        """Another agent is selected: what shows the one before must not do so any longer."""

    # -- what is where ----------------------------------------------------------------------------
    @cached_property
    def agents(self) -> FleetList:
        return self.query_one(FleetList)

    @property
    def fleet(self) -> Fleet:
        return self.seen.fleet

    @property
    def selected(self) -> Agent | None:
        return self.fleet.agent(self.agents.agent)

    @property
    def marked(self) -> tuple[str, ...]:
        """The marked agents in the order of the tree; orders are for them while there are any."""
        marks, tree = self._marks, self._lines.tree
        # Asked for by every key of the bar.
        if self._in_order[0] is not marks or self._in_order[1] is not tree:
            ordered = tuple(name for name in tree.order if name in marks) if marks else ()
            self._in_order = (marks, tree, ordered)
        return self._in_order[2]

    @property
    def view(self) -> ReadView:
        """The tab in sight."""
        return self.query_one(f"#{self.tab}", ReadView)

    @property
    def _in_tree(self) -> bool:
        return self.agents.has_focus or not self.query_one("#agent").display

    @property
    def _pane_in_sight(self) -> bool:
        return self.tab == "pane" and self.query_one("#agent").display

    def _look_where_one_looks(self) -> None:
        """Tell the feed what is in sight, so that nothing else is fetched."""
        self.feed.focus(self.agents.agent)
        self.feed.watch(self.agents.agent if self._pane_in_sight else None)
