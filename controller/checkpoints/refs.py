"""The names of snapshots in a repository of ours, as far as they can be read without git."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

PREFIX = "refs/snapshots/"
STALE = 300.0
"""Seconds: no git of ours lives this long, so whoever made a lock that old is gone."""
_NUMBER = re.compile(r"([0-9]{8})(\.lock)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def newest_plain(home: Path) -> tuple[int, str] | None:
    """Number and commit of the newest snapshot where refs are plain files; None where only git can tell."""
    if (home / "packed-refs").exists() or (home / "reftable").exists():
        return None
    numbers = [number for number, lock in _on_disk(home) if not lock]
    if not numbers:
        return None
    try:
        commit = (home / PREFIX / f"{max(numbers):08d}").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return (max(numbers), commit) if _COMMIT.fullmatch(commit) else None


def next_name(home: Path, newest: int) -> str:
    """A name above the newest one, and above what a git that was killed may have left locked or torn."""
    return f"{PREFIX}{max([newest, *(number for number, _ in _on_disk(home))]) + 1:08d}"


def sweep(home: Path) -> None:
    """Remove what a git of ours that was killed left behind: locks, reports of its end."""
    locks = [home / PREFIX / f"{number:08d}.lock" for number, lock in _on_disk(home) if lock]
    reports = home.glob("fast_import_crash_*")
    for path in [*locks, home / "packed-refs.lock", *reports]:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE:
                path.unlink()


def _on_disk(home: Path) -> list[tuple[int, bool]]:
    """Every number in use, and whether it is only a lock."""
    try:
        names = os.listdir(home / PREFIX)
    except OSError:
        return []
    return [(int(found[1]), bool(found[2])) for name in names if (found := _NUMBER.fullmatch(name))]
