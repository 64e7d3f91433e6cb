"""The process table in one pass over /proc: about 15 us for each process; a walk per agent is 25 ms each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

TICK = 1.0 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
ON_PROC = Path("/proc/self/stat").exists()
TAG = "HHMRS_TOKEN"
"""The variable that says whose child a process is, wherever it went."""
_PIECE = 16384
_TAG_FIELD = TAG.encode() + b"="


class ProcessRow(NamedTuple):
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
        """State T: it was sent SIGSTOP or the like and waits for SIGCONT.

        State t is something else: a debugger or tracer holds it, which lets it go by itself, often within
        microseconds. Nobody froze the agent then, and CONT would not free it."""
        return self.state == "T"

    @property
    def server(self) -> bool:
        """It is a tmux server: what it runs is a world of its own. A name alone is no proof."""
        return self.name.startswith("tmux: server") and runs_tmux(self.pid)


Table = Mapping[int, ProcessRow]


@cache
def _tmux() -> str:
    """The program that we run as tmux, links resolved; empty where there is none."""
    found = shutil.which("tmux")
    return os.path.realpath(found) if found else ""


def runs_tmux(pid: int) -> bool:
    """Whether the process runs our tmux program, also one that an update has replaced since, or another one
    that root put there. Where the system does not say, it does: what is not known is not acted upon."""
    try:
        program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
        named = os.path.basename(program) == "tmux" and os.stat(f"/proc/{pid}/exe").st_uid == 0
    except OSError:
        return True
    return named or program == _tmux()


def boot() -> int | None:
    """Which boot of this host this is; None where the system does not say."""
    try:
        return int(content("/proc/sys/kernel/random/boot_id").strip().replace(b"-", b""), 16)
    except ValueError:
        return None


def read_row(pid: int) -> ProcessRow | None:
    """The process `pid` now, or None."""
    return _row(str(pid), content(f"/proc/{pid}/stat"))


def _row(pid: str, raw: bytes) -> ProcessRow | None:
    # The name may hold anything, brackets and spaces too: what follows its last bracket is ours to split.
    head, _, rest = raw.rpartition(b")")
    fields = rest.split(None, 22)
    try:
        return ProcessRow(
            int(pid),
            int(fields[1]),
            head.partition(b"(")[2].decode("utf-8", "replace"),
            fields[0].decode(),
            int(fields[19]) * TICK,
            (int(fields[11]) + int(fields[12])) * TICK,
            int(fields[21]) * PAGE,
            int(fields[17]),
        )
    except (IndexError, ValueError):
        return None


class TableReader:
    """Reads the table again and again. A process that did nothing says the same words as before, and is the
    very same row then: most of a look is spent on asking, not on understanding."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[bytes, ProcessRow]] = {}

    def read(self, settled: Collection[int] = ()) -> dict[int, ProcessRow]:
        """Every process that could be read. Those that end meanwhile, or are hidden from us, are left out.

        `settled`: processes whose row of the last look will do, as long as there is one of that number."""
        said: dict[str, tuple[bytes, ProcessRow]] = {}
        rows: dict[int, ProcessRow] = {}
        for pid in os.listdir("/proc"):
            if not pid.isdecimal():
                continue
            before = self._last.get(pid)
            if before is not None and before[1].pid in settled:
                said[pid] = before
                rows[before[1].pid] = before[1]
                continue
            raw = content(f"/proc/{pid}/stat")
            row = before[1] if before is not None and before[0] == raw else _row(pid, raw)
            if row is not None:
                said[pid] = (raw, row)
                rows[row.pid] = row
        self._last = said
        return rows


def read_table() -> dict[int, ProcessRow]:
    """One look of its own."""
    return TableReader().read()


def children_of(table: Table) -> dict[int, list[int]]:
    """Parent pid -> pids of its children."""
    found: dict[int, list[int]] = {}
    for row in table.values():
        found.setdefault(row.parent, []).append(row.pid)
    return found


def below(root: int, children: Mapping[int, list[int]], seen: set[int]) -> list[int]:
    """`root` and its descendants, deepest last, without those in `seen` and what is under them.

    Whatever is found is added to `seen`: a table read while pids moved may hold a ring."""
    order, level = [root], [root]
    seen.add(root)
    while level:
        level = [kid for pid in level for kid in children.get(pid, ()) if kid not in seen]
        seen.update(level)
        order += level
    return order


def ancestors(pid: int, table: Table) -> set[int]:
    """`pid` and everything above it."""
    found: set[int] = set()
    while pid > 0 and pid not in found:
        found.add(pid)
        row = table.get(pid)
        pid = row.parent if row else 0
    return found


def read_tag(pid: int) -> str | None:
    """The value of HHMRS_TOKEN in the environment of a process of our own user; "" when it has none.

    None: nobody can tell, since it has no environment (yet), or is not ours to read."""
    held = content(f"/proc/{pid}/environ", os.getuid())
    if not held:
        return None
    if _TAG_FIELD not in held:
        return ""
    found = next((field for field in held.split(b"\0") if field.startswith(_TAG_FIELD)), _TAG_FIELD)
    return os.fsdecode(found[len(_TAG_FIELD) :])


def tagged(table: Table, tags: Collection[str], skip: Collection[int]) -> set[int]:
    """Pids of our own user's processes that carry one of the tags. Reads every environment there is."""
    return {pid for pid in _living(table, skip) if read_tag(pid) in tags}


def _living(table: Table, skip: Collection[int]) -> Iterable[int]:
    return (pid for pid, row in table.items() if not row.gone and pid not in skip)


def moved_bytes(pid: int) -> int | None:
    """Bytes the process has read and written so far, terminals and pipes included; None: not ours to know."""
    fields = content(f"/proc/{pid}/io").split(maxsplit=4)
    return int(fields[1]) + int(fields[3]) if len(fields) > 3 else None


def command_line(pid: int) -> bytes:
    """What the process was started as, each argument ended by a NUL; nothing when it is not ours to read."""
    return content(f"/proc/{pid}/cmdline")


def hidden_from_us() -> bool:
    """Whether /proc is mounted so that processes of other users are not shown (hidepid)."""
    return not content("/proc/1/stat")


def content(path: str | bytes, uid: int | None = None) -> bytes:
    """What the file holds, if it is `uid`'s; nothing once the process is gone or hidden from us."""
    try:
        # Bare descriptors: a look reads some thousand of these, and a file object costs three times as much.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        if uid is not None and os.fstat(fd).st_uid != uid:
            return b""
        held = os.read(fd, _PIECE)
        if len(held) < _PIECE:
            return held
        parts = [held]
        while len(parts[-1]) == _PIECE:
            parts.append(os.read(fd, _PIECE))
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(fd)
