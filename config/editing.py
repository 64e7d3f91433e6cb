"""One value of a fleet file set or taken away, by its place in the text: every other byte stays as it is.

The place comes from the marks of PyYAML's events. What comes out is read again and compared with what was
wanted; a text in which the change cannot be made so, such as behind an alias, is refused, never guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from .nodes import FASTEST, Loader, Mapping, Node, Scalar, Sequence, plain_value, read_nodes
from .problems import inert

Value: TypeAlias = str | tuple[str, ...]
"""What a person typed: one scalar as it is to be read, or the items of a list."""
Path: TypeAlias = tuple[str, ...]
"""Keys from the top of the file down, such as `("policy", "backoff", "initial")`."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.%+-]{0,80}")
"""Text that is the same with and without quotes around it, but for its type."""
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_COMMENT = re.compile(r"([ ]*)#[^\n\r\x85\u2028\u2029]*")
_TOP_ORDER = ("fleet", "policy", "notify")
"""A new key of the top level stands behind the last of these that come before it."""


class CannotEdit(Exception):
    """The change cannot be made in this text; `line` and `col` count from 1."""

    def __init__(self, line: int, col: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.col = col


@dataclass(slots=True)
class _Span:
    """Where a node stands, without what trails it; `text` of scalars, `entries` of mappings."""

    start: int
    end: int
    line: int
    col: int
    kind: str
    block: bool = False
    anchor: str | None = None
    text: str = ""
    entries: dict[str, tuple[_Span, _Span]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return self.kind == "scalar" and self.start == self.end


def edit(text: str, path: Path, value: Value | None, loader: Loader = FASTEST) -> str:
    """`text` with the value at `path` set, or with None taken away. Raises CannotEdit.

    A value that is set stands where the old one stood, a new key behind its neighbours. Taking away the last
    key of a nested mapping takes that mapping away too; an emptied block of `policy:` becomes `{}`."""
    before = _plain(text, loader)
    root = _spans(text, loader)
    changes = _set(text, root, path, value) if value is not None else _take(text, root, path)
    after = text
    for start, end, new in sorted(changes, reverse=True):
        after = after[:start] + new + after[end:]
    wanted = _pruned(_with(before, path, value), path)
    try:
        same = _pruned(_plain(after, loader), path) == wanted
    except CannotEdit:
        same = False
    if not same:
        at = _deepest(root, path)
        why = f"{inert('.'.join(path))} cannot be changed here without changing something else"
        raise CannotEdit(at.line, at.col, f"{why} (an alias, or an unusual layout), change it by hand")
    return after


def as_written(value: Value) -> str:
    """How a value is spelled in YAML: plain where that is safe, else in double quotes; a list between []."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(as_written, value)) + "]"
    return value if _is_plain(value) else f'"{"".join(map(_escaped, value))}"'


def _is_plain(value: str) -> bool:
    """Without quotes it is what was typed; `null` would be nothing."""
    return _PLAIN.fullmatch(value) is not None and plain_value(value) is not None


def _escaped(char: str) -> str:
    """A character between double quotes. JSON's pairs of halves for the rarer ones are not YAML."""
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def as_read(value: Value) -> Any:
    """What `as_written` means when it is read again."""
    if isinstance(value, tuple):
        return tuple(map(as_read, value))
    return _typed(plain_value(value) if _is_plain(value) else value)


# -- what the text means -------------------------------------------------------------------------------------


def _typed(value: object) -> tuple[str, object]:
    """1, 1.0 and true are not the same."""
    return type(value).__name__, value


def _plain(text: str, loader: Loader) -> Any:
    root, flaws = read_nodes(text, loader)
    if flaws or not isinstance(root, Mapping):
        line, col, why = (flaws[0].line, flaws[0].col, flaws[0].message) if flaws else (1, 1, "is no mapping")
        raise CannotEdit(line, col, why)
    return _meaning(root)


def _meaning(node: Node) -> Any:
    if isinstance(node, Mapping):
        return {key: _meaning(value) for key, (_, value) in node.entries.items()}
    if isinstance(node, Sequence):
        return tuple(map(_meaning, node.items))
    return _typed(node.value) if isinstance(node, Scalar) else None


def _with(meaning: Any, path: Path, value: Value | None) -> Any:
    """The meaning with the change made."""
    key, *rest = path
    found = dict(meaning) if isinstance(meaning, dict) else {}
    if rest:
        found[key] = _with(found.get(key, {}), tuple(rest), value)
    elif value is None:
        found.pop(key, None)
    else:
        found[key] = as_read(value)
    return found


def _pruned(meaning: Any, path: Path) -> Any:
    """Without the mappings along the path that hold nothing: they say the same as their absence."""
    if not path or not isinstance(meaning, dict) or path[0] not in meaning:
        return meaning
    inner = _pruned(meaning[path[0]], path[1:])
    rest = {key: value for key, value in meaning.items() if key != path[0]}
    return rest if inner in ({}, _typed(None)) else {**rest, path[0]: inner}


# -- where things stand --------------------------------------------------------------------------------------


def _spans(text: str, loader: Loader) -> _Span:
    """The tree of places of the one document. `text` was read without flaws before."""
    root = _Span(0, 0, 1, 1, "scalar")
    stack: list[tuple[_Span, list[_Span]]] = []
    for event in yaml.parse(text, Loader=loader):
        span = _opened(text, event)
        if span is not None and not isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)):
            stack.append((span, []))
            continue
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            span, inner = stack.pop()
            span.end = inner[-1].end if span.block and inner else _index(event.end_mark)
            if span.kind == "mapping":
                span.entries = {k.text: (k, v) for k, v in zip(inner[::2], inner[1::2], strict=True)}
        if span is None:
            continue
        if stack:
            stack[-1][1].append(span)
        else:
            root = span
    return root


