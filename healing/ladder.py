"""Which strategy comes next, on which seat, after which delay. Budgets bound every incident."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from ..config.fleet import AgentSpec, Backoff
from .agent import AgentState, Incident, Strategy

LEVEL_ONE = ("resume", "restart")


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
    if "nudge" in ladder and not incident.nudged and not often and s.alive and not incident.attempts:
        return Rung(Strategy.NUDGE, 1, s.seat, incident.detail)
    if spec.restart == "temporary":
        return Rung(Strategy.ESCALATE, 3, s.seat, "it is never restarted by itself (restart: temporary)")
    options = [name for name in ladder if name in LEVEL_ONE]
    if options == ["resume"] and not s.resumable and not s.session:
        options = []
    if options and s.restarts < policy.max_restarts and incident.level <= 1:
        made = sum(a.strategy.value in LEVEL_ONE and not a.manual for a in incident.attempts)
        name = options[min(made, len(options) - 1)]
        return Rung(
            Strategy(name), 1, s.seat, f"attempt {s.restarts + 1} of {policy.max_restarts} by the parent"
        )
    if "reassign" in ladder and len(spec.seats) > 1 and s.reassigns < policy.max_llm_retries:
        seat = (s.seat + 1) % len(spec.seats)
        why = f"attempt {s.reassigns + 1} of {policy.max_llm_retries} by the grandparent"
        return Rung(Strategy.REASSIGN, 2, seat, why)
    why = "every strategy is spent" if ladder else f"nothing heals cause {incident.cause} but a person"
    return Rung(Strategy.ESCALATE, 3, s.seat, why)


def delay_before(incident: Incident, backoff: Backoff, seed: str) -> float:
    """Seconds to wait before the next attempt: none before the first; nudges do not count."""
    made = sum(a.strategy is not Strategy.NUDGE for a in incident.attempts)
    if made == 0:
        return 0.0
    steps = min(made - 1, 64)
    base = min(backoff.max, backoff.initial * backoff.factor**steps)
    return base * (1 + backoff.jitter * fraction(f"{seed}/{made}"))


def fraction(seed: str) -> float:
    """A number in [0, 1) that depends on `seed` alone, so that a replay waits just as long."""
    return int.from_bytes(blake2b(seed.encode(), digest_size=6).digest(), "big") / 2**48
