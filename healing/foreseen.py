"""`mode: observe`: what would have been done, written down beforehand and counted apart. Pure.

Nobody knows whether an attempt that was never made would have helped, so the ladder is climbed on paper as if
none did; how far it would have come is told by when the agent came back by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..config.fleet import AgentSpec
from .agent import AgentState, Attempt, Incident, Strategy
from .ladder import delay_before, next_rung
from .metrics import IncidentRecord, Reason, detection_time, reasons
from .replacing import replace
from .seats import in_force

MOST = 60
"""Steps that are written down at most."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: it would begin `after` seconds, if all before it proved nothing."""

    strategy: str
    level: int
    after: float


def climb(s: AgentState, incident: Incident, spec: AgentSpec) -> tuple[Step, ...]:
    """The whole ladder from where it stands now, up to a person."""
    steps: list[Step] = []
    at = 0.0
    while len(steps) < MOST:
        rung = next_rung(s, incident, spec)
        if rung.strategy is Strategy.ESCALATE:
            return (*steps, Step(rung.strategy.value, rung.level, round(at, 3)))
        nudge, reassign = rung.strategy is Strategy.NUDGE, rung.strategy is Strategy.REASSIGN
        policy = spec.policy
        at += 0.0 if nudge else delay_before(incident, policy.backoff, incident.id)
        strategy = rung.strategy
        if strategy is Strategy.RESUME and not (s.resumable or s.session):
            strategy = Strategy.RESTART
        steps.append(Step(strategy.value, rung.level, round(at, 3)))
        tried = Attempt(len(incident.attempts) + 1, strategy, at, "failure", level=rung.level)
        incident = replace(
            incident,
            attempts=(*incident.attempts, tried),
            nudged=incident.nudged or nudge,
            level=max(incident.level, rung.level),
        )
        s = replace(
            s,
            seat=rung.seat,
            hand=None if reassign else s.hand,
            nudges=s.nudges + nudge,
            reassigns=s.reassigns + reassign,
            restarts=s.restarts + (not nudge and not reassign),
        )
        proof = in_force(s, spec).policy.verify_within
        at += proof if nudge else policy.kill_grace + proof
    return tuple(steps)


@dataclass(frozen=True, slots=True)
class Observation:
    """One incident that was only observed. `seconds`: from then to its end, or to now while `open`."""

    incident: IncidentRecord
    steps: tuple[Step, ...]
    seconds: float
    open: bool

    @property
    def taken(self) -> tuple[Step, ...]:
        """The steps that it would have come to."""
        return tuple(step for step in self.steps if step.after <= self.seconds)


@dataclass(frozen=True, slots=True)
class WouldHave:
    """`needless`: actions for an agent that came back by itself. `escalations`: calls for a person."""

    incidents: int
    open: int
    came_back: int
    actions: int
    needless: int
    escalations: int
    by_strategy: Mapping[str, int]
    by_agent: Mapping[str, int]
    reasons: Mapping[str, Reason]
    mttd_s: float | None


def would_have(observed: Iterable[Observation]) -> WouldHave:
    """The books of what was not done."""
    seen = list(observed)
    strategies: Counter[str] = Counter()
    agents: Counter[str] = Counter()
    needless = escalations = 0
    for one in seen:
        acts = [step for step in one.taken if step.strategy != Strategy.ESCALATE.value]
        strategies.update(step.strategy for step in acts)
        agents[one.incident.agent] += len(acts)
        escalations += len(one.taken) - len(acts)
        needless += len(acts) if one.incident.outcome == "self" else 0
    records = [one.incident for one in seen]
    return WouldHave(
        incidents=len(seen), open=sum(one.open for one in seen),
        came_back=sum(one.incident.outcome == "self" for one in seen), actions=sum(strategies.values()),
        needless=needless, escalations=escalations, by_strategy=dict(sorted(strategies.items())),
        by_agent={name: count for name, count in sorted(agents.items()) if count},
        reasons=reasons(records), mttd_s=detection_time(records),
    )  # fmt: skip
