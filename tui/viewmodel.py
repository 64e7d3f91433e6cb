"""The list of agents as lines, pure: a fleet and how it shall be listed go in, lines come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .document import Agent, Fleet, Trouble
from .filtering import Sieve
from .listing import Listing, Sort, View, arrange, figure
from .looks import LOOKS
from .problems import Dots, Heading, Need, Note, need_of, problems
from .rows import Row, Spot, row_of
from .tree import Rollup, Tree, grow

Line = Row | Heading | Dots | Note
"""What a line of the list can be; an agent can be selected in a row and among dots."""


def rows(fleet: Fleet, folded: frozenset[str] = frozenset(), needle: str = "") -> tuple[Row, ...]:
    """The tree. With a needle, every match stands with its ancestors and folding rests."""
    lines = Lines().of(fleet, Listing(folded=folded, needle=needle))
    return tuple(line for line in lines if isinstance(line, Row))


class Lines:
    """The lines of one look after another: where nothing was written about an agent, its row is the same."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._shape: tuple[tuple[str, str | None], ...] = ()
        self._rollup = Rollup()
        self._sieve = Sieve()
        self._made: dict[str, tuple[Agent, object, bool, Trouble | None, object, Row]] = {}
        """By agent what its row was made of: agent, below, up, trouble, where; and the row."""
        self._plan: tuple[object, list[tuple[str, Spot]]] = (None, [])
        """Who stands where in the tree, and what that was made of."""
        self._last: tuple[Fleet, Listing, int, tuple[Line, ...]] | None = None
        """What the newest lines were made of, unless they go on with the clock."""
        self._moving = False

    def of(self, fleet: Fleet, listing: Listing | None = None, across: int = 80) -> tuple[Line, ...]:
        """The lines that are to be seen; `across`: cells of a line."""
        listing = listing or Listing()
        if self._last is not None and self._last[1:3] == (listing, across):
            before, made = self._last[0], self._last[3]
            if _same(fleet, before):
                return made
        self._grow(fleet)
        self._moving = False
        made = tuple(self._listed(fleet, listing, across))
        self._last = None if self._moving else (fleet, listing, across, made)
        return made

    def _grow(self, fleet: Fleet) -> None:
        shape = tuple((agent.id, agent.parent) for agent in fleet.agents)
        if shape != self._shape:
            self._shape, self.tree, self._made = shape, grow(fleet), {}
        self._rollup.take(self.tree, fleet.by_id)

    def _listed(self, fleet: Fleet, listing: Listing, across: int) -> list[Line]:
        found = self._sieve.matching(listing.needle, self.tree, fleet.by_id)
        if found is not None and not found:
            return [Note(f"no agent matches /{listing.needle}  (esc leaves the filter)")]
        if listing.branching:
            return [self._row(fleet, name, spot) for name, spot in self._branches(listing, found)]
        names = [name for name in self.tree.order if found is None or name in found]
        if listing.view is View.PROBLEMS:
            lines = problems(fleet, names, listing, across)
            return [self._flat(fleet, line, listing) if isinstance(line, str) else line for line in lines]
        ordered = arrange(names, fleet.by_id, listing.sort, listing.backwards)
        return [self._flat(fleet, name, listing) for name in ordered]

    def _flat(self, fleet: Fleet, name: str, listing: Listing) -> Row:
        """A row that stands for itself: its parent is told in words."""
        above = self.tree.parents[name]
        return self._row(fleet, name, (listing.sort, "" if above is None else fleet.by_id[above].title))

    def _branches(self, listing: Listing, found: frozenset[str] | None) -> list[tuple[str, Spot]]:
        asked = (self.tree, listing.folded, listing.backwards, found)
        if self._plan[0] != asked:
            self._plan = (asked, _plan(self.tree, listing, found))
        return self._plan[1]

    def _row(self, fleet: Fleet, name: str, where: Spot | tuple[Sort, str]) -> Row:
        """The agent's row in the tree, or in a list by that order with its parent's title. This is called for
        everybody at every look, so what is the same is seen without making anything."""
        agent, trouble = fleet.by_id[name], fleet.open_troubles.get(name)
        below, known = self._rollup.below(name), self._made.get(name)
        if (
            known is not None
            and known[0] is agent
            and known[1] is below
            and known[2] is fleet.up
            and (known[3] is trouble or known[3] == trouble)
            and (known[4] is where or known[4] == where)
        ):
            return known[5]
        spot = where if isinstance(where, Spot) else Spot(within=where[1], figure=figure(agent, where[0]))
        hidden = self._rollup.size(name) if spot.folded else 0
        row = row_of(agent, trouble, spot, (below, hidden), fleet.at, fleet.up)
        if agent.until is None:
            self._made[name] = (agent, below, fleet.up, trouble, where, row)
        else:  # goes on with the clock: made each time
            self._moving = True
        return row


