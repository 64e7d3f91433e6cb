"""The book: one writer (the daemon), any number of readers.

Durability: `append` returns after a commit that was synced (WAL, synchronous=FULL). Live values (`beat`)
are written lazily and may be lost. Exactly one connection of one process writes and checkpoints, because
SQLite before 3.51.3 can damage a WAL when two do; every other opens the file read-only.
"""

# ruff: noqa: S608 - table and column names are constants of this package; every value is bound

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from ..ports import Event, Row
from ..timestamps import day_of, to_iso
from .connection import (
    Connection,
    Fault,
    is_of_the_disk,
    open_for_writing,
    ready,
    roll_back,
    serial_of,
    set_serial,
    translated,
)
from .errors import (
    LedgerCorrupt,
    LedgerError,
    LedgerFull,
    LedgerTooNew,
    LedgerUnavailable,
    check_owner,
)
from .group_commit import GroupCommit, Job
from .metric_rows import METRIC_EVENTS, Period
from .projections import Settle, project
from .queries import EVENT_COLUMNS, event_of
from .reader import LedgerReader
from .rows import Prepared, run
from .schema import PROJECTIONS
from .sql import Beats, statements

__all__ = ["LedgerCorrupt", "LedgerError", "LedgerFull", "LedgerReader", "LedgerTooNew", "LedgerUnavailable",
           "SqliteLedger"]  # fmt: skip

log = logging.getLogger(__name__)


