"""The loop is woken at once for what matters, and by crowds of small things now and then."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

import hhmrs.controller.daemon.alarm as alarm_module
from hhmrs.controller.daemon.alarm import Alarm

LONG = 30.0


async def _woken(alarm: Alarm, ring: Callable[[], object]) -> float:
    """Seconds that `wait` took when another thread rang."""
    loop = asyncio.get_running_loop()
    threading.Timer(0.02, ring).start()
    began = loop.time()
    await alarm.wait(LONG)
    return loop.time() - began


async def test_any_ring_from_any_thread_ends_the_wait() -> None:
    alarm = Alarm()
    alarm.open()
    assert await _woken(alarm, alarm.ring) < LONG
    assert await _woken(alarm, lambda: alarm.ring(pressing=False)) < LONG


async def test_what_was_rung_while_nobody_waited_is_heard() -> None:
    alarm = Alarm()
    alarm.ring()
    alarm.open()
    async with asyncio.timeout(LONG / 2):
        await alarm.wait(LONG)
        alarm.ring(pressing=False)
        await alarm.wait(LONG)


async def test_no_ring_is_ever_lost_however_they_fall() -> None:
    alarm, queue, over = Alarm(), list[int](), threading.Event()
    alarm.open()

    def tell(first: int) -> None:
        for number in range(first, first + 3000):
            queue.append(number)
            alarm.ring(pressing=number % 7 == 0)
        over.set()

    tellers = [threading.Thread(target=tell, args=(n * 10_000,)) for n in range(3)]
    for teller in tellers:
        teller.start()
    taken: list[int] = []
    async with asyncio.timeout(LONG / 2):
        while len(taken) < 9000:
            await alarm.wait(LONG)
            while queue:
                taken.append(queue.pop())
    assert len(set(taken)) == 9000


async def test_a_crowd_of_small_things_wakes_seldom_and_does_not_hold_up_what_presses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alarm_module, "SLOW", LONG)
    alarm = Alarm()
    alarm.open()
    await alarm.wait(0.0)
    # The first crowd still wakes; by the second it is known that they come in crowds.
    for _ in range(1000):
        alarm.ring(pressing=False)
    await alarm.wait(LONG)
    for _ in range(1000):
        alarm.ring(pressing=False)
    waiting = asyncio.create_task(alarm.wait(10 * LONG))
    await asyncio.wait({waiting}, timeout=0.1)
    assert not waiting.done(), "crowds are looked at when their pace says so"
    alarm.ring()
    async with asyncio.timeout(LONG / 2):
        await waiting


async def test_a_wait_without_time_lets_the_others_run() -> None:
    alarm, ran = Alarm(), list[int]()
    alarm.open()
    asyncio.get_running_loop().call_soon(ran.append, 1)
    await alarm.wait(0.0)
    assert ran == [1]
