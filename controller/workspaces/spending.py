"""What an agent has spent by its CLI's own transcript of the session: found as the daemon finds it, read on
from where the last look ended. For those who only look; proves nothing."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import OrderedDict
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...config.fleet import AgentSpec, Seat
from ...config.profiles import LaunchError, launch_env
from .token_counts import TokenCount
from .transcript_places import Place, TooMany

MOST = 32_000_000
"""Bytes of one transcript that are read at most; of a longer one its newest."""
CHUNK = 1 << 20
LONGEST = 8 << 20
"""Bytes of a line; longer ones say nothing."""
PIECE = 256 * 1024
"""Bytes that the daemon reads of a transcript at a time, some 3 ms of work."""
METERED = 32
"""Messages of a transcript that the daemon remembers: a CLI writes one anew a few lines after it at most."""
REMEMBERED = 32
"""Transcripts that are read on, the ones looked at last."""


@dataclass(slots=True)
class _Followed:
    file: tuple[int, int]
    offset: int = 0
    whole: bool = True
    rest: bytes = b""
    count: TokenCount = field(default_factory=TokenCount)


def transcript_of(
    spec: AgentSpec, seat: Seat, session: str | None, environ: Mapping[str, str] = os.environ
) -> Path | None:
    """The transcript of this session; None where there is none, or where it cannot be told which it is."""
    try:
        env = launch_env(seat, environ)
    except LaunchError:
        env = dict(environ)
    for rule in seat.profile.transcripts:
        try:
            place = Place(rule, spec.workspace, env)
            found = place.files(session) if session or not place.by_session else []
        except (LookupError, TooMany):
            continue
        if found:
            return found[0][0]
    return None


class Spending:
    """Sums up transcripts. For one thread."""

    def __init__(self) -> None:
        self._followed: OrderedDict[Path, _Followed] = OrderedDict()

    def of(self, path: Path) -> tuple[TokenCount, bool]:
        """What the file tells of tokens and cost, and whether all of it was read. Raises OSError."""
        with _opened(path) as (fd, status):
            one = self._known(path, status)
            while _read(one, fd, status.st_size):
                pass
        return one.count, one.whole

    def _known(self, path: Path, status: os.stat_result) -> _Followed:
        one, file = self._followed.pop(path, None), (status.st_dev, status.st_ino)
        if one is None or one.file != file or status.st_size < one.offset:
            offset = max(0, status.st_size - MOST)
            one = _Followed(file, offset, offset == 0)
        self._followed[path] = one
        while len(self._followed) > REMEMBERED:
            self._followed.popitem(last=False)
        return one


class Meter:
    """Sums up one transcript that grows, in little room, a piece at a time. For one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one: _Followed | None = None

    def read(self) -> tuple[TokenCount, bool]:
        """Read on by at most PIECE bytes: what is told so far, and whether there is more. Raises OSError."""
        with _opened(self._path) as (fd, status):
            one, file = self._one, (status.st_dev, status.st_ino)
            if one is None or one.file != file or status.st_size < one.offset:
                count = TokenCount(most_messages=METERED, by_minute=False)
                one = self._one = _Followed(file, count=count)
            more = _read(one, fd, status.st_size, PIECE) and one.offset < status.st_size
        return one.count, more


@contextlib.contextmanager
def _opened(path: Path) -> Generator[tuple[int, os.stat_result]]:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is no plain file")
        yield fd, status
    finally:
        os.close(fd)


def _read(one: _Followed, fd: int, size: int, most: int = CHUNK) -> bool:
    """Take in the next piece; False when there is none."""
    chunk = os.pread(fd, min(most, size - one.offset), one.offset) if one.offset < size else b""
    if chunk:
        _take(one, chunk)
    return bool(chunk)


def _take(one: _Followed, chunk: bytes) -> None:
    """A line that is still being written waits for its end."""
    one.offset += len(chunk)
    *lines, one.rest = (one.rest + chunk).split(b"\n")
    if len(one.rest) > LONGEST:
        one.rest = b""
    one.count.take(line.decode("utf-8", "replace") for line in lines)
