"""The promise "nothing runs forever" as arithmetic: from first symptom to permanent failure."""

from __future__ import annotations

from dataclasses import dataclass

from ..config.fleet import AgentSpec
from .pacing import for_provider
from .provider_limits import BACKS_OFF
from .seats import raised


@dataclass(frozen=True, slots=True)
class Bound:
    """`seconds` from the first symptom to permanent failure, starts aside; `lines` show how it adds up."""

    cause: str
    seconds: float
    lines: tuple[str, ...]


def worst_case(spec: AgentSpec, cause: str = "stalled") -> Bound:
    """The bound for one cause: detection + nudge + every attempt with its backoff, kill and proof.

    With a `reassign_timeout_factor` all of it is counted as on another seat, where it may take longest."""
    policy = raised(spec.policy)
    ladder = policy.recovery.get(cause, ())
    timed = cause in ("stalled", "looping")
    lines: list[str] = []
    total = 0.0

    def add(seconds: float, words: str) -> None:
        nonlocal total
        total += seconds
        lines.append(f"{seconds:8.1f} s  {words}")

    if spec.policy.reassign_timeout_factor > 1.0:
        factor = f"{spec.policy.reassign_timeout_factor:g} times as long"
        lines.append(f"{'':>10}  times as on another seat, {factor}")
    if cause == "stalled":
        add(policy.silence, f"silence: {policy.heartbeat_interval:g} s x {policy.missed_heartbeats}")
    elif cause == "looping":
        # The more time that an agent's own long pauses may give it (patience.py) ends no later.
        words = f"no progress but output, or long pauses as before: at most 2 x {policy.progress_timeout:g} s"
        add(2 * policy.progress_timeout, words)
    if timed and "nudge" in ladder:
        add(policy.verify_within, "nudge, and the time to prove it")
    first = policy.max_restarts if {"resume", "restart"} & set(ladder) else 0
    second = policy.max_llm_retries if "reassign" in ladder and len(spec.seats) > 1 else 0
    attempts = first + second
    if attempts:
        each = policy.kill_grace + policy.verify_within
        words = f"{first} by the parent + {second} by the grandparent, each {policy.kill_grace:g} s kill + "
        add(attempts * each, words + f"{policy.verify_within:g} s proof")
        backoff = policy.backoff
        steps = [
            min(backoff.max, backoff.initial * backoff.factor ** min(k, 64)) for k in range(attempts - 1)
        ]
        if cause in BACKS_OFF:
            steps = [for_provider(k, backoff) for k in range(attempts)]
        add(sum(steps) * (1 + backoff.jitter), "backoff, with jitter")
    asked = attempts + (timed and "nudge" in ladder)
    if spec.decider == "parent" and spec.parent is not None and asked:
        words = f"{asked} times an ancestor is asked first, {policy.decide_within:g} s to answer"
        add(asked * policy.decide_within, words)
    return Bound(cause, total, tuple(lines))


def bounds(spec: AgentSpec) -> tuple[Bound, ...]:
    """The bounds `check` prints: for a silent agent and for one that runs on without progress."""
    if "process" in spec.liveness:
        return (worst_case(spec, "crash"),)
    return worst_case(spec, "stalled"), worst_case(spec, "looping")
