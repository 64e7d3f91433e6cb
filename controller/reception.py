"""The operator's desk: letters from the command line and the screen become orders for the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from ..config.fleet import AgentSpec
from ..healing import evidence as e
from ..healing.agent import AgentState, Happening, Phase
from ..healing.explain import explain
from .delivery import Deliveries
from .engine import Engine
from .ports import Clock, Letter, Terminals, TerminalsError

log = logging.getLogger(__name__)

HEALING = frozenset(
    {"nudge", "resume", "restart", "reassign", "escalate", "pause", "unpause", "stop", "start", "clear"}
)


class House(Protocol):
    """What an order may ask of the daemon as a whole."""

    def reload(self) -> str: ...
    def go_down(self, *, kill: bool) -> None: ...
    def look_now(self) -> None: ...


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
        self.obeyed: frozenset[str] = frozenset()
        """Orders that a daemon before us wrote down, and was killed before it could take them away."""

    def read(self) -> None:
        """Take every order that waits."""
        for letter in self._deliveries.orders():
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
        log.info("order %s for %s by %s", order, agent or "the fleet", by)
        if order in ("heal", "reload", "down"):
            self._note("", "operator_order", letter=letter_id, order=order, by=by)
            self._whole(order, letter_id, args)
        elif agent not in self._engine.states:
            self._answer("", letter_id, order, False, f"no agent {agent!r} in this fleet")
        elif order in HEALING:
            self._engine.emit(e.Ordered(agent, self._clock.now(), order, letter_id, by, args))
        elif order == "send":
            self._note(agent, "operator_order", letter=letter_id, order=order, by=by)
            self._send(agent, letter_id, args)
        elif order == "submit":
            self._note(agent, "operator_order", letter=letter_id, order=order, by=by)
            self._answer(agent, letter_id, order, False, "tasks cannot be submitted to this version")
        else:
            self._answer(agent, letter_id, order, False, f"unknown order {order!r}")

    def _whole(self, order: str, letter: str, args: dict[str, str]) -> None:
        if order == "heal":
            self._house.look_now()
            now = self._clock.now()
            lines = [
                line
                for agent, state in self._engine.states.items()
                if (spec := self._engine.fleet.agents.get(agent))
                for line in _one_pass(state, spec, now, verbose=args.get("verbose") == "1")
            ]
            self._answer("", letter, order, True, "\n".join(lines))
        elif order == "reload":
            problem = self._house.reload()
            self._answer("", letter, order, not problem, problem or "the fleet file is in force")
        else:
            self._answer("", letter, order, True, "going down")
            self._house.go_down(kill=args.get("kill") == "1")

    def _send(self, agent: str, letter: str, args: dict[str, str]) -> None:
        state = self._engine.states[agent]
        text = args.get("text", "")
        if state.phase is Phase.WAITING and args.get("answer") != "1":
            self._answer(
                agent, letter, "send", False, "its screen asks for an answer; use --answer to give one"
            )
            return
        if not state.alive:
            self._answer(agent, letter, "send", False, f"it is not running ({state.phase.value})")
            return
        self._engine.emit(e.Typed(agent, self._clock.now(), text))

        def type_it() -> None:
            try:
                self._terminals.paste(agent, text)
            except TerminalsError as error:
                self._answer(agent, letter, "send", False, str(error))
            except Exception as error:
                log.exception("agent %s: cannot type what was sent", agent)
                self._answer(agent, letter, "send", False, repr(error))
            else:
                self._answer(agent, letter, "send", True, f"typed {len(text)} characters")

        self._in_thread(type_it)

    def _answer(self, agent: str, letter: str, order: str, ok: bool, message: str) -> None:
        self._note(agent, "operator_outcome", letter=letter, order=order, ok=ok, message=message)

    def _note(self, agent: str, type: str, **fields: object) -> None:
        self._engine.note(Happening(type, agent, self._clock.now(), None, dict(fields)))


def _one_pass(state: AgentState, spec: AgentSpec, now: float, *, verbose: bool) -> list[str]:
    lines = explain(state, spec, now).lines()
    return lines if verbose else [f"{lines[0]}; {lines[-1]}"]
