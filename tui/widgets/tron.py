"""The orange bar at the top: interventions, and nothing else."""

from __future__ import annotations

import time

from rich.text import Text
from textual.timer import Timer

from ..bar_lines import tron_line
from ..interventions import FADES_AFTER, QUIET_AFTER, Intervention
from ..looks import Glyphs, age
from ..themes import TRON_FADED, TRON_ORANGE, TRON_PULSE
from .bars import OneLine

PULSE = 0.5
"""Seconds that a new intervention is bright."""
FRESH = 3.0
"""Seconds after which an event is no news: a screen that is opened later does not flash for it."""


class TronBar(OneLine):
    """Interventions only: in sight while there is one to tell, bright for half a second when one is new.

    It grows older by a clock of its own, which runs only while it is in sight: whether or not the fleet is
    looked at, it goes after 30 s, and while nothing happens it costs nothing."""

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__(glyphs, id=id)
        self.now: Intervention | None = None
        self._pulsed = 0
        self._pulse: Timer | None = None
        self._clock: Timer | None = None
        self._put_at = (0.0, 0.0)
        """The time of the last look, in epoch seconds and by the monotonic clock."""

    @property
    def bright(self) -> bool:
        return self._pulse is not None

    def put(self, line: Intervention | None, now: float) -> None:
        """Tell `line` as of `now`, epoch seconds; None: nothing is to be told."""
        self._put_at = (now, time.monotonic())
        if line is None and self.now is None:
            return
        self.now = line
        if line is None:
            self._go()
            return
        self.display = True
        if line.seq != self._pulsed:
            self._pulsed = line.seq
            if line.seconds(now) < FRESH and self.app.animation_level != "none":
                self._flash()
        if self._clock is None:
            self._clock = self.set_interval(1.0, self._older)
        self._paint()

    def _flash(self) -> None:
        if self._pulse is not None:
            self._pulse.stop()
        self._pulse = self.set_timer(PULSE, self._dim)

    def _dim(self) -> None:
        self._pulse = None
        self._paint()

    def _older(self) -> None:
        line = self.now
        if line is not None and line.seconds(self._time()) > QUIET_AFTER:
            self.now = None
            self._go()
        else:
            self._paint()

    def _go(self) -> None:
        self.display = False
        for timer in (self._pulse, self._clock):
            if timer is not None:
                timer.stop()
        self._pulse = self._clock = None

    def _time(self) -> float:
        now, put_at = self._put_at
        return now + time.monotonic() - put_at

    def _paint(self) -> None:
        line = self.now
        if line is not None:
            now = self._time()
            ages = tuple(age(now - one.at) for one in line.told)
            faded = line.seconds(now) > FADES_AFTER
            self.put_line((line, ages, self.bright, faded), lambda: self._text(line, now, faded))

    def _text(self, line: Intervention, now: float, faded: bool) -> Text:
        ground = TRON_PULSE if self.bright else TRON_FADED if faded else TRON_ORANGE
        self.styles.background = ground
        return tron_line(line, now, ground, self.glyphs, self.app.size.width)
