"""Which files a snapshot holds: all that git does not ignore, nested repositories too, none behind links."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Container, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from ..git import GitError, git
from .seen import Seen, mark_of

log = logging.getLogger(__name__)

DEEPEST = 16
MOST_FILES = 100_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEVER = frozenset({b"", b".", b"..", b".git"})
"""Parts of a name that lead elsewhere, or that git takes for its own."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is to be saved of a workspace. `paths`: sorted files, as bytes relative to it. `fresh`: those that
    are not as they were last seen, None when gone meanwhile. `begun`: ns since 1970, before the first look.
    `beyond`: how many files there are more than are ever saved."""

    paths: list[bytes]
    fresh: dict[bytes, os.stat_result | None]
    begun: int
    beyond: int = 0


def compare(workspace: Path, empty_repo: Path, seen: Seen, ours: bytes = b"") -> Listing:
    """List tracked and unignored files below `workspace`, and look which differ from what was `seen`.

    `empty_repo`: a bare repository of ours, used where no repository is. `ours`: a folder in the workspace
    that is not listed, with its slash. Raises GitError, OSError."""
    begun = time.time_ns()
    with Tree(workspace) as tree, ThreadPoolExecutor(1) as beside:
        # While git reads the folders, we look at the files that were there last time: mostly they still are.
        top = beside.submit(_names, workspace, empty_repo, top=True)
        fresh = _look(tree, seen)
        names = top.result()
        if ours:
            names = [name for name in names if not name.startswith(ours)]
        if names != seen.paths:  # in order already, unless some are tracked and others not
            names = sorted(set(names))
        if names == seen.paths and not any(map(_is_folder, fresh.values())):
            return Listing(seen.paths, fresh, begun)
        known = frozenset(seen.paths)
        paths = sorted(_files(tree, workspace, empty_repo, names, known, fresh))
    there = set(paths[:MOST_FILES])
    fresh = {path: found for path, found in fresh.items() if path in there}
    return Listing(paths[:MOST_FILES], fresh, begun, max(0, len(paths) - MOST_FILES))


def ours_in(workspace: Path, state: Path) -> bytes:
    """Our own `state` as a folder in the workspace, with its slash, empty where it is not in there: each
    snapshot would hold the one before."""
    ours = os.path.relpath(state.resolve(), workspace.resolve())
    return b"" if ours.startswith("..") else os.fsencode(ours) + b"/"


def _is_folder(found: os.stat_result | None) -> bool:
    return found is not None and stat.S_ISDIR(found.st_mode)


def _look(tree: Tree, seen: Seen) -> dict[bytes, os.stat_result | None]:
    fresh: dict[bytes, os.stat_result | None] = {}
    for start, folder, names in seen.runs():
        fd = tree.within(folder)
        look = partial(os.stat, dir_fd=fd, follow_symlinks=False)
        known = seen.marks[start : start + len(names)]
        try:
            # In one go for each folder, since this is most of what a snapshot costs.
            found = list(map(look, names)) if fd is not None else []
        except OSError:
            found = []
        if found and list(map(mark_of, found)) == known:
            continue
        looks: Iterable[os.stat_result | None] = found or (_stat(tree, folder + name) for name in names)
        for name, one, before in zip(names, looks, known, strict=True):
            if one is None or mark_of(one) != before:
                fresh[folder + name] = one
    return fresh


def _files(
    tree: Tree, workspace: Path, empty_repo: Path, names: Iterable[bytes], known: Container[bytes],
    fresh: dict[bytes, os.stat_result | None],
) -> set[bytes]:  # fmt: skip
    """All files below these names, in nested repositories too; of those that are new, how they look."""
    found: set[bytes] = set()
    todo: list[tuple[bytes, Iterable[bytes], int]] = [(b"", names, DEEPEST)]
    while todo:
        prefix, inner, depth = todo.pop()
        for name in inner:
            path = prefix + name.rstrip(b"/")
            if not _can_stand(name) or len(found) >= 2 * MOST_FILES:
                continue
            if path not in known and path not in fresh:
                fresh[path] = _stat(tree, path)
            if not _is_folder(fresh.get(path)):
                found.add(path)
            elif depth:
                folder = workspace / os.fsdecode(path)
                todo.append((path + b"/", _names(folder, empty_repo, top=False), depth - 1))
    return found


def _can_stand(name: bytes) -> bool:
    """Whether a snapshot can hold a file of that name. An index that was tampered with may say anything: no
    snapshot could be taken, or none be restored, for one name that leads outside."""
    return _NEVER.isdisjoint(name.rstrip(b"/").split(b"/"))


def _stat(tree: Tree, path: bytes) -> os.stat_result | None:
    folder = tree.within(path)
    try:
        name = path.rpartition(b"/")[2]
        return os.stat(name, dir_fd=folder, follow_symlinks=False) if folder is not None else None
    except OSError:
        return None


def _names(folder: Path, empty_repo: Path, *, top: bool) -> list[bytes]:
    """What git lists in `folder`; nested repositories come as one name, with or without a slash."""
    home, readable = _repository(folder, upward=top), not _is_pipe(folder / ".gitignore")
    if home is not None and readable:
        try:
            if home == folder or not _ignores(home, folder, empty_repo):
                return _ls_files(home / ".git", home, folder, empty_repo, tracked=True)
        except GitError:
            pass  # a broken repository: its files are still files
    if readable:
        try:
            return _ls_files(empty_repo, folder, folder, empty_repo, tracked=False)
        except GitError as why:
            log.warning("%s: what git should ignore in it cannot be read, so all is saved: %s", folder, why)
    return _ls_files(empty_repo, folder, folder, empty_repo, tracked=False, rules=False)


def _is_pipe(path: Path) -> bool:
    """git would wait for whoever writes into it."""
    try:
        return stat.S_ISFIFO(path.lstat().st_mode)
    except OSError:
        return False


def _ignores(repository: Path, folder: Path, home: Path) -> bool:
    """Whether all of `folder` is ignored, as the one that agents work in often is. That keeps what is in
    there out of the repository around it; it does not say that nothing of it is work."""
    argv = [f"--git-dir={repository / '.git'}", f"--work-tree={repository}", "check-ignore", "-z", "--stdin"]
    name = os.fsencode(f"./{folder.relative_to(repository)}\0")
    # check-ignore refuses to work under it; the path does not begin with a magic word.
    env = {"GIT_LITERAL_PATHSPECS": "0"}
    return bool(git(argv, home=home, cwd=repository, stdin=name, fine=(0, 1), env=env))


def _ls_files(
    git_dir: Path, tree: Path, folder: Path, home: Path, *, tracked: bool, rules: bool = True
) -> list[bytes]:
    wanted = ["-c", "-o"] if tracked else ["-o"]
    wanted += ["--exclude-standard"] if rules else []
    index = {} if tracked else {"GIT_INDEX_FILE": str(home / "no-such-index")}
    argv = [f"--git-dir={git_dir}", f"--work-tree={tree}", "ls-files", "-z", *wanted]
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
        self._fds = [os.open(root, _FOLDER & ~os.O_NOFOLLOW)]
        self._parts: list[bytes] = []

    def within(self, path: bytes) -> int | None:
        """A descriptor of the folder that holds `path`, valid until the next call; None behind a link."""
        wanted = path.split(b"/")[:-1]
        same = 0
        for one, other in zip(wanted, self._parts, strict=False):
            if one != other:
                break
            same += 1
        while len(self._parts) > same:
            self._parts.pop()
            os.close(self._fds.pop())
        for part in wanted[same:]:
            try:
                self._fds.append(os.open(part, _FOLDER, dir_fd=self._fds[-1]))
            except OSError:
                return None
            self._parts.append(part)
        return self._fds[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for fd in self._fds:
            os.close(fd)
