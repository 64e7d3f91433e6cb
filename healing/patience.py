"""How long an agent may be without progress: the policy's time, or more where its own past says so.

Gaps between progress have a tail too heavy for a mean and a deviation, so the threshold is an empirical
quantile of the agent's own pauses: 1.5 x their 99th percentile. It only ever raises `progress_timeout`, and
never past the hard bound: what output alone could reach as well (twice `progress_timeout` after something
else last moved), `tool_timeout`, or the task's deadline, whichever is the least. So the worst case that
`check` prints holds for the patient too.
"""

from __future__ import annotations

from ..config.fleet import Policy
from .agent import AgentState, Pauses

KEPT = 100
"""Newest pauses that are remembered."""
NEEDED = 20
"""Fewer prove nothing."""
MARGIN = 1.5
BURST = 60.0
"""Progress that follows within a sixtieth of `progress_timeout` is one burst, not a pause: ten lines a second
must not hide how long the agent thinks between two bursts."""
FEW_LINES = 8
MANY_LOOKS = 10


def with_pause(pauses: Pauses, seconds: float, policy: Policy) -> Pauses:
    """The memory after one more pause between two signs of progress."""
    if seconds < policy.progress_timeout / BURST:
        return pauses
    newest = (*pauses.newest, round(seconds, 1))[-KEPT:]
    return Pauses(newest, _p99(newest))


def _p99(newest: tuple[float, ...]) -> float:
    # Rounded down: up to a hundred samples it is the second largest, so that one odd pause raises nothing.
    return sorted(newest)[int(0.99 * len(newest)) - 1] if len(newest) >= NEEDED else 0.0


def hard_bound(policy: Policy) -> float:
    """Seconds after the last solid progress that no patience goes past."""
    least = min(2 * policy.progress_timeout, policy.tool_timeout, policy.task_deadline)
    return max(policy.progress_timeout, least)


def circles(s: AgentState) -> bool:
    """The same few lines came back again and again, and nothing else moved."""
    return s.returning.looks >= MANY_LOOKS and 0 < s.returning.lines <= FEW_LINES


def progress_due(s: AgentState, policy: Policy) -> float:
    """Engine time at which being without progress is a loop."""
    plain = s.last_progress + policy.progress_timeout
    raised = MARGIN * s.pauses.p99
    if raised <= policy.progress_timeout or circles(s):
        return plain
    return max(plain, min(s.last_progress + raised, s.last_solid + hard_bound(policy)))
