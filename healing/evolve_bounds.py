"""What guards say of an agent's recovery: wait, go on, and that its trouble is one of many of the same."""

from __future__ import annotations

from ..config.fleet import AgentSpec
from . import evidence as e
from .agent import HELD, AgentState, Attempt, Hold, Incident, Shared, Strategy
from .cascade_parts import NOBODYS_FAULT
from .holding import hold_of
from .replacing import replace
from .transitions import Change, event


def held_back(s: AgentState, ev: e.HeldBack, _: AgentSpec) -> Change:
    before = hold_of(s, ev.by)
    if s.incident is None or s.phase in HELD or (before and before.why == ev.why):
        return Change(s)  # told too late: there is nothing to hold back any more
    hold = Hold(ev.by, ev.why, before.since if before else ev.at)
    state = replace(s, held_back=(*(h for h in s.held_back if h.by != ev.by), hold))
    return Change(state, (event(state, "agent_held_back", ev.at, by=ev.by, why=ev.why),))


def let_go(s: AgentState, ev: e.LetGo, _: AgentSpec) -> Change:
    hold = hold_of(s, ev.by)
    if hold is None:
        return Change(s)
    state = replace(s, held_back=tuple(h for h in s.held_back if h.by != ev.by))
    seconds = round(max(0.0, ev.at - hold.since), 3)
    return Change(state, (event(state, "agent_let_go", ev.at, by=ev.by, seconds=seconds),))


def cause_shared(s: AgentState, ev: e.CauseShared, spec: AgentSpec) -> Change:
    incident, shared = s.incident, ev.shared
    if incident is None or s.phase in HELD or (shared is None and incident.shared is None):
        return Change(s)
    if shared is None:
        return Change(replace(s, incident=replace(incident, shared=None)))
    since = shared.opened - spec.policy.cascade.window
    given: list[Attempt] = []
    # An older one holds nobody back any more: it is up to budgets then, for nothing may go on for ever.
    if shared.cause in NOBODYS_FAULT and ev.at < shared.opened + spec.policy.task_deadline:
        given = [a for a in incident.attempts if _given_back(a, since)]
    before = incident.shared
    state = _with_budgets(s, incident, given, shared)
    if before is not None and before.id == shared.id and not given:
        return Change(state)
    told = {"cascade": shared.id, "cause": shared.cause, "given_back": len(given)}
    return Change(state, (event(state, "agent_cause_shared", ev.at, **told),))


def _given_back(attempt: Attempt, since: float) -> bool:
    spent = not (attempt.free or attempt.manual)
    return spent and attempt.outcome == "failure" and attempt.at >= since


def _with_budgets(s: AgentState, incident: Incident, given: list[Attempt], shared: Shared) -> AgentState:
    """The failed attempts were no fault of the agent: what they cost is given back."""
    numbers = {a.n for a in given}
    kinds = [a.strategy for a in given]
    attempts = tuple(replace(a, free=True) if a.n in numbers else a for a in incident.attempts)
    nudges, reassigns = kinds.count(Strategy.NUDGE), kinds.count(Strategy.REASSIGN)
    return replace(
        s,
        incident=replace(incident, shared=shared, attempts=attempts),
        nudges=max(0, s.nudges - nudges),
        reassigns=max(0, s.reassigns - reassigns),
        restarts=max(0, s.restarts - (len(given) - nudges - reassigns)),
    )
