"""The list of agents under the fingers: views, orders, folds, filters, marks, mouse."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from hhmrs.healing.agent import Phase
from hhmrs.tests.tui.hands import Hands, hands
from hhmrs.tui.listing import Listing, Sort, View
from hhmrs.tui.problems import Dots
from hhmrs.tui.rows import Row
from hhmrs.tui.widgets.fleet_list import FleetList


def listed(h: Hands) -> list[str]:
    return [row.agent for row in h.agents._rows if isinstance(row, Row)]


def marked(h: Hands) -> tuple[str, ...]:
    return h.screen.marked


def order(h: Hands) -> Sort:
    return h.screen.listing.sort


def line_of(h: Hands, agent: str) -> int:
    """Where the agent's row stands in the widget."""
    index = next(i for i, row in enumerate(h.agents._rows) if isinstance(row, Row) and row.agent == agent)
    return index + 1 - h.agents.scroll_offset.y


def many(count: int, phase: str = "working") -> list[tuple[str, str | None, str, str, str]]:
    return [
        (f"a{i:04}", None if i == 0 else f"a{(i - 1) // 25:04}", phase, "shell", "") for i in range(count)
    ]


async def next_look(h: Hands, source: Any) -> None:
    looks = source.looks
    await h.until(lambda: source.looks > looks + 2)


# -- views and orders -------------------------------------------------------------------------------


