"""`tasks`: what was asked and what became of it; `retry`: a failed one once more."""

from __future__ import annotations

from typing import Any

from ...config.problems import closest
from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import Place, find_place
from .refusal import UNHEALTHY, Refusal, usage

FAILED = "failed"
_TONES = {"done": "good", FAILED: "bad", "open": "busy"}


def tasks(call: Call, screen: Screen) -> int:
    place = find_place(call)
    rows = _rows(place)
    queue = [row["id"] for row in rows if row["state"] == FAILED]
    if call.json:
        screen.document({"fleet": place.state.fleet, "tasks": rows, "retry_queue": queue})
        return 0
    if not rows:
        screen.say(f"fleet {place.state.fleet} has had no tasks; an agent's `prompt:` is one")
        return 0
    cells = [["TASK", "AGENT", "STATE", "OPENED", "TOOK", ""]]
    cells += [[inert(row["id"], 80), inert(row["agent"] or "-", 64), row["state"], row["opened"],
               _took(row), inert(_words(row), 70)] for row in rows]  # fmt: skip
    head, *lines = screen.columns(cells)
    screen.say(screen.style(head, "quiet"))
    for row, line in zip(rows, lines, strict=True):
        state = row["state"]
        screen.say(line.replace(state, screen.style(state, _TONES.get(state, "text")), 1))
    if queue:
        screen.say("")
        screen.say(screen.bold("retry queue: failed for good, until somebody has them tried again"))
        for task in queue:
            screen.say(f"  {place.hint(f'retry {inert(task, 80)}')}")
    return 0


def retry(call: Call, screen: Screen) -> int:
    from .recovery import give, said

    words = said(call)
    place, task = find_place(call), call.get("task")
    rows = _rows(place)
    known = next((row for row in rows if row["id"] == task), None)
    failed = [row["id"] for row in rows if row["state"] == FAILED]
    if known is None:
        near = closest(task, [*failed, *(row["id"] for row in rows)]) or f"; see `{place.hint('tasks')}`"
        raise usage(f"{PROGRAM}: no task {inert(task, 80)!r} in fleet {place.state.fleet}{inert(near)}")
    place.need_daemon()
    if known["state"] != FAILED:
        raise Refusal(UNHEALTHY, f"retry {inert(task, 80)}: it is not failed but {known['state']}")
    agent = str(known["agent"])
    spec = place.spec.agents.get(agent) if place.spec else None
    return give(call, screen, place, "retry", spec, {"task": task} | words, agent)


def _rows(place: Place) -> list[dict[str, Any]]:
    """Every task of the book, oldest first."""
    reader = place.reader()
    return reader.rows("tasks") if reader is not None else []


def _words(row: dict[str, Any]) -> str:
    """What became of it; of one that is open, what was asked: why it failed before is over."""
    return str((row["state"] != "open" and row["why"]) or row["text"])


def _took(row: dict[str, Any]) -> str:
    from ..looks import age

    return "-" if row["seconds"] is None else age(float(row["seconds"]))
