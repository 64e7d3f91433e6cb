"""Every place of the key table, opened in the real program with something in it to act on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widget import Widget

from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.tests.tui import conftest
from hhmrs.tests.tui.conftest import ScriptedSource
from hhmrs.tests.tui.test_app_numbers import Past
from hhmrs.tests.tui.test_app_replay import NIGHT
from hhmrs.tui.app import HhmrsApp
from hhmrs.tui.introducing import Began
from hhmrs.tui.looks import Glyphs
from hhmrs.tui.player import Player
from hhmrs.tui.replay_app import ReplayApp
from hhmrs.tui.screens.past import PastScreen
from hhmrs.tui.screens.postmortem import PostMortemScreen
from hhmrs.tui.screens.welcome import BrokenScreen, WelcomeScreen
from hhmrs.tui.sources.recording import open_recording
from hhmrs.tui.sources.replay import ReplaySource
from hhmrs.tui.sources.settings import FleetFile
from hhmrs.tui.welcome import FrontApp
from hhmrs.tui.work import Diff, Saved

NOW = 1_795_255_200.0
"""The scripted fleet's clock stands still: what changes on the screen was done by a key."""
LONG = 20.0
"""Seconds that a busy machine may take."""
FILE = "fleet: nightly\npolicy: {mode: armed}\nagents:\n" + "".join(
    f"  {name}: {{command: [x]}}\n" for name in ("architect", "dir-code", "tester")
)


@dataclass
class Stage:
    """A program with a screen on top. `told`: every message to the person, none of them shown, so that none
    goes by itself. `asked`: the calls to the port of the past."""

    app: App[Any]
    pilot: Pilot[Any]
    source: Any = None
    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def until(self, holds: Callable[[], Any], why: str = "", seconds: float = LONG) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    await self.pilot.pause(0.01)
        except TimeoutError:
            raise AssertionError(f"{why}\n{self.text()}") from None

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    async def settle(self) -> None:
        """Until two looks are alike."""
        before, now = None, self.look()
        while before != now:
            await self.pilot.pause(0.02)
            before, now = now, self.look()

    def shows(self, words: str) -> bool:
        return words in " ".join(self.text().split())

    def text(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(piece.text for piece in strip) for strip in strips)

    @property
    def top(self) -> str:
        return type(self.app.screen).__name__

    def look(self) -> tuple[object, ...]:
        """All that a person can notice: screens, text, focus, cursors, what is scrolled, told and sent."""
        screens = tuple(type(screen).__name__ for screen in self.app.screen_stack)
        parts = tuple(
            (
                part.id,
                part.scroll_offset,
                *(repr(getattr(part, name, "")) for name in ("cursor", "highlighted")),
            )
            for part in self.app.screen.walk_children(Widget)
        )
        focused = self.app.focused.id if self.app.focused is not None else None
        sent = tuple(self.source.orders) if self.source is not None else ()
        return (screens, self.text(), parts, focused, tuple(self.told), len(self.asked), sent, self.app._exit)


@asynccontextmanager
async def _running(app: App[Any], size: tuple[int, int], source: Any = None) -> AsyncGenerator[Stage]:
    app.animation_level = "none"
    async with app.run_test(size=size, notifications=False) as pilot:
        stage = Stage(app, pilot, source)
        app.notify = lambda message, **_: stage.told.append(str(message))  # type: ignore[method-assign]  # so that none goes by itself
        yield stage


