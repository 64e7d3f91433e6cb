"""What one agent's trouble means for others: guards see every change and may tell other agents of it.

A state says nothing of its neighbours, so that one piece of evidence touches one agent. What lies between
agents (a shared cause, a bound on how many recover at once, children and parents) a guard keeps in mind; what
it wants of an agent travels as evidence of ours, through evolve like all else. Pure arithmetic: no clock but
what it is given, the same changes in the same order give the same words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..config.fleet import AgentSpec, Policy
from .actions import Action
from .agent import AgentState, Happening
from .evidence import Evidence


@dataclass(slots=True)
class Told:
    """`evidence` is for its agents, in this turn; `happenings` are written down as they are; `actions` are
    of the fleet, carried out when that is written."""

    evidence: list[Evidence] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)

    def add(self, more: Told) -> None:
        self.evidence += more.evidence
        self.happenings += more.happenings
        self.actions += more.actions


NOTHING = Told()
"""The usual answer: never added to, so that thousands of changes a second cost no lists."""


class Guard(Protocol):
    """Times are engine time. It keeps no agent's state, only what it needs of it."""

    def fit(self, agents: Mapping[str, AgentSpec], policy: Policy) -> None:
        """Go by these agents and the fleet's own policy from now on; who is not among them is forgotten."""

    def changed(
        self, before: AgentState | None, after: AgentState, happened: Sequence[Happening], now: float
    ) -> Told:
        """An agent's state was replaced. `before` None: it is taken on, by a daemon that begins."""
        ...

    def due(self) -> float | None:
        """When `tick` may have something to say; None: not before the next change."""
        ...

    def tick(self, now: float) -> Told:
        """What the time alone brings about."""
        ...


class Guards:
    """All guards of a fleet as one."""

    def __init__(self, guards: Iterable[Guard], agents: Mapping[str, AgentSpec], policy: Policy) -> None:
        self._guards = tuple(guards)
        self.fit(agents, policy)

    def fit(self, agents: Mapping[str, AgentSpec], policy: Policy) -> None:
        for guard in self._guards:
            guard.fit(agents, policy)

    def changed(
        self, before: AgentState | None, after: AgentState, happened: Sequence[Happening], now: float
    ) -> Told:
        told = NOTHING
        for guard in self._guards:
            more = guard.changed(before, after, happened, now)
            if told is NOTHING:
                told = more
            elif more is not NOTHING:
                told.add(more)
        return told

    def due(self) -> float | None:
        return min((at for guard in self._guards if (at := guard.due()) is not None), default=None)

    def tick(self, now: float) -> Told:
        told = Told()
        for guard in self._guards:
            if (at := guard.due()) is not None and at <= now:
                told.add(guard.tick(now))
        return told


def vital(s: AgentState) -> tuple[object, ...]:
    """What must be in the ledger before anything else is done, were it only to change back again; and what
    guards hear of, beside all that happened."""
    return s.recovery, s.errand, s.nudging, s.attempt, s.phase, s.alive, s.incident


def guards_for(agents: Mapping[str, AgentSpec], policy: Policy) -> Guards:
    """The guards that every fleet has."""
    from .budgets import Budgets
    from .cascade import Cascades
    from .hierarchy import Hierarchy
    from .slots import Slots

    return Guards((Hierarchy(), Cascades(), Slots(), Budgets()), agents, policy)
