"""The `policy:` block: its keys, its bounds, and how defaults, fleet and agent are merged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from .durations import format_duration
from .fleet import ALERTS, CAUSES, STRATEGIES, Policy
from .nodes import Mapping as MappingNode
from .nodes import Node, Scalar, read_nodes
from .shapes import (
    Record,
    Report,
    Shape,
    age,
    choice,
    describe,
    duration,
    flag,
    leaf,
    listing,
    number,
    record,
    share,
    size,
    table,
    unlike,
    whole,
)

INTERVAL = (10.0, 120.0)
"""Legal heartbeat_interval in seconds; `testing: true` lifts the lower bound."""
MAX_COUNT = 1000
MAX_TIMEOUT_FACTOR = 10.0
MAX_TOKENS = 10**12
MAX_COST = 1e5
MAX_FACTOR = 1000.0
"""Keeps factor ** steps a finite number."""


_TOKENS = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)([kM]?)")
_SCALE = {"": 1, "k": 1_000, "M": 1_000_000}


@leaf
def _tokens(node: Node, _: Report) -> int:
    """`0`, `500000`, `200k`, `1.5M`."""
    found = _TOKENS.fullmatch(node.raw) if isinstance(node, Scalar) else None
    most = round(float(found[1]) * _SCALE[found[2]]) if found else -1
    if not 0 <= most <= MAX_TOKENS or (found and not found[2] and "." in found[1]):
        raise unlike(node, "a number of tokens such as 500000, 200k or 5M, 0 for no limit")
    return most


def _cause(key: Scalar, report: Report) -> bool:
    if key.raw not in CAUSES:
        near = report.suggest(key.raw, CAUSES)
        report.add(key, f"unknown cause {describe(key)}, expected one of {', '.join(CAUSES)}{near}")
    return key.raw in CAUSES


_strategies = listing(choice(STRATEGIES), f"a list of {', '.join(STRATEGIES)}")


_alerts = listing(choice(ALERTS), f"a list of {', '.join(ALERTS)}")


def _ladder(node: Node, report: Report) -> tuple[str, ...] | None:
    """Strategies in order, each once; the implied last step `escalate` is taken off."""
    steps = _strategies(node, report)
    if steps is None:
        return None
    if len(set(steps)) < len(steps):
        report.add(node, "a strategy stands twice, expected each at most once; budgets repeat them")
    if "escalate" in steps[:-1]:
        report.add(node, "'escalate' stands before others, expected it last or not at all")
    return tuple(step for step in steps if step != "escalate")


def _recovery(node: Node, report: Report) -> dict[str, tuple[str, ...]] | None:
    ladders = table(_cause, _ladder, "a mapping of causes to lists of strategies")(node, report)
    if ladders and ladders.get("deadline") and isinstance(node, MappingNode):
        message = "a task past its deadline goes to a person, expected []; raise task_deadline instead"
        with report.inside("deadline"):
            report.add(node.entries["deadline"][1], message)
    return ladders


def _nested(shapes: dict[str, Shape[Any]], what: str) -> Shape[dict[str, Any]]:
    as_record = record(shapes, what)

    def read(node: Node, report: Report) -> dict[str, Any] | None:
        found = as_record(node, report)
        return found.values if found else None

    return read


POLICY_SHAPES: dict[str, Shape[Any]] = {
    "mode": choice(("armed", "observe")),
    "testing": flag,
    "heartbeat_interval": duration,
    "missed_heartbeats": whole(1, MAX_COUNT),
    "quick_look": duration,
    "nudge": _nested(
        {"force_update": flag, "clear_stuck_tasks": flag, "auto_reset": flag, "rescue": flag},
        "a mapping of nudge's steps to true or false",
    ),
    "progress_timeout": duration,
    "tool_timeout": duration,
    "task_deadline": duration,
    "max_restarts": whole(0, MAX_COUNT),
    "max_llm_retries": whole(0, MAX_COUNT),
    "decide_within": duration,
    "reassign_timeout_factor": number(1, MAX_TIMEOUT_FACTOR),
    "backoff": _nested(
        {"initial": duration, "factor": number(1, MAX_FACTOR), "max": duration, "jitter": number(0, 1)},
        "a mapping with initial, factor, max, jitter",
    ),
    "kill_grace": duration,
    "verify_within": duration,
    "stable_after": duration,
    "cascade": _nested(
        {"share": share, "at_least": whole(0, 100_000), "window": duration},
        "a mapping with share, at_least, window",
    ),
    "recoveries": _nested({"share": share, "at_least": whole(1, 100_000)}, "a mapping with share, at_least"),
    "spending": _nested(
        {
            "tokens": _tokens,
            "cost": number(0, MAX_COST),
            "fleet_tokens": _tokens,
            "fleet_cost": number(0, MAX_COST),
            "warn": share,
        },
        "a mapping with tokens, cost, fleet_tokens, fleet_cost, warn",
    ),
    "keep": _nested(
        {
            "checkpoints": whole(2, 100_000),
            "snapshots": whole(2, 10_000),
            "age": age,
            "file_size": size,
            "total_size": size,
        },
        "a mapping with checkpoints, snapshots, age, file_size, total_size",
    ),
    "alerts": _nested({"bell": _alerts, "desktop": _alerts}, "a mapping with bell, desktop"),
    "recovery": _recovery,
}

read_patch: Shape[Record] = record(POLICY_SHAPES, "a mapping of policy keys")


def policy_hint(key: str) -> str:
    """Where a policy key belongs that stands outside of a policy block."""
    return f"; {key} is a policy key, put it under `policy:`" if key in POLICY_SHAPES else ""


@dataclass(frozen=True, slots=True)
class Merged:
    """Plain values of a whole policy, ready for the model."""

    values: Mapping[str, Any]

    def over(self, patch: Record | None) -> Merged:
        """These values with `patch` laid over them: nested maps key by key, so `recovery` cause by cause."""
        if patch is None or not patch.values:
            return self
        values = dict(self.values)
        for key, value in patch.values.items():
            values[key] = {**values[key], **value} if isinstance(value, dict) else value
        return Merged(values)

    def policy(self) -> Policy:
        return Policy.model_validate(dict(self.values))


def defaults_text() -> str:
    """defaults.yaml as it is installed."""
    return files(__name__.rpartition(".")[0]).joinpath("defaults.yaml").read_text(encoding="utf-8")


@cache
def defaults() -> Merged:
    """The values of defaults.yaml."""
    root, flaws = read_nodes(defaults_text())
    report = Report()
    patch = read_patch(root, report) if root is not None else None
    if patch is None or flaws or report.found or set(patch.values) != set(POLICY_SHAPES):
        wrong = [*flaws, *report.found]
        raise RuntimeError(f"the installed defaults.yaml is damaged, reinstall hhmrs-tui: {wrong}")
    return Merged(patch.values)


def check_bounds(merged: Merged, patch: Record | None, report: Report, at: str) -> None:
    """Report bounds that hold between keys, where `patch` could have broken them. `at` names the block."""
    if patch is None or not {"heartbeat_interval", "testing"} & patch.given.keys():
        return
    low, high = INTERVAL
    seconds = merged.values["heartbeat_interval"]
    if low <= seconds <= high or (seconds < low and merged.values["testing"]):
        return
    place = patch.place("heartbeat_interval" if "heartbeat_interval" in patch.given else "testing")
    legal = f"{format_duration(low)} to {format_duration(high)}"
    if merged.values["testing"]:
        legal = f"at most {format_duration(high)}"
    hint = " (shorter only with `testing: true`)" if seconds < low else ""
    message = f"{format_duration(seconds)} is out of bounds, expected {legal}{hint}"
    report.add(place, message, at=f"{at}.heartbeat_interval")
