"""What the newest snapshot of a workspace holds, file by file, so that the next one reads only what changed.

A file of ours beside the snapshots: lost or torn, the next snapshot reads everything, and nothing worse."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

Mark = tuple[int, int, int, int, int]
"""mtime (ns), ctime (ns), size, inode, mode: how to see that a file has not changed."""

Run = tuple[int, bytes, list[bytes]]

NAME = "seen"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MAGIC = b"hhmrs-seen-1\n"
_MARK = struct.Struct("<qqqQI")
_BLOB = 20
NOTHING = bytes(_BLOB)
"""In place of a blob: the file was left out."""
_MOST = 512 << 20
IN_MIND = 50_000
"""Files, of all workspaces together, that are kept in mind as well; each takes some 400 bytes."""


@dataclass(slots=True)
class Seen:
    """`paths`: sorted. `commit` and `tree`: the snapshot that holds exactly these, "" for none."""

    workspace: str
    commit: str = ""
    tree: str = ""
    paths: list[bytes] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    blobs: bytearray = field(default_factory=bytearray)
    _numbers: dict[bytes, int] = field(default_factory=dict)
    _runs: list[Run] = field(default_factory=list)
    _packed: bytearray = field(default_factory=bytearray)

    # What follows from the paths and marks is made once, and kept in mind together with them: to make it anew
    # for ten changes among ten thousand files would cost more than the ten.

    def numbers(self) -> dict[bytes, int]:
        """Path -> its number."""
        if not self._numbers:
            self._numbers = {path: number for number, path in enumerate(self.paths)}
        return self._numbers

    def runs(self) -> list[Run]:
        """Neighbours of one folder: the number of the first, the folder with its slash, the names in it."""
        if not self._runs:
            for number, path in enumerate(self.paths):
                folder, slash, name = path.rpartition(b"/")
                if not self._runs or self._runs[-1][1] != folder + slash:
                    self._runs.append((number, folder + slash, []))
                self._runs[-1][2].append(name)
        return self._runs

    def packed(self) -> bytearray:
        """The marks as they are written down."""
        if not self._packed:
            self._packed = bytearray(b"".join([_MARK.pack(*mark) for mark in self.marks]))
        return self._packed

    def blob(self, number: int) -> bytes:
        return bytes(self.blobs[number * _BLOB : (number + 1) * _BLOB])

    def among(self, paths: list[bytes], found: Mapping[bytes, tuple[Mark, bytes]]) -> Seen:
        """These `paths`, sorted: those in `found` as they are there, the others as they were here."""
        numbers = self.numbers()
        if paths is self.paths:
            packed = self.packed()
            for path, (mark, blob) in found.items():
                number = numbers[path]
                self.marks[number] = mark
                _MARK.pack_into(packed, number * _MARK.size, *mark)
                self.blobs[number * _BLOB : (number + 1) * _BLOB] = blob
            return self
        made = Seen(self.workspace, paths=paths)
        blobs: list[bytes] = []
        for path in paths:
            mark, blob = found.get(path) or (self.marks[numbers[path]], self.blob(numbers[path]))
            made.marks.append(mark)
            blobs.append(blob)
        made.blobs = bytearray(b"".join(blobs))
        return made


class Recollection:
    """What was seen of each workspace: on disk, and of the newest ones in mind. Thread-safe, as long as each
    `home` is one thread's at a time."""

    def __init__(self) -> None:
        self._mind: dict[Path, Seen] = {}
        self._lock = threading.Lock()

    def recall(self, home: Path, workspace: Path, commit: str | None) -> Seen:
        """What the snapshot `commit` holds of this workspace; nothing seen where that is not known."""
        with self._lock:
            seen = self._mind.pop(home, None)
        if seen is None or seen.commit != commit:
            seen = recall(home, workspace)
        known = commit is not None and seen.commit == commit and seen.workspace == os.fspath(workspace)
        return seen if known else Seen(os.fspath(workspace))

    def keep(self, home: Path, seen: Seen) -> None:
        """`seen` has not changed since it was recalled."""
        with self._lock:
            self._mind[home] = seen
            room = IN_MIND
            for place, one in reversed(list(self._mind.items())):
                room -= len(one.paths)
                if room < 0:
                    del self._mind[place]

    def remember(self, home: Path, seen: Seen) -> None:
        """For the next time. What cannot be written is not remembered then; all is read anew."""
        self.keep(home, seen)
        with contextlib.suppress(OSError):
            remember(home, seen)

    def forget(self, home: Path) -> None:
        """The next snapshot reads everything."""
        with self._lock:
            self._mind.pop(home, None)
        with contextlib.suppress(OSError):
            (home / NAME).unlink(missing_ok=True)


def recall(home: Path, workspace: Path) -> Seen:
    """What `remember` wrote of this workspace; nothing seen when it cannot be read or is another's."""
    nothing = Seen(os.fspath(workspace))
    try:
        if (home / NAME).stat().st_size > _MOST:
            return nothing
        stored = (home / NAME).read_bytes()
        head, _, body = stored.removeprefix(_MAGIC).partition(b"\n")
        told: dict[str, Any] = json.loads(head)
        count, length = int(told["files"]), int(told["names"])
        marks_at, blobs_at = length, length + count * _MARK.size
        whole = len(body) == blobs_at + count * _BLOB and zlib.crc32(body) == told["sum"]
        if not stored.startswith(_MAGIC) or not whole or told["workspace"] != nothing.workspace:
            return nothing
        paths = body[:length].split(b"\0") if length else []
        marks = list(_MARK.iter_unpack(body[marks_at:blobs_at]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return nothing
    if len(paths) != count:
        return nothing
    blobs = bytearray(body[blobs_at:])
    return Seen(nothing.workspace, str(told["commit"]), str(told["tree"]), paths, marks, blobs)


def remember(home: Path, seen: Seen) -> None:
    """Write it down for the next snapshot. Raises OSError."""
    names = b"\0".join(seen.paths)
    body = b"".join([names, seen.packed(), seen.blobs])
    told = {"workspace": seen.workspace, "commit": seen.commit, "tree": seen.tree, "files": len(seen.paths),
            "names": len(names), "sum": zlib.crc32(body)}  # fmt: skip
    draft = home / f"{NAME}.new"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, _NEW, 0o600), "wb") as file:
        file.write(_MAGIC + json.dumps(told).encode("ascii") + b"\n" + body)
    draft.rename(home / NAME)


mark_of: Callable[[os.stat_result], Mark] = attrgetter(
    "st_mtime_ns", "st_ctime_ns", "st_size", "st_ino", "st_mode"
)
"""The mark of a file that looks so."""


def unsure(mark: Mark) -> Mark:
    """The mark of a file that may change again within the same timestamp: no look at it is ever equal."""
    return (0, 0, mark[2], 0, mark[4])
