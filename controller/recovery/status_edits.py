"""Edits of the status file that an agent of an older system keeps: whole or not at all.

A file is edited only if all of it can be read and written back: a plain JSON object of bounded size, not a
link, nobody else's, not protected. Every key we do not know stays; each edit is signed in `healing_applied`.
Doing an edit again finds nothing left to do. The folder belongs to the agent, which is not trusted with where
our write lands: no link is followed on the way, and the new content takes the old one's place by a rename."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...config.workspaces import refuse_link
from ...healing.agent import NudgeStep
from ..timestamps import to_iso
from ..workspaces.status_patterns import DRAFT
from ..workspaces.status_words import MOST_BYTES

MOST_SIGNED = 20
"""Edits that `healing_applied` tells of."""
MOST_CLEARED = 100
"""Tasks that `cleared_tasks` keeps."""
MOST_REASON = 200
_TRIES = 3
_STAMPS = ("last_updated", "updated_at", "last_update", "timestamp")
_WORDS = {"state": "executing", "status": "ACTIVE_AGENT_MODE", "current_phase": "TASK_EXECUTION"}
"""What a reset says, in the older systems' words; `state` is a beat's."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Wrote = Callable[[Path, bytes], None]
"""Told what is about to be written where, so that it is taken for nobody's word."""


class NotEdited(Exception):
    """The file is left as it is; the message says why."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be done to a status file of `agent`, at `now` (seconds since 1970). It is stale when it was
    not written for `stale_after` seconds. `mine` tells by its content whether it is that agent's. `again`: it
    may have been done already, which its signature tells."""

    step: NudgeStep
    agent: str
    reason: str
    now: float
    stale_after: float
    mine: Callable[[dict[str, Any]], bool] = lambda _: True
    again: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    raw: bytes
    seen: os.stat_result


def edit(workspace: Path, path: Path, what: Edit, wrote: Wrote) -> str:
    """Edit the file `path` below `workspace`. What was done, in words; empty when there was nothing to do.

    Raises NotEdited, WorkspaceError and OSError, each with the file as it was."""
    refuse_link(workspace)
    with folder_of(workspace, path) as folder:
        for _ in range(_TRIES):
            found = _read(folder, path.name)
            said = _parse(found.raw)
            if not what.mine(said):
                raise NotEdited("it does not say whose it is, and another agent keeps one there too")
            done = _apply(said, what, found.seen)
            if not done:
                return ""
            content = _written(said, found.raw)
            wrote(path, content)
            if _put(folder, path.name, content, found.seen):
                return done
    raise NotEdited("it is written to all the time")


@contextlib.contextmanager
def folder_of(workspace: Path, path: Path) -> Generator[int]:
    """The folder that holds `path`, opened without following a link below the workspace. Raises OSError."""
    fd = os.open(workspace, _FOLDER)
    try:
        for part in path.relative_to(workspace).parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


# -- reading ------------------------------------------------------------------------------------


def _read(folder: int, name: str) -> _Found:
    fd = os.open(name, _FILE, dir_fd=folder)
    with os.fdopen(fd, "rb") as file:
        seen = os.fstat(fd)
        if why := _unfit(seen):
            raise NotEdited(why)
        raw = file.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise NotEdited(f"it is larger than {MOST_BYTES} bytes")
    return _Found(raw, seen)


def _unfit(seen: os.stat_result) -> str:
    if not stat.S_ISREG(seen.st_mode):
        return "it is no plain file"
    if seen.st_size > MOST_BYTES:
        return f"it is larger than {MOST_BYTES} bytes"
    if seen.st_nlink != 1:
        return "it has a second name (a hard link)"
    if seen.st_uid != os.geteuid():
        return f"it belongs to user {seen.st_uid}"
    return "" if seen.st_mode & stat.S_IWUSR else "it is read-only"


def _parse(raw: bytes) -> dict[str, Any]:
    """The document, when writing it back would lose nothing. Raises NotEdited."""
    try:
        said = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as why:
        raise NotEdited(f"it cannot be read: {str(why)[:100]}") from None
    if not isinstance(said, dict):
        raise NotEdited("it is no JSON object")
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


# -- the edits ----------------------------------------------------------------------------------


