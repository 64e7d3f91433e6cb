"""A profile's screen rules read against the bottom of a pane."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..config.fleet import ScreenRule

_LOOKS = 2
"""A rule must hold (or no rule hold) in this many looks running: a half-drawn screen means nothing."""


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that holds. `resets`: seconds until the limit ends, where the rule says how to read that."""

    rule: ScreenRule
    resets: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one look changed: `matched` newly holds, or `cleared`. `again`: look once more soon to be sure."""

    matched: Match | None = None
    cleared: bool = False
    again: bool = False


class ScreenReader:
    """Remembers one pane's last looks. Rules are tried in order; the first that matches stands.

    `unsure`: nobody knows what was told of this pane last, so that no rule holding is news as well."""

    def __init__(self, rules: Sequence[ScreenRule], *, unsure: bool = False) -> None:
        self._rules = [
            (rule, _compiled(rule.pattern), _compiled(rule.resets) if rule.resets else None) for rule in rules
        ]
        self._held: str | None = "" if unsure else None
        self._maybe: str | None = None
        self._times = 0

    def look(self, visible: Sequence[str]) -> Verdict:
        """Read the visible lines, top to bottom, without the empty ones under the last text."""
        if not self._rules:
            return Verdict()
        match = self._first(visible)
        name = match.rule.name if match else None
        if name == self._held:
            self._maybe, self._times = name, 0
            return Verdict()
        self._times = self._times + 1 if name == self._maybe and self._times else 1
        self._maybe = name
        if self._times < _LOOKS:
            return Verdict(again=True)
        self._held, self._times = name, 0
        return Verdict(matched=match, cleared=match is None)

    def _first(self, visible: Sequence[str]) -> Match | None:
        for rule, pattern, resets in self._rules:
            bottom = "\n".join(visible[-rule.lines :])
            if pattern.search(bottom):
                return Match(rule, _seconds(resets, bottom) if resets else None)
        return None


def asks(rules: Sequence[ScreenRule], visible: Sequence[str]) -> str:
    """The rule by which this screen waits for a person, or empty. One look is enough to keep hands off."""
    lines = "\n".join(visible).rstrip().split("\n")
    waiting = (rule for rule in rules if rule.phase == "waiting")
    return next((r.name for r in waiting if _compiled(r.pattern).search("\n".join(lines[-r.lines :]))), "")


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)


def _seconds(resets: re.Pattern[str], text: str) -> float | None:
    """The first group as seconds; None when the text does not say (or says nonsense)."""
    found = resets.search(text)
    try:
        seconds = float(found.group(1)) if found else -1.0
    except (IndexError, TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < 10**8 else None
