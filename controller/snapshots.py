"""The content of a workspace at a moment, in a bare repository of ours (contract.md section 4).

The user's repositories are only listed (`ls-files`), never written: no index, ref or stash of theirs is
touched. The bytes are read by us and streamed to `git fast-import`, so that no filter, hook or line-ending
rule can change them and any name fits; nested repositories are held as the files they are."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import blobs
from .git import GitError, git
from .listing import listed

MOST_DIFF = 200_000
_COMMIT = re.compile(r"[0-9a-f]{40}")
_AGENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_REF = "refs/snapshots/"


class SnapshotError(Exception):
    """No snapshot could be taken or read; the message says why. The workspace was not touched."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`changed`: paths that differ from the agent's snapshot before this one (none for the first).

    `skipped`: paths left out because they are unreadable or too large."""

    commit: str
    changed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


class Snapshots:
    """Snapshots of all agents of one fleet, one bare repository each. Thread-safe."""

    def __init__(
        self, root: Path, *, most_file: int = 20 << 20, most_total: int = 1 << 30, timeout: float = 60.0
    ) -> None:
        self._root = root
        self._most_file = most_file
        self._most_total = most_total
        self._timeout = timeout
        self._locks: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()

    def take(self, agent: str, workspace: Path) -> Snapshot:
        """Save what the workspace holds now; if nothing changed, the commit before. Raises SnapshotError."""
        with self._agent(agent) as home:
            before = self._newest(home)
            paths = listed(workspace, home)
            limits = blobs.Limits(self._most_file, self._most_total)
            known = blobs.recall(home, workspace)
            try:
                taken = self._import(home, blobs.Reading(workspace, paths, known, limits))
            except GitError:
                if not known:
                    raise
                # A remembered blob may be gone; reading everything anew is always right.
                taken = self._import(home, blobs.Reading(workspace, paths, {}, limits))
            commit, reading = taken
            blobs.remember(home, workspace, reading.seen)
            skipped = tuple(os.fsdecode(path) for path in reading.skipped)
            changed = self._changed(home, before, commit) if before else ()
            if before and not changed:
                return Snapshot(before, (), skipped)
            self._git(home, "update-ref", f"{_REF}{self._next_number(home):08d}", commit)
            return Snapshot(commit, changed, skipped)

    def changed(self, agent: str, since: str) -> tuple[str, ...]:
        """Paths that differ between commit `since` and the newest snapshot. Raises SnapshotError."""
        with self._agent(agent) as home:
            newest = self._newest(home)
            return self._changed(home, _checked(since), newest) if newest else ()

    def diff(self, agent: str, old: str, new: str, max_bytes: int = MOST_DIFF) -> str:
        """A unified diff of two snapshots, cut after `max_bytes`; binary files are only named."""
        return self._diff(agent, ["-p"], old, new, max_bytes)

    def diff_stat(self, agent: str, old: str, new: str, max_bytes: int = 4_000) -> str:
        """One line per changed file and a sum, as `git diff --stat` prints it."""
        return self._diff(agent, ["--stat=100"], old, new, max_bytes)

    def newest(self, agent: str) -> str | None:
        """The agent's newest snapshot, or None."""
        with self._agent(agent) as home:
            return self._newest(home)

    def restore(self, agent: str, commit: str, to: Path) -> int:
        """Write a snapshot into `to`, a folder that is new or empty; returns the number of files.

        Never into a workspace that holds anything: what is there stays. Raises SnapshotError."""
        with self._agent(agent) as home:
            try:
                to.mkdir(mode=0o700, parents=True, exist_ok=True)
                if to.is_symlink() or any(to.iterdir()):
                    raise SnapshotError(f"{to} is not empty; name a new folder to restore into")
                entries = self._git(home, "ls-tree", "-r", "-z", "--full-tree", _checked(commit)).split(b"\0")
                return blobs.write_out(home, [entry for entry in entries if entry], to, self._timeout)
            except OSError as why:
                raise SnapshotError(f"cannot restore into {to}: {why.strerror}") from None

    def trim(self, agent: str, *, keep: int = 50) -> int:
        """Drop all but the newest `keep` snapshots and the space of the others; returns how many went."""
        with self._agent(agent) as home:
            refs = self._refs(home)
            old = refs[: max(0, len(refs) - max(1, keep))]
            if not old:
                return 0
            orders = "".join(f"delete {ref}\0\0" for ref, _ in old).encode()
            self._git(home, "update-ref", "-z", "--stdin", stdin=orders)
            self._git(home, "repack", "-a", "-d", "-q")
            self._git(home, "prune", "--expire=now")
            return len(old)

    @contextlib.contextmanager
    def _agent(self, agent: str) -> Generator[Path]:
        """The agent's repository, made if missing, for us alone; every failure leaves as SnapshotError."""
        if not _AGENT.fullmatch(agent):
            raise SnapshotError(f"{agent!r} is not the name of an agent")
        with self._guard:
            lock = self._locks.setdefault(agent, threading.RLock())
        with lock:
            try:
                yield self._repository(self._root / f"{agent}.git")
            except GitError as why:
                raise SnapshotError(str(why)) from None
            except OSError as why:
                raise SnapshotError(f"the snapshots of {agent} cannot be used: {why}") from None

    def _repository(self, home: Path) -> Path:
        if not (home / "HEAD").exists():
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            git(["init", "-q", "--bare", "--template=", "--object-format=sha1", str(home)], home=self._root)
            (home / "info").mkdir(mode=0o700, exist_ok=True)
            blobs.write_private(home / "info" / "attributes", "* -text -filter -ident\n")
        return home

    def _import(self, home: Path, reading: blobs.Reading) -> tuple[str, blobs.Reading]:
        self._git(home, "fast-import", "--quiet", "--force", "--date-format=raw", stdin=reading.stream())
        return self._git(home, "rev-parse", "--verify", blobs.DRAFT).decode().strip(), reading

    def _changed(self, home: Path, old: str, new: str) -> tuple[str, ...]:
        output = self._git(home, "diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new)
        return tuple(os.fsdecode(name) for name in output.split(b"\0") if name)

    def _diff(self, agent: str, how: list[str], old: str, new: str, max_bytes: int) -> str:
        with self._agent(agent) as home:
            output = self._git(home, "diff-tree", *how, "--no-ext-diff", "--no-textconv", "--no-color",
                               "--no-commit-id", _checked(old), _checked(new), most=max_bytes)  # fmt: skip
            text = output[:max_bytes].decode("utf-8", "replace")
            return text + f"\n... cut after {max_bytes} bytes\n" if len(output) > max_bytes else text

    def _newest(self, home: Path) -> str | None:
        refs = self._refs(home)
        return refs[-1][1] if refs else None

    def _next_number(self, home: Path) -> int:
        refs = self._refs(home)
        return int(refs[-1][0].removeprefix(_REF)) + 1 if refs else 1

    def _refs(self, home: Path) -> list[tuple[str, str]]:
        lines = self._git(home, "for-each-ref", "--sort=refname", "--format=%(refname) %(objectname)", _REF)
        return [
            (ref, commit) for ref, _, commit in (line.partition(" ") for line in lines.decode().splitlines())
        ]

    def _git(
        self, home: Path, *args: str, stdin: Iterator[bytes] | bytes = b"", most: int | None = None
    ) -> bytes:
        return git([f"--git-dir={home}", *args], home=home, stdin=stdin, most=most, timeout=self._timeout)


def _checked(commit: str) -> str:
    if not _COMMIT.fullmatch(commit):
        raise SnapshotError(f"{commit!r} is not the name of a snapshot")
    return commit
