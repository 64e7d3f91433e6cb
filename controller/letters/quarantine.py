"""bad/: what the inbox would not take, unread, with the reason beside it, and never without bound."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from pathlib import Path

MOST_LETTERS = 200
MOST_BYTES = 16 << 20
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,119}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_REASON = ".reason"


def quarantine(inbox: Path, name: str, reason: str) -> str:
    """Move `new/<name>` to bad/ without reading it and write `<name>.reason` beside it; returns its new name.
    Call `prune` after the last of a batch.

    Links, FIFOs and devices are moved as they are; what cannot be moved is unlinked. Raises OSError when
    bad/ cannot be written."""
    bad = inbox / "bad"
    source = inbox / "new" / name
    if bad.is_symlink() or not bad.is_dir():
        _remove(bad)
        bad.mkdir(mode=0o700, exist_ok=True)
    kept = _free_name(bad, name)
    try:
        os.rename(source, bad / kept)
    except OSError:
        _remove(source)
    fd = os.open(
        bad / (kept + _REASON), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
        file.write(reason + "\n")
    return kept


def _free_name(bad: Path, name: str) -> str:
    plain = bool(PLAIN_NAME.fullmatch(name)) and not name.endswith(_REASON)
    if plain and not os.path.lexists(bad / name) and not os.path.lexists(bad / (name + _REASON)):
        return name
    return f"{time.time_ns()}-{os.urandom(3).hex()}-{_UNSAFE.sub('_', name)[:60]}"


def prune(inbox: Path) -> None:
    """Keep the newest letters of bad/ within both caps; a letter and its reason go together."""
    bad = inbox / "bad"
    newest: dict[str, int] = {}
    try:
        with os.scandir(bad) as entries:
            for entry in entries:
                letter = entry.name.removesuffix(_REASON)
                newest[letter] = max(newest.get(letter, 0), entry.stat(follow_symlinks=False).st_mtime_ns)
    except OSError:
        return
    total = 0
    for position, (_, letter) in enumerate(
        sorted(((at, letter) for letter, at in newest.items()), reverse=True)
    ):
        size = _size(bad / letter)
        # A folder is no letter: it stays only while nothing newer comes.
        too_much = position > 0 if size is None else total + size > MOST_BYTES
        if position >= MOST_LETTERS or too_much:
            _remove(bad / letter)
            _remove(bad / (letter + _REASON))
        else:
            total += size or 0


def _size(path: Path) -> int | None:
    """Bytes; None for a folder."""
    try:
        seen = path.lstat()
    except OSError:
        return 0
    return None if stat.S_ISDIR(seen.st_mode) else seen.st_size


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    except OSError:
        return
