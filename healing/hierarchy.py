"""Parents and children: who above an agent could answer for it, and whose children are being recovered.

While children recover, their parent's own silence is no stall: it waits for them, or answers for them. That
rest is bounded by the children's own recoveries: each counts no longer than the bound that `check` prints for
it, held back or not, and a child in a person's hand or that waits for one does not count at all.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ..config.fleet import AgentSpec, Policy
from .agent import AgentState, Happening, Phase
from .bounds import bounds
from .evidence import ChildrenRecovering, ChildrenWell, DecidersKnown, Evidence
from .guards import NOTHING, Told

GONE = frozenset({Phase.ESCALATED, Phase.STOPPED, Phase.DONE})
"""Phases in which an agent answers for nobody any more."""
NAMED = 5
"""Children of one parent that are named to it; a thousand that fall at once are not told one by one."""
RECOVERS = frozenset({Phase.RECOVERING, Phase.EXITED, Phase.STALLED, Phase.LOOPING})
AT_WORK = frozenset({Phase.WORKING, Phase.IDLE})


class Standing(NamedTuple):
    """What an agent is to its family. `until`: its recovery counts for its parent until then, at most (engine
    time); None: it is not being recovered."""

    able: bool
    until: float | None


class Above(NamedTuple):
    """The living ancestors that answer for an agent at level 1 and at level 2; None: the policy alone.
    `for_first`, `for_second`: those in whose place they do, because they are gone."""

    first: str | None
    second: str | None
    for_first: tuple[str, ...] = ()
    for_second: tuple[str, ...] = ()


def is_living(s: AgentState) -> bool:
    """Whether it can be responsible for others: neither given up, stopped nor done, nor dead for good."""
    healed = s.incident is not None and not s.incident.observed
    return s.phase not in GONE and (s.alive or s.recovery is not None or healed)


def is_able(s: AgentState) -> bool:
    """Whether it can answer a question now: it lives, is in nobody's care and does not wait for anybody."""
    up = s.phase in AT_WORK or (s.phase is Phase.STARTING and s.ready)  # whose life is its process alone
    return s.alive and up and s.recovery is None and s.incident is None


def recovers(s: AgentState) -> bool:
    """Whether it is being healed, and nothing but that takes its time."""
    if s.incident is None or s.phase not in RECOVERS:
        return False
    return not (s.attached or s.incident.observed)


def above(agent: str, parents: Mapping[str, str | None], living: Callable[[str], bool]) -> Above:
    """Who answers for `agent`: the parent and the grandparent of the fleet file, or the nearest living one
    above whoever of them is gone."""
    chain: list[str] = []
    here = parents.get(agent)
    while here is not None and here not in chain:
        chain.append(here)
        here = parents.get(here)
    first, below_first = _nearest(chain, living)
    second, below_second = _nearest(chain[1:], living)
    return Above(first, second, below_first, below_second)


def _nearest(chain: Sequence[str], living: Callable[[str], bool]) -> tuple[str | None, tuple[str, ...]]:
    for place, agent in enumerate(chain):
        if living(agent):
            return agent, tuple(chain[:place])
    return None, tuple(chain)


