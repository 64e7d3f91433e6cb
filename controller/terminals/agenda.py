"""When one observer next does something: at a time, or as soon as anybody wakes it."""

from __future__ import annotations

import asyncio

GAP = 0.1
"""Seconds between two listings, whatever calls for them."""
_LEAST = 0.002
"""Seconds of rest: a loop that never rests lets nobody else do anything."""


class Agenda:
    """Lives on `loop`; all times are the loop's. `every`: seconds between two listings that nothing calls
    for; `gap`: between two at the least."""

    def __init__(self, loop: asyncio.AbstractEventLoop, every: float, gap: float) -> None:
        self.every = every
        self._loop = loop
        self._gap = gap
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._listed_at = self._list_at = loop.time()

    def wake(self) -> None:
        """End the rest under way, or the next one."""
        self._wake.set()

    def wake_at(self, when: float) -> None:
        """The same at that time; an earlier one that is set stays."""
        if when < float("inf") and (self._timer is None or when < self._timer.when()):
            self._drop_timer()
            self._timer = self._loop.call_at(when, self._wake.set)

    async def rest(self, until: float) -> None:
        """Until that time, or a listing is due, or somebody wakes us."""
        self.wake_at(max(min(until, self._list_at), self._loop.time() + _LEAST))
        await self._wake.wait()
        self.awake()
        self._drop_timer()

    def awake(self) -> None:
        """What woke us until now is known."""
        self._wake.clear()

    def close(self) -> None:
        self._drop_timer()

    # -- listings -------------------------------------------------------------------------------

    @property
    def list_now(self) -> bool:
        """Whether a listing is due."""
        return self._loop.time() >= self._list_at

    def begin(self) -> None:
        """Whoever sees again lists at once."""
        self._list_at = self._loop.time()

    def listing(self) -> None:
        """One is asked for now: the next is due `every` seconds from here."""
        self._listed_at = self._loop.time()
        self._list_at = self._listed_at + self.every

    def list_within(self, seconds: float) -> None:
        """The next one is due so long after the last at the most."""
        self._list_at = min(self._list_at, self._listed_at + seconds)

    def list_soon(self, delay: float) -> None:
        """Something calls for one, `delay` seconds from now."""
        soon = max(self._loop.time() + delay, self._listed_at + self._gap)
        if soon < self._list_at:
            self._list_at = soon
            self.wake_at(soon)

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
