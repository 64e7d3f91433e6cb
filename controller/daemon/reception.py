"""The operator's desk: letters from the command line and the screen become orders for the engine."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ...config.fleet import AgentSpec
from ...config.paths import StateDir
from ...healing import evidence as e
from ...healing.agent import AgentState, Happening, Phase
from ...healing.explain import explain
from ...healing.seats import seated, target
from ...healing.transitions import agent_of
from ..letters.delivery import Deliveries
from ..letters.letterforms import RECOVERIES
from ..ports import Clock, Letter, Terminals, TerminalsError
from ..recovery.starting import unstartable
from ..reports.pass_report import write_report
from .engine import Engine

log = logging.getLogger(__name__)

PASS_TELLS = frozenset({"agent_phase", "agent_quick_look", "agent_observed", "agent_attempt_failed"})
"""Beside what recovers (hhmrs_*), what a pass tells of."""


class House(Protocol):
    """What an order may ask of the daemon as a whole."""

    state_dir: StateDir

    def task(self, task: str) -> dict[str, Any] | None: ...
    def reload(self, then: Callable[[str], None]) -> None: ...
    def go_down(self, *, kill: bool) -> None: ...


class Reception:
    """Reads `inbox/_operator`. `read` is called on the loop; typing happens in a thread."""

    def __init__(
        self,
        engine: Engine,
        deliveries: Deliveries,
        terminals: Terminals,
        clock: Clock,
        house: House,
        in_thread: Callable[[Callable[[], None]], None],
    ) -> None:
        self._engine = engine
        self._deliveries = deliveries
        self._terminals = terminals
        self._clock = clock
        self._house = house
        self._in_thread = in_thread
        self._waiting: deque[Letter] = deque()
        self._reloading = False
        self.obeyed: frozenset[str] = frozenset()
        """Orders that a daemon before us wrote down, and was killed before it could take them away."""

    def read(self) -> None:
        """Take every order that waits. One behind a reload may be for an agent of the new fleet file: it is
        taken when that is in force."""
        self._waiting += self._deliveries.orders()
        while self._waiting and not self._reloading:
            letter = self._waiting.popleft()
            # Written down and taken away first: an order that brings the daemon down is not read again.
            if letter.fields["id"] not in self.obeyed:
                self._take(letter)
            self._engine.deliver([], [letter])

    def _take(self, letter: Letter) -> None:
        order = str(letter.fields["order"])
        agent = str(letter.fields.get("agent") or "")
        by = str(letter.fields.get("by") or "somebody")
        args = {str(k): str(v) for k, v in (letter.fields.get("args") or {}).items()}
        letter_id = str(letter.fields["id"])
        if order == "decide" and not agent:
            agent = agent_of(args.get("incident", ""))
        log.info("order %s for %s by %s", order, agent or "the fleet", by)
        if order in ("heal", "reload", "down"):
            self._note("", "operator_order", letter=letter_id, order=order, by=by)
            self._whole(order, letter_id, args)
        elif order == "retry":
            self._retry(letter_id, by, args.get("task", ""))
        elif agent not in self._engine.states:
            self._answer("", letter_id, order, False, f"no agent {agent!r} in this fleet")
        elif order == "reassign" and (why := self._unstartable(agent, args.get("to"))):
            self._note(agent, "operator_order", letter=letter_id, order=order, by=by)
            self._answer(agent, letter_id, order, False, why)
        elif order in RECOVERIES:
            self._engine.emit(e.Ordered(agent, self._clock.now(), order, letter_id, by, args))
        elif order == "send":
            self._note(agent, "operator_order", letter=letter_id, order=order, by=by)
            self._send(agent, letter_id, args)
        elif order == "submit":
            self._note(agent, "operator_order", letter=letter_id, order=order, by=by)
            self._answer(agent, letter_id, order, False, "tasks cannot be submitted to this version")
        else:
            self._answer(agent, letter_id, order, False, f"unknown order {order!r}")

    def _unstartable(self, agent: str, to: str | None) -> str:
        """Why nothing could be started where a reassign leads: known before the old attempt is ended. Empty
        when it could be, or when it leads nowhere, which the brain answers."""
        spec = self._engine.fleet.agents.get(agent)
        place = target(self._engine.states[agent], spec, to) if spec is not None else ""
        if spec is None or isinstance(place, str):
            return ""
        return unstartable(seated(spec, place.number, place.hand), spec.workspace)

    def _retry(self, letter: str, by: str, task: str) -> None:
        """A failed task once more. Which are, the book knows."""
        known = self._house.task(task)
        agent = str(known["agent"]) if known else ""
        if known is None or known["state"] != "failed" or agent not in self._engine.states:
            why = f"no task {task!r} in this fleet"
            if known is not None:
                why = f"task {task} is not failed but {known['state']}"
                if known["state"] == "failed":
                    why = f"{agent}, whose task it was, is no longer in the fleet file"
            self._note(agent, "operator_order", letter=letter, order="retry", by=by)
            self._answer(agent, letter, "retry", False, why)
            return
        self._engine.emit(e.Ordered(agent, self._clock.now(), "retry", letter, by, {"task": task}))

    def _whole(self, order: str, letter: str, args: dict[str, str]) -> None:
        if order == "heal":
            self._pass(letter, verbose=args.get("verbose") == "1")
        elif order == "reload":
            self._reloading = True
            self._house.reload(lambda problem: self._reloaded(letter, problem))
        else:
            self._answer("", letter, order, True, "going down")
            self._house.go_down(kill=args.get("kill") == "1")

    def _reloaded(self, letter: str, problem: str) -> None:
        self._reloading = False
        self._answer("", letter, "reload", not problem, problem or "the fleet file is in force")
        self.read()

    def _pass(self, letter: str, *, verbose: bool) -> None:
        """Judge every agent now and do what is due; the answer tells of each, and what was done."""

        def told(happened: Mapping[str, Sequence[Happening]]) -> None:
            now = self._clock.now()
            lines = [
                line
                for agent, state in self._engine.states.items()
                if (spec := self._engine.fleet.agents.get(agent))
                for line in _one_pass(state, spec, now, happened.get(agent, ()), verbose=verbose)
            ]
            self._in_thread(lambda: self._report(letter, lines))

        self._engine.look_at_all(told)

    def _report(self, letter: str, lines: Sequence[str]) -> None:
        try:
            write_report(self._house.state_dir.last_pass, letter, lines)
        except OSError as error:
            log.error("what the pass found is told in the event alone, which may cut it: %s", error)
        self._answer("", letter, "heal", True, "\n".join(lines))

    def _send(self, agent: str, letter: str, args: dict[str, str]) -> None:
        state = self._engine.states[agent]
        text = args.get("text", "")
        asks = state.phase is Phase.WAITING or (state.alive and state.screen == "waiting")
        if asks and args.get("answer") != "1":
            self._answer(
                agent, letter, "send", False, "its screen asks for an answer; use --answer to give one"
            )
            return
        if not state.alive:
            self._answer(agent, letter, "send", False, f"it is not running ({state.phase.value})")
            return
        self._engine.emit(e.Typed(agent, self._clock.now(), text))

        pressed = args.get("key") == "1"

        def type_it() -> None:
            try:
                if pressed:
                    self._terminals.keys(agent, [text])
                else:
                    self._terminals.paste(agent, text)
            except TerminalsError as error:
                self._answer(agent, letter, "send", False, str(error))
            except Exception as error:
                log.exception("agent %s: cannot type what was sent", agent)
                self._answer(agent, letter, "send", False, repr(error))
            else:
                did = f"pressed {text}" if pressed else f"typed {len(text)} characters"
                self._answer(agent, letter, "send", True, did)

        self._in_thread(type_it)

    def _answer(self, agent: str, letter: str, order: str, ok: bool, message: str) -> None:
        self._note(agent, "operator_outcome", letter=letter, order=order, ok=ok, message=message)

    def _note(self, agent: str, type: str, **fields: object) -> None:
        self._engine.note(Happening(type, agent, self._clock.now(), None, dict(fields)))


def _one_pass(
    state: AgentState, spec: AgentSpec, now: float, happened: Sequence[Happening], *, verbose: bool
) -> list[str]:
    explained = explain(state, spec, now)
    done = [_in_short(one) for one in happened if one.type in PASS_TELLS or one.type.startswith("hhmrs_")]
    if verbose:
        lines = explained.lines()
        return [*lines[:-1], *(f"  done now: {words}" for words in done), lines[-1]]
    return ["; ".join((explained.head(), *(f"done now: {words}" for words in done), explained.tail()))]


def _in_short(happening: Happening) -> str:
    fields = happening.fields
    if happening.type == "agent_phase":
        return f"{fields.get('from')} -> {fields.get('to')}"
    if happening.type == "agent_quick_look":
        steps = fields.get("steps")
        told = ", ".join(map(str, steps)) if isinstance(steps, list) else ""
        return f"quick look: {told}" if told else "quick look recorded"
    why = fields.get("reason") or fields.get("why") or ""
    return happening.type.removeprefix("hhmrs_") + (f" ({why})" if why else "")
