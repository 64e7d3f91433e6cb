"""A profile's screen rules read against the bottom of a pane.

What an agent prints must never pass for what its program asks. So only the lines at the bottom are read, and
of a dialog only those under the input line, whose place it takes (`below`). And a rule must hold in two looks
at the same words in the same place: prose moves on, a dialog stays. What moves by itself, a spinner or a
clock, is masked before the two looks are compared.

`busy` goes before all others: programs that were looked at take its line away while they ask, so that with it
on the screen a question is prose, a limit or an error one that is over, and an input line no sign of rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...config.fleet import ScreenPhase, ScreenRule
from ...healing.attribute import words_of
from ...healing.repeats import mask
from ..clock import local_now
from .reset_times import read_end

_LOOKS = 2
"""A rule must hold (or no rule hold) in this many looks running: a half-drawn screen means nothing."""
_LOOKS_AT_REST = 4
"""Looks for `idle`: an answer that streams in, without a busy line, makes a pause now and then."""

_LOOKS_AT_ERROR = 8
"""Looks for `error`: who can go on moves within the two seconds that these take."""
_MANY: dict[str, int] = {"idle": _LOOKS_AT_REST, "error": _LOOKS_AT_ERROR}

_RANK: dict[ScreenPhase, int] = {
    "busy": 0, "waiting": 1, "limited": 1, "error": 1, "dialog": 2, "idle": 3, "ready": 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that holds. `resets`: seconds until the limit ends, where the rule says how to read that.
    `line`: the words of an error, inert."""

    rule: ScreenRule
    resets: float | None
    line: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one look changed: `matched` newly holds, or `cleared`. `again`: look once more soon to be sure."""

    matched: Match | None = None
    cleared: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class _Sighting:
    """What one look saw: a rule, and what must be the same in the next look for it to be the same thing."""

    match: Match | None = None
    same: tuple[object, ...] = ()

    @property
    def name(self) -> str | None:
        """Of the rule, with its phase: a dialog may have the name of a screen rule."""
        return f"{self.phase} {self.match.rule.name}" if self.match else None

    @property
    def phase(self) -> str:
        return self.match.rule.phase if self.match else ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A rule with its patterns compiled."""

    rule: ScreenRule
    pattern: re.Pattern[str]
    below: re.Pattern[str] | None
    resets: re.Pattern[str] | None

    @classmethod
    def of(cls, rule: ScreenRule) -> _Reading:
        return cls(
            rule,
            re.compile(rule.pattern, re.MULTILINE),
            re.compile(rule.below) if rule.below else None,
            re.compile(rule.resets, re.MULTILINE) if rule.resets else None,
        )

    def region(self, visible: Sequence[str]) -> Sequence[str]:
        """The lines this rule may read."""
        first = max(0, len(visible) - self.rule.lines)
        if self.below is not None:
            for at in range(len(visible) - 1, first - 1, -1):
                if self.below.search(visible[at]):
                    return visible[at + 1 :]
        return visible[first:]

    def find(self, visible: Sequence[str], now: Callable[[], datetime]) -> _Sighting | None:
        region = self.region(visible)
        bottom = "\n".join(region)
        found = self.pattern.search(bottom)
        if found is None:
            return None
        resets = read_end(self.resets, bottom, now()) if self.resets else None
        line = words_of(found) if self.rule.phase == "error" else ""
        return _Sighting(Match(self.rule, resets, line), self._same(visible, region, bottom, found))

    def _same(
        self, visible: Sequence[str], region: Sequence[str], bottom: str, found: re.Match[str]
    ) -> tuple[object, ...]:
        if self.rule.phase in ("busy", "ready"):
            return ()
        if self.rule.phase in _MANY:
            # Some take the busy line away while an answer streams in: at rest is only what stands still.
            return tuple(mask(line) for line in visible)
        first = bottom.count("\n", 0, found.start())
        last = bottom.count("\n", 0, found.end())
        return (len(region) - last, *(mask(line) for line in region[first : last + 1]))


class ScreenReader:
    """Remembers one pane's last looks. `busy` rules are tried first, then those of dialogs and limits in
    their order, then `idle`, then `ready`; the first that matches stands.

    `unsure`: nobody knows what was told of this pane last, so that no rule holding is news as well."""

    def __init__(
        self,
        rules: Sequence[ScreenRule],
        *,
        unsure: bool = False,
        now: Callable[[], datetime] = local_now,
    ) -> None:
        self._readings = sorted((_Reading.of(rule) for rule in rules), key=lambda r: _RANK[r.rule.phase])
        self._now = now
        self._held: str | None = "" if unsure else None
        self._maybe = _Sighting()
        self._times = 0

    def look(self, visible: Sequence[str]) -> Verdict:
        """Read the visible lines, top to bottom, without the empty ones under the last text."""
        if not self._readings:
            return Verdict()
        seen = self._first(visible)
        if seen.name == self._held:
            self._times = 0
            return Verdict()
        same = (seen.name, seen.same) == (self._maybe.name, self._maybe.same)
        self._times = self._times + 1 if same and self._times else 1
        self._maybe = seen
        if self._times < _MANY.get(seen.phase, _LOOKS):
            return Verdict(again=True)
        self._held, self._times = seen.name, 0
        return Verdict(matched=seen.match, cleared=seen.match is None)

    def _first(self, visible: Sequence[str]) -> _Sighting:
        found = (reading.find(visible, self._now) for reading in self._readings)
        return next((sighting for sighting in found if sighting), _Sighting())


def asks(rules: Sequence[ScreenRule], visible: Sequence[str]) -> str:
    """The rule by which this screen waits for a person, or empty. One look is enough to keep hands off."""
    return shows(rules, visible, "waiting")


def shows(rules: Sequence[ScreenRule], visible: Sequence[str], phase: ScreenPhase) -> str:
    """The first rule of that phase which holds in this one look, or empty."""
    lines = "\n".join(visible).rstrip().split("\n")
    for rule in rules:
        if rule.phase == phase:
            reading = _Reading.of(rule)
            if reading.pattern.search("\n".join(reading.region(lines))):
                return rule.name
    return ""
