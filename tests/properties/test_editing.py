"""A value set in a fleet file of any layout: that value changes, and not one byte elsewhere."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hhmrs.config.editing import CannotEdit, Path, Value, edit
from hhmrs.config.nodes import Loader, Mapping, Node, Scalar, Sequence, read_nodes

LOADERS: list[Loader] = [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)]
LEAVES = ["mode", "heartbeat_interval", "max_restarts", "task_deadline"]
GROUPS = {
    "backoff": ["initial", "factor", "max"],
    "keep": ["age", "snapshots"],
    "recovery": ["stalled", "oom"],
}
SCALARS = ["armed", "30s", "2", "14d", "30%", '"2h"', "'7'", '"a: b # c"', "[nudge, restart]", "plain words"]
PATHS: list[Path] = [
    *((leaf,) for leaf in LEAVES),
    *((g, leaf) for g, names in GROUPS.items() for leaf in names),
]


class Writer:
    """Writes one document as a person might: every comment it leaves has a number of its own."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.lines: list[str] = []
        self.comments = 0

    def comment(self) -> str:
        self.comments += 1
        return f"# note {self.comments} with key: value, [x] {{y}}"

    def line(self, text: str) -> None:
        kind = self.draw(st.sampled_from(["", "", "", "behind", "above", "blank", "outdented"]))
        if kind == "above":
            self.lines.append(" " * (len(text) - len(text.lstrip())) + self.comment())
        elif kind == "outdented":
            self.lines.append(self.comment())
        elif kind == "blank":
            self.lines.append(self.draw(st.sampled_from(["", "   "])))
        self.lines.append(text + (f"  {self.comment()}" if kind == "behind" else ""))

    def value(self, indent: int, key: str) -> None:
        shape = self.draw(st.sampled_from(["scalar", "scalar", "list", "null"]))
        if shape == "list":
            self.line(f"{' ' * indent}{key}:")
            deeper = indent + self.draw(st.sampled_from([0, 2]))
            for _ in range(self.draw(st.integers(1, 3))):
                self.line(f"{' ' * deeper}- {self.draw(st.sampled_from(['nudge', 'restart']))}")
        elif shape == "null":
            self.line(f"{' ' * indent}{key}:{self.draw(st.sampled_from(['', ' ~']))}")
        else:
            self.line(f"{' ' * indent}{key}: {self.draw(st.sampled_from(SCALARS))}")

    def policy(self, indent: int) -> None:
        step = self.draw(st.sampled_from([1, 2, 4]))
        pad = " " * indent
        if self.draw(st.booleans()):
            names = self.draw(st.lists(st.sampled_from(LEAVES), unique=True))
            inner = ", ".join(f"{name}: {self.draw(st.sampled_from(SCALARS))}" for name in names)
            self.line(
                f"{pad}policy: {{{inner}{self.draw(st.sampled_from(['', ' ', ',' if names else '']))}}}"
            )
            return
        self.line(f"{pad}policy:")
        keys = self.draw(st.lists(st.sampled_from([*LEAVES, *GROUPS]), unique=True))
        for key in keys:
            if key in LEAVES:
                self.value(indent + step, key)
            elif self.draw(st.booleans()):
                names = self.draw(st.lists(st.sampled_from(GROUPS[key]), unique=True))
                inner = ", ".join(f"{name}: {self.draw(st.sampled_from(SCALARS))}" for name in names)
                self.line(f"{' ' * (indent + step)}{key}: {{{inner}}}")
            else:
                self.line(f"{' ' * (indent + step)}{key}:")
                for name in self.draw(st.lists(st.sampled_from(GROUPS[key]), unique=True, min_size=1)):
                    self.value(indent + step + 2, name)

    def text(self) -> str:
        draw = self.draw
        self.line("fleet: nightly")
        if draw(st.booleans()):
            self.policy(0)
        self.line("agents:")
        for name in ("a", "b-1"):
            self.line(f"  {name}:")
            self.line("    command: [sh, -c, 'echo # no comment']")
            if draw(st.booleans()):
                self.policy(4)
            if draw(st.booleans()):
                self.lines += [
                    f"    prompt: {draw(st.sampled_from(['|', '>', '|-', '|+']))}",
                    "      do # this",
                    "",
                ]
        newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
        return newline.join(self.lines) + draw(st.sampled_from([newline, "", newline * 2]))


