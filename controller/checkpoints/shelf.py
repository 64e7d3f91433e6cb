"""An agent's checkpoints as a person chooses among them: what each holds, and whether its files are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...config.paths import StateDir
from ..ports import Checkpoint
from ..timestamps import from_iso
from .checkpoints import CheckpointStore
from .snapshots import SnapshotError, Snapshots

SHOWN = 10
"""Of a commit's name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One checkpoint. `saved` None: it is damaged. `whole`: its snapshot is still there."""

    seq: int
    saved: Checkpoint | None
    whole: bool

    @property
    def commit(self) -> str:
        shot = self.saved.snapshot if self.saved else None
        return str((shot or {}).get("commit") or "")

    @property
    def unsaved(self) -> str:
        shot = self.saved.snapshot if self.saved else None
        return str((shot or {}).get("unsaved") or "")

    @property
    def older_by(self) -> int | None:
        """Whole seconds between its snapshot and itself: what an agent says is done may be newer than the
        files that were saved with it. None: nobody wrote that down."""
        shot = self.saved.snapshot if self.saved else None
        taken = (shot or {}).get("taken_at")
        if self.saved is None or not isinstance(taken, str):
            return None
        try:
            return max(0, round(from_iso(self.saved.created_at) - from_iso(taken)))
        except ValueError:
            return None

    @property
    def standing(self) -> str:
        if self.saved is None:
            return "damaged"
        if not self.commit:
            return "no snapshot"
        return self.commit[:SHOWN] if self.whole else "snapshot gone"

    def as_json(self) -> dict[str, Any]:
        saved = self.saved
        shot = (saved.snapshot if saved else None) or {}
        return {
            "seq": self.seq,
            "created_at": saved.created_at if saved else None,
            "attempt": saved.attempt if saved else None,
            "task": saved.task if saved else None,
            "completed": list(saved.completed) if saved else [],
            "next": list(saved.next) if saved else [],
            "changed": len(shot.get("changed", ())),
            "commit": self.commit or None,
            "older_by_s": self.older_by,
            "restorable": self.whole,
            "damaged": saved is None,
            "unsaved": self.unsaved,
        }


def kept_of(state_dir: StateDir, agent: str) -> list[Kept]:
    """All that are there, newest first. Raises ValueError on an unsafe name, OSError."""
    shelf = CheckpointStore(state_dir).shelf(agent)
    try:
        there = {commit for commit, _ in Snapshots(state_dir.snapshots).listing(agent)}
    except SnapshotError:
        there = set()
    kept = [Kept(seq, saved, False) for seq, saved in shelf]
    return [Kept(one.seq, one.saved, one.commit in there) for one in kept]
