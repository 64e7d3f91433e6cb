"""What one event changes in the tables beside the log. Pure: an event in, changes out, no state kept.

Ids of rows are the numbers of the events that made them, so that a rebuild from the log gives the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..ports import Event


@dataclass(frozen=True, slots=True)
class Put:
    """Insert `values`; where a row with the same `key` stands, update only the columns in `refresh`."""

    table: str
    values: Mapping[str, object]
    key: tuple[str, ...]
    refresh: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settle:
    """Set `values` in the rows for which every (column, operator, value) of `where` holds."""

    table: str
    values: Mapping[str, object]
    where: tuple[tuple[str, str, object], ...]


RowChange: TypeAlias = Put | Settle

RETRY_TYPES = {"hhmrs_nudge": "child_nudge", "hhmrs_resume": "child_resume", "hhmrs_restart": "child_restart"}
ATTEMPTS = frozenset({*RETRY_TYPES, "hhmrs_reassign"})
_TRIES = ("child_nudge", "child_resume", "child_restart", "llm_change", "agent_change", "timeout_increase")


def project(event: Event, run: str) -> list[RowChange]:
    """The changes of `event`, which was written in the daemon start `run`. Unknown types change nothing."""
    if event.type in ATTEMPTS:
        return _attempt(event, run)
    rule = _RULES.get(event.type)
    return rule(event, run) if rule else []


def retry_type(event: Event) -> str:
    """`llm_change` when only the model of a reassign differs, else (another profile, command, environment)
    `agent_change`."""
    if event.type == "hhmrs_timeout":
        return "child_timeout"
    if event.type in RETRY_TYPES:
        return RETRY_TYPES[event.type]
    if event.type == "agent_timeouts_raised":
        return "timeout_increase"
    profile, model = (
        event.data.get(f"old_{what}") == event.data.get(f"new_{what}") for what in ("profile", "model")
    )
    return "llm_change" if profile and not model else "agent_change"


def _timeout(event: Event, run: str) -> list[RowChange]:
    # An open incident that runs into the task's deadline changes its cause.
    refresh = (
        ("cause", "detail", "detected_after_s") if "detected_after_s" in event.data else ("cause", "detail")
    )
    changes: list[RowChange] = [
        _settle_timeout(event, "failure"),
        _retry(event, run),
    ]
    return changes + _incident(event, run, refresh)


def _attempt(event: Event, run: str) -> list[RowChange]:
    # An attempt whose end nobody wrote down was cut off by the next one: it proved nothing.
    changes: list[RowChange] = _end_attempts(event, "failure", "cut off by the next attempt")
    row = _attempt_row(event, event.type.removeprefix("hhmrs_"), "pending")
    again = ("strategy", "at", "outcome", "why", "ended")
    return [*changes, Put("attempts", row, ("incident", "n"), again), _retry(event, run)]


def _attempt_row(event: Event, strategy: str, outcome: str) -> dict[str, object]:
    d = event.data
    return {
        "seq": event.seq, "incident": event.incident, "agent": event.agent or "", "at": event.at,
        "task": _text(d, "task") or None, "n": _number(d, "n"), "cause": _text(d, "cause") or "unknown",
        "strategy": _text(d, "strategy") or strategy, "profile": d.get("new_profile"),
        "model": d.get("new_model"), "outcome": outcome, "why": "", "ended": None,
    }  # fmt: skip


def _attempt_failed(event: Event, _: str) -> list[RowChange]:
    why = _text(event.data, "why") or _text(event.data, "reason")
    ended = _end_attempts(event, "failure", why)
    if event.incident is None or not _number(event.data, "n"):
        return ended
    # One that failed before its process could be started has no event of its own yet.
    row = {**_attempt_row(event, "unknown", "failure"), "why": why, "ended": event.at}
    return [*ended, Put("attempts", row, ("incident", "n"), ("outcome", "why", "ended"))]


def _recovered(event: Event, _: str) -> list[RowChange]:
    """The one place where an attempt becomes a success: the agent's own progress was seen."""
    proof = _text(event.data, "proof")
    return [*_end_attempts(event, "success", proof), _settle_timeout(event, "success"),
            _settle_incident(event, {"recovered": event.at})]  # fmt: skip


def _failure(event: Event, _: str) -> list[RowChange]:
    reason = _text(event.data, "reason")
    return [*_end_attempts(event, "failure", reason), _settle_timeout(event, "failure"),
            _settle_incident(event, {"escalated": event.at, "level": 3, **_cause(event)})]  # fmt: skip


def _escalation(event: Event, _: str) -> list[RowChange]:
    return [_settle_incident(event, {"level": _number(event.data, "level_to") or 2})]


def _incident(
    event: Event, _: str, refresh: tuple[str, ...] = ("symptom", "cause", "detail")
) -> list[RowChange]:
    if event.incident is None:
        return []
    d = event.data
    row = {"id": event.incident, "agent": event.agent or "", "parent": event.parent, "opened": event.at,
           "symptom": _text(d, "symptom") or "unknown", "cause": _text(d, "cause") or "unknown",
           "detail": _text(d, "detail") or _text(d, "reason"),
           "detected_after_s": d.get("detected_after_s")}  # fmt: skip
    older = (("agent", "=", event.agent), ("id", "!=", event.incident), ("closed", "is", None))
    return [Settle("incidents", {"closed": event.at, "outcome": "cleared"}, older),
            Put("incidents", row, ("id",), refresh)]  # fmt: skip


def _cause_found(event: Event, _: str) -> list[RowChange]:
    return [_settle_incident(event, {**_cause(event), "detail": _text(event.data, "detail")})]


