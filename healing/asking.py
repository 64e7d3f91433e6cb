"""`decider: parent`: an ancestor agent is asked which step comes next; when it is silent, the policy decides.

Level 1 is the parent's, level 2 the grandparent's. Who cannot answer now (`AgentState.deciders` names those
who can) is passed over to the nearest one above; with none, the policy decides at once. A question waits at
most `decide_within`, however often it is passed on, and an answer is a step of the ladder that still has
budget: so each question leads to one step, and `check` can print the bound.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.fleet import AgentSpec
from .actions import AlertAncestor
from .agent import HELD, AgentState, Asked, Incident, Strategy
from .ladder import IN_A_ROW, LEVEL_ONE, YOUNG, Rung, dies_young, next_rung
from .nudges import steps as nudge_steps
from .provider_limits import free
from .replacing import replace
from .transitions import Change, event

NOBODY = "no ancestor of it can answer now"
DIES_YOUNG = f"{IN_A_ROW} attempts in a row each died in under {YOUNG:g} s: more of the same is of no use"


@dataclass(frozen=True, slots=True)
class Counsel:
    """`rung` is to be taken, chosen by the agent `by` or, when that is empty, by the policy; None: wait."""

    change: Change
    rung: Rung | None
    by: str = ""


def open_question(s: AgentState) -> Asked | None:
    """The question about it that waits for its answer, if one does."""
    if s.incident is None or s.incident.asked is None or s.recovery is not None or s.phase in HELD:
        return None
    asked = s.incident.asked
    return None if asked.strategy or asked.over else asked


def alert_key(incident: Incident, asked: Asked) -> str:
    return f"{incident.id}/asked/{asked.n}/{asked.ancestor}"


def counsel(s: AgentState, incident: Incident, rung: Rung, spec: AgentSpec, now: float) -> Counsel:
    """What is to be done where the policy alone would take `rung`: that, what an ancestor chose, or wait."""
    asked = incident.asked
    if rung.strategy is Strategy.ESCALATE or (asked is None and not _asks(spec)):
        return Counsel(_closed(s, incident), rung)
    if asked is None:
        first = Asked("", now + spec.policy.decide_within, incident.questions + 1, rung.level)
        return _put(s, incident, first, rung, spec, now)
    if asked.strategy:
        return _answered(s, incident, asked, rung, spec, now)
    if asked.over or not _asks(spec):
        return Counsel(_closed(s, incident), rung)
    if now >= asked.until:
        within = f"{asked.ancestor} gave no answer within {spec.policy.decide_within:g} s"
        return _silent(s, incident, asked, rung, within, now)
    if asked.ancestor not in s.deciders:
        passed = replace(asked, passed=(*asked.passed, asked.ancestor), issued=False)
        return _put(s, incident, passed, rung, spec, now)
    if asked.issued:
        return Counsel(Change(s), None)
    return Counsel(_hand_out(s, incident, asked, rung, spec), None)


def answer_due(s: AgentState, spec: AgentSpec) -> float:
    """When `counsel` has something to say about the open incident: 0.0 for now, else when it must know."""
    asked = open_question(s)
    if asked is None or not asked.issued or not _asks(spec) or asked.ancestor not in s.deciders:
        return 0.0
    assert s.incident is not None
    unhealable = next_rung(s, s.incident, spec).strategy is Strategy.ESCALATE
    return 0.0 if unhealable else asked.until


def options(s: AgentState, incident: Incident, spec: AgentSpec) -> tuple[Strategy, ...]:
    """What may be chosen now, in the ladder's order; `escalate` always may."""
    ladder = spec.policy.recovery.get(incident.cause, ())
    possible = [name for name in ladder if not why_not(s, incident, spec, Strategy(name))]
    return (*(Strategy(name) for name in possible), Strategy.ESCALATE)


def why_not(s: AgentState, incident: Incident, spec: AgentSpec, strategy: Strategy) -> str:
    """Why the strategy is not possible now, in one sentence; empty when it is. Budgets bind ancestors too."""
    policy = spec.policy
    if strategy is Strategy.ESCALATE:
        return ""
    if s.undead:
        return "its process tree would not die"
    if strategy.value not in policy.recovery.get(incident.cause, ()):
        return f"{strategy.value} is not in the ladder of cause {incident.cause}"
    if strategy is Strategy.NUDGE:
        return _why_not_nudge(s, incident, spec)
    if spec.restart == "temporary":
        return "it is never restarted by itself (restart: temporary)"
    if strategy.value in LEVEL_ONE:
        if incident.level > 1 or (s.restarts >= policy.max_restarts and not free(s, incident, spec)):
            return f"its restarts are spent ({s.restarts} of {policy.max_restarts})"
        if dies_young(incident, 1) and not free(s, incident, spec):
            return DIES_YOUNG
        if strategy is Strategy.RESUME and not (s.resumable or s.session):
            return "there is no checkpoint and no session to resume from"
        return ""
    if len(spec.seats) < 2:
        return "it has no alternates"
    if s.reassigns >= policy.max_llm_retries:
        return f"its reassigns are spent ({s.reassigns} of {policy.max_llm_retries})"
    return DIES_YOUNG if dies_young(incident, 2) else ""


