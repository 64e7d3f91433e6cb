"""The arithmetic of recoveries. Pure; rates are percent, times seconds, None is "nothing to measure".

Only what was proved counts: an attempt is successful when the agent's own progress closed its incident, never
because an action was sent. Incidents that a person opened by an order measure nobody's failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

T = TypeVar("T")

SMALL_FILES = 5
"""A task that changed fewer files than this is small."""
TARGETS = {"small": 95.0, "large": 80.0, "recovery": 90.0}
RECENT = 10


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """One recovery action that was carried out. `outcome`: pending, success or failure."""

    agent: str
    strategy: str
    at: float
    outcome: str
    why: str = ""
    cause: str = "unknown"
    incident: str | None = None
    n: int = 0
    profile: str | None = None
    model: str | None = None
    task: str | None = None


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """One episode of trouble. `escalated`: when the last level was spent; `attempts`: how many were made."""

    id: str
    agent: str
    symptom: str
    cause: str
    opened: float
    closed: float | None = None
    outcome: str | None = None
    recovered: float | None = None
    escalated: float | None = None
    detected_after: float | None = None
    attempts: int = 0
    first_attempt: float | None = None
    profile: str | None = None
    model: str | None = None
    task: str | None = None

    @property
    def ordered(self) -> bool:
        return self.symptom == "ordered"


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One task that ended. `files`: how many it changed, None when nobody counted."""

    id: str
    agent: str
    done: bool
    opened: float
    closed: float
    files: int | None = None
    profile: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """Actions that came to an end. `rate` is the share of the proved ones."""

    total: int
    successful: int
    failed: int
    rate: float | None


@dataclass(frozen=True, slots=True)
class Goal:
    """A rate beside what it should be, and the number of cases it rests on."""

    value: float | None
    target: float
    n: int


@dataclass(frozen=True, slots=True)
class Reason:
    """How often incidents had this cause, which share of all that is, and whom they struck."""

    count: int
    share: float
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """What was sent beside what was proved, and how it went, of one agent, profile, model or task."""

    sent: int
    proved: int
    failed: int
    pending: int
    success_rate: float | None
    incidents: int
    recovered: int
    escalated: int
    recovery_success_rate: float | None
    mttd_s: float | None
    mttr_s: float | None
    false_alarms: int
    first_try: dict[str, Goal]


def share(part: int, whole: int) -> float | None:
    """Percent, one decimal; None of nothing."""
    return round(100.0 * part / whole, 1) if whole else None


def mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return round(sum(known) / len(known), 3) if known else None


def count(actions: Iterable[ActionRecord]) -> Count:
    """Pending actions are neither successes nor failures and are left out."""
    ended = [a.outcome for a in actions if a.outcome in ("success", "failure")]
    won = ended.count("success")
    return Count(len(ended), won, len(ended) - won, share(won, len(ended)))


def count_by(actions: Sequence[ActionRecord], key: Callable[[ActionRecord], str | None]) -> dict[str, Count]:
    """Counts per key; actions without one are left out."""
    groups: dict[str, list[ActionRecord]] = {}
    for action in actions:
        name = key(action)
        if name is not None and action.outcome != "pending":
            groups.setdefault(name, []).append(action)
    return {name: count(groups[name]) for name in sorted(groups)}


def recovery_rate(incidents: Iterable[IncidentRecord]) -> Goal:
    """Of the incidents that ended in a proved recovery or at the last level: how many were recovered."""
    judged = [i for i in incidents if not i.ordered and (i.outcome == "recovered" or i.escalated is not None)]
    won = sum(i.outcome == "recovered" and i.escalated is None for i in judged)
    return Goal(share(won, len(judged)), TARGETS["recovery"], len(judged))


def failed_after_recovery(incidents: Iterable[IncidentRecord]) -> int:
    """Incidents in which recovery was tried and the last level was spent all the same."""
    return sum(i.escalated is not None and i.attempts > 0 and not i.ordered for i in incidents)


def false_alarms(incidents: Iterable[IncidentRecord]) -> int:
    """Incidents that ended by the agent's own progress before anything was done to it."""
    return sum(i.outcome == "self" and i.attempts == 0 and not i.ordered for i in incidents)


def detection_time(incidents: Iterable[IncidentRecord]) -> float | None:
    """Mean seconds from the last sign of life (or progress) to the incident, where it is known."""
    return mean(i.detected_after for i in incidents if i.detected_after is not None and not i.ordered)


