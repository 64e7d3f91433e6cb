"""A maildir as a stranger's hand may have left it: read without following or waiting for anything."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Container
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from typing import Self

from . import letterforms as forms
from .quarantine import PLAIN_NAME

STALE_DRAFT = 36 * 3600.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HOPELESS = frozenset({errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENODEV})
"""Any other failure to open, such as too many open files, says nothing about the letter."""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Opened:
    """A folder opened without following a link, as a context. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        self.fd = os.open(self._path, _FOLDER)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in new/. `id` is stable for one letter across daemons, and new when a name is used again."""

    name: str
    id: str
    regular: bool


def waiting(folder: int, known: Container[str], most: int) -> list[Entry]:
    """The oldest `most` entries whose id is not `known`: by time, then by name, not as the disk has them."""
    found: list[tuple[int, str, Entry]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                seen = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            id = _identity(entry.name, seen)
            if id not in known:
                one = Entry(entry.name, id, stat.S_ISREG(seen.st_mode))
                found.append((seen.st_mtime_ns, entry.name, one))
    return [one for _, _, one in nsmallest(most, found)]


def read(folder: int, entry: Entry) -> tuple[str, bytes | forms.Refused] | None:
    """(id of what was read, the letter's bytes or why it is no letter), or None: try again later.

    The id is that of the file that was opened: the name may stand for another one by now."""
    if not entry.regular:
        return entry.id, forms.Refused("a link, pipe, device or folder, not a regular file")
    try:
        fd = os.open(entry.name, _FILE, dir_fd=folder)
    except OSError as why:
        if why.errno in _HOPELESS:
            return entry.id, forms.Refused(f"unreadable: {why.strerror}")
        return None
    try:
        seen = os.fstat(fd)
        id = _identity(entry.name, seen)
        if not stat.S_ISREG(seen.st_mode):
            return id, forms.Refused("not a regular file")
        if seen.st_size > forms.MAX_LETTER:
            return id, forms.Refused("larger than 1 MiB")
        raw = os.read(fd, seen.st_size + 1)
        # A whole small file comes with one call; anything else is read to its end, or to the bound.
        while len(raw) <= forms.MAX_LETTER and (more := os.read(fd, forms.MAX_LETTER + 1 - len(raw))):
            raw += more
        return id, raw
    except OSError:
        return None
    finally:
        os.close(fd)


def remove(folder: int, name: str, id: str) -> None:
    """Unlink the letter `id`; a later one of the same name is left alone. Raises OSError when it stays."""
    try:
        if _identity(name, os.stat(name, dir_fd=folder, follow_symlinks=False)) == id:
            os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def sweep_drafts(folder: Path) -> None:
    """Remove what writers that died left in tmp/."""
    oldest = time.time() - STALE_DRAFT
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink()
            except OSError:
                continue


def _identity(name: str, seen: os.stat_result) -> str:
    shown = name if PLAIN_NAME.fullmatch(name) else os.fsencode(name).hex()
    return f"{shown}@{seen.st_ino:x}.{seen.st_mtime_ns:x}"
