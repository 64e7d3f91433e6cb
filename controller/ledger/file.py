"""The ledger's file on disk: private from its first byte, and out of the way when it is damaged."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from .errors import LedgerUnavailable


def private_file(path: Path) -> None:
    """Make the file 0600 if it is missing; SQLite gives -wal and -shm the same mode, whatever the umask.

    Raises LedgerUnavailable for a link, a device or another user's file, and OSError."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except FileExistsError:
        # Not opened here: closing any descriptor of it would drop the locks of a reader in this process.
        seen = path.lstat()
        if not stat.S_ISREG(seen.st_mode):
            raise LedgerUnavailable(f"{path} is not a regular file; move it away") from None
        if seen.st_uid != os.geteuid():
            raise LedgerUnavailable(
                f"{path} belongs to user {seen.st_uid}, not to you; move it away"
            ) from None
        for one in (path, *_companions(path)):
            if one.exists():
                one.chmod(0o600)


def _companions(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def set_aside(path: Path) -> Path:
    """Rename the file and its log to `<name>.damaged-<time>`; the new path."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    path.rename(aside)
    # The log belongs to the damaged file; beside a new one it would be taken for the new one's.
    for companion in _companions(path):
        if companion.exists():
            companion.rename(aside.with_name(aside.name + companion.name.removeprefix(path.name)))
    return aside
