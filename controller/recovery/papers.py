"""What a new attempt is told: its handoff, and from which checkpoint it goes on. Read only, so that a person
can be shown the very text before they order the attempt."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...config.fleet import AgentSpec
from ...healing import actions as a
from ...healing.agent import AgentState
from ...healing.handoff import Changes, handoff
from ..checkpoints.checkpoints import CheckpointStore
from ..checkpoints.snapshots import SnapshotError, Snapshots
from ..ports import Checkpoint

CHANGES_TOLD = 200
DIFF_TOLD = 64_000
"""Bytes of the diff that are read; the handoff quotes the first part of it."""


@dataclass(frozen=True, slots=True)
class Papers:
    """Blocking: reads files and runs git. `snapshots` None: what the last attempt changed is not told."""

    checkpoints: CheckpointStore
    snapshots: Snapshots | None = None

    def best(self, action: a.StartAttempt, state: AgentState, *, watching: bool = False) -> Checkpoint | None:
        """The checkpoint to hand over. A restart, or a start after a stop, is told of one only if there is
        something in it; a start also only if it goes on with the task that was stopped. `watching`: damaged
        ones met on the way stay where they are."""
        plain = action.strategy == "start"
        if plain and (state.task is None or action.attempt == 1):
            return None
        task = state.task.id if state.task else None
        if watching:
            best = next(iter(self.checkpoints.kept(action.agent, task)), None)
        else:
            best = self.checkpoints.last_good(action.agent, task)
        return best if best and (best.resumable or not (plain or action.strategy == "restart")) else None

    def text(
        self,
        action: a.StartAttempt,
        state: AgentState,
        spec: AgentSpec,
        best: Checkpoint | None,
        tail: Sequence[str],
    ) -> str:
        """The handoff. `tail`: the last lines of the old attempt's pane."""
        incident = state.incident
        return handoff(
            task=state.task.text if state.task else (spec.prompt or ""),
            strategy=action.strategy,
            cause=action.why,
            attempt=action.attempt,
            checkpoint=best,
            tail=tail,
            changes=self._changes(action, spec, best),
            kind=incident.cause if incident and incident.outcome is None else "",
            briefing=action.briefing,
        )

    def _changes(self, action: a.StartAttempt, spec: AgentSpec, best: Checkpoint | None) -> Changes:
        """What the last attempt did to the workspace, by the snapshots of its begin and its end."""
        stat = diff = ""
        if self.snapshots is not None:
            with contextlib.suppress(SnapshotError):  # without a snapshot nobody knows
                begun = self.snapshots.begun(spec.id)
                earlier = [commit for attempt, commit in sorted(begun.items()) if attempt < action.attempt]
                newest = self.snapshots.newest(spec.id)
                if earlier and newest and newest != earlier[-1]:
                    stat = self.snapshots.diff_stat(spec.id, earlier[-1], newest)
                    diff = self.snapshots.diff(spec.id, earlier[-1], newest, max_bytes=DIFF_TOLD)
        named = best.files if best else ()
        missing = frozenset(name for name in named if not _is_there(spec.workspace, name))
        changed = (best.snapshot or {}).get("changed", []) if best else []
        return Changes(stat, diff, tuple(map(str, changed[:CHANGES_TOLD])), missing)


def _is_there(workspace: Path, name: str) -> bool:
    """Whether the file that an agent named is in its workspace; what leads outside is not."""
    try:
        parts = Path(name).parts
        return ".." not in parts and os.path.lexists(workspace / name)
    except (OSError, ValueError):
        return False
