"""From the end of a process to its cause: one table of rules, the first that knows speaks.

Exit status and signal go first. Pane text is believed only where the profile says so and the status agrees,
and only in the last lines: loose words in a log once made every "api ... error" a reason to restart for ever.
That the kernel ended it for want of memory is believed of the kernel alone."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from signal import Signals

from ..config.fleet import ExitRule, Profile
from .masking import mask_secrets
from .quoting import quote
from .repeats import strip_escapes

BY_STATUS = {124: "timeout", 126: "permission"}
BY_SIGNAL = {
    Signals.SIGINT: "sigint",
    Signals.SIGKILL: "killed",
    Signals.SIGTERM: "killed",
    Signals.SIGHUP: "killed",
    Signals.SIGALRM: "timeout",
    Signals.SIGXCPU: "timeout",
}
"""What a signal means; one that is not here is a crash."""
LAST_LINES = 40
"""Only so many lines from the end may say why it ended."""
_LINE = 1000
_KEPT = 8
_WORDS = 300
_IN_WORDS = {124: " (timed out)", 126: " (found but could not be run)", 127: " (command not found)"}


@dataclass(frozen=True, slots=True)
class Death:
    """What is known of an end. `status` is its exit status, `signal` the signal that ended it, both None when
    nobody could tell; `tail` its last lines. `oom`: the kernel's words for having killed it for want of
    memory, or empty. `interrupter`: who may have sent it SIGINT, in words."""

    status: int | None
    signal: int | None
    tail: tuple[str, ...] = ()
    oom: str = ""
    interrupter: str = ""

    @property
    def by(self) -> int | None:
        """The signal that ended it, or that a shell above says ended it."""
        if self.signal is not None:
            return self.signal
        said = (self.status or 0) - 128
        return said if said in set(Signals) else None

    def words(self) -> str:
        """The end itself: `exit 137 (SIGKILL)`."""
        if self.signal is not None:
            return signal_name(self.signal)
        if self.status is None:
            return "exit status unknown"
        name = f" ({signal_name(self.by)})" if self.by is not None else _IN_WORDS.get(self.status, "")
        return f"exit {self.status}{name}"


@dataclass(frozen=True, slots=True)
class Cause:
    """`name` of contract.md section 5; `detail`: the evidence for it, in words."""

    name: str
    detail: str


Rule = Callable[[Death, Profile], Cause | None]


def cause_of(death: Death, profile: Profile) -> Cause:
    """The cause of a process that ended when it should not have."""
    found = (rule(death, profile) for rule in RULES)
    return next((cause for cause in found if cause), Cause("crash", death.words()))


def _nobody_knows(death: Death, _: Profile) -> Cause | None:
    unknown = death.status is None and death.signal is None
    return Cause("unknown", death.words()) if unknown else None


def _own_code(death: Death, profile: Profile) -> Cause | None:
    """This program's own exit status."""
    name = None if death.signal is not None else profile.exit_codes.get(death.status or 0)
    return Cause(name, f"{death.words()}, which {profile.name} means by it") if name else None


def _named_status(death: Death, profile: Profile) -> Cause | None:
    """Its last words, where the profile names this very status beside them."""
    rules = [rule for rule in profile.exits if death.signal is None and death.status in rule.status]
    return _said(death, rules)


def _interrupted(death: Death, _: Profile) -> Cause | None:
    if death.by != Signals.SIGINT:
        return None
    whose = f"; {death.interrupter}" if death.interrupter else ""
    return Cause("sigint", f"{death.words()}{whose}")


def _out_of_memory(death: Death, _: Profile) -> Cause | None:
    if death.by != Signals.SIGKILL or not death.oom:
        return None
    return Cause("oom", f"{death.words()}; {quote(death.oom)}")


def _by_signal(death: Death, _: Profile) -> Cause | None:
    if death.by is None:
        return None
    name = BY_SIGNAL.get(Signals(death.by), "crash") if death.by in set(Signals) else "crash"
    return Cause(name, death.words())


def _by_status(death: Death, _: Profile) -> Cause | None:
    name = BY_STATUS.get(death.status or 0)
    return Cause(name, death.words()) if name else None


def _last_words(death: Death, profile: Profile) -> Cause | None:
    """Its last words, with a status that says that it failed and nothing else."""
    return _said(death, [rule for rule in profile.exits if not rule.status]) if death.status else None


RULES: tuple[Rule, ...] = (
    _nobody_knows,
    _own_code,
    _named_status,
    _interrupted,
    _out_of_memory,
    _by_signal,
    _by_status,
    _last_words,
)
"""In this order; the first that answers has it. None does: a crash."""


def _said(death: Death, rules: Sequence[ExitRule]) -> Cause | None:
    """By what was said last; of two rules for the same line the first has it."""
    text = "\n".join(last_lines(death.tail)) if rules else ""
    best: tuple[int, ExitRule, re.Match[str]] | None = None
    for rule in rules:
        newest = deque(compiled(rule.pattern).finditer(text), maxlen=1)
        at = text.count("\n", 0, newest[0].start()) if newest else -1
        if newest and (best is None or at > best[0]):
            best = (at, rule, newest[0])
    return Cause(best[1].cause, f"{death.words()}: {words_of(best[2])}") if best else None


def last_lines(tail: Sequence[str]) -> tuple[str, ...]:
    """The lines that may say why it ended: the last ones that are not empty, as plain text."""
    plain = (strip_escapes(line[:_LINE]).rstrip() for line in tail[-4 * LAST_LINES :])
    return tuple(line for line in plain if line)[-LAST_LINES:]


def last_words(tail: Sequence[str]) -> tuple[str, ...]:
    """The few last of these lines, for people: inert, without what looks like a secret, each cut to size."""
    text = mask_secrets("\n".join(last_lines(tail)))  # together, for a key may go over many lines
    return tuple(quote(plain, _WORDS) for plain in text.split("\n")[-_KEPT:] if plain)


def without_errors(lines: tuple[str, ...], rules: Sequence[ExitRule]) -> tuple[str, ...]:
    """The lines in which none of the rules finds why something failed: that is news, but no progress."""
    if not rules:
        return lines
    return tuple(x for x in lines if not any(compiled(rule.pattern).search(x[:_LINE]) for rule in rules))


def words_of(found: re.Match[str]) -> str:
    """What the pattern's group `said` holds, else the first line it matched, as a quotation."""
    if "said" in found.re.groupindex and found["said"]:
        return quote(found["said"])
    text = found.string
    first = text.rfind("\n", 0, found.start()) + 1
    # A line as long as a book: what was found, and what follows.
    begin = first if found.start() - first <= _LINE else found.start()
    end = text.find("\n", found.start())
    return quote(text[begin : end if end >= 0 else len(text)].lstrip() or found[0])


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """A profile's pattern; it was checked when the profile was read."""
    return re.compile(pattern, re.MULTILINE)


def signal_name(number: int | None) -> str:
    return Signals(number).name if number in set(Signals) else f"signal {number}"
