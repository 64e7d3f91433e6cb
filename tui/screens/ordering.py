"""The way of an order: what would happen, the person's yes, the letter, the daemon's answer."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from textual.app import App
from textual.notifications import SeverityLevel

from ...config.fleet import AgentSpec
from ...healing.agent import AgentState
from ..bar_lines import turn
from ..desk import Answer, Desk, Sent
from ..document import Agent
from ..feed import Snapshot, Source
from ..interventions import Dismissal
from ..looks import clean
from ..many import plan_many
from ..previews import looks_at
from ..questions import open_letter, question
from ..recoveries import FLEET_WIDE, Choice, Plan, answer_why_not, plan, seat_why_not, why_not
from ..undoing import Deed, Undo, Undoing
from .answer import AnswerScreen
from .confirm import ConfirmScreen, Look
from .typing import TypingScreen

TYPED = frozenset({"send", "submit"})
SEVERITY: Mapping[bool | None, SeverityLevel] = {True: "information", False: "error", None: "warning"}


class Ordering:
    """Nothing is sent before the person has seen it; every answer is told once, and stays in the list."""

    def __init__(self, app: App[Any], source: Source) -> None:
        self._app = app
        self._source = source
        self.desk = Desk()
        self.undoing = Undoing()
        self.seen: Snapshot | None = None

    def take(self, seen: Snapshot) -> None:
        """A new look: tell the answers that came."""
        self.seen = seen
        answers = self.desk.answers(seen.events, seen.fleet, time.time())
        if answers:  # what was on its way has arrived; old words would only cover the agent
            self._app.clear_notifications()
        for answer in answers:
            self._app.notify(answer.line, severity=SEVERITY[answer.ok], markup=False)
            self._remember(answer)

    def _remember(self, answer: Answer) -> None:
        done = [one for one in answer.done if not one.undo]
        if done and self.seen is not None:
            agents = tuple(one.agent for one in done if one.agent is not None)
            titles = tuple(self.seen.fleet.title(name) for name in agents)
            self.undoing.did(Deed(done[0].order, agents, titles))

    def off(self, order: str, agent: Agent | None) -> str | None:
        """Why the order cannot be given now."""
        if self.seen is None:
            return "the fleet is not known yet"
        if order == "answer":
            return self.answer_off(agent)
        why = why_not(turn(order, agent), agent, self.seen.fleet, self._state(agent), self._spec(agent))
        return why or self._unknown(order, agent)

    def answer_off(self, agent: Agent | None) -> str | None:
        """Why there is nothing to answer."""
        if self.seen is None:
            return "the fleet is not known yet"
        return self.seen.locked or answer_why_not(agent, self.seen.fleet, self._state(agent))

    def _unknown(self, order: str, agent: Agent | None) -> str | None:
        """A daemon answers for those whom it took up; one that was just added to the file is none yet."""
        known = self.seen is None or agent is None or order in FLEET_WIDE or agent.id in self.seen.states
        return None if known else "the daemon has not taken it up yet; try again in a moment"

    def _state(self, agent: Agent | None) -> AgentState | None:
        return self.seen.states.get(agent.id) if self.seen is not None and agent is not None else None

    def _spec(self, agent: Agent | None) -> AgentSpec | None:
        spec = self.seen.spec if self.seen is not None else None
        return spec.agents.get(agent.id) if spec is not None and agent is not None else None

    # -- asking -----------------------------------------------------------------------------------
    def ask(self, order: str, agent: Agent | None) -> None:
        """Open the confirmation; for orders with a text, the line to type it in."""
        if self.seen is not None:
            self._open(order, partial(self._plan, turn(order, agent), agent), agent)

    def ask_all(self, order: str, agents: Sequence[str], whom: str = "marked agents") -> None:
        """The same for several agents at once: one confirmation, one summary of what came of it."""
        if self.seen is not None:
            self._open(order, partial(self._plan_many, order, tuple(agents), whom), None)

    def _open(self, order: str, make: Callable[[str], Plan], agent: Agent | None) -> None:
        first = make("")
        done = partial(self._decided, first)
        if order in TYPED and first.reason is None:
            _ = self._app.push_screen(TypingScreen(make), done)
            return
        check = partial(self._seat_off, first.agents or ((agent.id,) if agent else ()))
        screen = ConfirmScreen(first, self._look(first, agent), check if first.order == "reassign" else None)
        _ = self._app.push_screen(screen, done)

    def _look(self, asked: Plan, agent: Agent | None) -> Look | None:
        state, spec = self._state(agent), self._spec(agent)
        if asked.agents or state is None or spec is None or not looks_at(asked.order, state):
            return None
        return lambda args: self._source.hands.preview(asked.order, state, spec, args)

    def _seat_off(self, agents: Sequence[str], to: str) -> str | None:
        """Why one of them cannot be on that seat."""
        for name in agents:
            agent = self.seen.fleet.agent(name) if self.seen is not None else None
            if why := seat_why_not(to, self._state(agent), self._spec(agent)):
                return why if len(agents) == 1 else f"{name}: {why}"
        return None

    def _plan(self, order: str, agent: Agent | None, text: str) -> Plan:
        assert self.seen is not None  # asked only after the first look
        made = plan(order, agent, self.seen.fleet, self._state(agent), self.seen.spec, text)
        return replace(made, reason=self.seen.locked or made.reason or self._unknown(order, agent))

    def _plan_many(self, order: str, agents: tuple[str, ...], whom: str, text: str) -> Plan:
        assert self.seen is not None  # as above
        seen = self.seen
        made = plan_many(order, agents, seen.fleet, seen.states, seen.spec, text, whom)
        return replace(made, reason=seen.locked or made.reason)

    # -- answering --------------------------------------------------------------------------------
    def ask_answer(self, agent: Agent | None) -> None:
        """Show what the agent asks, and the ways to answer it."""
        why = self.answer_off(agent)
        if why is not None or agent is None:
            self._app.notify(f"nothing to answer: {why}", severity="warning", markup=False)
            return

        def now() -> Any:
            seen = self.seen
            known = [*seen.events, *seen.timeline] if seen is not None else []
            letter = open_letter(sorted(known, key=lambda event: event.seq), agent.id)
            return question(self._source.pane(agent.id), letter)

        send = partial(self._decided, Plan("send", agent.id, "", ()), answers=True)
        _ = self._app.push_screen(AnswerScreen(agent.title, now), send)

    # -- undoing ----------------------------------------------------------------------------------
    def dismissed(self, before: Dismissal) -> None:
        """The bar was waved away; `before`: what had been until then."""
        self.undoing.did(Deed("dismiss", titles=("the bar",), dismissal=before))

    def undo(self) -> Dismissal | None:
        """Take back the last thing that was done here, and say what that is; the bar's old dismissal if it is
        that."""
        back = self.undoing.take(self.seen.events if self.seen is not None else ())
        if back.dismissal is not None:
            self._app.notify(back.says, markup=False)
        elif not back.order:
            self._app.notify(back.says, severity="warning", timeout=15, markup=False)
            self.desk.tell(time.time(), None, back.says)
        else:
            self._undo(back)
        return back.dismissal

    def _undo(self, back: Undo) -> None:
        made = self._plan_many(back.order, back.agents, "agents", "")
        if len(back.agents) == 1 and self.seen is not None:
            made = self._plan(back.order, self.seen.fleet.agent(back.agents[0]), "")
        asked = replace(made, heading=f"{back.says[:1].upper()}{back.says[1:]}", grave=back.grave)
        if back.grave or asked.reason is not None:
            _ = self._app.push_screen(ConfirmScreen(asked), partial(self._decided, asked, undo=True))
        else:
            self._decided(asked, asked.choices[0], undo=True, says=back.says)

    # -- sending ----------------------------------------------------------------------------------
    def _decided(
        self, asked: Plan, choice: Choice | None, *, undo: bool = False, answers: bool = False, says: str = ""
    ) -> None:
        if choice is None:
            return
        agents: tuple[str | None, ...] = asked.agents or (asked.agent,)
        group = secrets.token_hex(8) if asked.agents else ""
        model = Sent("", asked.order, None, time.time(), group, undo, answers)
        send = partial(self._send, model, agents, choice, says)
        self._app.run_worker(send, thread=True, group="orders")

    def _send(self, model: Sent, agents: Sequence[str | None], choice: Choice, says: str) -> None:
        """Runs in a thread: writing the letters waits for the disk."""
        out: list[Sent] = []
        faults: list[str] = []
        for agent in agents:
            try:
                letter = self._source.order(model.order, agent, choice.args)
                out.append(replace(model, letter=letter, agent=agent))
            except Exception as error:  # noqa: BLE001  # a full disk is told, and does not end the screen
                faults.append(clean(f"{agent or 'the fleet'}: {model.order} could not be sent: {error}", 200))
        self._app.call_from_thread(self._sent, out, faults, says)

    def _sent(self, out: Sequence[Sent], faults: Sequence[str], says: str) -> None:
        for one in out:
            self.desk.sent(one)
        for fault in faults:
            self.desk.tell(time.time(), False, fault)
        if faults:
            self._app.notify("; ".join(faults)[:300], severity="error", markup=False)
        if out:
            who = f"{len(out)} agents"
            if len(out) == 1:
                who = (self.seen.fleet.title(out[0].agent) if self.seen is not None else "") or "the fleet"
            told = says or f"{out[0].order} for {who} is on its way"
            self._app.notify(told, timeout=3, markup=False)
