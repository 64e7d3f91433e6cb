"""Agent state <-> JSON values, so that a new daemon can carry on where the last one stopped."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import StrEnum
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .agent import AgentState

T = TypeVar("T")
_HINTS: dict[type, dict[str, Any]] = {}


def dump_state(state: AgentState) -> dict[str, Any]:
    """JSON values only; the inverse of `load_state`."""
    dumped = _dump(state)
    assert isinstance(dumped, dict)
    return dumped


def load_state(raw: dict[str, Any]) -> AgentState:
    """The state that `dump_state` made `raw` of. Unknown keys (of a newer version) are passed over,
    missing ones take their defaults. Raises ValueError or TypeError on values of the wrong shape."""
    return _load_class(AgentState, raw)


def _dump(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _dump(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple | list):
        return [_dump(item) for item in value]
    return value


def _load_class(kind: type[T], raw: Any) -> T:
    if not isinstance(raw, dict):
        raise TypeError(f"{kind.__name__}: expected an object, found {type(raw).__name__}")
    hints = _HINTS.get(kind)
    if hints is None:
        hints = _HINTS[kind] = get_type_hints(kind)
    return kind(**{name: _load(hint, raw[name]) for name, hint in hints.items() if name in raw})


def _load(hint: Any, raw: Any) -> Any:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        if raw is None:
            return None
        return _load(next(a for a in get_args(hint) if a is not type(None)), raw)
    if origin is tuple:
        item = get_args(hint)[0]
        return tuple(_load(item, one) for one in raw)
    if is_dataclass(hint) and isinstance(hint, type):
        return _load_class(hint, raw)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(raw)
    if hint is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if isinstance(hint, type) and not isinstance(raw, hint):
        raise TypeError(f"expected {hint.__name__}, found {type(raw).__name__}")
    return raw
