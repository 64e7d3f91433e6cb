"""A state written down by another daemon, or under another fleet file, made to fit this one. Pure."""

from __future__ import annotations

from ..config.fleet import AgentSpec
from .agent import HELD, AgentState, Stage
from .ladder import delay_before
from .replacing import replace
from .seats import in_force, known


def fitted(s: AgentState, spec: AgentSpec, now: float) -> AgentState:
    """The state under a changed fleet file, or read by a daemon whose clock says something else: no seat
    that is not there, and no wait beyond what the policy allows."""
    seats = len(spec.seats)
    s = replace(s, seat=s.seat if s.seat < seats else 0, hand=known(s.hand, spec))
    policy = in_force(s, spec).policy
    recovery, task, incident = s.recovery, s.task, s.incident
    if incident and incident.observed and policy.mode == "armed":
        incident = replace(incident, observed=False)  # from now on something is done about it
    if incident and incident.asked:
        until = min(incident.asked.until, now + policy.decide_within)
        incident = replace(incident, asked=replace(incident.asked, until=until))
    if recovery:
        longest = policy.verify_within
        if recovery.stage is Stage.BACKOFF:
            longest = delay_before(incident, policy.backoff, incident.id) if incident else 0.0
        recovery = replace(
            recovery,
            seat=recovery.seat if recovery.seat < seats else 0,
            hand=known(recovery.hand, spec),
            from_seat=recovery.from_seat if recovery.from_seat < seats else 0,
            from_hand=known(recovery.from_hand, spec),
            due=min(recovery.due, now + longest),
        )
    if task and task.ticking_since is not None:
        task = replace(task, ticking_since=min(task.ticking_since, now))
    holds = s.held_back if incident and s.phase not in HELD else ()
    if holds:
        holds = tuple(replace(hold, since=min(hold.since, now)) for hold in holds)
    return replace(s, recovery=recovery, task=task, incident=incident, held_back=holds)
