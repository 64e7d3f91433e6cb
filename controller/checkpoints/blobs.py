"""The bytes of a workspace on their way into a snapshot: read without following links, told to git as a
stream that names only what differs from the snapshot before."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .listing import Listing, Tree
from .seen import NOTHING, Mark, Seen, mark_of, unsure

SETTLED = 2_000_000_000
"""Nanoseconds: a file changed more recently than this may change again within the same timestamp."""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PLAIN = re.compile(rb"[ !#-\[\]-~]*")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes: of one file, and of all files of one snapshot together."""

    file: int
    total: int


@dataclass(slots=True)
class Reading:
    """One pass over what differs between `seen` and the workspace; all but the first four fields are complete
    when `changes` has ended.

    `changed`: paths whose content, mode or presence differs. Left out are `large` files, those for which
    there was no room `beyond` the total, and `unreadable` ones."""

    workspace: Path
    listing: Listing
    seen: Seen
    limits: Limits
    changed: list[bytes] = field(default_factory=list)
    large: list[bytes] = field(default_factory=list)
    beyond: list[bytes] = field(default_factory=list)
    unreadable: list[bytes] = field(default_factory=list)
    _found: dict[bytes, tuple[Mark, bytes]] = field(default_factory=dict)
    _gone: set[bytes] = field(default_factory=set)

    def changes(self) -> Iterator[bytes]:
        """Commands for `git fast-import` that make the tree before into the tree now; files are read only
        as this goes on."""
        index = self.seen.numbers()
        wanted = self._sort_out(index)
        left_out = self._gone.union(self.large, self.beyond)
        if self.listing.paths is not self.seen.paths:
            left_out |= index.keys() - set(self.listing.paths)
        # What goes comes first: in the place of a file there may now be a folder, or the other way round.
        for path in sorted(left_out & index.keys()):
            if self.seen.blob(index[path]) != NOTHING:
                self.changed.append(path)
                yield b"D " + _quoted(path) + b"\n"
        with Tree(self.workspace) as tree:
            for path, mark in wanted:
                yield from self._file(tree, path, mark, index.get(path))

    def size(self) -> int:
        """Bytes that are to be read, about: known before they are."""
        looks = (found.st_size for found in self.listing.fresh.values() if found)
        return min(sum(size for size in looks if size <= self.limits.file), self.limits.total)

    @property
    def news(self) -> bool:
        """Whether anything is to be remembered that was not."""
        return bool(self._found or self._gone) or self.listing.paths is not self.seen.paths

    def now(self) -> Seen:
        """What the snapshot holds, once `changes` has ended."""
        paths = self.listing.paths
        if self._gone:
            paths = [path for path in paths if path not in self._gone]
        return self.seen.among(paths, self._found)

    def _sort_out(self, index: dict[bytes, int]) -> list[tuple[bytes, Mark]]:
        """The files to read, with their marks. What is gone or has no room is noted down."""
        fresh, marks = self.listing.fresh, self.seen.marks
        looks = {path: mark_of(found) for path, found in fresh.items() if found and _can_be_held(found)}
        self._gone.update(path for path in fresh if path not in looks)
        sizes = [mark[2] for group in (marks, looks.values()) for mark in group]
        fits = max(sizes, default=0) <= self.limits.file and sum(sizes) <= self.limits.total
        if fits and NOTHING not in self.seen.blobs:
            return list(looks.items())
        wanted: list[tuple[bytes, Mark]] = []
        room = self.limits.total
        for path in self.listing.paths:
            if path in self._gone:
                continue
            mark = looks.get(path) or marks[index[path]]
            if mark[2] > min(self.limits.file, room):
                (self.large if mark[2] > self.limits.file else self.beyond).append(path)
                self._found[path] = mark, NOTHING
                continue
            room -= mark[2]
            if path in looks or self.seen.blob(index[path]) == NOTHING:
                wanted.append((path, mark))
        return wanted

    def _file(self, tree: Tree, path: bytes, mark: Mark, number: int | None) -> Iterator[bytes]:
        before = NOTHING if number is None else self.seen.blob(number)
        mode, folder = _git_mode(mark), tree.within(path)
        try:
            if folder is None:
                raise FileNotFoundError
            content = _content(folder, path.rpartition(b"/")[2], mode, self.limits.file)
        except OSError as why:
            if isinstance(why, FileNotFoundError):
                self._gone.add(path)
            else:
                self.unreadable.append(path)
                self._found[path] = unsure(mark), NOTHING
            if before != NOTHING:
                self.changed.append(path)
                yield b"D " + _quoted(path) + b"\n"
            return
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).digest()
        settled = self.listing.begun - max(mark[0], mark[1]) > SETTLED
        self._found[path] = mark if settled else unsure(mark), blob
        if number is None or blob != before or mode != _git_mode(self.seen.marks[number]):
            self.changed.append(path)
            head = b"M %s inline %s\ndata %d\n" % (mode, _quoted(path), len(content))
            yield head + content + b"\n"


def _can_be_held(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)


def _git_mode(mark: Mark) -> bytes:
    mode = mark[4]
    if stat.S_ISLNK(mode):
        return b"120000"
    return b"100755" if mode & stat.S_IXUSR else b"100644"


def _content(folder: int, name: bytes, mode: bytes, most: int) -> bytes:
    if mode == b"120000":
        return os.readlink(name, dir_fd=folder)
    with os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("no longer a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError("it grew beyond the limit")
    return content


def commit_onto(ref: str, tree: str, changes: Iterator[bytes]) -> Iterator[bytes]:
    """Commands for `git fast-import --done`: one parentless commit at `ref`, of `tree` ("" for none) with
    these changes. It answers with the names of commit and tree, each on a line."""
    yield f"commit {ref}\nmark :1\ncommitter hhmrs <hhmrs@localhost> {int(time.time())} +0000\n".encode()
    yield b"data 8\nsnapshot\n"
    if tree:
        yield f'M 040000 {tree} ""\n'.encode()
    yield from changes
    yield b'\nget-mark :1\nls :1 ""\ndone\n'


def _quoted(path: bytes) -> bytes:
    """C-style quoting, as fast-import reads it; any byte but NUL can stand in a name."""
    if not _PLAIN.fullmatch(path):
        path = b"".join(
            bytes([byte]) if 32 <= byte < 127 and byte not in b'"\\' else b"\\%03o" % byte for byte in path
        )
    return b'"' + path + b'"'
