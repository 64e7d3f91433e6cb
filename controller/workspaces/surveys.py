"""Looking through folders: to watch them, to find what nobody told of, to stand in for watches."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .folders import SLACK, TOO_MANY, UNSEEN, Change, Folder, Root
from .watches import MOST_UNREAD

if TYPE_CHECKING:
    from .trees import FolderTrees

STEP = 0.02
PAUSE = 0.1
"""What can wait gets STEP seconds and then PAUSE seconds of rest: a sixth of a core while it lasts."""
REST = 50
"""A sweep that took a second of work is not begun again for so many: a fiftieth of a core."""
MOST_KEPT = 32 << 20
"""Bytes of file names remembered in all."""


class Survey:
    """Work on trees in small steps: what is urgent at once, what can wait spread over time.

    `kept`: bytes of names that the folders remember."""

    def __init__(self, trees: FolderTrees, sweep_every: float) -> None:
        self._trees = trees
        self._sweep_every = sweep_every
        self.urgent: deque[Iterator[None]] = deque()
        self._later: deque[Iterator[None]] = deque()
        self._resume = 0.0
        self._next_sweep = time.monotonic() + sweep_every
        self._spent = 0.0
        self.kept = 0

    def urge(self, root: Root, folder: Folder, since: int | None) -> None:
        """Look through `folder` and all below it as soon as possible; tell of what changed after `since`.

        0: everything in it is news. None: only have its folders watched; a look at its files is to follow."""
        self.urgent.append(self._look(root, folder, since))

    def spread(self, root: Root, folder: Folder, since: int) -> None:
        """The same, but it can wait."""
        self._later.append(self._look(root, folder, since))

    def pause(self, now: float) -> float | None:
        """Seconds for which there is nothing to do; None without end."""
        if self.urgent:
            return 0.0
        if self._later:
            return max(0.0, self._resume - now)
        if self._trees.watches.inotify is None or any(root.blind for root in self._trees.roots()):
            return max(0.0, self._next_sweep - now)
        return None

    def work(self, seconds: float) -> None:
        """For about so long."""
        self._work(self.urgent, seconds)
        now = time.monotonic()
        if now >= self._next_sweep and not self._later:
            self._sweep(now)
        if self._later and now >= self._resume and not self.urgent:
            self._work(self._later, STEP)
            self._resume = time.monotonic() + PAUSE
            self._spent += self._resume - PAUSE - now

    def _work(self, steps: deque[Iterator[None]], seconds: float) -> None:
        end = time.monotonic() + seconds
        while steps and time.monotonic() < end and self._trees.watches.unread < MOST_UNREAD:
            try:
                next(steps[0])
            except StopIteration:
                steps.popleft()

    def _sweep(self, now: float) -> None:
        self._next_sweep = now + self._sweep_every
        self._trees.reopen()
        for root in self._trees.roots():
            if root.blind and root.top is not None:
                since, root.looked = root.looked, time.time_ns() - SLACK
                self._later.append(self._look(root, root.top, since, only_blind=True))
        if self._later:
            self._spent = 0.0
            self._later.append(self._swept())

    def _swept(self) -> Iterator[None]:
        yield
        self._next_sweep = max(self._next_sweep, time.monotonic() + REST * self._spent)

    def _look(
        self, root: Root, top: Folder, since: int | None, *, only_blind: bool = False
    ) -> Iterator[None]:
        if top is root.top and not only_blind:
            root.left_out = 0
        todo = [(top, since)]
        while todo:
            folder, after = todo.pop()
            owner, path = folder.place()
            if owner is not root:
                # It was taken away since; should it come again, it is looked through.
                folder.listed = False
                continue
            if only_blind and folder.watch >= 0:
                todo += [(inner, after) for inner in folder.inner.values()]
                continue
            if self._trees.watches.arm(folder, root, path):
                todo += self._compare(root, folder, path, after)
            elif folder is root.top:
                self._trees.lose(root)
            # Else it was deleted or moved a moment ago: the event that says which is on its way.
            self._look_at_robbed()
            yield

    def _look_at_robbed(self) -> None:
        robbed, self._trees.watches.robbed = self._trees.watches.robbed, []
        for folder in robbed:
            root, _ = folder.place()
            if root is not None:
                self.urge(root, folder, self._trees.drained_at())

    def look_at_rest(self, root: Root, moved: Folder) -> None:
        """Of a folder that was moved while it was looked through: what was missed."""
        for folder in moved.below():
            if folder.watch == UNSEEN or not folder.listed:
                self.urge(root, folder, 0)

    def _compare(
        self, root: Root, folder: Folder, path: bytes, since: int | None
    ) -> list[tuple[Folder, int | None]]:
        """Tell of what differs in one folder, remember what is there, return the folders in it."""
        try:
            with os.scandir(path) as entries:
                listed = list(entries)
        except OSError:
            return []
        folder.listed = True
        if since is None:
            folders = [entry for entry in listed if entry.is_dir(follow_symlinks=False)]
            known = [self._inner(root, folder, entry, None) for entry in folders]
            return [found for found in known if found is not None]
        names, inner = [], []
        for entry in listed:
            if entry.is_dir(follow_symlinks=False):
                found = self._inner(root, folder, entry, since)
                if found is not None:
                    inner.append(found)
            elif not self._trees.noise(entry.name):
                names.append(entry.name)
                if _changed(entry, since):
                    self._trees.report(root, Change("made", entry.path, is_folder=False))
        self._vanished(root, folder, path, names, {below.name for below, _ in inner}, since)
        grown = folder.remember(names)
        self.kept += grown
        if self.kept > MOST_KEPT:
            self.kept -= len(folder.names or b"")
            folder.names = TOO_MANY
        return inner

    def _inner(
        self, root: Root, above: Folder, entry: os.DirEntry[bytes], since: int | None
    ) -> tuple[Folder, int | None] | None:
        if entry.name == b".git" and since is not None and _changed(entry, since):
            # A repository that came: it has rules of its own.
            self._trees.report(root, Change("made", entry.path, is_folder=True))
        if self._trees.passed_over(root, entry.name, entry.path):
            return None
        known = above.inner.get(entry.name)
        if known is not None:
            return known, since
        if self._trees.full():
            root.left_out += 1
            return None
        if since is not None:
            self._trees.report(root, Change("made", entry.path, is_folder=True))
        return above.grow(entry.name), None if since is None else 0

    def _vanished(
        self,
        root: Root,
        folder: Folder,
        path: bytes,
        names: list[bytes],
        inner: set[bytes],
        since: int,
    ) -> None:
        for name in folder.inner.keys() - inner:
            self._trees.forget(folder.inner[name])
            self._trees.report(root, Change("gone", path + b"/" + name, is_folder=True))
        if since and folder.names == TOO_MANY and _stat_changed(path, since):
            self._trees.report(root, Change("made", path, is_folder=True))
        elif since:
            for name in folder.missing(names):
                self._trees.report(root, Change("gone", path + b"/" + name, is_folder=False))


def _changed(entry: os.DirEntry[bytes], since: int) -> bool:
    if not since:
        return True
    try:
        return entry.stat(follow_symlinks=False).st_ctime_ns > since
    except OSError:
        return False


def _stat_changed(path: bytes, since: int) -> bool:
    try:
        return os.lstat(path).st_mtime_ns > since
    except OSError:
        return False
