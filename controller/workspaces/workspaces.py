"""Which agent changed a file: watchdog over all workspaces, with an emitter of ours where there is inotify.

watchdog's own emitter is a thread for each workspace, watches every cache, spins without an event filter on
large trees, and overflows for ever once it recovers from an overflow with more watches than the kernel's
queue is long. Ours are names only: one descriptor and one thread see all trees (trees.py). An event filter is
always given. On other systems watchdog's own observer serves, with the same filter."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

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
from watchdog.observers.api import BaseObserver, EventEmitter, EventQueue, ObservedWatch

from ..means import Means
from .crediting import Crediting, EmitFile
from .folders import Change
from .ignoring import noisy_file, skipped_folder
from .trees import MOST_KNOWN, FolderTrees
from .writers import Trees, Writers

__all__ = ["EmitFile", "Workspaces"]

log = logging.getLogger(__name__)

SETTLE = 0.2
SWEEP_EVERY = 15.0

FILTER: list[type[FileSystemEvent]] = [
    FileCreatedEvent, FileModifiedEvent, FileDeletedEvent, FileMovedEvent,
    DirCreatedEvent, DirDeletedEvent, DirMovedEvent,
]  # fmt: skip
"""Never opened or closed. A folder's own modification is left out too: it follows every change of a file in
it, also of those that say nothing, such as our marker."""

_EVENTS: dict[tuple[str, bool], type[FileSystemEvent]] = {
    ("made", False): FileCreatedEvent,
    ("changed", False): FileModifiedEvent,
    ("gone", False): FileDeletedEvent,
    ("made", True): DirCreatedEvent,
    ("gone", True): DirDeletedEvent,
}


class Workspaces:
    """Watches workspaces and says who changed what, at most once per agent and `settle` seconds.

    A change belongs to the innermost workspace that holds it. If several agents share that workspace it is
    the one's whose processes (`trees`) can be shown to have written it, else nobody's. Thread-safe."""

    def __init__(
        self,
        emit_file: EmitFile,
        *,
        settle: float = SETTLE,
        most_folders: int | None = None,
        sweep_every: float = SWEEP_EVERY,
        trees: Trees | None = None,
        counts: Callable[[str, str], bool] = lambda _agent, _path: True,
    ) -> None:
        """`counts`: whether a path says anything of that agent's work."""
        writers = Writers(trees) if trees is not None else None
        self._watching = _watching(most_folders, sweep_every)
        self._crediting = Crediting(emit_file, self._watching, writers, settle, counts)
        self._watching.start(self._crediting)
        self._crediting.start()

    def watch(self, agent: str, path: Path) -> None:
        """Attribute changes below `path` from now on to `agent`; returns before all of it is watched.

        A missing folder is watched as soon as it is there."""
        self._crediting.join(agent, os.path.realpath(path))

    def unwatch(self, agent: str) -> None:
        self._crediting.leave(agent)

    def ours(self, *paths: Path) -> None:
        """These files, and all below these folders, supervisors write: their changes are nobody's."""
        self._crediting.ours(os.path.join(os.path.realpath(path.parent), path.name) for path in paths)

    def ready(self, within: float = 10.0) -> bool:
        """Wait until all that was asked for is watched; False when it is not after `within` seconds."""
        end = time.monotonic() + within
        while not (self._crediting.at_rest and self._watching.at_rest):
            if time.monotonic() > end:
                return False
            time.sleep(0.002)
        return True

    def partial(self) -> dict[str, str]:
        """Agents of whose workspace not every folder can be watched: why, and how to mend it."""
        return {
            agent: why
            for place, why in self._watching.lacking().items()
            for agent in self._crediting.agents_of(place)
        }

    def means(self) -> tuple[Means, ...]:
        """By what files are seen just now."""
        return (self._watching.means(),)

    def stop(self) -> None:
        """End the threads; no emit happens afterwards."""
        self._crediting.stop()
        self._watching.stop()


class _Watching(Protocol):
    """The one place that schedules with watchdog: always with FILTER."""

    @property
    def at_rest(self) -> bool: ...
    def start(self, crediting: Crediting) -> None: ...
    def add(self, root: str, ignored: set[str], asked: int) -> None: ...
    def drop(self, root: str) -> None: ...
    def pass_over(self, root: str, folders: Iterable[str], since: int | None = None) -> None: ...
    def lacking(self) -> dict[str, str]: ...
    def means(self) -> Means: ...
    def stop(self) -> None: ...


def _watching(most_folders: int | None, sweep_every: float) -> _Watching:
    if Path("/proc/sys/fs/inotify").exists():
        return _TreeWatching(most_folders, sweep_every)
    return _PlainWatching()


class _Ear(FileSystemEventHandler):
    """Hears what happens below one root."""

    def __init__(self, root: str, crediting: Crediting) -> None:
        self._root = root
        self._crediting = crediting

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            if path:
                written = isinstance(event, FileModifiedEvent)
                self._crediting.heard(self._root, os.fsdecode(path), written=written)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a root's emitter is to tell: changes after `since` (ns since 1970), none in `ignored` folders."""

    since: int
    ignored: frozenset[str] = frozenset()


class TreeEmitter(EventEmitter):
    """One root of the trees: makes watchdog's events of what they tell of it. Never a thread of its own."""

    def __init__(
        self,
        event_queue: EventQueue,
        watch: ObservedWatch,
        *,
        trees: FolderTrees,
        wanted: Mapping[str, Wanted],
        **keywords: Any,
    ) -> None:
        super().__init__(event_queue, watch, **keywords)
        self._trees = trees
        self._wanted = wanted.get(watch.path, Wanted(time.time_ns()))

    def start(self) -> None:
        ignored = map(os.fsencode, self._wanted.ignored)
        self._trees.add(os.fsencode(self.watch.path), self._hear, ignored, self._wanted.since)

    def on_thread_stop(self) -> None:
        self._trees.drop(os.fsencode(self.watch.path))

    def _hear(self, change: Change) -> None:
        self.queue_event(_EVENTS[change.kind, change.is_folder](os.fsdecode(change.path)))


