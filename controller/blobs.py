"""The bytes of a snapshot on their way in and out: read without following links, told to git as a stream."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .git import GitError, git
from .listing import Tree

DRAFT = "refs/hhmrs/draft"
SETTLED = 2_000_000_000
"""Nanoseconds: a file changed more recently than this may change again within the same timestamp."""
_GROUP = 64
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes: of one file, and of all files of one snapshot together."""

    file: int
    total: int


@dataclass(frozen=True, slots=True)
class Known:
    """A file as it was when it was read: the blob that holds it, and how to see that it has not changed."""

    mark: tuple[int, ...]
    mode: str
    blob: str


@dataclass(slots=True)
class Reading:
    """One pass over the files of a workspace; `seen`, `held` and `skipped` are complete when `stream` has
    ended. `held`: how many files went into the snapshot."""

    workspace: Path
    paths: Sequence[bytes]
    known: dict[bytes, Known]
    limits: Limits
    seen: dict[bytes, Known] = field(default_factory=dict)
    skipped: list[bytes] = field(default_factory=list)
    held: int = 0

    @property
    def whole(self) -> bool:
        """Whether `seen` tells of every file in the snapshot; none is too young to be remembered."""
        return len(self.seen) == self.held

    def unchanged(self) -> bool:
        """Whether the workspace holds exactly the known files, none of them changed since it was read."""
        if len(self.paths) != len(self.known):
            return False
        with Tree(self.workspace) as tree:
            return all(self._as_known(tree, path) for path in self.paths)

    def _as_known(self, tree: Tree, path: bytes) -> bool:
        folder, old = tree.within(path), self.known.get(path)
        if folder is None or old is None:
            return False
        try:
            found = os.stat(path.rpartition(b"/")[2], dir_fd=folder, follow_symlinks=False)
        except OSError:
            return False
        return _mark(found) == old.mark

    def stream(self) -> Iterator[bytes]:
        """Commands for `git fast-import`: one parentless commit at DRAFT, whose name is the answer.

        Unreadable files are skipped."""
        now = int(time.time())
        yield f"commit {DRAFT}\nmark :1\ncommitter hhmrs <hhmrs@localhost> {now} +0000\n".encode()
        yield b"data 8\nsnapshot\n"
        total = 0
        begun = time.time_ns()
        with Tree(self.workspace) as tree:
            for path in self.paths:
                for chunk, size in self._file(tree, path, self.limits.total - total, begun):
                    total += size
                    self.held += 1
                    yield chunk
        yield b"\nget-mark :1\n"

    def _file(self, tree: Tree, path: bytes, room: int, begun: int) -> Iterator[tuple[bytes, int]]:
        folder = tree.within(path)
        if folder is None:
            return
        name = path.rpartition(b"/")[2]
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
                return
            if found.st_size > min(self.limits.file, room):
                self.skipped.append(path)
                return
            mark = _mark(found)
            old = self.known.get(path)
            if old is not None and old.mark == mark:
                self.seen[path] = old
                yield _modify(old.mode, old.blob, path), found.st_size
                return
            mode, content = _content(folder, name, found, self.limits.file)
        except FileNotFoundError:
            return
        except OSError:
            self.skipped.append(path)
            return
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        if begun - max(found.st_mtime_ns, found.st_ctime_ns) > SETTLED:
            self.seen[path] = Known(mark, mode, blob)
        yield _modify(mode, "inline", path) + b"data %d\n" % len(content) + content + b"\n", len(content)


def _content(folder: int, name: bytes, found: os.stat_result, most: int) -> tuple[str, bytes]:
    if stat.S_ISLNK(found.st_mode):
        return "120000", os.readlink(name, dir_fd=folder)
    with os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb") as file:
        opened = os.fstat(file.fileno())
        if not stat.S_ISREG(opened.st_mode):
            raise OSError("no longer a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError("it grew beyond the limit")
    return "100755" if opened.st_mode & stat.S_IXUSR else "100644", content


def _mark(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode)


def _modify(mode: str, blob: str, path: bytes) -> bytes:
    return b"M %s %s %s\n" % (mode.encode(), blob.encode(), _quoted(path))


def _quoted(path: bytes) -> bytes:
    """C-style quoting, as fast-import reads it; any byte but NUL can stand in a name."""
    plain = b"".join(
        bytes([byte]) if 32 <= byte < 127 and byte not in b'"\\' else b"\\%03o" % byte for byte in path
    )  # fmt: skip
    return b'"' + plain + b'"'


def recall(home: Path, workspace: Path) -> tuple[dict[bytes, Known], str | None]:
    """What `remember` wrote of this workspace: its files, and the commit that holds them and nothing else."""
    try:
        stored = json.loads((home / "seen.json").read_bytes())
        if stored["workspace"] != os.fspath(workspace):
            return {}, None
        files = {bytes.fromhex(path): Known(tuple(map(int, mark)), str(mode), str(blob))
                 for path, (mark, mode, blob) in stored["files"].items()}  # fmt: skip
        return files, stored.get("commit")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, None


def remember(home: Path, reading: Reading, commit: str) -> None:
    """Spare the next snapshot the reading of files that have not changed. Raises OSError."""
    files = {path.hex(): [known.mark, known.mode, known.blob] for path, known in reading.seen.items()}
    whole = commit if reading.whole else None
    draft = home / "seen.json.new"
    text = json.dumps({"workspace": os.fspath(reading.workspace), "commit": whole, "files": files})
    write_private(draft, text)
    draft.rename(home / "seen.json")


def write_private(path: Path, text: str) -> None:
    """Write a file of ours that nobody else may read. Raises OSError."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, _NEW, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def write_out(home: Path, entries: Sequence[bytes], to: Path, timeout: float) -> int:
    """Write the files that `ls-tree -r -z` named into the empty folder `to`. Raises OSError, GitError."""
    for first in range(0, len(entries), _GROUP):
        group = [_entry(entry) for entry in entries[first : first + _GROUP]]
        asked = b"".join(blob + b"\n" for _, blob, _ in group)
        answer = git([f"--git-dir={home}", "cat-file", "--batch"], home=home, stdin=asked, timeout=timeout)
        at = 0
        for mode, blob, path in group:
            head, _, _ = answer[at : at + 200].partition(b"\n")
            found, kind, size = [*head.split(b" "), b"", b""][:3]
            if found != blob or kind != b"blob":
                raise GitError(f"the snapshot lacks the content of {path!r}")
            at += len(head) + 1
            _put(to, mode, path, answer[at : at + int(size)])
            at += int(size) + 1
    return len(entries)


def _entry(entry: bytes) -> tuple[bytes, bytes, bytes]:
    """(mode, blob, path) of one line of ls-tree; a path that leads outside is refused."""
    head, _, path = entry.partition(b"\t")
    mode, _, blob = head.split(b" ")
    if any(part in {b"", b".", b".."} for part in path.split(b"/")):
        raise GitError(f"the snapshot names {path!r}, which leads outside")
    return mode, blob, path


def _put(to: Path, mode: bytes, path: bytes, content: bytes) -> None:
    place = to / os.fsdecode(path)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if mode == b"120000":
        place.symlink_to(os.fsdecode(content))
        return
    with os.fdopen(os.open(place, _NEW, 0o755 if mode == b"100755" else 0o644), "wb") as file:
        file.write(content)
