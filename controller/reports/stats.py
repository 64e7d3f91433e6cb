"""The document of `stats --json` (contract.md section 6): figures of the whole ledger, rates in percent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ...healing import metrics
from ...healing.foreseen import WouldHave, would_have
from ...healing.metrics import ActionRecord, Count
from ..ledger.queries import LedgerQueries
from ..timestamps import to_iso
from .comms import one_line
from .recollection import Recollection, recollect


def stats_document(reader: LedgerQueries | None) -> dict[str, Any]:
    """All figures; those with nothing to measure are None. No ledger: the figures of nothing."""
    known = recollect(reader) if reader else Recollection()
    actions, incidents, tasks = known.actions, known.incidents, known.tasks
    total = metrics.count(actions)
    recent = sorted((a for a in actions if a.outcome != "pending"), key=lambda a: a.at)[-metrics.RECENT :]
    return {
        "total_actions": total.total,
        "successful": total.successful,
        "failed": total.failed,
        "success_rate": total.rate,
        "pending": len(actions) - total.total,
        "actions_sent": len(actions),
        "recoveries_proved": total.successful,
        "by_agent": _groups(metrics.count_by(actions, lambda a: a.agent)),
        "by_strategy": _groups(metrics.count_by(actions, lambda a: a.strategy)),
        "by_profile": _groups(metrics.count_by(actions, lambda a: a.profile)),
        "by_model": _groups(metrics.count_by(actions, lambda a: a.model)),
        "by_task": _groups(metrics.count_by(actions, lambda a: a.task)),
        "recent_actions": [_action(a) for a in reversed(recent)],
        "first_try_success": {s: asdict(goal) for s, goal in metrics.first_try(tasks, incidents).items()},
        "total_tasks": len(tasks),
        "uncounted_tasks": sum(t.files is None for t in tasks),
        "required_recovery": len(metrics.struck(tasks, incidents)),
        "recovery_success_rate": asdict(metrics.recovery_rate(incidents)),
        "failed_after_recovery": metrics.failed_after_recovery(incidents),
        "average_recovery_time_s": metrics.recovery_time(incidents),
        "reasons": _reasons(metrics.reasons(incidents)),
        "mttd_s": metrics.detection_time(incidents),
        "mttr_s": metrics.repair_time(incidents),
        "false_alarms": metrics.false_alarms(incidents),
        "breakdown": {
            kind: {
                name: asdict(each)
                for name, each in metrics.breakdown(kind, actions, incidents, tasks).items()
            }
            for kind in metrics.KINDS
        },
        "would_have": _would_have(would_have(known.observed)),
    }


def stats_text(document: Mapping[str, Any]) -> str:
    """The document for people: a block of figures, then causes and agents; ends without a newline."""
    first = document["first_try_success"]
    counts = ("actions_sent", "total_actions", "successful", "failed")
    sent, done, won, lost = (document[name] for name in counts)
    times = [_seconds(document[name]) for name in ("mttd_s", "mttr_s", "average_recovery_time_s")]
    spent = f"{document['failed_after_recovery']} failed for good after recovery was tried"
    lines = [
        f"recovery actions   {sent} sent, {done} ended: {won} proved, {lost} failed; "
        + _percent(document["success_rate"]),
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
    lines += _observed_lines(document["would_have"])
    if document["recent_actions"]:
        lines += ["", "latest actions"]
        for action in document["recent_actions"]:
            why = f": {one_line(action['why'], 200)}" if action["why"] else ""
            lines.append(f"  {action['at']}  {action['agent']} {action['strategy']} {action['outcome']}{why}")
    return "\n".join(lines)


def _reasons(found: Mapping[str, metrics.Reason]) -> dict[str, Any]:
    return {
        cause: {"count": r.count, "share": r.share, "agents": list(r.agents)} for cause, r in found.items()
    }


def _would_have(found: WouldHave) -> dict[str, Any]:
    """What `mode: observe` would have done; in no other figure."""
    plain = {name: getattr(found, name) for name in WouldHave.__slots__}
    return {**plain, "reasons": _reasons(found.reasons)}


def _groups(groups: Mapping[str, Count]) -> dict[str, dict[str, Any]]:
    return {
        name: {"total": c.total, "successful": c.successful, "failed": c.failed, "success_rate": c.rate}
        for name, c in groups.items()
    }


def _action(action: ActionRecord) -> dict[str, Any]:
    names = ("agent", "strategy", "incident", "n", "cause", "outcome", "why", "task")
    return {"at": to_iso(action.at), **{name: getattr(action, name) for name in names}}


def _observed_lines(would: Mapping[str, Any]) -> list[str]:
    if not would["incidents"]:
        return []
    acts = ", ".join(f"{count} {name}" for name, count in would["by_strategy"].items()) or "nothing"
    ends = f"{would['came_back']} came back by themselves, {would['open']} open"
    calls = f"{would['needless']} of them needless; {would['escalations']} calls for a person"
    return [
        "",
        "only observed: what would have been done, counted nowhere else",
        f"  incidents        {would['incidents']}: {ends}",
        f"  would have       {would['actions']} actions ({acts}), {calls}",
    ]


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
