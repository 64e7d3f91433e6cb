"""One thread that does small pieces of work one by one: when told, at a time, or when a file is ready."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

Work = Callable[[], None]
AT_ONCE = 1.0
"""What is due in more seconds than this waits for the next whole one, and is done together with others."""


class Turns:
    """Begun by `start`, ended by `close`; what is still to be done then is not done. Work that raises is
    logged. `later` is for the thread's own work, `soon` and `close` for any thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told: deque[Work] = deque()
        self._agenda: list[tuple[float, int, Work]] = []
        self._count = itertools.count()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._hear = self._ring = -1

    @property
    def started(self) -> bool:
        return self._thread is not None

    def start(self, fd: int | None, ready: Work) -> None:
        """`ready` is done whenever there is something to read from `fd`."""
        self._hear, self._ring = os.pipe()
        os.set_blocking(self._hear, False)
        os.set_blocking(self._ring, False)
        self._thread = threading.Thread(target=self._run, args=(fd, ready), name=self._name, daemon=True)
        self._thread.start()

    def soon(self, work: Work) -> None:
        self._told.append(work)
        self._wake()

    def later(self, seconds: float, work: Work) -> None:
        when = time.monotonic() + seconds
        heapq.heappush(
            self._agenda, (math.ceil(when) if seconds > AT_ONCE else when, next(self._count), work)
        )

    def close(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._wake()
            self._thread.join()
            self._thread = None
            os.close(self._hear)
            os.close(self._ring)

    def _wake(self) -> None:
        if self._thread is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._ring, b"!")

    def _run(self, fd: int | None, ready: Work) -> None:
        poll = select.poll()
        poll.register(self._hear, select.POLLIN)
        if fd is not None:
            poll.register(fd, select.POLLIN)
        while not self._over.is_set():
            for readable, _ in poll.poll(self._idle_for()):
                if readable == self._hear:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._hear, 65536)
                else:
                    self._told.append(ready)
            while self._agenda and self._agenda[0][0] <= time.monotonic():
                self._told.append(heapq.heappop(self._agenda)[2])
            for _ in range(len(self._told)):
                self._do(self._told.popleft())

    def _do(self, work: Work) -> None:
        if self._over.is_set():
            return
        try:
            work()
        except Exception:
            log.exception("%s: cannot do one of its pieces of work", self._name)

    def _idle_for(self) -> float | None:
        """Milliseconds until the next thing to do; None: until somebody calls."""
        if self._told:
            return 0.0
        if not self._agenda:
            return None
        return max(0.0, self._agenda[0][0] - time.monotonic()) * 1000 + 1
