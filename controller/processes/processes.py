"""Processes, named so that they cannot be mistaken, and ended so that none is left (ports.Processes)."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import psutil

from ..means import Means
from ..ports import Identity
from . import cgroups
from .clis import NO_CLIS
from .kinship import Families, Kinship, Marks
from .measuring import Measure, Meter, rooted, same
from .process_table import (
    ON_PROC,
    TAG,
    ProcessRow,
    Table,
    TableReader,
    ancestors,
    below,
    children_of,
    command_line,
    hidden_from_us,
    moved_bytes,
    read_row,
    read_table,
    read_tag,
    tagged,
)

__all__ = ["ProcessTable", "Measure", "alive", "identify", "same"]

READ_ALL_EVERY = 5
_KILL_WAIT = 3.0
"""How long a killed process may take to vanish before it counts as a survivor (seconds)."""
_BOOT = psutil.boot_time()
"""Read once: the system moves it with its clock, and a process must not change its name meanwhile."""

Tags = frozenset[str]


def identify(pid: int) -> Identity | None:
    """Who has this pid now (a zombie still has it), or None."""
    row = _row(pid)
    return _identity(row) if row else None


def booted_at() -> float:
    """When this host was started, as this process believes: the base of the start times that it names. For
    other processes it may be another time, since the system's clock may be set."""
    return _BOOT


def alive(who: Identity) -> bool:
    """Whether that very process runs or could run again (stopped); a zombie does not."""
    row = _row(who.pid)
    return row is not None and not row.gone and same(_identity(row), who)


def is_stopped(pid: int) -> bool:
    """Whether the process is stopped (state T): it is there, and does nothing until it is let go on."""
    row = _row(pid)
    return row is not None and row.stopped


