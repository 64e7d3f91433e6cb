"""Who is in a fleet file, kept beside the ledger: the file itself takes too long to read for a first frame.

It is good for one file as it stood at one time only: with any other it counts as not there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config.paths import StateDir, state_root

if TYPE_CHECKING:
    from ...config.fleet import FleetSpec

MOST = 8 << 20
"""Bytes of it that are read."""
_HEAD = 1 << 16
_FLEET = re.compile(rb"""^fleet:[ \t]*["']?([a-z0-9][a-z0-9-]{0,31})["']?[ \t]*(?:#.*)?$""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Listed:
    id: str
    title: str
    parent: str | None


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """What changes with the file: time, inode, size."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size


def keep_roster(state: StateDir, spec: FleetSpec, since: float) -> None:
    """Write it for this file, unless it stands there. `since`: epoch seconds before which the file must have
    been changed last, since what was read of it is of no later time. Costs a screen nothing if it fails."""
    stamp = stamp_of(spec.path)
    if stamp is None or stamp[0] / 1e9 >= since or read_roster(state, spec.path) is not None:
        return
    agents = [[one.id, one.title, one.parent] for one in spec.agents.values()]
    draft = state.roster.with_name(f".roster.{os.urandom(6).hex()}")
    with contextlib.suppress(OSError):
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump({"config": str(spec.path), "stamp": stamp, "agents": agents}, file)
            draft.replace(state.roster)
        finally:
            draft.unlink(missing_ok=True)


def read_roster(state: StateDir, config: Path) -> tuple[Listed, ...] | None:
    """Everybody in that file in its order; None when it was changed since, or was never kept."""
    try:
        config = config.resolve()
        fd = os.open(state.roster, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            raw: Any = json.loads(file.read(MOST))
        stamp = stamp_of(config)
        if stamp is None or raw["config"] != str(config) or raw["stamp"] != [*stamp]:
            return None
        listed = tuple(
            Listed(str(name), str(title), _parent(parent)) for name, title, parent in raw["agents"]
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return listed


def _parent(value: object) -> str | None:
    return None if value is None else str(value)


def fleet_named_in(config: Path) -> StateDir | None:
    """The state folder of the fleet that the file most likely names; the roster in it knows for sure."""
    try:
        with config.open("rb") as file:
            found = _FLEET.search(file.read(_HEAD))
    except OSError:
        return None
    return StateDir(state_root(), found[1].decode("ascii")) if found is not None else None
