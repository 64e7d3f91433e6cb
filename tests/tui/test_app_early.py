"""The early frame: the same picture as the screen's own first one, and a terminal that nothing spoils."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.cells import cell_len

from hhmrs.config.loading import load_fleet
from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.lock import DaemonLock, Holder
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.controller.reports.roster import keep_roster, read_roster
from hhmrs.healing.agent import (
    AgentState,
    Happening,
    Hold,
    Incident,
    Phase,
    Recovery,
    Stage,
    Strategy,
    Task,
    Trace,
)
from hhmrs.tests.tui.hands import hands
from hhmrs.tui.daemon_source import DaemonSource
from hhmrs.tui.early_frame import Paint, cells_beside, frame, painted
from hhmrs.tui.glimpse import find, glimpse
from hhmrs.tui.listing import Listing, Sort, View
from hhmrs.tui.looks import Glyphs
from hhmrs.tui.remembered import Left, Memory

FILE = """fleet: early
profiles:
  idle: {command: [sleep, "9"]}
agents:
  lead: {profile: idle, title: "The Lead"}
  build: {profile: idle, parent: lead}
  tests: {profile: idle, parent: build, title: "Tests [red]"}
  docs: {profile: idle, parent: lead}
  far: {profile: idle, parent: docs}
  new: {profile: idle}
"""
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


def _many(more: int) -> str:
    return "".join(f"  m{number:03d}: {{profile: idle, parent: far}}\n" for number in range(more))


class House:
    """A fleet file, its ledger, and its lock held as a daemon holds it."""

    def __init__(self, root: Path, more: int = 0) -> None:
        self.root, self.config = root, root / "hhmrs.yaml"
        self.config.write_text(FILE + _many(more))
        then = time.time() - 60
        os.utime(self.config, (then, then))
        self.state = StateDir(root / "state", "early")
        self.state.create()
        self.spec = load_fleet(self.config)
        self.book = SqliteLedger(self.state.ledger)
        self.lock, me = DaemonLock(self.state), psutil.Process()
        began = time.time() - 7200
        self.lock.acquire(
            Holder(me.pid, me.create_time(), "h", "0", str(self.config), "armed", began, ready=True)
        )
        self.put()
        keep_roster(self.state, self.spec, time.time())

    def put(self) -> None:
        now = time.time()
        live: dict[str, Any] = {"attempt": 1, "pid": 1, "created": 1.0, "alive": True}
        seen = Trace(output=now - 3, file=now - 400)
        trouble = Incident("build-i1", now - 90, "silence", "stalled", "no output", level=2)
        recovery = Recovery(Strategy.RESTART, Stage.BACKOFF, "k", 0, due=now + 3000)
        rows: list[dict[str, Any]] = [
            {"id": "lead", "phase": Phase.WAITING, "trace": seen, "message": "may I?", "progress": 0.4},
            {"id": "build", "phase": Phase.STALLED, "incident": trouble, "recovery": recovery, "restarts": 2},
            {
                "id": "tests",
                "phase": Phase.LIMITED,
                "limited_until": now + 7000,
                "task": Task("t", "test it"),
            },
            {"id": "docs", "phase": Phase.WORKING, "trace": seen, "held_back": (Hold("slots", "full", now),)},
            {"id": "far", "phase": Phase.RECOVERING},
        ]
        rows += [{"id": name, "phase": Phase.WORKING} for name in self.spec.agents if name.startswith("m")]
        self.book.append([Row(r["id"], AgentState(**live, since=now - 500, **r)) for r in rows])

    def intervene(self) -> None:
        fields: dict[str, object] = {"reason": "no sign of life", "cause": "stalled"}
        happening = Happening("hhmrs_timeout", "build", time.time(), None, fields)
        self.book.append([Row("build", None, (happening,))])

    def close(self) -> None:
        self.lock.release()
        self.book.close()


class Silent:
    """No tmux: the panes are no part of the frame."""

    def capture(self, *_: Any, **__: Any) -> list[str]:
        return []

    def pane_of(self, _: str) -> None:
        return None


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    made = House(tmp_path, getattr(request, "param", 0))
    yield made
    made.close()


def without_ages(line: str) -> str:
    """Two looks are never of the same second."""
    return re.sub(r"\b\d+[smhd]\b", "#", line).rstrip()


@pytest.mark.parametrize("size", [(180, 50), (132, 36), (110, 24), (80, 24), (60, 20), (81, 13), (47, 11)])
@pytest.mark.parametrize("house", [0, 80], indirect=True)
async def test_it_is_the_picture_that_the_screen_paints_first(house: House, size: tuple[int, int]) -> None:
    if size[0] != 132:
        house.intervene()
    await assert_the_same_picture(house, size)


WAYS = [
    Left(Listing(View.PROBLEMS), "tests"),
    Left(Listing(View.PROBLEMS, Sort.NAME, backwards=True), "m033"),
    Left(Listing(sort=Sort.TREE, backwards=True), "lead"),
    Left(Listing(), "m077"),
    Left(Listing(sort=Sort.NAME), "tests"),
    Left(Listing(sort=Sort.NEED), "m004"),
    Left(Listing(sort=Sort.SEEN), "build"),
    Left(Listing(sort=Sort.TRIES, backwards=True), "gone"),
    Left(Listing(sort=Sort.CPU), "docs"),
]


@pytest.mark.parametrize("left", WAYS)
@pytest.mark.parametrize("size", [(132, 30), (80, 24)])
@pytest.mark.parametrize("house", [80], indirect=True)
async def test_it_is_as_the_screen_was_left(house: House, size: tuple[int, int], left: Left) -> None:
    Memory().keep_left("early", left)
    shown = await assert_the_same_picture(house, size)
    if left.agent != "gone":
        assert any(line.startswith("▌") for line in shown) or left.agent == "m033"


def unlike(drawn: list[str], shown: list[str], size: tuple[int, int]) -> list[tuple[str, str]]:
    """The lines of the frame that the screen paints otherwise; the agent's half is not in the frame."""
    across = cells_beside(size[0]) if size[0] >= 110 else size[0]
    half = next((i for i, line in enumerate(drawn) if line.startswith("────")), size[1])
    pairs = list(zip(drawn, shown, strict=True))
    found: list[tuple[str, str]] = []
    for early_line, line in [*pairs[:half], pairs[-1]]:
        whole = early_line.lstrip().startswith(("⚡", "hhmrs", "? help"))
        width = size[0] if whole else across - 1  # the last column may be the scroll bar's
        one, other = without_ages(early_line[:width]), without_ages(line[:width])
        if one != other:
            found.append((one, other))
    return found