class TreeObserver(BaseObserver):
    """watchdog's observer, whose one thread reads for all its emitters and dispatches what it read."""

    def __init__(self, trees: FolderTrees) -> None:
        self.wanted: dict[str, Wanted] = {}
        super().__init__(TreeEmitter, trees=trees, wanted=self.wanted)
        self.name = "hhmrs-folders"
        self._trees = trees

    def schedule(
        self,
        event_handler: FileSystemEventHandler,
        path: str | Path,
        *,
        recursive: bool = False,
        event_filter: list[type[FileSystemEvent]] | None = None,
        follow_symlink: bool = False,
    ) -> ObservedWatch:
        """As watchdog's, but only for whole trees, without links, with a filter. Raises ValueError."""
        if not event_filter:
            raise ValueError("without an event filter watchdog hears of its own looking; pass one")
        if not recursive or follow_symlink:
            raise ValueError("this observer watches whole trees and follows no links")
        return super().schedule(event_handler, path, recursive=True, event_filter=event_filter)

    def run(self) -> None:
        while self.should_keep_running():
            try:
                self._trees.turn()
                while not self.event_queue.empty():
                    self.dispatch_events(self.event_queue)
            except Exception:
                log.exception("workspaces could not be watched for a moment; all of them are looked through")
                self._trees.lose_all()
                self.stopped_event.wait(1.0)
        self._trees.close()

    def stop(self) -> None:
        super().stop()
        self._trees.wake()


class _TreeWatching:
    """All workspaces with one descriptor and one thread (Linux)."""

    def __init__(self, most_folders: int | None, sweep_every: float) -> None:
        self._most_folders, self._sweep_every = most_folders, sweep_every

    def start(self, crediting: Crediting) -> None:
        self._crediting = crediting
        self.trees = FolderTrees(
            skipped=skipped_folder,
            noise=noisy_file,
            ours=lambda path: crediting.is_ours(os.fsdecode(path)),
            most_folders=self._most_folders,
            sweep_every=self._sweep_every,
        )
        self.observer = TreeObserver(self.trees)
        self._scheduled: dict[str, ObservedWatch] = {}
        self.observer.start()

    @property
    def at_rest(self) -> bool:
        return self.trees.at_rest

    def add(self, root: str, ignored: set[str], asked: int) -> None:
        self.observer.wanted[root] = Wanted(asked, frozenset(ignored))
        ear = _Ear(root, self._crediting)
        self._scheduled[root] = self.observer.schedule(ear, root, recursive=True, event_filter=FILTER)
        del self.observer.wanted[root]

    def drop(self, root: str) -> None:
        watch = self._scheduled.pop(root, None)
        if watch is not None:
            with suppress(KeyError):  # all is over already
                self.observer.unschedule(watch)

    def pass_over(self, root: str, folders: Iterable[str], since: int | None = None) -> None:
        self.trees.ignore(os.fsencode(root), map(os.fsencode, folders), since)

    def lacking(self) -> dict[str, str]:
        why = self.trees.watches.why or f"more than {MOST_KNOWN} folders are known already"
        roots = self.trees.roots()
        return {os.fsdecode(root.path): why for root in roots if root.blind or root.left_out}

    def means(self) -> Means:
        lacking, watches = self.lacking(), self.trees.watches
        if watches.inotify is None:
            return Means("files", f"a look at the times of all files, {self._pace()}", False, watches.why)
        if not lacking:
            return Means("files", "inotify, one descriptor for all workspaces")
        how = f"inotify; {watches.blind} folders of {len(lacking)} workspaces by their times, {self._pace()}"
        return Means("files", how, False, next(iter(lacking.values())))

    def _pace(self) -> str:
        return f"every {self._sweep_every:g} s or as often as a fiftieth of a core allows"

    def stop(self) -> None:
        self.observer.stop()
        self.observer.join()


class _PlainWatching:
    """With what watchdog has for other systems."""

    def start(self, crediting: Crediting) -> None:
        from watchdog.observers import Observer

        self._crediting = crediting
        self._observer: BaseObserver = Observer()
        self._scheduled: dict[str, ObservedWatch] = {}
        self._refused: dict[str, str] = {}
        self._observer.start()

    @property
    def at_rest(self) -> bool:
        return True

    def add(self, root: str, ignored: set[str], asked: int) -> None:  # noqa: ARG002 - as the other takes it
        ear = _Ear(root, self._crediting)
        try:
            self._scheduled[root] = self._observer.schedule(ear, root, recursive=True, event_filter=FILTER)
        except OSError as error:
            log.warning("workspace %s cannot be watched: %s", root, error)
            self._refused[root] = f"it cannot be watched: {error}"

    def drop(self, root: str) -> None:
        self._refused.pop(root, None)
        watch = self._scheduled.pop(root, None)
        if watch is not None:
            with suppress(KeyError):  # it ended by itself with its folder
                self._observer.unschedule(watch)

    def pass_over(self, root: str, folders: Iterable[str], since: int | None = None) -> None:
        """watchdog has no way to leave folders out; their events are sorted out later."""

    def lacking(self) -> dict[str, str]:
        return dict(self._refused)

    def means(self) -> Means:
        how = type(self._observer).__name__
        return Means("files", f"watchdog's {how}", not self._refused, next(iter(self._refused.values()), ""))

    def stop(self) -> None:
        self._observer.stop()
        self._observer.join()
