"""What was saved of an agent's work: its checkpoints, and one of them brought back beside the work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...controller.timestamps import from_iso
from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import Place, find_place, need_agent
from .refusal import UNHEALTHY, Refusal, usage

if TYPE_CHECKING:
    from ...controller.checkpoints.snapshots import Snapshots
    from ...controller.ports import Checkpoint

SHOWN = 10
"""Of a commit's name."""
OFFERED = 5
_SEQ = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class _Kept:
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


def checkpoints(call: Call, screen: Screen) -> int:
    place, agent = _whose(call)
    kept = _kept(place, agent)
    if call.json:
        screen.document({"agent": agent, "checkpoints": [one.as_json() for one in kept]})
        return 0
    if not kept:
        screen.say(f"{agent} has no checkpoints yet")
        return 0
    rows: list[tuple[str, ...]] = [
        ("SEQ", "AT", "ATTEMPT", "TASK", "DONE", "CHANGED", "SNAPSHOT", "OLDER BY")
    ]
    for one in kept:
        told = one.as_json()
        cells = (told["created_at"], told["attempt"], told["task"], len(told["completed"]), told["changed"])
        older = f"{one.older_by} s" if one.older_by else "-"
        rows.append((str(one.seq), *("-" if c is None else inert(c, 60) for c in cells), one.standing, older))
    for line in screen.columns(rows):
        screen.say(line)
    for note in dict.fromkeys(one.unsaved for one in kept[:1] if one.unsaved):
        screen.say(inert(note))
    return 0


def restore(call: Call, screen: Screen) -> int:
    from ...config.sizes import format_size
    from ...controller.checkpoints.restoring import PlaceError, checked_place
    from ...controller.checkpoints.snapshots import SnapshotError

    place, agent = _whose(call)
    if call.get("to") is None:
        listing = place.hint(f"checkpoints {agent}")
        raise usage(f"{PROGRAM}: restore needs --to DIR, a new or empty folder; see `{listing}` for the rest")
    wanted = _wanted(place, agent, call.get("seq"))
    workspaces = {a.id: a.workspace for a in place.spec.agents.values()} if place.spec else {}
    try:
        to = checked_place(Path(call.get("to")).expanduser(), workspaces, place.state.path)
        files, size = _snapshots(place).restore(agent, wanted.commit, to)
    except PlaceError as why:
        raise usage(f"{PROGRAM}: {inert(why, 1000)}") from None
    except SnapshotError as why:
        raise Refusal(UNHEALTHY, f"{PROGRAM}: {inert(why, 1000)}") from None
    if call.json:
        told = wanted.as_json()
        screen.document({"agent": agent, "to": str(to), "files": files, "bytes": size, "checkpoint": told})
        return 0
    at = wanted.saved.created_at if wanted.saved else ""
    screen.say(f"restored {agent}, checkpoint {wanted.seq} of {inert(at)}: {files} files, "
               f"{format_size(size)}, in {inert(to)}")  # fmt: skip
    if wanted.older_by:
        screen.say(f"the files are {wanted.older_by} s older than the checkpoint: they were saved last then")
    if wanted.unsaved:
        screen.say(inert(wanted.unsaved))
    return 0


def _whose(call: Call) -> tuple[Place, str]:
    place = find_place(call)
    agent: str = call.get("agent")
    need_agent(place, agent)
    return place, agent


def _snapshots(place: Place) -> Snapshots:
    from ...controller.checkpoints.snapshots import Snapshots

    return Snapshots(place.state.snapshots)


def _kept(place: Place, agent: str) -> list[_Kept]:
    from ...controller.checkpoints.checkpoints import CheckpointStore
    from ...controller.checkpoints.snapshots import SnapshotError

    shelf = CheckpointStore(place.state).shelf(agent)
    try:
        there = {commit for commit, _ in _snapshots(place).listing(agent)}
    except SnapshotError:
        there = set()
    kept = [_Kept(seq, saved, False) for seq, saved in shelf]
    return [_Kept(one.seq, one.saved, one.commit in there) for one in kept]


def _wanted(place: Place, agent: str, seq: str | None) -> _Kept:
    """The checkpoint to restore. Raises Refusal, which names what could be restored in its place."""
    if seq is not None and not _SEQ.fullmatch(seq):
        raise usage(f"{PROGRAM}: {inert(seq, 40)!r} is no checkpoint's number, expected a whole number")
    kept = _kept(place, agent)
    able = [one for one in kept if one.whole]
    if seq is None:
        if able:
            return able[0]
        raise Refusal(UNHEALTHY, f"{PROGRAM}: nothing of {agent} can be restored: no snapshot was ever taken")
    number = int(seq)
    found = next((one for one in kept if one.seq == number), None)
    if found is not None and found.whole:
        return found
    if found is None:
        numbers = ", ".join(str(one.seq) for one in able[:OFFERED])
        more = ", ..." if len(able) > OFFERED else ""
        has = f"; restorable are {numbers}{more}" if able else "; none can be restored"
        raise usage(
            f"{PROGRAM}: {agent} has no checkpoint {number}{has}, see `{place.hint(f'checkpoints {agent}')}`"
        )
    earlier = next((one.seq for one in able if one.seq < number), None)
    offer = f"; the one before it that can be restored is {earlier}" if earlier is not None else ""
    raise Refusal(
        UNHEALTHY, f"{PROGRAM}: checkpoint {number} of {agent} cannot be restored ({found.standing}){offer}"
    )
