"""Tokens and cost as an agent CLI's own transcript tells them. Pure: lines in, a sum out.

The shapes are those of facts/agents.md: claude (`message.usage`, the same message more than once), codex
(`token_count`, a running total), gemini and qwen (one count a message, which may be written again), aider
(`> Tokens: 2.6k sent, 12 received. Cost: $0.01 message, $0.02 session.`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ...healing.usage import Tokens

MOST_MINUTES = 24 * 60
MOST_MESSAGES = 20_000
"""Messages that are remembered to be counted once; older ones stay counted as they were."""
_AIDER = re.compile(
    r"^> Tokens: (?P<sent>[\d.,]+k?) sent(?:, (?P<cached>[\d.,]+k?) cache hit)?"
    r"(?:, [\d.,]+k? cache write)?, (?P<got>[\d.,]+k?) received"
    r"(?:\. Cost: \$[\d.]+ message, \$(?P<cost>\d+(?:\.\d+)?) session)?"
)
_TELLING = ("usage", "token", "Token")


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where a line holds its counts, and which of them add up to what was sent, received, and read again from
    a cache. `within`: what was cached is counted in `sent` as well, and is taken out of it."""

    place: str
    sent: tuple[str, ...]
    received: tuple[str, ...]
    cached: str
    within: bool = True

    def read(self, usage: Mapping[str, Any], cost: object) -> Tokens:
        sent, cached = _sum(usage, self.sent), _count(usage, self.cached)
        if self.within and sent is not None and cached is not None:
            sent = max(0, sent - cached)
        told = float(cost) if isinstance(cost, (int, float)) and not isinstance(cost, bool) else None
        return Tokens(sent, _sum(usage, self.received), cached, told)


_CODEX = _Shape(
    "payload.info.total_token_usage", ("input_tokens",), ("output_tokens",), "cached_input_tokens"
)
_SHAPES = (
    _Shape(
        "message.usage",
        ("input_tokens", "cache_creation_input_tokens"),
        ("output_tokens",),
        "cache_read_input_tokens",
        within=False,
    ),
    _Shape("tokens", ("input",), ("output", "thoughts"), "cached"),
    _Shape(
        "usageMetadata",
        ("promptTokenCount",),
        ("candidatesTokenCount", "thoughtsTokenCount"),
        "cachedContentTokenCount",
    ),
)


@dataclass(slots=True)
class TokenCount:
    """Goes on from line to line, so that only what was appended need be read. `most_messages` are remembered
    to be counted once; `by_minute`: also when it was."""

    most_messages: int = MOST_MESSAGES
    by_minute: bool = True
    context_left: float | None = None
    """0..1 of the model's window; None where the CLI does not tell it."""
    _closed: Tokens = field(default_factory=Tokens)
    _by_message: dict[str, Tokens] = field(default_factory=dict)
    _running: Tokens | None = None
    _told: bool = False
    _session: float = 0.0
    """What aider's own sum of its session was, and `_sessions` those of the sessions before it."""
    _sessions: float = 0.0
    _minutes: dict[int, int] = field(default_factory=dict)

    def take(self, lines: Iterable[str]) -> None:
        for line in lines:
            if line.startswith("> Tokens:"):
                self._aider(line)
            elif any(word in line for word in _TELLING):
                self._json(line)

    @property
    def total(self) -> Tokens | None:
        """None until a line said something."""
        if not self._told:
            return None
        total = self._closed
        for one in self._by_message.values():
            total += one
        return total if self._running is None else total + self._running

    @property
    def minutes(self) -> tuple[tuple[int, int], ...]:
        """(minute since 1970, tokens sent and received in it) by the transcript's own times, oldest first."""
        return tuple(sorted(self._minutes.items()))

    def _aider(self, line: str) -> None:
        found = _AIDER.match(line)
        if found is None:
            return
        one = Tokens(_amount(found["sent"]), _amount(found["got"]), _amount(found["cached"]))
        cost, summed = self._closed.cost, self._closed + one
        if found["cost"]:
            session = float(found["cost"])
            if session < self._session:  # it was started anew, and began to count at nothing
                self._sessions += self._session
            self._session = session
            cost = self._sessions + session
        self._closed = Tokens(summed.sent, summed.received, summed.cached, cost)
        self._told = True

    def _json(self, line: str) -> None:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            return
        running = _at(said, _CODEX.place)
        if isinstance(running, Mapping):
            now = _CODEX.read(running, None)
            self._spread(said.get("timestamp"), _new(now) - _new(self._running))
            self._running, self._told = now, True
            self._window(_at(said, "payload.info"))
            return
        for shape in _SHAPES:
            usage = _at(said, shape.place)
            if isinstance(usage, Mapping):
                name = _at(said, "message.id") or said.get("id") or said.get("uuid") or ""
                one = shape.read(usage, said.get("costUSD"))
                self._spread(said.get("timestamp"), _new(one) - _new(self._by_message.get(str(name))))
                self._message(str(name), one)
                return

    def _window(self, told: Mapping[str, Any]) -> None:
        """codex: how much of the model's window its last turn left free."""
        window, last = _count(told, "model_context_window"), told.get("last_token_usage")
        used = _count(last, "total_tokens") if isinstance(last, Mapping) else None
        if window and used is not None:
            self.context_left = round(max(0.0, 1 - used / window), 4)

    def _spread(self, stamp: object, tokens: int) -> None:
        if not self.by_minute:
            return
        minute = _minute(stamp)
        if minute is None or tokens <= 0:
            return
        self._minutes[minute] = self._minutes.get(minute, 0) + tokens
        if len(self._minutes) > MOST_MINUTES:
            del self._minutes[min(self._minutes)]

    def _message(self, name: str, one: Tokens) -> None:
        self._told = True
        if not name:
            self._closed += one
            return
        self._by_message[name] = one
        if len(self._by_message) > self.most_messages:
            self._closed += self._by_message.pop(next(iter(self._by_message)))


def _at(said: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        said = said.get(key) if isinstance(said, dict) else None
    return said


def _new(one: Tokens | None) -> int:
    """Tokens that were not read from a cache."""
    return 0 if one is None else (one.sent or 0) + (one.received or 0)


def _minute(stamp: object) -> int | None:
    try:
        return int(datetime.fromisoformat(stamp).timestamp() // 60) if isinstance(stamp, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _sum(usage: Mapping[str, Any], names: Iterable[str]) -> int | None:
    known = [count for name in names if (count := _count(usage, name)) is not None]
    return sum(known) if known else None


def _amount(text: str | None) -> int | None:
    """`725`, `1,234` or `2.6k`."""
    if text is None:
        return None
    try:
        number = float(text.rstrip("k").replace(",", ""))
    except ValueError:
        return None
    return round(number * 1000) if text.endswith("k") else round(number)
