"""The content of a workspace at a moment, in a bare repository of ours (contract.md section 4).

The user's repositories are only listed (`ls-files`), never written: no index, ref or stash of theirs is
touched. The bytes are read by us and streamed to `git fast-import`, so that no filter, hook or line-ending
rule can change them and any name fits; nested repositories are held as the files they are. Only what differs
from the snapshot before is read and streamed (seen.py says how that is known)."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import threading
import time
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...config.sizes import format_size
from ..git import GitError, git
from .blobs import Limits, Reading, commit_onto
from .listing import MOST_FILES, compare, ours_in
from .refs import PREFIX, newest_plain, next_name, sweep
from .restoring import entries_of, write_out
from .seen import Recollection, Seen

MOST_DIFF = 200_000
PACE = 4_000_000
"""Bytes a second that git takes even on a busy machine: so much longer it may take for many of them. Without
that, a large workspace would never be saved: each time all of it would be begun anew, and be cut off."""
MOST_PACKS = 100
"""Each snapshot adds one; with more, every look into the repository becomes slower."""
MOST_BEGUN = 10
"""Attempts of which it is remembered what the workspace held when they began."""
NAMED = 3
"""Files that were left out are named up to this many of each kind."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_AGENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class SnapshotError(Exception):
    """No snapshot could be taken or read; the message says why. The workspace was not touched."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`changed`: paths that differ from the agent's snapshot before this one (none for the first).

    `skipped`: paths left out because they are unreadable or too large; `unsaved` says so in words."""

    commit: str
    changed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    unsaved: str = ""


