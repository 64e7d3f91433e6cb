"""One agent as it is now, for `status`, the screen and scripts: what its state says in their words.

Light on purpose: the screen's first frame is made of it before anything else of ours is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...healing.agent import AgentState, Phase
from ..timestamps import to_iso
from .status import AgentView

if TYPE_CHECKING:
    from ...config.fleet import AgentSpec

KINDS = ("beat", "output", "file", "transcript", "process", "cpu")
ENDED = frozenset({Phase.DONE, Phase.STOPPED, Phase.EXITED, Phase.ESCALATED})
"""Phases in which nothing will start by itself."""


def agent_view(
    name: str,
    spec: AgentSpec | None,
    known: AgentState | None,
    row: Mapping[str, Any],
    up: bool,
    *,
    orphan: bool,
    title: str | None = None,
) -> AgentView:
    """`title` and the parent in `row` stand in where `spec` is not known."""
    state = known or AgentState(name, phase=Phase.STARTING if up else Phase.UNKNOWN)
    profile, model = _seat(state, spec, row)
    task = state.task
    return AgentView(
        id=name,
        parent=spec.parent if spec else row.get("parent"),
        profile=profile,
        model=model,
        phase=state.phase.value,
        since=stamp(state.since),
        attempt=state.attempt,
        restarts=state.restarts,
        reassigns=state.reassigns,
        pid=state.pid if state.alive else None,
        pane=state.pane,
        socket=state.socket or None,
        task=task.id if task else None,
        progress=_finite(state.progress),
        message=state.message,
        cpu_pct=round(_finite(state.cpu_pct) or 0.0, 1),
        memory_mb=round(_finite(state.memory_mb) or 0.0, 1),
        trace={kind: getattr(state.trace, kind) for kind in KINDS},
        incident=state.incident.id if state.incident else None,
        title=spec.title if spec else title or name,
        ready=state.ready,
        alive=state.alive,
        attached=state.attached,
        pane_title=state.title,
        says=state.says,
        task_text=task.text if task else None,
        stage=state.recovery.stage.value if state.recovery else None,
        next=_next(state),
        asks=_asks(state),
        limited_until=stamp(state.limited_until),
        bad_letters=state.bad_letters,
        held_back=tuple({"by": h.by, "why": h.why, "since": stamp(h.since)} for h in state.held_back),
        usage=usage_of(state),
        budget=held_words(state) if state.spending.held else None,
        orphan=orphan,
    )


def usage_of(state: AgentState) -> dict[str, float | None]:
    total = state.spending.total
    cost = None if total.cost is None else round(total.cost, 6)
    told = {"sent": total.sent, "received": total.received, "cached": total.cached, "cost": cost}
    return told | {"context_left": state.spending.context_left}


def held_words(state: AgentState) -> str:
    """Why it is held for its budget, and what to do."""
    way = f"raise it by `hhmrs set spending.KEY VALUE`, or `hhmrs clear {state.id}`"
    held = "" if state.spending.paused else "it may finish its turn; "
    return f"{state.spending.held}; {held}{way}"


def _seat(state: AgentState, spec: AgentSpec | None, row: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Profile and model it runs on: by the file, else as the book last saw it start."""
    if spec and spec.seats:
        from ...healing.seats import seat_of

        seat = seat_of(state, spec)
        return seat.profile.name, seat.model
    return row.get("profile"), row.get("model")


def _next(state: AgentState) -> dict[str, str | None] | None:
    recovery = state.recovery
    if recovery is None:
        return None
    return {"strategy": recovery.strategy.value if recovery.strategy else "start", "at": stamp(recovery.due)}


def _asks(state: AgentState) -> dict[str, str | None] | None:
    if state.incident is None or state.incident.asked is None:
        return None
    from ...healing.asking import open_question  # few are asked about, and the first look needs it for none

    asked = open_question(state)
    return None if asked is None else {"agent": asked.ancestor, "until": stamp(asked.until)}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def stamp(at: float | None) -> str | None:
    return to_iso(at) if at else None