async def assert_the_same_picture(house: House, size: tuple[int, int]) -> list[str]:
    early = glimpse(house.state, house.config, size[1], Memory().left("early"))
    assert early is not None
    made = frame(early, size, Paint(Glyphs(), "hhmrs-dark", None))
    assert made is not None
    sent = painted(made, size[0], Paint(Glyphs(), "hhmrs-dark", None)).decode()
    drawn = [ESCAPE.sub("", line) for line in re.split(r"\x1b\[\d+;1H", sent)[1:]]
    assert [cell_len(line) for line in drawn] == [size[0]] * size[1]

    source = DaemonSource(house.state, house.spec, Silent())  # type: ignore[arg-type]  # only panes are asked for
    async with hands(source, size) as person:
        await person.until(lambda: person.agents.agent in person.screen.fleet.by_id)
        # Its first paint may be without the bar, which comes with the layout.
        await person.until(lambda: not unlike(drawn, person.shown().splitlines(), size))
        selected = person.agents.agent

    wanted = early.left.agent
    assert wanted in (None, "gone", selected), "another one is selected than when it was left"
    return drawn


def test_there_is_none_where_all_is_not_as_usual(house: House) -> None:
    assert find(house.config, "other") is None
    assert glimpse(house.state, house.config, 9) is not None
    house.config.write_text(FILE + "  late: {profile: idle}\n")
    assert glimpse(house.state, house.config, 9) is None, "the file was changed"
    keep_roster(house.state, load_fleet(house.config), 0.0)
    assert read_roster(house.state, house.config) is None, "it may have been changed while it was read"
    keep_roster(house.state, load_fleet(house.config), time.time() + 9)
    assert glimpse(house.state, house.config, 9) is not None
    house.lock.release()
    assert glimpse(house.state, house.config, 9) is None, "nobody supervises"


def test_a_damaged_roster_is_none(house: House) -> None:
    for text in ("", "[]", "{", '{"config": 1}', "\0", '{"agents": [[1]]}'):
        house.state.roster.write_text(text)
        assert read_roster(house.state, house.config) is None
    house.state.roster.unlink()
    os.mkfifo(house.state.roster)
    assert read_roster(house.state, house.config) is None


