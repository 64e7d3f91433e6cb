"""Engine time: wall time when the daemon began, carried on by the monotonic clock, so that it never jumps."""

from __future__ import annotations

import time
from datetime import datetime


class SteadyClock:
    """Seconds since the epoch. Wall-clock changes and suspends after its making do not show in it."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return self._offset + time.monotonic()


def local_now() -> datetime:
    """The wall clock in the local time zone, by which people and providers name times of day."""
    return datetime.now().astimezone()
