"""A JSON file changed in one place: everything else in it stays as its owner wrote it, byte for byte.

Only standard JSON is read. Where a comment or a trailing comma stands, `NotPlain` says where: what looks like
it inside a string is none, and to guess is not worth somebody's configuration."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

DEEPEST = 200
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SCALAR = re.compile(r"[-+.0-9A-Za-z]+")


class NotPlain(Exception):
    """The text cannot be changed safely: `line` and `col` from 1, and why."""

    def __init__(self, line: int, col: int, why: str) -> None:
        super().__init__(why)
        self.line, self.col = line, col


@dataclass(slots=True)
class Span:
    """A value with its place in the text. `members` of an object, `items` of an array; `at`: where the member
    or item begins, with its key."""

    start: int
    value: Any
    end: int = 0
    at: int = 0
    members: dict[str, Span] = field(default_factory=dict)
    items: list[Span] = field(default_factory=list)

    @property
    def children(self) -> list[Span]:
        return [*self.members.values(), *self.items]


def read(text: str) -> Span:
    """The whole text as spans. Raises NotPlain."""
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise NotPlain(1, 1, f"nested deeper than {DEEPEST}") from None
    except json.JSONDecodeError as error:
        lines = text.split("\n")
        rest = lines[error.lineno - 1][error.colno - 1 :] if error.lineno <= len(lines) else ""
        comment = rest.lstrip().startswith(("//", "/*"))
        why = "a comment, which standard JSON has not" if comment else f"no JSON: {error.msg}"
        raise NotPlain(error.lineno, error.colno, why) from None
    except ValueError as error:
        raise NotPlain(1, 1, str(error)) from None
    return _scan(text, _skip(text, 0), value, 0)


def put_in(text: str, parent: Span, key: str | None, value: Any) -> str:
    """`text` with `value` as the last member (under `key`) or item of `parent`, laid out like the others."""
    children, unit, newline = parent.children, _unit(text), _newline(text)
    head = "" if key is None else f"{json.dumps(key, ensure_ascii=False)}: "
    if children:
        last, lead = children[-1], _lead(text, children[-1].at)
        if lead is None:
            return f"{text[: last.end]}, {head}{json.dumps(value, ensure_ascii=False)}{text[last.end :]}"
        return (
            f"{text[: last.end]},{newline}{lead}{head}{_dumped(value, unit, lead, newline)}{text[last.end :]}"
        )
    outer = _line_lead(text, parent.start)
    lead = outer + unit
    body = f"{newline}{lead}{head}{_dumped(value, unit, lead, newline)}{newline}{outer}"
    return text[: parent.start + 1] + body + text[parent.end - 1 :]


def take_out(text: str, parent: Span, child: Span) -> str:
    """`text` without `child`, a member or item of `parent`, and without the comma it needed."""
    children = parent.children
    at = next(n for n, one in enumerate(children) if one is child)
    if at:
        return text[: children[at - 1].end] + text[child.end :]
    if len(children) > 1:
        return text[: child.at] + text[children[1].at :]
    return text[: parent.start + 1] + text[parent.end - 1 :]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _scan(text: str, at: int, value: Any, depth: int) -> Span:
    """The span of `value`, which the text is known to hold at `at`."""
    if depth > DEEPEST:
        raise NotPlain(1, 1, f"nested deeper than {DEEPEST}")
    span = Span(at, value, at=at)
    if isinstance(value, dict):
        inner = at + 1
        for key in value:
            begins = _skip(text, inner)
            colon = _skip(text, _end(_STRING, text, begins))
            inner = _child(text, span, _skip(text, colon + 1), value[key], depth, begins)
            span.members[key] = span.items.pop()
        span.end = _skip(text, inner) + 1
    elif isinstance(value, list):
        inner = at + 1
        for one in value:
            begins = _skip(text, inner)
            inner = _child(text, span, begins, one, depth, begins)
        span.end = _skip(text, inner) + 1
    else:
        span.end = _end(_STRING if isinstance(value, str) else _SCALAR, text, at)
    return span


def _child(text: str, parent: Span, at: int, value: Any, depth: int, begins: int) -> int:
    """Add what stands at `at` to the items of `parent`; where the text goes on after it and its comma."""
    child = _scan(text, at, value, depth + 1)
    child.at = begins
    parent.items.append(child)
    after = _skip(text, child.end)
    return after + (text[after] == ",")


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _lead(text: str, at: int) -> str | None:
    """The blanks before what begins at `at`, when it begins its line; None when it does not."""
    begins = text.rfind("\n", 0, at) + 1
    lead = text[begins:at]
    return lead if begins and not lead.strip(" \t") else None


def _line_lead(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    """By what the text is indented: the blanks before its first member."""
    found = re.match(r"\s*[{\[]\r?\n([ \t]+)\S", text)
    return found[1] if found else "  "


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _dumped(value: Any, unit: str, lead: str, newline: str) -> str:
    lines = json.dumps(value, ensure_ascii=False, indent=unit).split("\n")
    return (newline + lead).join(lines)
