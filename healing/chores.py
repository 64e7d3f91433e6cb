"""How long a child's work is progress: `tool_timeout` for each, and for those of one command line together.

A hung agent may start the same short command again and again; each of them works, and nothing gets anywhere.
They count from the first of them on, until something else than a child moves."""

from __future__ import annotations

from itertools import zip_longest

from .agent import AgentState, Chore
from .evidence import ProcessMeasured

KEPT = 16
"""Command lines that are remembered, those that were at work last: a build has thousands, each once."""


def at_work(s: AgentState, ev: ProcessMeasured, tool_timeout: float) -> tuple[tuple[Chore, ...], float]:
    """The agent's chores after `ev`; and 0 while one of its busy children counts, or none is busy, else the
    engine time since when those work that count no more."""
    chores, counts, begun = s.chores, False, ev.at
    for age, kind in zip_longest(ev.busy_children, ev.busy_kinds[: len(ev.busy_children)]):
        born = ev.at - age
        since = born
        # What serves the agent for hours is no chore: its age alone says that it counts no more.
        if kind is not None and age <= tool_timeout:
            chores, since = _noted(chores, kind, max(born, s.last_apart))
        counts = counts or ev.at - min(born, since) <= tool_timeout
        begun = min(begun, born, since)
    return chores, 0.0 if counts or not ev.busy_children else begun


def _noted(chores: tuple[Chore, ...], kind: int, begun: float) -> tuple[tuple[Chore, ...], float]:
    """The chores with this one as the newest, and since when its like are at work."""
    known = next((one for one in chores if one.kind == kind), None)
    if known is None:
        return (*chores, Chore(kind, begun))[-KEPT:], begun
    if chores[-1] is known:
        return chores, known.since
    return (*(one for one in chores if one is not known), known), known.since
