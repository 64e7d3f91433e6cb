"""Which of the agents that share a workspace wrote to a file, where /proc can say: from two looks at it.

Certain is it in two cases. One agent's process has the file open for writing only, and between the looks its
position in it moved. Or between the looks every process of all other agents neither read nor wrote a byte, of
whatever kind, so that one is left, and that one gave the disk something to keep: a person may have written as
well, and bytes for a terminal are no file. In doubt nobody wrote it: a process that came, went or hides is
doubt, and so is a file system of which the kernel counts nothing, such as tmpfs."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ..processes.process_table import below, children_of, content, read_table, read_tag
from .folders import SLACK

Trees = Callable[[Collection[str]], Mapping[str, Collection[int]]]
"""The pids of all processes of each of these agents."""

MOST_AGENTS = 16
"""Of more that share one folder it is not asked which one wrote."""

MOST_PROCESSES = 200
MOST_FILES = 100
"""Per agent and per process: what has more cannot be told apart in good time, and is doubt."""
PROVED_FOR = 5.0
"""Seconds for which it is known of somebody that it wrote to a file."""
_WRITE_ONLY = os.O_WRONLY
_Process = tuple[int, bytes]
_File = tuple[int, int]


@dataclass(slots=True)
class _Look:
    """`moved`: what each process read and wrote so far, None if some cannot be seen. `places`: where in the
    files that it has open for writing only each stands."""

    moved: dict[_Process, bytes] | None = field(default_factory=dict)
    places: dict[tuple[_Process, bytes, _File], int] = field(default_factory=dict)


class Writers:
    """Compares looks at the processes of the agents asked about. For one thread."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._looks: dict[str, _Look] = {}
        self._at: dict[str, int] = {}
        # Of agents further out. Their own, for a look that answers one question must not spoil the other's.
        self._outer: dict[str, tuple[float, _Look]] = {}
        self._proved: dict[str, dict[_File, float]] = {}
        """Agent further out -> file -> when it was seen to have written to it."""

    def by_others(self, agents: Collection[str], path: str, every: float) -> bool:
        """Whether one of these agents wrote to that file of late, for certain: by its position in it.

        They are looked at again after `every` seconds, at once if one of them had the file open."""
        if not agents or len(agents) > MOST_AGENTS:
            return False
        try:
            found = os.lstat(path)
        except OSError:
            return False
        file = found.st_dev, found.st_ino
        now = time.monotonic()
        due = [agent for agent in agents if self._is_due(agent, file, now - every)]
        if due:
            trees = self._trees(due)
            for agent in due:
                self._look_out(agent, trees.get(agent, ()), now)
        return any(file in self._proved.get(agent, ()) for agent in agents)

    def _is_due(self, agent: str, file: _File, since: float) -> bool:
        last = self._outer.get(agent)
        if last is None or last[0] <= since:
            return True
        proved = file in self._proved.get(agent, ())
        return not proved and any(opened == file for _, _, opened in last[1].places)

    def _look_out(self, agent: str, pids: Collection[int], now: float) -> None:
        """One proof counts for a while: the same change may be told in several words."""
        _, before = self._outer.get(agent, (now, None))
        look = _look(pids)
        self._outer[agent] = now, look
        known = self._proved.get(agent, {})
        proved = {file: at for file, at in known.items() if at > now - PROVED_FOR}
        proved |= {file: now for file in {f for _, _, f in look.places} if _wrote(file, before, look)}
        self._proved[agent] = proved

    def who(self, agents: Collection[str], written: Sequence[str]) -> dict[str, str]:
        """Each agent that wrote to one of these files (newest last) since the last look: the newest such.

        A look costs some ten microseconds for each open file of these agents' processes."""
        if len(agents) > MOST_AGENTS:
            return {}
        now = time.time_ns()
        trees = self._trees(agents)
        looks = {agent: _look(trees.get(agent, ())) for agent in agents}
        before = {agent: self._looks.get(agent) for agent in agents}
        since = max((self._at.get(agent, now) for agent in agents), default=now)
        self._looks.update(looks)
        self._at.update(dict.fromkeys(agents, now))
        found: dict[str, str] = {}
        for path in reversed(written):
            agent = _writer(path, looks, before, since)
            if agent is not None:
                found.setdefault(agent, path)
        return found


