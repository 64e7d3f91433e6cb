"""How many panes may be looked at closely: an allowance per second, shared by all who look."""

from __future__ import annotations

from collections.abc import Callable

LOOKS = 60.0
"""Close looks per second, all tmux servers together, while few panes speak: as good as no bound."""
LOOKS_BUSY = 16.0
"""The same while many do. A look costs about a millisecond, most of it for what its lines mean."""
FEW = 60
"""Panes that speak up to which all may be looked at each second."""
BURST = 64.0
"""Looks saved up while nothing moved."""
WAIT, WAIT_BUSY = 0.25, 0.6


class Budget:
    """One pot for many observers. `busy`: how many panes speak of late. Times are seconds of any steady
    clock, the same for all; `most` and `least` are looks per second."""

    def __init__(
        self,
        busy: Callable[[], int] = lambda: 0,
        *,
        most: float = LOOKS,
        least: float = LOOKS_BUSY,
        burst: float = BURST,
    ) -> None:
        self._busy = busy
        self.most = most
        self.least = least
        self.burst = burst
        self._held = burst
        self._filled: float | None = None
        self._sharers = 0

    def join(self) -> None:
        """One observer more that takes from it."""
        self._sharers += 1

    def leave(self) -> None:
        self._sharers -= 1

    @property
    def rate(self) -> float:
        """Looks per second."""
        return max(self.least, self.most * min(1.0, FEW / max(1, self._busy())))

    @property
    def wait(self) -> float:
        """Seconds until it is worth while to ask again after not all was granted."""
        return WAIT if self._busy() <= FEW else WAIT_BUSY

    def take(self, wanted: int, now: float) -> int:
        """How many of the wanted looks one observer may have now: what there is while there is plenty, else
        its share of it, so that none can take the last from all others."""
        if self._filled is not None:
            self._held = min(self.burst, self._held + (now - self._filled) * self.rate)
        self._filled = now
        share = -(-self._held // max(1, self._sharers))
        granted = min(wanted, int(self._held), int(max(share, self._held - self.burst / 2)))
        self._held -= granted
        return granted
