"""A replay as a person meets it: the night goes by, every key moves in it, nothing can be ordered."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.healing.agent import Happening, Phase
from hhmrs.tui.keymap import PLACES
from hhmrs.tui.looks import Glyphs
from hhmrs.tui.player import Player
from hhmrs.tui.replay_app import ReplayApp
from hhmrs.tui.screens.help import HelpScreen
from hhmrs.tui.screens.replay import ReplayScreen
from hhmrs.tui.sources.recording import open_recording
from hhmrs.tui.sources.replay import NO_ORDERS, NO_PANE, ReplayError, ReplaySource
from hhmrs.tui.widgets.replay_bar import ReplayBar

T0 = 1_795_255_200.0
"""2026-11-21T10:00:00Z."""
HOUR = 3600.0


def happened(at: float, kind: str, agent: str, incident: str | None = None, **fields: Any) -> Happening:
    return Happening(kind, agent, T0 + at, incident, fields)


def turned(at: float, agent: str, old: str, new: str, why: str, incident: str | None = None) -> Happening:
    return happened(at, "agent_phase", agent, incident, **{"from": old, "to": new, "why": why})


STALLED = {"symptom": "stalled", "cause": "stalled", "detail": "silent 60 s"}
CRASHED = {"symptom": "exited", "cause": "crash", "detail": "status 1"}
TRIED = {"n": 1, "strategy": "restart", "restart_count": 1, "failure_count": 0, "attempt": 2}
NIGHT = [
    happened(0, "agent_started", "boss", attempt=1, pid=11, profile="claude", model="sonnet"),
    happened(1, "agent_started", "kid", attempt=1, pid=12, profile="shell", model=None),
    turned(2, "boss", "starting", "working", "first beat"),
    turned(3, "kid", "starting", "working", "first beat"),
    happened(HOUR, "agent_incident", "kid", "kid-i1", **STALLED),
    turned(HOUR, "kid", "working", "stalled", "silent 60 s", "kid-i1"),
    happened(HOUR + 5, "hhmrs_restart", "kid", "kid-i1", reason="silent 60 s", **TRIED),
    turned(HOUR + 5, "kid", "stalled", "recovering", "new", "kid-i1"),
    happened(HOUR + 9, "hhmrs_recovered", "kid", "kid-i1", proof="changed a.py", **TRIED),
    happened(HOUR + 9, "agent_incident_closed", "kid", "kid-i1", outcome="recovered"),
    turned(HOUR + 9, "kid", "recovering", "working", "it works"),
    happened(2 * HOUR, "agent_incident", "boss", "boss-i1", **CRASHED),
    turned(2 * HOUR, "boss", "working", "exited", "status 1", "boss-i1"),
    turned(2 * HOUR + 60, "boss", "exited", "escalated", "x", "boss-i1"),
]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "copy.db"
    book = SqliteLedger(path, parents={"kid": "boss"})
    book.claim("nightly", tmp_path / "hhmrs.yaml")
    book.append([Row(h.agent, None, (h,)) for h in NIGHT])
    book.close()
    return path


class Hands:
    def __init__(self, app: ReplayApp, pilot: Pilot[int]) -> None:
        self.app, self.pilot = app, pilot
        self.screen: ReplayScreen = app.replay_screen
        self.player = app.replay_screen.player

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def until(self, holds: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline, self.shown()
            await self.pilot.pause(0.02)

    async def shows(self, *words: str) -> None:
        await self.until(lambda: all(word in self.shown() for word in words))

    def shown(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(s.text for s in strip) for strip in strips)

    def toasts(self) -> str:
        return " | ".join(note.message for note in self.app._notifications)

    def phase(self, agent: str) -> Phase | None:
        found = self.screen.fleet.agent(agent)
        return found.phase if found is not None else None


@asynccontextmanager
async def replaying(
    ledger: Path, size: tuple[int, int] = (100, 30), *, playing: bool = False, speed: int = 1
) -> AsyncGenerator[Hands, None]:
    recording = open_recording(ledger)
    clock = time.monotonic
    player = Player(recording.begin, recording.end, speed=speed, playing=playing, clock=clock)
    source = ReplaySource(recording, player)
    app = ReplayApp(source, Glyphs())
    app.animation_level = "none"
    async with app.run_test(size=size, notifications=True) as pilot:
        hands = Hands(app, pilot)
        await hands.until(lambda: hands.screen.fleet.agents)
        yield hands
    source.close()


async def test_it_begins_with_the_first_moment_and_says_that_it_is_a_replay(ledger: Path) -> None:
    async with replaying(ledger) as h:
        await h.shows("REPLAY", "nightly", "2026-11-21 10:00:00 ", "paused", "0%", "boss")
        assert "kid" not in h.shown()


async def test_the_end_key_shows_the_end_and_home_the_beginning(ledger: Path) -> None:
    async with replaying(ledger) as h:
        await h.press("end")
        await h.shows("12:01:00 ", "100%", "escalated", "kid")
        assert h.phase("boss") is Phase.ESCALATED
        await h.press("home")
        await h.shows("10:00:00 ")
        await h.until(lambda: h.screen.fleet.agent("kid") is None)


async def test_it_goes_from_trouble_to_trouble_and_back(ledger: Path) -> None:
    async with replaying(ledger) as h:
        await h.press("greater_than_sign")
        await h.shows("11:00:00 ", "stalled")
        await h.press("greater_than_sign")
        await h.shows("12:00:00 ", "exited")
        await h.press("greater_than_sign")
        assert "no trouble after this moment" in h.toasts()
        await h.press("less_than_sign")
        await h.shows("11:00:00 ")
        await h.until(lambda: h.phase("kid") is Phase.STALLED)


async def test_a_minute_on_and_back(ledger: Path) -> None:
    async with replaying(ledger) as h:
        await h.press("full_stop", "full_stop")
        await h.shows("10:02:00 ")
        await h.press("comma")
        await h.shows("10:01:00 ")


async def test_space_plays_and_pauses_and_speed_is_bounded(ledger: Path) -> None:
    async with replaying(ledger) as h:
        await h.press(*["plus"] * 12)
        assert h.player.speed == 3600
        await h.press("space")
        await h.until(lambda: h.player.now > T0 + 600)
        await h.press("space")
        still = h.player.now
        assert not h.player.playing
        await h.shows("paused")
        await h.press(*["minus"] * 12)
        assert (h.player.speed, h.player.now) == (1, still)


async def test_it_plays_to_the_end_and_begins_anew(ledger: Path) -> None:
    async with replaying(ledger, playing=True, speed=3600) as h:
        await h.until(lambda: not h.player.playing)
        await h.shows("end", "100%")
        await h.press("space")
        assert h.player.playing
        await h.until(lambda: T0 < h.player.now < T0 + 2 * HOUR)


async def test_the_timeline_and_what_was_known_then(ledger: Path) -> None:
    async with replaying(ledger) as h:
        h.player.seek(T0 + HOUR + 7)
        await h.until(lambda: h.phase("kid") is Phase.RECOVERING)
        h.screen.reveal("kid")
        await h.shows("restart", "silent 60 s")
        assert "12:00" not in h.shown().replace("REPLAY", "")
        await h.press("2")
        await h.shows(
            "kid is recovering", "incident kid-i1", "1. restart at 11:00:05, pending", "not recorded"
        )


async def test_there_is_no_pane_and_it_says_so(ledger: Path) -> None:
    async with replaying(ledger) as h:
        await h.press("3")
        await h.shows(NO_PANE[:60])


@pytest.mark.parametrize("key", ["r", "n", "e", "t", "a", "P", "y"])
async def test_nothing_can_be_ordered_and_the_reason_is_told(ledger: Path, key: str) -> None:
    before = traces(ledger)
    async with replaying(ledger) as h:
        await h.press(key)
        assert NO_ORDERS in h.toasts()
        with pytest.raises(ReplayError):
            h.screen.replay.order("restart", "boss", {})
    assert traces(ledger) == before


async def test_every_key_of_the_table_does_something(ledger: Path) -> None:
    missing = []
    async with replaying(ledger) as h:
        for key in PLACES["replay"][1]:
            name = key.action.partition("(")[0]
            if not hasattr(h.screen, f"action_{name}"):
                missing.append(key.id)
    assert missing == []


async def test_help_lists_the_keys_of_a_replay(ledger: Path) -> None:
    async with replaying(ledger) as h:
        await h.press("question_mark")
        await h.until(lambda: isinstance(h.app.screen, HelpScreen))
        assert "to the next incident" in h.shown()
        assert "patience" not in h.shown()
        await h.press("escape")
        await h.until(lambda: isinstance(h.app.screen, ReplayScreen))


async def test_a_click_on_the_track_goes_there(ledger: Path) -> None:
    async with replaying(ledger) as h:
        await h.shows("REPLAY")
        first, width = h.screen.query_one(ReplayBar)._track
        assert await h.pilot.click(ReplayBar, offset=(first + width // 2, 0))
        await h.until(lambda: abs(h.player.share - 0.5) < 0.05)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (200, 50)])
async def test_it_fits(ledger: Path, size: tuple[int, int]) -> None:
    async with replaying(ledger, size) as h:
        await h.press("end")
        await h.shows("REPLAY", "12:01:00 ", "100%", "? help", "space")
        assert [len(line) for line in h.shown().splitlines()] == [size[0]] * size[1]


def traces(ledger: Path) -> list[tuple[str, int, bytes]]:
    """The file and whatever stands beside it."""
    return sorted((p.name, p.stat().st_mtime_ns, p.read_bytes()) for p in ledger.parent.glob("copy.db*"))


async def test_the_copy_is_left_as_it_was(ledger: Path) -> None:
    before = traces(ledger)
    async with replaying(ledger) as h:
        await h.press("end", "home", "greater_than_sign")
        await h.shows("11:00:00 ")
    assert traces(ledger) == before