class Terminal:
    """The program under a pty: all it printed, and how it left the terminal."""

    def __init__(self, house: House, *argv: str, **environment: str) -> None:
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        env = {k: v for k, v in os.environ.items() if k not in ("TMUX", "NO_COLOR", "TEXTUAL_DRIVER")}
        env |= {"HHMRS_STATE_DIR": str(house.root / "state"), "TERM": "xterm-256color"} | environment
        argv = argv or ("-m", "hhmrs", "--config", str(house.config))
        self.child = subprocess.Popen(
            [sys.executable, *argv],
            env=env,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
        )
        self.text = ""

    def read(self, until: str, within: float = 30.0) -> str:
        """All up to and with `until`, from here on."""
        deadline, told = time.monotonic() + within, ""
        while until not in told and until not in ESCAPE.sub("", told):
            assert time.monotonic() < deadline, ESCAPE.sub("", told)[-3000:]
            if select.select([self.master], [], [], 0.1)[0]:
                told += os.read(self.master, 1 << 16).decode("utf-8", "replace")
        self.text += told
        return told

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def end(self) -> int:
        """Its exit code, everything read."""
        deadline = time.monotonic() + 30
        while self.child.poll() is None or select.select([self.master], [], [], 0.2)[0]:
            assert time.monotonic() < deadline, self.text
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 1 << 16).decode("utf-8", "replace")
        return self.child.returncode

    def sane(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for one in made:
        one.close()


def test_keys_pressed_on_the_early_frame_are_the_screens(house: House, terminals: list[Terminal]) -> None:
    terminals.append(one := Terminal(house))
    early = one.read("The Lead")
    assert "\x1b[?1049h" in early
    assert "\x1b[?1004h" not in early, "it stood there before Textual had the terminal"
    one.press(b"jj")
    told = one.read("Tests [red]  ◔ limited")  # the head of the selected agent, two lines below the first
    assert "\x1b[?1004h" in told
    assert "jj" not in ESCAPE.sub("", one.text), "a key was echoed"
    assert "reading the fleet" not in ESCAPE.sub("", one.text), "an empty screen was painted over the frame"
    assert one.text.count("\x1b[?1049h") == 1, told
    one.press(b"q")
    assert one.end() == 0
    assert one.sane()
    assert "keep running" in one.text.rpartition("\x1b[?1049l")[2]


def test_no_colour_is_no_colour(house: House, terminals: list[Terminal]) -> None:
    terminals.append(one := Terminal(house, NO_COLOR="1", HHMRS_ASCII="1"))
    early = one.read("? help")
    assert not re.search(r"\x1b\[[0-9;]*[34]8;", early)
    assert "▌" not in early
    assert ">v ? The Lead" in ESCAPE.sub("", early)


FAILS = "print('it broke here', file=sys.stderr); raise OSError(5, 'the disk is gone', 'x.db')"
HANGS = "import time; time.sleep(60)"


def started_with(house: House, does: str) -> Terminal:
    """The program with a start that, instead of asking for the daemon, does something else."""
    script = (
        "import sys; from hhmrs.tui.cli import main; import hhmrs.tui.commands.screen as opening\n"
        f"def instead(place): {does}\n"
        "opening.ensure_up = instead\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    return Terminal(house, "-c", script, "--config", str(house.config))


def test_a_start_that_fails_leaves_the_terminal_as_it_was(house: House, terminals: list[Terminal]) -> None:
    terminals.append(one := started_with(house, FAILS))
    assert one.end() == 1
    after = one.text.rpartition("\x1b[?1049l")[2]
    assert "The Lead" in one.text
    assert "it broke here" in after, "said on the screen that went"
    assert "x.db: the disk is gone" in after
    assert one.sane()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_start_that_is_ended_leaves_the_terminal_as_it_was(
    house: House, terminals: list[Terminal], how: signal.Signals
) -> None:
    terminals.append(one := started_with(house, HANGS))
    one.read("The Lead")
    one.child.send_signal(how)
    assert one.end() == 128 + how
    assert one.text.endswith("\x1b[?25h")
    assert one.sane()


def test_another_size_is_drawn_anew(house: House, terminals: list[Terminal]) -> None:
    terminals.append(one := started_with(house, HANGS))
    one.read("? help")
    fcntl.ioctl(one.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
    one.child.send_signal(signal.SIGWINCH)  # no shell has made it the terminal's foreground
    assert "\x1b[12;1H" in one.read("? help")
    one.child.send_signal(signal.SIGTERM)
    assert one.end() == 128 + signal.SIGTERM


def test_without_a_daemon_there_is_no_early_frame(house: House, terminals: list[Terminal]) -> None:
    house.lock.release()
    terminals.append(one := started_with(house, FAILS))
    assert one.end() == 1
    assert "\x1b[?1049h" not in one.text
    assert "starting the daemon of fleet early" in one.text
    assert one.sane()
