"""Who is whose child: pools become their members, parents are found, cycles refused, parents come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .entries import AGENT_ID, Entry
from .problems import inert
from .shapes import Report

MAX_AGENTS = 10_000


@dataclass(frozen=True, slots=True)
class Member:
    """One agent: an entry, or one of a pool's. `suffix` is `-01` and so on in a pool, else empty."""

    id: str
    entry: Entry
    suffix: str

    @property
    def parent(self) -> str | None:
        parent: str | None = self.entry.get("parent")
        return parent

    @property
    def pool(self) -> str | None:
        return self.entry.id if self.suffix else None


def expand(entries: Sequence[Entry], report: Report) -> list[Member]:
    """All agents in file order; ids that collide or grew too long are reported."""
    members: list[Member] = []
    for entry in entries:
        count: int | None = entry.get("count")
        if count is None and "count" in entry.body.given:
            count = 1
        names = [""] if count is None else [f"-{n:0{max(2, len(str(count)))}}" for n in range(1, count + 1)]
        if len(members) + len(names) > MAX_AGENTS:
            report.add(entry.key, f"the fleet grows beyond {MAX_AGENTS} agents, expected fewer", at=entry.at)
            break
        members += [Member(f"{entry.id}{suffix}", entry, suffix) for suffix in names]
    _check_ids(members, entries, report)
    return members


def _check_ids(members: Sequence[Member], entries: Sequence[Entry], report: Report) -> None:
    taken: dict[str, str] = {}
    for member in members:
        if not AGENT_ID.fullmatch(member.id) and member.suffix.endswith("01"):
            message = f"{member.id!r} is too long for an id, expected at most 64 characters"
            report.add(member.entry.key, message, at=member.entry.at)
        other = taken.setdefault(member.id.lower(), member.id)
        if other is not member.id:
            report.add(member.entry.key, _clash(member.id, other), at=member.entry.at)
    for entry in entries:
        member_id = taken.get(entry.id.lower())
        if "count" in entry.body.given and member_id is not None:
            report.add(entry.key, _clash(entry.id, member_id), at=entry.at)


def _clash(name: str, other: str) -> str:
    if name == other:
        return f"two agents are called {name!r}, expected each id once; a pool makes its own"
    return f"{name!r} and {other!r} differ only in case, expected distinct ids; a file system may see one"


def check_parents(members: Sequence[Member], report: Report) -> None:
    """Every parent exists and nobody is their own ancestor."""
    by_id = {member.id: member for member in members}
    pools = {member.pool: member.id for member in reversed(members) if member.pool}
    seen: set[int] = set()
    for member in members:
        parent, place = member.parent, member.entry.body.place("parent")
        if parent is None or parent in by_id or id(member.entry) in seen:
            continue
        seen.add(id(member.entry))
        if parent in pools:
            message = f"{parent!r} is a pool, expected one of its members, such as {pools[parent]!r}"
        else:
            near = report.suggest(parent, list(by_id))
            message = f"unknown parent {inert(parent)!r}, expected the id of another agent{near}"
        report.add(place, message, at=f"{member.entry.at}.parent")
    _check_cycles(members, by_id, report)


def _check_cycles(members: Sequence[Member], by_id: Mapping[str, Member], report: Report) -> None:
    """One problem per cycle, at its first agent in file order."""
    settled: set[str] = set()
    for member in members:
        path: dict[str, None] = {}
        at: Member | None = member
        while at is not None and at.id not in settled and at.id not in path:
            path[at.id] = None
            at = by_id.get(at.parent) if at.parent is not None else None
        if at is not None and at.id in path:
            ids = list(path)
            ring = ids[ids.index(at.id) :]
            first = min((by_id[name] for name in ring), key=lambda m: (m.entry.key.line, m.entry.key.col))
            start = ring.index(first.id)
            ring = [*ring[start:], *ring[:start], first.id]
            shown = " -> ".join(ring if len(ring) <= 8 else [*ring[:6], "...", ring[-1]])
            message = f"the parents form a cycle ({shown}), expected a tree"
            report.add(first.entry.body.place("parent"), message, at=f"{first.entry.at}.parent")
        settled |= path.keys()


def parents_first(members: Sequence[Member]) -> list[Member]:
    """The tree read from the top: every parent before its children, siblings in file order."""
    children: dict[str | None, list[Member]] = {}
    for member in members:
        children.setdefault(member.parent, []).append(member)
    ordered: list[Member] = []
    waiting = list(reversed(children.get(None, [])))
    while waiting:
        member = waiting.pop()
        ordered.append(member)
        waiting.extend(reversed(children.get(member.id, [])))
    return ordered
