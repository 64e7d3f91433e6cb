"""What the last pass by hand found, whole: an event holds no more than a few agents' worth of it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

MOST_BYTES = 64 * 1024 * 1024


def write_report(path: Path, letter: str, lines: Sequence[str]) -> None:
    """Put the lines where who ordered the pass by `letter` looks for them. Raises OSError."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
            json.dump({"letter": letter, "lines": list(lines)}, file)
        new.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise


def read_report(path: Path, letter: str) -> list[str] | None:
    """The lines of the pass that `letter` ordered; None without any, or when another pass came after it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, encoding="utf-8") as file:
            told = json.loads(file.read(MOST_BYTES))
        return [str(line) for line in told["lines"]] if told["letter"] == letter else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
