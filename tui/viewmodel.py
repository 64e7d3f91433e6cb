"""The agent tree as lines, pure: a fleet, what is folded and what is searched for go in, rows come out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..healing.agent import Phase
from .document import Agent, Fleet, Trouble
from .looks import LOOKS, age

SICK = frozenset({Phase.STALLED, Phase.LOOPING, Phase.EXITED, Phase.RECOVERING})
"""Phases in which an open incident is being worked on; shown in the orange of interventions."""


@dataclass(frozen=True, slots=True)
class Row:
    """One visible line of the tree. `rails`: per level above, whether the line goes on; the last is its own.

    `below`: (phase, how many) for every phase that needs attention among folded descendants, worst first;
    `hidden`: how many descendants are folded away. `since` and `seen` are epoch seconds: what is told of them
    goes on with the clock, and the row does not."""

    agent: str
    title: str
    rails: tuple[bool, ...]
    parent: bool
    folded: bool
    phase: Phase
    since: float | None
    seen: float | None
    kind: str
    tries: int
    percent: int | None
    message: str
    affected: bool
    stale: bool
    hidden: int = 0
    below: tuple[tuple[Phase, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """Children by parent (None: the top), in document order, and every agent by id."""

    children: Mapping[str | None, tuple[str, ...]]
    agents: Mapping[str, Agent]

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
        above = self.agents[agent].parent if agent in self.agents else None
        while above is not None and above in self.agents and above not in chain:
            chain.append(above)
            above = self.agents[above].parent
        return chain


def grow(fleet: Fleet) -> Tree:
    """Whoever names an unknown parent, or sits in a loop of parents, stands at the top: nobody is lost."""
    agents = {agent.id: agent for agent in fleet.agents}
    children: dict[str | None, list[str]] = {}
    for agent in fleet.agents:
        rooted = _reaches_top(agent.id, agents)
        above = agent.parent if rooted and agent.parent in agents else None
        children.setdefault(above, []).append(agent.id)
    return Tree({above: tuple(ids) for above, ids in children.items()}, agents)


def _reaches_top(agent: str, agents: Mapping[str, Agent]) -> bool:
    met: set[str] = set()
    here: str | None = agent
    while here is not None and here in agents:
        if here in met:
            return False
        met.add(here)
        here = agents[here].parent
    return True


def rows(fleet: Fleet, folded: frozenset[str] = frozenset(), needle: str = "") -> tuple[Row, ...]:
    """The visible lines. With a needle, every match stands with its ancestors and folding rests."""
    return Lines().of(fleet, folded, needle)


class Lines:
    """The rows of one look after another: where nothing was written about an agent, its row is the same."""

    def __init__(self) -> None:
        self._shape: tuple[tuple[str, str | None], ...] = ()
        self._children: Mapping[str | None, tuple[str, ...]] = {}
        self._asked: tuple[object, ...] | None = None
        self._plan: list[tuple[str, tuple[bool, ...], bool]] = []
        """Who stands in which line: agent, rails, folded."""
        self._made: dict[str, tuple[Agent, Trouble | None, tuple[bool, ...], bool, Row]] = {}
        self._last: tuple[Fleet, tuple[Row, ...]] | None = None
        """What the newest rows were made of, unless they go on with the clock."""

    def of(self, fleet: Fleet, folded: frozenset[str] = frozenset(), needle: str = "") -> tuple[Row, ...]:
        """As `rows`."""
        if self._last is not None and self._asked == (folded, None) and not needle.strip():
            before, made = self._last
            if fleet.agents is before.agents and fleet.troubles is before.troubles and fleet.up == before.up:
                return made
        tree = self._tree(fleet)
        wanted = _matches(tree, needle) if needle.strip() else None
        if self._asked != (folded, wanted):
            self._asked, self._plan, self._made = (folded, wanted), _plan(tree, folded, wanted), {}
        made = tuple(self._row(tree, fleet, *line) for line in self._plan)
        self._last = (fleet, made) if len(self._made) == len(self._plan) else None
        return made

    def _tree(self, fleet: Fleet) -> Tree:
        shape = tuple((agent.id, agent.parent) for agent in fleet.agents)
        if shape != self._shape:
            self._shape, self._children, self._asked = shape, grow(fleet).children, None
        return Tree(self._children, fleet.by_id)

    def _row(self, tree: Tree, fleet: Fleet, name: str, rails: tuple[bool, ...], closed: bool) -> Row:
        agent, trouble = tree.agents[name], fleet.trouble(name)
        known = self._made.get(name)
        if (
            known is not None
            and known[0] is agent
            and known[1] == trouble
            and known[2:4] == (rails, fleet.up)
        ):
            return known[4]
        row = _row(tree, fleet, name, rails, closed)
        if (
            not closed and agent.until is None
        ):  # what goes on with the clock, or with others, is made each time
            self._made[name] = (agent, trouble, rails, fleet.up, row)
        return row


def _plan(
    tree: Tree, folded: frozenset[str], wanted: frozenset[str] | None
) -> list[tuple[str, tuple[bool, ...], bool]]:
    lines: list[tuple[str, tuple[bool, ...], bool]] = []
    pending: list[tuple[str, tuple[bool, ...]]] = _branch(tree, None, (), wanted)
    while pending:
        name, rails = pending.pop()
        closed = wanted is None and name in folded and bool(tree.children.get(name))
        lines.append((name, rails, closed))
        if not closed:
            pending.extend(_branch(tree, name, rails, wanted))
    return lines


def _branch(
    tree: Tree, parent: str | None, rails: tuple[bool, ...], wanted: frozenset[str] | None
) -> list[tuple[str, tuple[bool, ...]]]:
    """Children of `parent` in reverse, ready to be popped from the end of a stack."""
    names = [name for name in tree.children.get(parent, ()) if wanted is None or name in wanted]
    if parent is None:
        return [(name, ()) for name in reversed(names)]
    return [(name, (*rails, name != names[-1])) for name in reversed(names)]


def _row(tree: Tree, fleet: Fleet, name: str, rails: tuple[bool, ...], closed: bool) -> Row:
    agent, trouble = tree.agents[name], fleet.trouble(name)
    hidden = tree.descendants(name) if closed else []
    below = tally(tree.agents[h] for h in hidden)
    kind, seen = agent.newest or ("", None)
    return Row(
        agent=name,
        title=agent.title,
        rails=rails,
        parent=bool(tree.children.get(name)),
        folded=closed,
        phase=agent.phase,
        since=agent.since,
        seen=seen,
        kind=kind,
        tries=agent.restarts + agent.reassigns,
        percent=None if agent.progress is None else round(100 * min(1.0, max(0.0, agent.progress))),
        message=says(agent, fleet.at, trouble),
        affected=is_affected(agent, trouble is not None),
        stale=not fleet.up,
        hidden=len(hidden),
        below=below,
    )


def says(agent: Agent, now: float, trouble: Trouble | None = None) -> str:
    """What matters most about the agent in a few words, before its own message."""
    words: list[str] = []
    if agent.orphan:
        words.append("not in the fleet file")
    if agent.attached:
        words.append("a person is attached")
    if agent.doing:
        words.append(
            agent.doing + (f" {age(agent.until - now)} left" if agent.until and agent.until > now else "")
        )
    elif agent.phase is Phase.LIMITED and agent.until and agent.until > now:
        words.append(f"for {age(agent.until - now)}")
    elif agent.phase is Phase.ESCALATED and trouble is not None:
        words.append(trouble.detail or trouble.cause)
    own = agent.message or agent.task
    return " - ".join([*words, own] if own else words)


def is_affected(agent: Agent, troubled: bool) -> bool:
    """An intervention is under way: the one thing that is painted orange."""
    return agent.phase is Phase.RECOVERING or (troubled and agent.phase in SICK)


def tally(agents: Iterable[Agent], least: int = 1) -> tuple[tuple[Phase, int], ...]:
    """How many agents are in each phase of rank `least` or more, the worst phase first."""
    counts: dict[Phase, int] = {}
    for agent in agents:
        if LOOKS[agent.phase].rank >= least:
            counts[agent.phase] = counts.get(agent.phase, 0) + 1
    return tuple(sorted(counts.items(), key=lambda item: -LOOKS[item[0]].rank))


def _matches(tree: Tree, needle: str) -> frozenset[str]:
    """Agents the needle is found in, with all their ancestors. A leading `!` turns the search round."""
    text = needle.strip().casefold()
    inverse = text.startswith("!")
    text = text[1:] if inverse else text
    kept: set[str] = set()
    for agent in tree.agents.values():
        hay = f"{agent.id} {agent.title} {agent.phase} {agent.seat} {agent.message}".casefold()
        if (text in hay) != inverse:
            kept.add(agent.id)
            kept.update(tree.ancestors(agent.id))
    return frozenset(kept)


@dataclass(frozen=True, slots=True)
class Change:
    """What must be painted again: the lines that differ, or everything when the number of lines did."""

    resized: bool
    lines: tuple[int, ...] = field(default=())


def changed(before: Sequence[object], after: Sequence[object]) -> Change:
    """Compares two lists of lines one by one; most are the very same."""
    if len(before) != len(after):
        return Change(True)
    pairs = enumerate(zip(before, after, strict=True))
    return Change(False, tuple(i for i, (old, new) in pairs if old is not new and old != new))


def place(lines: Sequence[Row], agent: str | None, near: int) -> int:
    """Where the selection belongs: on its agent wherever that went, else as near to `near` as can be."""
    for index, row in enumerate(lines):
        if row.agent == agent:
            return index
    return max(0, min(near, len(lines) - 1))


def next_in_need(fleet: Fleet, after: str | None) -> str | None:
    """The worst agent, or the next of the same rank after `after`; None when nobody needs a look."""
    order = [row.agent for row in rows(fleet)]
    by_id = fleet.by_id
    needy = [name for name in order if LOOKS[by_id[name].phase].rank > 0]
    if not needy:
        return None
    needy.sort(key=lambda name: -LOOKS[by_id[name].phase].rank)
    return needy[(needy.index(after) + 1) % len(needy)] if after in needy else needy[0]