class AgentTrees:
    """Whose each process is, from one pass over the table: by descent, or by the HHMRS_TOKEN it carries.

    `roots` gives the pid of each agent that has one, `token` an agent's HHMRS_TOKEN. For one thread."""

    def __init__(self, roots: Callable[[], Mapping[str, int]], token: Callable[[str], str]) -> None:
        self._roots = roots
        self._token = token
        self._strangers: dict[int, float] = {}

    def __call__(self, agents: Collection[str]) -> dict[str, list[int]]:
        table = read_table()
        children = children_of(table)
        roots = self._roots()
        seen: set[int] = {os.getpid()}
        # All agents' trees, so that none of another's processes is taken for a stray of these.
        trees = {agent: below(pid, children, seen) for agent, pid in roots.items() if pid in table}
        found = {agent: trees.get(agent, []) for agent in agents}
        agent_of = {self._token(agent): agent for agent in agents}
        self._strangers = {pid: at for pid, at in self._strangers.items() if pid in table}
        for pid, row in table.items():
            if pid in seen or row.gone or self._strangers.get(pid) == row.started:
                continue
            tag = read_tag(pid)
            if tag in agent_of:
                found[agent_of[tag]].append(pid)
            elif tag is not None:
                self._strangers[pid] = row.started
        return found


def _writer(
    path: str, looks: Mapping[str, _Look], before: Mapping[str, _Look | None], since: int
) -> str | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    # An older change may have been made before the last look; an empty file may just have been cut.
    if not stat.S_ISREG(found.st_mode) or not found.st_size or found.st_mtime_ns <= since + SLACK:
        return None
    file = found.st_dev, found.st_ino
    proved = [agent for agent, look in looks.items() if _wrote(file, before[agent], look)]
    if proved:
        return proved[0] if len(proved) == 1 else None
    possible = [agent for agent, look in looks.items() if not _rested(before[agent], look)]
    if len(possible) != 1:
        return None
    return possible[0] if _stirred(before[possible[0]], looks[possible[0]]) else None


def _wrote(file: _File, before: _Look | None, now: _Look) -> bool:
    """Whether a process stood elsewhere in that file before, and wrote something since."""
    if before is None:
        return False
    return any(
        opened == file
        and before.places.get((process, number, opened), place) < place
        and (before.moved or {}).get(process) != (now.moved or {}).get(process)
        for (process, number, opened), place in now.places.items()
    )


def _rested(before: _Look | None, now: _Look) -> bool:
    """Whether all its processes are the same as before, and none read or wrote anything."""
    return before is not None and now.moved is not None and before.moved == now.moved


def _stirred(before: _Look | None, now: _Look) -> bool:
    """Whether one of its processes is known to have written something for a disk."""
    if before is None or before.moved is None or now.moved is None:
        return False
    return any(_kept(moved) > _kept(before.moved.get(who, b"")) for who, moved in now.moved.items())


def _kept(moved: bytes) -> int:
    """Bytes for a disk, those of children that ended included; 0 where the kernel does not say."""
    fields = moved.split()
    return int(fields[11]) if len(fields) > 11 else 0


def _look(pids: Collection[int]) -> _Look:
    look = _Look()
    if len(pids) > MOST_PROCESSES:
        return _Look(moved=None)
    for pid in pids:
        _look_at(pid, look)
    return look


def _look_at(pid: int, look: _Look) -> None:
    started = _started(pid)
    moved = content(f"/proc/{pid}/io")
    if not started or not moved:
        look.moved = None
        return
    process = pid, started
    if look.moved is not None:
        look.moved[process] = moved
    try:
        numbers = os.listdir(os.fsencode(f"/proc/{pid}/fd"))
    except OSError:
        return
    for number in numbers[:MOST_FILES]:
        with suppress(OSError, ValueError):
            _place(process, number, look)


def _place(process: _Process, number: bytes, look: _Look) -> None:
    own = os.fsencode(f"/proc/{process[0]}")
    found = os.stat(own + b"/fd/" + number)
    if not stat.S_ISREG(found.st_mode):
        return
    fields = content(own + b"/fdinfo/" + number).split()
    told = dict(zip(fields[::2], fields[1::2], strict=False))
    if int(told.get(b"flags:", b"0"), 8) & os.O_ACCMODE == _WRITE_ONLY:
        look.places[process, number, (found.st_dev, found.st_ino)] = int(told.get(b"pos:", b"0"))


def _started(pid: int) -> bytes:
    """When the process began, as the kernel counts it: with the pid this names it for good."""
    fields = content(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return fields[19] if len(fields) > 19 else b""
