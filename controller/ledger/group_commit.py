"""One thread that writes for everybody: what is queued while it commits goes into the next transaction."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from .errors import LedgerUnavailable

T = TypeVar("T")

GROUP_LIMIT = 64
LAZY_EVERY = 0.25
"""Seconds between two rounds of the lazy work."""


@dataclass(eq=False)
class Job(Generic[T]):
    """`work` gets the connection, inside the transaction; `future` is resolved only after the commit."""

    work: Callable[[Any], T]
    future: Future[T] = field(default_factory=Future)


class GroupCommit:
    """`transact` commits a group of jobs and resolves their futures; it must not raise. `lazy` is called
    in the same thread soon after `soon()`, at most every 250 ms, however busy the queue is."""

    def __init__(self, transact: Callable[[list[Job[Any]]], None], lazy: Callable[[], None]) -> None:
        self._transact = transact
        self._lazy = lazy
        self._queue: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._closed = False
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hhmrs-ledger", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Any], T]) -> Future[T]:
        """Raises LedgerUnavailable after `close`."""
        job = Job(work)
        with self._door:
            if self._closed:
                raise LedgerUnavailable("the ledger is closed; nothing more can be written by this daemon")
            self._queue.put(job)
        return job.future

    def soon(self) -> None:
        """Have the lazy work done within a quarter of a second."""
        if not self._wanted.is_set():
            self._wanted.set()
            self._queue.put(None)

    def close(self) -> None:
        """Commit what is queued, do the lazy work once more, end the thread."""
        with self._door:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        last = 0.0
        while True:
            group, closing = self._gather(last)
            if group:
                self._transact(group)
            now = time.monotonic()
            if self._wanted.is_set() and (closing or now >= last + LAZY_EVERY):
                self._wanted.clear()
                last = now
                self._lazy()
            if closing:
                return

    def _gather(self, last: float) -> tuple[list[Job[Any]], bool]:
        """The jobs of the next transaction, and whether they are the last ones."""
        wait = max(0.0, last + LAZY_EVERY - time.monotonic()) if self._wanted.is_set() else None
        group: list[Job[Any]] = []
        while len(group) < GROUP_LIMIT:
            try:
                job = self._queue.get(timeout=wait) if not group else self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                break
            if job.future.set_running_or_notify_cancel():
                group.append(job)
        return group, self._closed and self._queue.empty()
