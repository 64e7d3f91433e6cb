"""What it costs to save a workspace, beside git doing what comes nearest in the same run.

    .venv/bin/python bench/snapshot.py [--files 10000] [--changed 10] [--rounds 15]

Two workspaces of FILES files each: one that is no repository, and one that is, with everything committed. In
each round CHANGED other files are appended to, and then both, in changing order, look at the same change:
`ours`, a snapshot by controller/checkpoints/snapshots.py as the daemon takes it, and `git`, that is `git add
-A` and `git write-tree` of the same folder with an index of its own, as one would save it by hand. Then both
again with nothing changed, and before all that both for the first time. Milliseconds; `ratio` is that of the
medians. Ours is durable when it returns (the pack is synced) and reads no configuration of the user's; git's
is neither.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hhmrs.bench.room import room
from hhmrs.controller.checkpoints.snapshots import Snapshots

A_FOLDER = 25
"""Files in one folder."""
SETTLE = 2.1
"""Seconds until no file is so young that it must be read again."""
LIMIT = 1.5


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--files", type=int, default=10_000)
    options.add_argument("--changed", type=int, default=10)
    options.add_argument("--rounds", type=int, default=15)
    given = options.parse_args()
    print(json.dumps(measured(given.files, given.changed, given.rounds), indent=2))


def measured(files: int, changed: int, rounds: int) -> dict[str, Any]:
    """The whole document. `holds`: whether every `ratio` with changed files is at most LIMIT."""
    document: dict[str, Any] = {"files": files, "changed": changed, "rounds": rounds, "limit": LIMIT}
    with room() as place:
        for name, repository in (("without .git", False), ("with .git", True)):
            document[name] = _Pair(place / name.replace(" ", "-"), files, repository=repository).run(
                changed, rounds
            )
    document["holds"] = all(document[n]["ten"]["ratio"] <= LIMIT for n in ("without .git", "with .git"))
    return document


class _Pair:
    """One workspace that is saved by both. `repository`: it is the user's own as well."""

    def __init__(self, place: Path, files: int, *, repository: bool) -> None:
        self.work, self.index = place / "work", place / "index"
        self.by_git = place / "by-git.git"
        self.files = [_path(self.work, number) for number in range(files)]
        for number, path in enumerate(self.files):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# {number}\n" + "value = 1\n" * (20 + number % 200))
        if repository:
            self._git("init", "-q", str(self.work))
            who = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
            self._git("-C", str(self.work), "add", "-A")
            self._git("-C", str(self.work), *who, "commit", "-qm", "all")
        self._git("init", "-q", "--bare", str(self.by_git))
        self.snapshots = Snapshots(place / "snapshots")
        time.sleep(SETTLE)

    def run(self, changed: int, rounds: int) -> dict[str, Any]:
        first = self._both(0)
        time.sleep(SETTLE)
        self._both(0)  # whatever was too young is known by now
        same = [self._both(number) for number in range(rounds)]
        ten = []
        for number in range(rounds):
            for step in range(changed):
                with self.files[(number * 997 + step * 101) % len(self.files)].open("a") as file:
                    file.write(f"changed = {number}\n")
            ten.append(self._both(number))
        return {"first": _summed([first]), "unchanged": _summed(same), "ten": _summed(ten)}

    def _both(self, number: int) -> tuple[float, float]:
        """Milliseconds of ours, and of git's."""
        if number % 2:
            theirs = _timed(self._add_and_write)
            return _timed(self._take), theirs
        return _timed(self._take), _timed(self._add_and_write)

    def _take(self) -> None:
        self.snapshots.take("worker", self.work)

    def _add_and_write(self) -> None:
        where = (f"--git-dir={self.by_git}", f"--work-tree={self.work}")
        self._git(*where, "add", "-A", cwd=self.work, index=self.index)
        self._git(*where, "write-tree", cwd=self.work, index=self.index)

    def _git(self, *words: str, cwd: Path | None = None, index: Path | None = None) -> None:
        environ = {"PATH": os.environ["PATH"], "HOME": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        if index is not None:
            environ["GIT_INDEX_FILE"] = str(index)
        subprocess.run(["git", *words], cwd=cwd, env=environ, check=True, stdout=subprocess.DEVNULL)


def _path(root: Path, number: int) -> Path:
    folder = number // A_FOLDER
    return root / f"package{folder // 20:02d}" / f"module{folder % 20:02d}" / f"file_{number:05d}.py"


def _timed(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def _summed(pairs: list[tuple[float, float]]) -> dict[str, float]:
    ours, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
    return {"ours_ms": round(ours, 1), "git_ms": round(theirs, 1), "ratio": round(ours / theirs, 2)}


if __name__ == "__main__":
    main()
