"""Chance that replays, and the agenda of a fake clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import accumulate
from math import log
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Weights: TypeAlias = tuple[tuple[str, float], ...]
"""What may be drawn, and how often beside the others."""

_FACTOR, _STEP, _MASK = 6364136223846793005, 1442695040888963407, 2**64 - 1


class Dice:
    """A linear congruential generator (Knuth's MMIX): a tenth of a microsecond a draw, and only the seed
    decides. No chance of the system's: the same seed gives the same draws for ever, on every machine."""

    __slots__ = ("_state",)

    def __init__(self, seed: str) -> None:
        self._state = int.from_bytes(blake2b(seed.encode(), digest_size=8).digest(), "big")

    def unit(self) -> float:
        """In [0, 1)."""
        self._state = state = (self._state * _FACTOR + _STEP) & _MASK
        return (state >> 11) * 2.0**-53

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit()

    def wait(self, mean: float) -> float:
        """Seconds until something that happens once in `mean` seconds, whenever it happened last."""
        return -mean * log(1.0 - self.unit())

    def one(self, among: Sequence[T]) -> T:
        return among[int(self.unit() * len(among))]


class Table:
    """Names drawn by their weights."""

    __slots__ = ("_bounds", "_names")

    def __init__(self, weights: Weights) -> None:
        self._names = [name for name, _ in weights]
        self._bounds = list(accumulate(weight for _, weight in weights))

    def draw(self, dice: Dice) -> str:
        point = dice.unit() * self._bounds[-1]
        for name, bound in zip(self._names, self._bounds, strict=True):
            if point < bound:
                return name
        return self._names[-1]


class Agenda:
    """What will happen when, in seconds of a clock that only goes on when the next thing happens."""

    __slots__ = ("_heap", "_serial", "now")

    def __init__(self, now: float) -> None:
        self.now = now
        self._serial = 0
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []

    def after(self, seconds: float, work: Callable[[T], None], what: T) -> None:
        self._serial += 1
        heappush(self._heap, (self.now + seconds, self._serial, work, what))

    def next(self) -> float:
        return self._heap[0][0] if self._heap else float("inf")

    def step(self) -> None:
        """Let the next thing happen. Raises IndexError when there is none."""
        self.now, _, work, what = heappop(self._heap)
        work(what)
