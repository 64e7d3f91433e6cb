"""A workspace as it is now, for those who only look: its files by last change, and how it differs from a
snapshot. The agent's own repository is read and never written, so that the daemon is its only writer; what
git must write down to compare goes into a repository of the looker's own, which is gone afterwards."""

from __future__ import annotations

import heapq
import os
import stat
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..git import GitError, git
from .blobs import Limits, Reading, commit_onto
from .listing import compare, ours_in
from .refs import PREFIX
from .seen import Seen, recall
from .snapshots import MOST_DIFF, SnapshotError, checked

MOST_READ = 100_000_000
"""Bytes of changed files that are read for one comparison; with more it would take minutes."""
_REF = f"{PREFIX}00000001"


@dataclass(frozen=True, slots=True)
class FileSeen:
    """`path` relative to the workspace; `at`: last change, seconds since 1970; `size` in bytes."""

    path: str
    at: float
    size: int


@dataclass(frozen=True, slots=True)
class Files:
    """The newest files of a workspace, newest first, of `total` that git does not ignore. `beyond`: how many
    there are more than are ever looked at."""

    workspace: str
    newest: tuple[FileSeen, ...]
    total: int
    beyond: int = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """`stat` and `text` as `git diff --stat` and `git diff -p` print them. `skipped`: files that no snapshot
    would hold (too large, unreadable); they are not compared."""

    stat: str
    text: str
    skipped: tuple[str, ...] = ()


def newest_files(workspace: Path, state: Path, most: int) -> Files:
    """The `most` files that changed last; links are not followed, and a folder of ours (`state`) is left out.

    Takes some 10 us a file, of which it looks at `listing.MOST_FILES`. Raises SnapshotError."""
    try:
        with _own_repository() as own:
            listing = compare(workspace, own, Seen(os.fspath(workspace)), ours_in(workspace, state))
    except (GitError, OSError) as why:
        raise SnapshotError(f"the files of {workspace} cannot be listed: {why}") from None
    looks = [
        (found.st_mtime, path, found.st_size)
        for path, found in listing.fresh.items()
        if found is not None and not stat.S_ISDIR(found.st_mode)
    ]
    newest = tuple(FileSeen(os.fsdecode(path), at, size) for at, path, size in heapq.nlargest(most, looks))
    return Files(os.fspath(workspace), newest, len(looks), listing.beyond)


def compare_with(
    home: Path, commit: str, workspace: Path, state: Path, limits: Limits, most: int = MOST_DIFF
) -> Compared:
    """How the workspace as it is now differs from snapshot `commit` in `home`, the agent's repository.

    Only files are read that changed since the newest snapshot. Raises SnapshotError."""
    ours = ours_in(workspace, state)
    try:
        with _own_repository(home) as own:
            try:
                tree, reading = _tree_of_now(own, workspace, ours, recall(home, workspace), limits)
            except GitError:
                # Something of the newest snapshot may be gone; to read everything is always right.
                tree, reading = _tree_of_now(own, workspace, ours, Seen(os.fspath(workspace)), limits)
            words = ["--no-ext-diff", "--no-textconv", "--no-color", "--no-commit-id", checked(commit), tree]
            sum_up = _git(own, ["diff-tree", "--stat=100", *words], most=most)
            text = _git(own, ["diff-tree", "-p", *words], most=most)
    except (GitError, OSError) as why:
        raise SnapshotError(f"{workspace} cannot be compared: {why}") from None
    skipped = sorted([*reading.large, *reading.beyond, *reading.unreadable])
    return Compared(_cut(sum_up, most), _cut(text, most), tuple(map(os.fsdecode, skipped)))


def _tree_of_now(own: Path, workspace: Path, ours: bytes, seen: Seen, limits: Limits) -> tuple[str, Reading]:
    """Name of a tree, in our own repository, that holds what the workspace holds."""
    reading = Reading(workspace, compare(workspace, own, seen, ours), seen, limits)
    if reading.size() > MOST_READ:
        megabytes = round(reading.size() / 1e6)
        raise SnapshotError(f"{megabytes} MB of {workspace} would have to be read; that is too much here")
    words = ["-c", "core.compression=1", "fast-import", "--quiet", "--done", "--date-format=raw", "--depth=0"]
    stream = commit_onto(_REF, seen.tree, reading.changes())
    answer = _git(own, [*words, "--force"], stdin=stream).decode("ascii", "replace").split()
    if len(answer) < 4:
        raise GitError("git fast-import did not say what it has stored")
    return checked(answer[3]), reading


def _git(
    own: Path, words: list[str], *, stdin: Iterator[bytes] | bytes = b"", most: int | None = None
) -> bytes:
    return git([f"--git-dir={own}", *words], home=own, stdin=stdin, most=most)


@contextmanager
def _own_repository(borrowing: Path | None = None) -> Generator[Path]:
    """A bare repository for us alone, gone afterwards. `borrowing`: another one whose objects it can read."""
    with tempfile.TemporaryDirectory(prefix="hhmrs-") as folder:
        own = Path(folder) / "looks.git"
        git(["init", "-q", "--bare", "--template=", "--object-format=sha1", str(own)], home=Path(folder))
        info = {own / "info" / "attributes": "* -text -filter -ident\n"}
        if borrowing is not None:
            info[own / "objects" / "info" / "alternates"] = f"{borrowing.absolute() / 'objects'}\n"
        for path, text in info.items():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="surrogateescape")
        yield own


def _cut(output: bytes, most: int) -> str:
    text = output[:most].decode("utf-8", "replace")
    return text + f"\n... cut after {most} bytes\n" if len(output) > most else text
