"""Keys that arrange the list of agents: view, order, folds, filter, marks."""

from __future__ import annotations

from dataclasses import replace

from textual import on
from textual.widgets import Input

from ..listing import Listing
from ..looks import clean
from ..problems import Note
from ..standing import empty_lines
from ..viewmodel import Line
from ..widgets.fleet_list import FleetList
from .looking import Looking


class Arranging(Looking):
    """Which agents are listed, how, and which of them are marked."""

    def _list_as(self, listing: Listing) -> None:
        if listing != self.listing:
            self.listing = listing
            self.paint()

    def _paint_list(self, now: float) -> None:
        lines: tuple[Line, ...] = tuple(Note(words) for words in empty_lines(self.seen))
        if self.fleet.agents:
            lines = self._lines.of(self.fleet, self.listing, self.agents.across)
        self.agents.put(lines, now, self.listing, self._marks)

    def on_fleet_list_resized(self) -> None:
        self._paint_list(self.fleet.at)

    # -- view and order ---------------------------------------------------------------------------
    def action_turn_view(self) -> None:
        self._list_as(self.listing.turned())

    def action_sort(self) -> None:
        self._list_as(self.listing.sorted_next())

    def action_sort_backwards(self) -> None:
        self._list_as(replace(self.listing, backwards=not self.listing.backwards))

    @on(FleetList.Sorted)
    def _head_clicked(self, message: FleetList.Sorted) -> None:
        self._list_as(self.listing.sorted_by(message.sort))

    # -- folds ------------------------------------------------------------------------------------
    def action_fold(self) -> None:
        row = self.agents.row
        if not self.listing.branching:
            self.app.notify("only the tree can be folded: v and o lead back to it", markup=False)
        elif self.listing.needle:
            self.app.notify("what a filter found is not folded: esc leaves it", markup=False)
        elif row is not None and row.parent:
            self._fold(row.agent)
        elif row is not None and (above := self._lines.tree.parents.get(row.agent)) is not None:
            self._fold(above)

    def _fold(self, agent: str) -> None:
        """Fold or unfold; a selection that would be folded away goes to the parent."""
        if agent not in self.listing.folded and agent in self._lines.tree.ancestors(self.agents.agent or ""):
            self.agents.choose(agent)
        self._list_as(replace(self.listing, folded=self.listing.folded ^ {agent}))

    def action_fold_all(self) -> None:
        """All parents below the top, or none if that is how it is."""
        if not self.listing.branching:
            self.app.notify("only the tree can be folded: v and o lead back to it", markup=False)
            return
        tree = self._lines.tree
        parents = frozenset(name for name in tree.children if name is not None)
        # Where only those at the top have anybody below them, they are folded.
        below_top = frozenset(name for name in parents if tree.parents[name] is not None) or parents
        away = below_top - self.listing.folded
        chosen = self.agents.agent
        for above in tree.ancestors(chosen or ""):
            chosen = above if away and above in below_top else chosen
        if chosen is not None:
            self.agents.choose(chosen)
        self._list_as(replace(self.listing, folded=below_top if away else frozenset()))

    # -- marks ------------------------------------------------------------------------------------
    def action_mark(self) -> None:
        """Mark the selected agent, and in the list go on to the next one."""
        if self.agents.agent is not None:
            self._mark(self.agents.agent)
            if self._in_tree and not self.agents.sideways(1):
                self.agents.step(1)

    def action_mark_all(self) -> None:
        """Mark all that have a line of their own; again takes those marks back."""
        listed = frozenset(self.agents.listed)
        if not listed:
            self.app.notify("no agent is listed by a line of its own", markup=False)
        self._marks = self._marks - listed if listed <= self._marks else self._marks | listed
        self.paint()

    def _mark(self, agent: str) -> None:
        self._marks ^= {agent}
        self.paint()

    @on(FleetList.Pointed)
    def _pointed(self, message: FleetList.Pointed) -> None:
        if message.what == "mark":
            self._mark(message.agent)
        else:
            self._fold(message.agent)

    def _forget_the_gone(self) -> None:
        """Marks go with their agents, and so does the wish to select one; not with a look that failed."""
        if self.seen.fault:
            return
        agents = self.fleet.by_id
        if any(name not in agents for name in self._marks):
            self._marks = frozenset(name for name in self._marks if name in agents)
        if self.agents.home not in agents:
            self.agents.home = None

    # -- filter -----------------------------------------------------------------------------------
    async def action_filter(self) -> None:
        if not self._in_tree:
            await self.action_search()
            return
        line = self.query_one("#filter", Input)
        line.can_focus = True
        line.add_class("-open")
        self.set_focus(line)  # at once: keys that came together with this one are for the filter

    @on(Input.Changed, "#filter")
    def _filtering(self, event: Input.Changed) -> None:
        self._list_as(replace(self.listing, needle=clean(event.value, 80)))

    @on(Input.Submitted, "#filter")
    def _filtered(self) -> None:
        self._close_filter()

    def _close_filter(self) -> None:
        line = self.query_one("#filter", Input)
        line.remove_class("-open")
        line.can_focus = False
        self.set_focus(self.agents)

    def _leave_filter(self) -> None:
        self.query_one("#filter", Input).value = ""
        self._close_filter()
        self._list_as(replace(self.listing, needle=""))

    def action_back(self) -> None:
        """Out of the innermost: what a view has open, the filter, the whole-screen agent, the marks."""
        if self._leave_view():
            return
        if self.query_one("#filter", Input).has_class("-open") or self.listing.needle:
            self._leave_filter()
        elif self.has_class("-focused"):
            self.enlarge()
        elif not self.agents.has_focus:
            self.set_focus(self.agents)
        elif self._marks:
            self._marks = frozenset()
            self.paint()
