"""Checkpoints on disk: `checkpoints/<agent>/<seq>.json` (contract.md section 4).

Written to a temporary file, fsynced, renamed. The sha256 covers the canonical JSON of all other fields; a
file that does not match it is set aside as `<seq>.json.damaged` and the one before it serves."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...config.paths import StateDir
from ..ports import Checkpoint, Letter
from .snapshots import Snapshot

KEEP = 50
KEEP_DAMAGED = 10
MAX_BYTES = 8 << 20
MOST_CHANGED = 1_000
_NAME = re.compile(r"(\d{1,12})\.json")
_USED = re.compile(r"(\d{1,12})\.json(\.damaged)?")
_AGENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


Make = Callable[[Checkpoint | None, int], Checkpoint]
"""The newest checkpoint of the task and a number -> the checkpoint to be stored under it."""


class CheckpointDamaged(Exception):
    """The file does not hold what was stored; the message names it."""


class CheckpointStore:
    """Stores and finds checkpoints. Thread-safe; keeps the newest `keep` of each agent, or as `bound`."""

    def __init__(self, state_dir: StateDir, *, keep: int = KEEP) -> None:
        self._root = state_dir.checkpoints
        self._keep = max(2, keep)
        self._bounds: dict[str, tuple[int, float]] = {}
        self._locks: dict[str, threading.RLock] = {}

    def path_of(self, agent: str, seq: int) -> Path:
        """Where checkpoint `seq` lies, the value of HHMRS_CHECKPOINT. Raises ValueError on an unsafe name."""
        return self._folder(agent) / f"{seq:d}.json"

    def next_seq(self, agent: str) -> int:
        """One more than any sequence number ever used, damaged ones included; the first is 1."""
        with self._lock(agent):
            used = [int(m[1]) for name in self._names(agent) if (m := _USED.fullmatch(name))]
            return max(used, default=0) + 1

    def bound(self, agent: str, keep: int, age: float) -> None:
        """From now on keep `keep` of the agent's checkpoints, and none older than `age` seconds."""
        self._bounds[agent] = (max(2, keep), age)

    def store(self, checkpoint: Checkpoint) -> Path:
        """Write it durably and drop the oldest beyond the caps. Raises OSError."""
        with self._lock(checkpoint.agent):
            final = self._write(checkpoint, durable=True)
            self.trim(checkpoint.agent)
        return final

    def add(self, agent: str, task: str | None, make: Make) -> Checkpoint:
        """Store what `make` makes of the newest checkpoint of `task` and the next number. Raises OSError.

        Two who store at the same time (letters are read while we take our own) get two numbers, and the
        later one builds upon the earlier."""
        with self._lock(agent):
            made = make(self.last_good(agent, task), self.next_seq(agent))
            self.store(made)
            return made

    def add_all(
        self, agent: str, task: str | None, makes: Sequence[Make]
    ) -> tuple[list[Checkpoint], OSError | None]:
        """`add` one after the other, synced once: what was stored, and why the next could not be.

        The last one is synced, and the folder. Were the machine to lose its power just then, one of those
        before it might be damaged; each says all that the agent knew, so the last one is what counts."""
        stored: list[Checkpoint] = []
        with self._lock(agent):
            before, seq = self.last_good(agent, task), self.next_seq(agent)
            try:
                for make in makes:
                    made = make(before, seq)
                    self._write(made, durable=make is makes[-1])
                    stored.append(made)
                    before, seq = made, seq + 1
            except OSError as why:
                return self._synced(stored), why
            finally:
                self.trim(agent)
        return stored, None

    def kept(self, agent: str, task: str | None) -> list[Checkpoint]:
        """The undamaged checkpoints of `task` that are still there, newest first."""
        found: list[Checkpoint] = []
        with self._lock(agent):
            for seq in self._sequence(agent):
                with contextlib.suppress(FileNotFoundError, CheckpointDamaged):
                    found.append(self.load(agent, seq))
        return [checkpoint for checkpoint in found if checkpoint.task == task]

    def shelf(self, agent: str) -> list[tuple[int, Checkpoint | None]]:
        """Every checkpoint that is there, newest first; None for a damaged one, which stays where it is.

        Raises ValueError on an unsafe name."""
        found: dict[int, Checkpoint | None] = {}
        with self._lock(agent):
            for name in self._names(agent):
                if not (match := _USED.fullmatch(name)):
                    continue
                seq = int(match[1])
                found.setdefault(seq, None)
                if not match[2]:
                    with contextlib.suppress(FileNotFoundError, CheckpointDamaged):
                        found[seq] = self.load(agent, seq)
        return sorted(found.items(), reverse=True)

    def load(self, agent: str, seq: int) -> Checkpoint:
        """Raises CheckpointDamaged, or FileNotFoundError."""
        path = self.path_of(agent, seq)
        found = _read(path)
        digest = found.pop("sha256", None)
        try:
            values: dict[str, Any] = dict(found)
            for name in ("completed", "files", "next"):
                values[name] = tuple(map(str, found[name]))
            checkpoint = Checkpoint(**values)
        except (TypeError, KeyError) as why:
            raise CheckpointDamaged(f"{path} is not a checkpoint: {why}") from None
        if digest != _digest(found) or (checkpoint.agent, checkpoint.seq) != (agent, seq):
            raise CheckpointDamaged(f"{path} was changed after it was written: its sha256 does not match")
        return checkpoint

    def last_good(self, agent: str, task: str | None) -> Checkpoint | None:
        """The newest undamaged checkpoint of `task`; damaged ones met on the way are set aside."""
        with self._lock(agent):
            for seq in self._sequence(agent):
                try:
                    checkpoint = self.load(agent, seq)
                except FileNotFoundError:
                    continue
                except CheckpointDamaged:
                    self._set_aside(agent, seq)
                    continue
                if checkpoint.task == task:
                    return checkpoint
        return None

    def _write(self, checkpoint: Checkpoint, *, durable: bool) -> Path:
        rest = _plain(checkpoint)
        text = json.dumps(rest | {"sha256": _digest(rest)}, indent=1, sort_keys=True) + "\n"
        folder = self._folder(checkpoint.agent)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        final = self.path_of(checkpoint.agent, checkpoint.seq)
        _write(folder, final, text.encode(), durable=durable)
        return final

    def _synced(self, stored: list[Checkpoint]) -> list[Checkpoint]:
        """What was stored before another could not be, the last of it synced as well."""
        while stored:
            try:
                self._write(stored[-1], durable=True)
            except OSError:
                # It may be whole, but nobody may be told so; its letter is still in the inbox.
                with contextlib.suppress(OSError):
                    self.path_of(stored[-1].agent, stored[-1].seq).unlink()
                stored.pop()
            else:
                break
        return stored

    def _lock(self, agent: str) -> threading.RLock:
        return self._locks.setdefault(agent, threading.RLock())

    def _sequence(self, agent: str) -> list[int]:
        return sorted(
            (int(m[1]) for name in self._names(agent) if (m := _NAME.fullmatch(name))), reverse=True
        )

    def _names(self, agent: str) -> list[str]:
        try:
            return os.listdir(self._folder(agent))
        except FileNotFoundError:
            return []

    def _folder(self, agent: str) -> Path:
        if not _AGENT.fullmatch(agent):
            raise ValueError(f"{agent!r} is not the name of an agent")
        return self._root / agent

    def _set_aside(self, agent: str, seq: int) -> None:
        path = self.path_of(agent, seq)
        with contextlib.suppress(OSError):
            path.rename(path.with_name(path.name + ".damaged"))

    def trim(self, agent: str) -> None:
        """Drop what is more or older than the caps say, but for the newest two: should the first of them be
        damaged, the second serves."""
        folder = self._folder(agent)
        with self._lock(agent):
            most, age = self._bounds.get(agent, (self._keep, None))
            kept = [folder / f"{seq}.json" for seq in self._sequence(agent)]
            old = kept[most:]
            if age is not None:
                since = time.time() - age
                old += itertools.takewhile(lambda path: _written(path) < since, reversed(kept[2:most]))
            damaged = sorted(
                (int(m[1]) for n in self._names(agent) if (m := _USED.fullmatch(n)) and m[2]), reverse=True
            )
            old += [folder / f"{seq}.json.damaged" for seq in damaged[KEEP_DAMAGED:]]
            for path in old:
                with contextlib.suppress(OSError):
                    path.unlink()

    def commits(self, agent: str) -> set[str]:
        """The snapshots that the checkpoints still there name."""
        found: set[str] = set()
        for seq in self._sequence(agent):
            with contextlib.suppress(FileNotFoundError, CheckpointDamaged):
                snapshot = self.load(agent, seq).snapshot
                if snapshot and isinstance(snapshot.get("commit"), str):
                    found.add(snapshot["commit"])
        return found


