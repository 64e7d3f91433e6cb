"""An hour of watching leaves every pane as it was: not one key in its input, not one column off its size.

The hour is the event loop's: its clock runs some hundred times faster than the world's, the observer none
the wiser. In each pane a program notes every byte that is typed to it and every change of its size.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hhmrs.config.fleet import ScreenRule
from hhmrs.controller.observer import Observer
from hhmrs.controller.ports import Identity
from hhmrs.controller.processes import identify
from hhmrs.controller.tmux import TmuxTerminals
from hhmrs.controller.tmux_control import ControlClient
from hhmrs.healing.evidence import Evidence, OutputSeen

HOUR = 3600.0
SPEED = 600.0
"""Seconds that pass on the loop in one second of the world."""
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
    if select.select([0], [], [], 0.02)[0]:
        os.write(out, b"typed " + os.read(0, 4096).hex().encode() + b"\\n")
"""


class FastSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / SPEED if timeout else timeout)


class FastLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(FastSelector())

    def time(self) -> float:
        return super().time() * SPEED


class LoopClock:
    def now(self) -> float:
        return asyncio.get_running_loop().time()


class Hour:
    """What was done in the hour, and what the panes noted of it."""

    def __init__(self, terminals: TmuxTerminals, folder: Path, environment: dict[str, str]) -> None:
        self.terminals, self.folder, self.environment = terminals, folder, environment
        self.said: list[Evidence] = []
        self.asked: Counter[str] = Counter()
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
        while loop.time() < end:
            if spoil and loop.time() > end - HOUR / 2:
                await link.run(*spoil, within=10 * SPEED)
                spoil = []
            await asyncio.sleep(SPEED / 20)
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
        return list(await real(self, commands, within))

    monkeypatch.setattr(ControlClient, "run_all", counted)
    return made


def test_an_hour_of_watching_presses_no_key_and_changes_no_size(hour: Hour) -> None:
    hour.run()
    assert hour.notes() == ["size 120x40\n"] * PANES
    assert hour.sizes[0] == hour.sizes[1]
    assert len(hour.sizes[0]) == PANES + 1, "the hub's too"
    assert hour.asked.keys() == {"list-panes", "list-clients", "display-message", "capture-pane"}
    assert hour.asked["list-panes"] > 0.6 * HOUR / 8, "a listing every few seconds, all the hour"
    assert hour.asked["capture-pane"] > HOUR / 5
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
