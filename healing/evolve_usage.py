"""What an agent has spent, and being held for it: paused when nothing of it is under way, never ended.

What it is at work on it may finish; then, and whenever a recovery would be due, it is paused instead. It goes
on when the guard (budgets.py) says so: the limit was raised, or a person cleared it."""

from __future__ import annotations

from ..config.fleet import AgentSpec
from . import evidence as e
from .actions import Action, Announce
from .agent import HELD, AgentState, Happening, Phase, Stage
from .replacing import replace
from .transitions import Change, anew, end_attempt, enter, event, plain_start, settle
from .usage import told

AT_WORK = frozenset({Phase.STARTING, Phase.WORKING, Phase.LIMITED})
"""Phases of a turn that it may finish, as long as it lives and nothing is wrong."""


def usage(s: AgentState, ev: e.UsageTold, _: AgentSpec) -> Change:
    spending = told(s.spending, ev.transcript, ev.tokens, ev.context_left, old=ev.old)
    return Change(s if spending is s.spending else replace(s, spending=spending))


def judged(s: AgentState, ev: e.BudgetJudged, spec: AgentSpec) -> Change:
    """The guard's word: from now on it is held, or no more."""
    notes: list[Happening] = []
    actions: list[Action] = []
    armed = spec.policy.mode == "armed"
    for type, scope, limit, words in ev.news:
        notes.append(event(s, type, ev.at, scope=scope, limit=limit, reason=words, observed=not armed))
        if armed:
            key = f"budget {'fleet' if scope == 'fleet' else s.id} {type} {limit} {ev.at:.3f}"
            actions.append(Announce(key, words, _advice(s, scope, limit)))
    spending = replace(s.spending, held=ev.held, warned=ev.warned)
    s = replace(s, spending=spending)
    change = Change(s, tuple(notes), tuple(actions))
    return change.then(_released(s, ev.at)) if spending.paused and not ev.held else change


def _advice(s: AgentState, scope: str, limit: str) -> str:
    key, _, _ = limit.partition(" ")
    agent = "" if scope == "fleet" else f" --agent {s.id}"
    return f"look: hhmrs status\nmore: hhmrs set spending.{key} VALUE{agent}\nor: hhmrs clear {s.id}"


def wants_hold(s: AgentState) -> bool:
    """Its budget is spent, and nothing of it is under way that should come to its end first."""
    if not s.spending.held or s.phase in HELD or s.phase is Phase.UNKNOWN or s.errand is not None:
        return False
    recovery = s.recovery
    if recovery is not None:
        if recovery.order is not None:
            return False
        if recovery.stage is Stage.BACKOFF:
            return True
        first = recovery.strategy is None and recovery.stage is Stage.STARTING
        return first and not recovery.issued and not s.alive
    if not s.alive or (s.incident is not None and s.phase is not Phase.WAITING):
        return True
    at_its_prompt = s.screen == "idle"  # with its task open, which is no turn any more
    return (s.phase not in AT_WORK and s.phase is not Phase.WAITING) or (
        s.phase is Phase.WORKING and at_its_prompt
    )


def hold(s: AgentState, now: float) -> Change:
    """Paused for its budget. What was to be tried is not; an incident stays open."""
    change = end_attempt(s, now, ok=False, why=s.spending.held)
    s = change.state
    nudging = s.nudging if s.nudging is not None and s.nudging.issued else None
    s = replace(s, nudging=nudging, before_unknown=None, spending=replace(s.spending, paused=True))
    return change.then(enter(s, Phase.PAUSED, now, s.spending.held))


def _released(s: AgentState, at: float) -> Change:
    """It may spend again: where it was held, it goes on."""
    s = replace(s, spending=replace(s.spending, paused=False))
    if s.phase is not Phase.PAUSED:
        return Change(s)
    return go_on(s, at, "its budget allows it again")


def go_on(s: AgentState, at: float, why: str, order: str | None = None) -> Change:
    """Supervised again; one that does not run is started, or recovered where it was in trouble."""
    s = anew(s, at)
    if s.incident is not None:
        return enter(s, Phase.RECOVERING, at, why)
    if s.alive:
        return settle(s, at, why)
    return enter(plain_start(s, order), Phase.STARTING, at, why)
