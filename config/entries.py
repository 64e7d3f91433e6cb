"""The keys of one entry below `agents:`, and which profile, command and model each of its seats gets."""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from typing import Any

from .fleet import MODEL_NAME, Profile, Seat
from .nodes import Mapping, Node, Scalar
from .policies import policy_hint, read_patch
from .problems import inert
from .profile_fields import command, env, liveness, probe
from .shapes import MAX_PROMPT, Record, Report, Shape, choice, flag, listing, record, text, whole

AGENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
TITLE = re.compile(r"[^|]{1,64}")
DEFAULT_PROFILE = "shell"

_model = text("a model's name without spaces, such as claude-sonnet-4-5", pattern=MODEL_NAME)

_SEAT_SHAPES: dict[str, Shape[Any]] = {
    "profile": text("the name of a profile"),
    "model": _model,
    "command": command,
    "env": env,
}

_alternate = record(_SEAT_SHAPES, "a mapping with the keys of an alternate", may_be_null=("model",))


AGENT_SHAPES: dict[str, Shape[Any]] = {
    **_SEAT_SHAPES,
    "parent": text("the id of another agent"),
    "title": text("a title of at most 64 characters without `|`", pattern=TITLE),
    "alternates": listing(_alternate, "a list such as [{profile: codex}]"),
    "workspace": text("a folder"),
    "allow_outside": flag,
    "prompt": text("text", limit=MAX_PROMPT, lines=True),
    "decider": choice(("policy", "parent")),
    "restart": choice(("transient", "permanent", "temporary")),
    "ready": probe,
    "liveness": liveness,
    "count": whole(1, 999),
    "policy": read_patch,
}

_agent = record(
    AGENT_SHAPES,
    "a mapping with the keys of an agent",
    may_be_null=("parent", "model", "prompt", "ready"),
    hint=policy_hint,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One key below `agents:` with what could be read of its body; `count` makes it several agents."""

    id: str
    key: Scalar
    body: Record

    @property
    def at(self) -> str:
        return f"agents.{inert(self.id, 64)}"

    def get(self, key: str) -> Any:
        return self.body.values.get(key)


def read_entry(key: Scalar, node: Node, report: Report) -> Entry | None:
    """The entry, its own keys checked; None when its name is unsafe. What it refers to is not looked up."""
    with report.inside(key.raw):
        body = _agent(node, report) or Record(node, {}, {})
        if AGENT_ID.fullmatch(key.raw):
            return Entry(key.raw, key, body)
        expected = "a letter or digit, then letters, digits, _ and -, at most 64"
        report.add(key, f"unsafe agent id {inert(key.raw)!r}, expected {expected}")
        return None


def check_seats(entry: Entry, profiles: MappingOf[str, Profile], report: Report) -> None:
    """Every seat has a known profile and something to run."""
    if not isinstance(entry.body.node, Mapping):
        return
    for n, seat in enumerate(_seats(entry)):
        at = entry.at if n == 0 else f"{entry.at}.alternates"
        if seat.profile not in profiles:
            near = report.suggest(seat.profile, list(profiles))
            known = f"expected one of {', '.join(list(profiles)[:20])}"
            message = f"unknown profile {inert(seat.profile)!r}, {known}{near}"
            report.add(seat.record.place("profile"), message, at=f"{at}.profile")
        elif not seat.command and not profiles[seat.profile].command and "command" not in seat.record.given:
            message = f"profile {seat.profile} has no command, expected one: command: [python3, worker.py]"
            report.add(entry.key if n == 0 else seat.record.node, message, at=at)
        if n and not seat.record.given:
            report.add(seat.record.node, "found nothing, expected profile, model, command or env", at=at)


@dataclass(frozen=True, slots=True)
class _Choice:
    record: Record
    profile: str
    model: str | None
    command: tuple[str, ...]
    env: MappingOf[str, str]


def _seats(entry: Entry) -> list[_Choice]:
    """Seat 0 and the alternates. One that keeps the agent's profile keeps its model and command as well."""
    own = entry.body.values
    profile, model = own.get("profile", DEFAULT_PROFILE), own.get("model")
    first = _Choice(entry.body, profile, model, own.get("command", ()), own.get("env", {}))
    seats = [first]
    for other in own.get("alternates", ()):
        values = other.values
        profile = values.get("profile", first.profile)
        same = profile == first.profile
        seats.append(_Choice(
            other, profile,
            values.get("model", first.model if same else None),
            values.get("command", first.command if same else ()),
            {**first.env, **values.get("env", {})},
        ))  # fmt: skip
    return seats


def build_seats(entry: Entry, profiles: MappingOf[str, Profile]) -> tuple[Seat, ...]:
    """The seats of an entry without problems."""
    return tuple(
        Seat(profile=profiles[seat.profile], model=seat.model, command=seat.command, env=dict(seat.env))
        for seat in _seats(entry)
    )
