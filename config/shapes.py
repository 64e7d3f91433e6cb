"""Small readers of nodes, put together into larger ones: each gives the value, or reports and gives None."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from .durations import EXPECTED as DURATION
from .durations import parse_age, parse_duration
from .nodes import Broken, Mapping, Node, Scalar
from .nodes import Sequence as SequenceNode
from .problems import closest, inert
from .references import EXPECTED as REFERENCE
from .references import well_formed
from .sizes import EXPECTED as SIZE
from .sizes import parse_size

T = TypeVar("T")
MAX_TEXT = 4096
MAX_PROMPT = 64 * 1024
MAX_SUGGESTIONS = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(slots=True)
class Report:
    """Gathers problems; knows which key is being read, for the start of each message."""

    found: list[tuple[int, int, str]] = field(default_factory=list)
    _trail: list[str] = field(default_factory=list)
    _suggested: int = 0

    def add(self, node: Node, message: str, *, at: str | None = None) -> None:
        """Note `message` about `node`. `at` names the key instead of the trail of keys being read."""
        trail = at if at is not None else ".".join(self._trail)
        self.found.append((node.line, node.col, f"{trail}: {message}" if trail else message))

    def mismatch(self, node: Node, expected: str) -> None:
        if not isinstance(node, Broken):
            self.add(node, f"found {describe(node)}, expected {expected}")

    @contextmanager
    def inside(self, key: str) -> Generator[None]:
        self._trail.append(inert(key, 64))
        try:
            yield
        finally:
            self._trail.pop()

    def suggest(self, name: str, known: Sequence[str]) -> str:
        """As `closest`, but a file with thousands of wrong names does not take minutes."""
        if self._suggested >= MAX_SUGGESTIONS:
            return ""
        self._suggested += 1
        return closest(name, known)


Shape: TypeAlias = Callable[[Node, Report], T | None]


def describe(node: Node) -> str:
    """What stands there, in a few words."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    if isinstance(node, Scalar) and node.value is not None:
        return repr(inert(node.raw))
    return "nothing"


class Wrong(ValueError):
    """A value is not what was expected; the message says both."""


def unlike(node: Node, expected: str) -> Wrong:
    return Wrong(f"found {describe(node)}, expected {expected}")


def leaf(read: Callable[[Node, Report], T]) -> Shape[T]:
    """A shape from a reader of one value that raises Wrong."""

    def shape(node: Node, report: Report) -> T | None:
        if isinstance(node, Broken):
            return None
        try:
            return read(node, report)
        except Wrong as wrong:
            report.add(node, str(wrong))
            return None

    return shape


def text(
    expected: str = "text", *, limit: int = MAX_TEXT, lines: bool = False, references: bool = False,
    empty: bool = False, pattern: re.Pattern[str] | None = None,
) -> Shape[str]:  # fmt: skip
    """Text, as written: `8080` and `true` are taken as the text they are. Control characters are refused."""
    control = _CONTROL_BUT_LINES if lines else _CONTROL

    def read(node: Node, _: Report) -> str:
        if not isinstance(node, Scalar) or node.value is None or (not node.raw and not empty):
            raise unlike(node, expected)
        raw = node.raw
        if len(raw) > limit:
            raise Wrong(f"{len(raw)} characters are too many, expected at most {limit}")
        if bad := control.search(raw):
            raise Wrong(f"holds the control character {bad[0]!a}, expected {expected}")
        if pattern is not None and not pattern.fullmatch(raw):
            raise unlike(node, expected)
        if references and not well_formed(raw):
            raise Wrong(f"{inert(raw)!r} holds a broken reference, expected {REFERENCE}")
        return raw

    return leaf(read)


def choice(names: Sequence[str], what: str = "one of") -> Shape[str]:
    def read(node: Node, report: Report) -> str:
        raw = node.raw if isinstance(node, Scalar) else ""
        if raw in names:
            return raw
        raise unlike(node, f"{what} {', '.join(names)}{report.suggest(raw, names) if raw else ''}")

    return leaf(read)


@leaf
def flag(node: Node, _: Report) -> bool:
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    raise unlike(node, "true or false")


def whole(low: int, high: int) -> Shape[int]:
    def read(node: Node, _: Report) -> int:
        value = _number(node)
        if isinstance(value, int) and low <= value <= high:
            return value
        raise unlike(node, f"a whole number from {low} to {high}")

    return leaf(read)


def number(low: float, high: float) -> Shape[float]:
    def read(node: Node, _: Report) -> float:
        value = _number(node)
        if value is not None and low <= value <= high:
            return float(value)
        raise unlike(node, f"a number from {low:g} to {high:g}")

    return leaf(read)


