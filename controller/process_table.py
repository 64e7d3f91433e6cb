"""The process table in one pass over /proc: about 4 ms for 400 processes; a walk per agent takes 25 each."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

TICK = 1.0 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
ON_PROC = Path("/proc/self/stat").exists()


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process in one look. `started` is seconds since boot, `cpu` seconds used, `rss` bytes."""

    pid: int
    parent: int
    name: str
    state: str
    started: float
    cpu: float
    rss: int
    threads: int

    @property
    def gone(self) -> bool:
        """A zombie does nothing any more; only its parent can take it off the table."""
        return self.state in "ZXx"

    @property
    def stopped(self) -> bool:
        return self.state in "Tt"


Table = Mapping[int, ProcessRow]


def read_row(pid: int) -> ProcessRow | None:
    """The process `pid` now, or None."""
    raw = _content(f"/proc/{pid}/stat")
    # The name may hold anything, brackets and spaces too: what follows its last bracket is ours to split.
    head, _, rest = raw.rpartition(b")")
    fields = rest.split()
    try:
        return ProcessRow(
            pid=pid,
            parent=int(fields[1]),
            name=head.partition(b"(")[2].decode("utf-8", "replace"),
            state=fields[0].decode(),
            started=int(fields[19]) * TICK,
            cpu=(int(fields[11]) + int(fields[12])) * TICK,
            rss=int(fields[21]) * PAGE,
            threads=int(fields[17]),
        )
    except (IndexError, ValueError):
        return None


def read_table() -> dict[int, ProcessRow]:
    """Every process that could be read."""
    rows = (read_row(int(entry.name)) for entry in os.scandir("/proc") if entry.name.isdecimal())
    return {row.pid: row for row in rows if row is not None}


def children_of(table: Table) -> dict[int, list[int]]:
    """Parent pid -> pids of its children."""
    found: dict[int, list[int]] = {}
    for row in table.values():
        found.setdefault(row.parent, []).append(row.pid)
    return found


def below(root: int, children: Mapping[int, list[int]], closed: Collection[int] = ()) -> list[int]:
    """`root` and its descendants, deepest first, without the closed ones and what is under them."""
    # A table read while pids moved may hold a ring, so each is visited once.
    order, seen, level = [root], {root, *closed}, [root]
    while level:
        level = [kid for pid in level for kid in children.get(pid, ()) if kid not in seen]
        seen.update(level)
        order += level
    return order[::-1]


def ancestors(pid: int, table: Table) -> set[int]:
    """`pid` and everything above it."""
    found: set[int] = set()
    while pid > 0 and pid not in found:
        found.add(pid)
        row = table.get(pid)
        pid = row.parent if row else 0
    return found


def tagged(table: Table, wanted: bytes, skip: Callable[[int], bool]) -> set[int]:
    """Pids of our own user's processes whose environment holds exactly `wanted` (`NAME=value`)."""
    uid = os.getuid()
    found = set()
    for pid, row in table.items():
        if row.gone or skip(pid):
            continue
        held = _content(f"/proc/{pid}/environ", uid)
        if wanted in held and wanted in held.split(b"\0"):
            found.add(pid)
    return found


def moved_bytes(pid: int) -> int:
    """Bytes the process has read and written so far, terminals and pipes included; 0 if unreadable."""
    fields = _content(f"/proc/{pid}/io").split(maxsplit=4)
    return int(fields[1]) + int(fields[3]) if len(fields) > 3 else 0


def _content(path: str, uid: int | None = None) -> bytes:
    """What the file holds, if it is `uid`'s; nothing once the process is gone or hidden from us."""
    try:
        # Bare descriptors: a look reads some hundred of these, and a file object costs three times as much.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        if uid is not None and os.fstat(fd).st_uid != uid:
            return b""
        parts = [os.read(fd, 65536)]
        while len(parts[-1]) == 65536:
            parts.append(os.read(fd, 65536))
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(fd)
