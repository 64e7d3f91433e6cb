"""The user's own JSON file with our entries in it, and without them. Pure: text in, text out.

All raise splices.NotPlain where the text cannot be changed without guessing."""

from __future__ import annotations

import json
from typing import Any

from .kinds import Kind
from .line import is_ours
from .splices import NotPlain, Span, put_in, read, take_out

HOOKS = "hooks"


def fresh(kind: Kind) -> str:
    """The whole file where there was none."""
    assert kind.entry is not None
    return json.dumps({HOOKS: {event: [kind.entry(event)] for event in kind.wired}}, indent=2) + "\n"


def installed(text: str, kind: Kind) -> str:
    """`text` with every event wired once; the same text where that is so already."""
    assert kind.entry is not None
    wanted = {event: kind.entry(event) for event in kind.wired}
    root = _root(text)
    present = _present(root)
    if len(present) == len(wanted) and dict(present) == wanted:
        return text
    text = removed(text)
    for event, entry in wanted.items():
        root = _root(text)
        hooks = root.members.get(HOOKS)
        if hooks is None:
            text = put_in(text, root, HOOKS, {event: [entry]})
        elif (known := hooks.members.get(event)) is None:
            text = put_in(text, hooks, event, [entry])
        else:
            text = put_in(text, known, None, entry)
    return text


def removed(text: str, before: str | None = None) -> str:
    """`text` without anything of ours. What is empty without it goes as well, unless `before`, the text from
    before the installation, had it so."""
    touched: list[str] = []
    while (found := _first(_root(text))) is not None:
        event, parent, child = found
        text = take_out(text, parent, child)
        touched.append(event)
    if not touched:
        return text
    empty_before = _emptied(before)
    for event in dict.fromkeys(touched):
        hooks = _root(text).members[HOOKS]
        if hooks.members[event].value == [] and event not in empty_before:
            text = take_out(text, hooks, hooks.members[event])
    root = _root(text)
    if root.members[HOOKS].value == {} and HOOKS not in empty_before:
        text = take_out(text, root, root.members[HOOKS])
    return text


def wired(text: str) -> list[str]:
    """The events that run a line of ours, of this or an older version."""
    return list(dict.fromkeys(event for event, _ in _present(_root(text))))


def _root(text: str) -> Span:
    root = read(text)
    if not isinstance(root.value, dict):
        raise NotPlain(1, 1, "not an object")
    hooks = root.members.get(HOOKS)
    if hooks is not None and not isinstance(hooks.value, dict):
        raise NotPlain(*_place(text, hooks.start), f"{HOOKS} is not an object")
    for event, span in hooks.members.items() if hooks else ():
        if not isinstance(span.value, list):
            raise NotPlain(*_place(text, span.start), f"{HOOKS}.{event} is not a list")
    return root


def _present(root: Span) -> list[tuple[str, Any]]:
    """(event, entry) of each entry that runs a line of ours."""
    hooks = root.members.get(HOOKS)
    return [
        (event, group.value)
        for event, span in (hooks.members.items() if hooks else ())
        for group in span.items
        if any(is_ours(_command(one.value)) for one in _lines(group))
    ]


def _first(root: Span) -> tuple[str, Span, Span] | None:
    """(its event, what holds it, what is to be taken out) of the first that is ours: a group with nothing
    else in it whole, else our line in it alone."""
    hooks = root.members.get(HOOKS)
    for event, span in hooks.members.items() if hooks else ():
        for group in span.items:
            lines = _lines(group)
            ours = [one for one in lines if is_ours(_command(one.value))]
            if ours:
                whole = len(ours) == len(lines)
                return (event, span, group) if whole else (event, group.members[HOOKS], ours[0])
    return None


def _lines(group: Span) -> list[Span]:
    inner = group.members.get(HOOKS)
    return inner.items if inner else []


def _command(value: Any) -> object:
    return value.get("command") if isinstance(value, dict) else None


def _emptied(before: str | None) -> set[str]:
    """What was there and empty, by name."""
    if before is None:
        return set()
    try:
        hooks = read(before).members.get(HOOKS)
    except NotPlain:
        return set()
    if hooks is None:
        return set()
    named = {event for event, span in hooks.members.items() if span.value == []}
    return named | ({HOOKS} if hooks.value == {} else set())


def _place(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
