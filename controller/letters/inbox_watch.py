"""Tells which inboxes have new letters: by the kernel's notices where it gives them, by looking elsewhere.

One descriptor stands for both, so that an inbox for which the kernel has no watch left is looked at now and
then, while all others are as quick as before."""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from ..inotify import (
    IN_CLOSE_WRITE,
    IN_DELETE_SELF,
    IN_DONT_FOLLOW,
    IN_IGNORED,
    IN_MOVE_SELF,
    IN_MOVED_TO,
    IN_ONLYDIR,
    IN_Q_OVERFLOW,
    Inotify,
)
from ..means import Means

_GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED
_MASK = IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW
_SCARCE = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
FRESH = 2.0
"""Seconds. A folder's time is only as fine as the kernel's tick: two letters may share it, so a folder that
changed just now is looked at once more."""
RETRY_WATCH = 10.0


class InboxWatch:
    """Wakes the engine when letters arrive: give `fileno()` to `loop.add_reader` and call `read()` then.

    Where there is no inotify, or no more of it, a thread looks every `every` seconds and rings the same
    descriptor. A notice can be early, doubled or, after a folder was replaced, missing: look into all now
    and then. Thread-safe."""

    def __init__(self, *, every: float = 0.5, polling: bool = False) -> None:
        self._lock = threading.RLock()
        self._every = every
        self._folders: dict[str, Path] = {}
        self._watches: dict[int, str] = {}
        self._why = "it was asked for" if polling else ""
        self._inotify = None if polling else self._open_inotify()
        self._poll: _FolderPoll | None = None
        self._epoll: select.epoll | None = None
        if self._inotify is None:
            self._poll = _FolderPoll(every, self._rearm)
        else:
            # Readable when either is: the loop needs to know one number only.
            self._epoll = select.epoll()
            self._epoll.register(self._inotify.fd, select.EPOLLIN)

    @property
    def polling(self) -> bool:
        """No inotify for some inbox: its news is up to `every` seconds late."""
        return self._poll is not None and bool(self._poll.folders or self._inotify is None)

    def means(self) -> tuple[Means, ...]:
        """By which means letters are noticed now."""
        with self._lock:
            looked = len(self._poll.folders) if self._poll else 0
            if self._inotify is not None and not looked:
                return (Means("letters", "the kernel tells of each letter (inotify)"),)
            rest = "all inboxes" if self._inotify is None else f"{looked} of {len(self._folders)} inboxes"
            how = f"{rest} looked at every {self._every:g} s"
            return (Means("letters", how, self._why == "it was asked for", self._why),)

    def fileno(self) -> int:
        """Readable when there is news. The same number for the life of this object."""
        if self._epoll is not None:
            return self._epoll.fileno()
        assert self._poll is not None
        return self._poll.fileno()

    def add(self, agent: str, folder: Path) -> None:
        """Watch `folder` for `agent`; calling it again is the way to re-arm a folder that was replaced.

        Where the kernel has no watch left, the folder is looked at instead. Raises OSError when there is no
        such folder."""
        with self._lock:
            self._folders[agent] = folder
            if not self._armed(agent, folder):
                self._look_at(agent, folder)
            elif self._poll:
                self._poll.drop(agent)

    def remove(self, agent: str) -> None:
        with self._lock:
            self._folders.pop(agent, None)
            if self._poll:
                self._poll.drop(agent)
            for watch in [number for number, name in self._watches.items() if name == agent]:
                del self._watches[watch]
                if self._inotify:
                    self._inotify.drop(watch)

    def read(self) -> set[str]:
        """The agents whose inbox changed since the last call; never blocks."""
        with self._lock:
            changed = self._poll.take() if self._poll else set[str]()
            for notice in self._inotify.read() if self._inotify else ():
                if notice.mask & IN_Q_OVERFLOW:
                    changed.update(self._folders)
                agent = self._watches.get(notice.watch)
                if agent is not None:
                    changed.add(agent)
                    if notice.mask & _GONE:
                        del self._watches[notice.watch]
        return changed

    def close(self) -> None:
        if self._poll:
            self._poll.close()
        if self._epoll:
            self._epoll.close()
        if self._inotify:
            self._inotify.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_inotify(self) -> Inotify | None:
        try:
            return Inotify()
        except (OSError, AttributeError) as error:
            self._why = _advice(error)
            return None

    def _armed(self, agent: str, folder: Path) -> bool:
        """Whether the kernel tells of this folder from now on."""
        if self._inotify is None:
            return False
        try:
            self._watches[self._inotify.add(folder, _MASK)] = agent
        except OSError as error:
            if error.errno not in _SCARCE:
                raise
            self._why = _advice(error)
            return False
        return True

    def _look_at(self, agent: str, folder: Path) -> None:
        if self._poll is None:
            self._poll = _FolderPoll(self._every, self._rearm)
            assert self._epoll is not None
            self._epoll.register(self._poll.fileno(), select.EPOLLIN)
        self._poll.add(agent, folder)

    def _rearm(self) -> None:
        """Called by the looking thread: the kernel may have watches again."""
        with self._lock:
            if self._inotify is None or self._poll is None:
                return
            for agent, folder in list(self._poll.folders.items()):
                try:
                    if not self._armed(agent, folder):
                        return
                except OSError:
                    continue  # gone; whoever reads the inbox makes it anew
                self._poll.drop(agent)
                self._poll.tell(agent)  # of what came between the last look and the watch


