"""A hook's letter as evidence that the brain knows. Pure; what the CLI wrote is hostile text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...healing import evidence as e
from ...healing.masking import mask_secrets
from ..terminals.reset_times import read_end
from .kinds import Failure, Phase, Word
from .table import KINDS

LONGEST_WORDS = 300
SHORT = 60.0
"""Seconds to the CLI's own next try: until then it is at work, and no longer than that a limit."""
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_RESETS = re.compile(
    r"(?:resets?(?:\s+at)?\s+|try again at\s+|limit reached\|)([^(\n.|]{1,60}?)"
    r"\s*(?:\(([^)\n]{1,60})\)|[.\n]|$)",
    re.IGNORECASE,
)
"""When a limit ends, as the CLIs word it; read only in the words of a failure that is a limit."""


def evidence_of(
    agent: str, cli: str, event: str, said: Mapping[str, Any], now: float, local: datetime
) -> list[e.Evidence]:
    """What the event means; empty for one that means nothing to us. `now`: engine time, `local`: the same
    moment in the local time zone."""
    kind = KINDS.get(cli)
    meaning = kind.meanings.get(event) if kind else None
    words = meaning(said) if meaning else ()
    return [found for word in words if (found := _evidence(agent, word, now, local)) is not None]


def _evidence(agent: str, word: Word, now: float, local: datetime) -> e.Evidence | None:
    if isinstance(word, Phase):
        return e.HookTold(agent, now, word.phase, _inert(word.words), _inert(word.tool)[:80])
    if isinstance(word, Failure):
        until = None
        if word.cause == "rate_limited":
            left = read_end(_RESETS, word.words[:2000], local)
            left = word.ends - local.timestamp() if word.ends is not None else left
            if word.ends is not None and left is not None and left < SHORT:
                return e.HookTold(agent, now, "busy")
            until = now + left if left is not None and left > 0 else None
        return e.ErrorShown(agent, now, word.cause, _inert(word.words), until, "hook")
    return e.SessionLearned(agent, now, word.id) if _SESSION.fullmatch(word.id) else None


def _inert(text: str) -> str:
    """One line for people to read, without secrets; control characters are gone since the letter came in."""
    line = " ".join(mask_secrets(text[: 4 * LONGEST_WORDS]).split())
    return line if len(line) <= LONGEST_WORDS else line[: LONGEST_WORDS - 1] + "\N{HORIZONTAL ELLIPSIS}"