def _same(one: Fleet, other: Fleet) -> bool:
    """Whether nothing was written between two looks."""
    daemon = (one.up, one.mode, one.frozen) == (other.up, other.mode, other.frozen)
    return daemon and one.agents is other.agents and one.troubles is other.troubles


def _plan(tree: Tree, listing: Listing, found: frozenset[str] | None) -> list[tuple[str, Spot]]:
    """The lines of the tree from above. Whoever was searched for stands with its ancestors."""
    shown = None if found is None else _with_ancestors(tree, found)
    lines: list[tuple[str, Spot]] = []
    pending: list[tuple[str, tuple[bool, ...]]] = _branch(tree, None, (), shown, listing.backwards)
    while pending:
        name, rails = pending.pop()
        parent = name in tree.children
        closed = shown is None and name in listing.folded and parent
        context = found is not None and name not in found
        lines.append((name, Spot(rails, parent, closed, context=context)))
        if parent and not closed:
            pending.extend(_branch(tree, name, rails, shown, listing.backwards))
    return lines


def _with_ancestors(tree: Tree, found: frozenset[str]) -> frozenset[str]:
    kept = set(found)
    for name in found:
        above = tree.parents[name]
        while above is not None and above not in kept:
            kept.add(above)
            above = tree.parents[above]
    return frozenset(kept)


def _branch(
    tree: Tree, parent: str | None, rails: tuple[bool, ...], shown: frozenset[str] | None, backwards: bool
) -> list[tuple[str, tuple[bool, ...]]]:
    """Children of `parent` in reverse, ready to be popped from the end of a stack."""
    names = [name for name in tree.children.get(parent, ()) if shown is None or name in shown]
    if backwards:
        names.reverse()
    if parent is None:
        return [(name, ()) for name in reversed(names)]
    return [(name, (*rails, name != names[-1])) for name in reversed(names)]


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


def holds(line: Line, agent: str | None) -> bool:
    """Whether the agent stands in that line."""
    if isinstance(line, Row):
        return line.agent == agent
    return isinstance(line, Dots) and agent in line.agents


def place(lines: Sequence[Line], agent: str | None, near: int) -> int:
    """Where the selection belongs: on its agent wherever that went, else as near to `near` as can be."""
    for index, line in enumerate(lines):
        if holds(line, agent):
            return index
    return settle(lines, near)


def settle(lines: Sequence[Line], near: int, step: int = 1) -> int:
    """The line nearest to `near` in which an agent can be selected, seen first in the direction of `step`."""
    last = len(lines) - 1
    if last < 0:
        return 0
    near = max(0, min(near, last))
    ways = (range(near, last + 1), range(near, -1, -1))
    for way in ways if step > 0 else reversed(ways):
        for index in way:
            if isinstance(lines[index], Row | Dots):
                return index
    return near


def next_in_need(fleet: Fleet, after: str | None) -> str | None:
    """The agent that needs a person most, or the one that comes after `after`; None when nobody needs a look.
    Who waits for a person goes before who is being healed, as in the list of problems."""
    by_id, groups = fleet.by_id, list(Need)
    needy = [name for name in grow(fleet).order if LOOKS[by_id[name].phase].rank > 0]
    if not needy:
        return None
    needy.sort(key=lambda name: (groups.index(need_of(by_id[name], fleet)), -LOOKS[by_id[name].phase].rank))
    return needy[(needy.index(after) + 1) % len(needy)] if after in needy else needy[0]
