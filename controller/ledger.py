"""The book: one writer (the daemon), any number of readers. The only file that knows SQLite.

Durability: `append` returns after a commit that was synced (WAL, synchronous=FULL). Live values (`beat`)
are written lazily and may be lost. Exactly one connection of one process writes and checkpoints, because
SQLite before 3.51.3 can damage a WAL when two do; every other opens the file read-only.
"""

# ruff: noqa: S608 - table and column names are constants of this package; every value is bound

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import uuid
from collections.abc import Awaitable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from .group_commit import GroupCommit, Job
from .ledger_errors import (
    LedgerCorrupt,
    LedgerError,
    LedgerFull,
    LedgerTooNew,
    LedgerUnavailable,
    check_owner,
)
from .ledger_file import private_file, set_aside
from .ledger_queries import EVENT_COLUMNS, LedgerQueries, event_of
from .ledger_rows import Prepared, run
from .ledger_schema import APPLICATION_ID, CAME_LATER, PROJECTIONS, SCHEMA_VERSION, TABLES
from .ledger_sql import statements, store_beat
from .metric_rows import METRIC_EVENTS, Period
from .ports import Event, Row
from .projections import Settle, project
from .timestamps import day_of, to_iso

__all__ = ["LedgerCorrupt", "LedgerError", "LedgerFull", "LedgerReader", "LedgerTooNew", "LedgerUnavailable",
           "SqliteLedger"]  # fmt: skip

log = logging.getLogger(__name__)

PAGE = 4096
_FULL, _CORRUPT, _NOT_A_DATABASE, _IO_ERROR = 13, 11, 26, 10


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
        conn, self.note = _open_for_writing(path, max_bytes)
        self._conn: sqlite3.Connection | None = conn
        self._serial = _serial(conn)
        self._beats: dict[str, dict[str, object]] = {}
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

        def store(conn: sqlite3.Connection) -> list[int]:
            ready = [Prepared.of(row, self.parents) for row in rows]
            return [seq for one in ready for seq in one.store(conn, self.run_id)]

        return self._writer.submit(store)

    def commit(self, rows: Sequence[Row]) -> Awaitable[list[int]]:
        """`append` for an event loop."""
        return asyncio.wrap_future(self.submit(rows))

    def beat(self, beats: Mapping[str, Mapping[str, object]]) -> None:
        """Show the newest live values of agents (keys: ledger_sql.store_beat). Lossy; the last one wins."""
        with self._beats_lock:
            self._beats.update({agent: dict(values) for agent, values in beats.items()})
        self._writer.soon()

    def claim(self, fleet: str, config_path: Path) -> None:
        """Record which fleet file this ledger belongs to. Raises LedgerOwned, naming both files."""

        def work(conn: sqlite3.Connection) -> None:
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

        def work(conn: sqlite3.Connection) -> None:
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
        except sqlite3.Error as exc:
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
            jobs[0].future.set_exception(
                _translated(exc, self.path) if isinstance(exc, sqlite3.Error) else exc
            )
        else:
            for job, result in zip(jobs, results, strict=True):
                job.future.set_result(result)

    def _attempt(self, jobs: list[Job[Any]]) -> list[Any]:
        conn = self._connection()
        results: list[Any] = []
        try:
            conn.execute("BEGIN IMMEDIATE")
            results = [job.work(conn) for job in jobs]
            _set_serial(conn, self._serial + 1)
            conn.execute("COMMIT")
        except sqlite3.Error as exc:
            _roll_back(conn)
            if _code(exc) == _IO_ERROR and self._reopened_with(self._serial + 1):
                return results
            raise
        except BaseException:
            _roll_back(conn)
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
        _set_serial(conn, serial)
        return True

    def _connection(self) -> sqlite3.Connection:
        """The one connection, opened anew when an I/O error took it. Never sets a file aside: what the
        daemon knows is newer than an empty ledger."""
        if self._conn is None:
            self._conn = _ready(self.path, self._max_bytes)
            self._serial = _serial(self._conn)
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
                    run(conn, store_beat(agent, values, self.parents.get(agent), self.run_id))
                conn.execute("COMMIT")
            finally:
                _roll_back(conn)
                conn.execute("PRAGMA synchronous = FULL")
        except (sqlite3.Error, LedgerError, ValueError, TypeError) as exc:
            if str(exc) != self._unwritten:
                log.warning("ledger %s: live values are not written: %s", self.path, exc)
            self._unwritten = str(exc)
        else:
            self._unwritten = ""

    def _known_parents(self) -> dict[str, str | None]:
        return {row["id"]: row["parent"] for row in self.reader.agents()} | dict(self.parents)


# -- opening ------------------------------------------------------------------------------------


class _Foreign(Exception):
    """A sound SQLite file that is not ours."""


def _open_for_writing(path: Path, max_bytes: int | None) -> tuple[sqlite3.Connection, str | None]:
    """The connection, and a note when the file that stood there had to be set aside."""
    try:
        private_file(path)
        try:
            return _ready(path, max_bytes), None
        except _Foreign:
            why = "it is an SQLite file of another program"
        except sqlite3.DatabaseError as exc:
            if _code(exc) not in (_CORRUPT, _NOT_A_DATABASE):
                raise
            why = f"it is damaged ({exc})"
        aside = set_aside(path)
        private_file(path)
        return _ready(path, max_bytes), (
            f"{path} cannot be read: {why}. It was set aside as {aside} and a new ledger begun; "
            "the history before this moment is only in that file."
        )
    except sqlite3.Error as exc:
        raise _translated(exc, path) from exc
    except OSError as exc:
        raise LedgerUnavailable(f"cannot use the ledger {path}: {exc.strerror or exc}") from exc


