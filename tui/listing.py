"""How a person has the agents listed: view, order, folds, filter. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from .document import Agent
from .looks import LOOKS
from .tones import Tone


class View(StrEnum):
    TREE = "tree"
    PROBLEMS = "problems"


class Sort(StrEnum):
    """What the agents are ordered by; each value is how it is called for a person."""

    TREE = "tree order"
    NEED = "need"
    NAME = "name"
    SEEN = "last evidence"
    CPU = "cpu"
    MEMORY = "memory"
    TRIES = "retries"


@dataclass(frozen=True, slots=True)
class Listing:
    """`folded`: parents whose children are not listed; `needle`: the filter line; `backwards`: the other
    way round than the order begins with."""

    view: View = View.TREE
    sort: Sort = Sort.TREE
    backwards: bool = False
    folded: frozenset[str] = frozenset()
    needle: str = ""

    @property
    def branching(self) -> bool:
        """Whether the list is drawn as a tree."""
        return self.view is View.TREE and self.sort is Sort.TREE

    @property
    def figures(self) -> bool:
        """Whether it is ordered by what only the column of the retries has room to tell."""
        return self.sort in (Sort.CPU, Sort.MEMORY)

    def turned(self) -> Listing:
        """The other view."""
        return replace(self, view=View.TREE if self.view is View.PROBLEMS else View.PROBLEMS)

    def sorted_next(self) -> Listing:
        """By the next order, as that begins."""
        orders = list(Sort)
        return replace(self, sort=orders[(orders.index(self.sort) + 1) % len(orders)], backwards=False)

    def sorted_by(self, sort: Sort) -> Listing:
        """By this order; backwards if it is the one already."""
        again = sort is self.sort
        return replace(self, sort=sort, backwards=again and not self.backwards)

    def told(self, plain: bool = False) -> str:
        """The order in a few words: `by cpu ↓`; empty when it is what the view begins with."""
        if self.sort is Sort.TREE and not self.backwards:
            return ""
        down, up = ("v", "^") if plain else ("↓", "↑")
        by = "by need" if self.sort is Sort.TREE and self.view is View.PROBLEMS else self._by()
        return f"{by} {up if self.backwards else down}"

    def _by(self) -> str:
        return self.sort.value if self.sort is Sort.TREE else f"by {self.sort.value}"

    def in_words(self, marks: int, plain: bool = False) -> tuple[tuple[str, Tone], ...]:
        """What differs from the plain tree, for the headline."""
        parts = [
            (f"{marks} marked" if marks else "", Tone.BUSY),
            ("problems" if self.view is View.PROBLEMS else "", Tone.TEXT),
            (self.told(plain), Tone.TEXT),
            (f"/{self.needle}" if self.needle else "", Tone.ASK),
        ]
        return tuple((words, tone) for words, tone in parts if words)


def arrange(names: Iterable[str], agents: Mapping[str, Agent], sort: Sort, backwards: bool) -> list[str]:
    """The names by that order; those it says nothing of stay last both ways, alike ones keep their order."""
    if sort is Sort.TREE:
        return list(reversed(list(names))) if backwards else list(names)
    known: list[tuple[tuple[float, str], str]] = []
    rest: list[str] = []
    for name in names:
        key = _key(agents[name], sort)
        if key is None:
            rest.append(name)
        else:
            known.append((key, name))
    known.sort(key=lambda pair: pair[0], reverse=backwards)
    return [name for _, name in known] + rest


def _key(agent: Agent, sort: Sort) -> tuple[float, str] | None:
    """The least comes first; None: nothing to order it by."""
    if sort is Sort.NAME:
        return 0.0, agent.title.casefold()
    if sort is Sort.TRIES:
        return -(agent.restarts + agent.reassigns), ""
    if sort is Sort.NEED:
        return -LOOKS[agent.phase].rank, ""
    if agent.pid is None:  # nothing moves in who has ended
        return None
    if sort is Sort.SEEN:  # the longest silent first
        return (agent.newest[1], "") if agent.newest else None
    # In whole percents, so that lines do not change places for nothing.
    return -round(agent.cpu_pct if sort is Sort.CPU else agent.memory_mb), ""


def figure(agent: Agent, sort: Sort) -> str:
    """What the agent is ordered by, in four cells, where no column shows it anyhow."""
    if agent.pid is None or sort not in (Sort.CPU, Sort.MEMORY):
        return ""
    if sort is Sort.CPU:
        return f"{agent.cpu_pct:.0f}%"
    if agent.memory_mb < 1000:
        return f"{agent.memory_mb:.0f}M"
    return f"{agent.memory_mb / 1024:.{1 if agent.memory_mb < 10_000 else 0}f}G"
