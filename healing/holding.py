"""Recoveries that are left for later, because of what happens to others; what ends that, whoever forgets it.

A guard holds an agent back and lets it go again (slots.py, cascade.py). A hold is about recoveries that begin
by themselves: what is under way goes on, and what a person orders is never held. A deadline of the task, an
incident that closes and a phase that only a person ends are not waited for either. And no hold outlives
`task_deadline`, though the guard that it is of were never heard of again.
"""

from __future__ import annotations

from ..config.fleet import AgentSpec
from .agent import HELD, AgentState, Hold, Phase, Stage

SLOTS = "slots"
"""The guard that has nothing against an agent's next step but its beginning (slots.py): while it waits its
backoff runs, its parent is asked, and what no retry heals goes to a person."""
CASCADE = "cascade"
"""The guard of causes that many share (cascade.py)."""
HANDS_OFF = HELD | {Phase.UNKNOWN, Phase.WAITING, Phase.LIMITED}
"""Phases in which nothing is done by itself."""


def hold_of(s: AgentState, by: str) -> Hold | None:
    """What the guard `by` holds it back with, if it does."""
    return next((hold for hold in s.held_back if hold.by == by), None)


def hold_ends(s: AgentState, spec: AgentSpec, *, planning: bool = False) -> float:
    """Engine time from which it is not held back any more, whatever guards say; 0.0: it is not held back.
    `planning`: from taking its next step, not only from beginning it."""
    if not s.held_back or s.incident is None or s.incident.cause == "deadline":
        return 0.0
    if s.undead or spec.policy.mode == "observe":
        return 0.0
    holds = [hold.since for hold in s.held_back if not (planning and hold.by == SLOTS)]
    if not holds:
        return 0.0
    since = max(holds)
    if s.incident.shared is not None:
        since = min(since, s.incident.shared.opened)
    return since + spec.policy.task_deadline


def tries(s: AgentState) -> bool:
    """Whether an attempt that nobody ordered is under way: from the end of the old process to its proof."""
    recovery = s.recovery
    return (
        recovery is not None
        and recovery.order is None
        and recovery.strategy is not None
        and recovery.stage is not Stage.BACKOFF
    )


def wants(s: AgentState, spec: AgentSpec) -> bool:
    """Whether a recovery would begin by itself, now or after its backoff, if nobody held it back."""
    if s.incident is None or s.phase in HANDS_OFF or s.attached:
        return False
    recovery = s.recovery
    if recovery is not None:
        return recovery.stage is Stage.BACKOFF and recovery.order is None
    return spec.policy.mode == "armed" and not s.incident.observed and healable(s, spec)


def healable(s: AgentState, spec: AgentSpec) -> bool:
    """Whether anything but a person could heal it: else there is nothing to hold back."""
    if s.incident is None or s.undead or spec.restart == "temporary":
        return False
    return bool(spec.policy.recovery.get(s.incident.cause))


_ENDS = {
    SLOTS: "until its turn comes",
    CASCADE: "until one of them is at work again, or it is the one that tries",
}


def in_words(s: AgentState, now: float) -> tuple[str, ...]:
    """By whom it is held back, for how long now, why, and what ends it."""
    ends = ", a person orders something, its incident closes or its task is past the deadline"
    return tuple(
        f"held back by {hold.by} for {max(0.0, now - hold.since):.1f} s: {hold.why}; "
        f"{_ENDS.get(hold.by, 'until that lets it go')}{ends}"
        for hold in s.held_back
    )
