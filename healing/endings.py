"""How an attempt ends: it fell, or its work is done."""

from __future__ import annotations

from ..config.fleet import AgentSpec
from .agent import AgentState, Incident, Phase, Stage
from .judge import came_back
from .provider_limits import wait_for, waits_until
from .replacing import replace
from .transitions import Change, close_task, end_attempt, enter, event, open_incident, recovered


def fell(
    s: AgentState,
    at: float,
    symptom: str,
    cause: str,
    detail: str,
    spec: AgentSpec,
    until: float | None = None,
) -> Change:
    """The agent is down: fail the attempt under way, or open an incident. `until`: engine time at which a
    limit of its provider ends, if it said so; an agent that ended by it waits until then."""
    until = waits_until(cause, at, until)
    lived = _lived(s, at) if symptom == "exited" and not s.alive else None
    why = f"{symptom} again: {detail}" if s.incident else detail
    change = end_attempt(s, at, ok=False, why=why, lived=lived)
    if change.state.incident:
        change = change.then(found_out(change.state, at, cause, detail, spec, until))
    else:
        change = change.then(open_incident(change.state, at, symptom, cause, detail))
    if until is not None and not change.state.alive:
        return change.then(wait_for(change.state, at, until, detail))
    phase = Phase.EXITED if not change.state.alive else Phase.RECOVERING
    if change.state.phase is Phase.UNKNOWN and change.state.alive:
        # It says so by letter while nobody can see it: what is to be done waits until somebody can.
        return change.then(Change(replace(change.state, before_unknown=phase)))
    return change.then(enter(change.state, phase, at, detail))


def _lived(s: AgentState, at: float) -> float | None:
    """How long the process of the attempt under way was there (s): not at all, if it could not be started."""
    if s.recovery is None or s.recovery.stage not in (Stage.STARTING, Stage.VERIFYING):
        return None
    return max(0.0, at - s.started) if s.recovery.stage is Stage.VERIFYING else 0.0


def found_out(
    s: AgentState, at: float, cause: str, detail: str, spec: AgentSpec, until: float | None = None
) -> Change:
    """The open incident has another cause than it began with, if that one matters more."""
    if s.incident is None or not _outranks(s.incident, cause, spec, waits_until(cause, at, until)):
        return Change(s)
    s = replace(s, incident=replace(s.incident, cause=cause, detail=detail))
    return Change(s, (event(s, "agent_cause_found", at, cause=cause, detail=detail),))


def in_vain(s: AgentState, at: float, why: str) -> Change:
    """What a person ordered was not proved: from now on that is what the incident is about, and no longer the
    order, by whom nobody learns what is wrong."""
    incident = s.incident
    if (
        incident is None
        or (incident.symptom, incident.cause) != ("ordered", "unknown")
        or incident.detail == why
    ):
        return Change(s)
    s = replace(s, incident=replace(incident, detail=why))
    return Change(s, (event(s, "agent_cause_found", at, cause=incident.cause, detail=why),))


def _outranks(incident: Incident, cause: str, spec: AgentSpec, until: float | None) -> bool:
    """Trouble that no retry heals outranks what the incident began with; so does a limit that has an end.
    What began with a person's order had no cause: the first that is found is its own."""
    if cause == incident.cause:
        return False
    if incident.symptom == "ordered" and incident.cause == "unknown":
        return True
    return not spec.policy.recovery.get(cause, ("restart",)) or until is not None


def finished(s: AgentState, at: float, why: str) -> Change:
    """The agent says, by letter or by exit 0, that its work is done: the best progress there is."""
    change = (
        recovered(s, at, f"done ({why})") if s.recovery and s.recovery.stage is Stage.VERIFYING else Change(s)
    )
    if change.state.incident:
        change = change.then(came_back(change.state, at, why))
    change = change.then(close_task(change.state, at, done=True, why=why))
    change = change.noting(event(change.state, "agent_done", at, why=why))
    return change.then(enter(change.state, Phase.DONE, at, why))
