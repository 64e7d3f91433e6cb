"""Which changed paths say nothing of an agent's work: caches, git's internals, ignored files, our own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from .git import GitError, git
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
REMEMBER = 30.0
MOST_REMEMBERED = 20_000
TIMEOUT = 5.0


def trivial(parts: Iterable[str]) -> bool:
    """Whether a path, as its parts below the workspace, is noise whatever git says."""
    names = list(parts)
    return not names or not FOLDERS.isdisjoint(names) or names[-1] == MARKER or names[-1].endswith(ENDINGS)


class GitIgnores:
    """Asks `git check-ignore` in batches and remembers the answers for a while. One thread calls it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._answers: dict[tuple[str, str], tuple[bool, float]] = {}
        self._lock = threading.Lock()

    def forget(self, root: str) -> None:
        """A rule file below `root` changed."""
        with self._lock:
            self._answers = {key: value for key, value in self._answers.items() if key[0] != root}

    def kept(self, root: str, paths: Iterable[str]) -> list[str]:
        """Those of `paths`, relative to `root`, that git does not ignore; all of them when git cannot say."""
        wanted = list(dict.fromkeys(paths))
        now = time.monotonic()
        with self._lock:
            if len(self._answers) > MOST_REMEMBERED:
                self._answers.clear()
            known = {
                path: answer
                for path in wanted
                if (answer := self._answers.get((root, path))) and answer[1] > now
            }
        unknown = [path for path in wanted if path not in known]
        ignored = self._ask(root, unknown) if unknown else set()
        with self._lock:
            for path in unknown:
                self._answers[root, path] = (path in ignored, now + REMEMBER)
        return [path for path in wanted if not (known[path][0] if path in known else path in ignored)]

    def _ask(self, root: str, paths: list[str]) -> set[str]:
        place = next(
            (above for above in (Path(root), *Path(root).parents) if (above / ".git").exists()), None
        )
        if place is None:
            return set()
        asked = b"".join(os.fsencode(f"./{path}") + b"\0" for path in paths)
        try:
            answer = git(
                [f"--git-dir={place / '.git'}", f"--work-tree={place}", "check-ignore", "-z", "--stdin"],
                home=self._home,
                cwd=Path(root),
                stdin=asked,
                timeout=TIMEOUT,
                fine=(0, 1),
            )
        except (GitError, OSError):
            return set()
        return {os.fsdecode(path).removeprefix("./") for path in answer.split(b"\0") if path}
