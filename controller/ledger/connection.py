"""Connections to the ledger's file. The only file that knows SQLite.

Whoever writes has one connection at a time; a file that is damaged or not ours is set aside only when the
daemon begins, for what it knows later is newer than an empty ledger."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import TypeAlias

from .errors import LedgerCorrupt, LedgerError, LedgerFull, LedgerTooNew, LedgerUnavailable
from .file import private_file, set_aside
from .schema import APPLICATION_ID, CAME_LATER, SCHEMA_VERSION, TABLES

log = logging.getLogger(__name__)

Connection: TypeAlias = sqlite3.Connection
Record: TypeAlias = sqlite3.Row
"""A row of an answer: a sequence, and a mapping by column."""
Fault: TypeAlias = sqlite3.Error
"""What any statement may raise; `translated` says it in words of the ledger."""

PAGE = 4096
_FULL, _CORRUPT, _NOT_A_DATABASE, _IO_ERROR = 13, 11, 26, 10


class _Foreign(Exception):
    """A sound SQLite file that is not ours."""


def open_for_writing(path: Path, max_bytes: int | None) -> tuple[Connection, str | None]:
    """The connection, and a note when the file that stood there had to be set aside.

    Raises LedgerTooNew, LedgerUnavailable, LedgerFull, LedgerCorrupt."""
    try:
        private_file(path)
        try:
            return ready(path, max_bytes), None
        except _Foreign:
            why = "it is an SQLite file of another program"
        except sqlite3.DatabaseError as exc:
            if _code(exc) not in (_CORRUPT, _NOT_A_DATABASE):
                raise
            why = f"it is damaged ({exc})"
        aside = set_aside(path)
        private_file(path)
        return ready(path, max_bytes), (
            f"{path} cannot be read: {why}. It was set aside as {aside} and a new ledger begun; "
            "the history before this moment is only in that file."
        )
    except sqlite3.Error as exc:
        raise translated(exc, path) from exc
    except OSError as exc:
        raise LedgerUnavailable(f"cannot use the ledger {path}: {exc.strerror or exc}") from exc


def ready(path: Path, max_bytes: int | None) -> Connection:
    """A connection for writing. Raises Fault, LedgerTooNew, LedgerUnavailable; never sets a file aside."""
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


def open_for_reading(path: Path, *, still: bool = False) -> Connection | None:
    """A connection that only reads; None where the file holds no ledger yet. Raises Fault, LedgerTooNew.

    `still`: nobody is to write to it meanwhile. Without a log beside it nothing is then made there either, so
    that a copy stays as it is, also where one may not write."""
    alone = still and not path.with_name(path.name + "-wal").exists()
    uri = f"{path.absolute().as_uri()}?{'immutable=1' if alone else 'mode=ro'}"
    conn = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        conn.row_factory = sqlite3.Row
        conn.execute("PRAGMA trusted_schema = OFF")
        if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            conn.close()
            return None
        _refuse_newer(conn, path)
    except BaseException:
        conn.close()
        raise
    return conn


def _configure(conn: Connection, path: Path, max_bytes: int | None) -> None:
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


def _recognise(conn: Connection, path: Path) -> bool:
    """Whether the file is empty. Raises LedgerTooNew, and _Foreign or a DatabaseError: it must go aside."""
    if not conn.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        return True
    if conn.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise _Foreign
    _refuse_newer(conn, path)
    return False


def _begin(conn: Connection) -> None:
    conn.execute("BEGIN IMMEDIATE")
    for statement in (*TABLES, *CAME_LATER):
        conn.execute(statement)
    conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    conn.execute("INSERT INTO meta VALUES ('schema', ?), ('serial', '0')", (str(SCHEMA_VERSION),))
    conn.execute("COMMIT")


def _check(conn: Connection) -> None:
    if (verdict := conn.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        damage = sqlite3.DatabaseError(verdict)
        damage.sqlite_errorcode = _CORRUPT
        raise damage
    for statement in CAME_LATER:
        conn.execute(statement)


def _refuse_newer(conn: Connection, path: Path) -> None:
    row = conn.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if row and int(row[0]) > SCHEMA_VERSION:
        raise LedgerTooNew(
            f"{path} was written by a newer hhmrs (schema {row[0]}, this one knows {SCHEMA_VERSION}); "
            "install that version, or set HHMRS_STATE_DIR to another folder"
        )


def serial_of(conn: Connection) -> int:
    """How many transactions were committed: each counts itself."""
    row = conn.execute("SELECT value FROM meta WHERE key = 'serial'").fetchone()
    return int(row[0]) if row else 0


def set_serial(conn: Connection, serial: int) -> None:
    conn.execute("INSERT OR REPLACE INTO meta VALUES ('serial', ?)", (str(serial),))


def roll_back(conn: Connection) -> None:
    if conn.in_transaction:
        try:
            conn.execute("ROLLBACK")
        except sqlite3.Error as exc:
            log.warning("rollback: %s", exc)


def is_of_the_disk(fault: Fault) -> bool:
    """Whether the file could not be read or written, so that nobody knows what is in it now."""
    return _code(fault) == _IO_ERROR


def _code(exc: Fault) -> int:
    """The primary result code; Python has none for errors of its own."""
    return (getattr(exc, "sqlite_errorcode", None) or 0) & 0xFF


def translated(exc: Fault, path: Path) -> LedgerError:
    """The same with what is to be done about it."""
    code = _code(exc)
    if code == _FULL:
        return LedgerFull(f"no room for the ledger {path}: {exc}; free some disk space or raise its size cap")
    if code in (_CORRUPT, _NOT_A_DATABASE):
        return LedgerCorrupt(
            f"the ledger {path} is damaged ({exc}); start the daemon: it sets the file aside"
        )
    return LedgerUnavailable(f"the ledger {path} cannot be used now: {exc}")