def repair_time(incidents: Iterable[IncidentRecord]) -> float | None:
    """Mean seconds from the opening of an incident to its proved recovery."""
    return mean(i.recovered - i.opened for i in incidents if i.recovered is not None and not i.ordered)


def recovery_time(incidents: Iterable[IncidentRecord]) -> float | None:
    """Mean seconds from the first action to the proof."""
    return mean(
        i.recovered - i.first_attempt
        for i in incidents
        if i.recovered is not None and i.first_attempt is not None and not i.ordered
    )


def reasons(incidents: Iterable[IncidentRecord]) -> dict[str, Reason]:
    """Per cause, the most frequent first."""
    struck: dict[str, list[str]] = {}
    for incident in incidents:
        if not incident.ordered:
            struck.setdefault(incident.cause, []).append(incident.agent)
    total = sum(len(agents) for agents in struck.values())
    order = sorted(struck, key=lambda cause: (-len(struck[cause]), cause))
    return {
        cause: Reason(
            len(struck[cause]), share(len(struck[cause]), total) or 0.0, tuple(sorted(set(struck[cause])))
        )
        for cause in order
    }


def troubled(task: TaskRecord, incidents: Iterable[IncidentRecord]) -> bool:
    """Whether the agent had an incident of its own making while it was at this task."""
    return any(
        i.agent == task.agent
        and not i.ordered
        and i.opened <= task.closed
        and (i.closed or task.closed) >= task.opened
        for i in incidents
    )


def struck(tasks: Iterable[TaskRecord], incidents: Iterable[IncidentRecord]) -> frozenset[str]:
    """Ids of the tasks that were `troubled`."""
    by_agent: dict[str, list[IncidentRecord]] = {}
    for incident in incidents:
        by_agent.setdefault(incident.agent, []).append(incident)
    return frozenset(task.id for task in tasks if troubled(task, by_agent.get(task.agent, ())))


def first_try(tasks: Sequence[TaskRecord], incidents: Sequence[IncidentRecord]) -> dict[str, Goal]:
    """Share of ended tasks that were done without any incident, for `small` and `large` ones.

    A task whose files nobody counted is in neither."""
    return _by_size(tasks, struck(tasks, incidents))


def _by_size(tasks: Iterable[TaskRecord], spoilt: frozenset[str]) -> dict[str, Goal]:
    sizes: dict[str, list[bool]] = {"small": [], "large": []}
    for task in tasks:
        if task.files is not None:
            size = "small" if task.files < SMALL_FILES else "large"
            sizes[size].append(task.done and task.id not in spoilt)
    return {size: Goal(share(sum(won), len(won)), TARGETS[size], len(won)) for size, won in sizes.items()}


KINDS = ("agent", "profile", "model", "task")
"""By what the figures are broken down."""


def breakdown(
    kind: str,
    actions: Iterable[ActionRecord],
    incidents: Sequence[IncidentRecord],
    tasks: Sequence[TaskRecord],
) -> dict[str, Figures]:
    """The figures of each agent, profile, model or task (one of KINDS); what cannot be told whose it is
    counts for none."""
    whose = attrgetter(kind)
    acted, fell = _grouped(actions, whose), _grouped(incidents, whose)
    given = _grouped(tasks, attrgetter("id") if kind == "task" else whose)
    spoilt = struck(tasks, incidents)
    return {
        name: _figures(acted.get(name, []), fell.get(name, []), _by_size(given.get(name, []), spoilt))
        for name in sorted({*acted, *fell, *given})
    }


def _grouped(records: Iterable[T], whose: Callable[[T], str | None]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for one in records:
        name = whose(one)
        if name is not None:
            groups.setdefault(name, []).append(one)
    return groups


def _figures(actions: list[ActionRecord], incidents: list[IncidentRecord], first: dict[str, Goal]) -> Figures:
    ended = count(actions)
    own = [i for i in incidents if not i.ordered]
    return Figures(
        sent=len(actions), proved=ended.successful, failed=ended.failed,
        pending=len(actions) - ended.total, success_rate=ended.rate, incidents=len(own),
        recovered=sum(i.outcome == "recovered" and i.escalated is None for i in own),
        escalated=sum(i.escalated is not None for i in own),
        recovery_success_rate=recovery_rate(own).value, mttd_s=detection_time(own),
        mttr_s=repair_time(own), false_alarms=false_alarms(own), first_try=first,
    )  # fmt: skip
