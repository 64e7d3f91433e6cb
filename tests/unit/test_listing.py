"""In what order agents are listed, and how that is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hhmrs.healing.agent import Phase
from hhmrs.tests.unit.fleets import NOW, agent, fleet, grown
from hhmrs.tui.listing import Listing, Sort, View, arrange, figure
from hhmrs.tui.rows import Row
from hhmrs.tui.viewmodel import Lines

TEAM = fleet(
    agent("z-root", title="zed", cpu_pct=3.2, memory_mb=100, trace={"output": NOW - 3}),
    agent(
        "mid", "z-root", Phase.WAITING, cpu_pct=90, memory_mb=2048, trace={"output": NOW - 400}, restarts=1
    ),
    agent(
        "kid", "mid", Phase.ESCALATED, cpu_pct=3.4, memory_mb=999, trace={"output": NOW - 40, "process": NOW}
    ),
    agent("over", "z-root", Phase.DONE, pid=None, trace={"output": NOW - 9000}, restarts=2, reassigns=1),
)
TREE_ORDER = ["z-root", "mid", "kid", "over"]


def ordered(sort: Sort, backwards: bool = False) -> list[str]:
    return arrange(TREE_ORDER, TEAM.by_id, sort, backwards)


@pytest.mark.parametrize(
    ("sort", "names", "turned"),
    [
        (Sort.TREE, TREE_ORDER, TREE_ORDER[::-1]),
        (Sort.NEED, ["kid", "mid", "z-root", "over"], ["z-root", "over", "mid", "kid"]),
        (Sort.NAME, ["kid", "mid", "over", "z-root"], ["z-root", "over", "mid", "kid"]),
        (Sort.SEEN, ["mid", "kid", "z-root", "over"], ["z-root", "kid", "mid", "over"]),
        (Sort.CPU, ["mid", "z-root", "kid", "over"], ["z-root", "kid", "mid", "over"]),
        (Sort.MEMORY, ["mid", "kid", "z-root", "over"], ["z-root", "kid", "mid", "over"]),
        (Sort.TRIES, ["over", "mid", "z-root", "kid"], ["z-root", "kid", "mid", "over"]),
    ],
)
def test_each_order_and_its_reverse(sort: Sort, names: list[str], turned: list[str]) -> None:
    assert ordered(sort) == names
    assert ordered(sort, backwards=True) == turned


def test_the_orders_are_gone_through_and_each_begins_as_it_does() -> None:
    listing = Listing(backwards=True)
    met = []
    for _ in Sort:
        listing = listing.sorted_next()
        met.append(listing.sort)
        assert not listing.backwards
    assert met == [*list(Sort)[1:], Sort.TREE]
    assert Listing().sorted_by(Sort.CPU).sorted_by(Sort.CPU) == Listing(sort=Sort.CPU, backwards=True)
    assert Listing(sort=Sort.CPU, backwards=True).sorted_by(Sort.NAME) == Listing(sort=Sort.NAME)


@pytest.mark.parametrize(
    ("listing", "told"),
    [
        (Listing(), ""),
        (Listing(sort=Sort.CPU), "by cpu ↓"),
        (Listing(sort=Sort.SEEN, backwards=True), "by last evidence ↑"),
        (Listing(backwards=True), "tree order ↑"),
        (Listing(view=View.PROBLEMS), ""),
        (Listing(view=View.PROBLEMS, backwards=True), "by need ↑"),
    ],
)
def test_the_order_is_told_where_it_is_another(listing: Listing, told: str) -> None:
    assert listing.told() == told
    assert listing.told(plain=True).isascii()


def test_the_headline_tells_what_differs_from_the_plain_tree() -> None:
    assert Listing().in_words(0) == ()
    listing = Listing(View.PROBLEMS, Sort.CPU, needle="x y")
    assert [words for words, _ in listing.in_words(3)] == ["3 marked", "problems", "by cpu ↓", "/x y"]


def test_what_is_ordered_by_is_shown_in_four_cells() -> None:
    one = agent("a", cpu_pct=99.6, memory_mb=999.4)
    assert [figure(one, Sort.CPU), figure(one, Sort.MEMORY), figure(one, Sort.NAME)] == ["100%", "999M", ""]
    assert figure(replace(one, memory_mb=2048), Sort.MEMORY) == "2.0G"
    assert figure(replace(one, memory_mb=99_999), Sort.MEMORY) == "98G"
    assert figure(replace(one, pid=None), Sort.CPU) == ""


def test_another_order_than_that_of_the_tree_lists_all_flat_and_names_the_parent() -> None:
    lines = Lines().of(TEAM, Listing(sort=Sort.CPU, folded=frozenset({"z-root"})))
    rows = [line for line in lines if isinstance(line, Row)]
    assert [row.agent for row in rows] == ["mid", "z-root", "kid", "over"]
    assert [row.within for row in rows] == ["zed", "", "Mid", "zed"]
    assert [row.figure for row in rows] == ["90%", "3%", "3%", ""]
    assert not any(row.rails or row.folded or row.parent for row in rows)


def test_the_tree_can_be_listed_backwards() -> None:
    lines = Lines().of(TEAM, Listing(backwards=True))
    assert [line.agent for line in lines if isinstance(line, Row)] == ["z-root", "over", "mid", "kid"]


def test_a_filter_of_a_flat_list_needs_no_ancestors() -> None:
    flat = Lines().of(TEAM, Listing(sort=Sort.NAME, needle="kid"))
    assert [line.agent for line in flat if isinstance(line, Row)] == ["kid"]
    tree = Lines().of(TEAM, Listing(needle="kid"))
    assert [(line.agent, line.context) for line in tree if isinstance(line, Row)] == [
        ("z-root", True), ("mid", True), ("kid", False),
    ]  # fmt: skip


@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize("view", list(View))
def test_lines_that_remember_are_those_that_do_not(sort: Sort, view: View) -> None:
    import random

    from hhmrs.tests.unit.fleets import stirred

    chance, seen, lines = random.Random(4), grown(60), Lines()
    for turn in range(30):
        needle = chance.choice(["", "", "phase:working", "a1"])
        listing = Listing(view, sort, chance.random() < 0.3, frozenset({"a0", "a3"}), needle)
        assert lines.of(seen, listing, 30) == Lines().of(seen, listing, 30), turn
        seen = stirred(seen, chance, chance.randrange(5))
