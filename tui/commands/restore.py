"""What was saved of an agent's work: its checkpoints, and one of them brought back beside the work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import Place, find_place, need_agent
from .refusal import UNHEALTHY, Refusal, usage

if TYPE_CHECKING:
    from ...controller.checkpoints.shelf import Kept
    from ...controller.checkpoints.snapshots import Snapshots

OFFERED = 5
_SEQ = re.compile(r"[0-9]{1,12}")


def checkpoints(call: Call, screen: Screen) -> int:
    from ...controller.checkpoints.shelf import kept_of

    place, agent = _whose(call)
    kept = kept_of(place.state, agent)
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


def _wanted(place: Place, agent: str, seq: str | None) -> Kept:
    """The checkpoint to restore. Raises Refusal, which names what could be restored in its place."""
    from ...controller.checkpoints.shelf import kept_of

    if seq is not None and not _SEQ.fullmatch(seq):
        raise usage(f"{PROGRAM}: {inert(seq, 40)!r} is no checkpoint's number, expected a whole number")
    kept = kept_of(place.state, agent)
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
