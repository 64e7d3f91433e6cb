"""An hour of watching leaves every pane as it was: not one key in its input, not one column off its size.

The hour is the event loop's: its clock runs some hundred times faster than the world's, the observer none
the wiser, and it waits for whoever is late. In each pane a program notes every byte that is typed to it and
every change of its size.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hhmrs.config.fleet import ScreenRule
from hhmrs.controller.ports import Identity
from hhmrs.controller.processes.processes import identify
from hhmrs.controller.terminals.observer import Observer
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.controller.terminals.tmux_control import ControlClient
from hhmrs.healing.evidence import Evidence, OutputSeen

HOUR = 3600.0
SPEED = 600.0
"""Seconds that pass on the loop in one second of the world."""
PATIENCE = 60.0
"""Seconds of the world within which tmux answers."""
PANES = 3
RECORDER = """
import os, select, signal, sys, tty
out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def size(*_):
    os.write(out, b"size %dx%d\\n" % tuple(os.get_terminal_size(0)))
signal.signal(signal.SIGWINCH, size)
tty.setraw(0)
size()
number = 0
while True:
    # Silent panes are watched as well as those that print.
    if len(sys.argv) > 2:
        number += 1
        os.write(1, b"line %d of what is going on\\r\\n" % number)
    if select.select([0], [], [], 0.05)[0]:
        os.write(out, b"typed " + os.read(0, 4096).hex().encode() + b"\\n")
"""


class FastSelector(selectors.DefaultSelector):
    """Its clock, `now`, moves only while it waits, SPEED times faster than the world's, and never past what
    it waits for. While tmux is `asked` something it stands still. So a busy machine makes the hour longer,
    but nothing in it late: what is due at a time is done at that time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.asked = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.asked and timeout:
            found = super().select(PATIENCE)
            self.now += 0.0 if found else timeout
            return found
        began = time.monotonic()
        found = super().select(timeout / SPEED if timeout else timeout)
        passed = (time.monotonic() - began) * SPEED
        self.now += passed if timeout is None else min(passed, timeout) if found else max(timeout, 0.0)
        return found


class FastLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.fast = FastSelector()
        super().__init__(self.fast)

    def time(self) -> float:
        return self.fast.now


class LoopClock:
    def now(self) -> float:
        return asyncio.get_running_loop().time()


class Hour:
    """What was done in the hour, and what the panes noted of it."""

    def __init__(self, terminals: TmuxTerminals, folder: Path, environment: dict[str, str]) -> None:
        self.terminals, self.folder, self.environment = terminals, folder, environment
        self.said: list[Evidence] = []
        self.asked: Counter[str] = Counter()
        self.listed: list[float] = []
        """When tmux was asked for a list of all panes, and when the hour began and ended."""
        self.sizes: list[list[str]] = []

    def run(self, spoil: Sequence[str] = ()) -> None:
        """Watch for an hour; `spoil` is a tmux command that is sneaked in once."""
        with asyncio.Runner(loop_factory=FastLoop) as runner:
            runner.run(self._watch(list(spoil)))

    def notes(self) -> list[str]:
        return [(self.folder / f"note{n}").read_text() for n in range(PANES)]

    async def _watch(self, spoil: list[str]) -> None:
        loop = asyncio.get_running_loop()
        observer = Observer(self.terminals, self.said.append, LoopClock(), loop, late=10 * SPEED)
        await observer.start()
        for number in range(PANES):
            observer.watch(
                f"a{number}",
                1,
                self._start(number),
                screens=[ScreenRule(name="ask", phase="waiting", pattern="9 of", lines=3)],
            )
        # Other processes write them, each its size before anything else.
        while not all((self.folder / f"note{n}").exists() for n in range(PANES)):  # noqa: ASYNC110
            await asyncio.sleep(SPEED / 100)
        link = observer._link
        assert link is not None
        await self._measure(link)
        end = loop.time() + HOUR
        self.listed = [loop.time()]
        while loop.time() < end:
            if spoil and loop.time() > end - HOUR / 2:
                await link.run(*spoil, within=10 * SPEED)
                spoil = []
            await asyncio.sleep(SPEED / 20)
        self.listed.append(loop.time())
        await self._measure(link)
        await observer.stop()

    def _start(self, number: int) -> Identity:
        words = [sys.executable, "-c", RECORDER, str(self.folder / f"note{number}")]
        view = self.terminals.respawn(
            f"a{number}", words + ["prints"] * (number > 0), str(self.folder), self.environment, 1
        )
        return identify(view.pid) or Identity(view.pid, 0.0)

    async def _measure(self, link: ControlClient) -> None:
        form = "#{pane_id} #{pane_width}x#{pane_height} #{window_width}x#{window_height} #{pane_in_mode}"
        self.sizes.append(await link.run("list-panes", "-a", "-F", form, within=10 * SPEED))


@pytest.fixture
def hour(
    terminals: TmuxTerminals,
    tmp_path: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Hour:
    made = Hour(terminals, tmp_path, environment)
    real = ControlClient.run_all

    async def counted(
        self: ControlClient, commands: Sequence[Sequence[str]], within: float = 5.0
    ) -> list[object]:
        made.asked.update(words[0] for words in commands)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FastLoop)
        made.listed += [loop.time() for words in commands if words[0] == "list-panes"]
        loop.fast.asked += 1
        try:
            return list(await real(self, commands, within))
        finally:
            loop.fast.asked -= 1

    monkeypatch.setattr(ControlClient, "run_all", counted)
    return made


@pytest.mark.timeout(300)  # the hour goes on only while nobody waits for tmux
def test_an_hour_of_watching_presses_no_key_and_changes_no_size(hour: Hour) -> None:
    hour.run()
    assert hour.notes() == ["size 120x40\n"] * PANES
    assert hour.sizes[0] == hour.sizes[1]
    assert len(hour.sizes[0]) == PANES + 1, "the hub's too"
    assert hour.asked.keys() == {"list-panes", "list-clients", "display-message", "capture-pane"}
    gaps = [later - sooner for sooner, later in itertools.pairwise(hour.listed)]
    assert max(gaps) < 8.01, "a listing every eight seconds, all the hour"
    assert hour.asked["capture-pane"] > HOUR / 10, "two panes print every half a minute of the hour"
    printed = [e for e in hour.said if isinstance(e, OutputSeen) and e.lines]
    assert {e.agent for e in printed} == {"a1", "a2"}


@pytest.mark.parametrize(
    ("sneaked", "told"),
    [
        (["send-keys", "-t", "=a0:", "x"], lambda hour: hour.notes()[0] == "size 120x40\ntyped 78\n"),
        (["refresh-client", "-C", "90x30"], lambda hour: hour.sizes[0] != hour.sizes[1]),
        (["resize-window", "-t", "=a1:", "-x", "90"], lambda hour: "size 90x40" in hour.notes()[1]),
    ],
)
def test_one_key_or_one_size_in_that_hour_would_have_been_noted(
    hour: Hour, sneaked: list[str], told: Callable[[Hour], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "HOUR", 300.0)
    hour.run(sneaked)
    assert told(hour)
