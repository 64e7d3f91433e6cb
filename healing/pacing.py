"""How long to wait, and how far apart. Chance depends on a seed alone: a replay waits just as long."""

from __future__ import annotations

from hashlib import blake2b

from ..config.fleet import Backoff

LONGER = 64.0
"""How many times `backoff.max` is waited at most for a provider that is in trouble."""


def fraction(seed: str) -> float:
    """A number in [0, 1) that depends on `seed` alone."""
    return int.from_bytes(blake2b(seed.encode(), digest_size=6).digest(), "big") / 2**48


def for_provider(tried: int, backoff: Backoff) -> float:
    """Seconds to wait for a provider in trouble that was tried so often, without jitter: it begins where the
    usual backoff ends."""
    return backoff.max * min(LONGER, max(2.0, backoff.factor) ** min(tried, 64))


def longest_delay(backoff: Backoff) -> float:
    """No wait before an attempt is longer than this (s)."""
    return backoff.max * LONGER * (1 + backoff.jitter)


def stagger(backoff: Backoff, seed: str) -> float:
    """Seconds from one of many recoveries that could begin at once to the next."""
    return backoff.initial * backoff.jitter * (1 + fraction(seed))
