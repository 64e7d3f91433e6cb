"""Which agent changed a file: one watchdog observer over all workspaces.

Two things watchdog 7 must never be given are kept out here: a watch without an event filter (it then sees
its own directory walks and spins), and more directories than the kernel's event queue holds (it then
overflows while it recovers from an overflow, for ever). So caches are not watched at all, the number of
watched directories is bounded, and what lies beyond the bound is looked at slowly by its times."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver, ObservedWatch

from .ignoring import FOLDERS, GitIgnores, trivial

log = logging.getLogger(__name__)

EmitFile = Callable[[str, str], None]
"""Called with an agent and a path relative to its workspace, from a thread of ours."""

SETTLE = 0.2
MOST_FOLDERS = 12_000
SWEEP_EVERY = 15.0
ARM_EVERY = 1.0
MOST_PENDING = 500
MOST_NEWS = 50_000

FILTER: list[type[FileSystemEvent]] = [
    FileCreatedEvent, FileModifiedEvent, FileDeletedEvent, FileMovedEvent,
    DirCreatedEvent, DirDeletedEvent, DirMovedEvent,
]  # fmt: skip
"""Never opened or closed. A folder's own modification is left out too: it follows every change of a file in
it, also of those that say nothing, such as our marker."""


@dataclass(slots=True, eq=False)
class _Root:
    """One watched folder. `agents`: whose workspace it is; with more than one, nobody gets its events."""

    path: str
    agents: set[str] = field(default_factory=set)
    watch: ObservedWatch | None = None
    inode: tuple[int, int] | None = None
    whole: bool = True
    newest: float = 0.0
    pending: dict[str, None] = field(default_factory=dict)


class Workspaces:
    """Watches workspaces and says who changed what, at most once per agent and `settle` seconds.

    A change belongs to the innermost workspace that holds it. If several agents share that workspace it is
    nobody's: shared files prove no single agent's progress. Thread-safe."""

    def __init__(
        self, emit_file: EmitFile, *, settle: float = SETTLE, most_folders: int = MOST_FOLDERS
    ) -> None:
        self._emit = emit_file
        self._settle = settle
        self._lock = threading.RLock()
        self._roots: dict[str, _Root] = {}
        self._ours: set[str] = set()
        self._home = tempfile.TemporaryDirectory(prefix="hhmrs-ignores-")
        self._ignores = GitIgnores(Path(self._home.name))
        self._watcher = _Watcher(most_folders)
        self._changes: deque[tuple[_Root, str]] = deque(maxlen=MOST_NEWS)
        self._over = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hhmrs-workspaces", daemon=True)
        self._thread.start()

    def watch(self, agent: str, path: Path) -> None:
        """Attribute changes below `path` to `agent`. A missing folder is watched as soon as it is there."""
        place = os.path.realpath(path)
        with self._lock:
            if agent in self._owners(place):
                return
            self.unwatch(agent)
            root = self._roots.setdefault(place, _Root(place))
            root.agents.add(agent)
            self._arm(root)

    def unwatch(self, agent: str) -> None:
        with self._lock:
            for root in [root for root in self._roots.values() if agent in root.agents]:
                root.agents.discard(agent)
                if not root.agents:
                    del self._roots[root.path]
                    self._watcher.drop(root.watch)

    def ours(self, *paths: Path) -> None:
        """These files, and all below these folders, supervisors write: their changes are nobody's."""
        with self._lock:
            self._ours.update(os.path.join(os.path.realpath(path.parent), path.name) for path in paths)

    def partial(self) -> dict[str, str]:
        """Agents whose workspace is too large, or cannot be watched, and is only looked at slowly: why."""
        with self._lock:
            return {agent: f"{root.path} has more folders than can be watched"
                    for root in self._roots.values() if not root.whole for agent in root.agents}  # fmt: skip

    def stop(self) -> None:
        """End the threads; no emit happens afterwards."""
        self._over.set()
        self._news.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._watcher.stop()
        self._home.cleanup()

    def _owners(self, place: str) -> set[str]:
        root = self._roots.get(place)
        return root.agents if root else set()

    # -- on the observer's thread: no lock of ours, because watchdog holds its own here --------------------

    def _heard(self, root: _Root, path: str) -> None:
        self._changes.append((root, path))
        self._news.set()

    # -- on our own thread: sorts, says, re-arms, sweeps ---------------------------------------------------

    def _sort(self, root: _Root, path: str) -> None:
        relative = os.path.relpath(path, root.path)
        parts = relative.split(os.sep)
        with self._lock:
            if relative == "." or self._is_ours(root, path) or trivial(parts):
                return
            if self._innermost(path) is not root:
                return
            root.pending.pop(relative, None)
            root.pending[relative] = None
            if len(root.pending) > MOST_PENDING:
                del root.pending[next(iter(root.pending))]
        if parts[-1] == ".gitignore":
            self._ignores.forget(root.path)

    def _is_ours(self, root: _Root, path: str) -> bool:
        while self._ours and len(path) > len(root.path):
            if path in self._ours:
                return True
            path = os.path.dirname(path)
        return False

    def _innermost(self, path: str) -> _Root | None:
        while True:
            found = self._roots.get(path)
            above = os.path.dirname(path)
            if found is not None or above == path:
                return found
            path = above

    def _run(self) -> None:
        armed = swept = time.monotonic()
        while not self._over.is_set():
            if self._news.wait(ARM_EVERY):
                self._news.clear()
                if self._over.wait(self._settle):
                    return
                self._tell_all()
            now = time.monotonic()
            if now - armed >= ARM_EVERY:
                armed = now
                self._rearm()
            if now - swept >= SWEEP_EVERY:
                swept = now
                self._sweep()

    def _tell_all(self) -> None:
        for _ in range(len(self._changes)):
            self._sort(*self._changes.popleft())
        with self._lock:
            waiting = [(root, list(root.pending)) for root in self._roots.values() if root.pending]
            for root, _ in waiting:
                root.pending.clear()
        for root, paths in waiting:
            kept = self._ignores.kept(root.path, paths)
            with self._lock:
                agents = list(root.agents)
            if kept and len(agents) == 1 and not self._over.is_set():
                self._tell(agents[0], kept[-1])

    def _tell(self, agent: str, path: str) -> None:
        try:
            self._emit(agent, path)
        except Exception:
            log.exception("agent %s: a change of %r could not be passed on", agent, path)

    def _rearm(self) -> None:
        """Watch anew what was missing, or was replaced by another folder of the same name."""
        with self._lock:
            for root in self._roots.values():
                if _inode(root.path) != root.inode:
                    self._arm(root)

    def _arm(self, root: _Root) -> None:
        self._watcher.drop(root.watch)
        root.watch, root.inode = None, _inode(root.path)
        if root.inode is None:
            return
        root.newest = time.time()
        root.watch, root.whole = self._watcher.add(root.path, lambda path: self._heard(root, path))
        if not root.whole:
            log.warning("workspace %s is too large to be watched whole; it is also looked at every %g s",
                        root.path, SWEEP_EVERY)  # fmt: skip

    def _sweep(self) -> None:
        with self._lock:
            partial = [root for root in self._roots.values() if not root.whole]
        for root in partial:
            path, when = _newest_file(root.path, root.newest)
            if path is not None:
                root.newest = when
                self._heard(root, path)


