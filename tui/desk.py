"""Orders on their way: which letters are out, and what the daemon answered. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ..controller.ports import Event
from .document import Agent, Fleet
from .looks import clean

PATIENCE = 120.0
"""Seconds after which an unanswered order is told as such; a restart may take most of them."""


@dataclass(frozen=True, slots=True)
class Sent:
    letter: str
    order: str
    agent: str | None
    at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """`ok` None: no answer in time."""

    ok: bool | None
    line: str


class Desk:
    """Remembers what was sent until it is answered."""

    def __init__(self) -> None:
        self._out: dict[str, Sent] = {}

    def sent(self, one: Sent) -> None:
        self._out[one.letter] = one

    def waiting(self) -> int:
        return len(self._out)

    def answers(self, events: Iterable[Event], fleet: Fleet, now: float) -> list[Answer]:
        """Answers that came, and orders that waited too long; each is told once."""
        told: list[Answer] = []
        for event in events:
            letter = str(event.data.get("letter", ""))
            if event.type == "operator_outcome" and letter in self._out:
                one = self._out.pop(letter)
                ok = bool(event.data.get("ok"))
                said = event.data.get("message", "")
                if ok and one.order == "heal":  # its own words go agent by agent, over many lines
                    said = _looked_at(fleet)
                told.append(Answer(ok, _line(fleet.agent(one.agent), one.order, ok, said)))
        for one in [one for one in self._out.values() if now - one.at > PATIENCE]:
            del self._out[one.letter]
            told.append(Answer(None, f"{fleet.title(one.agent) or 'fleet'}: {one.order} is not answered yet"))
        return told


def _looked_at(fleet: Fleet) -> str:
    found = Counter(agent.phase.value for agent in fleet.agents)
    return "looked at all: " + ", ".join(f"{number} {phase}" for phase, number in found.most_common())


def _line(agent: Agent | None, order: str, ok: bool, message: object) -> str:
    said = clean(message, 160)
    who = agent.title if agent is not None else "fleet"
    return f"{who}: {order} {'done' if ok else 'failed'}" + (f": {said}" if said else "")
