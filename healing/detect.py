"""The one place that says an agent is in trouble by the clock: stalled, looping or past its deadline.

(An exit or a `fail` letter needs no clock; evolve sees to those.) A missing beat alone never means dead,
and a beat alone never means progress: what counts is in judge.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.fleet import AgentSpec
from .agent import AgentState, Phase, Stage
from .transitions import CLOCK_RUNS, spent

TIMED = frozenset({Phase.STARTING, Phase.WORKING, Phase.STALLED, Phase.LOOPING})


@dataclass(frozen=True, slots=True)
class Symptom:
    """`name` and `cause` are words of contract.md section 5; `since`: when the clock that fired began."""

    name: str
    cause: str
    detail: str
    since: float


@dataclass(frozen=True, slots=True)
class Limits:
    """When each clock will fire, in engine time; None: that clock does not run."""

    silence: float | None
    progress: float | None
    deadline: float | None


def limits(s: AgentState, spec: AgentSpec) -> Limits:
    deadline = None
    if s.task and s.task.ticking_since is not None and s.phase in CLOCK_RUNS:
        deadline = s.task.ticking_since + spec.policy.task_deadline - s.task.spent
    # Without a task and a probe there is nothing to start with or to become: it may be idle for ever. But a
    # frozen process (state T) is not idle by its own choice.
    resting = s.phase is Phase.IDLE or (s.phase is Phase.STARTING and not s.task and spec.ready is None)
    watched = s.stopped if resting else s.phase in TIMED
    verifying = s.recovery is not None and s.recovery.stage is Stage.VERIFYING
    if not s.alive or not watched or verifying or "process" in spec.liveness or s.attached:
        return Limits(None, None, deadline)
    return Limits(
        s.last_life + spec.policy.silence,
        s.last_progress + spec.policy.progress_timeout,
        deadline,
    )


def symptom(s: AgentState, spec: AgentSpec, now: float) -> Symptom | None:
    """What the clocks say at `now`; the worst first."""
    until = limits(s, spec)
    policy = spec.policy
    if until.deadline is not None and now >= until.deadline and s.task:
        detail = f"task used {spent(s.task, now):.0f} s of its {policy.task_deadline:.0f} s"
        return Symptom("deadline", "deadline", detail, now)
    if until.silence is not None and now >= until.silence:
        frozen = ", process stopped (state T)" if s.stopped else ""
        return Symptom("stalled", "stalled", f"no life for {now - s.last_life:.1f} s{frozen}", s.last_life)
    if until.progress is not None and now >= until.progress:
        detail = f"alive, but no progress for {now - s.last_progress:.1f} s"
        return Symptom("looping", "looping", detail, s.last_progress)
    return None
