"""failure_metrics: what the events of one period amount to, per directive, agent, model, task and project.

For agents and models `total_count` is the number of starts and `failure_count` that of incidents; for the
others they are tasks at work in the period and tasks that failed. `restart_count` counts resume, restart and
reassign. `health_score` is the percentage of the total without a failure. A prime directive is the work of a
top-level agent and everybody below it; the project is the fleet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ...healing.metrics import mean, share
from ..ports import Event
from ..timestamps import to_iso
from .projections import Put

METRIC_EVENTS = (
    "agent_started", "agent_incident", "hhmrs_resume", "hhmrs_restart", "hhmrs_reassign", "hhmrs_escalation",
    "task_opened", "task_done", "task_failed",
)  # fmt: skip
_RESTARTS = frozenset({"hhmrs_resume", "hhmrs_restart", "hhmrs_reassign"})
_BY_START = frozenset({"agent", "llm"})
_COLUMNS = ("total_count", "failure_count", "restart_count", "escalation_count", "avg_completion_time_sec",
            "avg_retries_per_task", "health_score", "updated_at")  # fmt: skip


@dataclass
class Tally:
    starts: int = 0
    incidents: int = 0
    restarts: int = 0
    escalations: int = 0
    retries: int = 0
    """Restarts that were made for a task."""
    tasks: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)

    def values(self, kind: str) -> dict[str, object]:
        if kind in _BY_START:
            # A start of an earlier period may fail in this one.
            total, failures = max(self.starts, self.incidents), self.incidents
        else:
            total, failures = len(self.tasks), len(self.failed)
        return {
            "total_count": total, "failure_count": failures, "restart_count": self.restarts,
            "escalation_count": self.escalations,
            "avg_completion_time_sec": mean(self.seconds),
            "avg_retries_per_task": round(self.retries / len(self.tasks), 3) if self.tasks else None,
            "health_score": share(total - failures, total),
        }  # fmt: skip


class Period:
    """The tallies of one period, brought up to date by the events that came since.

    A day of a thousand agents has more events than anybody would want to count anew each minute.
    `before`: the newest agent_started of each agent before it. `span`: its start and end, engine time."""

    def __init__(
        self, project: str, parents: Mapping[str, str | None], span: tuple[float, float],
        before: Iterable[Event],
    ) -> None:  # fmt: skip
        self.parents = parents
        self.newest = 0
        """The number of the newest event that is counted."""
        self._project = project
        self._span = span
        self._seats = {event.agent: _label(event) for event in before}
        self._tallies: dict[tuple[str, str], Tally] = {}

    def count(self, events: Iterable[Event]) -> set[tuple[str, str]]:
        """Take in events, in their order; the metrics (type, key) that they change."""
        touched: set[tuple[str, str]] = set()
        for event in events:
            self.newest = max(self.newest, event.seq)
            if event.type == "agent_started":
                self._seats[event.agent] = _label(event)
            for key in _keys(event, self._seats.get(event.agent), self.parents, self._project):
                _count(self._tallies.setdefault(key, Tally()), event)
                touched.add(key)
        return touched

    def rows(self, keys: Iterable[tuple[str, str]], now: float) -> list[Put]:
        """These metrics as they stand."""
        start, end, at = to_iso(self._span[0]), to_iso(self._span[1]), to_iso(now)
        frame = {"period_start": start, "period_end": end, "created_at": at, "updated_at": at}
        return [
            Put("failure_metrics",
                {"metric_type": kind, "metric_key": key, **self._tallies[kind, key].values(kind), **frame},
                ("metric_type", "metric_key", "period_start"), _COLUMNS)
            for kind, key in sorted(keys)
        ]  # fmt: skip


def _keys(
    event: Event, seat: str | None, parents: Mapping[str, str | None], project: str
) -> list[tuple[str, str]]:
    agent = event.agent
    if agent is None or (event.type == "agent_incident" and event.data.get("symptom") == "ordered"):
        return []
    keys = [("agent", agent), ("prime_directive", _root(agent, parents)), ("project", project)]
    if seat is not None:
        keys.append(("llm", seat))
    if task := event.data.get("task"):
        keys.append(("task", str(task)))
    return keys


def _count(tally: Tally, event: Event) -> None:
    task = event.data.get("task")
    if task:
        tally.tasks.add(str(task))
    if event.type == "agent_started":
        tally.starts += 1
    elif event.type == "agent_incident":
        tally.incidents += 1
    elif event.type in _RESTARTS:
        tally.restarts += 1
        tally.retries += 1 if task else 0
    elif event.type == "hhmrs_escalation":
        tally.escalations += 1
    elif event.type == "task_failed" and task:
        tally.failed.add(str(task))
    elif event.type == "task_done" and task:
        tally.failed.discard(str(task))
        seconds = event.data.get("seconds")
        if isinstance(seconds, float | int):
            tally.seconds.append(float(seconds))


def _root(agent: str, parents: Mapping[str, str | None]) -> str:
    seen = {agent}
    while (parent := parents.get(agent)) is not None and parent not in seen:
        agent = parent
        seen.add(agent)
    return agent


def _label(event: Event) -> str | None:
    profile, model = event.data.get("profile"), event.data.get("model")
    if not profile:
        return None
    return f"{profile}:{model}" if model else str(profile)
