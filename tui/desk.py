"""Orders on their way: which letters are out, what the daemon answered, and what came of it. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from ..controller.ports import Event
from ..healing.agent import Phase
from .document import Agent, Fleet, moment
from .looks import clean
from .many import summary

PATIENCE = 120.0
"""Seconds after which an unanswered order is told as such; a restart may take most of them."""
SEES_WITHIN = 15.0
"""Seconds within which an agent that was answered is expected to go on."""
KEPT = 200
"""Outcomes that stay readable."""


@dataclass(frozen=True, slots=True)
class Sent:
    """`group`: the letters that one key press sent together. `undo`: it takes something back."""

    letter: str
    order: str
    agent: str | None
    at: float
    group: str = ""
    undo: bool = False
    answers: bool = False
    """It answers the agent's question: what comes of that is told too."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`ok` None: no answer in time. `done`: the letters of it that were carried out."""

    ok: bool | None
    line: str
    done: tuple[Sent, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line that stays readable. `at`: epoch seconds."""

    at: float
    ok: bool | None
    line: str


class Desk:
    """Remembers what was sent until it is answered, and what was answered."""

    def __init__(self) -> None:
        self._out: dict[str, Sent] = {}
        self._groups: dict[str, list[tuple[Sent, bool | None, str]]] = {}
        self._followed: dict[str, float] = {}
        self.outcomes: deque[Outcome] = deque(maxlen=KEPT)
        """Oldest first."""

    def sent(self, one: Sent) -> None:
        self._out[one.letter] = one

    def waiting(self) -> int:
        return len(self._out)

    def tell(self, at: float, ok: bool | None, line: str) -> None:
        """Keep a line of another kind with the outcomes."""
        self.outcomes.append(Outcome(at, ok, line))

    def answers(self, events: Iterable[Event], fleet: Fleet, now: float) -> list[Answer]:
        """Answers that came, and orders that waited too long; each is told once. Of letters that were sent
        together there is one answer, when the last of them has come."""
        told = self._follow(fleet, now) if self._followed else []
        if not self._out:
            return told
        for event in events:
            letter = str(event.data.get("letter", ""))
            if event.type == "operator_outcome" and letter in self._out:
                one = self._out.pop(letter)
                ok = bool(event.data.get("ok"))
                said = event.data.get("message", "")
                if ok and one.order == "heal":  # its own words go agent by agent, over many lines
                    said = _looked_at(fleet)
                told += self._came(one, ok, said, fleet, moment(event.at) or now, now)
        for one in [one for one in self._out.values() if now - one.at > PATIENCE]:
            del self._out[one.letter]
            told += self._came(one, None, "", fleet, now, now)
        return told

    def _came(
        self, one: Sent, ok: bool | None, said: object, fleet: Fleet, at: float, now: float
    ) -> list[Answer]:
        line = _line(fleet.agent(one.agent), fleet.title(one.agent), one.order, ok, said)
        self.outcomes.append(Outcome(at, ok, line))
        if one.answers and ok and one.agent is not None:
            self._followed[one.agent] = now
        if not one.group:
            return [Answer(ok, line, (one,) if ok else ())]
        group = self._groups.setdefault(one.group, [])
        group.append((one, ok, clean(said, 120)))
        if any(other.group == one.group for other in self._out.values()):
            return []
        del self._groups[one.group]
        line = summary(one.order, [(fleet.title(s.agent), good, why) for s, good, why in group])
        marks = {good for _, good, _ in group}
        whole = True if marks == {True} else False if False in marks else None
        self.outcomes.append(Outcome(at, whole, line))
        return [Answer(whole, line, tuple(s for s, good, _ in group if good))]

    def _follow(self, fleet: Fleet, now: float) -> list[Answer]:
        """Whether those who were answered went on."""
        told: list[Answer] = []
        for name, since in list(self._followed.items()):
            agent = fleet.agent(name)
            over = now - since > SEES_WITHIN
            if agent is not None and agent.phase is Phase.WAITING and not over:
                continue
            del self._followed[name]
            if agent is None:
                continue
            waits = agent.phase is Phase.WAITING
            line = f"{agent.title} took the answer: it is {agent.phase.value}"
            if waits:
                line = f"{agent.title} still waits {SEES_WITHIN:.0f} s after your answer: look at its pane"
            self.outcomes.append(Outcome(now, None if waits else True, line))
            told.append(Answer(None if waits else True, line))
        return told


def _looked_at(fleet: Fleet) -> str:
    found = Counter(agent.phase.value for agent in fleet.agents)
    return "looked at all: " + ", ".join(f"{number} {phase}" for phase, number in found.most_common())


def _line(agent: Agent | None, name: str, order: str, ok: bool | None, message: object) -> str:
    said = clean(message, 160)
    who = agent.title if agent is not None else name or "fleet"
    if ok is None:
        return f"{who}: {order} is not answered yet"
    return f"{who}: {order} {'done' if ok else 'failed'}" + (f": {said}" if said else "")