class _FolderPoll:
    """Looks at the folders' modification times from a thread and rings a pipe when one moved."""

    def __init__(self, every: float, rearm: Callable[[], None]) -> None:
        self.folders: dict[str, Path] = {}
        self._every = every
        self._rearm = rearm
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}
        self._unsure: set[str] = set()
        self._changed: set[str] = set()
        self._hear, self._ring = (
            os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else _plain_pipe()
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hhmrs-inboxes", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        return self._hear

    def add(self, agent: str, folder: Path) -> None:
        with self._lock:
            self.folders[agent] = folder
            self._seen.pop(agent, None)

    def drop(self, agent: str) -> None:
        with self._lock:
            self.folders.pop(agent, None)

    def tell(self, agent: str) -> None:
        """Name it as changed."""
        with self._lock:
            self._tell(agent)

    def take(self) -> set[str]:
        with self._lock:
            try:
                os.read(self._hear, 4096)
            except BlockingIOError:
                pass
            changed = set(self._changed)
            self._changed.clear()
            return changed

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        os.close(self._hear)
        os.close(self._ring)

    def _run(self) -> None:
        tried = time.monotonic()
        while not self._over.wait(self._every):
            with self._lock:
                for agent, folder in self.folders.items():
                    self._look(agent, folder)
            if time.monotonic() - tried > RETRY_WATCH:
                self._rearm()
                tried = time.monotonic()

    def _look(self, agent: str, folder: Path) -> None:
        moved = moved_at(folder)
        fresh = is_fresh(moved)
        if self._seen.get(agent) == moved and (fresh or agent not in self._unsure):
            return
        self._seen[agent] = moved
        self._unsure.add(agent) if fresh else self._unsure.discard(agent)
        self._tell(agent)

    def _tell(self, agent: str) -> None:
        self._changed.add(agent)
        try:
            os.write(self._ring, b"!")
        except BlockingIOError:
            pass


def moved_at(folder: Path) -> int:
    """When an entry of the folder was last added or removed, in ns since the epoch; -1: nobody can say."""
    try:
        return os.stat(folder, follow_symlinks=False).st_mtime_ns
    except OSError:
        return -1


def is_fresh(moved: int) -> bool:
    """So lately that something else may have come after it at the same tick."""
    return abs(time.time_ns() - moved) < FRESH * 1e9


def _advice(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ENOSPC:
        return "no inotify watch is left: raise fs.inotify.max_user_watches (sysctl)"
    if number in (errno.EMFILE, errno.ENFILE):
        return "no inotify instance is left: raise fs.inotify.max_user_instances (sysctl)"
    return f"no inotify on this system ({error})"


def _plain_pipe() -> tuple[int, int]:
    hear, ring = os.pipe()
    os.set_blocking(hear, False)
    os.set_blocking(ring, False)
    return hear, ring
