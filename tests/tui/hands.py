"""Somebody at the keys of the real screen, for every test of it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot

from hhmrs.tui.app import HhmrsApp
from hhmrs.tui.looks import Glyphs
from hhmrs.tui.screens.fleet import FleetScreen
from hhmrs.tui.widgets.fleet_list import FleetList


class Hands:
    """A pilot with a deadline instead of pauses."""

    def __init__(self, app: HhmrsApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot
        self.screen: FleetScreen = app.fleet_screen

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def until(self, holds: Callable[[], Any], why: str = "") -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, why or self.shown()
            await self.pilot.pause(0.02)

    def fills(self, width: int, height: int) -> bool:
        """Whether what is shown is of that size, in each line."""
        return [len(line) for line in self.shown().splitlines()] == [width] * height

    def shown(self) -> str:
        """The text of the whole screen."""
        height = self.app.size.height
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(s.text for s in strip) for strip in strips[:height])

    @property
    def agents(self) -> FleetList:
        return self.screen.agents

    async def select(self, agent: str) -> None:
        self.screen.reveal(agent)
        await self.until(lambda: self.agents.agent == agent and self.screen.seen.focus == agent)

    def toasts(self) -> str:
        return " | ".join(note.message for note in self.app._notifications)


@asynccontextmanager
async def hands(
    source: Any, size: tuple[int, int] = (132, 36), plain: bool = False
) -> AsyncGenerator[Hands, None]:
    app = HhmrsApp(source, Glyphs(plain))
    app.animation_level = "none"
    async with app.run_test(size=size, notifications=True) as pilot:
        seen = Hands(app, pilot)
        await seen.until(lambda: bool(app.fleet_screen.fleet.agents) or app.fleet_screen.seen.fault)
        yield seen