def _incident_closed(event: Event, _: str) -> list[RowChange]:
    outcome = _text(event.data, "outcome") or "cleared"
    # By now every attempt has its end; what still stands open was never proved. A time-out that the agent
    # overcame by itself is over well all the same.
    ended = "success" if outcome in ("recovered", "self") else "failure"
    return [*_end_attempts(event, "failure", f"incident closed: {outcome}"),
            _settle_timeout(event, ended),
            _settle_incident(event, {"closed": event.at, "outcome": outcome, **_cause(event)}),
            # What failed with this incident is at work again once the incident is cleared.
            Settle("tasks", {"state": "open", "closed": None},
                   (("incident", "=", event.incident or ""), ("state", "=", "failed")))]  # fmt: skip


def _cause(event: Event) -> dict[str, object]:
    """The cause the incident ended with: trouble found on the way may outrank what it began with."""
    cause = _text(event.data, "cause")
    return {"cause": cause} if cause not in ("", "unknown") else {}


def _started(event: Event, _: str) -> list[RowChange]:
    values = {"profile": event.data.get("profile"), "model": event.data.get("model")}
    running = (("agent", "=", event.agent), ("outcome", "=", "pending"), ("profile", "is", None))
    return [Settle("agents", values, (("id", "=", event.agent),)), Settle("attempts", values, running)]


def _task_state(state: str) -> Callable[[Event, str], list[RowChange]]:
    def opened(event: Event, _: str) -> list[RowChange]:
        if not (task := _text(event.data, "task")):
            return []
        row = {"id": task, "agent": event.agent, "text": _text(event.data, "text"), "state": state,
               "opened": event.at, "closed": None, "why": ""}  # fmt: skip
        return [Put("tasks", row, ("id",), ("agent", "state", "closed", "why"))]

    return opened


def _task_over(state: str) -> Callable[[Event, str], list[RowChange]]:
    def over(event: Event, _: str) -> list[RowChange]:
        d = event.data
        values: dict[str, object] = {"state": state, "closed": event.at, "seconds": d.get("seconds"),
                                     "why": _text(d, "why") or _text(d, "summary"),
                                     "incident": event.incident}  # fmt: skip
        if (files := _count(d)) is not None:
            values["files"] = files
        return [Settle("tasks", values, _its_task(event))]

    return over


def _checkpoint(event: Event, _: str) -> list[RowChange]:
    """A task is as large as the most files that any of its checkpoints names."""
    files = _count(event.data)
    return [] if files is None else [Settle("tasks", {"files": files}, _its_task(event))]


def _its_task(event: Event) -> tuple[tuple[str, str, object], ...]:
    if task := _text(event.data, "task"):
        return (("id", "=", task),)
    return (("agent", "=", event.agent), ("state", "=", "open"))


def _end_attempts(event: Event, outcome: str, why: str) -> list[RowChange]:
    values = {"outcome": outcome, "why": why, "ended": event.at}
    pending = (("agent", "=", event.agent), ("outcome", "=", "pending"))
    return [Settle("attempts", values, pending), _settle_retries(event, outcome, only=_TRIES)]


def _settle_timeout(event: Event, outcome: str) -> Settle:
    return _settle_retries(event, outcome, only=("child_timeout",))


def _settle_retries(event: Event, outcome: str, only: tuple[str, ...]) -> Settle:
    where = (("agent_id", "=", event.agent), ("outcome", "=", "pending"), ("retry_type", "in", only))
    return Settle("retry_history", {"outcome": outcome}, where)


def _settle_incident(event: Event, values: Mapping[str, object]) -> Settle:
    if event.incident is not None:
        return Settle("incidents", values, (("id", "=", event.incident),))
    return Settle("incidents", values, (("agent", "=", event.agent), ("closed", "is", None)))


def _retry(event: Event, run: str) -> Put:
    d = event.data
    kind = retry_type(event)
    old, new = _configs(event)
    row = {"id": event.seq, "run_id": run, "task_id": _text(d, "task"), "agent_id": event.agent or "",
           "parent_agent_id": event.parent, "retry_type": kind,
           "retry_count": _number(d, "n") or _number(d, "restart_count"),
           "reason": _text(d, "reason") or _text(d, "cause") or kind, "old_config": old, "new_config": new,
           "timestamp": event.at, "outcome": "pending"}  # fmt: skip
    return Put("retry_history", row, ("id",))


def _configs(event: Event) -> tuple[str | None, str | None]:
    """What was changed from and to, as JSON; None where nothing was."""
    data = event.data
    if event.type == "agent_timeouts_raised":
        return json.dumps(data.get("old")), json.dumps(data.get("new"))
    if event.type != "hhmrs_reassign":
        return None, None

    def side(which: str) -> str:
        return json.dumps({"profile": data.get(f"{which}_profile"), "model": data.get(f"{which}_model")})

    return side("old"), side("new")


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else "" if value is None else str(value)


def _number(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    return value if isinstance(value, int) else 0


def _count(data: Mapping[str, Any]) -> int | None:
    value = data.get("files")
    if isinstance(value, list):
        return len(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_RULES: dict[str, Callable[[Event, str], list[RowChange]]] = {
    "hhmrs_timeout": _timeout,
    "agent_timeouts_raised": lambda event, run: [_retry(event, run)],
    "hhmrs_recovered": _recovered,
    "hhmrs_failure": _failure,
    "hhmrs_escalation": _escalation,
    "agent_incident": _incident,
    "agent_cause_found": _cause_found,
    "agent_incident_closed": _incident_closed,
    "agent_attempt_failed": _attempt_failed,
    "agent_started": _started,
    "task_queued": _task_state("queued"),
    "task_opened": _task_state("open"),
    "task_done": _task_over("done"),
    "task_failed": _task_over("failed"),
    "checkpoint_stored": _checkpoint,
}
