"""How an attempt ends: it fell, or its work is done."""

from __future__ import annotations

from ..config.fleet import AgentSpec
from .agent import AgentState, Phase, Stage
from .judge import came_back
from .replacing import replace
from .transitions import Change, close_task, end_attempt, enter, event, open_incident, recovered


def fell(s: AgentState, at: float, symptom: str, cause: str, detail: str, spec: AgentSpec) -> Change:
    """The agent is down: fail the attempt under way, or open an incident."""
    change = end_attempt(s, at, ok=False, why=f"{symptom} again: {detail}" if s.incident else detail)
    s = change.state
    if s.incident and not spec.policy.recovery.get(cause, ("restart",)):
        # Trouble that no retry heals outranks what the incident began with.
        s = replace(s, incident=replace(s.incident, cause=cause, detail=detail))
    change = change.then(open_incident(s, at, symptom, cause, detail))
    phase = Phase.EXITED if not change.state.alive else Phase.RECOVERING
    return change.then(enter(change.state, phase, at, detail))


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