class Snapshots:
    """Snapshots of all agents of one fleet, one bare repository each. Thread-safe.

    `most_file` and `most_total` bound, in bytes, what is taken where the taker says nothing else."""

    def __init__(
        self, root: Path, *, most_file: int = 10_000_000, most_total: int = 2_000_000_000,
        timeout: float = 60.0,
    ) -> None:  # fmt: skip
        self._root = root.absolute()
        self._limits = Limits(most_file, most_total)
        self._timeout = timeout
        self._recollection = Recollection()
        self._locks: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()

    def take(self, agent: str, workspace: Path, limits: Limits | None = None) -> Snapshot:
        """Save what the workspace holds now; if nothing changed, the commit before. Raises SnapshotError."""
        with self._agent(agent) as home:
            number, before = self._last(home)
            seen = self._recollection.recall(home, workspace, before)
            reading = self._read(home, workspace, seen, limits)
            try:
                return self._keep(home, reading, number, before)
            except GitError:
                if not seen.commit:
                    raise
                # Something of the snapshot before may be gone; reading everything anew is always right.
                reading = self._read(home, workspace, Seen(os.fspath(workspace)), limits)
                return self._keep(home, reading, number, before)

    def _read(self, home: Path, workspace: Path, seen: Seen, limits: Limits | None) -> Reading:
        listing = compare(workspace, home, seen, ours_in(workspace, self._root.parent.parent))
        return Reading(workspace, listing, seen, limits or self._limits)

    def _keep(self, home: Path, reading: Reading, number: int, before: str | None) -> Snapshot:
        seen, changes = reading.seen, reading.changes()
        commit, tree = seen.commit, seen.tree
        first = next(changes, None)
        if first is not None or not commit:
            found = itertools.chain([] if first is None else [first], changes)
            stream = commit_onto(next_name(home, number), tree, found)
            commit, tree = self._import(home, stream, self._timeout + reading.size() / PACE)
        if reading.news or commit != seen.commit:
            now = reading.now()
            now.commit, now.tree = commit, tree
            self._recollection.remember(home, now)
        else:
            self._recollection.keep(home, seen)
        if seen.commit or not before:
            changed = tuple(map(os.fsdecode, sorted(reading.changed))) if before else ()
        else:
            changed = self._changed(home, before, commit)
        left_out = sorted([*reading.large, *reading.beyond, *reading.unreadable])
        return Snapshot(commit, changed, tuple(map(os.fsdecode, left_out)), _unsaved(reading))

    def changed(self, agent: str, since: str) -> tuple[str, ...]:
        """Paths that differ between commit `since` and the newest snapshot. Raises SnapshotError."""
        with self._agent(agent) as home:
            newest = self._last(home)[1]
            return self._changed(home, checked(since), newest) if newest else ()

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

    def mark_begin(self, agent: str, attempt: int, commit: str) -> None:
        """Remember that `attempt` began with what `commit` holds. Raises SnapshotError."""
        with self._agent(agent) as home:
            begun = {attempt: checked(commit), **self._begun(home)}  # a daemon before us may have said so
            newest = dict(sorted(begun.items())[-MOST_BEGUN:])
            _write_private(home / "begun.json", json.dumps(newest))

    def begun(self, agent: str) -> dict[int, str]:
        """Attempt -> the snapshot it began with, of the newest attempts. Raises SnapshotError."""
        with self._agent(agent) as home:
            return self._begun(home)

    def _begun(self, home: Path) -> dict[int, str]:
        try:
            stored = json.loads((home / "begun.json").read_bytes())
            return {int(attempt): checked(commit) for attempt, commit in stored.items()}
        except (OSError, ValueError, TypeError, AttributeError, SnapshotError):
            return {}

    def listing(self, agent: str) -> list[tuple[str, float]]:
        """Commit and time (seconds since 1970) of each snapshot that is kept, newest first.

        Raises SnapshotError."""
        with self._agent(agent, make=False) as home:
            return [(commit, at) for _, commit, at in reversed(self._refs(home))]

    def restore(self, agent: str, commit: str, to: Path) -> tuple[int, int]:
        """Write a snapshot into `to`, a folder that is new or empty; returns the number of files and bytes.

        Never into a folder that holds anything: what is there stays. Raises SnapshotError."""
        with self._agent(agent, make=False) as home:
            entries = entries_of(home, checked(commit), self._timeout)
            try:
                to.mkdir(mode=0o700, parents=True, exist_ok=True)
                if to.is_symlink() or any(to.iterdir()):
                    raise SnapshotError(f"{to} is not empty; name a new folder to restore into")
                return write_out(home, entries, to, self._timeout)
            except OSError as why:
                raise SnapshotError(f"cannot restore all into {to}: {why.strerror}") from None

    def trim(
        self, agent: str, *, keep: int = 100, age: float | None = None, disk: int | None = None,
        held: Collection[str] = (),
    ) -> int:  # fmt: skip
        """Drop all but the newest `keep` snapshots, and those older than `age` seconds, but none of `held`;
        then the oldest ones until what is left takes at most `disk` bytes. The newest always stays.

        Gives the space of what is gone back; returns how many went. Raises SnapshotError."""
        with self._agent(agent) as home:
            sweep(home)
            refs = self._refs(home)
            barred = {*held, *self._begun(home).values()}
            since = time.time() - age if age is not None else 0.0
            old = [
                (ref, commit)
                for number, (ref, commit, at) in enumerate(refs[:-1], 1)
                if (number <= len(refs) - max(1, keep) or at < since) and commit not in barred
            ]
            packs = [name for name in os.listdir(home / "objects" / "pack") if name.endswith(".pack")]
            if old or len(packs) > MOST_PACKS:
                self._drop(home, [ref for ref, _ in old])
            return len(old) + (self._fit(home, disk) if disk is not None else 0)

    def _fit(self, home: Path, disk: int) -> int:
        dropped = 0
        while _size_of(home / "objects") > disk:
            refs = [ref for ref, _, _ in self._refs(home)]
            if len(refs) < 2:
                break
            old = refs[: len(refs) // 2]
            self._drop(home, old)
            dropped += len(old)
        return dropped

    def _drop(self, home: Path, refs: list[str]) -> None:
        orders = "".join(f"delete {ref}\0\0" for ref in refs).encode()
        self._git(home, "update-ref", "-z", "--stdin", stdin=orders)
        try:
            self._git(home, "repack", "-a", "-d", "-q")
        except GitError:
            # Something is missing in there; the next snapshot brings all of it anew.
            self._recollection.forget(home)
            raise
        self._git(home, "prune", "--expire=now")

    @contextlib.contextmanager
    def _agent(self, agent: str, *, make: bool = True) -> Generator[Path]:
        """The agent's repository, for us alone; every failure leaves as SnapshotError."""
        if not _AGENT.fullmatch(agent):
            raise SnapshotError(f"{agent!r} is not the name of an agent")
        with self._guard:
            lock = self._locks.setdefault(agent, threading.RLock())
        with lock:
            try:
                yield self._repository(self._root / f"{agent}.git", make)
            except GitError as why:
                raise SnapshotError(str(why)) from None
            except OSError as why:
                raise SnapshotError(f"the snapshots of {agent} cannot be used: {why}") from None

    def _repository(self, home: Path, make: bool) -> Path:
        attributes = home / "info" / "attributes"
        if not attributes.exists():  # written last: a repository without it was never finished
            if not make:
                raise SnapshotError(f"there are no snapshots in {home}")
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            git(["init", "-q", "--bare", "--template=", "--object-format=sha1", str(home)], home=self._root)
            attributes.parent.mkdir(mode=0o700, exist_ok=True)
            _write_private(attributes, "* -text -filter -ident\n")
        return home

    def _import(self, home: Path, stream: Iterator[bytes], timeout: float) -> tuple[str, str]:
        # As packs: git syncs a pack, but not the loose objects into which it would take a small one apart.
        # `--done`: were we killed in between, half a snapshot must not pass for a whole one.
        # Quickly: no file is compared with the one that was told before it, which is another one.
        how = ["fastimport.unpackLimit=1", "core.compression=1", "core.bigFileThreshold=1m"]
        words = [word for setting in how for word in ("-c", setting)]
        words += ["fast-import", "--quiet", "--done", "--date-format=raw", "--depth=0"]
        answer = self._git(home, *words, stdin=stream, timeout=timeout).decode("ascii", "replace").split()
        if len(answer) < 4:
            raise GitError("git fast-import did not say what it has stored")
        return checked(answer[0]), checked(answer[3])

    def _changed(self, home: Path, old: str, new: str) -> tuple[str, ...]:
        output = self._git(home, "diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new)
        return tuple(os.fsdecode(name) for name in output.split(b"\0") if name)

    def _diff(self, agent: str, how: list[str], old: str, new: str, max_bytes: int) -> str:
        with self._agent(agent, make=False) as home:
            output = self._git(home, "diff-tree", *how, "--no-ext-diff", "--no-textconv", "--no-color",
                               "--no-commit-id", checked(old), checked(new), most=max_bytes)  # fmt: skip
            text = output[:max_bytes].decode("utf-8", "replace")
            return text + f"\n... cut after {max_bytes} bytes\n" if len(output) > max_bytes else text

    def _last(self, home: Path) -> tuple[int, str | None]:
        """Number and commit of the newest snapshot; (0, None) before the first."""
        plain = newest_plain(home)
        if plain is not None:
            return plain
        refs = self._refs(home)
        return (int(refs[-1][0].removeprefix(PREFIX)), refs[-1][1]) if refs else (0, None)

    def _refs(self, home: Path) -> list[tuple[str, str, float]]:
        """Name, commit and time of each snapshot, oldest first."""
        form = "--format=%(refname) %(objectname) %(committerdate:unix)"
        try:
            lines = self._git(home, "for-each-ref", "--sort=refname", form, PREFIX).decode().splitlines()
        except GitError:
            self._drop_broken(home)
            lines = self._git(home, "for-each-ref", "--sort=refname", form, PREFIX).decode().splitlines()
        return [(ref, commit, float(at)) for ref, commit, at in (line.split(" ") for line in lines)]

    def _drop_broken(self, home: Path) -> None:
        """Forget the names of snapshots that are no longer there; the next one reads everything anew."""
        self._recollection.forget(home)
        lines = self._git(home, "for-each-ref", "--format=%(objectname) %(refname)", PREFIX).splitlines()
        answer = self._git(home, "cat-file", "--batch-check=%(objecttype)", stdin=b"".join(
            line.partition(b" ")[0] + b"\n" for line in lines))  # fmt: skip
        kinds = answer.splitlines()
        broken = [
            line.partition(b" ")[2] for line, kind in zip(lines, kinds, strict=True) if kind != b"commit"
        ]
        orders = b"".join(b"delete " + ref + b"\0\0" for ref in broken)
        self._git(home, "update-ref", "-z", "--stdin", stdin=orders)

    def _git(
        self, home: Path, *args: str, stdin: Iterator[bytes] | bytes = b"", most: int | None = None,
        timeout: float | None = None,
    ) -> bytes:  # fmt: skip
        words = [f"--git-dir={home}", *args]
        return git(words, home=home, stdin=stdin, most=most, timeout=timeout or self._timeout)


def _unsaved(reading: Reading) -> str:
    """What was left out and why, in one line; empty when nothing was. The names are quoted and bounded."""
    file, total = format_size(reading.limits.file), format_size(reading.limits.total)
    kinds = (
        (reading.large, f"larger than keep.file_size ({file})"),
        (reading.beyond, f"for which keep.total_size ({total}) has no room"),
        (reading.unreadable, "unreadable"),
    )
    said = [f"{len(paths)} {why}: {_named(paths)}" for paths, why in kinds if paths]
    if reading.listing.beyond:
        said.append(f"{reading.listing.beyond} beyond the first {MOST_FILES}")
    return f"not in the snapshot: {'; '.join(said)}" if said else ""


def _named(paths: list[bytes]) -> str:
    names = [ascii(path.decode("utf-8", "replace")[:100])[1:-1] for path in paths[:NAMED]]
    return ", ".join(names) + (", ..." if len(paths) > NAMED else "")


def _write_private(path: Path, text: str) -> None:
    """Write a file of ours that nobody else may read. Raises OSError."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(draft, new, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.rename(path)


def _size_of(folder: Path) -> int:
    """Bytes of the files below a folder of ours."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def checked(commit: str) -> str:
    """The name itself, if it is one of a snapshot. Raises SnapshotError."""
    if not _COMMIT.fullmatch(commit):
        raise SnapshotError(f"{commit!r} is not the name of a snapshot")
    return commit
