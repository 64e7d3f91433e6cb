"""Keys that come in one go, as over a slow line or from a paste: they go where the first of them leads, and
none of them becomes an order that nobody gave."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events
from textual.keys import _character_to_key

from hhmrs.tests.tui.hands import Hands, hands
from hhmrs.tui.widgets.pane import PaneView


def at_once(h: Hands, text: str) -> None:
    """As the driver tells the app of bytes that came together."""
    for char in text:
        key = "enter" if char == "\r" else "tab" if char == "\t" else _character_to_key(char)
        assert h.app.post_message(events.Key(key, char))


async def settled(h: Hands) -> None:
    for _ in range(10):
        await h.pilot.pause()


async def test_a_filter_typed_in_one_go_is_a_filter(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.select("programmer-01")
        at_once(h, "/python syp")
        await h.until(lambda: h.screen.listing.needle == "python syp")
        assert h.app.screen is h.screen
        assert not scripted.orders


async def test_a_search_typed_in_one_go_is_a_search(scripted: Any) -> None:
    scripted.lines = ["python", "other"]
    async with hands(scripted) as h:
        await h.select("programmer-01")
        await h.press("tab")
        at_once(h, "/python\r")
        await h.until(lambda: h.screen.query_one(PaneView).needle == "python")
        assert h.app.screen is h.screen
        assert not scripted.orders


@pytest.mark.parametrize(
    "opening", ["t", "T", "y", "r", "R", "s", "u", "n", ",", "i", "d", "?", "L", "P", "U"]
)
async def test_what_is_typed_behind_an_opening_key_orders_nothing(scripted: Any, opening: str) -> None:
    async with hands(scripted) as h:
        await h.select("programmer-02")
        at_once(h, opening + "xpcsS")
        await h.until(lambda: h.app.screen is not h.screen or h.toasts() or opening == "U")
        await settled(h)
        assert not scripted.orders
