"""A circuit breaker: open, nobody tries; half-open, after a pause that grows with each failure, one does;
closed, all go. Arithmetic only: who tries, and what comes of it, others say."""

from __future__ import annotations

from dataclasses import dataclass

from ..config.fleet import Backoff
from .pacing import for_provider, fraction


@dataclass(slots=True)
class Breaker:
    """`patient`: the pauses begin where the usual backoff ends, and grow on; else they are as long as that.

    `tries`: how often somebody tried in vain since it opened; `probe`: who tries now; `until`: engine time at
    which the pause ends, or the probe's time."""

    backoff: Backoff
    patient: bool
    tries: int = 0
    probe: str | None = None
    until: float = 0.0
    closed: bool = False

    def pause(self, seed: str) -> float:
        """Seconds until the next may try."""
        backoff = self.backoff
        if self.patient:
            base = for_provider(self.tries, backoff)
        else:
            base = min(backoff.max, backoff.initial * max(2.0, backoff.factor) ** min(self.tries, 64))
        return base * (1 + backoff.jitter * fraction(f"{seed}/{self.tries}"))

    def rest(self, now: float, seed: str) -> None:
        """Nobody tries until the pause is over."""
        self.probe, self.closed = None, False
        self.until = now + self.pause(seed)

    def failed(self, now: float, seed: str) -> None:
        """Who tried did so in vain; or it was closed too early."""
        self.tries += 1
        self.rest(now, seed)

    def goes(self, agent: str, until: float) -> None:
        """This one tries, and has until then to show what comes of it."""
        self.probe, self.until = agent, until

    def proved(self) -> None:
        """Somebody is at work again: the others may follow."""
        self.tries, self.probe, self.closed = 0, None, True
