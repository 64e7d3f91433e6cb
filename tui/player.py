"""Where a replay stands: a clock that can be stopped, sped up and set. Pure but for the clock it is given."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

SPEEDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Seconds of the recording that go by in one second."""
WHOLE = 120.0
"""Seconds that a whole recording takes at the speed it begins with, or some less."""


@dataclass(frozen=True, slots=True)
class _Stand:
    """At clock time `since` the replay stood at `at` (epoch seconds of the recording)."""

    since: float
    at: float
    speed: int
    playing: bool


class Player:
    """Plays from `begin` to `end` (epoch seconds); at the end it stops. From any thread: a stand is replaced
    as a whole, never changed."""

    def __init__(
        self,
        begin: float,
        end: float,
        *,
        speed: int | None = None,
        playing: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.begin, self.end = begin, max(begin, end)
        self._clock = clock
        self._stand = _Stand(clock(), begin, speed or fitting_speed(self.end - begin), playing)

    @property
    def now(self) -> float:
        """The moment of the recording that is shown."""
        stand = self._stand
        gone = (self._clock() - stand.since) * stand.speed if stand.playing else 0.0
        return min(self.end, stand.at + max(0.0, gone))

    @property
    def playing(self) -> bool:
        return self._stand.playing and self.now < self.end

    @property
    def speed(self) -> int:
        return self._stand.speed

    @property
    def share(self) -> float:
        """How far it is, 0..1."""
        whole = self.end - self.begin
        return (self.now - self.begin) / whole if whole else 1.0

    def seek(self, at: float) -> None:
        """Go to a moment, or to the end that is nearer; it plays on if it played."""
        self._turn(at=min(self.end, max(self.begin, at)))

    def toggle(self) -> None:
        """Play or pause; at the end it begins anew."""
        if self.playing:
            self._turn(playing=False)
        else:
            self._turn(playing=True, at=self.begin if self.now >= self.end else self.now)

    def faster(self, by: int) -> None:
        """`by` steps of SPEEDS up or down."""
        near = min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - self.speed))
        self._turn(speed=SPEEDS[max(0, min(len(SPEEDS) - 1, near + by))])

    def _turn(
        self, *, at: float | None = None, speed: int | None = None, playing: bool | None = None
    ) -> None:
        stand, now = self._stand, self.now
        self._stand = replace(
            stand,
            since=self._clock(),
            at=now if at is None else at,
            speed=stand.speed if speed is None else speed,
            playing=stand.playing if playing is None else playing,
        )


def fitting_speed(seconds: float) -> int:
    """The lowest of SPEEDS that shows so long a recording within WHOLE."""
    return next((speed for speed in SPEEDS if seconds / speed <= WHOLE), SPEEDS[-1])
