"""YAML text -> plain nodes that remember their place. Nothing is constructed from tags, nothing recurses.

Scalars follow YAML 1.2, not 1.1: only `true` and `false` are booleans, only decimal numbers are numbers,
so that `NO`, `012` and `1:30` stay the text they look like. Built from PyYAML's events with a stack of our
own, because its composer recurses as deep as the file says and knows no bound for aliases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import yaml

from .problems import inert

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 32
MAX_NODES = 100_000
"""Nodes after every alias is expanded; a file of the largest size without aliases stays below."""

_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})?(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

Loader: TypeAlias = "type[yaml.SafeLoader | yaml.CSafeLoader]"
FASTEST: Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Node:
    """`line` and `col` count from 1. `size`: nodes below and here, aliases expanded; `height`: levels."""

    line: int
    col: int
    size: int = field(default=1, init=False)
    height: int = field(default=1, init=False)


@dataclass(slots=True)
class Scalar(Node):
    """`value` as YAML 1.2 reads it, `raw` as it was written (quotes and escapes resolved)."""

    value: str | int | float | bool | None
    raw: str


@dataclass(slots=True)
class Sequence(Node):
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping(Node):
    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)
    """Key text -> (key node, value node), in file order."""


@dataclass(slots=True)
class Broken(Node):
    """Something already reported as a problem; readers pass over it in silence."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """A problem of the YAML itself."""

    line: int
    col: int
    message: str


class _Stop(Exception):
    def __init__(self, line: int, col: int, message: str) -> None:
        super().__init__(message)
        self.flaw = Flaw(line, col, message)


def read_nodes(text: str, loader: Loader = FASTEST) -> tuple[Node | None, list[Flaw]]:
    """The root of the one document in `text` and all that is wrong with its YAML. Root None: unreadable."""
    found = _UNPRINTABLE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        col = found.start() - text.rfind("\n", 0, found.start())
        return None, [Flaw(line, col, f"unprintable character {inert(found[0])}, expected plain text")]
    builder = _Builder()
    try:
        for event in _events(text, loader):
            builder.take(event)
    except _Stop as stop:
        return None, [*builder.flaws, stop.flaw]
    return builder.root, builder.flaws


def _events(text: str, loader: Loader) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, col = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        tab = text.split("\n")[line - 1 : line] if mark else []
        hint = "; indent with spaces, not tabs" if tab and tab[0][col - 1 : col] == "\t" else ""
        what = ", ".join(inert(part, 120) for part in (error.context, error.problem) if part)
        raise _Stop(line, col, f"not YAML: {what}, expected a well-formed document{hint}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # the pure parser turns an escape such as "\UFFFFFFFF" into a bare ValueError or OverflowError
        raise _Stop(1, 1, f"not YAML: {inert(str(error), 120)}, expected a well-formed document") from None


class _Builder:
    """Takes PyYAML's events one by one; `stack` holds the open collections, outermost first."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.flaws: list[Flaw] = []
        self._stack: list[tuple[Node, str | None]] = []
        self._keys: list[Node | None] = []
        self._anchors: dict[str, Node | None] = {}
        self._total = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        line, col = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _Stop(line, col, "a second document begins, expected one fleet per file")
        elif isinstance(event, yaml.AliasEvent):
            self._attach(self._aliased(event.anchor, line, col))
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event.tag, line, col)
            plain = event.style in (None, "")
            scalar = Scalar(line, col, plain_value(event.value) if plain else event.value, event.value)
            self._count(1, 1, scalar)
            self._attach(scalar, event.anchor, plain=plain)
        elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            self._refuse_tag(event.tag, line, col)
            kind = Sequence if isinstance(event, yaml.SequenceStartEvent) else Mapping
            self._open(kind(line, col), event.anchor)
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            node, anchor = self._stack.pop()
            self._keys.pop()
            self._attach(node, anchor)

    def _flaw(self, line: int, col: int, message: str) -> None:
        self.flaws.append(Flaw(line, col, message))

    def _refuse_tag(self, tag: str | None, line: int, col: int) -> None:
        if tag is not None:
            self._flaw(line, col, f"tag {inert(tag)!r} is not allowed, expected a value without one")

    def _count(self, size: int, height: int, node: Node) -> None:
        self._total += size
        if self._total > MAX_NODES:
            message = f"the aliases make more than {MAX_NODES} values of this file, expected fewer"
            raise _Stop(node.line, node.col, message)
        if len(self._stack) + height > MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} levels deep, expected a flatter file"
            raise _Stop(node.line, node.col, message)

    def _open(self, node: Node, anchor: str | None) -> None:
        self._count(1, 1, node)
        if anchor is not None:
            self._anchors[anchor] = None
        self._stack.append((node, anchor))
        self._keys.append(None)

    def _aliased(self, anchor: str | None, line: int, col: int) -> Node:
        name = anchor or ""
        if name not in self._anchors:
            self._flaw(line, col, f"alias {inert(name)!r} has no anchor, expected &{inert(name)} above it")
            return Broken(line, col)
        target = self._anchors[name]
        if target is None:
            self._flaw(line, col, f"alias {inert(name)!r} holds itself, expected a value that ends")
            return Broken(line, col)
        place = Broken(line, col)
        self._count(target.size, target.height, place)
        return target

    def _attach(self, node: Node, anchor: str | None = None, *, plain: bool = False) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        parent, _ = self._stack[-1]
        key = self._keys[-1]
        if isinstance(parent, Mapping) and key is None:
            self._keys[-1] = self._as_key(node, plain)
            return
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif isinstance(parent, Mapping):
            self._keys[-1] = None
            if isinstance(key, Scalar):
                self._enter(parent, key, node)

    def _as_key(self, node: Node, plain: bool) -> Node:
        """The key as a Scalar, or a Broken one whose value will be dropped."""
        if not isinstance(node, Scalar) or node.raw == "":
            if not isinstance(node, Broken):
                self._flaw(node.line, node.col, "this key is no plain text, expected a name")
            return Broken(node.line, node.col)
        if plain and node.raw == "<<":
            message = "merge keys (<<) are not supported, expected the keys themselves"
            self._flaw(node.line, node.col, f"{message}; an alias may stand for a whole value")
            return Broken(node.line, node.col)
        return node

    def _enter(self, parent: Mapping, key: Scalar, node: Node) -> None:
        before = parent.entries.get(key.raw)
        if before is not None:
            message = f"duplicate key {inert(key.raw)!r}, expected it once"
            self._flaw(key.line, key.col, f"{message}; it stands in line {before[0].line} already")
            return
        parent.entries[key.raw] = (key, node)


def plain_value(raw: str) -> str | int | float | bool | None:
    """What an unquoted scalar means in YAML 1.2 (numbers decimal, of bounded length; no .inf, no .nan)."""
    if raw in ("", "~", "null"):
        return None
    if raw in ("true", "false"):
        return raw == "true"
    if _NUMBER.fullmatch(raw):
        return int(raw)
    if raw[-1].isdigit() and _FLOAT.fullmatch(raw) and re.match(r"[-+]?\.?[0-9]", raw):
        return float(raw)
    return raw
