"""The screens of a first round through the program, as they look: text and styles against kept files.

Time stands still in them. How to keep a screen that was changed on purpose: tests/tui/pictures.py."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.tests.tui.conftest import ScriptedSource
from hhmrs.tests.tui.pictures import FOLDER, check, drawn
from hhmrs.tests.tui.test_app_numbers import Past
from hhmrs.tests.tui.test_app_replay import NIGHT
from hhmrs.tui.app import HhmrsApp
from hhmrs.tui.feed import Snapshot
from hhmrs.tui.introducing import Began
from hhmrs.tui.looks import Glyphs
from hhmrs.tui.player import Player
from hhmrs.tui.previews import Victim
from hhmrs.tui.replay_app import ReplayApp
from hhmrs.tui.screens.welcome import WelcomeScreen
from hhmrs.tui.sources.recording import open_recording
from hhmrs.tui.sources.replay import ReplaySource
from hhmrs.tui.sources.settings import FleetFile
from hhmrs.tui.welcome import FrontApp

NOW = 1_795_255_200.0
"""2026-11-21T10:00:00Z."""
HOUR = 3600.0
FILE = """\
# What runs here.
fleet: nightly
policy:                 # for all
  mode: armed           # or observe
  max_restarts: 2       # then another model
  task_deadline: 4h     # long

agents:
  architect: {command: [x]}
  dir-code: {parent: architect, command: [x], policy: {task_deadline: 6h}}
"""
WHY = (
    "tester-01 is escalated for 12.0 s: every strategy is spent; a person is needed: exit 3",
    "  output         12.0 s ago  from tmux: its pane changed",
    "  file            3 min ago  from its workspace",
    "  attempt 5 on opencode, process not running",
    "  budget used: 3 of 3 restarts, 3 of 3 reassigns",
    "  its last words: git: unresolved merge conflict",
    "next: nothing until `clear`",
)
HANDOFF = """\
# Handoff, attempt 2

You take over work from another agent or model, which did not succeed.

