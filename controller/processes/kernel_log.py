"""What the kernel says that it killed for want of memory, read from its own log where that may be read.

Only records of the kernel itself count: whoever may write to the log cannot write in its name."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..means import Means

PATH = Path("/dev/kmsg")
VARIABLE = "HHMRS_KERNEL_LOG"
"""Names another file: a syslog that holds the kernel's messages, where /dev/kmsg may not be read."""
_KILLED = re.compile(
    r"(?:\[\s*[\d.]+\] )?((?:Out of memory|Memory cgroup out of memory)[^:]*: Killed process (\d+) \(.*)"
)
"""From the beginning of a message: names of programs, which stand further on, may be anything."""
_RECORD = 8192
_RECORDS = 20_000
_TEXT = 256 * 1024
_KEPT = 1000
FRESH = 60.0
"""Seconds after which a record of the same pid is about another process; so far apart may the clocks be."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One process that the kernel killed for want of memory. `line`: its words; `at`: seconds by `read_at`'s
    clock, which stands for the record's own time where it has none."""

    pid: int
    line: str
    at: float


class KernelLog:
    """Reads what was added since it was made. For any thread; a log that may not be read says nothing."""

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path or Path(os.environ.get(VARIABLE) or PATH)
        self._clock = clock
        self._lock = threading.Lock()
        self._kills: OrderedDict[int, Kill] = OrderedDict()
        self._fd, self.why = _open(self.path, os.SEEK_END)
        self._rest = b""
        self._records = not self.path.is_file()

    def killed(self, pid: int) -> str:
        """The kernel's words if it killed this process a moment ago for want of memory, else empty."""
        with self._lock:
            now = self._clock()
            for line, at in self._read(now):
                self._learn(line, at)
            kill = self._kills.get(pid)
            return kill.line if kill is not None and abs(now - kill.at) <= FRESH else ""

    def means(self) -> Means:
        """Without it nothing is lost but a word: what it killed is called killed."""
        if self.why:
            how = "its log may not be read: want of memory is seen in an agent's own cgroup only"
            return Means("kernel", f"{how} ({self.why})")
        return Means("kernel", f"{self.path} tells who was killed for want of memory")

    def close(self) -> None:
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
            self._fd = None

    def _learn(self, line: str, at: float) -> None:
        found = _KILLED.match(line)
        if found is None:
            return
        pid = int(found[2])
        self._kills.pop(pid, None)
        self._kills[pid] = Kill(pid, found[1], at)
        while len(self._kills) > _KEPT:
            self._kills.popitem(last=False)

    def _read(self, now: float) -> list[tuple[str, float]]:
        if self._fd is None:
            return []
        with contextlib.suppress(OSError):
            return self._read_records(self._fd) if self._records else self._read_text(self._fd, now)
        return []

    def _read_records(self, fd: int) -> list[tuple[str, float]]:
        """One record a read: `priority,number,microseconds since boot,flags;text`."""
        found: list[tuple[str, float]] = []
        for _ in range(_RECORDS):
            try:
                raw = os.read(fd, _RECORD)
            except BlockingIOError:
                break
            except BrokenPipeError:
                continue  # overwritten before it was read; the next one follows
            if not raw:
                break
            head, _, text = raw.partition(b";")
            fields = head.split(b",")
            # The lowest three bits are the level; above them stands who wrote it, and 0 is the kernel.
            if len(fields) >= 3 and fields[0].isdigit() and fields[2].isdigit() and int(fields[0]) >> 3 == 0:
                line = text.partition(b"\n")[0].decode("utf-8", "replace")
                found.append((line, int(fields[2]) / 1e6))
        return found

    def _read_text(self, fd: int, now: float) -> list[tuple[str, float]]:
        """Whole lines of a syslog, which name the kernel as their writer."""
        raw = self._rest + os.read(fd, _TEXT)
        if _replaced(fd, self.path):
            os.close(fd)
            self._fd, self.why = _open(self.path, os.SEEK_SET)
        whole, _, self._rest = raw.rpartition(b"\n")
        lines = whole.decode("utf-8", "replace").split("\n")
        return [(line[line.index(" kernel: ") + 9 :], now) for line in lines if " kernel: " in line]


def _open(path: Path, whence: int) -> tuple[int | None, str]:
    """A descriptor, at the end or the beginning; or why there is none, in words."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        return None, f"{path}: {error.strerror}"
    try:
        os.lseek(fd, 0, whence)
    except OSError as error:
        os.close(fd)
        return None, f"{path}: {error.strerror}"
    return fd, ""


def _replaced(fd: int, path: Path) -> bool:
    """Another file has that name by now: the log was rotated."""
    try:
        return not os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False
