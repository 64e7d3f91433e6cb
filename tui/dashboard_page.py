"""The dashboards as a page of Markdown or SVG: the same figures, and the same columns over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

from ..healing.markdown import cell
from .charts import cut
from .dashboard import dashboard, over_time_lines, span_words
from .drawing import svg
from .exporting import Printout
from .looks import clean
from .prose import Line

CHART = 72
"""Cells of the chart in the page."""
PICTURE = 100
"""Cells of the picture."""


def dashboard_page(document: Mapping[str, Any], fleet: str, *, dark: bool = True) -> Printout:
    """Both forms of the dashboards of one span."""
    named = f"{clean(fleet, 40)}: recoveries, "
    title = named + span_words(document)
    written = named + span_words(document, UTC)  # for others, wherever they are
    name = f"hhmrs-{clean(fleet, 40)}-{clean(document['span']['name'], 20)}"

    def picture() -> str:
        return svg(dashboard(document, PICTURE), cut(title, PICTURE), PICTURE, dark)

    return Printout(name, lambda: markdown(document, written, UTC), picture)


def markdown(document: Mapping[str, Any], title: str, zone: tzinfo | None = None) -> str:
    """The page; ends with a newline."""
    parts = [f"# {title}", _rates(document), _figures(document)]
    if any(one["incidents"] for one in document["over_time"]):
        drawn = _drawn(over_time_lines(document, CHART, zone=zone))
        parts.append(f"## Over time\n\n```text\n{drawn}\n```")
    parts += list(_groups(document))
    return "\n\n".join(parts) + "\n"


def _rates(document: Mapping[str, Any]) -> str:
    first = document["first_try_success"]
    goals = (
        ("recovered incidents", document["recovery_success_rate"]),
        ("first try, small tasks", first["small"]),
        ("first try, large tasks", first["large"]),
    )
    rows = [(name, _percent(goal["value"]), f"{goal['target']:g} %", goal["n"]) for name, goal in goals]
    rows.append(("attempts proved", _percent(document["success_rate"]), "-", document["total_actions"]))
    return _table(("rate", "value", "target", "of"), rows)


def _figures(document: Mapping[str, Any]) -> str:
    names = (
        ("attempts sent", "actions_sent"), ("proved", "successful"), ("failed", "failed"),
        ("under way", "pending"), ("false alarms", "false_alarms"),
        ("failed for good after recovery", "failed_after_recovery"),
    )  # fmt: skip
    times = (
        ("mean time to notice (MTTD)", "mttd_s"), ("mean time to repair (MTTR)", "mttr_s"),
        ("attempt to proof", "average_recovery_time_s"),
    )  # fmt: skip
    rows = [(name, document[key]) for name, key in names]
    rows += [(name, "-" if document[key] is None else f"{document[key]:.1f} s") for name, key in times]
    return _table(("figure", "value"), rows)


def _groups(document: Mapping[str, Any]) -> Iterable[str]:
    rows: list[Sequence[object]]
    if document["reasons"]:
        rows = [
            (cause, r["count"], f"{r['share']:g} %", ", ".join(r["agents"]))
            for cause, r in document["reasons"].items()
        ]
        yield "## Causes\n\n" + _table(("cause", "incidents", "share", "agents"), rows)
    if document["by_strategy"]:
        rows = [
            (name, g["total"], g["successful"], g["failed"], _percent(g["success_rate"]))
            for name, g in document["by_strategy"].items()
        ]
        yield "## Retries by strategy\n\n" + _table(("strategy", "ended", "proved", "failed", "rate"), rows)
    if document["most_troubled"]:
        rows = [
            (t["agent"], t["incidents"], t["recovered"], t["given_up"], t["actions"], f"{t['seconds']:.0f} s")
            for t in document["most_troubled"]
        ]
        head = ("agent", "incidents", "recovered", "given up", "attempts", "time in them")
        yield "## Agents most in trouble\n\n" + _table(head, rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    ruled = ["---" if number == 0 else "---:" for number in range(len(head))]
    lines = [head, ruled, *([cell(str(value), 300) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _drawn(lines: Iterable[Line]) -> str:
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:g} %"
