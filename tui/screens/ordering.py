"""The way of an order: what would happen, the person's yes, the letter, the daemon's answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from textual.app import App
from textual.notifications import SeverityLevel

from ..desk import Desk, Sent
from ..document import Agent
from ..feed import Snapshot, Source
from ..looks import clean
from ..recoveries import Choice, Plan, plan, turn, why_not
from .confirm import ConfirmScreen
from .typing import TypingScreen

TYPED = frozenset({"send", "submit"})
SEVERITY: Mapping[bool | None, SeverityLevel] = {True: "information", False: "error", None: "warning"}


class Ordering:
    """Nothing is sent before the person has seen it; every answer is told once."""

    def __init__(self, app: App[Any], source: Source) -> None:
        self._app = app
        self._source = source
        self._desk = Desk()
        self.seen: Snapshot | None = None

    def take(self, seen: Snapshot) -> None:
        """A new look: tell the answers that came."""
        self.seen = seen
        answers = self._desk.answers(seen.events, seen.fleet, time.time())
        if answers:  # what was on its way has arrived; old words would only cover the agent
            self._app.clear_notifications()
        for answer in answers:
            self._app.notify(answer.line, severity=SEVERITY[answer.ok], markup=False)

    def off(self, order: str, agent: Agent | None) -> str | None:
        """Why the order cannot be given now."""
        seen = self.seen
        if seen is None:
            return "the fleet is not known yet"
        state = seen.states.get(agent.id) if agent is not None else None
        spec = seen.spec.agents.get(agent.id) if seen.spec is not None and agent is not None else None
        return why_not(turn(order, agent), agent, seen.fleet, state, spec)

    def ask(self, order: str, agent: Agent | None) -> None:
        """Open the confirmation; for orders with a text, the line to type it in."""
        if self.seen is None:
            return
        make = partial(self._plan, turn(order, agent), agent)
        first = make("")
        done = partial(self._decided, first)
        if order in TYPED and first.reason is None:
            _ = self._app.push_screen(TypingScreen(make), done)
        else:
            _ = self._app.push_screen(ConfirmScreen(first), done)

    def _plan(self, order: str, agent: Agent | None, text: str) -> Plan:
        assert self.seen is not None  # asked only after the first look
        state = self.seen.states.get(agent.id) if agent is not None else None
        return plan(order, agent, self.seen.fleet, state, self.seen.spec, text)

    def _decided(self, asked: Plan, choice: Choice | None) -> None:
        if choice is not None:
            send = partial(self._send, asked.order, asked.agent, choice)
            self._app.run_worker(send, thread=True, group="orders")

    def _send(self, order: str, agent: str | None, choice: Choice) -> None:
        """Runs in a thread: writing the letter waits for the disk."""
        try:
            letter = self._source.order(order, agent, choice.args)
        except Exception as error:  # noqa: BLE001  # a full disk is told, and does not end the screen
            told = clean(f"{order} could not be sent: {error}", 200)
            self._app.notify(told, severity="error", markup=False)
            return
        self._app.call_from_thread(self._sent, Sent(letter, order, agent, time.time()))

    def _sent(self, one: Sent) -> None:
        self._desk.sent(one)
        who = (self.seen.fleet.title(one.agent) if self.seen is not None else "") or "the fleet"
        self._app.notify(f"{one.order} for {who} is on its way", timeout=3, markup=False)