def _why_not_nudge(s: AgentState, incident: Incident, spec: AgentSpec) -> str:
    if not s.alive:
        return "it is not running"
    if incident.nudged:
        return "it was nudged already in this incident"
    if incident.level > 1 or incident.attempts:
        return "more than a nudge was tried already"
    if s.nudges >= max(1, spec.policy.max_restarts):
        return "it was nudged too often of late"
    return "" if nudge_steps(s, spec) else "there is nothing that a nudge could do for it"


def asked_anew(s: AgentState) -> AgentState:
    """The alert about it is to be handed out once more: a new daemon does not know whether it was."""
    asked = open_question(s)
    if asked is None or s.incident is None:
        return s
    return replace(s, incident=replace(s.incident, asked=replace(asked, issued=False)))


def _asks(spec: AgentSpec) -> bool:
    return spec.decider == "parent" and spec.parent is not None


def _closed(s: AgentState, incident: Incident) -> Change:
    return Change(s if incident.asked is None else replace(s, incident=replace(incident, asked=None)))


def _put(s: AgentState, incident: Incident, asked: Asked, rung: Rung, spec: AgentSpec, now: float) -> Counsel:
    """Put the question to the nearest ancestor that can answer and was not asked it before."""
    who = next(
        (
            agent
            for agent in s.deciders
            if agent not in asked.passed and not (asked.level >= 2 and agent == spec.parent)
        ),
        None,
    )
    if who is None:
        return _silent(s, incident, asked, rung, NOBODY, now)
    asked = replace(asked, ancestor=who)
    incident = replace(incident, asked=asked, questions=asked.n)
    state = replace(s, incident=incident)
    note = event(
        state,
        "agent_decider_asked",
        now,
        decider=who,
        n=asked.n,
        level=asked.level,
        passed=list(asked.passed),
        options=[one.value for one in options(state, incident, spec)],
        otherwise=rung.strategy.value,
        within=round(asked.until - now, 3),
        symptom=incident.symptom,
        cause=incident.cause,
    )
    return Counsel(Change(state, (note,)).then(_hand_out(state, incident, asked, rung, spec)), None)


def _hand_out(s: AgentState, incident: Incident, asked: Asked, rung: Rung, spec: AgentSpec) -> Change:
    alert = AlertAncestor(
        s.id,
        alert_key(incident, asked),
        asked.ancestor,
        incident.id,
        asked.n,
        asked.level,
        tuple(one.value for one in options(s, incident, spec)),
        rung.strategy.value,
        asked.until,
    )
    issued = replace(incident, asked=replace(asked, issued=True))
    return Change(replace(s, incident=issued), (), (alert,))


def _answered(
    s: AgentState, incident: Incident, asked: Asked, rung: Rung, spec: AgentSpec, now: float
) -> Counsel:
    """Take what was chosen, if that is still possible: something may have changed since the letter came."""
    assert asked.strategy is not None
    closed = _closed(s, incident)
    if why := why_not(s, incident, spec, asked.strategy):
        note = event(s, "agent_decision_refused", now, by=asked.by, strategy=asked.strategy.value, why=why)
        return Counsel(closed.noting(note), rung)
    level = {Strategy.REASSIGN: 2, Strategy.ESCALATE: 3}.get(asked.strategy, 1)
    seat = (s.seat + 1) % len(spec.seats) if asked.strategy is Strategy.REASSIGN else s.seat
    why = f"{asked.strategy.value} chosen by {asked.by}"
    return Counsel(closed, Rung(asked.strategy, max(level, incident.level), seat, why), asked.by)


def _silent(s: AgentState, incident: Incident, asked: Asked, rung: Rung, why: str, now: float) -> Counsel:
    note = event(
        s, "agent_decider_silent", now, decider=asked.ancestor or None, n=asked.n, why=why,
        otherwise=rung.strategy.value,
    )  # fmt: skip
    return Counsel(_closed(s, incident).noting(note), rung)
