"""The problems first: who gets a line, who only a dot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hhmrs.healing.agent import Phase
from hhmrs.tests.unit.fleets import NOW, agent, fleet, grown
from hhmrs.tui.document import Fleet, Trouble
from hhmrs.tui.listing import Listing, Sort, View
from hhmrs.tui.problems import INDENT, Dots, Heading, Need, Note, need_of
from hhmrs.tui.rows import Row
from hhmrs.tui.viewmodel import Line, Lines, place, settle

TEAM = fleet(
    agent("boss"),
    agent("limited", "boss", Phase.LIMITED),
    agent("asks", "boss", Phase.WAITING),
    agent("healed", "boss", Phase.RECOVERING),
    agent("lost", "asks", Phase.ESCALATED),
    agent("asks-long", "boss", Phase.WAITING, since=NOW - 900),
    agent("idle", "boss", Phase.IDLE),
)


def listed(seen: Fleet, across: int = 40, **how: Any) -> tuple[Line, ...]:
    return Lines().of(seen, Listing(View.PROBLEMS, **how), across)


def told(lines: tuple[Line, ...]) -> list[str]:
    words: list[str] = []
    for line in lines:
        if isinstance(line, Row):
            words.append(line.agent)
        elif isinstance(line, Dots):
            words.append(" ".join(line.agents))
        else:
            words.append(line.words if isinstance(line, Note) else f"{line.need} {line.count}")
    return words


def test_who_needs_somebody_has_a_line_the_worst_and_longest_first_and_the_others_a_dot() -> None:
    assert told(listed(TEAM)) == [
        "needs you now 3", "lost", "asks-long", "asks",
        "being healed 1", "healed",
        "limited or held 1", "limited",
        "fine 2", "boss idle",
    ]  # fmt: skip


def test_the_order_a_person_wants_holds_within_each_group() -> None:
    assert told(listed(TEAM, sort=Sort.NAME))[:4] == ["needs you now 3", "asks", "asks-long", "lost"]
    assert told(listed(TEAM, backwards=True))[:4] == ["needs you now 3", "asks", "asks-long", "lost"]


def test_a_heading_counts_the_phases() -> None:
    heading = listed(TEAM)[0]
    assert isinstance(heading, Heading)
    assert heading.phases == ((Phase.ESCALATED, 1), (Phase.WAITING, 2))


def test_a_row_names_its_parent() -> None:
    assert [line.within for line in listed(TEAM) if isinstance(line, Row)][:2] == ["Asks", "Boss"]


def test_without_problems_it_says_so_in_words() -> None:
    calm = fleet(agent("a"), agent("b", phase=Phase.DONE))
    assert told(listed(calm)) == ["nobody needs you, and nothing is being healed", "fine 2", "a b"]
    held = fleet(agent("a"), agent("b", phase=Phase.PAUSED))
    first = listed(held)[0]
    assert isinstance(first, Note)
    assert first.words.startswith("nobody needs you; 1 wait")
    filtered = listed(TEAM, needle="idle")[0]
    assert isinstance(filtered, Note)
    assert "of those that match" in filtered.words
    assert told(listed(TEAM, needle="nothing"))[0].startswith("no agent matches /nothing")
    assert listed(fleet()) == ()


@pytest.mark.parametrize("across", [1, 3, 7, 60])
def test_a_thousand_agents_fit_one_cell_each_and_nobody_is_lost(across: int) -> None:
    seen = grown(1000)
    lines = listed(seen, across)
    dots = [line for line in lines if isinstance(line, Dots)]
    assert all(len(line.agents) == len(line.phases) <= max(1, across - INDENT) for line in dots)
    names = [line.agent for line in lines if isinstance(line, Row)]
    names += [name for line in dots for name in line.agents]
    assert sorted(names) == sorted(one.id for one in seen.agents)
    assert all(seen.by_id[name].phase is phase for line in dots
               for name, phase in zip(line.agents, line.phases, strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("how", "phase", "need"),
    [
        ({}, Phase.STALLED, Need.HEALING),
        ({}, Phase.EXITED, Need.HEALING),
        ({"up": False}, Phase.STALLED, Need.YOU),
        ({"up": False}, Phase.RECOVERING, Need.YOU),
        ({"frozen": 7}, Phase.LOOPING, Need.YOU),
        ({"mode": "observe"}, Phase.STALLED, Need.YOU),
        ({"mode": "observe"}, Phase.RECOVERING, Need.HEALING),
        ({}, Phase.UNKNOWN, Need.TIME),
        ({}, Phase.PAUSED, Need.TIME),
        ({}, Phase.STOPPED, Need.NOBODY),
    ],
)
def test_a_sick_agent_needs_a_person_where_nobody_heals(
    how: dict[str, Any], phase: Phase, need: Need
) -> None:
    assert need_of(agent("a", phase=phase), fleet(**how)) is need


def test_one_that_was_never_started_is_no_problem() -> None:
    assert need_of(agent("a", phase=Phase.UNKNOWN, attempt=0), fleet()) is Need.NOBODY


def test_the_selection_follows_its_agent_into_the_dots_and_out_again() -> None:
    lines = listed(TEAM)
    assert place(lines, "idle", 0) == len(lines) - 1
    assert place(lines, "lost", 9) == 1
    assert place(lines, "gone", 0) == 1, "a heading is no place for it"
    assert settle(lines, 4, 1) == 5
    assert settle(lines, 4, -1) == 3
    assert settle(lines, 0, -1) == 1
    assert settle((), 3) == 0


def test_only_the_lines_that_differ_are_other_ones() -> None:
    lines = Lines()
    before = lines.of(TEAM, Listing(View.PROBLEMS), 40)
    trouble = Trouble("i", "lost", NOW, "exited", "crash", "exit 3")
    after = lines.of(replace(TEAM, troubles=(trouble,)), Listing(View.PROBLEMS), 40)
    assert [a is b for a, b in zip(before, after, strict=True) if isinstance(a, Row)] == [
        False, True, True, True, True,
    ]  # fmt: skip
    narrow = lines.of(replace(TEAM, troubles=(trouble,)), Listing(View.PROBLEMS), 3)
    assert len(narrow) == len(after) + 1, "as many dots as there is room for"
