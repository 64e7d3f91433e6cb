"""A snapshot on its way out: written into an empty folder, without ever passing through a link."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..git import GitError, git

AT_ONCE = 500
BYTES_AT_ONCE = 32 << 20
"""What one git is asked for together: so many files, or so many bytes."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODES = frozenset({b"100644", b"100755", b"120000"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a snapshot. `size` in bytes."""

    mode: bytes
    blob: bytes
    size: int
    path: bytes


class PlaceError(Exception):
    """A snapshot must not be written there; the message says why and what to do instead."""


def checked_place(to: Path, workspaces: Mapping[str, Path], state: Path) -> Path:
    """Where a snapshot may be written, absolute: a folder that is new or empty, no link, in no workspace of
    `workspaces` (by agent) and not in our own `state`. Raises PlaceError.

    In a workspace it would be over the work, or pass for what an agent has changed."""
    try:
        if to.is_symlink():
            raise PlaceError(f"{to} is a link; name the folder itself, or a new one")
        place = (
            to.absolute().parent.resolve() / to.absolute().name if to.name not in ("", "..") else to.resolve()
        )
        for agent, workspace in workspaces.items():
            real = workspace.resolve()
            if place == real or place.is_relative_to(real) or real.is_relative_to(place):
                raise PlaceError(
                    f"{to} is not beside the workspace of {agent} ({real}); name a folder outside it"
                )
        if place.is_relative_to(state.resolve()) or state.resolve().is_relative_to(place):
            raise PlaceError(f"{to} is where hhmrs keeps its own state; name a folder of yours")
        if os.path.lexists(place):
            if not stat.S_ISDIR(place.lstat().st_mode):
                raise PlaceError(f"{to} is not a folder; name a new one")
            if any(place.iterdir()):
                raise PlaceError(f"{to} is not empty; name a new folder, nothing is ever written over")
    except (OSError, RuntimeError, ValueError) as error:
        raise PlaceError(f"{to} cannot be used: {error}") from None
    return place


def entries_of(home: Path, commit: str, timeout: float) -> list[Entry]:
    """The files of a snapshot. Raises GitError, also for a path that leads outside."""
    words = [f"--git-dir={home}", "ls-tree", "-r", "-l", "-z", "--full-tree", commit]
    lines = git(words, home=home, timeout=timeout).split(b"\0")
    return [_entry(line) for line in lines if line]


def _entry(line: bytes) -> Entry:
    head, _, path = line.partition(b"\t")
    mode, kind, blob, size = head.split()
    if any(part in {b"", b".", b"..", b".git"} for part in path.split(b"/")):
        raise GitError(f"the snapshot names {path!r}, which leads outside")
    if mode not in _MODES or kind != b"blob":
        raise GitError(f"the snapshot names {path!r}, which is no file")
    if not size.isdigit():  # BAD
        raise GitError(f"the snapshot lacks the content of {path!r}")
    return Entry(mode, blob, int(size), path)


def write_out(home: Path, entries: Sequence[Entry], to: Path, timeout: float) -> tuple[int, int]:
    """Write the files into the empty folder `to`; the number of files and bytes. Raises OSError, GitError."""
    written = 0
    with _Planting(to) as ground:
        for group in _groups(entries):
            asked = b"".join(entry.blob + b"\n" for entry in group)
            answer = git(
                [f"--git-dir={home}", "cat-file", "--batch"], home=home, stdin=asked, timeout=timeout
            )
            at = 0
            for entry in group:
                head, _, _ = answer[at : at + 200].partition(b"\n")
                if head.split(b" ") != [entry.blob, b"blob", b"%d" % entry.size]:
                    raise GitError(f"the snapshot lacks the content of {entry.path!r}")
                at += len(head) + 1
                ground.put(entry, answer[at : at + entry.size])
                at += entry.size + 1
                written += entry.size
    return len(entries), written


def _groups(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    group: list[Entry] = []
    size = 0
    for entry in entries:
        if group and (len(group) >= AT_ONCE or size + entry.size > BYTES_AT_ONCE):
            yield group
            group, size = [], 0
        group.append(entry)
        size += entry.size
    if group:
        yield group


class _Planting:
    """Makes folders and files below one folder. A link on the way ends it: we made none there."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, _FOLDER)
        self._at = b""
        self._fd = os.dup(self._root)

    def put(self, entry: Entry, content: bytes) -> None:
        folder, _, name = entry.path.rpartition(b"/")
        if folder != self._at:
            self._descend(folder)
        if entry.mode == b"120000":
            os.symlink(content, name, dir_fd=self._fd)
            return
        mode = 0o755 if entry.mode == b"100755" else 0o644
        with os.fdopen(os.open(name, _NEW, mode, dir_fd=self._fd), "wb") as file:
            file.write(content)

    def _descend(self, folder: bytes) -> None:
        os.close(self._fd)
        self._fd, self._at = os.dup(self._root), b""
        for part in folder.split(b"/") if folder else []:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=self._fd)
            below = os.open(part, _FOLDER, dir_fd=self._fd)
            os.close(self._fd)
            self._fd = below
        self._at = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        os.close(self._root)
