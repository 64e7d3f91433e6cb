"""Terminals that are written to, heard through the kernel: at once, bounded, and never somebody else's."""

from __future__ import annotations

import asyncio
import os
import pty
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

import hhmrs.controller.terminals.ttys as ttys_module
from hhmrs.controller.inotify import IN_Q_OVERFLOW, Inotify, Notice
from hhmrs.controller.terminals.ttys import BUSY_FOR, TtyWatch


class Terminal:
    """Both ends of a terminal, as tmux and an agent would hold them."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.name = os.ttyname(self.slave)

    def prints(self, text: bytes = b"x\r\n") -> None:
        os.write(self.slave, text)

    def close(self) -> None:
        os.close(self.slave)
        os.close(self.master)


class Ear:
    """Counts what one name was told."""

    def __init__(self) -> None:
        self.spoke = self.gone = self.woken = 0

    def hears(self, woken: bool) -> None:
        self.spoke += 1
        self.woken += woken

    def loses(self) -> None:
        self.gone += 1


@pytest.fixture
async def ttys() -> AsyncIterator[TtyWatch]:
    found = TtyWatch(asyncio.get_running_loop(), quickest=0.05)
    yield found
    found.close()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


Eventually = Callable[..., Awaitable[None]]


async def test_what_is_written_is_heard_and_later_writes_too(
    ttys: TtyWatch, terminal: Terminal, eventually: Eventually
) -> None:
    ear = Ear()
    assert ttys.watch("a", terminal.name, ear.hears, ear.loses)
    for times in (1, 2, 3):
        await eventually(lambda: ttys._armed)
        terminal.prints()
        await eventually(lambda times=times: ear.spoke == times)
    assert ear.gone == 0
    assert ttys.why == ""


async def test_typed_keys_are_not_heard(ttys: TtyWatch, terminal: Terminal, eventually: Eventually) -> None:
    ear = Ear()
    ttys.watch("a", terminal.name, ear.hears, ear.loses)
    os.write(terminal.master, b"typed by somebody\n")
    assert os.read(terminal.slave, 100)
    terminal.prints()
    await eventually(lambda: ear.spoke)
    assert ear.spoke == 1


async def test_a_flood_is_told_a_few_times_only(
    ttys: TtyWatch, terminal: Terminal, eventually: Eventually
) -> None:
    ear, writes = Ear(), 0
    ttys.watch("a", terminal.name, ear.hears, ear.loses)
    while ear.spoke < 5:
        terminal.prints()
        os.read(terminal.master, 65536)
        writes += 1
        await asyncio.sleep(0)
    assert writes > 100


async def test_with_many_that_speak_each_is_listened_to_less_often(eventually: Eventually) -> None:
    loop = asyncio.get_running_loop()
    found = TtyWatch(loop, quickest=0.05, rearms=10.0)
    terminals = [Terminal() for _ in range(20)]
    ears = [Ear() for _ in terminals]
    try:
        for number, (one, ear) in enumerate(zip(terminals, ears, strict=True)):
            found.watch(str(number), one.name, ear.hears, ear.loses)
        for one in terminals:
            one.prints()
        await eventually(lambda: all(ear.spoke == 1 for ear in ears))
        assert (found.busy, found.pace) == (20, 2.0)
        quiet = Terminal()
        terminals.append(quiet)
        late = Ear()
        found.watch("quiet", quiet.name, late.hears, late.loses)
        quiet.prints()
        # The first sign after quiet waits for nobody.
        await eventually(lambda: late.spoke)
        assert len(found._resting) == 21
        found._spoke = dict.fromkeys(found._spoke, loop.time() - BUSY_FOR)
        assert found.pace == 0.05
    finally:
        found.close()
        for one in terminals:
            one.close()


async def test_one_that_speaks_out_of_silence_is_listened_to_again_in_a_moment(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, eventually: Eventually
) -> None:
    monkeypatch.setattr(ttys_module, "CALM", 0.1)
    loop = asyncio.get_running_loop()
    found, ear = (
        TtyWatch(loop, quickest=3600.0, rearms=0.01),
        Ear(),
    )  # others rest for an hour
    try:
        found.watch("a", terminal.name, ear.hears, ear.loses)
        silent = loop.time() + 0.1
        await eventually(lambda: loop.time() > silent)
        terminal.prints()
        await eventually(lambda: ear.spoke)
        assert (ear.woken, found.pace) == (1, 3600.0)
        await eventually(lambda: found._armed)
        terminal.prints()
        await eventually(lambda: ear.spoke == 2)
        assert (ear.woken, list(found._resting)) == (1, ["a"]), "now it speaks all the time"
        found._eager = 0.0
        assert not found._may_be_eager(found._eager_at)
    finally:
        found.close()


async def test_a_crowd_is_taken_in_together_and_nobody_is_missed(
    monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(ttys_module, "CROWD", 3)
    found = TtyWatch(asyncio.get_running_loop(), quickest=0.05)
    terminals, ears, reads = [Terminal() for _ in range(8)], [Ear() for _ in range(8)], 0
    real = Inotify.read

    def counted(self: Inotify) -> list[Notice]:
        nonlocal reads
        reads += 1
        return real(self)

    monkeypatch.setattr(Inotify, "read", counted)
    try:
        for number, (one, ear) in enumerate(zip(terminals, ears, strict=True)):
            found.watch(str(number), one.name, ear.hears, ear.loses)
        for times in range(1, 4):
            await eventually(lambda: len(found._armed) == 8)
            for one in terminals:
                one.prints()
                await asyncio.sleep(0.002)
            await eventually(lambda times=times: all(ear.spoke >= times for ear in ears))
        assert reads < 18, "not once for each"
    finally:
        found.close()
        for one in terminals:
            one.close()


async def test_listening_anew_at_once_misses_nothing(
    ttys: TtyWatch, terminal: Terminal, eventually: Eventually
) -> None:
    ear = Ear()
    ttys.watch("a", terminal.name, ear.hears, ear.loses)
    terminal.prints()
    await eventually(lambda: ear.spoke == 1)
    assert not ttys._armed, "it rests"
    ttys.listen("a")
    ttys.listen("a")
    terminal.prints()
    await eventually(lambda: ear.spoke == 2)


async def test_a_terminal_that_goes_is_told_once_listened_to_or_not(
    ttys: TtyWatch, eventually: Eventually
) -> None:
    armed, resting = Terminal(), Terminal()
    ears = Ear(), Ear()
    ttys.watch("armed", armed.name, ears[0].hears, ears[0].loses)
    ttys.watch("resting", resting.name, ears[1].hears, ears[1].loses)
    resting.prints()
    await eventually(lambda: ears[1].spoke)
    armed.close()
    resting.close()
    await eventually(lambda: ears[0].gone and ears[1].gone)
    assert (ears[0].gone, ears[1].gone) == (1, 1)
    assert not ttys._armed
    assert not ttys._ttys


async def test_a_number_used_again_is_not_the_terminal_it_was(ttys: TtyWatch, eventually: Eventually) -> None:
    first = Terminal()
    ear, other = Ear(), Ear()
    ttys.watch("a", first.name, ear.hears, ear.loses)
    first.prints()
    await eventually(lambda: ear.spoke == 1)
    first.close()
    second = Terminal()
    try:
        assert second.name == first.name, "the kernel gives the lowest free number"
        ttys.listen("a")
        second.prints()
        assert ttys.watch("b", second.name, other.hears, other.loses)
        second.prints()
        await eventually(lambda: other.spoke)
        assert (ear.spoke, ear.gone) == (1, 1)
    finally:
        second.close()


async def test_who_is_forgotten_or_replaced_hears_nothing(
    ttys: TtyWatch, terminal: Terminal, eventually: Eventually
) -> None:
    old, new, gone = Ear(), Ear(), Ear()
    other = Terminal()
    ttys.watch("a", terminal.name, old.hears, old.loses)
    ttys.watch("a", terminal.name, new.hears, new.loses)
    ttys.watch("b", other.name, gone.hears, gone.loses)
    ttys.forget("b")
    other.prints()
    terminal.prints()
    await eventually(lambda: new.spoke)
    assert (old.spoke, gone.spoke, old.gone, gone.gone) == (0, 0, 0, 0)
    other.close()


async def test_a_terminal_that_is_not_there_says_why(ttys: TtyWatch) -> None:
    ear = Ear()
    assert not ttys.watch("a", "/dev/pts/nowhere", ear.hears, ear.loses)
    assert "No such file" in ttys.why
    ttys.forget("a")
    assert ttys.why == ""


async def test_an_overflow_hands_all_of_them_back(
    ttys: TtyWatch, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear = Ear()
    ttys.watch("a", terminal.name, ear.hears, ear.loses)
    monkeypatch.setattr(Inotify, "read", lambda _: [Notice(-1, IN_Q_OVERFLOW, 0, b"")])
    ttys._read()
    assert (ear.spoke, ear.gone) == (0, 1), "nobody is said to have spoken"


async def test_without_descriptors_it_says_so(terminal: Terminal) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        found = TtyWatch(asyncio.get_running_loop())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    ear = Ear()
    assert not found.watch("a", terminal.name, ear.hears, ear.loses)
    assert "no inotify" in found.why
    assert "max_user_instances" in found.why
    found.close()


EXHAUSTED = """
import asyncio, os, pty
from hhmrs.controller.terminals.ttys import TtyWatch

async def main():
    open("/proc/sys/user/max_inotify_watches", "w").write("3")
    ttys, told = TtyWatch(asyncio.get_running_loop(), quickest=0.02), []
    ends = [pty.openpty() for _ in range(5)]
    heard = [ttys.watch(str(n), os.ttyname(s), lambda _, n=n: told.append(n), lambda: told.append("gone"))
             for n, (_, s) in enumerate(ends)]
    print(heard, "max_user_watches" in ttys.why)
    for _, slave in ends:
        os.write(slave, b"x")
    while len(told) < 3:
        await asyncio.sleep(0.01)
    print(told)

asyncio.run(asyncio.wait_for(main(), 10))
"""


def test_at_the_kernels_limit_some_are_heard_and_the_rest_is_told(own_limits: list[str]) -> None:
    done = subprocess.run([*own_limits, sys.executable, "-c", EXHAUSTED], capture_output=True, text=True,
                          timeout=30, check=False)  # fmt: skip
    assert done.stdout.splitlines() == ["[True, True, True, False, False] True", "[0, 1, 2]"], done.stderr
