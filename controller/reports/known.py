"""Agent states as the book has them, read again only where something was written since.

A state is written at a transition; what changes without one (ages, CPU, words) the daemon shows beside it.
Both together are the agent as the daemon knows it, some seconds late at most.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...healing.agent import AgentState, Phase, Returning, Trace
from ...healing.codec import load_state
from ...healing.replacing import replace
from ...healing.usage import Spending, Tokens, Transcribed
from ..timestamps import to_iso

if TYPE_CHECKING:
    from ..ledger.reader import LedgerReader

T = TypeVar("T")

SURE_AFTER = 2.0
"""Seconds after which no second write can bear the same time as one that was read."""
_CLOCKS = frozenset({"last_life", "last_progress", "last_solid", "last_shown"})
_NUMBERS = frozenset({"cpu_pct", "memory_mb", "progress", "overlong"})
_WORDS: Mapping[str, type] = {
    "says": str,
    "message": str,
    "progress_kind": str,
    "screen": str,
    "title": str,
    "stopped_child": str,
    "stopped": bool,
    "attached": bool,
    "threads": int,
    "moved": int,
}


@dataclass(slots=True)
class _Entry(Generic[T]):
    """`text`: what `value` was read from, as long as a second write could bear the same time."""

    stamp: str
    text: str | None
    value: T


class KnownStates:
    """One reader's memory of the fleet. Not for two threads at once."""

    def __init__(self) -> None:
        self._states: dict[str, _Entry[AgentState]] = {}
        self._live: dict[str, _Entry[Mapping[str, Any]]] = {}
        self._now: dict[str, tuple[AgentState, Mapping[str, Any], AgentState]] = {}

    def read(self, reader: LedgerReader, rows: Collection[Mapping[str, Any]]) -> dict[str, AgentState]:
        """The state of every agent of `rows` (LedgerReader.agents) as it is now. Raises LedgerError."""
        written = {str(row["id"]): str(row["updated_at"]) for row in rows}
        for gone in self._now.keys() - written.keys():
            del self._now[gone]
        _renew(self._states, written, reader.state_texts, read_state)
        _renew(self._live, reader.shown_at(), reader.beat_texts, lambda _, raw: raw)
        return {agent: self._current(agent) for agent in written if agent in self._states}

    def _current(self, agent: str) -> AgentState:
        state, live = self._states[agent], self._live.get(agent)
        if live is None:
            return state.value
        known = self._now.get(agent)
        if known is not None and known[0] is state.value and known[1] is live.value:
            return known[2]
        now = current(state.value, live.value, newer=live.stamp >= state.stamp)
        self._now[agent] = (state.value, live.value, now)
        return now


def state_now(reader: LedgerReader, agent: str) -> AgentState | None:
    """One agent as it is now; None when no daemon has ever started it. Raises LedgerError."""
    with reader.at_once():
        rows = [row for row in reader.agents() if row["id"] == agent]
        written, live, shown = reader.states([agent]), reader.beats([agent]), reader.shown_at()
    if agent not in written or not rows:
        return None
    newer = shown.get(agent, "") >= rows[0]["updated_at"]
    return current(read_state(agent, written[agent]), live.get(agent, {}), newer=newer)


def read_state(agent: str, raw: Mapping[str, Any]) -> AgentState:
    """The state, or for one this version cannot read an agent of which nothing is known.

    What it remembers of its output, which is most of it, is nothing to look at: it is left out."""
    try:
        return load_state({name: value for name, value in raw.items() if name != "memory"} | {"id": agent})
    except (TypeError, ValueError):
        return AgentState(agent, phase=Phase.UNKNOWN)


def current(state: AgentState, live: Mapping[str, Any], *, newer: bool) -> AgentState:
    """The state as last written with the live values told beside it; `newer`: they were told after it."""
    trace: dict[str, float | None] = dict(vars(state.trace))
    changes: dict[str, Any] = {}
    for name, value in live.items():
        if name in trace:
            if _finite(value) and ((before := trace[name]) is None or value > before):
                trace[name] = float(value)
        elif name in _CLOCKS:
            if _finite(value) and value > getattr(state, name):
                changes[name] = float(value)
        elif newer and name in _NUMBERS:
            if _finite(value):
                changes[name] = float(value)
        elif newer and type(value) is _WORDS.get(name):
            changes[name] = value
        elif newer and name == "usage" and value is not None:
            changes["spending"] = _spending(state.spending, value)
    if "last_progress" in changes:
        changes |= {"quick_looked": None, "returning": Returning()}  # that spell is over
    return replace(state, trace=Trace(**trace), **changes)


def _spending(before: Spending, told: Any) -> Spending:
    """As last written, with the sums that were told since."""
    if not isinstance(told, list) or len(told) != 5 or not all(one is None or _finite(one) for one in told):
        return before
    sent, received, cached = (None if one is None else int(one) for one in told[:3])
    now = Transcribed("", Tokens(sent, received, cached, told[3]))
    return replace(before, known=(now,), older=None, context_left=told[4])


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _renew(
    known: dict[str, _Entry[T]],
    stamps: Mapping[str, str],
    fetch: Callable[[Collection[str]], Mapping[str, str]],
    read: Callable[[str, dict[str, Any]], T],
) -> None:
    """Bring `known` up to the `stamps`, with as few rows fetched as possible; only new text is read."""
    for gone in known.keys() - stamps.keys():
        del known[gone]
    stale = [agent for agent, at in stamps.items() if not _stands(known.get(agent), at)]
    sure_before = to_iso(time.time() - SURE_AFTER)
    for agent, text in (fetch(stale) if stale else {}).items():
        stamp, before = stamps[agent], known.get(agent)
        same = before is not None and before.text == text
        value = before.value if before is not None and same else read(agent, json.loads(text))
        known[agent] = _Entry(stamp, None if stamp < sure_before else text, value)


def _stands(entry: _Entry[Any] | None, stamp: str) -> bool:
    return entry is not None and entry.text is None and entry.stamp == stamp
