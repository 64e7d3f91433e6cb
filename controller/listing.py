"""Which files a snapshot holds: all that git does not ignore, nested repositories too, none behind links."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from .git import GitError, git

DEEPEST = 16
MOST_FILES = 100_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def listed(workspace: Path, empty_repo: Path) -> list[bytes]:
    """Sorted paths below `workspace`, as bytes relative to it, of tracked and unignored files.

    `empty_repo`: a bare repository of ours, used where no repository is. Raises GitError."""
    found: set[bytes] = set()
    _collect(os.fsencode(workspace), b"", empty_repo, DEEPEST, found)
    return sorted(found)[:MOST_FILES]


def _collect(root: bytes, prefix: bytes, empty_repo: Path, depth: int, found: set[bytes]) -> None:
    folder = root + b"/" + prefix if prefix else root
    for name in _names(Path(os.fsdecode(folder)), empty_repo, top=not prefix):
        path = prefix + name.rstrip(b"/")
        if name.startswith(b"../") or len(found) >= MOST_FILES:
            continue
        try:
            is_folder = stat.S_ISDIR(os.lstat(root + b"/" + path).st_mode)
        except OSError:
            continue
        if not is_folder:
            found.add(path)
        elif depth and path:
            _collect(root, path + b"/", empty_repo, depth - 1, found)


def _names(folder: Path, empty_repo: Path, *, top: bool) -> list[bytes]:
    """What git lists in `folder`; nested repositories come as one name, with or without a slash."""
    home = _repository(folder, upward=top)
    if home is not None:
        try:
            return _ls_files(home / ".git", home, folder, empty_repo, tracked=True)
        except GitError:
            pass  # a broken repository: its files are still files
    return _ls_files(empty_repo, folder, folder, empty_repo, tracked=False)


def _ls_files(git_dir: Path, tree: Path, folder: Path, home: Path, *, tracked: bool) -> list[bytes]:
    wanted = ["-c", "-o"] if tracked else ["-o"]
    index = {} if tracked else {"GIT_INDEX_FILE": str(home / "no-such-index")}
    argv = [f"--git-dir={git_dir}", f"--work-tree={tree}", "ls-files", "-z", *wanted, "--exclude-standard"]
    output = git(argv, home=home, cwd=folder, env=index)
    return [name for name in output.split(b"\0") if name]


def _repository(folder: Path, *, upward: bool) -> Path | None:
    """The folder at or above `folder` that holds `.git`."""
    for place in [folder, *folder.parents] if upward else [folder]:
        if (place / ".git").exists():
            return place
    return None


class Tree:
    """Reads below one folder without ever passing through a link."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
        self._at: bytes = b""
        self._fd = os.dup(self._root)

    def within(self, path: bytes) -> int | None:
        """A descriptor of the folder that holds `path`, valid until the next call; None behind a link."""
        folder = path.rpartition(b"/")[0]
        if folder != self._at:
            fd = self._descend(folder)
            if fd is None:
                return None
            os.close(self._fd)
            self._fd, self._at = fd, folder
        return self._fd

    def _descend(self, folder: bytes) -> int | None:
        fd = os.dup(self._root)
        for part in _parts(folder):
            try:
                below = os.open(part, _FOLDER, dir_fd=fd)
            except OSError:
                os.close(fd)
                return None
            os.close(fd)
            fd = below
        return fd

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
        os.close(self._root)


def _parts(folder: bytes) -> Iterator[bytes]:
    return (part for part in folder.split(b"/") if part)
