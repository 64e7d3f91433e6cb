"""Keys that turn to another view of the selected agent, and what the views show."""

from __future__ import annotations

from textual import on
from textual.widgets import ContentSwitcher

from ..episodes import timeline_page
from ..feed import Source
from ..interventions import Dismissal
from ..looks import Glyphs
from ..prose import explain_lines
from ..widgets.agent_head import AgentHead
from ..widgets.still import PickView, StillView
from ..widgets.tron import TronBar
from .searching import Searching

TABS = AgentHead.TABS


class Looking(Searching):
    """What is shown of the selected agent, and where the focus is."""

    def __init__(self, source: Source, glyphs: Glyphs) -> None:
        super().__init__(source, glyphs)
        self._flipped: frozenset[str] = frozenset()
        """Incidents that the person folded or unfolded."""
        self._timeline: tuple[object, ...] = ()
        """What the timeline in sight was made of."""

    def action_tab(self, name: str) -> None:
        in_view = not self._in_tree
        self.tab = name
        self.query_one("#views", ContentSwitcher).current = name
        if in_view:
            self.set_focus(self.view, scroll_visible=False)
        self._look_where_one_looks()
        self._paint_found()
        self.paint()

    def action_turn(self, by: int) -> None:
        self.action_tab(TABS[(TABS.index(self.tab) + by) % len(TABS)])

    def action_panel(self) -> None:
        if self._in_tree and self.query_one("#agent").display:
            self.set_focus(self.view, scroll_visible=False)
        else:
            self.remove_class("-focused")
            self.set_focus(self.agents)

    def action_enlarge(self) -> None:
        if not self._chose():
            self.enlarge()

    def enlarge(self) -> None:
        """Give the selected agent the whole screen, or take it back."""
        if self.selected is None:
            return
        self.toggle_class("-focused")
        self.set_focus(self.view if self.has_class("-focused") else self.agents, scroll_visible=False)
        self.call_after_refresh(self._look_where_one_looks)
        self.paint()

    def _chose(self) -> bool:
        """Enter chose a line of the view that has the focus."""
        view = self.view
        return view.has_focus and isinstance(view, PickView) and view.choose()

    @on(PickView.Picked)
    def _picked(self, message: PickView.Picked) -> None:
        if self.tab == "timeline":
            self._flipped ^= {str(message.what)}
            self._paint_tab(self.fleet.at)
        else:
            self._open_work(message.what)

    def _leave_view(self) -> bool:
        """Out of what is open in the view that has the focus: a search, then the second face of a tab."""
        return not self._in_tree and (self._leave_search() or self._leave_face())

    def on_fleet_list_opened(self) -> None:
        self.enlarge()

    def action_hush(self) -> None:
        line = self.query_one(TronBar).now
        if line is None:
            self.app.notify("the orange bar shows nothing that could be dismissed", markup=False)
            return
        self._remember_dismissal(self._dismissed)
        self._dismissed = Dismissal(line.seq, self._dismissed.incidents | line.incidents)
        self.paint()

    def _remember_dismissal(self, before: Dismissal) -> None:
        """So that it can be taken back."""
        self.ordering.dismissed(before)

    # -- painting ---------------------------------------------------------------------------------
    def _paint_tab(self, now: float) -> None:
        if self.tab == "timeline":
            self._paint_timeline(now)
        elif self.tab == "explain":
            view = self.query_one("#explain", StillView)
            told = self.seen.explain if self.seen.focus == self.agents.agent else ()
            view.put(explain_lines(told, view.room))
        else:
            self._paint_work(now)
        if self.view.needle:
            self._paint_found()

    def _paint_timeline(self, now: float) -> None:
        """Made anew once a second, or when something happened."""
        view, agent = self.query_one("#timeline", PickView), self.agents.agent
        events = self.seen.timeline if self.seen.focus == agent else ()
        newest = (len(events), events[-1].seq) if events else ()
        made_of = (agent, *newest, int(now), view.room, self._flipped)
        if made_of != self._timeline:
            self._timeline = made_of
            page = timeline_page(events, now, view.room, self.glyphs.plain, self._flipped)
            view.put_page(page, agent)
