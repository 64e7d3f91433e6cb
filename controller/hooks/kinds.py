"""What one agent CLI's hook system is like: where it is configured, which events, what they mean.

`Kind` is the pure side: texts in, texts out. Which files these are, and writing them, is installing.py's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ...healing.evidence import HookPhase


@dataclass(frozen=True, slots=True)
class Phase:
    """The CLI says in which phase it is. `words`: its own; `tool`: one that ran to its end just now, well."""

    phase: HookPhase
    words: str = ""
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Its turn failed. `cause` of contract.md section 5; `ends`: seconds since the epoch, if it says so."""

    cause: str
    words: str
    ends: float | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """The native session id that it runs under now."""

    id: str


Word: TypeAlias = Phase | Failure | Session
Said: TypeAlias = Mapping[str, Any]
Meaning: TypeAlias = Callable[[Said], tuple[Word, ...]]
"""What one event means, by its payload, which is hostile: any key may be missing or of any type."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder by the CLI's own variable, else below the home: `variable`'s value with `below` appended (""
    when it names the very folder), else `home`. `file`: inside it."""

    variable: str
    below: str
    home: str
    file: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One CLI's hooks. `whole`: the content of a file of our own, or None: `entry` makes what is added to the
    array of an event in a JSON file that is the user's. `afterwards`: what a person is told then."""

    name: str
    place: Place | None
    meanings: Mapping[str, Meaning]
    entry: Callable[[str], dict[str, Any]] | None = None
    whole: str | None = None
    afterwards: str = ""
    instead: str = ""
    """Why nothing is installed, and what to do instead."""
    events: tuple[str, ...] = field(default=())
    """Those that are wired; else all of `meanings`."""

    @property
    def wired(self) -> tuple[str, ...]:
        return self.events or tuple(self.meanings)


def text(said: Said, *names: str) -> str:
    """The first of these fields that is a text and not empty."""
    for name in names:
        value = said.get(name)
        if isinstance(value, str) and value.strip():
            return value
    return ""


def inner(said: Said, name: str) -> Said:
    value = said.get(name)
    return value if isinstance(value, dict) else {}


def begun(_: Said) -> tuple[Word, ...]:
    return (Phase("busy"),)


def ended(_: Said) -> tuple[Word, ...]:
    return (Phase("idle"),)


def session(said: Said) -> tuple[Word, ...]:
    found = text(said, "session_id", "sessionId")
    return (Session(found),) if found else ()


def tool_ended(said: Said) -> tuple[Word, ...]:
    answer = inner(said, "tool_response")
    failed = answer.get("error") or answer.get("is_error") is True or answer.get("isError") is True
    return (Phase("busy", tool="" if failed else text(said, "tool_name") or "without a name"),)


def permission(said: Said) -> tuple[Word, ...]:
    """A question whether a tool may run, with what it would do."""
    given = inner(said, "tool_input")
    what = text(given, "command", "file_path", "path", "url", "description")
    words = ": ".join(part for part in (text(said, "tool_name"), what) if part)
    return (Phase("waiting", f"may it use {words}?" if words else "it asks for a permission"),)
