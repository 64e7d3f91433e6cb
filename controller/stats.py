"""The document of `stats --json` (contract.md section 6): figures of the whole ledger, rates in percent."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..healing import metrics
from ..healing.metrics import ActionRecord, Count, IncidentRecord, TaskRecord
from .comms import one_line
from .ledger_queries import LedgerQueries
from .timestamps import from_iso, to_iso


def stats_document(reader: LedgerQueries | None) -> dict[str, Any]:
    """All figures; those with nothing to measure are None. No ledger: the figures of nothing."""
    actions = _actions(reader) if reader else []
    incidents = _incidents(reader) if reader else []
    tasks = _tasks(reader) if reader else []
    total = metrics.count(actions)
    recent = sorted((a for a in actions if a.outcome != "pending"), key=lambda a: a.at)[-metrics.RECENT :]
    first = metrics.first_try(tasks, incidents)
    required = sum(metrics.troubled(t, incidents) for t in tasks)
    return {
        "total_actions": total.total,
        "successful": total.successful,
        "failed": total.failed,
        "success_rate": total.rate,
        "pending": sum(a.outcome == "pending" for a in actions),
        "by_agent": _groups(metrics.count_by(actions, lambda a: a.agent)),
        "by_strategy": _groups(metrics.count_by(actions, lambda a: a.strategy)),
        "by_profile": _groups(metrics.count_by(actions, lambda a: a.profile)),
        "by_model": _groups(metrics.count_by(actions, lambda a: a.model)),
        "by_task": _groups(metrics.count_by(actions, lambda a: a.task)),
        "recent_actions": [_action(a) for a in reversed(recent)],
        "first_try_success": {size: asdict(goal) for size, goal in first.items()},
        "total_tasks": len(tasks),
        "uncounted_tasks": sum(t.files is None for t in tasks),
        "required_recovery": required,
        "recovery_success_rate": asdict(metrics.recovery_rate(incidents)),
        "failed_after_recovery": metrics.failed_after_recovery(incidents),
        "average_recovery_time_s": metrics.recovery_time(incidents),
        "reasons": {
            cause: {"count": r.count, "share": r.share, "agents": list(r.agents)}
            for cause, r in metrics.reasons(incidents).items()
        },
        "mttd_s": metrics.detection_time(incidents),
        "mttr_s": metrics.repair_time(incidents),
        "false_alarms": metrics.false_alarms(incidents),
    }


def stats_text(document: Mapping[str, Any]) -> str:
    """The document for people: a block of figures, then causes and agents; ends without a newline."""
    first = document["first_try_success"]
    done, won, lost = (document[name] for name in ("total_actions", "successful", "failed"))
    times = [_seconds(document[name]) for name in ("mttd_s", "mttr_s", "average_recovery_time_s")]
    spent = f"{document['failed_after_recovery']} failed for good after recovery was tried"
    lines = [
        f"recovery actions   {done} ended: {won} proved, {lost} failed; {_percent(document['success_rate'])}",
        f"recovered          {_goal(document['recovery_success_rate'], 'incidents')}; {spent}",
        f"first try, small   {_goal(first['small'], 'tasks')}",
        f"first try, large   {_goal(first['large'], 'tasks')}",
        f"mean times         detection {times[0]}, repair {times[1]}, action to proof {times[2]}",
        f"false alarms       {document['false_alarms']}",
    ]
    if document["reasons"]:
        lines += ["", "causes"]
        for cause, reason in document["reasons"].items():
            share = _percent(reason["share"])
            lines.append(
                f"  {one_line(cause, 40):<18} {reason['count']:>5}  {share:>7}  {', '.join(reason['agents'])}"
            )
    for title, key in (("agents", "by_agent"), ("profiles", "by_profile"), ("models", "by_model")):
        if document[key]:
            lines += ["", title, *(_group_line(name, group) for name, group in document[key].items())]
    if document["recent_actions"]:
        lines += ["", "latest actions"]
        for action in document["recent_actions"]:
            why = f": {one_line(action['why'], 200)}" if action["why"] else ""
            lines.append(f"  {action['at']}  {action['agent']} {action['strategy']} {action['outcome']}{why}")
    return "\n".join(lines)


def _actions(reader: LedgerQueries) -> list[ActionRecord]:
    seats = _Seats(reader)
    records = []
    for row in reader.rows("attempts"):
        known = (row["profile"], row["model"]) if row["profile"] else seats.before(row["agent"], row["seq"])
        records.append(ActionRecord(
            row["agent"], row["strategy"], from_iso(row["at"]), row["outcome"], row["why"], row["cause"],
            row["incident"], row["n"], known[0], known[1], row["task"],
        ))  # fmt: skip
    return records


class _Seats:
    """On which profile and model each agent ran at any event number."""

    def __init__(self, reader: LedgerQueries) -> None:
        self._seqs: dict[str, list[int]] = {}
        self._seats: dict[str, list[tuple[str | None, str | None]]] = {}
        for event in reader.of_types(("agent_started",)):
            agent = event.agent or ""
            self._seqs.setdefault(agent, []).append(event.seq)
            seat = (event.data.get("profile"), event.data.get("model"))
            self._seats.setdefault(agent, []).append(seat)

    def before(self, agent: str, seq: int) -> tuple[str | None, str | None]:
        index = bisect_right(self._seqs.get(agent, []), seq)
        return self._seats[agent][index - 1] if index else (None, None)


def _incidents(reader: LedgerQueries) -> list[IncidentRecord]:
    tried: dict[str, list[float]] = {}
    for row in reader.rows("attempts"):
        if row["incident"]:
            tried.setdefault(row["incident"], []).append(from_iso(row["at"]))
    return [
        IncidentRecord(
            row["id"], row["agent"], row["symptom"], row["cause"], from_iso(row["opened"]),
            _time(row["closed"]), row["outcome"], _time(row["recovered"]), _time(row["escalated"]),
            row["detected_after_s"],
            len(tried.get(row["id"], ())), min(tried.get(row["id"], ()), default=None),
        )
        for row in reader.rows("incidents")
    ]  # fmt: skip


def _tasks(reader: LedgerQueries) -> list[TaskRecord]:
    return [
        TaskRecord(row["id"], row["agent"] or "", row["state"] == "done", from_iso(row["opened"]),
                   from_iso(row["closed"]), row["files"])
        for row in reader.rows("tasks")
        if row["closed"] and row["state"] in ("done", "failed")
    ]  # fmt: skip


def _time(text: str | None) -> float | None:
    return from_iso(text) if text else None


def _groups(groups: Mapping[str, Count]) -> dict[str, dict[str, Any]]:
    return {
        name: {"total": c.total, "successful": c.successful, "failed": c.failed, "success_rate": c.rate}
        for name, c in groups.items()
    }


def _action(action: ActionRecord) -> dict[str, Any]:
    names = ("agent", "strategy", "incident", "n", "cause", "outcome", "why", "task")
    return {"at": to_iso(action.at), **{name: getattr(action, name) for name in names}}


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:g} %"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _goal(goal: Mapping[str, Any], of: str) -> str:
    return f"{_percent(goal['value'])} of {goal['n']} {of} (target {goal['target']:g} %)"


def _group_line(name: str, group: Mapping[str, Any]) -> str:
    rate = _percent(group["success_rate"])
    ended = f"{group['successful']} proved, {group['failed']} failed"
    return f"  {one_line(name, 80):<18} {group['total']:>5}  {rate:>7}  {ended}"
