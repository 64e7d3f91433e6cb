"""Wakes the loop: at once for what matters, a moment later for signs of life that come in crowds."""

from __future__ import annotations

import asyncio

PACE = 0.01
"""Seconds between two wake-ups that have no better reason than signs of life. The first after a quiet moment
wakes at once; agents that print cost a hundred rounds a second at most, not one for each line."""
SLOW = 0.05
CROWDED = 200.0
"""From so many signs of life a second on, `SLOW` is the pace. What is pressing never waits."""


class Alarm:
    """`ring` from any thread, `wait` on the loop. What was rung before `open` is not lost: look first."""

    def __init__(self) -> None:
        self._pace = PACE
        self._calm = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = self._pressed = False
        self._dozing = False
        """Nothing is known to come: anything wakes. Else only what is pressing does."""
        self._sleep: asyncio.Future[None] | None = None
        self._woke = 0.0

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()

    def ring(self, *, pressing: bool = True) -> None:
        """There is something to look at. Put it where it will be found before calling this."""
        first = not self._rung
        self._rung = True
        self._calm += not pressing  # two threads may count as one; it is a measure, not an account
        loop = self._loop
        if loop is None or self._pressed or not (pressing or (first and self._dozing)):
            return
        self._pressed = pressing
        loop.call_soon_threadsafe(self._wake)

    async def wait(self, most: float) -> None:
        """Until somebody rings, or `most` seconds are over. Always lets others run."""
        loop = asyncio.get_running_loop()
        over = loop.time() + most
        if most <= 0:
            await asyncio.sleep(0)
        elif not self._pressed:
            # Nobody needs to wake us for signs of life: we look for them ourselves when the moment is over.
            await self._sleep_until(min(over, self._woke + self._pace))
        # First the flag, then the look; `ring` does it the other way round, so that one of both sees it.
        self._dozing = True
        if not self._rung:
            await self._sleep_until(over)
        self._dozing = False
        # Before the look that follows: whoever comes after this line rings again.
        self._rung = self._pressed = False
        now = loop.time()
        crowded = self._calm > max(2.0, CROWDED * (now - self._woke))
        self._pace = SLOW if crowded else PACE
        self._woke, self._calm = now, 0

    async def _sleep_until(self, when: float) -> None:
        loop = asyncio.get_running_loop()
        if when <= loop.time():
            return
        self._sleep = loop.create_future()
        timer = loop.call_at(when, self._wake)
        try:
            await self._sleep
        finally:
            timer.cancel()
            self._sleep = None

    def _wake(self) -> None:
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)
