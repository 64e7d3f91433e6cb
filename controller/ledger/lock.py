"""Who supervises this fleet: one daemon, by flock, and what it says of itself in the lock file."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from dataclasses import asdict, dataclass, replace

from ...config.paths import StateDir
from ..ports import Identity
from ..processes.processes import alive, booted_at, is_stopped


@dataclass(frozen=True, slots=True)
class Holder:
    """The daemon that holds a fleet. `started_at` is seconds since the epoch; `quick_look` the seconds that
    a person set it to for all agents, None: as in the fleet file."""

    pid: int
    created: float
    host: str
    version: str
    config: str
    mode: str
    started_at: float
    ready: bool
    quick_look: float | None = None
    booted: float | None = None
    """The boot of the host, as the daemon reckons start times."""
    clock: float | None = None
    """What its engine time is ahead of the host's monotonic clock."""

    def now(self) -> float:
        """Its engine time at this moment; by the wall clock where it does not say how it counts."""
        return time.time() if self.clock is None else self.clock + time.monotonic()

    def is_stopped(self) -> bool:
        """Whether its process is stopped (state T) at this moment: it is there, and supervises nothing."""
        return is_stopped(self.pid)

    def describe(self) -> str:
        return f"daemon pid {self.pid} on {self.host} (fleet file {self.config})"


class LockHeld(Exception):
    """Another daemon supervises this fleet; the message names it."""


def read_holder(state: StateDir) -> Holder | None:
    """The live daemon of the fleet, or None. A lock file left by a dead one counts as none."""
    try:
        raw = json.loads(state.lock.read_text(encoding="utf-8"))
        holder = Holder(**raw)
    except (OSError, ValueError, TypeError):
        return None
    # The wall clock may have been set since the daemon began, and with it the system's idea of its own boot.
    moved = booted_at() - holder.booted if holder.booted is not None else 0.0
    return holder if alive(Identity(holder.pid, holder.created + moved)) else None


class DaemonLock:
    """flock on daemon.lock for as long as this object lives. Not inherited by children."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._fd: int | None = None
        self._holder: Holder | None = None

    def acquire(self, holder: Holder) -> None:
        """Take the lock and write who we are. Raises LockHeld."""
        fd = os.open(self._state.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            other = read_holder(self._state)
            who = other.describe() if other else "another daemon that is just starting"
            raise LockHeld(f"this fleet is already supervised by {who}") from None
        self._fd = fd
        self._write(holder)

    def announce_ready(self) -> None:
        if self._holder:
            self._write(replace(self._holder, ready=True))

    def announce_mode(self, mode: str) -> None:
        """What another fleet file says; whoever looks at the fleet reads it here."""
        if self._holder:
            self._write(replace(self._holder, mode=mode))

    def release(self) -> None:
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def _write(self, holder: Holder) -> None:
        if self._fd is None:
            raise LockHeld("the lock is not held")
        self._holder = holder
        text = json.dumps(asdict(holder)).encode()
        # In place, never by rename: the flock belongs to this inode. One write, so that a reader sees
        # either the old text or the new one padded to at least its length.
        os.pwrite(self._fd, text.ljust(1024) + b"\n", 0)


def here() -> str:
    return socket.gethostname()
