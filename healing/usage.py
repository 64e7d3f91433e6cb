"""What an agent has spent of its provider's tokens and money, as far as its own CLI's transcripts tell."""

from __future__ import annotations

from dataclasses import dataclass

from .replacing import replace

MOST_TRANSCRIPTS = 16
"""Transcripts of an agent that are known one by one; what older ones told is one sum."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """`sent` and `received` by the model's own count, `cached`: read again from the provider's cache; None
    where it is not told. `cost` in US dollars, None where the CLI does not tell it."""

    sent: int | None = None
    received: int | None = None
    cached: int | None = None
    cost: float | None = None

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            _whole(_plus(self.sent, other.sent)),
            _whole(_plus(self.received, other.received)),
            _whole(_plus(self.cached, other.cached)),
            _plus(self.cost, other.cost),
        )

    def less(self, before: Tokens) -> Tokens:
        """What came on top of `before`; never below zero."""
        return Tokens(
            _whole(_minus(self.sent, before.sent)),
            _whole(_minus(self.received, before.received)),
            _whole(_minus(self.cached, before.cached)),
            _minus(self.cost, before.cost),
        )

    @property
    def counted(self) -> int:
        """Tokens that were not read from a cache: what a limit of tokens is about."""
        return (self.sent or 0) + (self.received or 0)


NOTHING = Tokens()
"""Nobody has told anything."""


@dataclass(frozen=True)
class Transcribed:
    """All that one transcript has told. `before`: of it what was there when the agent began with it."""

    transcript: str
    told: Tokens
    before: Tokens | None = None

    @property
    def since(self) -> Tokens:
        return self.told if self.before is None else self.told.less(self.before)


@dataclass(frozen=True)
class Spending:
    """`known`: its transcripts, the newest last; `older`: the sum of those that are known no more.
    `context_left`: 0..1 of the model's window, None where it is not told. `cleared`: how much of it counts
    towards no limit any more, because a person said `clear`.

    `warned`: the limits that it was warned of (budgets.py). `held`: why it is given nothing more to do, ""
    when it is not held; `paused`: that is why it is paused."""

    known: tuple[Transcribed, ...] = ()
    older: Tokens | None = None
    context_left: float | None = None
    cleared: Tokens | None = None
    warned: tuple[str, ...] = ()
    held: str = ""
    paused: bool = False

    @property
    def total(self) -> Tokens:
        """What it has spent since it was first started; all None: nobody tells."""
        total = self.older or NOTHING
        for one in self.known:
            total += one.since
        return total

    @property
    def counting(self) -> Tokens:
        """What counts towards its limits."""
        return self.total if self.cleared is None else self.total.less(self.cleared)


def told(s: Spending, transcript: str, now: Tokens, context_left: float | None, *, old: bool) -> Spending:
    """With what the transcript tells now. `old`: all of it is from before, if the transcript is not known."""
    at = next((n for n, one in enumerate(s.known) if one.transcript == transcript), None)
    if at is None:
        known = (*s.known, Transcribed(transcript, now, now if old else None))
    else:
        before = s.known[at].before
        if before is not None and now.counted < before.counted:
            before = None  # another file of the same name
        known = (*s.known[:at], Transcribed(transcript, now, before), *s.known[at + 1 :])
    older = s.older
    while len(known) > MOST_TRANSCRIPTS:
        older, known = (older or NOTHING) + known[0].since, known[1:]
    left = s.context_left if context_left is None else context_left
    if (known, left) == (s.known, s.context_left):
        return s
    return replace(s, known=known, older=older, context_left=left)


def cleared(s: Spending) -> Spending:
    """From now on nothing of what was spent counts towards a limit; whoever was held hears of it anew."""
    total = s.total
    if total == NOTHING:
        return s
    return replace(s, cleared=total)


def in_words(s: Spending) -> str:
    """`1,200 tokens sent, 30 received, $0.25`; empty where nobody tells."""
    total = s.total
    if total == NOTHING:
        return ""
    cost = "" if total.cost is None else f", ${total.cost:,.2f}"
    return f"{total.sent or 0:,} tokens sent, {total.received or 0:,} received{cost}"


def _plus(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def _minus(one: float | None, other: float | None) -> float | None:
    return one if one is None or other is None else max(0, one - other)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