def _ready(path: Path, max_bytes: int | None) -> sqlite3.Connection:
    conn = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=256
    )
    try:
        # Looked at before anything is changed: what is not ours must stay as it is.
        empty = _recognise(conn, path)
        _configure(conn, path, max_bytes)
        _begin(conn) if empty else _check(conn)
    except BaseException:
        conn.close()
        raise
    return conn


def _configure(conn: sqlite3.Connection, path: Path, max_bytes: int | None) -> None:
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "secure_delete = ON"):
        conn.execute(f"PRAGMA {pragma}")
    mode = conn.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise LedgerUnavailable(
            f"the file system of {path} cannot keep a write-ahead log (is it a network drive?); "
            "set HHMRS_STATE_DIR to a local folder"
        )
    for pragma in ("synchronous = FULL", "fullfsync = ON", "journal_size_limit = 67108864"):
        conn.execute(f"PRAGMA {pragma}")
    if max_bytes is not None:
        conn.execute(f"PRAGMA max_page_count = {max(1, max_bytes // PAGE)}")


def _recognise(conn: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is empty. Raises LedgerTooNew, and _Foreign or a DatabaseError: it must go aside."""
    if not conn.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        return True
    if conn.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise _Foreign
    _refuse_newer(conn, path)
    return False


def _begin(conn: sqlite3.Connection) -> None:
    conn.execute("BEGIN IMMEDIATE")
    for statement in (*TABLES, *CAME_LATER):
        conn.execute(statement)
    conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    conn.execute("INSERT INTO meta VALUES ('schema', ?), ('serial', '0')", (str(SCHEMA_VERSION),))
    conn.execute("COMMIT")


def _check(conn: sqlite3.Connection) -> None:
    if (verdict := conn.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        damage = sqlite3.DatabaseError(verdict)
        damage.sqlite_errorcode = _CORRUPT
        raise damage
    for statement in CAME_LATER:
        conn.execute(statement)


def _refuse_newer(conn: sqlite3.Connection, path: Path) -> None:
    row = conn.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if row and int(row[0]) > SCHEMA_VERSION:
        raise LedgerTooNew(
            f"{path} was written by a newer hhmrs (schema {row[0]}, this one knows {SCHEMA_VERSION}); "
            "update hhmrs, or set HHMRS_STATE_DIR to another folder"
        )


def _serial(conn: sqlite3.Connection) -> int:
    row = conn.execute("SELECT value FROM meta WHERE key = 'serial'").fetchone()
    return int(row[0]) if row else 0


def _set_serial(conn: sqlite3.Connection, serial: int) -> None:
    conn.execute("INSERT OR REPLACE INTO meta VALUES ('serial', ?)", (str(serial),))


def _roll_back(conn: sqlite3.Connection) -> None:
    if conn.in_transaction:
        try:
            conn.execute("ROLLBACK")
        except sqlite3.Error as exc:
            log.warning("rollback: %s", exc)


def _code(exc: sqlite3.Error) -> int:
    """The primary result code; Python has none for errors of its own."""
    return (getattr(exc, "sqlite_errorcode", None) or 0) & 0xFF


def _translated(exc: sqlite3.Error, path: Path) -> LedgerError:
    code = _code(exc)
    if code == _FULL:
        return LedgerFull(f"no room for the ledger {path}: {exc}; free some disk space or raise its size cap")
    if code in (_CORRUPT, _NOT_A_DATABASE):
        return LedgerCorrupt(
            f"the ledger {path} is damaged ({exc}); start the daemon: it sets the file aside"
        )
    return LedgerUnavailable(f"the ledger {path} cannot be used now: {exc}")


# -- reading ------------------------------------------------------------------------------------


class LedgerReader(LedgerQueries):
    """Reads the book while the daemon writes it, and when there is none (then everything is empty).

    Every read is short, so that the log can be checkpointed. Thread-safe. Raises LedgerError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._conn: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._opened = 0
        self._lock = threading.RLock()

    def version(self) -> int:
        """A number that changes whenever something was written."""
        rows = self._rows("PRAGMA data_version")
        return (self._opened << 40) + (rows[0][0] if rows else 0)

    @contextmanager
    def at_once(self) -> Generator[None, None, None]:
        """Everything read inside is of one moment. Keep it short."""
        with self._lock:
            self._rows("BEGIN")
            conn = self._conn
            try:
                yield
            finally:
                if conn is not None and conn is self._conn:
                    _roll_back(conn)

    def close(self) -> None:
        with self._lock:
            if self._conn is not None:
                self._conn.close()
                self._conn = None

    def _rows(self, sql: str, bound: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._lock:
            try:
                conn = self._connection()
                return conn.execute(sql, bound).fetchall() if conn is not None else []
            except sqlite3.Error as exc:
                raise _translated(exc, self.path) from exc

    def _connection(self) -> sqlite3.Connection | None:
        """The connection to the file that stands at the path now; None while there is none of ours."""
        try:
            seen = self.path.stat()
        except FileNotFoundError:
            self.close()
            return None
        except OSError as exc:
            raise LedgerUnavailable(f"cannot read the ledger {self.path}: {exc.strerror or exc}") from exc
        inode = (seen.st_dev, seen.st_ino)
        if self._conn is not None and self._inode == inode:
            return self._conn
        self.close()
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        conn = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            conn.row_factory = sqlite3.Row
            conn.execute("PRAGMA trusted_schema = OFF")
            if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                conn.close()
                return None
            _refuse_newer(conn, self.path)
        except BaseException:
            conn.close()
            raise
        self._conn, self._inode = conn, inode
        self._opened += 1
        return conn
