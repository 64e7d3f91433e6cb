"""Which strategy comes next, on which seat, after which delay. Budgets bound every incident."""

from __future__ import annotations

from dataclasses import dataclass

from ..config.fleet import AgentSpec, Backoff
from .agent import AgentState, Incident, Strategy
from .nudges import steps as nudge_steps
from .pacing import for_provider, fraction
from .provider_limits import extra_wait, free

LEVEL_ONE = ("resume", "restart")
YOUNG = 30.0
"""An attempt whose process ends within this many seconds of its start died at once."""
IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class Rung:
    """`level`: who answers for it: 1 parent, 2 grandparent, 3 a person. `seat`: where it runs."""

    strategy: Strategy
    level: int
    seat: int
    why: str


def next_rung(s: AgentState, incident: Incident, spec: AgentSpec) -> Rung:
    """The next strategy of the cause's ladder that still has budget; at the end, escalate."""
    ladder = spec.policy.recovery.get(incident.cause, ())
    policy = spec.policy
    if s.undead:
        return Rung(Strategy.ESCALATE, 3, s.seat, "its process tree would not die")
    if incident.symptom == "deadline" or incident.cause == "deadline":
        return Rung(Strategy.ESCALATE, 3, s.seat, "the task's deadline is past")
    often = s.nudges >= max(1, policy.max_restarts)  # who needs to be woken again and again is not well
    fresh = s.alive and not incident.nudged and not incident.attempts
    if "nudge" in ladder and fresh and not often and nudge_steps(s, spec):
        return Rung(Strategy.NUDGE, 1, s.seat, incident.detail)
    if spec.restart == "temporary":
        return Rung(Strategy.ESCALATE, 3, s.seat, "it is never restarted by itself (restart: temporary)")
    options = [name for name in ladder if name in LEVEL_ONE]
    if options == ["resume"] and not s.resumable and not s.session:
        options = []
    at_no_cost = free(s, incident, spec)
    left = s.restarts < policy.max_restarts and not dies_young(incident, 1)
    if options and (left or at_no_cost) and incident.level <= 1:
        made = sum(a.strategy.value in LEVEL_ONE and not (a.manual or a.free) for a in incident.attempts)
        name = options[min(made, len(options) - 1)]
        why = f"attempt {s.restarts + 1} of {policy.max_restarts} by the parent"
        why = "the limit's time is over; it spends no budget" if at_no_cost else why
        return Rung(Strategy(name), 1, s.seat, why)
    left = s.reassigns < policy.max_llm_retries and not dies_young(incident, 2)
    if "reassign" in ladder and len(spec.seats) > 1 and left:
        seat = (s.seat + 1) % len(spec.seats)
        why = f"attempt {s.reassigns + 1} of {policy.max_llm_retries} by the grandparent"
        return Rung(Strategy.REASSIGN, 2, seat, why)
    why = "every strategy is spent" if ladder else f"nothing heals cause {incident.cause} but a person"
    if dies_young(incident, 2) or (dies_young(incident, 1) and s.restarts < policy.max_restarts):
        why = f"{IN_A_ROW} attempts in a row each died in under {YOUNG:g} s"
    return Rung(Strategy.ESCALATE, 3, s.seat, why)


def dies_young(incident: Incident, level: int) -> bool:
    """The newest attempts of this level each died at once: more of the same is of no use."""
    made = [a for a in incident.attempts if not (a.manual or a.free) and a.strategy is not Strategy.NUDGE]
    newest = [a for a in made if a.level == level][-IN_A_ROW:]
    return len(newest) == IN_A_ROW and all(a.lived is not None and a.lived < YOUNG for a in newest)


def delay_before(incident: Incident, backoff: Backoff, seed: str) -> float:
    """Seconds to wait before the next attempt: none before the first, save for causes that back off at
    once; nudges do not count. What a provider is in trouble with takes longer: there it begins where the
    usual backoff ends."""
    extra = extra_wait(incident)
    made = sum(a.strategy is not Strategy.NUDGE and not a.free for a in incident.attempts) + extra
    if made == 0:
        return 0.0
    steps = min(made - 1, 64)
    base = min(backoff.max, backoff.initial * backoff.factor**steps)
    if extra:
        base = for_provider(steps, backoff)
    return base * (1 + backoff.jitter * fraction(f"{seed}/{made}"))
