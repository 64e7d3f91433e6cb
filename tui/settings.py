"""The settings as the screen shows them, pure: a fleet file's text goes in, rows and words come out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..config.durations import format_duration
from ..config.editing import Path as Keys
from ..config.editing import Value
from ..config.meanings import OF_THE_FLEET
from ..config.nodes import Mapping as MappingNode
from ..config.nodes import Node, Scalar, read_nodes
from ..config.settings import Setting, as_typed, as_value, settings

NAMED = 4
"""Agents that are named where more have a value of their own."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The fleet file as it was read, and what the daemon has of it. `raw`: its bytes; `fault`: why it cannot
    be read at all; `problems`: what is wrong with it now; `entries`: agent -> its key below `agents:`, which
    a pool's members share. `stale`: it was written after the daemon had read it; `quick_look`: what a person
    set that to on the daemon's command line, in seconds."""

    path: Path
    raw: bytes = b""
    text: str = ""
    root: Node | None = None
    problems: tuple[str, ...] = ()
    entries: Mapping[str, str] = field(default_factory=dict)
    up: bool = False
    stale: bool = False
    quick_look: float | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One change that a person asks for: a value, or None to take the key away; `whole`: these bytes in
    place of the file, for an undo."""

    words: str
    path: Keys = ()
    value: Value | None = None
    whole: bytes | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be written. `problems`: why it is not; `keep`: who has a value of its own and keeps it."""

    change: Change
    before: bytes
    after: bytes
    lines: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of it. `written`: the file is changed; `in_force`: None where no daemon runs."""

    written: bool
    in_force: bool | None
    words: str


class Settings(Protocol):
    """The fleet file and the daemon that goes by it. Each call blocks; none raises for what a person did."""

    done: list[Preview]
    """What was written from here, the last change last; an undo takes it off again."""

    def read(self) -> Sheet:
        """The file as it is now."""
        ...

    def preview(self, sheet: Sheet, change: Change) -> Preview:
        """The change made in the text that `sheet` holds, judged by the loader. Nothing is written."""
        ...

    def apply(self, preview: Preview) -> Applied:
        """Write it, have the daemon read it, wait for its answer."""
        ...

    def reload(self) -> Applied:
        """Have the daemon read the file as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One setting. `value` as it counts, `own`: written in the block that is looked at; `line` of the file
    where the value stands, 0 for none; `off`: why it cannot be changed here."""

    setting: Setting
    value: Value
    origin: str
    own: bool
    line: int
    off: str = ""


def rows(sheet: Sheet, agent: str | None = None, needle: str = "") -> tuple[Row, ...]:
    """Every setting for the fleet, or as it counts for the entry `agent`; with a needle, those it is in."""
    found = needle.strip().casefold()
    return tuple(
        _row(sheet, setting, agent)
        for setting in settings().values()
        if not found or found in f"{setting.key} {setting.about}".casefold()
    )


def _row(sheet: Sheet, setting: Setting, agent: str | None) -> Row:
    own = written(sheet.root, setting.path(agent))
    shared = own if agent is None or setting.top else written(sheet.root, setting.path(None))
    off = ""
    if setting.key in OF_THE_FLEET and agent is not None:
        own, off = None, "it is of the fleet as a whole: tab shows the fleet's settings"
    elif setting.key == "recovery.deadline":
        off = "a task past its deadline always goes to a person; raise task_deadline"
    if setting.key == "quick_look" and sheet.quick_look is not None:
        off = "a person set it for all agents as the daemon was started (heal --start-daemon --threshold)"
        return Row(setting, format_duration(sheet.quick_look), "command line", own is not None, 0, off)
    if own is not None:
        where = "its own block" if agent is not None else "fleet file"
        return Row(setting, own[1], f"{where}, line {own[0]}", True, own[0], off)
    if shared is not None:
        return Row(setting, shared[1], f"fleet file, line {shared[0]}", False, shared[0], off)
    return Row(setting, setting.default, "default", False, 0, off)


def written(root: Node | None, path: Keys) -> tuple[int, Value] | None:
    """The line of the key at `path` and its value; None where nothing is written there."""
    line, node = 0, root
    for name in path:
        if not isinstance(node, MappingNode) or name not in node.entries:
            return None
        key, node = node.entries[name]
        line = key.line
    if node is None or (isinstance(node, Scalar) and node.value is None):
        return None
    return line, as_value(node)


def own_values(root: Node | None, setting: Setting) -> tuple[str, ...]:
    """The entries below `agents:` that have a value of their own for it."""
    agents = root.entries.get("agents") if isinstance(root, MappingNode) else None
    if agents is None or not isinstance(agents[1], MappingNode) or setting.top:
        return ()
    return tuple(name for name in agents[1].entries if written(root, setting.path(name)) is not None)


def in_few(names: Iterable[str]) -> str:
    shown = list(names)
    rest = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
    return ", ".join(shown[:NAMED]) + rest


def shown(value: Value) -> str:
    """A value for a person; an empty list says that nothing is in it."""
    return as_typed(value) or ("nothing" if value == () else "''")


def standing(sheet: Sheet) -> str:
    """Whether what is shown is in force."""
    if not sheet.up:
        return "no daemon runs: in force at its next start"
    if sheet.stale:
        return "the file was changed since the daemon read it: r has it read now"
    return "in force now"


def told(row: Row, sheet: Sheet, agent: str | None) -> tuple[str, ...]:
    """All about one setting: a heading, what it means, what is legal, where it comes from, when it counts."""
    setting = row.setting
    choices = f", of {', '.join(setting.choices)}" if setting.kind == "list" and setting.choices else ""
    legal = "a list in order" + choices if choices else setting.legal
    keep = () if agent is not None else own_values(sheet.root, setting)
    own = f"; with a value of their own: {in_few(keep)}" if keep else ""
    lines = [
        f"{setting.key} = {shown(row.value)}",
        f"legal: {legal}   default: {shown(setting.default)}",
        f"from: {row.origin}{own}",
        f"{standing(sheet)}; a change counts {setting.live}",
    ]
    off = (f"off here: {row.off}",) if row.off else ()
    return (lines[0], *off, *lines[1:], sentence(setting.about))


def sentence(words: str) -> str:
    """The words of a table as a sentence; a key or a value at its start keeps its small letter."""
    told = words if words.startswith("`") else words[:1].upper() + words[1:]
    return told.replace("`", "") + "."


def problem_lines(problems: Iterable[object], most: int = 12) -> tuple[str, ...]:
    """One line per problem, as `check` prints them, the first ones."""
    all_of_them = list(map(str, problems))
    rest = [f"and {len(all_of_them) - most} more problems"] if len(all_of_them) > most else []
    return (*all_of_them[:most], *rest)


def diff(before: str, after: str, around: int = 2) -> tuple[str, ...]:
    """The lines that differ, `-` and `+` before them, with `around` lines on either side."""
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), n=around, lineterm="")
    return tuple(line for line in found if not line.startswith(("---", "+++")))


def read_sheet_text(text: str) -> Node | None:
    """The nodes of a text, as far as they can be read."""
    return read_nodes(text)[0]
