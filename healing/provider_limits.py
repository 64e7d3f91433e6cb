"""A provider's limit that ended an agent's process: it waits until the time that was named, then goes on.

The agent is `limited` meanwhile, with its incident open, and its deadline rests. What follows the wait
spends no budget, since nothing was wrong with the agent; yet no more often than there are restarts."""

from __future__ import annotations

from ..config.fleet import AgentSpec
from .agent import AgentState, Incident, Phase
from .replacing import replace
from .transitions import Change, enter

BACKS_OFF = frozenset({"api_error", "rate_limited"})
"""Causes for which the first attempt waits as well: to ask at once again is what makes them worse."""


LONGEST = 8 * 86_400.0
"""A limit that is said to last longer (s) is none that anybody should wait for without being asked."""


def waits_until(cause: str, at: float, until: float | None) -> float | None:
    """The end of the limit that this cause is, if it is worth waiting for."""
    named = cause == "rate_limited" and until is not None and at < until <= at + LONGEST
    return until if named else None


def wait_for(s: AgentState, at: float, until: float, why: str) -> Change:
    """Its process ended by a limit that ends at `until` (engine time)."""
    incident = replace(s.incident, until=until) if s.incident else None
    return enter(replace(s, incident=incident, limited_until=until), Phase.LIMITED, at, why)


def limit_over(s: AgentState, now: float) -> Change:
    """The time has come; what heals the incident is next."""
    return enter(replace(s, limited_until=None), Phase.EXITED, now, "the limit's time is over")


def free(s: AgentState, incident: Incident, spec: AgentSpec) -> bool:
    """The next attempt of level 1 follows a wait for a limit's end, and spends no budget."""
    return incident.until is not None and incident.level <= 1 and s.waits < max(1, spec.policy.max_restarts)


def spent_wait(s: AgentState) -> AgentState:
    """That attempt begins: the next one is free only after another limit."""
    incident = s.incident
    if incident:
        *before, begun = incident.attempts
        incident = replace(incident, until=None, attempts=(*before, replace(begun, free=True)))
    return replace(s, incident=incident, waits=s.waits + 1)


def extra_wait(incident: Incident) -> int:
    """Steps of backoff that this cause adds, so that even the first attempt waits."""
    return int(incident.cause in BACKS_OFF and incident.until is None)
