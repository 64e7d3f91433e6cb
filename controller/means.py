"""By which means a source sees: the quick one, or a slower one that stepped in, and why; and how that is told
to other processes, such as `hhmrs doctor`."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

MOST_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Means:
    """`source`: what is watched (output, deaths, files, letters, processes...). `how`: in words, for people.

    `full` False: a slower means stands in for the usual; `why` says what is missing and how to mend it."""

    source: str
    how: str
    full: bool = True
    why: str = ""


def publish(path: Path, means: tuple[Means, ...]) -> None:
    """Write what this process sees by, for others to read: at once, or not at all. Raises OSError."""
    text = json.dumps({"pid": os.getpid(), "means": [asdict(one) for one in means]})
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        new.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise


def published(path: Path, pid: int) -> tuple[Means, ...] | None:
    """What the process `pid` wrote; None when it wrote nothing that can be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, encoding="utf-8") as file:
            told = json.loads(file.read(MOST_BYTES))
        if told["pid"] != pid:
            return None
        return tuple(
            Means(str(one["source"]), str(one["how"]), one["full"] is True, str(one["why"]))
            for one in told["means"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