class Hierarchy:
    """The guard of families. Keeps of each agent its standing, and what was told to whom."""

    def __init__(self) -> None:
        self._agents: Mapping[str, AgentSpec] = {}
        self._lines: dict[str, tuple[str, ...]] = {}
        """agent that is asked for by `decider: parent` -> its ancestors, from its parent upward."""
        self._below: dict[str, list[str]] = {}
        """ancestor -> such agents below it."""
        self._standing: dict[str, Standing] = {}
        self._recovering: dict[str, dict[str, float]] = {}
        """parent -> its recovering children, and until when each counts."""
        self._ends: list[tuple[float, str]] = []
        self._deciders: dict[str, tuple[str, ...]] = {}
        self._named: dict[str, tuple[str, ...]] = {}
        self._longest: dict[str, float] = {}
        self._anew = False

    def fit(self, agents: Mapping[str, AgentSpec], policy: Policy) -> None:  # noqa: ARG002 - each has its own
        self._agents = agents
        self._longest.clear()
        self._lines = {
            name: _ancestors(name, agents) for name, spec in agents.items() if spec.decider == "parent"
        }
        self._below = {}
        for name, line in self._lines.items():
            for ancestor in line:
                self._below.setdefault(ancestor, []).append(name)
        for gone in self._standing.keys() - agents.keys():
            del self._standing[gone]
            self._deciders.pop(gone, None)
            self._named.pop(gone, None)
        self._recovering = {}
        for name, standing in self._standing.items():
            self._note_recovery(name, standing.until)
        self._anew = bool(self._standing)

    def changed(
        self,
        before: AgentState | None,
        after: AgentState,
        happened: Sequence[Happening],  # noqa: ARG002 - the state says it all
        now: float,
    ) -> Told:
        spec = self._agents.get(after.id)
        if spec is None:
            return NOTHING
        known = self._standing.get(after.id)
        until = None if spec.parent is None else self._until(after, spec, now)
        standing = Standing(is_able(after), until)
        if before is None:
            # What it believes comes from another daemon.
            self._deciders[after.id] = after.deciders
            self._named[after.id] = after.tending.children if after.tending else ()
        elif standing == known:
            return NOTHING
        self._standing[after.id] = standing
        words: list[Evidence] = []
        if before is None:
            words += self._tell_deciders([after.id], now)
        if after.id in self._below and (known is None or known.able != standing.able):
            words += self._tell_deciders(self._below[after.id], now)
        if spec.parent is not None:
            self._note_recovery(after.id, standing.until)
        if before is None or spec.parent is not None:
            concerned = [after.id, spec.parent] if before is None else [spec.parent]
            words += self._tell_parents(concerned, now)
        return Told(words) if words else NOTHING

    def due(self) -> float | None:
        if self._anew:
            return 0.0
        while self._ends:
            at, child = self._ends[0]
            if self._counts_until(child) == at:
                return at
            heapq.heappop(self._ends)  # it was over before its time
        return None

    def tick(self, now: float) -> Told:
        told = Told()
        while self._ends and self._ends[0][0] <= now:
            at, child = heapq.heappop(self._ends)
            if self._counts_until(child) == at:
                parent = self._agents[child].parent
                assert parent is not None
                del self._recovering[parent][child]
                told.evidence += self._tell_parents([parent], now)
        if self._anew:
            self._anew = False
            told.evidence += self._tell_deciders(self._standing, now)
            told.evidence += self._tell_parents(self._standing, now)
        return told

    def _until(self, s: AgentState, spec: AgentSpec, now: float) -> float | None:
        if s.incident is None or not recovers(s):
            return None
        longest = self._longest.get(spec.id)
        if longest is None:
            longest = self._longest[spec.id] = max(bound.seconds for bound in bounds(spec))
        until = s.incident.opened + longest
        return until if until > now else None

    def _note_recovery(self, child: str, until: float | None) -> None:
        parent = self._agents[child].parent
        if parent is None:
            return
        children = self._recovering.setdefault(parent, {})
        if until is None:
            children.pop(child, None)
        elif children.get(child) != until:
            children[child] = until
            heapq.heappush(self._ends, (until, child))

    def _counts_until(self, child: str) -> float | None:
        spec = self._agents.get(child)
        return self._recovering.get(spec.parent or "", {}).get(child) if spec else None

    def _tell_deciders(self, agents: Iterable[str], now: float) -> Iterable[Evidence]:
        for agent in agents:
            if agent not in self._standing:
                continue
            line = self._lines.get(agent, ())
            able = tuple(x for x in line if x in self._standing and self._standing[x].able)
            if self._deciders.get(agent, ()) != able:
                self._deciders[agent] = able
                yield DecidersKnown(agent, now, able)

    def _tell_parents(self, parents: Iterable[str | None], now: float) -> Iterable[Evidence]:
        for parent in parents:
            if parent is None or parent not in self._standing:
                continue
            children = tuple(list(self._recovering.get(parent, ()))[:NAMED])
            if self._named.get(parent, ()) == children:
                continue
            self._named[parent] = children
            yield ChildrenRecovering(parent, now, children) if children else ChildrenWell(parent, now)


def _ancestors(agent: str, agents: Mapping[str, AgentSpec]) -> tuple[str, ...]:
    found: list[str] = []
    here = agents[agent].parent
    while here is not None and here in agents and here not in found:
        found.append(here)
        here = agents[here].parent
    return tuple(found)