class _Watcher:
    """The only place that schedules with watchdog: always with FILTER, and with a bound on folders."""

    def __init__(self, most_folders: int) -> None:
        self._budget = _Budget(most_folders)
        self._observer: BaseObserver = _observer(self._budget)
        self._observer.start()

    def add(self, path: str, seen: Callable[[str], None]) -> tuple[ObservedWatch | None, bool]:
        """The watch, and whether all folders below `path` are in it."""
        refused = self._budget.refused
        try:
            watch = self._observer.schedule(_Ear(seen), path, recursive=True, event_filter=FILTER)
        except OSError as why:
            log.warning("workspace %s cannot be watched: %s", path, why)
            return None, False
        return watch, self._budget.refused == refused

    def drop(self, watch: ObservedWatch | None) -> None:
        if watch is not None:
            try:
                self._observer.unschedule(watch)
            except KeyError:
                return  # it ended by itself with its folder

    def stop(self) -> None:
        self._observer.stop()
        self._observer.join()


class _Ear(FileSystemEventHandler):
    def __init__(self, seen: Callable[[str], None]) -> None:
        self._hear = seen

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            if path:
                self._hear(os.fsdecode(path))


@dataclass(slots=True)
class _Budget:
    """How many folders may still be watched; `refused` counts those that were not."""

    left: int
    refused: int = 0


