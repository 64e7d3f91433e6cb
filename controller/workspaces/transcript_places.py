"""Where an agent CLI keeps its transcripts, by the facts in its profile: which files, and whose they are."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ...config.fleet import TranscriptRule
from ...config.references import UnsetVariable, resolve_references

MOST_ENTRIES = 50_000
MOST_FILES = 16
MOST_PROCESSES = 64
FIRST_LINE = 256 * 1024
LATE = 2.0
"""Seconds by which a folder's time may be behind that of the attempt, on coarse file systems."""
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class TooMany(Exception):
    """There are more files than can be looked through."""


@dataclass(frozen=True, slots=True)
class First:
    """What the first line of a transcript says of it; empty or None where it does not."""

    folder: str
    session: str
    began: float | None


class Place:
    """One rule for one agent: a folder, and the names below it. Raises LookupError where the rule's folder
    depends on variables that are not set."""

    def __init__(self, rule: TranscriptRule, workspace: Path, env: Mapping[str, str]) -> None:
        self.rule = rule
        self.workspace = os.path.realpath(workspace)
        self.root = _root(rule, self.workspace, env)
        self.by_session = "{session" in rule.file

    def files(self, session: str | None, *, since: float = 0.0) -> list[tuple[Path, str]]:
        """(path, session id in its name), newest names first. `session` None: of any session.

        `since`: only folders in which a file came or went after that. Links are not followed. Raises
        TooMany."""
        budget = [MOST_ENTRIES]
        parts = self.rule.file.split("/")
        found = list(self._below(Path(self.root), parts, session, since, budget, ""))
        return found[:MOST_FILES]

    def _below(
        self, folder: Path, parts: list[str], session: str | None, since: float, budget: list[int], id: str
    ) -> Iterator[tuple[Path, str]]:
        pattern = self._pattern(parts[0], session)
        last = len(parts) == 1
        if last and since:
            with contextlib.suppress(OSError):
                if folder.stat().st_mtime < since - LATE:
                    return
        for name in _names(folder, pattern, budget):
            named, path = pattern.fullmatch(name), folder / name
            own = (named.groupdict().get("session") if named else None) or id
            kind = _kind(path)
            if last and stat.S_ISREG(kind):
                yield path, own
            elif not last and stat.S_ISDIR(kind):
                yield from self._below(path, parts[1:], session, since, budget, own)

    def _pattern(self, part: str, session: str | None) -> re.Pattern[str]:
        def fill(found: re.Match[str]) -> str:
            if found[0] == "*":
                return ".*"
            if found[1] == "folder":
                return re.escape(re.sub(r"[^A-Za-z0-9]", "-", self.workspace))
            if found[1] == "session8":
                return re.escape(session[:8]) if session else "[0-9a-f]{8}"
            if found[1]:
                return f"(?P<session>{re.escape(session) if session else UUID})"
            return re.escape(found[0])

        return re.compile(re.sub(r"\*|\{(\w+)\}|[^*{]+", fill, part))

    def first(self, path: Path) -> First | None:
        """What the file's first line says; None when it cannot be read, or not yet."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            line, newline, _ = os.pread(fd, FIRST_LINE, 0).partition(b"\n")
            said = json.loads(line) if newline else None
        except (OSError, ValueError, RecursionError):
            return None
        finally:
            os.close(fd)
        if said is None:
            return None
        rule = self.rule
        return First(_text(said, rule.folder), _text(said, rule.session), _time(_text(said, rule.began)))


def holds(pid: int, path: Path) -> bool:
    """Some process of the tree below `pid` has this file open; False where nobody can tell."""
    waiting, seen = [pid], 0
    while waiting and seen < MOST_PROCESSES:
        one, seen = waiting.pop(), seen + 1
        with contextlib.suppress(OSError, ValueError):
            for fd in os.listdir(f"/proc/{one}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{one}/fd/{fd}") == str(path):
                        return True
        with contextlib.suppress(OSError, ValueError):
            for task in os.listdir(f"/proc/{one}/task"):
                children = Path(f"/proc/{one}/task/{task}/children").read_text(encoding="ascii")
                waiting += [int(child) for child in children.split()]
    return False


def _root(rule: TranscriptRule, workspace: str, env: Mapping[str, str]) -> str:
    for root in rule.roots:
        try:
            path = resolve_references(root, env)
        except UnsetVariable:
            continue
        if path == "~" or path.startswith("~/"):
            path = env.get("HOME", "") + path[1:]
        path = path.replace("{workspace}", workspace)
        if "{repo}" in path:
            path = path.replace("{repo}", _repo(workspace))
        if path.startswith("/"):
            # The folder itself may be a link, as settings kept elsewhere are; what lies below it may not.
            return os.path.realpath(path)
    raise LookupError("none of its folders is known here")


def _repo(workspace: str) -> str:
    """The nearest folder around the workspace that is a git tree, or the workspace."""
    for folder in (Path(workspace), *Path(workspace).parents):
        if os.path.lexists(folder / ".git"):
            return str(folder)
    return workspace


def _names(folder: Path, pattern: re.Pattern[str], budget: list[int]) -> list[str]:
    """Those in the folder that fit, the greatest first."""
    fitting: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                budget[0] -= 1
                if budget[0] < 0:
                    raise TooMany(f"{folder} and the folders beside it hold more than {MOST_ENTRIES} files")
                if pattern.fullmatch(entry.name):
                    fitting.append(entry.name)
    except OSError:
        return []
    return sorted(fitting, reverse=True)


def _kind(path: Path) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def _text(said: Any, dotted: str) -> str:
    if not dotted:
        return ""
    for key in dotted.split("."):
        said = said.get(key) if isinstance(said, dict) else None
    return said if isinstance(said, str) else ""


def _time(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except (ValueError, OverflowError, OSError):
        return None