def _number(node: Node) -> int | float | None:
    value = node.value if isinstance(node, Scalar) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _span(parse: Callable[[str], float], expected: str) -> Shape[float]:
    """Seconds, more than 0, of a text with a unit."""

    def read(node: Node, _: Report) -> float:
        if not isinstance(node, Scalar) or node.value is None:
            raise unlike(node, expected)
        if _number(node) is not None:
            raise Wrong(f"{inert(node.raw)!r} has no unit, expected {expected}")
        try:
            seconds = parse(node.raw)
        except ValueError as error:
            raise Wrong(f"found {describe(node)}, {error}") from None
        if seconds <= 0:
            raise unlike(node, "more than 0")
        return seconds

    return leaf(read)


duration = _span(parse_duration, DURATION)
"""`500ms 30s 10m 2h`."""
age = _span(parse_age, DURATION.replace("such as", "such as 14d,"))
"""As `duration`, and `14d`."""


@leaf
def size(node: Node, _: Report) -> int:
    """Bytes, more than 0."""
    if not isinstance(node, Scalar) or node.value is None:
        raise unlike(node, SIZE)
    try:
        found = parse_size(node.raw)
    except ValueError as error:
        raise Wrong(f"found {describe(node)}, {error}") from None
    if found <= 0:
        raise unlike(node, "more than 0")
    return found


_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%")


@leaf
def share(node: Node, _: Report) -> float:
    """0..1, written `30%` or `0.3`."""
    value = _number(node)
    if isinstance(node, Scalar) and (found := _PERCENT.fullmatch(node.raw)):
        value = float(found[1]) / 100
    if value is None or not 0 <= value <= 1:
        raise unlike(node, "a share from 0% to 100%")
    return float(value)


def regex(*, groups: int = 0) -> Shape[str]:
    """A regular expression with at least `groups` groups."""
    as_text = text("a regular expression", limit=1000, lines=True)

    def read(node: Node, report: Report) -> str | None:
        raw = as_text(node, report)
        if raw is None:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compiled = re.compile(raw)
        except (re.error, RecursionError, OverflowError) as error:
            why = inert(str(error), 100)
            raise Wrong(f"{inert(raw)!r} is no regular expression ({why}), expected a valid one") from None
        if compiled.groups < groups:
            raise Wrong(f"{inert(raw)!r} has no group, expected (...) around what is to be read")
        return raw

    return leaf(read)


def listing(item: Shape[T], expected: str, *, at_least: int = 0) -> Shape[tuple[T, ...]]:
    def read(node: Node, report: Report) -> tuple[T, ...] | None:
        if not isinstance(node, SequenceNode):
            report.mismatch(node, expected)
            return None
        values = [item(entry, report) for entry in node.items]
        if len(values) < at_least:
            report.add(node, f"found an empty list, expected {expected}")
            return None
        good = tuple(value for value in values if value is not None)
        return good if len(good) == len(values) else None

    return read


def table(key: Callable[[Scalar, Report], bool], item: Shape[T], expected: str) -> Shape[dict[str, T]]:
    """A mapping with free names: `key` reports those it refuses and returns False."""

    def read(node: Node, report: Report) -> dict[str, T] | None:
        if not isinstance(node, Mapping):
            report.mismatch(node, expected)
            return None
        values: dict[str, T] = {}
        for name, (key_node, value_node) in node.entries.items():
            with report.inside(name):
                accepted = key(key_node, report)
                value = item(value_node, report)
            if accepted and value is not None:
                values[name] = value
        return values

    return read


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with known keys: the good values, and the node of every value that was given."""

    node: Node
    values: dict[str, Any]
    given: dict[str, Node]

    def place(self, key: str) -> Node:
        return self.given.get(key, self.node)


def record(
    shapes: dict[str, Shape[Any]], what: str, *, may_be_null: Iterable[str] = (),
    hint: Callable[[str], str] = lambda _: "",
) -> Shape[Record]:  # fmt: skip
    """A mapping of `shapes` keys; null stands for "not given" at `may_be_null` keys only.

    `hint` may say of an unknown key where it belongs, instead of "did you mean"."""
    nullable = frozenset(may_be_null)

    def read(node: Node, report: Report) -> Record | None:
        if not isinstance(node, Mapping):
            report.mismatch(node, what)
            return None
        found = Record(node, {}, {})
        for key, (key_node, value_node) in node.entries.items():
            shape = shapes.get(key)
            if shape is None:
                advice = hint(key) or report.suggest(key, list(shapes))
                known = ", ".join(shapes)
                report.add(key_node, f"unknown key {inert(key)!r}, expected one of {known}{advice}")
                continue
            if key in nullable and isinstance(value_node, Scalar) and value_node.value is None:
                continue
            found.given[key] = value_node
            with report.inside(key):
                value = shape(value_node, report)
            if value is not None:
                found.values[key] = value
        return found

    return read
