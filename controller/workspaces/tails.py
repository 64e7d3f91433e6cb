"""The end of a file that grows: only what was appended is ever read, and never more than a bound of it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

CHUNK = 64 * 1024
CHUNKS = 4
"""Read in one look; what is appended beyond that is passed over."""


class Tail:
    """Remembers which file it is and how far it was read. `counts`: lines that do not hold it are no growth;
    None: all but blank ones are. `errors`: lines that hold one of these are kept in `complaint`.

    The file is opened anew for each look, without following a link and without waiting, and must be a plain
    one. One that was cut short, or replaced by another, is followed from its end."""

    def __init__(
        self, path: Path, counts: re.Pattern[str] | None, errors: Sequence[re.Pattern[str]] = ()
    ) -> None:
        self.path = path
        self.complaint: tuple[int, re.Match[str]] | None = None
        """Which of `errors` the last look found, and where in its line, if no line that counts followed."""
        self._counts = counts
        self._errors = errors
        self._file: tuple[int, int] | None = None
        self._offset = 0
        self._inside = False
        """In the middle of a line whose beginning was read, or passed over."""

    def skip(self) -> None:
        """What is there now is not news."""
        found = self._open()
        if found is not None:
            os.close(found[0])
            self._take(found[1], found[1].st_size)

    def grown(self) -> float | None:
        """When it last changed (seconds since 1970), if lines that count were appended since the last look.

        None: nothing of the kind, or it cannot be read."""
        self.complaint = None
        found = self._open()
        if found is None:
            return None
        fd, status = found
        try:
            if self._file is None:
                self._take(status, 0)
            if self._file != (status.st_dev, status.st_ino) or status.st_size < self._offset:
                self._take(status, status.st_size)
            return status.st_mtime if self._read(fd, status.st_size) else None
        except OSError:
            return None
        finally:
            os.close(fd)

    @property
    def there(self) -> bool:
        """The file that was followed is still the one of this name."""
        try:
            status = os.lstat(self.path)
        except OSError:
            return False
        return self._file in (None, (status.st_dev, status.st_ino))

    def _take(self, status: os.stat_result, offset: int) -> None:
        self._file = (status.st_dev, status.st_ino)
        self._offset, self._inside = offset, False

    def _open(self) -> tuple[int, os.stat_result] | None:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            return None
        return fd, status

    def _read(self, fd: int, size: int) -> bool:
        for _ in range(CHUNKS):
            if self._offset >= size:
                return False
            chunk = os.pread(fd, min(CHUNK, size - self._offset), self._offset)
            if not chunk:
                return False
            whole = chunk.rfind(b"\n") + 1
            if not whole and len(chunk) < CHUNK:
                return False  # a line that is still being written
            # A line longer than a chunk is judged by its beginning.
            lines = (chunk[:whole] or chunk).decode("utf-8", "replace").split("\n")
            counted = self._any_counts(lines[1:] if self._inside else lines)
            self._offset += whole or len(chunk)
            self._inside = not whole
            if counted:
                self._pass_over(fd, size)
                return True
        self._pass_over(fd, size)
        return False

    def _pass_over(self, fd: int, size: int) -> None:
        """One line that counts says it all; of more than a bound nobody reads the rest."""
        if size - self._offset >= CHUNK:
            self._offset, self._inside = size, os.pread(fd, 1, size - 1) != b"\n"

    def _any_counts(self, lines: Iterable[str]) -> bool:
        if not self._errors:
            return any(self._counted(line) for line in lines)
        counted = False
        for line in lines:
            if self._counted(line):
                counted, self.complaint = True, None
            else:
                self._hear(line)
        return counted

    def _hear(self, line: str) -> None:
        for number, pattern in enumerate(self._errors):
            found = pattern.search(line)
            if found is not None:
                self.complaint = (number, found)
                return

    def _counted(self, line: str) -> bool:
        return bool(line.strip()) and (self._counts is None or self._counts.search(line) is not None)