@st.composite
def documents(draw: st.DrawFn) -> str:
    return Writer(draw).text()


paths = st.tuples(
    st.sampled_from([("policy",), ("agents", "a", "policy"), ("agents", "b-1", "policy")]),
    st.sampled_from(PATHS),
).map(lambda pair: (*pair[0], *pair[1]))
values: st.SearchStrategy[Value] = st.one_of(
    st.sampled_from(["observe", "45s", "3", "true", "20%"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12),
    st.lists(st.sampled_from(["nudge", "a b", "no", "1"]), max_size=3).map(tuple),
)


def flat(node: Node | None, at: Path = ()) -> dict[Path, Any]:
    """Every leaf by its path; an empty mapping says as much as none at all."""
    if isinstance(node, Mapping):
        found: dict[Path, Any] = {}
        for key, (_, value) in node.entries.items():
            found |= flat(value, (*at, key))
        return found
    if isinstance(node, Sequence):
        return {at: [flat(item) for item in node.items]}
    if isinstance(node, Scalar) and node.value is not None:
        return {at: (type(node.value), node.value)}
    return {}


def notes(text: str) -> list[str]:
    return re.findall(r"# note \d+ ", text)


def without(leaves: dict[Path, Any], path: Path) -> dict[Path, Any]:
    return {at: value for at, value in leaves.items() if at[: len(path)] != path and path[: len(at)] != at}


@pytest.mark.parametrize("loader", LOADERS)
@given(text=documents(), path=paths, value=values)
def test_a_value_that_is_set_is_all_that_changes(loader: Loader, text: str, path: Path, value: Value) -> None:
    before, flaws = read_nodes(text)
    assert not flaws, "the writer writes YAML"
    after = edit(text, path, value, loader)
    read, flaws = read_nodes(after)
    assert not flaws
    leaves = flat(read)
    assert without(leaves, path) == without(flat(before), path)
    if isinstance(value, tuple):
        assert [
            item[()][1] if isinstance(item[()][1], str) else str(item[()][1]) for item in leaves[path]
        ] == [*value]
    else:
        assert leaves[path][1] == value or str(leaves[path][1]).lower() == value
    old = flat(before).get(path)
    if not isinstance(old, list):
        assert notes(after) == notes(text), "comments stay, each where it was"
    assert "\r\n" not in text or not re.search("(?<!\r)\n", after), "the line ends are the file's own"


@pytest.mark.parametrize("loader", LOADERS)
@given(text=documents(), path=paths)
def test_a_value_that_is_taken_away_is_all_that_goes(loader: Loader, text: str, path: Path) -> None:
    before, _ = read_nodes(text)
    written = flat(before)
    try:
        after = edit(text, path, None, loader)
    except CannotEdit as why:
        assert path not in written, "what is written can be taken away"
        assert "not written" in str(why) or why.line > 0
        return
    read, flaws = read_nodes(after)
    assert not flaws
    assert flat(read) == without(written, path)
    before_lines = text.splitlines()
    new = [line for line in after.splitlines() if line not in before_lines]
    assert len(new) <= 1, "one line is written anew at most: that of a flow mapping, or of an emptied block"
    assert set(notes(after)) <= set(notes(text))


@given(text=documents(), path=paths, value=values)
def test_setting_twice_is_setting_once(text: str, path: Path, value: Value) -> None:
    once = edit(text, path, value)
    assert edit(once, path, value) == once
    again = edit(edit(once, path, "7s"), path, value)
    assert flat(read_nodes(again)[0]) == flat(read_nodes(once)[0])
