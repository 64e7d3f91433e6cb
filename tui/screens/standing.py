"""The key that puts the fleet under supervision again, and the banner that offers it."""

from __future__ import annotations

import time

from textual.timer import Timer

from ..looks import clean
from ..standing import PATIENCE, is_loading, notices, start_why_not
from ..widgets.banner import Banner
from .parts import FleetParts

SOON = 0.2
"""Seconds after which an empty screen says that it is one."""


class Standing(FleetParts):
    """Waits are told with their length, by a clock that runs only meanwhile."""

    _screen_opened: float = 0.0
    _daemon_asked: float | None = None
    _wait_clock: Timer | None = None

    def begin_waiting(self) -> None:
        """The first look is on its way."""
        self._screen_opened = time.monotonic()
        self.set_timer(SOON, self._say_so)
        self._tick_wait()

    def _say_so(self) -> None:
        """Not at once: mostly the look is faster than a second frame would be."""
        if is_loading(self.seen):
            self.paint()

    def action_daemon(self) -> None:
        reason = start_why_not(self.seen)
        if self._daemon_asked is not None:
            return
        if reason is not None:
            self.app.notify(f"not now: {reason}", severity="warning", markup=False)
            return
        self._daemon_asked = time.monotonic()
        self._tick_wait()
        self.run_worker(self._start_daemon, thread=True, group="daemon")

    def _start_daemon(self) -> None:
        """Runs in a thread: a daemon takes a second or two until it supervises."""
        try:
            said, ok = self.source.keeper.start(), True
        except Exception as error:  # noqa: BLE001  # whatever keeps it from starting is told, never fatal
            said, ok = f"the daemon did not start: {error}", False
        self.app.call_from_thread(self._daemon_done, said, ok)

    def _daemon_done(self, said: str, ok: bool) -> None:
        self._daemon_asked = None
        self.app.notify(clean(said, 400), severity="information" if ok else "error", markup=False)
        self._put_banner()

    def _tick_wait(self) -> None:
        self._put_banner()
        busy = self._daemon_asked is not None or is_loading(self.seen)
        if busy and self._wait_clock is None:
            self._wait_clock = self.set_interval(PATIENCE, self._tick_wait)
        elif not busy and self._wait_clock is not None:
            self._wait_clock.stop()
            self._wait_clock = None

    def _put_banner(self) -> None:
        now = time.monotonic()
        starting = None if self._daemon_asked is None else now - self._daemon_asked
        self.query_one(Banner).put(notices(self.seen, starting, now - self._screen_opened))