def _apply(said: dict[str, Any], what: Edit, seen: os.stat_result) -> str:
    """Change the document; what was done, or empty and nothing was."""
    if what.again and _signed(said, what):
        return ""
    if what.step is NudgeStep.FORCE_UPDATE:
        age = time.time() - seen.st_mtime
        done = f"refreshed, it was {age:.0f} s old" if age >= what.stale_after else ""
    elif what.step is NudgeStep.CLEAR_STUCK_TASKS:
        done = _clear_tasks(said)
    else:
        done = _reset(said, what.agent)
    if done:
        _stamp(said, what.now)
        _sign(said, what)
    return done


def _clear_tasks(said: dict[str, Any]) -> str:
    tasks = said.get("current_tasks")
    if not isinstance(tasks, list) or not tasks:
        return ""
    said["cleared_tasks"] = [*_list(said, "cleared_tasks"), *tasks][-MOST_CLEARED:]
    said["current_tasks"] = []
    return f"{len(tasks)} tasks cleared, they stand under cleared_tasks"


def _reset(said: dict[str, Any], agent: str) -> str:
    keys = [key for key in _WORDS if isinstance(said.get(key), str)] or ["status", "current_phase"]
    changed = [key for key in keys if said.get(key) != _WORDS[key]]
    said.update({key: _WORDS[key] for key in changed})
    if not {"agent", "agent_id", "agent_name"} & said.keys():
        said["agent_id"] = agent
        changed.append("agent_id")
    if _clear_tasks(said):
        changed.append("current_tasks")
    return f"reset: {', '.join(changed)}" if changed else ""


def _stamp(said: dict[str, Any], now: float) -> None:
    """Write the time where the document has one, in its own form."""
    key = next((key for key in _STAMPS if key in said), _STAMPS[0])
    before = said.get(key)
    if isinstance(before, int | float) and not isinstance(before, bool):
        scale = 1000 if before > 1e11 else 1
        said[key] = int(now * scale) if isinstance(before, int) else now * scale
    elif isinstance(before, str) and re.match(r"\d{4}-\d\d-\d\d \d\d:", before):
        said[key] = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S")
    else:
        said[key] = to_iso(now)


def _signed(said: dict[str, Any], what: Edit) -> bool:
    mark = {"action": what.step.value, "reason": what.reason[:MOST_REASON]}
    return any(
        isinstance(one, dict) and mark.items() <= one.items() for one in _list(said, "healing_applied")
    )


def _sign(said: dict[str, Any], what: Edit) -> None:
    entry = {"timestamp": to_iso(what.now), "action": what.step.value, "reason": what.reason[:MOST_REASON]}
    said["healing_applied"] = [*_list(said, "healing_applied"), entry][-MOST_SIGNED:]


def _list(said: dict[str, Any], key: str) -> list[Any]:
    found = said.get(key, [])
    if not isinstance(found, list):
        raise NotEdited(f"its {key} is no list")
    return found


# -- writing ------------------------------------------------------------------------------------


def _written(said: dict[str, Any], raw: bytes) -> bytes:
    """The document as text, in the form it had. Raises NotEdited."""
    text = raw.decode("utf-8")
    indent = re.search(r"\n([ \t]+)\S", text)
    tight = indent is None and '": ' not in text
    form: dict[str, Any] = {"indent": indent[1] if indent else None, "allow_nan": False}
    form["separators"] = (",", ":") if tight else (",", ": ") if indent else (", ", ": ")
    end = "\n" if text.endswith("\n") else ""
    try:
        try:
            content = (json.dumps(said, ensure_ascii=False, **form) + end).encode("utf-8")
        except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can say
            content = (json.dumps(said, **form) + end).encode("utf-8")
    except (ValueError, RecursionError) as why:
        raise NotEdited(f"it cannot be written back: {str(why)[:100]}") from None
    if len(content) > MOST_BYTES:
        raise NotEdited(f"it would grow beyond {MOST_BYTES} bytes")
    return content


def _put(folder: int, name: str, content: bytes, before: os.stat_result) -> bool:
    """Give the file that content, unless it is another by now than `before`."""
    draft = f".{name[:100]}{DRAFT}"
    with contextlib.suppress(FileNotFoundError):
        left = os.stat(draft, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(left.st_mode):
            raise NotEdited(f"{draft} is in the way")
        os.unlink(draft, dir_fd=folder)
    fd = os.open(draft, _NEW, 0o600, dir_fd=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, stat.S_IMODE(before.st_mode))
            file.write(content)
            file.flush()
            os.fsync(fd)
        now = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if _mark(now) == _mark(before):
            os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
            return True
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft, dir_fd=folder)
        raise
    os.unlink(draft, dir_fd=folder)
    return False


def _mark(seen: os.stat_result) -> tuple[int, ...]:
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_nlink
