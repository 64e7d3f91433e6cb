"""Qwen Code: Claude Code's names in its own settings.json; timeouts in milliseconds. Its StopFailure runs
on a screen of its own, and was not seen to run in one shot. Seen with 0.24.4."""

from __future__ import annotations

from .claude import MEANINGS, group
from .kinds import Kind, Place

TIMEOUT_MS = 10_000

QWEN = Kind(
    "qwen",
    Place("QWEN_HOME", "", ".qwen", "settings.json"),
    MEANINGS,
    entry=lambda event: group("qwen", event, TIMEOUT_MS),
)
