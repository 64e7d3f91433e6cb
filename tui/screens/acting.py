"""Keys that act on agents: orders, and the way into a pane."""

from __future__ import annotations

from collections.abc import Iterator

from ..bar_lines import bar_keys
from ..many import pause_or_unpause, subtree
from ..recoveries import FLEET_WIDE, attach_why_not
from ..standing import start_why_not
from ..widgets.bars import Offer
from .attach import attach
from .outcomes import OutcomesScreen
from .parts import FleetParts

IN_BROWSER = "a browser has no terminal to hand over; `hhmrs attach AGENT` in a terminal has"


class Acting(FleetParts):
    """What can be done to agents now, and the doing of it."""

    def action_order(self, order: str) -> None:
        """For the marked agents while there are any, else for the selected one."""
        if not self.marked or order in FLEET_WIDE:
            self.ordering.ask(order, self.selected)
            return
        if order == "pause":
            order = pause_or_unpause(self.fleet, self.marked, None)
        self.ordering.ask_all(order, self.marked)

    def action_pause_all(self) -> None:
        """The selected agent and all below it."""
        agent = self.selected
        if agent is None:
            self.app.notify("no agent is selected", severity="warning", markup=False)
            return
        agents = subtree(self.fleet, agent.id)
        order = pause_or_unpause(self.fleet, agents, agent)
        whom = f"agents: {agent.title} and all below it" if len(agents) > 1 else f"agent: {agent.title}"
        self.ordering.ask_all(order, agents, whom)

    def action_answer(self) -> None:
        self.ordering.ask_answer(self.selected)

    def action_undo(self) -> None:
        before = self.ordering.undo()
        if before is not None:
            self._dismissed = before
            self.paint()

    def action_outcomes(self) -> None:
        desk = self.ordering.desk
        _ = self.app.push_screen(OutcomesScreen(tuple(desk.outcomes), self.glyphs, desk.waiting()))

    def action_attach(self, watch: int = 0) -> None:
        reason = self.off(None, "talk.attach")
        if reason is not None or self.selected is None:
            self.app.notify(f"cannot attach: {reason}", severity="warning", markup=False)
            return
        attach(self.app, self.source, self.feed, self.selected, watch=bool(watch))

    def _offers(self) -> Iterator[Offer]:
        for key, label in bar_keys(self.selected, self.listing, bool(self.marked)):
            yield Offer(key, label, self.off(key.order, key.id))

    def off(self, order: str | None, key_id: str = "") -> str | None:
        """Why a key cannot be used now."""
        agent = self.selected
        if key_id in ("talk.attach", "talk.watch"):
            return IN_BROWSER if self.app.is_web else attach_why_not(agent)
        if key_id == "app.daemon":
            return start_why_not(self.seen)
        if order is not None and self.seen.locked:
            return self.seen.locked
        if self.marked and order is not None and order not in FLEET_WIDE | {"answer"}:
            return None  # who of them can take it is told before it is sent
        return self.ordering.off(order, agent) if order is not None else None