class Stages:
    """`open(place)` gives the stage of that place; `source` may be written to before."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = tmp_path
        self.source: Any = ScriptedSource()
        self.source.lines = [f"line {n}" for n in range(80)]
        self.source.hands.handoff = "\n".join(f"handoff {n}" for n in range(80))
        self.agent = "dir-code"
        self.incidents = 30
        """Times two, in the ledger of the past."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(conftest, "time", SimpleNamespace(time=lambda: NOW))
        monkeypatch.setattr("hhmrs.tui.screens.answer.EVERY", 3600.0)
        for screen in (PastScreen, PostMortemScreen):
            monkeypatch.setattr(screen, "every", 3600.0)

    @asynccontextmanager
    async def open(self, place: str) -> AsyncGenerator[Stage]:
        async with AsyncExitStack() as stack:
            way = getattr(self, f"_{place}")
            yield await way(stack)

    # -- the fleet and what opens over it ---------------------------------------------------------
    async def _fleet(self, stack: AsyncExitStack, size: tuple[int, int] = (132, 40)) -> Stage:
        app = HhmrsApp(self.source, Glyphs())
        stage = await stack.enter_async_context(_running(app, size, self.source))
        screen = app.fleet_screen
        await stage.until(lambda: screen.fleet.agents)
        screen.reveal(self.agent)
        await stage.until(lambda: screen.agents.agent == self.agent and screen.seen.focus == self.agent)
        if screen.query_one("#agent").display:
            await stage.until(lambda: stage.shows("line 79"))
        await stage.settle()
        return stage

    async def _small(self, stack: AsyncExitStack) -> Stage:
        app = HhmrsApp(self.source, Glyphs())
        stage = await stack.enter_async_context(_running(app, (30, 8), self.source))
        await stage.until(lambda: stage.shows("Make it larger"))
        return stage

    async def _over(
        self, stack: AsyncExitStack, keys: str, words: str, size: tuple[int, int] = (100, 20)
    ) -> Stage:
        stage = await self._fleet(stack, size)
        for key in keys.split():
            await stage.press(key)
        await stage.until(lambda: stage.shows(words))
        await stage.settle()
        return stage

    async def _help(self, stack: AsyncExitStack) -> Stage:
        return await self._over(stack, "question_mark", "Recover")

    async def _outcomes(self, stack: AsyncExitStack) -> Stage:
        stage = await self._fleet(stack, (100, 20))
        desk = stage.app.fleet_screen.ordering.desk  # type: ignore[attr-defined]  # the fleet's own program
        for number in range(40):
            desk.tell(NOW, True, f"outcome {number}")
        await stage.press("L")
        await stage.until(lambda: stage.shows("outcome 39"))
        return stage

    async def _confirm(self, stack: AsyncExitStack) -> Stage:
        return await self._over(stack, "r", "The handoff it gets", (100, 24))

    async def _edit(self, stack: AsyncExitStack) -> Stage:
        return await self._over(stack, "r n", "Your own words")

    async def _typing(self, stack: AsyncExitStack) -> Stage:
        return await self._over(stack, "t", "(nothing yet)", (100, 30))

    async def _answer(self, stack: AsyncExitStack) -> Stage:
        self.agent = "programmer-02"
        self.source.lines = [*self.source.lines, "Do you want to proceed?", "❯ 1. Yes", "  2. No", "line 79"]
        return await self._over(stack, "y", "enter presses")

    async def _folder(self, stack: AsyncExitStack) -> Stage:
        self.saved()
        return await self._over(stack, "5 b", "Bring back", (132, 40))

    def saved(self) -> None:
        """Checkpoints, so that there is something to bring back."""
        work = self.source.work
        work.shelf = tuple(
            Saved(seq, NOW - 60, "agent", 2, "t-1", ("a step",), ("more",), ("a",), "abc", True, 0, "")
            for seq in (8, 7)
        )
        work.difference = Diff(8, NOW - 60, (" a | 2 +-",), ("diff --git a/a b/a", "-old", "+new"), ())

    # -- the past ---------------------------------------------------------------------------------
    async def _past(self, stack: AsyncExitStack, keys: str, words: str) -> Stage:
        past = Past(self.folder / "past")
        stack.callback(past.book.close)
        stack.callback(past.numbers.close)
        for number in range(self.incidents):
            past.heal(("architect", "tester-01")[number % 2], 600.0 * (number + 1))
            past.give_up("dir-code", 600.0 * (number + 1))
        self.source.numbers = past.numbers
        asked: list[str] = []
        for name in ("document", "incidents", "report"):
            setattr(past.numbers, name, _noted(getattr(past.numbers, name), name, asked))
        stage = await self._over(stack, keys, words)
        stage.asked = asked
        await stage.until(lambda: not stage.shows("reading the ledger"))
        await stage.settle()
        return stage

    async def _numbers(self, stack: AsyncExitStack) -> Stage:
        return await self._past(stack, "d d", "the last 24 hours")

    async def _incidents(self, stack: AsyncExitStack) -> Stage:
        return await self._past(stack, "i", "in all")

    async def _report(self, stack: AsyncExitStack) -> Stage:
        return await self._past(stack, "i enter", "post-mortem of")

    async def _export(self, stack: AsyncExitStack) -> Stage:
        return await self._past(stack, "d d E", "Export to a file")

    # -- the settings -----------------------------------------------------------------------------
    async def _settings(
        self, stack: AsyncExitStack, keys: str = "", words: str = "heartbeat_interval"
    ) -> Stage:
        file = self.folder / "hhmrs.yaml"
        file.write_text(FILE, encoding="utf-8")
        self.source.settings = FleetFile(StateDir(self.folder / "state", "nightly"), file)
        return await self._over(stack, f"comma {keys}", words)

    async def _value(self, stack: AsyncExitStack) -> Stage:
        return await self._settings(stack, "enter", "legal:")

    async def _preview(self, stack: AsyncExitStack) -> Stage:
        (self.folder / "hhmrs.yaml").unlink(missing_ok=True)
        stage = await self._settings(stack, "enter enter", "write it")
        await stage.pilot.resize_terminal(60, 10)
        await stage.settle()
        return stage

    # -- programs of their own --------------------------------------------------------------------
    async def _welcome(self, stack: AsyncExitStack) -> Stage:
        front = WelcomeScreen(Glyphs(), self.folder, lambda: Began(True, ("wrote hhmrs.yaml",)))
        stage = await stack.enter_async_context(_running(FrontApp(front, Glyphs()), (100, 30)))
        await stage.until(lambda: stage.shows("A supervisor for AI coding agents"))
        return stage

    async def _broken(self, stack: AsyncExitStack) -> Stage:
        problems = [f"hhmrs.yaml:{n}:1: unknown key k{n}" for n in range(40)]
        read: Callable[[bool], list[str] | None] = lambda anyway: problems if anyway else None  # noqa: E731  # its type
        front = BrokenScreen(Glyphs(), problems, read)
        stage = await stack.enter_async_context(_running(FrontApp(front, Glyphs()), (60, 20)))
        await stage.until(lambda: stage.shows("40 problems"))
        return stage

    async def _replay(self, stack: AsyncExitStack) -> Stage:
        path = self.folder / "copy.db"
        book = SqliteLedger(path, parents={"kid": "boss"})
        book.claim("nightly", self.folder / "hhmrs.yaml")
        book.append([Row(one.agent, None, (one,)) for one in NIGHT])
        book.close()
        recording = open_recording(path)
        source = ReplaySource(recording, Player(recording.begin, recording.end, speed=1, playing=False))
        stack.callback(source.close)
        app = ReplayApp(source, Glyphs())
        stage = await stack.enter_async_context(_running(app, (100, 30)))
        await stage.until(lambda: app.replay_screen.fleet.agents)
        await stage.press("end")
        await stage.until(lambda: len(app.replay_screen.fleet.agents) == 2)
        await stage.settle()
        return stage


def _noted(call: Callable[..., Any], name: str, asked: list[str]) -> Callable[..., Any]:
    def noted(*args: Any) -> Any:
        asked.append(name)
        return call(*args)

    return noted
