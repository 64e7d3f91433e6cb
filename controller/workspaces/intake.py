"""What was heard of changed files until somebody judges it, and when each of them changed.

A path says no more than that something happened there: by the time it is judged, the file may have changed
again, or be gone with its folder. What is gone has no time of its own, and must not pass for newer than what
is there and was written later."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from itertools import islice
from typing import NamedTuple

from .folders import SLACK

log = logging.getLogger(__name__)

MOST_NEWS = 200_000
"""Paths that may wait to be judged. Each is there once, however often it changed."""


class Heard(NamedTuple):
    """`written`: bytes of a file, by a write. `at`: when it was heard of last, seconds since 1970."""

    written: bool
    at: float


class Dated(NamedTuple):
    """When it changed, seconds since 1970, and its place in the order of changes: the higher the newer."""

    rank: float
    when: float
    written: bool


class Intake:
    """Changes of all workspaces, by workspace, each path once, last heard last. Thread-safe."""

    def __init__(self) -> None:
        # A lock of its own: whoever hears holds one of watchdog's, which is taken under others of ours.
        self._lock = threading.Lock()
        self._news: dict[str, dict[str, Heard]] = {}
        self._number = 0
        self._flooded = False

    def __bool__(self) -> bool:
        return bool(self._news)

    def hear(self, root: str, path: str, *, written: bool) -> None:
        now = time.time()
        with self._lock:
            news = self._news.setdefault(root, {})
            before = news.pop(path, None)
            news[path] = Heard(written or (before is not None and before.written), now)
            self._number += before is None
            if self._number > MOST_NEWS:
                self._make_room()

    def empty(self) -> dict[str, dict[str, Heard]]:
        """All that waits, which from now on no longer does."""
        with self._lock:
            news, self._news = self._news, {}
            self._number, self._flooded = 0, False
        return news

    def _make_room(self) -> None:
        """At the cost of the loudest and its oldest, so that nobody's newest change is lost."""
        loudest = max(self._news.values(), key=len)
        for path in list(islice(loudest, len(loudest) // 2)):
            del loudest[path]
            self._number -= 1
        if not self._flooded:
            self._flooded = True
            log.warning("more than %d files changed at once; older ones are passed over", MOST_NEWS)


def dated(path: str, heard: Heard) -> Dated:
    """A file's time is its own. Of a folder, and of what is gone, it is only known by when at the latest: by
    the last change of the nearest folder that is left, and by when it was heard of. A file of about the same
    time passes for newer."""
    place = path
    while True:
        try:
            found = os.lstat(place)
            break
        except OSError:
            place, below = os.path.dirname(place), place
            if place == below:
                return Dated(heard.at - SLACK / 1e9, heard.at, heard.written)
    when = min(found.st_ctime, heard.at)
    known = place == path and not stat.S_ISDIR(found.st_mode)
    return Dated(when if known else when - SLACK / 1e9, when, heard.written)
