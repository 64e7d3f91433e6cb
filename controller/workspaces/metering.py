"""Tokens and cost of the transcripts that are followed, read on some time after they grew, a few a second.

It works on the thread of whoever follows the files (transcripts.py). A file that does not grow is never
opened; however many grow, `READS` pieces a second are read, so that a large fleet is told of later, not at a
higher price."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ...healing.usage import Tokens
from .spending import Meter
from .turns import Turns

log = logging.getLogger(__name__)

SETTLES = 1.5
"""Seconds after it grew until a transcript is read: a turn writes many lines."""
READS = 20
"""Pieces of transcripts (spending.PIECE) read in a second, all of them together."""

Told = Callable[[Path, Tokens, float | None], None]


class Metering:
    """`told` is called with a path and all that this file tells, when that is something new."""

    def __init__(self, turns: Turns, told: Told, *, settles: float = SETTLES) -> None:
        self._turns = turns
        self._told = told
        self._settles = settles
        self._meters: dict[Path, Meter] = {}
        self._last: dict[Path, tuple[Tokens, float | None]] = {}
        self._waiting: set[Path] = set()

    def grew(self, path: Path) -> None:
        """It may tell more than it did."""
        if path not in self._waiting:
            self._waiting.add(path)
            self._turns.later(max(self._settles, len(self._waiting) / READS), partial(self._read, path))

    def forget(self, path: Path) -> None:
        self._meters.pop(path, None)
        self._last.pop(path, None)
        self._waiting.discard(path)

    def _read(self, path: Path) -> None:
        if path not in self._waiting:
            return  # nobody's any more
        self._waiting.discard(path)
        meter = self._meters.setdefault(path, Meter(path))
        try:
            count, more = meter.read()
        except OSError as why:
            log.info("the tokens of %s are not counted: %s", path, why.strerror or why)
            return
        if more:
            self.grew(path)  # what is there from before is told as one sum
            return
        total = count.total
        if total is None or self._last.get(path) == (total, count.context_left):
            return
        self._last[path] = (total, count.context_left)
        self._told(path, total, count.context_left)
