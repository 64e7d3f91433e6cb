"""Which files of a workspace fit the pattern of a status rule."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...config.fleet import AgentSpec, StatusRule
from .marker import NAME as MARKER

NOTE = "hhmrs-rescue-"
"""Stands in the name of each letter of ours to an agent."""
DRAFT = ".hhmrs~"
"""How the name of a file ends that we are just writing; the end alone makes it noise in a workspace."""
MOST_ENTRIES = 2_000
MOST_FILES = 200


def files(place: Path, rule: StatusRule, agent: str) -> list[tuple[Path, os.stat_result]]:
    """Plain files of the workspace that fit the rule, at most MOST_FILES; no folder that is a link is
    entered, and no more than MOST_ENTRIES names are looked at."""
    found: list[tuple[Path, os.stat_result]] = []
    for path in _walk(place, _parts(rule, agent), [MOST_ENTRIES]):
        try:
            status = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found.append((path, status))
            if len(found) >= MOST_FILES:
                break
    return found


def is_ours(name: str) -> bool:
    """Whether a supervisor made the file of that name."""
    return NOTE in name or name.endswith(DRAFT) or name == MARKER


def says_nothing(spec: AgentSpec, path: str) -> bool:
    """Whether a change of that path (relative to the agent's workspace) is nobody's work: what its CLI notes
    down of what it was told, what it says of itself, what others and we write to it."""
    parts = path.split("/")
    if is_ours(parts[-1]):
        return True
    for profile in {seat.profile.name: seat.profile for seat in spec.seats}.values():
        if any(parts[: len(inner)] == inner for inner in _inner(profile.bookkeeping)):
            return True
        whole = spec.workspace / path
        if any(r.kind != "devlog" and fits(spec.workspace, r, spec.id, whole) for r in profile.status_files):
            return True
    return False


def _inner(paths: Iterable[str]) -> Iterator[list[str]]:
    return (path.rstrip("/").split("/") for path in paths)


def plain_place(place: Path, rule: StatusRule, agent: str) -> Path | None:
    """The one file that fits the rule, or the one folder whose files do; None when it names no one place."""
    parts = _parts(rule, agent)
    if any("*" in part for part in parts[:-1]):
        return None
    if "*" not in parts[-1]:
        return place.joinpath(*parts)
    return place.joinpath(*parts[:-1]) if rule.kind == "inbox" and len(parts) > 1 else None


def _parts(rule: StatusRule, agent: str) -> list[str]:
    return rule.pattern.replace("{agent}", agent).split("/")


def _walk(folder: Path, parts: list[str], budget: list[int]) -> Iterator[Path]:
    part, rest = parts[0], parts[1:]
    if "*" not in part:
        path = folder / part
        if not rest:
            yield path
        elif stat.S_ISDIR(_mode(path)):
            yield from _walk(path, rest, budget)
        return
    deep = part == "**"
    if deep and rest:
        yield from _walk(folder, rest, budget)
    pattern = re.compile(".*".join(re.escape(piece) for piece in re.split(r"\*+", part)))
    for name in _listed(folder, budget):
        if not pattern.fullmatch(name):
            continue
        path = folder / name
        if not rest and not deep:
            yield path
        elif stat.S_ISDIR(_mode(path)):
            yield from _walk(path, parts if deep else rest, budget)
        elif deep and not rest:
            yield path


def _listed(folder: Path, budget: list[int]) -> list[str]:
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                budget[0] -= 1
                if budget[0] < 0:
                    break
                names.append(entry.name)
    except OSError:
        return []
    return sorted(names)


def fits(place: Path, rule: StatusRule, agent: str, path: Path) -> bool:
    """The file, which lies somewhere in the workspace, fits the rule."""
    parts = [re.escape(part).replace(r"\*\*", ".*").replace(r"\*", "[^/]*") for part in _parts(rule, agent)]
    pattern = "/".join(parts).replace(".*/", "(?:.+/)?")
    return re.fullmatch(pattern, str(path.relative_to(place))) is not None


def _mode(path: Path) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0