class ProcessTable:
    """This host's process table. `spared` gives pids that are never signalled, such as our tmux servers;
    neither are we, what we run under, pid 1, and anything that calls itself a tmux server.

    `on_proc` False: as on a system without /proc, where psutil stands in."""

    def __init__(self, spared: Callable[[], Collection[int]] = tuple, *, on_proc: bool = ON_PROC) -> None:
        self._spared = spared
        self._on_proc = on_proc
        marks = Marks(cgroups.group_of, read_tag) if on_proc else Marks(lambda _: "", _tag_by_psutil)
        self._reader, self._looks = TableReader(), 0
        self._strangers: set[int] = set()
        self._kinship = Kinship(marks)
        moved, words = (moved_bytes, command_line) if on_proc else (_moved_by_psutil, _words_by_psutil)
        self._meter = Meter(_since_boot, moved, command_line=words)
        self._families: Families = {}
        self.cost = 0.0
        """Seconds of CPU that the last `measure` took."""

    def identify(self, pid: int) -> Identity | None:
        return identify(pid)

    def alive(self, who: Identity) -> bool:
        return alive(who)

    def tree(self, who: Identity, *, tag: str | None = None) -> list[Identity]:
        """`who` and its descendants, deepest first, with what carries the tag; never what must be spared."""
        return self._find([who], _one(tag))

    def trees(self, roots: Iterable[Identity], *, tag: str | None = None) -> list[Identity]:
        """As `tree`, of several at once: all that `end_many` would end."""
        return self._find(roots, _one(tag))

    def words(self, pid: int, most: int = 80) -> str:
        """What the process was started as, its program without the folders, not cleaned, cut to `most`
        characters; may be empty."""
        raw = command_line(pid) if self._on_proc else _words_by_psutil(pid)
        # Here, where its words are still apart: a folder may have a space in its name.
        program, zero, rest = raw.partition(b"\0")
        raw = (program.rpartition(b"/")[2] or program) + zero + rest
        return raw.replace(b"\0", b" ").decode("utf-8", "replace").strip()[:most]

    def end_tree(self, who: Identity, *, grace: float, tag: str | None = None) -> list[Identity]:
        """End `who`, all below it and all that carry the tag; wait until they are seen gone.

        `grace`: seconds between TERM and KILL. Returns those that live on: in state D, or not ours to end."""
        group = cgroups.own_group(who.pid) if self._on_proc and alive(who) else ""
        survivors = self._end([who], grace, _one(tag))
        cgroups.drop(group)
        return survivors if who in survivors or not alive(who) else [*survivors, who]

    def end_tagged(self, tag: str, *, grace: float) -> list[Identity]:
        """Like end_tree where no root is known any more."""
        return self._end([], grace, _one(tag))

    def end_many(self, roots: Collection[Identity], *, grace: float, tags: Collection[str]) -> list[Identity]:
        """Like end_tree for many trees, with as few looks as for one. Returns those that live on."""
        groups = [cgroups.own_group(who.pid) for who in roots if self._on_proc and alive(who)]
        survivors = self._end(list(roots), grace, frozenset(tags))
        for group in groups:
            cgroups.drop(group)
        return list(dict.fromkeys([*survivors, *(who for who in roots if alive(who))]))

    def measure(
        self,
        roots: Mapping[str, Identity],
        *,
        tag: Callable[[str], str] | None = None,
        clis: Mapping[str, Sequence[str]] = NO_CLIS,
    ) -> dict[str, Measure]:
        """What each tree did since the last call, those that left it included; roots that are gone are left
        out. `tag` gives an agent's HHMRS_TOKEN, `clis` what the CLIs are called that run under a shell. One
        pass over all processes; not for two threads at once."""
        begun, spent = time.monotonic(), time.thread_time()
        table = self._read(roots) if self._on_proc else _table_by_psutil()
        families = self._kinship.sort(rooted(roots, table, _identity), table, os.getpid(), tag)
        self._strangers = table.keys() - {row.pid for rows in families.values() for row in rows}
        found = self._meter.look(families, begun, clis)
        self._families = families
        self.cost = time.thread_time() - spent
        return found

    def connected(self, ports: Mapping[str, Collection[int]]) -> dict[str, int]:
        """Which of these trees, as the last `measure` found them, hold a TCP connection open to one of these
        remote ports, and to which. Nobody can tell without /proc. Not beside a `measure`."""
        if not self._on_proc:
            return {}
        trees = {name: self._families[name] for name in ports if name in self._families}
        from .connections import open_to  # the daemon's business alone: whoever looks who runs needs less

        return open_to(trees, ports)

    def _read(self, roots: Mapping[str, Identity]) -> dict[int, ProcessRow]:
        """What is nobody's (launchers, the rest of the machine) stays so, and is read every few looks only:
        for no longer may another process that got its number pass for it."""
        self._looks += 1
        if self._looks % READ_ALL_EVERY == 1:
            return self._reader.read()
        return self._reader.read(self._strangers - {who.pid for who in roots.values()})

    def means(self) -> tuple[Means, ...]:
        """How processes are seen, and how the children that left their agent's tree are found."""
        if not self._on_proc:
            why = "there is no /proc; mount it, or live with looks that cost ten times as much"
            return (Means("processes", "psutil, one process after the other", False, why),)
        strays = "by its own cgroup" if self._kinship.grouped else f"by {TAG} in their environment"
        how = f"one pass over /proc for all agents; children that left an agent are found {strays}"
        if hidden_from_us():
            why = (
                "/proc is mounted with hidepid: what an agent runs as another user is not seen; "
                "mount it with hidepid=0, or with gid= of a group that you are in"
            )
            return (Means("processes", how, False, why),)
        return (Means("processes", how),)

    def _find(self, roots: Iterable[Identity], tags: Tags) -> list[Identity]:
        table = _table()
        children = children_of(table)
        spared = self._never(table)
        known = [row for r in roots if (row := table.get(r.pid)) and same(_identity(row), r)]
        tops = [row.pid for row in known]
        tops += self._left(known, table)
        if tags:
            tops += sorted(_tagged(table, tags, spared))
        order: dict[int, None] = {}
        for top in tops:
            if top in spared:
                continue
            # An agent may have started a fleet of its own: what that runs is not the agent's work.
            for pid in reversed(below(top, children, set(spared))):
                order.pop(pid, None)
                order[pid] = None
        return [_identity(table[pid]) for pid in order if not table[pid].gone]

    def _left(self, known: list[ProcessRow], table: Table) -> list[int]:
        """What was seen under those processes before, or shares a cgroup that is their own."""
        pids = {row.pid for row in known}
        heads = [row for row in known if row.parent not in pids]
        groups = {cgroups.own_group(row.pid) for row in heads} if self._on_proc else set()
        grouped = [pid for group in groups if group for pid in cgroups.members(group) if pid in table]
        return [*(pid for row in heads for pid in self._kinship.left(row, table)), *grouped]

    def _never(self, table: Table) -> set[int]:
        servers = {row.pid for row in table.values() if row.server}
        return {0, 1} | servers | set(self._spared()) | ancestors(os.getpid(), table)

    def _end(self, roots: list[Identity], grace: float, tags: Tags) -> list[Identity]:
        known: dict[Identity, None] = {}
        self._ask_to_end(known, self._find(roots, tags))
        end = time.monotonic() + grace
        while time.monotonic() < end:
            # Whatever is born meanwhile is found through those that still live, and through the tag.
            fresh = self._find([*roots, *known], tags) or self._look_again([*roots, *known], tags)
            if not fresh:
                return []
            self._ask_to_end(known, [who for who in fresh if who not in known])
            _wait_gone(fresh, min(0.1, max(0.0, end - time.monotonic())))
        return self._kill([*roots, *known], tags)

    def _look_again(self, roots: Iterable[Identity], tags: Tags) -> list[Identity]:
        """A child born while the table was read, of a parent that died just then, is in no single look."""
        time.sleep(0.005)
        return self._find(roots, tags)

    def _ask_to_end(self, known: dict[Identity, None], victims: list[Identity]) -> None:
        for who in victims:
            known[who] = None
            _signal(who, signal.SIGTERM)
            row = _row(who.pid)
            if row is not None and row.stopped:
                # It hears TERM only once it runs again; sent before TERM, CONT would let it work on.
                _signal(who, signal.SIGCONT)

    def _kill(self, roots: list[Identity], tags: Tags) -> list[Identity]:
        end = time.monotonic() + _KILL_WAIT
        known = dict.fromkeys(roots)
        while True:
            victims = self._find(known, tags) or self._look_again(known, tags)
            if not victims or time.monotonic() > end:
                return victims
            known.update(dict.fromkeys(victims))
            for who in reversed(victims):  # parents first: the dead have no more children
                _signal(who, signal.SIGKILL)
            _wait_gone(victims, 0.25)