async def test_v_turns_to_the_problems_and_back_and_the_selection_stays(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.select("writer-01")
        await h.press("v")
        text = h.shown()
        assert "needs you now  2" in text
        assert "being healed  1" in text
        assert "limited or held  2" in text
        assert "●●●✓●●◌" in text
        assert listed(h)[:2] == ["tester-01", "programmer-02"]
        assert h.agents.agent == "writer-01"
        assert "problems" in text.splitlines()[0]
        await h.press("v")
        assert "needs you now" not in h.shown()
        assert h.agents.agent == "writer-01"


async def test_a_selected_agent_that_gets_well_is_followed_into_the_dots(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("v")
        await h.select("programmer-02")
        assert h.agents.row is not None
        scripted.agents = [
            (*a[:2], "working", *a[3:]) if a[0] == "programmer-02" else a for a in scripted.agents
        ]
        await h.until(lambda: h.agents.row is None)
        assert h.agents.agent == "programmer-02"
        assert h.screen.selected is not None
        assert h.screen.selected.phase is Phase.WORKING


async def test_a_thousand_well_agents_are_dots_that_can_be_walked(scripted: Any) -> None:
    scripted.agents = many(1000)
    async with hands(scripted, (100, 30)) as h:
        await h.press("v")
        assert "nobody needs you, and nothing is being healed" in h.shown()
        dots = [line for line in h.agents._rows if isinstance(line, Dots)]
        assert sum(len(line.agents) for line in dots) == 1000
        assert all(len(line.agents) <= h.agents.across - 2 for line in dots)
        assert h.agents.agent == "a0000"
        await h.press("l", "l", "h")
        assert h.agents.agent == dots[0].agents[1]
        await h.press("j")
        assert h.agents.agent == dots[1].agents[1]
        await h.press("h", "h")
        assert h.agents.agent == dots[0].agents[-1]
        await h.press("G", "k")
        assert h.agents.agent in dots[-2].agents
        before = len(dots[0].agents)
        await h.pilot.resize_terminal(60, 20)
        await h.until(lambda: isinstance(h.agents._rows[2], Dots) and len(h.agents._rows[2].agents) < before)
        assert h.agents.agent in dots[-2].agents


async def test_who_turns_to_the_problems_sees_them_though_a_well_agent_is_selected(scripted: Any) -> None:
    scripted.agents = [*many(200), *((f"z{i:02}", None, "waiting", "shell", "?") for i in range(60))]
    async with hands(scripted, (100, 30)) as h:
        await h.select("a0150")
        assert h.agents.scroll_offset.y > 100
        await h.press("v")
        await next_look(h, scripted)
        assert "needs you now  60" in h.shown()
        assert h.agents.agent == "a0150"
        await h.press("j")
        assert h.agents.agent == listed(h)[0], "from what is in sight, not from the dots far below"


async def test_o_goes_through_the_orders_and_the_selection_stays(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.select("writer-02")
        await h.press("o")
        assert listed(h)[:3] == ["tester-01", "dir-code", "programmer-02"]
        assert "by need ↓" in h.shown()
        await h.press("O")
        assert listed(h)[-3:] == ["programmer-02", "dir-code", "tester-01"]
        assert "by need ↑" in h.shown().splitlines()[0]
        await h.press("o")
        assert listed(h)[:2] == ["architect", "dir-code"]
        await h.press("o", "o")
        assert order(h) is Sort.CPU
        assert listed(h)[0] == "tester-02"
        assert " 16%" in h.shown() or " 17%" in h.shown()
        assert h.agents.agent == "writer-02"
        await h.press("o", "o", "o")
        assert order(h) is Sort.TREE
        assert h.agents.agent == "writer-02"


async def test_in_a_flat_list_left_and_right_go_to_parent_and_child(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("o")
        await h.select("tester-01")
        await h.press("h")
        assert h.agents.agent == "dir-test"
        await h.press("l")
        assert h.agents.agent == "tester-01"
        await h.press("z", "Z")
        assert h.toasts().count("only the tree can be folded") == 2
        assert h.screen.listing.folded == frozenset()


# -- folds and filter -------------------------------------------------------------------------------


async def test_z_folds_the_parent_and_the_selection_goes_there(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.select("programmer-03")
        await h.press("z")
        assert h.agents.agent == "dir-code"
        assert "+4 ◆1" in h.shown()
        await h.press("z")
        assert "programmer-03" in listed(h)
        await h.select("writer-01")
        await h.press("Z")
        assert listed(h) == ["architect", "dir-code", "dir-docs", "dir-test"]
        assert h.agents.agent == "dir-docs"
        await h.press("Z")
        assert len(listed(h)) == 12


async def test_the_selection_comes_back_when_the_filter_goes(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.select("writer-02")
        await h.press("slash", *"phase:esc")
        await h.until(lambda: "writer-02" not in listed(h))
        assert listed(h) == ["architect", "dir-test", "tester-01"]
        await h.press("escape")
        await h.until(lambda: h.agents.agent == "writer-02")


async def test_a_filter_that_finds_nobody_says_so_and_how_to_leave(scripted: Any) -> None:
    async with hands(scripted, (60, 20)) as h:
        await h.press("slash", *"nobody")
        await h.until(lambda: "no agent matches /nobody" in h.shown())
        assert "esc leaves the filter" in h.shown()
        assert h.agents.agent is None
        await h.press("escape")
        await h.until(lambda: h.agents.agent == "architect")


# -- marks ------------------------------------------------------------------------------------------


async def test_marks_survive_filter_view_order_and_looks_and_go_with_their_agent(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.select("programmer-01")
        await h.press("space", "space")
        assert marked(h) == ("programmer-01", "programmer-02")
        assert h.agents.agent == "programmer-03"
        assert "2 marked" in h.shown().splitlines()[0]
        assert h.shown().count("»") == 2
        await h.press("slash", *"tester")
        await h.press("enter")
        assert marked(h) == ("programmer-01", "programmer-02")
        await h.press("escape", "v", "o", "o")
        assert marked(h) == ("programmer-01", "programmer-02")
        scripted.agents = [a for a in scripted.agents if a[0] != "programmer-01"]
        await h.until(lambda: marked(h) == ("programmer-02",))
        await h.until(lambda: "1 marked" in h.shown())
        scripted.agents.append(("programmer-01", "dir-code", "working", "shell", ""))
        await h.until(lambda: h.screen.fleet.agent("programmer-01"))
        assert marked(h) == ("programmer-02",)
        await h.press("escape")
        assert marked(h) == ()
        assert "marked" not in h.shown().splitlines()[0]


async def test_a_look_that_fails_takes_no_mark(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("space")
        scripted.fault = "disk on fire"
        await h.until(lambda: h.screen.seen.fault)
        assert marked(h) == ("architect",)


async def test_m_marks_what_is_shown_and_not_who_stands_there_for_others(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("slash", *"tester", "enter")
        await h.until(lambda: "Dir-Docs" not in h.shown())
        await h.press("M")
        assert marked(h) == ("tester-01", "tester-02")
        await h.press("M")
        assert marked(h) == ()
        await h.press("escape", "v", "M")
        assert marked(h) == ("dir-code", "programmer-02", "writer-01", "writer-02", "tester-01")


async def test_escape_leaves_the_filter_first_and_the_marks_last(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("space", "slash", *"tester", "enter", "escape")
        assert h.screen.listing.needle == ""
        assert marked(h) == ("architect",)
        await h.press("enter")
        await h.until(lambda: not h.agents.display)
        await h.press("escape")
        await h.until(lambda: h.agents.display)
        assert marked(h) == ("architect",)
        await h.press("escape")
        assert marked(h) == ()


async def test_space_in_a_view_marks_and_stays_with_the_agent(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("tab", "space")
        assert marked(h) == ("architect",)
        assert h.agents.agent == "architect"


async def test_dots_are_marked_too(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("v", "space", "space")
        assert marked(h) == ("architect", "programmer-01")
        assert h.agents.agent == "programmer-03"


# -- mouse ------------------------------------------------------------------------------------------


async def test_a_click_selects_folds_marks_and_sorts(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.pilot.click(FleetList, offset=(12, line_of(h, "dir-docs")))
        assert h.agents.agent == "dir-docs"
        await h.pilot.click(FleetList, offset=(3, line_of(h, "dir-code")))
        await h.until(lambda: "programmer-01" not in listed(h))
        assert h.agents.agent == "dir-code"
        await h.pilot.click(FleetList, offset=(3, line_of(h, "dir-code")))
        await h.until(lambda: "programmer-01" in listed(h))
        await h.pilot.click(FleetList, offset=(0, line_of(h, "tester-01")))
        await h.until(lambda: marked(h) == ("tester-01",))
        await h.pilot.click(FleetList, offset=(1, line_of(h, "tester-01")))
        await h.until(lambda: marked(h) == ())
        for listing in (Listing(sort=Sort.NEED), Listing(sort=Sort.NEED, backwards=True)):
            head = h.shown().splitlines()[h.agents.region.y]
            await h.pilot.click(FleetList, offset=(head.index("phase") + 1, 0))
            await h.until(partial(lambda wanted: h.screen.listing == wanted, listing))


async def test_a_dot_can_be_clicked(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("v")
        assert h.screen.listing.view is View.PROBLEMS
        y = next(i for i, line in enumerate(h.agents._rows) if isinstance(line, Dots)) + 1
        await h.pilot.click(FleetList, offset=(5, y))
        assert h.agents.agent == "programmer-04"


async def test_who_scrolls_away_from_the_selection_stays_there(scripted: Any) -> None:
    scripted.agents = many(300)
    async with hands(scripted, (100, 30)) as h:
        await next_look(h, scripted)
        h.agents.scroll_to(y=100, animate=False, immediate=True)
        scripted.agents[150] = (*scripted.agents[150][:2], "waiting", *scripted.agents[150][3:])
        await h.until(lambda: any(a.phase is Phase.WAITING for a in h.screen.fleet.agents))
        await next_look(h, scripted)
        assert h.agents.scroll_offset.y == 100
        assert h.agents.agent == "a0000"
        await h.pilot.resize_terminal(90, 28)
        await next_look(h, scripted)
        assert h.agents.scroll_offset.y == 100
        await h.press("j")
        assert h.agents.agent == listed(h)[100]


# -- sizes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(132, 36), (60, 20), (40, 10), (3, 2)])
@pytest.mark.parametrize("plain", [False, True])
async def test_every_view_and_order_can_be_drawn_at_every_size(
    scripted: Any, size: tuple[int, int], plain: bool
) -> None:
    async with hands(scripted, size, plain) as h:
        for key in ("space", "v", *["o"] * 7, "O", "v", "Z", "M", "z", "G", "g", "v", "G", "k", "l", "h"):
            await h.press(key)
            assert len(h.shown().splitlines()) == size[1]
        for index in range(len(h.agents._rows)):
            assert not plain or h.agents.draw(index).plain.replace("…", ".").isascii()
