"""What a status.json of an older system says, in the words of a beat."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 64 * 1024
MOST_TEXT = 300

_STATES: dict[str, tuple[str, ...]] = {
    "idle": ("idle", "queued", "standby", "ready", "available"),
    "planning": ("planning",),
    "delegating": ("delegating",),
    "executing": (
        "executing", "running", "ok", "degraded", "active", "active_agent_mode", "task_execution", "working",
        "busy", "in_progress", "blocked",
    ),
    "monitoring": ("monitoring",),
    "validating": ("validating",),
    "awaiting_approval": ("awaiting_approval", "waiting_approval"),
    "completed": ("completed", "complete", "done"),
    "failed": ("failed", "error", "down"),
    "hibernated": ("hibernated", "paused"),
}  # fmt: skip
"""A beat's states, and what other systems called the same. `blocked` was said of every trouble, so that it
lets no clock rest."""
_WORDS = {word: state for state, words in _STATES.items() for word in words}
_STATE_KEYS = ("state", "status", "current_phase")
_MESSAGE_KEYS = ("message", "current_subtask", "current_mission", "current_task")
_NAME_KEYS = ("agent", "agent_id", "agent_name")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Said:
    """`state`: one of a beat's; `names`: whom the file calls itself after, in lower case."""

    state: str
    progress: float | None
    message: str
    names: frozenset[str]


def read_status(raw: bytes) -> Said | None:
    """What the file says; None when it is no JSON object, or names no state that is known."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    words = (_word(said.get(key)) for key in _STATE_KEYS)
    state = next((_WORDS[word] for word in words if word in _WORDS), None)
    if state is None:
        return None
    message = next((text for key in _MESSAGE_KEYS if (text := _text(said.get(key)))), "")
    return Said(state, _progress(said), message, names_in(said))


def names_in(said: dict[str, Any]) -> frozenset[str]:
    """Whom the document calls itself after, in lower case."""
    return frozenset(_text(said.get(key)).casefold() for key in _NAME_KEYS) - {""}


def _word(value: Any) -> str:
    return re.sub(r"[\s-]+", "_", _text(value).casefold())


def _text(value: Any) -> str:
    return _CONTROL.sub(" ", value[: 4 * MOST_TEXT]).strip()[:MOST_TEXT] if isinstance(value, str) else ""


def _progress(said: dict[str, Any]) -> float | None:
    for key, whole in (("progress", 1.0), ("progress_pct", 100.0)):
        value = said.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= whole:
            return float(value) / whole
    return None