def _opened(text: str, event: yaml.Event) -> _Span | None:
    """The span that an event begins, or is."""
    mark = event.start_mark
    start, end = _index(mark), _index(event.end_mark)
    place = (start, end, mark.line + 1, mark.column + 1) if mark else (start, end, 1, 1)
    if isinstance(event, yaml.AliasEvent):
        return _Span(*place, "alias", anchor=event.anchor)
    if isinstance(event, yaml.ScalarEvent):
        literal = event.style in ("|", ">")
        if literal:
            end = start + _without_rest(text[start:end])
        return _Span(place[0], end, *place[2:], "scalar", literal, event.anchor, event.value)
    if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
        kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
        return _Span(*place, kind, not event.flow_style, event.anchor)
    return None


def _index(mark: Any) -> int:
    return int(mark.index) if mark is not None else 0  # each event of a text has its marks


def _without_rest(block: str) -> int:
    """The length of a block scalar without what follows its words; the empty lines of `|+` are its own."""
    if "+" not in block[: _line_end(block, 0)].partition("#")[0]:
        return len(block.rstrip())
    return max((m.start() for m in _BREAK.finditer(block)), default=len(block))


def _deepest(root: _Span, path: Path) -> _Span:
    here = root
    for key in path:
        if key not in here.entries:
            break
        here = here.entries[key][1]
    return here


# -- setting -------------------------------------------------------------------------------------------------

Change: TypeAlias = tuple[int, int, str]


def _set(text: str, root: _Span, path: Path, value: Value) -> list[Change]:
    above, key = root, _Span(0, 0, 1, 1, "scalar")
    for depth, name in enumerate(path):
        if name not in above.entries:
            return _add(text, above, key, path[depth:], value, depth)
        key, above = above.entries[name]
    new = as_written(value)
    if above.block and above.kind != "scalar":
        colon = _after_colon(text, key)
        return [(colon, colon, f" {new}"), *_without_lines(text, colon, above)]
    if above.empty:
        colon = _after_colon(text, key)
        return [(colon, colon, f" {new}")]
    return [(above.start, above.end, new)]


def _add(text: str, above: _Span, key: _Span, rest: Path, value: Value, depth: int) -> list[Change]:
    """The keys of `rest`, which are not there yet, into the mapping `above` that `key` stands for."""
    name, *inner = rest
    new = as_written(value)
    for key_below in reversed(inner):
        new = f"{{{key_below}: {new}}}"
    line = f"{name}: {new}"
    if above.empty:  # a key without a value, such as `policy:`
        indent = " " * (key.col + 1)
        end = _line_end(text, above.end)
        return [(end, end, f"{_newline(text)}{indent}{line}")]
    if above.kind != "mapping":
        raise CannotEdit(above.line, above.col, "no mapping stands here, expected one; change it by hand")
    if not above.block:
        return [_into_flow(text, above, line)]
    if depth == 0 and inner:
        new = new.removeprefix("{").removesuffix("}")
        line = f"{name}:{_newline(text)}  {new}"
    end = _behind(text, above, name if depth == 0 else None)
    first = next(iter(above.entries.values()))[0]
    return [(end, end, f"{_newline(text)}{' ' * (first.col - 1)}{line}")]


