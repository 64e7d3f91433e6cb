"""The screen is found again as it was left: each fleet's view, order and selected agent."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.paths import state_root
from hhmrs.tests.tui.hands import hands
from hhmrs.tui.listing import Listing, Sort, View
from hhmrs.tui.remembered import FLEETS, Left, Memory


async def test_it_is_found_again_as_it_was_left(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("v", "o", "o", "O")
        await h.select("writer-01")
        await h.press("q")
    async with hands(scripted) as h:
        assert h.screen.listing == Listing(View.PROBLEMS, Sort.NAME, backwards=True)
        await h.until(lambda: h.agents.agent == "writer-01")
        assert "by name ↑" in h.shown()
        await h.press("v")
        await h.until(lambda: h.agents.agent == "writer-01" and h.screen.listing.view is View.TREE)


async def test_each_fleet_is_left_in_its_own_way_and_the_theme_stays(scripted: Any) -> None:
    Memory().keep_theme("hhmrs-light")
    async with hands(scripted) as h:
        await h.press("v", "q")
    scripted.name = "daily"
    async with hands(scripted) as h:
        assert h.screen.listing == Listing()
        assert h.app.theme == "hhmrs-light"


async def test_a_change_is_kept_while_the_screen_is_open(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("v")
        await h.until(lambda: Memory().left("nightly").listing.view is View.PROBLEMS)
        assert not h.app._exit


async def test_who_is_gone_is_no_selection(scripted: Any) -> None:
    Memory().keep_left("nightly", Left(Listing(), "gone"))
    async with hands(scripted) as h:
        await h.until(lambda: h.agents.agent == "architect")


async def test_a_memory_that_hangs_keeps_nobody_from_leaving(
    scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object) -> None:
        threading.Event().wait(3)

    monkeypatch.setattr(Memory, "keep_left", hang)
    async with hands(scripted) as h:
        await h.press("v")
        began = time.monotonic()
        await h.press("q")
    assert time.monotonic() - began < 2


WRONG: list[object] = [[], {"nightly": 3}, {"nightly": {"view": [], "sort": {}, "backwards": 1, "agent": 9}}]


@pytest.mark.parametrize("fleets", WRONG)
def test_what_is_damaged_is_forgotten(fleets: object) -> None:
    state_root().mkdir(parents=True)
    Memory().path.write_text(json.dumps({"theme": "hhmrs-light", "fleets": fleets}))
    assert Memory().left("nightly") == Left()
    Memory().keep_left("nightly", Left(agent="one"))
    assert Memory().left("nightly").agent == "one"
    assert Memory().theme() == "hhmrs-light"


def test_the_fleets_used_last_are_remembered(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    for number in range(FLEETS + 5):
        memory.keep_left(f"f{number}", Left(agent="a"))
    memory.keep_left("f9", Left(agent="b"))
    assert memory.left("f4") == Left()
    assert memory.left("f9").agent == "b"
    assert len(json.loads(memory.path.read_bytes())["fleets"]) == FLEETS
    assert [one.name for one in tmp_path.glob("*screen*")] == ["screen.json"]
