"""Who is below whom, and what of that a parent tells."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from hhmrs.healing.agent import Phase
from hhmrs.tests.unit.fleets import agent, fleet, grown, stirred
from hhmrs.tui.document import Fleet
from hhmrs.tui.looks import LOOKS
from hhmrs.tui.tree import Rollup, grow, tally

FAMILY = fleet(
    agent("root"),
    agent("a", "root", Phase.IDLE),
    agent("b", "root"),
    agent("a1", "a", Phase.ESCALATED),
    agent("a2", "a", Phase.WAITING),
)


def below(seen: Fleet, name: str) -> tuple[tuple[Phase, int], ...]:
    rollup = Rollup()
    rollup.take(grow(seen), seen.by_id)
    return rollup.below(name)


def test_everybody_is_followed_by_those_below() -> None:
    tree = grow(FAMILY)
    assert tree.order == ("root", "a", "a1", "a2", "b")
    assert tree.ancestors("a2") == ["a", "root"]
    assert tree.parents == {"root": None, "a": "root", "b": "root", "a1": "a", "a2": "a"}
    assert sorted(tree.descendants("root")) == ["a", "a1", "a2", "b"]


@pytest.mark.parametrize(
    "strange",
    [
        fleet(agent("x", "gone")),
        fleet(agent("x", "y"), agent("y", "z"), agent("z", "y"), agent("below", "x")),
        fleet(agent("x", "x"), agent("below", "x")),
    ],
)
def test_a_strange_tree_holds_everybody_once_and_ends_at_the_top(strange: Fleet) -> None:
    tree = grow(strange)
    assert sorted(tree.order) == sorted(one.id for one in strange.agents)
    assert all(len(tree.ancestors(name)) <= len(tree.order) for name in tree.order)


def test_a_parent_tells_of_all_below_it_the_worst_first() -> None:
    assert below(FAMILY, "root") == ((Phase.ESCALATED, 1), (Phase.WAITING, 1))
    assert below(FAMILY, "b") == ()
    two = replace(FAMILY, agents=(*FAMILY.agents, agent("a3", "a1", Phase.WAITING)))
    assert below(two, "a") == ((Phase.ESCALATED, 1), (Phase.WAITING, 2))


def test_what_is_fine_is_not_told() -> None:
    fine = fleet(agent("root"), agent("a", "root", Phase.DONE), agent("b", "root", Phase.IDLE))
    assert below(fine, "root") == ()


@pytest.mark.parametrize("seed", range(5))
def test_what_is_counted_on_agrees_with_counting_anew(seed: int) -> None:
    chance, seen, rollup = random.Random(seed), grown(120, seed), Rollup()
    tree = grow(seen)
    for _ in range(40):
        rollup.take(tree, seen.by_id)
        for name in tree.order:
            under = [seen.by_id[one] for one in tree.descendants(name)]
            assert rollup.below(name) == tally(under)
            assert rollup.size(name) == len(under)
        seen = stirred(seen, chance, chance.randrange(9))


def test_another_tree_is_counted_anew() -> None:
    rollup = Rollup()
    rollup.take(grow(FAMILY), FAMILY.by_id)
    moved = fleet(*FAMILY.agents[:3], agent("a1", "b", Phase.ESCALATED))
    rollup.take(grow(moved), moved.by_id)
    assert (rollup.below("a"), rollup.below("b")) == ((), ((Phase.ESCALATED, 1),))
    assert rollup.size("root") == 3


def test_a_tally_names_the_worst_first_and_does_not_change_places_for_nothing() -> None:
    agents = list(grown(200).agents)
    told = tally(agents, least=0)
    assert dict(told) == dict(Counter(one.phase for one in agents))
    assert [LOOKS[phase].rank for phase, _ in told] == sorted((LOOKS[p].rank for p, _ in told), reverse=True)
    assert tally(reversed(agents), least=0) == told
