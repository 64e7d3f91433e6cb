"""What a letter may say (contract.md section 4): bytes in, checked fields out, or one reason why not.

Everything here is written by agents and is hostile until it passed: size, depth, types and lengths are
bounded, control characters and lone surrogates are taken out of every text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ...healing.agent import Strategy
from ...healing.handoff import too_long

MAX_LETTER = 1 << 20
MAX_DEPTH = 32
MAX_TEXT = 8_000
MAX_ITEMS = 10_000
MAX_ITEM = 4_096

STATES = frozenset(
    {
        "idle",
        "planning",
        "delegating",
        "executing",
        "monitoring",
        "validating",
        "awaiting_approval",
        "completed",
        "failed",
        "hibernated",
    }
)
RECOVERIES = frozenset(
    {
        "nudge",
        "resume",
        "restart",
        "reassign",
        "escalate",
        "pause",
        "unpause",
        "stop",
        "start",
        "clear",
        "decide",
    }
)
"""Orders that the brain carries out, as it would by itself."""
ORDERS = RECOVERIES | {"send", "heal", "down", "reload", "submit", "retry"}
STARTING = frozenset({"resume", "restart", "reassign", "start", "retry"})
"""Orders that start an attempt, to which a person may say something: args `note` and `handoff`."""
WHOLE_FLEET = frozenset({"heal", "down", "reload", "decide", "retry"})
"""Orders that may come without an agent."""

NAMED_KEYS = ("Enter", "Escape", "Up", "Down", "Left", "Right", "Tab", "Space")
KEY = re.compile(rf"[A-Za-z0-9]|{'|'.join(NAMED_KEYS)}")
"""What `send` may press as one key, without an Enter: a menu takes no pasted text."""
AGENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_CLI_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_EVENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_HOOK_HEAD = b'{"kind":"hook",'
ORDER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Refused(Exception):
    """Why a letter is not taken; the text is shown to people."""


def parse(raw: bytes) -> dict[str, Any]:
    """One JSON object with bounded depth, no duplicate keys and no NaN. Raises Refused.

    What a CLI told its hook follows the letter of that, and is its `payload`: nobody looked at it before."""
    if len(raw) > MAX_LETTER:
        raise Refused("larger than 1 MiB")
    if raw.startswith(_HOOK_HEAD):
        head, _, said = raw.partition(b"\n")
        letter = _object(head)
        return letter | {"payload": payload(said)} if said.strip() else letter
    return _object(raw)


def payload(raw: bytes) -> dict[str, Any]:
    """The members of the JSON object that `raw` begins with, as far as they are whole: one that was cut off
    has lost its last ones; what is no object has none, and what is nested too deep is left out."""
    text, at, found = raw.decode("utf-8", errors="replace"), 0, dict[str, Any]()
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    begins = _OPENING.match(text)
    try:
        while begins is not None:
            name, at = decoder.raw_decode(text, begins.end())
            colon = _COLON.match(text, at)
            if not isinstance(name, str) or colon is None:
                break
            value, at = decoder.raw_decode(text, colon.end())
            begins = _COMMA.match(text, at)
            if begins is None and _CLOSING.match(text, at) is None:
                break  # a number at the cut may have lost its last digits
            if not _too_deep([value]):
                found[name] = value
    except (ValueError, RecursionError, Refused):
        return found
    return found


_OPENING, _COLON = re.compile(r"\s*\{\s*"), re.compile(r"\s*:\s*")
_COMMA, _CLOSING = re.compile(r"\s*,\s*"), re.compile(r"\s*\}")


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise Refused("not UTF-8") from None
    except RecursionError:
        raise Refused(f"nested deeper than {MAX_DEPTH}") from None
    except ValueError as why:
        raise Refused(f"not JSON: {str(why)[:200]}") from None
    if not isinstance(value, dict):
        raise Refused("not a JSON object")
    if _too_deep(value):
        raise Refused(f"nested deeper than {MAX_DEPTH}")
    return value


def checked(kind: str, letter: dict[str, Any]) -> dict[str, Any]:
    """The known fields of a letter of `kind`, typed, cleaned and complete; unknown fields are left out.

    Raises Refused."""
    if kind not in KINDS:
        raise Refused(f"kind {clean(str(kind), 60)!r} is none of {' '.join(KINDS)}")
    return KINDS[kind](letter)


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Inert text: no control or direction-changing characters (newline and tab stay), at most `limit`."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def moment(letter: dict[str, Any], name: str) -> datetime:
    """The aware time in field `name`. Raises Refused."""
    text = letter.get(name)
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) and len(text) <= 40 else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Refused(f"{name} must be ISO 8601 in UTC, such as 2026-11-21T10:00:00.123Z")
    return at


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused("a key is given twice")
    return found


def _no_constant(name: str) -> None:
    raise Refused(f"{name} is not JSON")


def _too_deep(value: object) -> bool:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return any(isinstance(value, (dict, list)) for value in level)


def _text(letter: dict[str, Any], name: str, *, needed: bool = False, limit: int = MAX_TEXT) -> str:
    value = letter.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or (needed and not value.strip()):
        raise Refused(f"{name} must be a text")
    return clean(value, limit)


def _texts(letter: dict[str, Any], name: str, *, most: int = MAX_ITEMS) -> list[str]:
    value = letter.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused(f"{name} must be a list of texts")
    if len(value) > most:
        raise Refused(f"{name} holds {len(value)} items; at most {most} are taken")
    return [clean(item, MAX_ITEM) for item in value]


def _tree(letter: dict[str, Any], name: str) -> dict[str, Any]:
    value = letter.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(f"{name} must be an object")
    inert = _inert(value)
    assert isinstance(inert, dict)
    return inert


def _inert(value: object) -> object:
    if isinstance(value, str):
        return clean(value, MAX_LETTER)
    if isinstance(value, dict):
        return {clean(key, MAX_ITEM): _inert(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_inert(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused("a number is too large")
    return value


def _beat(letter: dict[str, Any]) -> dict[str, Any]:
    state = letter.get("state", "executing")
    if not isinstance(state, str) or state not in STATES:
        raise Refused(f"state must be one of {' '.join(sorted(STATES))}")
    progress = letter.get("progress")
    if progress is not None and (
        isinstance(progress, bool) or not isinstance(progress, (int, float)) or not 0 <= progress <= 1
    ):
        raise Refused("progress must be a number from 0 to 1")
    return {
        "state": state,
        "progress": None if progress is None else float(progress),
        "message": _text(letter, "message"),
        "metadata": _tree(letter, "metadata"),
    }


def _checkpoint(letter: dict[str, Any]) -> dict[str, Any]:
    return {
        "completed": _texts(letter, "completed"),
        "files": _texts(letter, "files"),
        "next": _texts(letter, "next"),
        "data": _tree(letter, "data"),
    }


def _end(letter: dict[str, Any]) -> dict[str, Any]:
    code = letter.get("exit_code")
    if code is not None and (isinstance(code, bool) or not isinstance(code, int) or abs(code) > 1 << 31):
        raise Refused("exit_code must be a whole number")
    return {"summary": _text(letter, "summary"), "exit_code": code, "artifacts": _texts(letter, "artifacts")}


def _ask(letter: dict[str, Any]) -> dict[str, Any]:
    return {"question": _text(letter, "question", needed=True), "options": _texts(letter, "options", most=50)}


def _decide(letter: dict[str, Any]) -> dict[str, Any]:
    strategy = letter.get("strategy")
    if not isinstance(strategy, str) or strategy not in set(Strategy):
        raise Refused(f"strategy must be one of {' '.join(Strategy)}")
    return {"incident": _text(letter, "incident", needed=True, limit=200), "strategy": strategy}


def _hook(letter: dict[str, Any]) -> dict[str, Any]:
    cli, event = letter.get("cli"), letter.get("event")
    if not isinstance(cli, str) or not _CLI_NAME.fullmatch(cli):
        raise Refused("cli must be the name of an agent CLI")
    if not isinstance(event, str) or not _EVENT_NAME.fullmatch(event):
        raise Refused("event must be the name of a hook")
    return {"cli": cli, "event": event, "payload": _tree(letter, "payload")}


def order(letter: dict[str, Any]) -> dict[str, Any]:
    """A person's order: id, order, agent ("" for the whole fleet), by, args. Raises Refused."""
    if letter.get("kind") != "order":
        raise Refused("only orders belong into the operator inbox")
    name, verb, agent = letter.get("id"), letter.get("order"), letter.get("agent") or ""
    if not isinstance(name, str) or not ORDER_ID.fullmatch(name):
        raise Refused("id must be 1 to 64 letters, digits, - or _")
    if not isinstance(verb, str) or verb not in ORDERS:
        raise Refused(f"order must be one of {' '.join(sorted(ORDERS))}")
    if not isinstance(agent, str) or not (AGENT_NAME.fullmatch(agent) or (not agent and verb in WHOLE_FLEET)):
        raise Refused("agent is missing or not a name")
    args = letter.get("args") or {}
    if not isinstance(args, dict) or not all(isinstance(value, str) for value in args.values()):
        raise Refused("args must map texts to texts")
    cleaned = {clean(key, 64): clean(value, MAX_LETTER) for key, value in args.items()}
    if why := unfit(verb, cleaned):
        raise Refused(why)
    return {
        "id": name,
        "order": verb,
        "agent": agent,
        "by": _text(letter, "by", limit=200),
        "args": cleaned,
        "expires": letter.get("expires"),
    }


def unfit(order: str, args: Mapping[str, str]) -> str:
    """Why a person's words to an attempt cannot go with this order; empty when they can."""
    said = [name for name in ("note", "handoff") if args.get(name)]
    if said and order not in STARTING:
        return f"{order} starts no attempt, so nobody would read its {said[0]}"
    if order == "send" and args.get("key") == "1" and not KEY.fullmatch(args.get("text", "")):
        return f"{clean(args.get('text', ''), 40)!r} is not one key; such are 2, y, {', '.join(NAMED_KEYS)}"
    return too_long(args.get("note", ""), args.get("handoff", ""))


KINDS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "beat": _beat,
    "checkpoint": _checkpoint,
    "done": _end,
    "fail": _end,
    "ask": _ask,
    "decide": _decide,
    "hook": _hook,
}