def _into_flow(text: str, above: _Span, line: str) -> Change:
    if not above.entries:
        open_at = text.index("{", above.start) + 1
        return (open_at, open_at, line)
    end = max(value.end for _, value in above.entries.values())
    return (end, end, f", {line}")


def _behind(text: str, above: _Span, new: str | None) -> int:
    """The end of the line behind which a new key of a block mapping goes."""
    names = list(above.entries)
    last = names[-1]
    if new in _TOP_ORDER:
        before = [name for name in _TOP_ORDER[: _TOP_ORDER.index(new)] if name in names]
        last = before[-1] if before else last
    key, value = above.entries[last]
    end = _line_end(text, max(key.end, value.end))
    while (gap := _BREAK.match(text, end)) and (words := _COMMENT.match(text, gap.end())):
        if len(words[1]) < key.col:  # a comment farther in belongs to what stands above it
            break
        end = words.end()
    return end


# -- taking away ---------------------------------------------------------------------------------------------


def _take(text: str, root: _Span, path: Path) -> list[Change]:
    way = [root]
    for name in path:
        if name not in way[-1].entries:
            raise CannotEdit(way[-1].line, way[-1].col, f"{inert('.'.join(path))} is not written here")
        way.append(way[-1].entries[name][1])
    depth = len(path) - 1
    owner = path.index("policy") if "policy" in path else 0
    while depth > owner and len(way[depth].entries) == 1 and (depth > owner + 1 or not way[depth].block):
        depth -= 1
    above, (key, value) = way[depth], way[depth].entries[path[depth]]
    if not above.block:
        return [_out_of_flow(text, above, path[depth])]
    start = _line_start(text, key.start)
    if text[start : key.start].strip(" "):
        raise CannotEdit(key.line, key.col, "this key does not begin its line, change it by hand")
    end = _line_end(text, max(_after_colon(text, key), value.end))
    changes = [_whole_lines(text, start, end)]
    if len(above.entries) == 1 and depth > 0:
        colon = _after_colon(text, way[depth - 1].entries[path[depth - 1]][0])
        changes.append((colon, colon, " {}"))
    return changes


def _out_of_flow(text: str, above: _Span, name: str) -> Change:
    names = list(above.entries)
    key, value = above.entries[name]
    at = names.index(name)
    if at + 1 < len(names):
        return (key.start, above.entries[names[at + 1]][0].start, "")
    start = above.entries[names[at - 1]][1].end if at else key.start
    if "#" in text[start : key.start]:  # what is said there stays; a comma before the } is legal
        start = key.start
    return (start, max(key.end, value.end), "")


def _without_lines(text: str, colon: int, block: _Span) -> list[Change]:
    """The lines of a block that stood below its key, whole; what stands behind the colon stays."""
    head = _line_end(text, colon)
    return [(head, _line_end(text, block.end), "")] if block.end > head else [(colon, block.end, "")]


def _whole_lines(text: str, start: int, end: int) -> Change:
    gap = _BREAK.match(text, end)
    if gap is not None:
        return (start, gap.end(), "")
    breaks = [m for m in _BREAK.finditer(text, 0, start) if m.end() == start]
    return (breaks[-1].start() if breaks else start, end, "")


# -- lines ---------------------------------------------------------------------------------------------------


def _after_colon(text: str, key: _Span) -> int:
    found = re.compile(r"\s*:").match(text, key.end)
    if found is None:
        raise CannotEdit(key.line, key.col, "no colon follows this key, change it by hand")
    return found.end()


def _line_end(text: str, at: int) -> int:
    found = _BREAK.search(text, at)
    return found.start() if found else len(text)


def _line_start(text: str, at: int) -> int:
    return max((m.end() for m in _BREAK.finditer(text, 0, at)), default=0)


def _newline(text: str) -> str:
    found = _BREAK.search(text)
    return found[0] if found else "\n"