def _filtered(kind: Any) -> Any:
    """The observer class, unable to schedule without an event filter."""

    class Filtered(kind):  # type: ignore[misc]  # the class differs by platform
        def schedule(self, *args: Any, **kwargs: Any) -> ObservedWatch:
            if not kwargs.get("event_filter"):
                raise ValueError("watchdog spins on large trees without an event filter; pass one")
            watch: ObservedWatch = super().schedule(*args, **kwargs)
            return watch

    return Filtered


def _observer(budget: _Budget) -> BaseObserver:
    try:
        from watchdog.observers.inotify import InotifyObserver
    except (ImportError, OSError):
        from watchdog.observers import Observer

        polling: BaseObserver = _filtered(Observer)()
        return polling
    observer: BaseObserver = _filtered(InotifyObserver)()
    # watchdog has no way to leave folders out, and 30 folders in 45 of an ordinary workspace are caches.
    observer._emitter_class = _sparse_emitter(budget)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - there is no public name for it
    return observer


def _sparse_emitter(budget: _Budget) -> Any:
    """watchdog's inotify emitter, which passes over FOLDERS and stops adding folders at the budget's end."""
    from watchdog.observers.inotify import InotifyEmitter, InotifyWatchGroup

    skipped = {os.fsencode(name) for name in FOLDERS}

    class Sparse(InotifyWatchGroup):
        def _add_all_callbacks(self, path: bytes) -> None:
            if path != self.path and os.path.basename(path) in skipped:
                return
            self._add_callback(path)
            for folder, inner, _ in os.walk(path):
                inner[:] = [name for name in inner if name not in skipped]
                for name in inner:
                    place = os.path.join(folder, name)
                    if not os.path.islink(place):
                        self._add_callback(place)

        def _add_callback(self, path: bytes) -> None:
            if budget.left <= 0 and path != self.path:
                budget.refused += 1
                return
            before = len(self._active_callbacks_by_watch)
            super()._add_callback(path)
            budget.left -= len(self._active_callbacks_by_watch) - before

        def _remove_watch_internally(self, wd: Any) -> None:
            super()._remove_watch_internally(wd)
            budget.left += 1

    class SparseEmitter(InotifyEmitter):
        def on_thread_start(self) -> None:
            self._inotify = Sparse(
                self._inotify_fd, os.fsencode(self.watch.path), is_recursive=True,
                event_mask=self.get_event_mask_from_filter(), follow_symlink=False,
            )  # fmt: skip

    return SparseEmitter


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    # A link that has taken a workspace's place leads to what is not the agent's.
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def _newest_file(root: str, since: float) -> tuple[str | None, float]:
    """The file below `root` changed last, if that was after `since`; caches are passed over."""
    best: str | None = None
    when = since
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if name not in FOLDERS]
        for name in names:
            place = os.path.join(folder, name)
            try:
                changed = os.lstat(place).st_mtime
            except OSError:
                continue
            if changed > when and not trivial([name]):
                best, when = place, changed
    return best, when
