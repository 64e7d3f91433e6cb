"""Gemini CLI: `hooks` of settings.json, timeouts in milliseconds. AfterAgent runs after a cancel and after an
error of the API as well: it says that the turn ended, not how. Seen with 0.61.0."""

from __future__ import annotations

from .claude import group
from .kinds import Kind, Phase, Place, Said, Word, begun, ended, inner, session, text, tool_ended

TIMEOUT_MS = 10_000


def notified(said: Said) -> tuple[Word, ...]:
    if text(said, "notification_type") != "ToolPermission":
        return ()
    details = inner(said, "details")
    what = (text(said, "message"), text(details, "command", "filePath", "fileName"))
    return (Phase("waiting", ": ".join(part for part in what if part) or "it asks for a permission"),)


GEMINI = Kind(
    "gemini",
    Place("GEMINI_CLI_HOME", ".gemini", ".gemini", "settings.json"),
    {
        "SessionStart": session,
        "BeforeAgent": begun,
        "AfterTool": tool_ended,
        "Notification": notified,
        "AfterAgent": ended,
    },
    entry=lambda event: group("gemini", event, TIMEOUT_MS),
)
