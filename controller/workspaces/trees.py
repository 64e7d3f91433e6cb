"""All folders of all workspaces seen through one inotify descriptor, by whoever gives this object its turns.

What is noise by its name is not watched, nor what git ignores (callers say what that is). A folder that
appears is listed once its watch stands, so that what was put into it before is told too. Lost events are made
up for by comparing the folders with what is known of them; how often is bounded by what the last comparison
took, and no comparison makes an event, so that none can cause the next."""

from __future__ import annotations

import logging
import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from ..inotify import (
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_IGNORED,
    IN_ISDIR,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_Q_OVERFLOW,
    IN_UNMOUNT,
    Notice,
)
from .folders import SLACK, Change, Folder, Hear, Root
from .surveys import Survey
from .watches import Watches

log = logging.getLogger(__name__)

GATHER = 0.02
"""Seconds between an event and its reading: what repeats itself meanwhile is one event, and the kernel's."""
SLICE = 0.05
"""Seconds of surveying between two readings."""
CHECK_EVERY = 60.0
"""Between two looks whether the roots are still the folders they were: an ancestor may have been moved."""
OVERFLOW_REST = 4
"""After a comparison with everything the next one waits so many times as long as that took."""
MOST_FOUND = 5_000
MOST_KNOWN = 200_000
"""Folders known in all, watched or not."""
_SELF = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED


class FolderTrees:
    """Tells each root's `hear` of changes below it, from within `turn`. The others may be called anywhere."""

    def __init__(
        self,
        *,
        skipped: Callable[[bytes], bool],
        noise: Callable[[bytes], bool],
        ours: Callable[[bytes], bool],
        most_folders: int | None = None,
        sweep_every: float,
    ) -> None:
        """`skipped`: names of folders that are noise. `noise`: names of files. `ours`: paths of our own."""
        self.watches = Watches(most_folders)
        self._skipped, self._noise, self._ours = skipped, noise, ours
        self._roots: dict[bytes, Root] = {}
        self._orders: deque[Callable[[], None]] = deque()
        self._survey = Survey(self, sweep_every)
        self._found: dict[bytes, tuple[Root, Change]] = {}
        self._leaving: dict[int, tuple[Folder, Root]] = {}
        self._paths: dict[Folder, tuple[Root | None, bytes]] = {}
        self._drained = (time.time_ns(), time.monotonic_ns())
        self._lost_since: int | None = None
        self._next_review = self._next_check = 0.0
        self.reviews = 0
        """How often events were lost and everything was compared."""
        self._bell_held = threading.Lock()
        self._hear_bell, self._bell = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._hear_bell, False)
        self._poll = select.poll()
        self._poll.register(self._hear_bell, select.POLLIN)
        self._listen()

    # -- from any thread ----------------------------------------------------------------------------------

    def add(self, path: bytes, hear: Hear, ignored: Iterable[bytes], asked: int) -> None:
        """Watch `path`, links resolved, and tell of what changes from the moment `asked` on (ns since 1970).

        `ignored`: absolute paths of folders that are passed over."""
        root = Root(path, hear, asked, set(ignored), looked=asked)
        self._order(lambda: self._take_on(root))

    def drop(self, path: bytes) -> None:
        """Watch it no longer; what changes in it from now on is the outer root's, if there is one."""
        now = time.time_ns()
        self._order(lambda: self._give_up(path, now))

    def ignore(self, path: bytes, ignored: Iterable[bytes], since: int | None = None) -> None:
        """Pass over these folders of that root as well. With `since` (ns since 1970): over only these of all
        that its rules name, and tell of what changed after it in those that were passed over until now."""
        folders = set(ignored)
        self._order(lambda: self._pass_over(path, folders, since))

    def lose_all(self) -> None:
        """Something went wrong: whatever was not dealt with is looked for. For the thread of the turns."""
        self._lose_since(self.drained_at())

    def roots(self) -> list[Root]:
        return list(self._roots.values())

    @property
    def at_rest(self) -> bool:
        """Every order is carried out, and every folder is watched or known not to be."""
        return not self._orders and not self._survey.urgent and self._lost_since is None

    def wake(self) -> None:
        with self._bell_held:
            if self._bell >= 0:
                with suppress(BlockingIOError):  # it rings already
                    os.write(self._bell, b"!")

    def _order(self, what: Callable[[], None]) -> None:
        self._orders.append(what)
        self.wake()

    # -- the turns ----------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Wait for something to do, do some of it, tell of what was found."""
        ready = self._wait()
        while self._orders:
            try:
                self._orders[0]()
            finally:
                self._orders.popleft()
        if ready or self._leaving or self.watches.unread or not self._all_read():
            self._read()
        now = time.monotonic()
        if self._lost_since is not None and now >= self._next_review:
            self._review(now)
        if now >= self._next_check:
            self._check(now)
        self._survey.work(SLICE)
        self._tell()

    def close(self) -> None:
        self.watches.close()
        with self._bell_held:
            os.close(self._bell)
            self._bell = -1
        os.close(self._hear_bell)

    def _wait(self) -> bool:
        """Whether the kernel has news."""
        asleep = self._seconds_to_sleep()
        ready = {fd for fd, _ in self._poll.poll(None if asleep is None else asleep * 1000)}
        if self._hear_bell in ready:
            os.read(self._hear_bell, 4096)
        elif ready and self._all_read():
            pause = select.poll()
            pause.register(self._hear_bell, select.POLLIN)
            pause.poll(GATHER * 1000)
        return bool(ready - {self._hear_bell})

    def _all_read(self) -> bool:
        return self.watches.inotify is None or self.watches.inotify.drained

    def _seconds_to_sleep(self) -> float | None:
        if self._orders or not self._all_read():
            return 0.0
        now = time.monotonic()
        wanted = [self._survey.pause(now)]
        if self._leaving:
            wanted.append(GATHER)
        if self._lost_since is not None:
            wanted.append(self._next_review - now)
        if self._roots:
            wanted.append(self._next_check - now)
        return max(0.0, min((seconds for seconds in wanted if seconds is not None), default=CHECK_EVERY))

    def _listen(self) -> None:
        if self.watches.inotify is not None:
            self._poll.register(self.watches.inotify.fd, select.POLLIN)

    def reopen(self) -> None:
        """Try again for a descriptor where there was none."""
        if self.watches.renew():
            self._listen()

    # -- what the kernel says -----------------------------------------------------------------------------

    def _read(self) -> None:
        before = (time.time_ns(), time.monotonic_ns())
        notices = self.watches.read()
        staying = list(self._leaving.items())
        if any(notice.mask & IN_Q_OVERFLOW for notice in notices):
            self._lose_since(self.drained_at())
        for notice in notices:
            self._take(notice)
        for cookie, left in staying:
            # A pair is never further apart than two readings: this one has left for good.
            if self._leaving.get(cookie) is left:
                self._release(*self._leaving.pop(cookie))
        self._paths.clear()
        if self._all_read():
            self._drained = before

    def drained_at(self) -> int:
        """When everything that had happened was known."""
        wall, steady = self._drained
        # Should the clock have been set back meanwhile, the same moment is earlier on it now.
        return min(wall, time.time_ns() - (time.monotonic_ns() - steady)) - SLACK

    def _lose_since(self, since: int) -> None:
        self._lost_since = since if self._lost_since is None else min(since, self._lost_since)

    def _take(self, notice: Notice) -> None:
        watch, mask, cookie, name = notice
        for root in self.watches.awaited(watch):
            self._seek(root, name, gone=bool(mask & _SELF))
        folder = self.watches.folder(watch)
        if folder is None:
            return
        if mask & _SELF:
            self._self_changed(folder, watch, mask)
        elif mask & IN_ISDIR:
            self._folder_changed(folder, mask, cookie, name)
        elif not self._noise(name):
            self._file_changed(folder, mask, name)

    def _file_changed(self, folder: Folder, mask: int, name: bytes) -> None:
        if mask & (IN_CREATE | IN_MOVED_TO):
            self._survey.kept += folder.came(name)
        elif mask & (IN_DELETE | IN_MOVED_FROM):
            self._survey.kept += folder.went(name)
        kind = "made" if mask & (IN_CREATE | IN_MOVED_TO) else "changed" if mask & IN_MODIFY else "gone"
        self._report(folder, name, kind, is_folder=False)

    def _folder_changed(self, above: Folder, mask: int, cookie: int, name: bytes) -> None:
        root, path = self._place(above)
        if root is None:
            return
        if mask & (IN_DELETE | IN_MOVED_FROM):
            folder = above.inner.get(name)
            if folder is not None:
                folder.cut()
                if mask & IN_MOVED_FROM:
                    self._leaving[cookie] = folder, root
                else:
                    self._release(folder, root)
            if folder is not None or name == b".git":
                self._report(above, name, "gone", is_folder=True)
        elif name == b".git":
            self._report(above, name, "made", is_folder=True)
        elif mask & (IN_CREATE | IN_MOVED_TO) and not self.passed_over(root, name, path + b"/" + name):
            self._arrived(root, above, cookie, name)

    def _arrived(self, root: Root, above: Folder, cookie: int, name: bytes) -> None:
        moved = self._leaving.pop(cookie, None) if cookie else None
        known = above.inner.get(name)
        # A look may have found it here before the event told of the move, and then knows it better.
        if moved is not None and moved[1] is root and known is None:
            moved[0].name, moved[0].above = name, above
            above.inner[name] = moved[0]
            self._paths.clear()
            self._survey.look_at_rest(root, moved[0])
        else:
            if moved is not None:
                self._release(*moved)
            folder = known if known is not None else above.grow(name)
            self._survey.urge(root, folder, 0)
        self._report(above, name, "made", is_folder=True)

    def _self_changed(self, folder: Folder, watch: int, mask: int) -> None:
        root, _ = folder.place()
        if mask & IN_IGNORED:
            self.watches.ended(watch)
        if root is None:
            return
        if root.top is folder:
            self.lose(root)
        elif mask & IN_IGNORED:
            self._survey.spread(root, folder, self._drained[0])

    def _place(self, folder: Folder) -> tuple[Root | None, bytes]:
        found = self._paths.get(folder)
        if found is None:
            found = self._paths[folder] = folder.place()
        return found

    # -- what is told -------------------------------------------------------------------------------------

    def _report(self, folder: Folder, name: bytes, kind: str, *, is_folder: bool) -> None:
        root, path = self._place(folder)
        if root is not None:
            self.report(root, Change(kind, path + b"/" + name, is_folder))

    def report(self, root: Root, change: Change) -> None:
        """To be told at the end of this turn, once for each path."""
        self._found.pop(change.path, None)
        self._found[change.path] = root, change
        if len(self._found) >= MOST_FOUND:
            self._tell()

    def _tell(self) -> None:
        found, self._found = self._found, {}
        for root, change in found.values():
            root.hear(change)

    # -- roots --------------------------------------------------------------------------------------------

    def _take_on(self, root: Root) -> None:
        self._give_up(root.path, root.asked)
        outer = self._locate(root.path)
        if outer is not None:
            self.forget(outer)
        self._roots[root.path] = root
        self._begin(root)

    def _begin(self, root: Root) -> None:
        root.inode = _inode(root.path)
        if root.inode is None:
            self.watches.await_root(root)
            root.inode = _inode(root.path)
            if root.inode is None:
                return
        self.watches.no_longer_await(root)
        root.top = Folder(root.path, None, root)
        self._welcome(root, root.top, root.asked)

    def _welcome(self, root: Root, folder: Folder, since: int) -> None:
        """Watch all of it at once, and look a little later for what changed before the watches stood."""
        self._survey.urge(root, folder, None)
        self._survey.spread(root, folder, since)

    def _give_up(self, path: bytes, since: int) -> None:
        root = self._roots.pop(path, None)
        if root is None:
            return
        self.watches.no_longer_await(root)
        if root.top is not None:
            self.forget(root.top)
        place, name = os.path.split(path)
        above = self._locate(place)
        outer = above.place()[0] if above is not None else None
        if above is not None and outer is not None and not self.passed_over(outer, name, path):
            # What was this root's is the outer one's again.
            self._welcome(outer, above.inner.get(name) or above.grow(name), since)

    def _locate(self, path: bytes) -> Folder | None:
        """The folder of a root that has this path."""
        at, below = path, []
        while at not in self._roots:
            at, _, name = at.rpartition(b"/")
            below.append(name)
            if not at:
                return None
        found = self._roots[at].top
        for name in reversed(below):
            found = found.inner.get(name) if found is not None else None
        return found

    def lose(self, root: Root) -> None:
        """It was deleted, or another folder has its name."""
        if root.top is not None:
            self.forget(root.top)
        root.top, root.asked = None, time.time_ns() - SLACK
        self._begin(root)

    def _seek(self, root: Root, name: bytes, *, gone: bool) -> None:
        if gone or b"/" + name in root.path:
            self._begin(root)

    def _check(self, now: float) -> None:
        self._next_check = now + CHECK_EVERY
        for root in self.roots():
            if root.top is None:
                self._begin(root)
            elif _inode(root.path) != root.inode:
                self.lose(root)

    def _pass_over(self, path: bytes, ignored: set[bytes], since: int | None) -> None:
        root = self._roots.get(path)
        if root is None:
            return
        freed = root.ignored - ignored if since is not None else set()
        root.ignored = root.ignored | ignored if since is None else ignored
        for place in ignored:
            folder = self._locate(place)
            if folder is not None and folder.above is not None:
                self.forget(folder)
        if freed and since is not None and root.top is not None:
            self._welcome(root, root.top, since)

    # -- for the survey -----------------------------------------------------------------------------------

    def passed_over(self, root: Root, name: bytes, path: bytes) -> bool:
        """Whether that folder is not this root's to watch."""
        return self._skipped(name) or path in root.ignored or path in self._roots or self._ours(path)

    def noise(self, name: bytes) -> bool:
        return self._noise(name)

    def full(self) -> bool:
        """Whether as many folders are known as may be."""
        return len(self.watches) + self.watches.blind >= MOST_KNOWN

    def forget(self, folder: Folder) -> None:
        """Off the tree, and no longer watched."""
        root, _ = folder.place()
        folder.cut()
        if root is not None:
            self._release(folder, root)

    def _release(self, folder: Folder, root: Root) -> None:
        folder.root = None
        self._paths.clear()
        self._survey.kept -= sum(len(below.names or b"") for below in folder.below())
        self._survey.urgent.append(self.watches.release(folder, root))

    def _review(self, begun: float) -> None:
        """Events were lost: compare everything with what is known of it."""
        since, self._lost_since = self._lost_since, None
        self.reviews += 1
        log.info("events were lost; %d workspaces are compared with what is known", len(self._roots))
        for root in self.roots():
            if root.top is not None:
                self._survey.urge(root, root.top, since)
        self._survey.urgent.append(self._rest(begun))

    def _rest(self, begun: float) -> Iterator[None]:
        yield
        now = time.monotonic()
        self._next_review = now + OVERFLOW_REST * (now - begun)


def _inode(path: bytes) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    # A link that has taken a workspace's place leads to what is not the agent's.
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None
