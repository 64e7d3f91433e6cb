"""From what the brain said to what may stand in the book: plain JSON values, bounded, times as text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ...healing.agent import Happening
from ..ports import Event
from ..timestamps import to_iso

TEXT_LIMIT = 16_384
ITEM_LIMIT = 200
DEPTH_LIMIT = 6
EVENT_LIMIT = 131_072
"""Characters of one text, items of one list or object, levels of nesting, characters of one event."""

_COLUMNS = frozenset({"seq", "at", "type", "agent", "parent", "incident"})
_TIMES = frozenset({"opened", "since", "until", "due"})
"""Fields that hold engine time and are written as text."""


def entry(happening: Happening, parent: str | None = None) -> Event:
    """The event of a happening, its number still 0. `parent` is used where the happening names none.

    Raises ValueError for a time that is none."""
    fields = happening.fields
    named = fields.get("parent")
    data = {clean(k): bounded(v) for k, v in list(fields.items())[:ITEM_LIMIT] if k not in _COLUMNS}
    since = fields.get("since")
    if happening.type == "hhmrs_timeout" and isinstance(since, float | int):
        data["detected_after_s"] = round(max(0.0, happening.at - since), 3)
    for name in _TIMES & data.keys():
        if isinstance(data[name], float | int) and not isinstance(data[name], bool):
            data[name] = to_iso(data[name])
    if len(json.dumps(data)) > EVENT_LIMIT:
        data = {k: v for k, v in data.items() if len(json.dumps(v)) < 512} | {"cut": True}
    return Event(0, to_iso(happening.at), clean(happening.type), clean(happening.agent) or None,
                 clean(named) if isinstance(named, str) else parent,
                 clean(happening.incident) if happening.incident else None, data)  # fmt: skip


def clean(text: str) -> str:
    """Storable: no half surrogates, no NUL (SQLite ends a text there), bounded."""
    if len(text) <= TEXT_LIMIT and text.isascii() and "\0" not in text:
        return text  # nearly all of them, and live values are written all day
    return text[:TEXT_LIMIT].encode("utf-8", "replace").decode().replace("\0", "")


def bounded(value: object, depth: int = DEPTH_LIMIT) -> Any:
    """The value as JSON can hold it; what is too long, too deep or not a number is cut or made null."""
    if isinstance(value, str):
        return clean(str(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value if not isinstance(value, int) or abs(value) < 2**63 else str(value)
    if depth == 0:
        return None
    if isinstance(value, Mapping):
        return {clean(str(k)): bounded(v, depth - 1) for k, v in list(value.items())[:ITEM_LIMIT]}
    if isinstance(value, list | tuple | set | frozenset):
        return [bounded(v, depth - 1) for v in list(value)[:ITEM_LIMIT]]
    return clean(str(value))
