"""The real work of agents: their workspaces, the checkpoints of their fleet, the book, their transcripts.

Everything is read; the one thing written is what a person has restored, beside the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...config.fleet import AgentSpec, FleetSpec
from ...config.paths import StateDir
from ...config.sizes import format_size
from ...controller.checkpoints.blobs import Limits
from ...controller.checkpoints.present import Files, compare_with, newest_files
from ...controller.checkpoints.restoring import PlaceError, checked_place
from ...controller.checkpoints.shelf import Kept, kept_of
from ...controller.checkpoints.snapshots import SnapshotError, Snapshots
from ...controller.ledger.queries import LedgerQueries
from ...controller.reports.known import read_state
from ...controller.timestamps import from_iso
from ...controller.workspaces.spending import Spending, transcript_of
from ...healing.seats import seat_of
from ..work import Diff, PastTask, Saved, Spent, WorkError

LISTED = 1_000
"""Files that are shown; nobody reads more of them."""
TASKS = 100
STORED = 400
"""Events that tell who stored a checkpoint: more than are ever kept of them."""


class DaemonWork:
    """work.Work on a state folder; `spec` gives the fleet file as it is in force. For one thread."""

    def __init__(
        self, state_dir: StateDir, reader: LedgerQueries, spec: Callable[[], FleetSpec | None]
    ) -> None:
        self._dir = state_dir
        self._reader = reader
        self._spec = spec
        self._spending = Spending()
        self._shelf: tuple[str, tuple[object, ...], tuple[Saved, ...]] | None = None

    def files(self, agent: str) -> Files:
        try:
            return newest_files(self._agent(agent).workspace, self._dir.path.parent, LISTED)
        except SnapshotError as why:
            raise WorkError(str(why)) from None

    def saved(self, agent: str) -> tuple[Saved, ...]:
        """Read again only when one came or went."""
        there = _stamps(self._dir.checkpoints / agent)
        if self._shelf is None or self._shelf[:2] != (agent, there):
            told = self._reader.of_agent(agent, ["checkpoint_stored"], STORED)
            by = {event.data.get("checkpoint"): str(event.data.get("by") or "") for event in told}
            kept = kept_of(self._dir, agent)
            self._shelf = (agent, there, tuple(_saved(one, by.get(one.seq, "")) for one in kept))
        return self._shelf[2]

    def diff(self, agent: str, seq: int | None) -> Diff:
        spec, chosen = self._agent(agent), self._chosen(agent, seq)
        home, limits = self._dir.snapshots / f"{agent}.git", _limits(spec)
        try:
            found = compare_with(home, chosen.commit, spec.workspace, self._dir.path.parent, limits)
        except SnapshotError as why:
            raise WorkError(str(why)) from None
        return Diff(
            chosen.seq, _taken(chosen), tuple(found.stat.splitlines()), tuple(found.text.splitlines()),
            found.skipped,
        )  # fmt: skip

    def tasks(self, agent: str) -> tuple[PastTask, ...]:
        return tuple(map(_past, self._reader.tasks_of(agent, TASKS)))

    def spent(self, agent: str) -> Spent | None:
        spec, raw = self._agent(agent), self._reader.states([agent]).get(agent)
        if raw is None:
            return None
        state = read_state(agent, raw)
        path = transcript_of(spec, seat_of(state, spec), state.session)
        if path is None:
            return None
        try:
            count, whole = self._spending.of(path)
        except OSError as why:
            raise WorkError(f"its transcript {path} cannot be read: {why.strerror or why}") from None
        return Spent(count.total, os.fspath(path), whole, count.minutes)

    def restore(self, agent: str, seq: int, to: Path) -> str:
        spec, chosen = self._spec(), self._chosen(agent, seq)
        workspaces = {one.id: one.workspace for one in spec.agents.values()} if spec else {}
        try:
            place = checked_place(to, workspaces, self._dir.path)
            files, size = Snapshots(self._dir.snapshots).restore(agent, chosen.commit, place)
        except (PlaceError, SnapshotError) as why:
            raise WorkError(str(why)) from None
        return f"checkpoint {chosen.seq} is in {place}: {files} file{'s' * (files != 1)}, {format_size(size)}"

    def _agent(self, agent: str) -> AgentSpec:
        spec = self._spec()
        found = spec.agents.get(agent) if spec is not None else None
        if found is None:
            raise WorkError("it is no longer in the fleet file, which alone says where its workspace is")
        return found

    def _chosen(self, agent: str, seq: int | None) -> Kept:
        kept = kept_of(self._dir, agent)
        if seq is None:
            whole = next((one for one in kept if one.whole), None)
            if whole is None:
                raise WorkError(
                    "no snapshot of its workspace was taken yet, so there is nothing to compare with"
                )
            return whole
        found = next((one for one in kept if one.seq == seq), None)
        if found is None or not found.whole:
            standing = found.standing if found is not None else "it is gone"
            raise WorkError(f"checkpoint {seq} has no files ({standing}); choose another one in tab 5")
        return found


def _limits(spec: AgentSpec) -> Limits:
    return Limits(spec.policy.keep.file_size, spec.policy.keep.total_size)


def _stamps(folder: Path) -> tuple[object, ...]:
    try:
        with os.scandir(folder) as entries:
            return tuple(sorted((one.name, one.stat(follow_symlinks=False).st_mtime_ns) for one in entries))
    except OSError:
        return ()


def _saved(one: Kept, by: str) -> Saved:
    saved, shot = one.saved, (one.saved.snapshot if one.saved else None) or {}
    return Saved(
        seq=one.seq,
        at=_at(saved.created_at) if saved else None,
        by=by,
        attempt=saved.attempt if saved else None,
        task=(saved.task or "") if saved else "",
        completed=saved.completed if saved else (),
        next=saved.next if saved else (),
        changed=tuple(map(str, shot.get("changed", ()))),
        standing=one.standing,
        restorable=one.whole,
        older_by=one.older_by,
        unsaved=one.unsaved,
    )


def _past(row: Mapping[str, Any]) -> PastTask:
    return PastTask(
        id=str(row["id"]),
        text=str(row["text"]),
        state=str(row["state"]),
        opened=_at(row["opened"]),
        seconds=row["seconds"],
        files=row["files"],
        why=str(row["why"] or ""),
        tries=int(row["tries"]),
    )


def _taken(one: Kept) -> float | None:
    """When its files were saved."""
    at = _at(one.saved.created_at) if one.saved else None
    return None if at is None else at - (one.older_by or 0)


def _at(stamp: object) -> float | None:
    try:
        return from_iso(stamp) if isinstance(stamp, str) else None
    except ValueError:
        return None