## Task
write src/tokens.py
"""

Step = tuple[Sequence[str], str]
"""Keys, or letters to type; then what can be read."""
STEPS: dict[str, list[Step]] = {
    "tree": [],
    "failing": [("w", "tester-01  ▲ escalated"), ("", "23 passed")],
    "problems": [("v", "needs you now"), ("w", "tester-01  ▲"), ("", "23 passed")],
    "explain": [("w", "tester-01  ▲"), ("3", "a person is needed")],
    "incident": [("w", "tester-01  ▲"), (("2", "enter"), "✗ failure")],
    "answer": [("ww", "programmer-02  ◆"), ("y", "types 'yes'")],
    "reassign": [("jjjj", "programmer-03  ●"), ("R", "Reassign"), ("", "4004 python3")],
    "numbers": [("d", "last night"), ("", "attempts proved")],
    "incidents": [("i", "tester-01")],
    "post-mortem": [("i", "tester-01"), (("enter",), "tester-01-i4")],
    "settings": [((",",), "heartbeat_interval")],
    "settings-diff": [
        (",", "heartbeat_interval"), ("/", "filter"), ((*"max_restarts", "enter"), "max_restarts = 2"),
        (("enter",), "it will be 2"), (("backspace", "5"), "it will be 5"),
        (("enter",), "+  max_restarts: 5"),
    ],
    "help": [("?", "wake the agent")],
    "daemon-gone": [("", "NO DAEMON")],
}  # fmt: skip
FRONT = ("first-run", "first-file")
REPLAY = ("replay",)
SMALL = ("tree", "problems", "explain", "answer", "reassign", "numbers", "settings", "first-run")
WIDE, NARROW = (100, 30), (60, 20)
OTHERS = [("tree", WIDE, "light"), ("tree", WIDE, "contrast"), ("first-run", WIDE, "light")]
Case = tuple[str, tuple[int, int], str]
CASES: list[Case] = [
    *((name, WIDE, "dark") for name in (*FRONT, *STEPS, *REPLAY)),
    *((name, NARROW, "dark") for name in SMALL),
    *OTHERS,
]


def named(case: Case) -> str:
    name, (width, height), theme = case
    return f"{name}-{width}x{height}" + ("" if theme == "dark" else f"-{theme}")


class Tonight(ScriptedSource):
    """The fleet of all these tests, with what has just happened in it."""

    def __init__(self) -> None:
        super().__init__()
        self.hands.handoff, self.hands.victims = HANDOFF, (Victim(4004, "python3 worker.py"),)
        lost = "tester-01-i4"
        self.happen("agent_asked", "programmer-02", ago=80, question="Allow edit of pyproject.toml?",
                    options=["yes", "no"])  # fmt: skip
        self.happen("agent_incident", "tester-01", ago=41, incident=lost, symptom="exited", cause="crash",
                    detail="exit 3")  # fmt: skip
        self.happen("hhmrs_restart", "tester-01", ago=40, incident=lost, strategy="restart", n=3,
                    reason="exit 3", cause="crash")  # fmt: skip
        self.happen("agent_exited", "tester-01", ago=13, incident=lost, reason="exit 3", status=3, attempt=5)
        self.happen("agent_attempt_failed", "tester-01", ago=13, incident=lost, strategy="restart", n=3,
                    why="exited again: exit 3")  # fmt: skip
        self.happen("hhmrs_failure", "tester-01", ago=12, incident=lost, cause="crash",
                    reason="every strategy is spent")  # fmt: skip
        self.happen("hhmrs_timeout", "dir-code", ago=6, incident="dir-code-i9", reason="no life for 60 s")
        self.happen("hhmrs_restart", "dir-code", ago=4, incident="dir-code-i9", reason="no life for 60 s")

    def snapshot(self, focus: str | None) -> Snapshot:
        seen = super().snapshot(focus)
        return replace(seen, explain=WHY) if focus == "tester-01" else seen


@dataclass
class Viewer:
    app: App[int]
    pilot: Pilot[int]
    source: Tonight

    def shown(self) -> str:
        return drawn(self.app).partition("\n===")[0]

    async def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, self.shown()
            await self.pilot.pause(0.02)

    async def go(self, steps: Sequence[Step]) -> None:
        for keys, words in steps:
            await self.pilot.press(*keys)
            await self.until(partial(self.reads, words))

    def reads(self, words: str) -> bool:
        return words in self.shown()

    async def settled(self) -> str:
        """What is seen once the fleet was looked at twice more and nothing moves."""
        for line in self.app.screen.query(Input):
            line.cursor_blink = False
        looks = self.source.looks
        await self.until(lambda: self.source.looks > looks + 1 or not isinstance(self.app, HhmrsApp))
        seen, same = drawn(self.app), 0
        while same < 3:
            await self.pilot.pause(0.05)
            before, seen = seen, drawn(self.app)
            same = same + 1 if seen == before else 0
        return seen


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose name has always the same length: paths are part of some screens."""
    folder = Path(tempfile.mkdtemp(prefix="hhmrs-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One moment, one zone, one terminal, whatever the machine has."""
    monkeypatch.setattr(time, "time", lambda: NOW)
    still = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr("hhmrs.tui.widgets.tron.time", still)
    for name, value in {"TZ": "UTC", "TERM": "xterm-256color", "COLORTERM": "truecolor"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HHMRS_ASCII", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def tonight(place: Path) -> Iterator[Any]:
    source = Tonight()
    past = Past(place / "state")
    for hours, agent in ((15.2, "dir-code"), (11.0, "programmer-01"), (3.4, "dir-docs")):
        past.heal(agent, ago=hours * HOUR, detail="no life for 60 s")
    past.give_up("tester-01", ago=5.1 * HOUR)
    past.heal("dir-code", ago=4.9 * HOUR, cause="looping", detail="the same 3 lines came back 41 times")
    source.numbers = past.numbers
    file = place / "hhmrs.yaml"
    file.write_text(FILE, encoding="utf-8")
    source.settings = FleetFile(StateDir(place / "none", "nightly"), file)
    yield source
    past.numbers.close()
    past.book.close()


def front(name: str, theme: str) -> FrontApp:
    wrote = Began(True, ("wrote /home/ann/project/hhmrs.yaml", "3 agents of the profile claude"))
    screen = WelcomeScreen(Glyphs(), Path("/home/ann/project"), lambda: wrote)
    screen.began = wrote if name == "first-file" else None
    return FrontApp(screen, Glyphs(), theme)


def replayed(place: Path) -> tuple[ReplayApp, ReplaySource]:
    path = place / "copy.db"
    book = SqliteLedger(path, parents={"kid": "boss"})
    book.claim("nightly", place / "hhmrs.yaml")
    book.append([Row(one.agent, None, (one,)) for one in NIGHT])
    book.close()
    recording = open_recording(path)
    player = Player(recording.begin, recording.end, speed=60, playing=False, clock=lambda: 0.0)
    source = ReplaySource(recording, player)
    return ReplayApp(source, Glyphs()), source


@pytest.mark.parametrize("case", CASES, ids=named)
async def test_the_screen_looks_as_it_is_kept(case: Case, tonight: Any, place: Path, tmp_path: Path) -> None:
    name, size, shade = case
    theme, steps, source = f"hhmrs-{shade}", STEPS.get(name, []), None
    app: App[int]
    if name in FRONT:
        app, steps = front(name, theme), [("", "q")]
    elif name in REPLAY:
        app, source = replayed(place)
        steps = [("", "REPLAY"), (">", "stalled"), ("2", "kid")]
    else:
        app = HhmrsApp(tonight, Glyphs(), theme)
        tonight.up = name != "daemon-gone"
        steps = [("", "23 passed"), *steps]  # a key that comes before the first look finds nobody
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        viewer = Viewer(app, pilot, tonight)
        await viewer.go(steps)
        seen = await viewer.settled()
        check(app, named(case), seen.replace(str(place), "/tmp/hhmrs-pictures"[: len(str(place))]), tmp_path)
    if source is not None:
        source.close()


def test_no_picture_is_kept_of_what_is_no_more() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(map(named, CASES))
