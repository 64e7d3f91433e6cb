"""Tells which inboxes have new letters: one inotify descriptor on Linux, a poll of folder times elsewhere."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from .inotify import (
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

_GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED


class InboxWatch:
    """Wakes the engine when letters arrive: give `fileno()` to `loop.add_reader` and call `read()` then.

    The same descriptor serves when there is no inotify: a thread looks every `every` seconds and rings it.
    A notice can be early, doubled or, after a folder was replaced, missing: drain all now and then."""

    def __init__(self, *, every: float = 0.5, polling: bool = False) -> None:
        self._lock = threading.Lock()
        self._folders: dict[str, Path] = {}
        self._inotify: Inotify | None = None
        if not polling:
            try:
                self._inotify = Inotify()
            except (OSError, AttributeError):
                self._inotify = None
        self._watches: dict[int, str] = {}
        self._poll = None if self._inotify else _FolderPoll(self._folders, self._lock, every)

    @property
    def polling(self) -> bool:
        """No inotify here: news is up to `every` seconds late."""
        return self._poll is not None

    def fileno(self) -> int:
        """Readable when there is news. The same number for the life of this object."""
        if self._inotify:
            return self._inotify.fd
        assert self._poll is not None
        return self._poll.fileno()

    def add(self, agent: str, folder: Path) -> None:
        """Watch `folder` for `agent`; calling it again is the way to re-arm a folder that was replaced.

        Raises OSError when the kernel's watch limit is reached (`fs.inotify.max_user_watches`)."""
        with self._lock:
            self._folders[agent] = folder
            if self._inotify:
                mask = (
                    IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW
                )
                self._watches[self._inotify.add(folder, mask)] = agent

    def remove(self, agent: str) -> None:
        with self._lock:
            self._folders.pop(agent, None)
            for watch in [number for number, name in self._watches.items() if name == agent]:
                del self._watches[watch]
                if self._inotify:
                    self._inotify.drop(watch)

    def read(self) -> set[str]:
        """The agents whose inbox changed since the last call; never blocks."""
        if self._inotify is None:
            assert self._poll is not None
            return self._poll.take()
        changed: set[str] = set()
        with self._lock:
            for notice in self._inotify.read():
                watch, mask = notice.watch, notice.mask
                if mask & IN_Q_OVERFLOW:
                    changed.update(self._folders)
                agent = self._watches.get(watch)
                if agent is not None:
                    changed.add(agent)
                    if mask & _GONE:
                        del self._watches[watch]
        return changed

    def close(self) -> None:
        if self._inotify:
            self._inotify.close()
        if self._poll:
            self._poll.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _FolderPoll:
    """Looks at the folders' modification times from a thread and rings a pipe when one moved."""

    def __init__(self, folders: dict[str, Path], lock: threading.Lock, every: float) -> None:
        self._folders = folders
        self._lock = lock
        self._every = every
        self._seen: dict[str, int] = {}
        self._changed: set[str] = set()
        self._hear, self._ring = (
            os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else _plain_pipe()
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hhmrs-inboxes", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        return self._hear

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
        while not self._over.wait(self._every):
            with self._lock:
                for agent, folder in self._folders.items():
                    self._look(agent, folder)

    def _look(self, agent: str, folder: Path) -> None:
        try:
            moved = os.stat(folder, follow_symlinks=False).st_mtime_ns
        except OSError:
            moved = -1
        if self._seen.get(agent) == moved:
            return
        self._seen[agent] = moved
        self._changed.add(agent)
        try:
            os.write(self._ring, b"!")
        except BlockingIOError:
            pass


def _plain_pipe() -> tuple[int, int]:
    hear, ring = os.pipe()
    os.set_blocking(hear, False)
    os.set_blocking(ring, False)
    return hear, ring
