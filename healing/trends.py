"""The same figures over time, and whom they struck most. Pure; times are epoch seconds.

An incident counts for the moment it was opened, an action for when it began, a task for when it ended; so the
parts of a span add up to the figures of the whole of it (metrics.py)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .metrics import ActionRecord, IncidentRecord, repair_time

T = TypeVar("T")

MOST = 10
"""Agents that are named as the ones most in trouble."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What began in `since <= time < until`. Every incident is in exactly one of `recovered` (by a proved
    recovery), `by_itself`, `given_up` (the last level was spent), `cleared` and `open`."""

    since: float
    until: float
    incidents: int
    recovered: int
    by_itself: int
    given_up: int
    cleared: int
    open: int
    actions: int
    proved: int
    failed: int
    repairs: int
    """Over how many the mean of `mttr_s` was taken."""
    mttr_s: float | None


@dataclass(frozen=True, slots=True)
class Troubled:
    """One agent's share of the trouble; `seconds`: how long its incidents were open, together."""

    agent: str
    incidents: int
    recovered: int
    given_up: int
    actions: int
    seconds: float


def ending(incident: IncidentRecord) -> str:
    """`given_up`, `recovered`, `by_itself`, `cleared` or `open`: how it ended, in one word."""
    if incident.escalated is not None:
        return "given_up"
    if incident.outcome is None:
        return "open"
    return {"recovered": "recovered", "self": "by_itself"}.get(incident.outcome, "cleared")


def over_time(
    actions: Iterable[ActionRecord], incidents: Iterable[IncidentRecord], edges: Sequence[float]
) -> list[Slice]:
    """One slice between each two of the `edges`, which rise; what lies outside of them is left out.

    Incidents that a person opened by an order are nobody's failure and are left out, but their actions are
    actions like any other."""
    fell = _dealt(((i.opened, i) for i in incidents if not i.ordered), edges)
    acted = _dealt(((a.at, a) for a in actions), edges)
    return [
        _slice(since, until, mine, own)
        for since, until, mine, own in zip(edges, edges[1:], fell, acted, strict=False)
    ]


def most_troubled(
    actions: Iterable[ActionRecord], incidents: Iterable[IncidentRecord], now: float
) -> list[Troubled]:
    """The agents with the most incidents, the worst first; an open one lasts until `now`."""
    fell: dict[str, list[IncidentRecord]] = {}
    for incident in incidents:
        if not incident.ordered:
            fell.setdefault(incident.agent, []).append(incident)
    tried: dict[str, int] = {}
    for action in actions:
        tried[action.agent] = tried.get(action.agent, 0) + 1
    found = [_troubled(agent, own, tried.get(agent, 0), now) for agent, own in fell.items()]
    return sorted(found, key=lambda t: (-t.incidents, -t.given_up, -t.seconds, t.agent))[:MOST]


def _troubled(agent: str, own: Sequence[IncidentRecord], actions: int, now: float) -> Troubled:
    ends = [ending(incident) for incident in own]
    lasted = sum(max(0.0, (now if i.closed is None else i.closed) - i.opened) for i in own)
    return Troubled(
        agent, len(own), ends.count("recovered"), ends.count("given_up"), actions, round(lasted, 3)
    )


def _dealt(timed: Iterable[tuple[float, T]], edges: Sequence[float]) -> list[list[T]]:
    hands: list[list[T]] = [[] for _ in edges[1:]]
    for at, one in timed:
        place = bisect_right(edges, at) - 1
        if 0 <= place < len(hands):
            hands[place].append(one)
    return hands


def _slice(
    since: float, until: float, incidents: Sequence[IncidentRecord], actions: Sequence[ActionRecord]
) -> Slice:
    ends = [ending(incident) for incident in incidents]
    outcomes = [action.outcome for action in actions]
    return Slice(
        since=since, until=until, incidents=len(incidents), recovered=ends.count("recovered"),
        by_itself=ends.count("by_itself"), given_up=ends.count("given_up"), cleared=ends.count("cleared"),
        open=ends.count("open"), actions=len(actions), proved=outcomes.count("success"),
        failed=outcomes.count("failure"), repairs=sum(i.recovered is not None for i in incidents),
        mttr_s=repair_time(incidents),
    )  # fmt: skip
