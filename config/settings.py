"""Every key that can be set in the fleet file for all agents or for one: its default, and what is legal.

Defaults are read from defaults.yaml, what is legal says the loader, what a key means says meanings.py: the
settings screen shows them, and the table in docs/fleet-file.md is made of them (`python -m
hhmrs.config.settings`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from functools import cache
from typing import Literal

from .durations import LONGEST
from .editing import Path, Value, as_read
from .fleet import ALERTS, STRATEGIES
from .loading import TOP_SHAPES
from .meanings import AT_ONCE, MEANINGS, NEXT_STEP
from .nodes import Mapping, Node, Scalar, Sequence, read_nodes
from .policies import INTERVAL, defaults_text, read_patch
from .shapes import Report
from .sizes import LARGEST, format_size

Kind = Literal["choice", "list", "text"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One key. `below`: its path in a policy block, or at the top of the file; `default` as defaults.yaml
    writes it; `choices`: what may be chosen, one of them or for a list any; `suggestion` completes a list."""

    key: str
    below: Path
    top: bool
    kind: Kind
    default: Value
    legal: str
    choices: tuple[str, ...]
    live: str
    about: str

    def path(self, agent: str | None) -> Path:
        """Where it stands in the file, for the fleet or in the entry `agent`."""
        if self.top:
            return self.below
        return ("policy", *self.below) if agent is None else ("agents", agent, "policy", *self.below)

    def value_of(self, typed: str) -> Value:
        """What a person typed: of a list the items between commas or spaces, brackets or none around it."""
        words = typed.strip()
        if self.kind != "list":
            return words
        inner = words[1:-1] if words.startswith("[") and words.endswith("]") else words
        return tuple(item.strip("\"'") for item in re.split(r"[,\s]+", inner) if item.strip("\"'"))

    def why_not(self, value: Value) -> str:
        """What the loader says against the value alone; empty if nothing. It sees no bounds between keys."""
        return _refusal(self.below, self.top, _node(value))


def as_typed(value: Value) -> str:
    """A value as a person would type it; a list with commas."""
    return value if isinstance(value, str) else ", ".join(value)


@cache
def settings() -> MappingOf[str, Setting]:
    """All of them by key, in the order of defaults.yaml, what is of the file as a whole behind."""
    leaves: list[tuple[str, Path, Value]] = [*_leaves(), ("notify", ("notify",), ())]
    return {key: _setting(key, below, default) for key, below, default in leaves}


def _leaves() -> list[tuple[str, Path, Value]]:
    """Every leaf of defaults.yaml as it is written there."""
    root, _ = read_nodes(defaults_text())
    found: list[tuple[str, Path, Value]] = []
    waiting: list[tuple[Path, Node]] = [((), root)] if root is not None else []
    while waiting:
        at, node = waiting.pop()
        if isinstance(node, Mapping):
            waiting += [((*at, key), value) for key, (_, value) in reversed(node.entries.items())]
        else:
            found.append((".".join(at), at, as_value(node)))
    return found


def as_value(node: Node) -> Value:
    """What stands there, as it was typed; a list in a list, or a mapping, is told by its size only."""
    if isinstance(node, Sequence):
        return tuple(item.raw if isinstance(item, Scalar) else "..." for item in node.items)
    return node.raw if isinstance(node, Scalar) else "..."


def _setting(key: str, below: Path, default: Value) -> Setting:
    top = key in TOP_SHAPES
    live, about = MEANINGS.get(key, (AT_ONCE, ""))
    expected = _refusal(below, top, Scalar(1, 1, None, "")).partition(", expected ")[2]
    kind: Kind = "list" if isinstance(default, tuple) else "text"
    choices: tuple[str, ...] = ()
    if kind == "list":
        choices = ALERTS if below[0] == "alerts" else STRATEGIES if below[0] == "recovery" else ()
    elif expected == "true or false":
        kind, choices = "choice", ("true", "false")
    elif expected.startswith("one of "):
        kind, choices = "choice", tuple(expected.removeprefix("one of ").split(", "))
    legal = _legal(key, expected, choices if kind == "choice" else ())
    return Setting(key, below, top, kind, default, legal, choices, live, about)


def _refusal(below: Path, top: bool, leaf: Node) -> str:
    """The loader's own words about a leaf at that place."""
    report = Report()
    if top:
        TOP_SHAPES[below[0]](leaf, report)
    else:
        for key in reversed(below):
            leaf = Mapping(1, 1, {key: (Scalar(1, 1, key, key), leaf)})
        read_patch(leaf, report)
    told = report.found[0][2] if report.found else ""
    return told.removeprefix(f"{'.'.join(below)}: ")


def _node(value: Value) -> Node:
    if isinstance(value, tuple):
        return Sequence(1, 1, [_node(item) for item in value])
    return Scalar(1, 1, as_read(value)[1], value)


def _legal(key: str, expected: str, choices: tuple[str, ...]) -> str:
    """The loader's expectation in a few words."""
    if choices:
        return ", ".join(choices)
    if key == "heartbeat_interval":
        return f"{INTERVAL[0]:g}s to {INTERVAL[1]:g}s, shorter only with testing: true"
    if key == "recovery.deadline":
        return "always a person"
    if found := re.search(r"from (\S+) to (\S+)", expected):
        return f"{found[1]} to {found[2]}"
    if expected.startswith("a duration"):
        days = ", days (14d)" if "14d" in expected else ""
        return f"a duration such as 30s, 10m, 2h{days}, at most {LONGEST / 3600:.0f}h"
    if expected.startswith("a size"):
        return f"a size such as 500KB, 10MB, 2GB, 64MiB, at most {format_size(LARGEST)}"
    return expected


def policy_table() -> str:
    """The rows of the policy table in docs/fleet-file.md; the ladders have a table of their own there."""
    lines = ["| key | default | legal | meaning | a change is in force |", "|---|---|---|---|---|"]
    for one in settings().values():
        if one.below[0] == "recovery" or one.top:
            continue
        items = one.default if isinstance(one.default, tuple) else (one.default,)
        legal = ", ".join(f"`{word}`" for word in one.choices) if one.choices else one.legal
        default = " ".join(f"`{item}`" for item in items)
        lines.append(f"| `{one.key}` | {default} | {legal} | {one.about} | {one.live} |")
    lines.append(f"| `recovery` | see below | lists of strategies | the ladder per cause | {NEXT_STEP} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(policy_table())
