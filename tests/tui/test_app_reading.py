"""Reading in a view: scroll back that stays where one reads, and search."""

from __future__ import annotations

from typing import Any

import pytest

from hhmrs.tests.tui.hands import Hands, hands
from hhmrs.tui.widgets.pane import PaneView, moved_up
from hhmrs.tui.widgets.reading import CHOSEN, MATCH


def pane_of(h: Hands) -> PaneView:
    return h.screen.query_one(PaneView)


def numbered(first: int, last: int) -> list[str]:
    return [f"\x1b[32mline\x1b[0m {number}" for number in range(first, last)]


async def at_the_end(h: Hands, last: int) -> None:
    await h.press("enter")
    await h.until(lambda: f"line {last}" in h.shown() and pane_of(h).has_focus)


async def test_what_is_read_stays_where_it_is_while_the_agent_prints_on(scripted: Any) -> None:
    scripted.lines = numbered(0, 200)
    async with hands(scripted, (80, 24)) as h:
        await at_the_end(h, 199)
        await h.press("pageup", "pageup")
        first = h.shown().splitlines()[4].strip()
        assert first.startswith("line 1")
        scripted.lines = numbered(7, 260)
        await h.until(lambda: "line 259" in pane_of(h).plain(pane_of(h).lines - 1))
        await h.until(lambda: h.shown().splitlines()[4].strip() == first)


async def test_one_line_up_is_enough_to_stay_and_the_end_follows_again(scripted: Any) -> None:
    scripted.lines = numbered(0, 200)
    async with hands(scripted, (80, 24)) as h:
        await at_the_end(h, 199)
        await h.press("k")
        scripted.lines = numbered(0, 203)
        await h.until(lambda: pane_of(h).lines == 204)
        assert "line 202" not in h.shown()
        await h.press("G")
        await h.until(lambda: "line 202" in h.shown())
        scripted.lines = numbered(0, 210)
        await h.until(lambda: "line 209" in h.shown())


async def test_a_search_shows_its_count_and_goes_from_match_to_match(scripted: Any) -> None:
    scripted.lines = numbered(0, 200)
    async with hands(scripted, (80, 24)) as h:
        await at_the_end(h, 199)
        await h.press("g", "slash", *"e 15")
        await h.until(lambda: "/e 15  1 of 11 lines" in h.shown())
        assert "line 15" in h.shown()
        await h.press("enter", "f")
        await h.until(lambda: "2 of 11" in h.shown() and "line 150" in h.shown())
        await h.press("F", "F")
        await h.until(lambda: "11 of 11" in h.shown() and "line 159" in h.shown())
        await h.press("f")
        await h.until(lambda: "1 of 11" in h.shown() and "line 15 " in h.shown())
        await h.press("escape")
        await h.until(lambda: "of 11 lines" not in h.shown())
        assert pane_of(h).has_focus
        await h.press("f")
        await h.until(lambda: "nothing is searched for" in h.toasts())


async def test_matches_are_marked_without_colour_and_the_chosen_one_differs(scripted: Any) -> None:
    scripted.lines = ["one Needle, two NEEDLE", "no more", "needle"]
    async with hands(scripted, (80, 24)) as h:
        await h.press("enter")
        await h.until(lambda: "no more" in h.shown())
        await h.press("slash", *"needle", "enter")
        view = pane_of(h)
        await h.until(lambda: view.found == (1, 2))
        first, second = view.draw(1), view.draw(3)
        assert [first.plain[s.start : s.end] for s in first.spans if s.style == CHOSEN] == [
            "Needle",
            "NEEDLE",
        ]
        assert [second.plain[s.start : s.end] for s in second.spans if s.style == MATCH] == ["needle"]
        assert (MATCH.reverse, CHOSEN.underline) == (True, True)


async def test_capitals_count_when_there_are_any(scripted: Any) -> None:
    scripted.lines = ["Error here", "an error", "ERROR"]
    async with hands(scripted, (80, 24)) as h:
        await h.press("enter", "slash", *"error")
        await h.until(lambda: pane_of(h).found[1] == 3)
        await h.press("escape", "slash", *"Error")
        await h.until(lambda: pane_of(h).found[1] == 1)


async def test_the_chosen_match_is_a_line_wherever_that_went(scripted: Any) -> None:
    scripted.lines = [*numbered(0, 60), "the needle", *numbered(60, 80)]
    async with hands(scripted, (80, 24)) as h:
        await at_the_end(h, 79)
        await h.press("slash", *"needle", "enter")
        await h.until(lambda: pane_of(h).found == (1, 1))
        scripted.lines = ["a needle before", *numbered(20, 60), "the needle", *numbered(60, 99)]
        await h.until(lambda: pane_of(h).found == (2, 2))


async def test_nothing_found_is_said_and_markup_is_text(scripted: Any) -> None:
    scripted.lines = ["a [red]b[/] .* c"]
    async with hands(scripted, (80, 24)) as h:
        await h.press("enter", "slash", *"zzz")
        await h.until(lambda: "nothing of it here" in h.shown())
        await h.press("escape", "slash", "left_square_bracket", *"red")
        await h.until(lambda: pane_of(h).found == (1, 1))
        await h.press("escape", "slash", *".*")
        await h.until(lambda: pane_of(h).found == (1, 1))


async def test_every_view_can_be_searched_and_the_tree_keeps_its_filter(scripted: Any) -> None:
    scripted.happen("hhmrs_restart", "architect", ago=12, incident="i1", reason="attempt 1 of 3")
    async with hands(scripted, (100, 30)) as h:
        await h.press("2", "tab", "slash", *"attempt 1", "enter")
        await h.until(lambda: "lines" in h.shown() and h.screen.view.found[1] >= 1)
        await h.press("3")
        await h.until(lambda: "f next" not in h.shown())
        await h.press("2")
        await h.until(lambda: "f next" in h.shown())
        await h.press("escape", "tab", "slash", *"tester")
        await h.until(lambda: h.screen.listing.needle == "tester")


@pytest.mark.parametrize("key", ["j", "k", "pageup", "pagedown", "G", "g", "h", "l"])
async def test_every_key_that_moves_moves_in_the_view(scripted: Any, key: str) -> None:
    scripted.lines = [f"{'wide ' * 40}{number}" for number in range(200)]
    async with hands(scripted, (80, 24)) as h:
        await h.press("enter")
        await h.until(lambda: pane_of(h).lines > 150)
        view = pane_of(h)
        view.scroll_to(8, 50, animate=False, immediate=True)
        await h.press(key)
        await h.until(lambda: view.scroll_offset != (8, 50))


def test_a_place_is_known_again_by_its_lines() -> None:
    lines = [str(number) for number in range(100)]

    assert moved_up(lines, lines, 50) == 0
    assert moved_up(lines, lines[7:], 50) == 7
    assert moved_up(lines, ["other"] * 90, 50) == 0
    assert moved_up([], lines, 0) == 0
    assert moved_up(lines, [], 99) == 0
