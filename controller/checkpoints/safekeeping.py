"""What is put away of an agent's work: snapshots of its workspace, and the supervisor's own checkpoints.

Whatever could not be saved is told as evidence, so that it is written down and shown; work goes on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from ...config.fleet import AgentSpec
from ...config.workspaces import WorkspaceError, refuse_link
from ...healing import evidence as e
from ...healing.agent import AgentState
from ...healing.seats import seat_of
from ..ports import Checkpoint, Clock
from ..timestamps import to_iso
from ..workspaces.status_patterns import says_nothing
from .blobs import Limits
from .checkpoints import CheckpointStore, from_supervisor
from .snapshots import Snapshot, SnapshotError, Snapshots

log = logging.getLogger(__name__)

TRIM_EVERY = 25


@dataclass(frozen=True, slots=True)
class Saved:
    """A snapshot, or none; `unsaved` says what is not in it, or why there is none."""

    snapshot: Snapshot | None
    unsaved: str = ""


@dataclass(slots=True)
class Safekeeping:
    """Blocking; for any thread."""

    checkpoints: CheckpointStore
    snapshots: Snapshots
    clock: Clock

    def save(self, spec: AgentSpec) -> Saved:
        """Snapshot the workspace, within the caps of the agent's `keep`. Never raises."""
        keep = spec.policy.keep
        try:
            refuse_link(spec.workspace)
            if not spec.workspace.is_dir():
                return Saved(None)
            taken = self.snapshots.take(spec.id, spec.workspace, Limits(keep.file_size, keep.total_size))
        except (SnapshotError, WorkspaceError, OSError) as error:
            log.error("agent %s: its workspace is not saved: %s", spec.id, error)
            return Saved(None, f"no snapshot: {error}"[:500])
        # What we, or others for us, wrote there is saved like all else, and is no work of the agent's.
        worked = tuple(path for path in taken.changed if not says_nothing(spec, path))
        return Saved(replace(taken, changed=worked), taken.unsaved)

    def begin(self, spec: AgentSpec, attempt: int) -> None:
        """Save the workspace as `attempt` finds it: later snapshots tell what it changed. Never raises."""
        saved = self.save(spec)
        if saved.snapshot is not None:
            self.began(spec.id, attempt, saved.snapshot.commit)

    def began(self, agent: str, attempt: int, commit: str | None = None) -> None:
        """`attempt` begins with what `commit` holds, or the newest snapshot. Never raises."""
        try:
            commit = commit or self.snapshots.newest(agent)
            if commit:
                self.snapshots.mark_begin(agent, attempt, commit)
        except SnapshotError as error:
            log.error("agent %s: what it will change cannot be told: %s", agent, error)

    def checkpoint(self, spec: AgentSpec, state: AgentState, saved: Saved) -> list[e.Evidence]:
        """The supervisor's own checkpoint of what was saved. Raises OSError, ValueError."""
        task = state.task.id if state.task else None
        if saved.snapshot is None and not saved.unsaved and self.checkpoints.last_good(spec.id, task) is None:
            return []
        session = (
            {"profile": seat_of(state, spec).profile.name, "id": state.session} if state.session else None
        )
        at = to_iso(self.clock.now())

        def make(before: Checkpoint | None, seq: int) -> Checkpoint:
            return from_supervisor(
                spec.id, before, saved.snapshot, task=task, attempt=state.attempt, session=session, seq=seq,
                created_at=at,
            )  # fmt: skip

        new = self.checkpoints.add(spec.id, task, make)
        return [e.CheckpointTaken(spec.id, self.clock.now(), new.seq, new.resumable, saved.unsaved)]

    def take_checkpoint(self, spec: AgentSpec, state: AgentState) -> list[e.Evidence]:
        """The supervisor's own checkpoint while the agent works; empty when none could be stored."""
        try:
            taken = self.checkpoint(spec, state, self.save(spec))
        except (OSError, ValueError) as error:
            log.error("agent %s: no checkpoint: %s", spec.id, error)
            return []
        if any(isinstance(one, e.CheckpointTaken) and one.seq % TRIM_EVERY == 0 for one in taken):
            self.trim(spec)
        return taken

    def trim(self, spec: AgentSpec) -> None:
        """Let go of what is more or older than `keep` says. Never raises."""
        keep = spec.policy.keep
        try:
            self.checkpoints.trim(spec.id)
            held = self.checkpoints.commits(spec.id)
            self.snapshots.trim(
                spec.id, keep=keep.snapshots, age=keep.age, disk=keep.total_size, held=held
            )  # fmt: skip
        except (SnapshotError, OSError) as error:
            log.error("agent %s: old snapshots stay: %s", spec.id, error)
