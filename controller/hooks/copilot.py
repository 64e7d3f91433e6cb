"""Copilot CLI: every *.json in its hooks folder is read, so ours is a file of its own. The payload has no
event's name in it, and permissionRequest runs also for what is allowed anyway: it is not wired. Seen with
1.0.102."""

from __future__ import annotations

import json
import re

from .kinds import Failure, Kind, Phase, Place, Said, Word, begun, ended, inner, session, text
from .line import command

TIMEOUT_S = 10
_CAUSES = (
    ("auth", re.compile(r"\b40[13]\b|authenticat|unauthori[sz]ed|billing|payment", re.IGNORECASE)),
    ("rate_limited", re.compile(r"\b429\b|rate.limit|usage limit|quota", re.IGNORECASE)),
    ("context_exhausted", re.compile(r"context (?:limit|length|window)|too long", re.IGNORECASE)),
)


def tool_ended(said: Said) -> tuple[Word, ...]:
    result = inner(said, "toolResult")
    well = text(result, "resultType") in ("", "success")
    return (Phase("busy", tool=(text(said, "toolName") or "without a name") if well else ""),)


def failed(said: Said) -> tuple[Word, ...]:
    """It runs at each of its own tries; one that it can recover from is not its last word."""
    if said.get("recoverable") is True:
        return ()
    words = text(inner(said, "error"), "message", "name") or "its turn failed"
    return (Failure(next((cause for cause, said in _CAUSES if said.search(words)), "api_error"), words),)


_MEANINGS = {
    "sessionStart": session,
    "userPromptSubmitted": begun,
    "postToolUse": tool_ended,
    "agentStop": ended,
    "errorOccurred": failed,
}


def _file() -> str:
    hooks = {
        event: [{"type": "command", "bash": command("copilot", event), "timeoutSec": TIMEOUT_S}]
        for event in _MEANINGS
    }
    return json.dumps({"version": 1, "hooks": hooks}, indent=2) + "\n"


COPILOT = Kind("copilot", Place("COPILOT_HOME", "", ".copilot", "hooks/hhmrs.json"), _MEANINGS, whole=_file())
