"""The watches of one inotify descriptor, each on one folder, within the kernel's bounds and one of ours."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator

from ..inotify import (
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_DONT_FOLLOW,
    IN_EXCL_UNLINK,
    IN_MASK_ADD,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_ONLYDIR,
    Inotify,
    Notice,
    tightest,
)
from .folders import BLIND, UNSEEN, Folder, Root

log = logging.getLogger(__name__)

MASK = (
    IN_CREATE | IN_DELETE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO
    | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK
)  # fmt: skip
"""Nothing that reading makes, and no attributes: a folder's own times follow each of these anyway."""
ABSENCE_MASK = (
    IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW | IN_MASK_ADD
)
MOST_FOLDERS = 100_000
SHARE = 2
"""Half of the user's watches is ours at most: agents' own tools watch files too."""
RELEASE_STEP = 1_000
MOST_UNREAD = 4_000
"""Each watch given up comes back as an event: too many at a time would fill the kernel's queue."""


class Watches:
    """Folders by the number of their watch. All of it for one thread, save the reading of plain values."""

    def __init__(self, most_folders: int | None = None) -> None:
        self._given = most_folders
        self._most = 0
        self._of: dict[int, Folder] = {}
        self._absent: dict[int, set[Root]] = {}
        self.inotify: Inotify | None = None
        self.blind = 0
        self.robbed: list[Folder] = []
        """Folders whose watch turned out to be another's."""
        self.unread = 0
        """Watches given up since the last reading; each comes back as an event."""
        self.why = ""
        """What is missing and how to mend it; empty while nothing is."""
        self.renew()

    def __len__(self) -> int:
        return len(self._of)

    def renew(self) -> bool:
        """Try again for what there was none of; whether there is a descriptor now that was not before."""
        allowed = tightest("watches")[1] // SHARE
        self._most = min(MOST_FOLDERS, allowed) if self._given is None else self._given
        if self.inotify is not None:
            return False
        try:
            self.inotify = Inotify()
        except (OSError, AttributeError) as error:
            if not self.why:
                log.warning("workspaces are looked at instead of watched: %s", error)
            self.why = _no_descriptor(error)
            return False
        self.why = ""
        return True

    def read(self) -> list[Notice]:
        self.unread = 0
        return self.inotify.read() if self.inotify is not None else []

    def folder(self, watch: int) -> Folder | None:
        return self._of.get(watch)

    def arm(self, folder: Folder, root: Root, path: bytes) -> bool:
        """See to it that `folder` is watched, or counted as blind; False when it is no folder any more."""
        watch = self._add(path, new=folder.watch < 0)
        if watch is None:
            return False
        if watch < 0:
            self._let_go(folder)
        elif self._of.get(watch) is not folder:
            other = self._of.get(watch)
            if other is not None and self._is_elsewhere_too(other, path):
                watch = BLIND  # one folder under two names; the kernel tells of it under one
            else:
                self._let_go(folder)
                self._of[watch] = folder
                if other is not None:
                    # Moved, or its name led to this one for a moment: where it is now is to be seen.
                    other.watch = UNSEEN
                    self.robbed.append(other)
        self._count(root, (watch == BLIND) - (folder.watch == BLIND))
        folder.watch = watch
        return True

    def _add(self, path: bytes, *, new: bool) -> int | None:
        """The watch on `path`; BLIND when there can be none, UNSEEN when we may not look, None without it."""
        if self.inotify is None:
            return BLIND if _is_folder(path) else None
        if new and len(self._of) >= self._most:
            self._refused(self._our_bound())
            return BLIND
        try:
            return self.inotify.add(path, MASK)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.ENOMEM}:
                self._refused(_kernel_bound())
                return BLIND
            return UNSEEN if error.errno == errno.EACCES else None

    def _refused(self, why: str) -> None:
        if self.why != why:
            log.warning("not every folder can be watched: %s", why)
            self.why = why

    def _our_bound(self) -> str:
        bound = f"{self._most} folders are watched already"
        if self._given is not None or self._most == MOST_FOLDERS:
            return f"{bound}, and more are not taken on; let fewer agents work in large folders"
        name, value = tightest("watches")
        return f"{bound}, half of {name} ({value}); raise it: {_raise(name, value)}"

    def _is_elsewhere_too(self, other: Folder, path: bytes) -> bool:
        root, place = other.place()
        if root is None or place == path:
            return False
        try:
            one, two = os.lstat(place), os.lstat(path)
        except OSError:
            return False
        return (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)

    def _let_go(self, folder: Folder) -> None:
        if self._of.get(folder.watch) is folder:
            del self._of[folder.watch]
            self._remove(folder.watch)

    def _remove(self, watch: int) -> None:
        if self.inotify is not None and watch not in self._absent:
            self.inotify.drop(watch)
            self.unread += 1

    def _count(self, root: Root, blind: int) -> None:
        root.blind += blind
        self.blind += blind

    def release(self, top: Folder, root: Root) -> Iterator[None]:
        """Stop watching `top`, which was cut off, and all below it; a step at a time."""
        gone = list(top.below())
        self._count(root, -sum(folder.watch == BLIND for folder in gone))
        for folder in gone:
            self._let_go(folder)
            if self.unread % RELEASE_STEP == 0:
                yield
        if self.inotify is not None and self.why and len(self._of) < self._most:
            self.why = ""

    def ended(self, watch: int) -> Folder | None:
        """The kernel dropped this watch; the folder that had it."""
        self._absent.pop(watch, None)
        folder = self._of.pop(watch, None)
        if folder is not None:
            folder.watch = UNSEEN
        return folder

    # -- roots that are not there ------------------------------------------------------------------------

    def await_root(self, root: Root) -> None:
        """Hear when something appears on the way to a root that is missing."""
        self.no_longer_await(root)
        wanted = root.path
        while self.inotify is not None and len(wanted) > 1:
            above = os.path.dirname(wanted)
            try:
                watch = self.inotify.add(above, ABSENCE_MASK)
            except OSError as error:
                if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                    return  # it is found by the slow check
                wanted = above
                continue
            self._absent.setdefault(watch, set()).add(root)
            if wanted == root.path or not os.path.lexists(wanted):
                return
            wanted = root.path  # it came just before the watch

    def awaited(self, watch: int) -> list[Root]:
        """Roots whose way leads through the folder of this watch."""
        return list(self._absent.get(watch, ()))

    def no_longer_await(self, root: Root) -> None:
        for watch in [watch for watch, roots in self._absent.items() if root in roots]:
            self._absent[watch].discard(root)
            if not self._absent[watch]:
                del self._absent[watch]
                if watch not in self._of:
                    self._remove(watch)

    def close(self) -> None:
        if self.inotify is not None:
            self.inotify.close()
            self.inotify = None


def _is_folder(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _raise(name: str, value: int) -> str:
    return f"sudo sysctl {name}={max(524_288 if name.endswith('watches') else 1024, 4 * value)}"


def _kernel_bound() -> str:
    name, value = tightest("watches")
    return f"this user's watches are used up ({name} is {value}); raise it: {_raise(name, value)}"


def _no_descriptor(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        name, value = tightest("instances")
        return (
            f"this user's inotify descriptors, or this process's files, are used up "
            f"({name} is {value}, see also `ulimit -n`); raise it: {_raise(name, value)}"
        )
    return f"inotify cannot be used here: {error}"