class SqliteLedger:
    """The one writer. Thread-safe: every call only queues work for the writing thread.

    `run_id` names this daemon start (made up when not given); `parents` maps agent to parent for events that
    do not say; `max_bytes` caps the file. `note` is a sentence for the operator when the file had to be set
    aside, else None. Raises LedgerTooNew, LedgerUnavailable."""

    def __init__(
        self,
        path: Path,
        *,
        run_id: str | None = None,
        parents: Mapping[str, str | None] | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self.path = path
        self.run_id = run_id or uuid.uuid4().hex
        self.parents: Mapping[str, str | None] = parents or {}
        self._max_bytes = max_bytes
        conn, self.note = open_for_writing(path, max_bytes)
        self._conn: Connection | None = conn
        self._serial = serial_of(conn)
        self._beats: dict[str, dict[str, object]] = {}
        self._live = Beats(self.run_id)
        self._beats_lock = threading.Lock()
        self._unwritten = ""
        self.reader = LedgerReader(path)
        self._periods: dict[tuple[float, float], Period] = {}
        self._writer = GroupCommit(self._transact, self._write_beats)

    # -- writing --------------------------------------------------------------------------------

    def append(self, rows: Sequence[Row]) -> list[int]:
        """Store the rows in one transaction; the numbers of their events, after the commit.

        A row whose key is known changes nothing and is answered with the numbers of its first time.
        Raises LedgerFull, LedgerUnavailable, LedgerCorrupt, and ValueError for what no ledger can hold."""
        return self.submit(rows).result()

    def submit(self, rows: Sequence[Row]) -> Future[list[int]]:
        """`append` without waiting. The rows are made ready in the writing thread, not in the caller's."""

        def store(conn: Connection) -> list[int]:
            ready = [Prepared.of(row, self.parents) for row in rows]
            return [seq for one in ready for seq in one.store(conn, self.run_id)]

        return self._writer.submit(store)

    def commit(self, rows: Sequence[Row]) -> Awaitable[list[int]]:
        """`append` for an event loop."""
        return asyncio.wrap_future(self.submit(rows))

    def beat(self, beats: Mapping[str, Mapping[str, object]]) -> None:
        """Show the newest live values of agents (keys: sql.Beats). Lossy; the last one wins."""
        with self._beats_lock:
            self._beats.update({agent: dict(values) for agent, values in beats.items()})
        self._writer.soon()

    def claim(self, fleet: str, config_path: Path) -> None:
        """Record which fleet file this ledger belongs to. Raises LedgerOwned, naming both files."""

        def work(conn: Connection) -> None:
            check_owner(dict(conn.execute("SELECT key, value FROM meta")), fleet, config_path)
            named = {"fleet": fleet, "config": str(config_path.resolve())}
            conn.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", named.items())

        self._writer.submit(work).result()

    def refresh_metrics(self, now: float) -> None:
        """Bring failure_metrics of the UTC day of `now` up to date; after midnight also the day before."""
        days = sorted({day_of(now - 300), day_of(now)})
        self._periods = {day: self._period(*day) for day in days}
        for day, period in self._periods.items():
            start, end = to_iso(day[0]), to_iso(day[1])
            touched = period.count(self.reader.period(start, end, METRIC_EVENTS, after=period.newest))
            looked = Settle("failure_metrics", {"updated_at": to_iso(now)}, (("period_start", "=", start),))
            try:
                self._writer.submit(
                    partial(run, what=list(statements([*period.rows(touched, now), looked])))
                ).result()
            except BaseException:
                self._periods = {}  # counted, but not written
                raise

    def _period(self, start: float, end: float) -> Period:
        known, parents = self._periods.get((start, end)), self._known_parents()
        if known is not None and known.parents == parents:
            return known
        project = self.reader.meta().get("fleet", "")
        return Period(project, parents, (start, end), self.reader.last_starts(to_iso(start)))

    def rebuild(self) -> None:
        """Make the projections again from the events alone."""

        def work(conn: Connection) -> None:
            for table in PROJECTIONS:
                conn.execute(f"DELETE FROM {table}")
            for row in conn.execute(f"SELECT {EVENT_COLUMNS}, run FROM events ORDER BY seq"):
                run(conn, statements(project(event_of(row[:7]), row[7])))

        self._writer.submit(work).result()

    def close(self) -> None:
        """Write what is queued, then let go of the file."""
        self._writer.close()
        self.reader.close()
        if self._conn is None:
            return
        try:
            self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except Fault as exc:
            log.warning("ledger %s: the last checkpoint was not done: %s", self.path, exc)
        self._conn.close()
        self._conn = None

    # -- reading (ports.Ledger) -----------------------------------------------------------------

    def states(self) -> dict[str, dict[str, Any]]:
        return self.reader.states()

    def history(
        self, *, since: int = 0, agent: str | None = None, incident: str | None = None
    ) -> Iterator[Event]:
        """Events after number `since`, in pages, so that no read is long."""
        while page := self.reader.events(since, 1000, agent, incident):
            yield from page
            since = page[-1].seq

    # -- the writing thread ---------------------------------------------------------------------

    def _transact(self, jobs: list[Job[Any]]) -> None:
        try:
            results = self._attempt(jobs)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the caller who waits for the future is told
            if len(jobs) > 1:
                # One bad or too large job must not sink its neighbours.
                for job in jobs:
                    self._transact([job])
                return
            jobs[0].future.set_exception(translated(exc, self.path) if isinstance(exc, Fault) else exc)
        else:
            for job, result in zip(jobs, results, strict=True):
                job.future.set_result(result)

    def _attempt(self, jobs: list[Job[Any]]) -> list[Any]:
        conn = self._connection()
        results: list[Any] = []
        try:
            conn.execute("BEGIN IMMEDIATE")
            results = [job.work(conn) for job in jobs]
            set_serial(conn, self._serial + 1)
            conn.execute("COMMIT")
        except Fault as exc:
            roll_back(conn)
            if is_of_the_disk(exc) and self._reopened_with(self._serial + 1):
                return results
            raise
        except BaseException:
            roll_back(conn)
            raise
        self._serial += 1
        return results

    def _reopened_with(self, serial: int) -> bool:
        """After an I/O error nobody knows whether the commit is in the file: open it anew and look.

        Only when the transaction is there and a further commit can be synced does it count as stored."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None
        conn = self._connection()
        if self._serial != serial:
            return False
        # One statement, its own transaction.
        set_serial(conn, serial)
        return True

    def _connection(self) -> Connection:
        """The one connection, opened anew when an I/O error took it. Never sets a file aside: what the
        daemon knows is newer than an empty ledger."""
        if self._conn is None:
            self._conn = ready(self.path, self._max_bytes)
            self._serial = serial_of(self._conn)
        return self._conn

    def _write_beats(self) -> None:
        with self._beats_lock:
            beats, self._beats = self._beats, {}
        try:
            conn = self._connection()
            # No sync of their own: the next FULL commit carries them to the disk.
            conn.execute("PRAGMA synchronous = NORMAL")
            try:
                conn.execute("BEGIN IMMEDIATE")
                for agent, values in beats.items():
                    run(conn, self._live.store(agent, values, self.parents.get(agent)))
                conn.execute("COMMIT")
            finally:
                roll_back(conn)
                conn.execute("PRAGMA synchronous = FULL")
        except (Fault, LedgerError, ValueError, TypeError) as exc:
            self._live.forget()
            if str(exc) != self._unwritten:
                log.warning("ledger %s: live values are not written: %s", self.path, exc)
            self._unwritten = str(exc)
        else:
            self._unwritten = ""

    def _known_parents(self) -> dict[str, str | None]:
        return {row["id"]: row["parent"] for row in self.reader.agents()} | dict(self.parents)
