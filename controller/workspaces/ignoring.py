"""Which changed paths say nothing of an agent's work: caches, git's internals, ignored files, our own.

`.git` is not watched: a commit changes no file of the workspace, and what it holds was seen
when it was written."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from ..git import GitError, git
from .marker import NAME as MARKER

FOLDERS = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".jj",
        "node_modules",
        "__pycache__",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".hypothesis",
        ".cache",
        ".venv",
        "venv",
        ".tox",
        ".nox",
        ".eggs",
        ".gradle",
        ".terraform",
        ".next",
        ".nuxt",
        ".turbo",
        ".parcel-cache",
        ".idea",
        ".vscode",
        ".direnv",
        ".import_linter_cache",
    }
)
ENDINGS = (".pyc", ".pyo", ".swp", ".swx", ".swo", "~", ".lock.tmp")
RULES = frozenset({".gitignore", ".git"})
"""Names whose coming, going or changing makes other rules of ignoring hold."""
REMEMBER = 60.0
MOST_REMEMBERED = 20_000
AT_ONCE = 500
"""Folders whose inner ones git is asked about in one call."""
TIMEOUT = 5.0
SLOW = 1.0
SHUNNED = 60.0
"""A repository that let us wait for longer than SLOW seconds is not asked again for so many times as long: a
pipe that stands where git looks for rules must not keep all other workspaces waiting."""
NO_HOME = Path(os.devnull)
"""Nothing can be configured below a device."""
_FOLDER_NAMES = frozenset(map(os.fsencode, FOLDERS))
_ENDING_NAMES = tuple(map(os.fsencode, ENDINGS))
_MARKER_NAME = os.fsencode(MARKER)


def trivial(parts: Iterable[str]) -> bool:
    """Whether a path, as its parts below the workspace, is noise whatever git says."""
    names = list(parts)
    return not names or not FOLDERS.isdisjoint(names) or names[-1] == MARKER or names[-1].endswith(ENDINGS)


def skipped_folder(name: bytes) -> bool:
    """Whether a folder of that name is noise whatever git says."""
    return name in _FOLDER_NAMES


def noisy_file(name: bytes) -> bool:
    """Whether a file of that name is noise whatever git says."""
    return name == _MARKER_NAME or name.endswith(_ENDING_NAMES)


Answers = dict[tuple[str, str], tuple[bool, float]]
"""Repository and path -> whether it is ignored, and until when that may be believed."""


class GitIgnores:
    """Asks git in batches and remembers its answers for a while. For one thread.

    Paths are absolute. The rules that hold for one are those of the innermost repository or worktree around
    it; whoever is told of a change to those rules calls `forget`."""

    def __init__(self) -> None:
        self._answers: Answers = {}
        self._repositories: dict[str, str | None] = {}
        self._shunned: dict[str, float] = {}

    def forget(self, changed: str) -> None:
        """The rules, or the repository, that this file belongs to are no longer what they were."""
        self._repositories.clear()
        place = os.path.dirname(changed)
        self._answers = {key: value for key, value in self._answers.items() if not _around(key[0], place)}

    def repository(self, folder: str) -> str | None:
        """The innermost folder at or above this one that holds `.git`."""
        if len(self._repositories) > MOST_REMEMBERED:
            self._repositories.clear()
        passed = []
        at: str | None = folder
        while at is not None and at not in self._repositories:
            passed.append(at)
            if os.path.lexists(os.path.join(at, ".git")):
                self._repositories[at] = at
                break
            above = os.path.dirname(at)
            at = above if above != at else None
        found = self._repositories[at] if at is not None else None
        self._repositories.update(dict.fromkeys(passed, found))
        return found

    def folders(self, root: str) -> set[str]:
        """The outermost folders below `root` that git ignores, by whatever repository they lie in."""
        found: set[str] = set()
        unasked: list[str] = []
        todo = deque([root])
        # Broad before deep, so that of a large ignored tree not much is seen before git has named its top.
        while todo:
            folder = todo.popleft()
            inner = self._folders_in(folder)
            unasked += inner
            todo += inner
            if unasked and (len(unasked) >= AT_ONCE or not todo):
                ignored = self._find_ignored(unasked, {}, root)
                found |= ignored
                todo = deque(place for place in todo if place not in ignored)
                unasked = []
        return {place for place in found if os.path.dirname(place) not in found}

    def _folders_in(self, folder: str) -> list[str]:
        try:
            with os.scandir(folder) as entries:
                found = [e for e in entries if e.is_dir(follow_symlinks=False) or e.name == ".git"]
        except OSError:
            return []
        inner = [entry.path for entry in found if entry.name not in FOLDERS]
        if any(entry.name == ".git" for entry in found):
            self._repositories[folder] = folder
        elif (above := os.path.dirname(folder)) in self._repositories:
            self._repositories[folder] = self._repositories[above]
        return inner

    def ignored(self, paths: Iterable[str], root: str = "") -> set[str]:
        """Those of `paths` that git ignores; none of those of which it cannot say.

        `root`: the workspace that they lie in. Where the repository around it ignores all of it, as one does
        with a folder that agents are given to work in, its rules say nothing of what is work in there."""
        if len(self._answers) > MOST_REMEMBERED:
            self._answers.clear()
        return self._find_ignored(paths, self._answers, root)

    def _find_ignored(self, paths: Iterable[str], known: Answers, root: str) -> set[str]:
        now = time.monotonic()
        found: set[str] = set()
        unknown: dict[str, list[str]] = {}
        for path in dict.fromkeys(paths):
            top = self.repository(os.path.dirname(path))
            if top is None or path == top:
                continue
            answer = known.get((top, path))
            if answer is None or answer[1] < now:
                unknown.setdefault(top, []).append(path)
            elif answer[0]:
                found.add(path)
        for top, asked in unknown.items():
            ignored = set() if self._is_ignored_whole(top, root) else self._ask(top, asked)
            found |= ignored
            known.update({(top, path): (path in ignored, now + REMEMBER) for path in asked})
        return found

    def _is_ignored_whole(self, top: str, root: str) -> bool:
        if not root.startswith(f"{top.rstrip('/')}/"):
            return False
        answer, now = self._answers.get((top, root)), time.monotonic()
        if answer is None or answer[1] < now:
            answer = self._answers[top, root] = (root in self._ask(top, [root]), now + REMEMBER)
        return answer[0]

    def _ask(self, top: str, paths: list[str]) -> set[str]:
        began = time.monotonic()
        if began < self._shunned.get(top, 0.0):
            return set()
        names = [f"./{path[len(top) :].lstrip('/')}" for path in paths]
        asked = b"".join(os.fsencode(name) + b"\0" for name in names)
        try:
            answer = git(
                [*_at(top), "check-ignore", "-z", "--stdin"],
                home=NO_HOME,
                cwd=Path(top),
                stdin=asked,
                timeout=TIMEOUT,
                fine=(0, 1),
                # check-ignore refuses to work under it; no path given to it begins with a magic word.
                env={"GIT_LITERAL_PATHSPECS": "0"},
            )
        except (GitError, OSError):
            took = time.monotonic() - began
            if took > SLOW:
                self._shunned[top] = began + took * SHUNNED
            return set()
        said = {os.fsdecode(name) for name in answer.split(b"\0") if name}
        return {path for path, name in zip(paths, names, strict=True) if name in said}


def _at(top: str) -> list[str]:
    return [f"--git-dir={os.path.join(top, '.git')}", f"--work-tree={top}"]


def _around(top: str, place: str) -> bool:
    """Whether one of the two folders holds the other."""
    return top == place or place.startswith(f"{top}/") or top.startswith(f"{place}/")