def _wait_gone(victims: Iterable[Identity], within: float) -> None:
    """Return when none lives or `within` seconds are over. psutil.wait_procs would wait for zombies too."""
    end, pause = time.monotonic() + within, 0.002
    while any(alive(who) for who in victims) and time.monotonic() < end:
        time.sleep(min(pause, max(0.0, end - time.monotonic())))
        pause = min(pause * 2, 0.05)


def _signal(who: Identity, number: signal.Signals) -> None:
    """Send `number` to exactly that process; a gone one is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
            if alive(who):
                os.kill(who.pid, number)
            return
        # The descriptor is taken first: after the check no other process can have slipped under the pid.
        handle = os.pidfd_open(who.pid)
        try:
            if alive(who):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def _since_boot() -> float:
    """Seconds, on the clock that start times are on; `_BOOT` is cut to whole seconds by the system."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if ON_PROC else time.time() - _BOOT


def _identity(row: ProcessRow) -> Identity:
    return Identity(row.pid, round(_BOOT + row.started, 2))


def _row(pid: int) -> ProcessRow | None:
    if pid <= 0:
        return None
    if ON_PROC:
        return read_row(pid)
    try:
        return _row_by_psutil(psutil.Process(pid))
    except psutil.Error:
        return None


def _table() -> dict[int, ProcessRow]:
    return read_table() if ON_PROC else _table_by_psutil()


# -- where there is no /proc ----------------------------------------------------------------------


def _table_by_psutil() -> dict[int, ProcessRow]:
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found[process.pid] = _row_by_psutil(process)
    return found


def _row_by_psutil(process: psutil.Process) -> ProcessRow:
    with process.oneshot():
        state = {
            psutil.STATUS_ZOMBIE: "Z",
            psutil.STATUS_DEAD: "X",
            psutil.STATUS_STOPPED: "T",
            psutil.STATUS_TRACING_STOP: "t",
        }
        cpu = process.cpu_times()
        return ProcessRow(
            process.pid, process.ppid(), process.name(), state.get(process.status(), "S"),
            process.create_time() - _BOOT, cpu.user + cpu.system, process.memory_info().rss,
            process.num_threads(),
        )  # fmt: skip


def _tag_by_psutil(pid: int) -> str | None:
    try:
        return psutil.Process(pid).environ().get(TAG, "")
    except (psutil.Error, OSError):
        return None


def _moved_by_psutil(pid: int) -> int | None:
    try:
        counted = psutil.Process(pid).io_counters()
    except (psutil.Error, OSError, AttributeError):
        return None  # some systems count nothing of the kind
    # Linux counts what went through terminals and pipes apart from what a disk saw.
    read = getattr(counted, "read_chars", counted.read_bytes)
    return int(read) + int(getattr(counted, "write_chars", counted.write_bytes))


def _words_by_psutil(pid: int) -> bytes:
    try:
        return "\0".join(psutil.Process(pid).cmdline()).encode("utf-8", "surrogateescape")
    except (psutil.Error, OSError):
        return b""


def _one(tag: str | None) -> Tags:
    """No tag is what those without one have: nobody is found by it."""
    return frozenset((tag,)) if tag else frozenset()


def _tagged(table: Table, tags: Tags, spared: Collection[int]) -> set[int]:
    if ON_PROC:
        return tagged(table, tags, spared)
    return {pid for pid in table.keys() - set(spared) if _tag_by_psutil(pid) in tags}
