"""The program on the screen: wiring only. Quitting it leaves agents and daemon running."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual.command import Provider
from textual.driver import Driver
from textual.pilot import Pilot

from .document import Fleet
from .early import EarlyScreen, fitting_glyphs
from .early_driver import EarlyDriver
from .face import Face
from .feed import Source
from .looks import Glyphs
from .palette import FleetCommands
from .remembered import Remembering
from .ringing import Calling, sequence
from .screens.fleet import FleetScreen
from .themes import HHMRS_DARK
from .widgets.pane import PaneView

EARLY_STANDS = 2.0
"""Seconds after which the early frame goes, whether or not there is a look at the fleet to take its place."""


class HhmrsApp(Face):
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = Face.COMMANDS | {FleetCommands}

    def __init__(
        self,
        source: Source,
        glyphs: Glyphs,
        theme: str | None = None,
        driver: type[Driver] | None = None,
    ) -> None:
        super().__init__(glyphs, theme, driver)
        self.fleet_screen = FleetScreen(source, glyphs, Remembering(self._memory, source.name))

    def on_mount(self) -> None:
        if isinstance(self._driver, EarlyDriver):
            self.fleet_screen.when_seen = self._driver.release
            self.set_timer(EARLY_STANDS, self._driver.release)
        _ = self.push_screen(self.fleet_screen)

    def on_calling(self, message: Calling) -> None:
        """Through the driver only, so that it comes between two frames and never into one."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence(message.call, os.environ))

    def on_app_blur(self) -> None:
        self.fleet_screen.feed.slow(True)

    def on_app_focus(self) -> None:
        self.fleet_screen.feed.slow(False)


def run_app(
    source: Source,
    *,
    glyphs: Glyphs | None = None,
    theme: str | None = None,
    early: EarlyScreen | None = None,
) -> int:
    """Run the screen until it is left; the exit code. Says afterwards what goes on without it. `early`: the
    frame that stands on the terminal already."""
    if early is not None and not early.shown:
        early.close()
    EarlyDriver.early = early
    driver = EarlyDriver if early is not None and early.shown else None
    app = HhmrsApp(source, glyphs or fitting_glyphs(), theme, driver)
    gc.freeze()  # what is loaded by now stays: nobody need look whether it is garbage
    gc.enable()
    code = app.run()
    sys.stdout.write(farewell(app.fleet_screen.fleet) + "\n")
    return code if isinstance(code, int) else app.return_code or 0


def farewell(fleet: Fleet) -> str:
    """What goes on after the screen is closed."""
    live = sum(agent.pid is not None for agent in fleet.agents)
    if fleet.up:
        kept = f"The daemon of {fleet.name} and {live} agent{'s' if live != 1 else ''} keep running"
        return f"The screen is closed. {kept}; `hhmrs down` ends the daemon."
    return f"The screen is closed. No daemon of {fleet.name} is running; {live} agents were last seen alive."


def export_svg(
    source: Source,
    path: Path,
    size: tuple[int, int] = (132, 36),
    *,
    keys: Sequence[str] = (),
    theme: str | None = None,
    title: str = "hhmrs-tui",
) -> None:
    """Draw the real screen without a terminal, press `keys`, and write it to `path` as SVG."""
    svg = asyncio.run(_picture(HhmrsApp(source, Glyphs(), theme or HHMRS_DARK.name), size, keys, title))
    path.write_text(svg, encoding="utf-8")


async def _picture(app: HhmrsApp, size: tuple[int, int], keys: Sequence[str], title: str) -> str:
    async with app.run_test(size=size) as pilot:
        await _until(pilot, lambda: bool(app.fleet_screen.fleet.agents))
        for key in keys:
            await pilot.press(key)
        screen = app.fleet_screen
        if screen.tab == "pane" and screen.agents.agent is not None:
            await _until(pilot, lambda: screen.query_one(PaneView).virtual_size.height > 0)
        await pilot.pause(0.7)  # the bar is bright for half a second after a new event
        return app.export_screenshot(title=title, simplify=True)


async def _until(pilot: Pilot[int], there: Callable[[], bool], tries: int = 60) -> None:
    for _ in range(tries):
        await pilot.pause(0.05)
        if there():
            return
