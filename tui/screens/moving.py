"""Keys that move: through the agents, or through the view that has the focus."""

from __future__ import annotations

from dataclasses import replace

from ..viewmodel import next_in_need
from .arranging import Arranging


class Moving(Arranging):
    """Moving of the selection, and scrolling. Its views turn to another agent before the selection is
    painted: one paint shows both."""

    def action_move(self, by: int) -> None:
        if self._in_tree:
            self.agents.step(by)
            self.turn_to_selected()
        else:
            self.view.step(by)

    def action_page(self, by: int) -> None:
        if self._in_tree:
            self.agents.page(by)
            self.turn_to_selected()
        else:
            self.view.page(by)

    def action_edge(self, side: int) -> None:
        if self._in_tree:
            self.agents.edge(side)
            self.turn_to_selected()
        else:
            self.view.edge(side)

    def action_outward(self) -> None:
        row, tree = self.agents.row, self._lines.tree
        if not self._in_tree:
            self.view.sideways(-4)
        elif self.agents.sideways(-1):
            return
        elif row is not None and row.parent and not row.folded and not self.listing.needle:
            self._fold(row.agent)
        elif row is not None and (above := tree.parents.get(row.agent)) is not None:
            self.agents.choose(above)

    def action_inward(self) -> None:
        row = self.agents.row
        if not self._in_tree:
            self.view.sideways(4)
        elif self.agents.sideways(1):
            return
        elif row is not None and row.folded:
            self._fold(row.agent)
        elif row is not None and row.parent:
            self.agents.step(1)
        elif row is not None and (below := self._lines.tree.children.get(row.agent)):
            self.agents.choose(below[0])

    def action_worst(self) -> None:
        agent = next_in_need(self.fleet, self.agents.agent)
        if agent is None:
            self.app.notify("nobody needs you", markup=False)
        elif agent == self.agents.agent:
            self.app.notify("nobody else needs you", markup=False)
        else:
            self.reveal(agent)

    def reveal(self, agent: str) -> None:
        """Select an agent wherever it is: a filter that hides it goes, its ancestors unfold."""
        if not self.agents.choose(agent):
            if self.listing.needle:
                self._leave_filter()
            above = self._lines.tree.ancestors(agent)
            self._list_as(replace(self.listing, folded=self.listing.folded.difference(above)))
            self.agents.choose(agent)
