"""Agent state <-> JSON values, so that a new daemon can carry on where the last one stopped."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from struct import pack, unpack
from types import NoneType, UnionType
from typing import Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from .agent import AgentState
from .repeats import Memory

T = TypeVar("T")
Reader: TypeAlias = Callable[[Any], Any]
_READERS: dict[type, dict[str, Reader]] = {}
_NAMES: dict[type, tuple[str, ...]] = {}
_PLAIN = frozenset({str, int, float, bool, NoneType})


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
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is Memory:
        return {"recent": _packed(value.recent), "startup": _packed(value.startup)}
    if issubclass(kind, StrEnum):
        return value.value
    if kind is tuple or kind is list:
        return [one if type(one) in _PLAIN else _dump(one) for one in value]
    names = _NAMES.get(kind)
    if names is None and is_dataclass(kind):
        names = _NAMES[kind] = tuple(f.name for f in fields(kind))
    if names is None:
        return value
    found = {name: getattr(value, name) for name in names}
    return {name: one if type(one) in _PLAIN else _dump(one) for name, one in found.items()}


def _packed(hashes: Sequence[int]) -> str:
    # Hundreds of numbers stand in every state; as one text they cost a tenth, and half the room.
    return b2a_base64(pack(f">{len(hashes)}Q", *hashes), newline=False).decode("ascii")


def _unpacked(text: str) -> tuple[int, ...]:
    raw = a2b_base64(text, strict_mode=True)
    if len(raw) % 8:
        raise ValueError("hashes: expected eight bytes each")
    return unpack(f">{len(raw) // 8}Q", raw)


def _load_class(kind: type[T], raw: Any) -> T:
    if not isinstance(raw, dict):
        raise TypeError(f"{kind.__name__}: expected an object, found {type(raw).__name__}")
    readers = _READERS.get(kind)
    if readers is None:
        # Worked out once: a fleet of a thousand agents has a thousand states to read at each look.
        readers = _READERS[kind] = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}
    return kind(**{name: read(raw[name]) for name, read in readers.items() if name in raw})


def _reader(hint: Any) -> Reader:
    """What makes a value of type `hint` of its JSON; raises ValueError or TypeError when it cannot."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        inner = _reader(next(a for a in get_args(hint) if a is not NoneType))
        return lambda raw: None if raw is None else inner(raw)
    if origin is tuple:
        item = get_args(hint)[0]
        each = _reader(item)
        return lambda raw: _unpacked(raw) if isinstance(raw, str) and item is int else tuple(map(each, raw))
    if is_dataclass(hint) and isinstance(hint, type):
        return lambda raw: _load_class(hint, raw)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    if hint is float:
        return _number
    return lambda raw: raw if type(raw) is hint else _refuse(hint, raw)


def _number(raw: Any) -> float:
    if type(raw) is int:
        return float(raw)
    return raw if type(raw) is float else _refuse(float, raw)


def _refuse(hint: Any, raw: Any) -> Any:
    raise TypeError(f"expected {hint.__name__}, found {type(raw).__name__}")