def _written(path: Path) -> float:
    """When it was written, seconds since 1970; now for one that is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def from_letter(letter: Letter, prev: Checkpoint | None, *, task: str | None, seq: int) -> Checkpoint:
    """The agent's own word. Session and snapshot are carried over from `prev` when it is of the same task."""
    same = prev if prev is not None and prev.task == task else None
    fields = letter.fields
    return Checkpoint(
        agent=letter.agent, seq=seq, task=task, attempt=letter.attempt, created_at=letter.at,
        completed=tuple(fields.get("completed") or ()), files=tuple(fields.get("files") or ()),
        next=tuple(fields.get("next") or ()), data=dict(fields.get("data") or {}),
        session=same.session if same else None, snapshot=same.snapshot if same else None,
    )  # fmt: skip


def from_supervisor(
    agent: str,
    prev: Checkpoint | None,
    snapshot: Snapshot | None,
    *,
    task: str | None,
    attempt: int,
    session: dict[str, Any] | None,
    seq: int,
    created_at: str,
) -> Checkpoint:
    """What we saw: the snapshot, and what the agent itself last said of this task, carried forward.

    `snapshot.changed` adds up over the checkpoints of one task: it tells all that the task changed."""
    same = prev if prev is not None and prev.task == task else None
    before = same.snapshot if same else None
    shot = before
    if snapshot is not None:
        changed = {str(path) for path in (before or {}).get("changed", ())} | set(snapshot.changed)
        # An agent's own checkpoint carries this on: its files are older than what it says is done.
        shot = {"commit": snapshot.commit, "changed": sorted(changed)[:MOST_CHANGED], "taken_at": created_at}
        if snapshot.unsaved:
            shot["unsaved"] = snapshot.unsaved
    return Checkpoint(
        agent=agent, seq=seq, task=task, attempt=attempt, created_at=created_at,
        completed=same.completed if same else (), files=same.files if same else (),
        next=same.next if same else (), data=dict(same.data) if same else {},
        session=session or (same.session if same else None), snapshot=shot,
    )  # fmt: skip


def _plain(checkpoint: Checkpoint) -> dict[str, Any]:
    """The fields as JSON values; through JSON once, so that what is hashed is what a reader will hash."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(checkpoint), allow_nan=False))
    return plain


def _digest(rest: dict[str, Any]) -> str:
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as why:
        raise CheckpointDamaged(f"{path} cannot be read: {why.strerror}") from None
    with os.fdopen(fd, "rb") as file:
        seen = os.fstat(fd)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size > MAX_BYTES:
            raise CheckpointDamaged(f"{path} is not a file of ours")
        raw = file.read(MAX_BYTES)
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise CheckpointDamaged(f"{path} is not JSON") from None
    if not isinstance(found, dict):
        raise CheckpointDamaged(f"{path} is not a JSON object")
    return found


def _write(folder: Path, final: Path, text: bytes, *, durable: bool) -> None:
    """Write a draft and rename it; `durable`: both synced, and with the folder what was renamed before."""
    draft = folder / f".{final.name}.{os.getpid()}.{threading.get_ident()}"
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(fd)
        draft.rename(final)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    if durable:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
