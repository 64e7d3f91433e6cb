"""The document of `stats --json` (contract.md section 6): figures of the ledger or a span of it.

Rates are in percent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import tzinfo
from typing import Any

from ...healing import metrics, trends
from ...healing.foreseen import WouldHave, would_have
from ...healing.metrics import ActionRecord, Count
from ..ledger.queries import LedgerQueries
from ..timestamps import to_iso
from .comms import one_line
from .recollection import Recollection, recollect
from .spans import Span, span_of

STEP = 300.0
"""What is open lasts until now, in steps of so many seconds: asked again at once, nothing has changed."""


def stats_document(
    reader: LedgerQueries | None, span: str = "all", now: float | None = None, zone: tzinfo | None = None
) -> dict[str, Any]:
    """All figures of that span (spans.py); those with nothing to measure are None. No ledger: the figures of
    nothing. `now`: else that of the clock. Raises ValueError for an unknown span, and LedgerError."""
    span_of(span, 0.0, zone=zone)  # nobody waits for a large ledger to be told of a slip of the finger
    known = recollect(reader) if reader else Recollection()
    figures = figures_of(known, span, time.time() if now is None else now, zone)
    return figures | {"usage": usage_sums(reader.beats() if reader else {})}


def usage_sums(beats: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the agents' transcripts tell together, since they were first started: tokens and US dollars, null
    where nobody tells; `agents`: how many tell anything. `beats`: their live values."""
    told = [one for beat in beats.values() if isinstance(one := beat.get("usage"), list) and len(one) == 5]
    sums: dict[str, Any] = {}
    for at, name in enumerate(("sent", "received", "cached", "cost")):
        known = [one[at] for one in told if isinstance(one[at], int | float)]
        sums[name] = round(sum(known), 6) if known else None
    return sums | {"agents": len(told)}


def figures_of(known: Recollection, span: str, now: float, zone: tzinfo | None = None) -> dict[str, Any]:
    """`stats_document` of what was read already."""
    begun = [i.opened for i in known.incidents] + [a.at for a in known.actions]
    asked = span_of(span, now, min(begun, default=None), max((known.now, *begun)) if begun else None, zone)
    whole, known = known, known if asked.since is None else known.within(asked.holds)
    actions, incidents, tasks = known.actions, known.incidents, known.tasks
    until = max(whole.now, now // STEP * STEP)
    total = metrics.count(actions)
    recent = sorted((a for a in actions if a.outcome != "pending"), key=lambda a: a.at)[-metrics.RECENT :]
    return {
        "span": _span(asked, sum(not i.ordered for i in whole.incidents)),
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
        "over_time": [_slice(one) for one in trends.over_time(actions, incidents, asked.edges)],
        "most_troubled": [asdict(one) for one in trends.most_troubled(actions, incidents, until)],
    }


def stats_text(document: Mapping[str, Any]) -> str:
    """The document for people: a block of figures, then causes and agents; ends without a newline."""
    first = document["first_try_success"]
    counts = ("actions_sent", "total_actions", "successful", "failed")
    sent, done, won, lost = (document[name] for name in counts)
    times = [_seconds(document[name]) for name in ("mttd_s", "mttr_s", "average_recovery_time_s")]
    spent = f"{document['failed_after_recovery']} failed for good after recovery was tried"
    span = document["span"]
    asked = f"span               {span['words']}: {span['since']} to {span['until']}"
    lines = [
        *([asked] if span["since"] else []),
        f"recovery actions   {sent} sent, {done} ended: {won} proved, {lost} failed; "
        + _percent(document["success_rate"]),
        f"recovered          {_goal(document['recovery_success_rate'], 'incidents')}; {spent}",
        f"first try, small   {_goal(first['small'], 'tasks')}",
        f"first try, large   {_goal(first['large'], 'tasks')}",
        f"mean times         detection {times[0]}, repair {times[1]}, action to proof {times[2]}",
        f"false alarms       {document['false_alarms']}",
        *_usage_lines(document.get("usage") or {}),
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
    lines += observed_lines(document["would_have"])
    if document["recent_actions"]:
        lines += ["", "latest actions"]
        for action in document["recent_actions"]:
            why = f": {one_line(action['why'], 200)}" if action["why"] else ""
            lines.append(f"  {action['at']}  {action['agent']} {action['strategy']} {action['outcome']}{why}")
    return "\n".join(lines)


def _usage_lines(usage: Mapping[str, Any]) -> list[str]:
    """One line where any transcript tells; of whole lives, not of the span."""
    if not usage.get("agents"):
        return []
    cost = "" if usage["cost"] is None else f", ${usage['cost']:,.2f}"
    tokens = f"{usage['sent'] or 0:,} tokens sent, {usage['received'] or 0:,} received{cost}"
    return [f"spent so far       {tokens}; by the transcripts of {usage['agents']} agents"]


def _span(span: Span, ever: int) -> dict[str, Any]:
    """`since`, `until`: null for the whole ledger; `incidents_ever`: how many there are in all of it."""
    ends = {"since": span.since, "until": span.until}
    told = {name: None if at is None else to_iso(at) for name, at in ends.items()}
    return {"name": span.name, "words": span.words, **told, "incidents_ever": ever}


def _slice(one: trends.Slice) -> dict[str, Any]:
    return {**asdict(one), "since": to_iso(one.since), "until": to_iso(one.until)}


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


def observed_lines(would: Mapping[str, Any]) -> list[str]:
    """What `mode: observe` would have done, for people; no line where it saw nothing."""
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
