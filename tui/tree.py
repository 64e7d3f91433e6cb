"""The agents as a tree, and what is below each parent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..healing.agent import Phase
from .document import Agent, Fleet
from .looks import LOOKS


@dataclass(frozen=True, slots=True)
class Tree:
    """Who is below whom. `children` by parent (None: the top) in document order; `parents` the other way
    round; `order`: everybody, each followed by those below."""

    children: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)
    parents: Mapping[str, str | None] = field(default_factory=dict)
    order: tuple[str, ...] = ()

    def descendants(self, agent: str) -> list[str]:
        found: list[str] = []
        waiting = list(self.children.get(agent, ()))
        while waiting:
            one = waiting.pop()
            found.append(one)
            waiting.extend(self.children.get(one, ()))
        return found

    def ancestors(self, agent: str) -> list[str]:
        """From its parent upward."""
        chain: list[str] = []
        above = self.parents.get(agent)
        while above is not None:
            chain.append(above)
            above = self.parents.get(above)
        return chain


def grow(fleet: Fleet) -> Tree:
    """Whoever names an unknown parent, or sits in a loop of parents, stands at the top: nobody is lost."""
    agents = fleet.by_id
    rooted: dict[str, bool] = {}
    parents: dict[str, str | None] = {}
    children: dict[str | None, list[str]] = {}
    for agent in fleet.agents:
        _trace(agent.id, agents, rooted)
        above = agent.parent if rooted[agent.id] and agent.parent in agents else None
        parents[agent.id] = above
        children.setdefault(above, []).append(agent.id)
    order: list[str] = []
    pending = list(reversed(children.get(None, ())))
    while pending:
        name = pending.pop()
        order.append(name)
        pending.extend(reversed(children.get(name, ())))
    return Tree({above: tuple(names) for above, names in children.items()}, parents, tuple(order))


def _trace(agent: str, agents: Mapping[str, Agent], rooted: dict[str, bool]) -> None:
    """Note for the agent, and everybody on its way up, whether the way ends at the top."""
    way: dict[str, None] = {}
    here: str | None = agent
    while here is not None and here in agents and here not in rooted and here not in way:
        way[here] = None
        here = agents[here].parent
    ends = True if here is None or here not in agents else rooted.get(here, False)
    rooted.update(dict.fromkeys(way, ends))


def tally(agents: Iterable[Agent], least: int = 1) -> tuple[tuple[Phase, int], ...]:
    """How many agents are in each phase of rank `least` or more, the worst phase first."""
    counts: dict[Phase, int] = {}
    for agent in agents:
        counts[agent.phase] = counts.get(agent.phase, 0) + 1
    return _worst_first(counts, least)


def _worst_first(counts: Mapping[Phase, int], least: int) -> tuple[tuple[Phase, int], ...]:
    kept = [(phase, count) for phase, count in counts.items() if count and LOOKS[phase].rank >= least]
    return tuple(sorted(kept, key=lambda item: (-LOOKS[item[0]].rank, item[0])))


class Rollup:
    """How many agents are in which phase below each parent, from one look to the next: only the ancestors
    of who changed its phase are counted anew."""

    def __init__(self) -> None:
        self._tree = Tree()
        self._phases: dict[str, Phase] = {}
        self._counts: dict[str, dict[Phase, int]] = {}
        self._below: dict[str, tuple[tuple[Phase, int], ...]] = {}

    def take(self, tree: Tree, agents: Mapping[str, Agent]) -> None:
        """The agents as they are now."""
        if tree is not self._tree:
            self._count(tree, agents)
            return
        for name, agent in agents.items():
            before = self._phases[name]
            if before is not agent.phase:
                self._phases[name] = agent.phase
                self._move(name, before, agent.phase)

    def _count(self, tree: Tree, agents: Mapping[str, Agent]) -> None:
        self._tree, self._below = tree, {}
        self._phases = {name: agent.phase for name, agent in agents.items()}
        self._counts = {}
        for name in reversed(tree.order):
            above = tree.parents[name]
            if above is None:
                continue
            sums = self._counts.setdefault(above, {})
            for phase, count in self._counts.get(name, {}).items():
                sums[phase] = sums.get(phase, 0) + count
            phase = self._phases[name]
            sums[phase] = sums.get(phase, 0) + 1

    def _move(self, name: str, before: Phase, after: Phase) -> None:
        for above in self._tree.ancestors(name):
            sums = self._counts[above]
            sums[before] -= 1
            sums[after] = sums.get(after, 0) + 1
            self._below.pop(above, None)

    def below(self, name: str) -> tuple[tuple[Phase, int], ...]:
        """(phase, how many) for every phase that needs attention below the agent, the worst first."""
        if name not in self._counts:
            return ()
        known = self._below.get(name)
        if known is None:
            known = self._below[name] = _worst_first(self._counts[name], least=1)
        return known

    def size(self, name: str) -> int:
        """How many there are below the agent."""
        return sum(self._counts.get(name, {}).values())
