"""Reading the book while the daemon writes it."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .connection import Connection, Fault, Record, open_for_reading, roll_back, translated
from .errors import LedgerUnavailable
from .queries import LedgerQueries


class LedgerReader(LedgerQueries):
    """Reads the book while the daemon writes it, and when there is none (then everything is empty).

    Every read is short, so that the log can be checkpointed. Thread-safe. Raises LedgerError."""

    def __init__(self, path: Path, *, still: bool = False) -> None:
        """`still`: a copy, or a book whose daemon has ended (connection.open_for_reading)."""
        self.path = path
        self._still = still
        self._conn: Connection | None = None
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
                    roll_back(conn)

    def close(self, *, wait: bool = True) -> None:
        """Without `wait`, what is being read now is read on, and its connection ends with the process."""
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if self._conn is not None:
                self._conn.close()
                self._conn = None
        finally:
            self._lock.release()

    def _rows(self, sql: str, bound: Sequence[object] = ()) -> list[Record]:
        with self._lock:
            try:
                conn = self._connection()
                return conn.execute(sql, bound).fetchall() if conn is not None else []
            except Fault as exc:
                raise translated(exc, self.path) from exc

    def _connection(self) -> Connection | None:
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
        conn = open_for_reading(self.path, still=self._still)
        if conn is None:
            return None
        self._conn, self._inode = conn, inode
        self._opened += 1
        return conn
