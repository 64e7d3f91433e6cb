"""Claude Code: `hooks` of settings.json; each event's JSON comes on stdin. By its documentation (2.1.240)."""

from __future__ import annotations

import re
from typing import Any

from .kinds import Failure, Kind, Meaning, Phase, Place, Said, Word, begun, ended, permission, session, text
from .kinds import tool_ended as tool_ended_well
from .line import command

TIMEOUT_S = 10
_CAUSES = {
    "rate_limit": "rate_limited",
    "authentication_failed": "auth",
    "oauth_org_not_allowed": "auth",
    "billing_error": "auth",  # no restart pays a bill either
}
_ASKS = frozenset({"elicitation_dialog", "agent_needs_input"})
_TOO_LONG = re.compile(r"prompt is too long|context limit reached|conversation too long", re.IGNORECASE)


def group(cli: str, event: str, timeout: int = TIMEOUT_S) -> dict[str, Any]:
    """One entry of an event's array, in the form that several CLIs took over from this one."""
    return {"hooks": [{"type": "command", "command": command(cli, event), "timeout": timeout}]}


def notified(said: Said) -> tuple[Word, ...]:
    kind, words = text(said, "notification_type"), text(said, "message", "title")
    if kind == "permission_prompt":
        return (Phase("waiting"),)  # PermissionRequest has the words, this says no more than that it asks
    if kind in _ASKS:
        return (Phase("waiting", words or "it asks for an answer"),)
    return (Phase("idle"),) if kind == "idle_prompt" else ()


def failed(said: Said) -> tuple[Word, ...]:
    """Its names differ from source to source: error_type or error, error_message or error_details."""
    kind = text(said, "error_type", "error")
    words = text(said, "error_message", "error_details", "last_assistant_message") or kind
    cause = _CAUSES.get(kind, "context_exhausted" if _TOO_LONG.search(words) else "api_error")
    return (Failure(cause, words),)


MEANINGS: dict[str, Meaning] = {
    "SessionStart": session,
    "UserPromptSubmit": begun,
    "PostToolUse": tool_ended_well,
    "PostToolUseFailure": begun,
    "PermissionRequest": permission,
    "Notification": notified,
    "Stop": ended,
    "StopFailure": failed,
}

CLAUDE = Kind(
    "claude",
    Place("CLAUDE_CONFIG_DIR", "", ".claude", "settings.json"),
    MEANINGS,
    entry=lambda event: group("claude", event),
)
