"""The fleet file on the disk: read with bounds, and replaced whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Generator
from pathlib import Path

from .problems import ConfigError, Problem

MAX_BYTES = 256 * 1024
BOM = b"\xef\xbb\xbf"


class FileChanged(Exception):
    """The file is not what it was when it was read: somebody else wrote it, or is about to."""


def read_bytes(path: Path, what: str = "a fleet file") -> bytes:
    """The content of a regular file of at most MAX_BYTES. Raises ConfigError."""
    try:
        # a FIFO would block an ordinary open
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise refusal(path, 1, 1, f"not a regular file, expected {what}")
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise refusal(path, 1, 1, f"cannot be read ({why}), expected {what}") from None
    if len(raw) > MAX_BYTES:
        raise refusal(path, 1, 1, f"larger than {MAX_BYTES // 1024} KiB, expected a smaller file")
    return raw


def as_text(path: Path, raw: bytes) -> str:
    """UTF-8, a byte order mark left out. Raises ConfigError with the place of the first byte that is none."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", errors="ignore")
        line, col = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"byte {raw[error.start]:#04x} is no UTF-8, expected a file of UTF-8 text"
        raise refusal(path, line, col, message) from None


def as_bytes(text: str, like: bytes) -> bytes:
    """`text` in UTF-8, with a byte order mark where `like` has one."""
    return (BOM if like.startswith(BOM) else b"") + text.encode("utf-8")


def refusal(path: Path, line: int, col: int, message: str) -> ConfigError:
    return ConfigError([Problem(path, line, col, message)])


def replace_file(path: Path, before: bytes, after: bytes) -> None:
    """Put `after` in the place of `before`, at once and for good: written beside it, synced, renamed.

    A link stays, what it leads to is replaced; mode and owner stay. Whoever reads meanwhile reads one of the
    two. Raises FileChanged when the file does not hold `before`, OSError when it cannot be written."""
    real = path.resolve(strict=True)
    with _held(real) as seen:
        if _content(real) != before:
            raise FileChanged(f"{real} was changed meanwhile")
        if not os.access(real, os.W_OK):
            raise PermissionError(errno.EACCES, "it is read-only for you", str(real))
        draft = real.with_name(f".{real.name}.{os.urandom(6).hex()}.tmp")
        try:
            _write(draft, after, seen)
            # The last moment to see that an editor has saved the file while ours was being written.
            if _content(real) != before:
                raise FileChanged(f"{real} was changed meanwhile")
            draft.rename(real)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync_folder(real.parent)


@contextlib.contextmanager
def _held(real: Path) -> Generator[os.stat_result]:
    """Nobody else who asks replaces this very file meanwhile; what it is."""
    fd = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileChanged(f"{real} is being changed by another hhmrs at this moment") from None
        seen, now = os.fstat(fd), real.stat()
        if (seen.st_dev, seen.st_ino) != (now.st_dev, now.st_ino):
            raise FileChanged(f"{real} was replaced meanwhile")
        yield seen
    finally:
        os.close(fd)


def _content(real: Path) -> bytes:
    with real.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _write(draft: Path, content: bytes, like: os.stat_result) -> None:
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
            with contextlib.suppress(PermissionError):  # only root may give a file away
                os.fchown(fd, like.st_uid, like.st_gid)
        os.fchmod(fd, stat.S_IMODE(like.st_mode))
        os.fsync(fd)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # the rename is done; some file systems cannot sync a folder
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
