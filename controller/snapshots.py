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
MOST_PACKS = 100
"""Each snapshot adds one; with more, every look into the repository becomes slower."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NUMBER = re.compile(r"[0-9]{8}")
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
            number, before = self._last(home)
            paths = self._not_ours(workspace, listed(workspace, home))
            limits = blobs.Limits(self._most_file, self._most_total)
            known, held_by = blobs.recall(home, workspace)
            reading = blobs.Reading(workspace, paths, known, limits)
            if before and before == held_by and reading.unchanged():
                return Snapshot(before)
            try:
                commit = self._import(home, reading)
            except GitError:
                if not known:
                    raise
                # A remembered blob may be gone; reading everything anew is always right.
                reading = blobs.Reading(workspace, paths, {}, limits)
                commit = self._import(home, reading)
            skipped = tuple(os.fsdecode(path) for path in reading.skipped)
            changed = self._changed(home, before, commit) if before else ()
            if before and not changed:
                blobs.remember(home, reading, before)
                return Snapshot(before, (), skipped)
            self._git(home, "update-ref", f"{_REF}{number + 1:08d}", commit)
            blobs.remember(home, reading, commit)
            return Snapshot(commit, changed, skipped)

    def _not_ours(self, workspace: Path, paths: list[bytes]) -> list[bytes]:
        """Without our own state, should it lie in there: each snapshot would hold the one before."""
        ours = os.fsencode(os.path.relpath(self._root.parent.parent.resolve(), workspace.resolve())) + b"/"
        return [path for path in paths if not path.startswith(ours)]

    def changed(self, agent: str, since: str) -> tuple[str, ...]:
        """Paths that differ between commit `since` and the newest snapshot. Raises SnapshotError."""
        with self._agent(agent) as home:
            newest = self._last(home)[1]
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
            return self._last(home)[1]

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
            packs = [name for name in os.listdir(home / "objects" / "pack") if name.endswith(".pack")]
            if not old and len(packs) <= MOST_PACKS:
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

    def _import(self, home: Path, reading: blobs.Reading) -> str:
        # As packs: git syncs a pack, but not the loose objects into which it would take a small one apart.
        words = ["-c", "fastimport.unpackLimit=1", "fast-import", "--quiet", "--force", "--date-format=raw"]
        return _checked(self._git(home, *words, stdin=reading.stream()).decode("ascii", "replace").strip())

    def _changed(self, home: Path, old: str, new: str) -> tuple[str, ...]:
        output = self._git(home, "diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new)
        return tuple(os.fsdecode(name) for name in output.split(b"\0") if name)

    def _diff(self, agent: str, how: list[str], old: str, new: str, max_bytes: int) -> str:
        with self._agent(agent) as home:
            output = self._git(home, "diff-tree", *how, "--no-ext-diff", "--no-textconv", "--no-color",
                               "--no-commit-id", _checked(old), _checked(new), most=max_bytes)  # fmt: skip
            text = output[:max_bytes].decode("utf-8", "replace")
            return text + f"\n... cut after {max_bytes} bytes\n" if len(output) > max_bytes else text

    def _last(self, home: Path) -> tuple[int, str | None]:
        """Number and commit of the newest snapshot; (0, None) before the first."""
        plain = _plain_ref(home)
        if plain is not None:
            return plain
        refs = self._refs(home)
        return (int(refs[-1][0].removeprefix(_REF)), refs[-1][1]) if refs else (0, None)

    def _refs(self, home: Path) -> list[tuple[str, str]]:
        lines = self._git(home, "for-each-ref", "--sort=refname", "--format=%(refname) %(objectname)", _REF)
        return [
            (ref, commit) for ref, _, commit in (line.partition(" ") for line in lines.decode().splitlines())
        ]

    def _git(
        self, home: Path, *args: str, stdin: Iterator[bytes] | bytes = b"", most: int | None = None
    ) -> bytes:
        return git([f"--git-dir={home}", *args], home=home, stdin=stdin, most=most, timeout=self._timeout)


def _plain_ref(home: Path) -> tuple[int, str] | None:
    """What `_last` says, without git where refs are plain files; None where only git can tell."""
    if (home / "packed-refs").exists() or (home / "reftable").exists():
        return None
    try:
        name = max(name for name in os.listdir(home / _REF) if _NUMBER.fullmatch(name))
        commit = (home / _REF / name).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return (int(name), commit) if _COMMIT.fullmatch(commit) else None


def _checked(commit: str) -> str:
    if not _COMMIT.fullmatch(commit):
        raise SnapshotError(f"{commit!r} is not the name of a snapshot")
    return commit
