"""What concerns an agent's family: who above it could answer, what was decided, whose children recover."""

from __future__ import annotations

from ..config.fleet import AgentSpec
from . import evidence as e
from .agent import AgentState, Happening, Strategy, Tending
from .asking import open_question, why_not
from .replacing import replace
from .transitions import Change, event, tended


def deciders(s: AgentState, ev: e.DecidersKnown, _: AgentSpec) -> Change:
    return Change(replace(s, deciders=ev.deciders))


def decided(s: AgentState, ev: e.Decided, spec: AgentSpec) -> Change:
    """An ancestor answers. What cannot be is refused, and then the policy's way is gone."""
    asked, incident = open_question(s), s.incident
    if incident is None or incident.id != ev.incident:
        return Change(s, (_refused(ev, "that incident is over"),))
    if asked is None:
        late = "it was decided already" if incident.questions else "its step is the policy's to decide"
        return Change(s, (_refused(ev, late),))
    strategy = Strategy(ev.strategy)
    if why := why_not(s, incident, spec, strategy):
        over = replace(asked, over=f"{ev.by} chose {ev.strategy}: {why}")
        return Change(replace(s, incident=replace(incident, asked=over)), (_refused(ev, why),))
    answer = replace(asked, strategy=strategy, by=ev.by)
    state = replace(s, incident=replace(incident, asked=answer))
    return Change(state, (event(state, "agent_decided", ev.at, by=ev.by, strategy=ev.strategy, n=asked.n),))


def _refused(ev: e.Decided, why: str) -> Happening:
    fields: dict[str, object] = {"by": ev.by, "strategy": ev.strategy, "why": why}
    return Happening("agent_decision_refused", ev.agent, ev.at, ev.incident, fields)


def recovering(s: AgentState, ev: e.ChildrenRecovering, _: AgentSpec) -> Change:
    if s.tending is not None:
        return Change(replace(s, tending=replace(s.tending, children=ev.children)))
    note = event(s, "agent_tending", ev.at, children=list(ev.children))
    return Change(replace(s, tending=Tending(ev.at, ev.children)), (note,))


def well(s: AgentState, ev: e.ChildrenWell, _: AgentSpec) -> Change:
    if s.tending is None:
        return Change(s)
    note = event(s, "agent_tended", ev.at, children=list(s.tending.children))
    return Change(tended(s, ev.at), (note,))
