"""The kernel's file notices (Linux): its calls and its words, no more."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

IN_ACCESS = 0x1
IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_UNMOUNT = 0x2000
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x0100_0000
IN_DONT_FOLLOW = 0x0200_0000
IN_EXCL_UNLINK = 0x0400_0000
IN_MASK_CREATE = 0x1000_0000
IN_MASK_ADD = 0x2000_0000
IN_ISDIR = 0x4000_0000
IN_ONESHOT = 0x8000_0000
_HEAD = struct.Struct("iIII")


class Notice(NamedTuple):
    """One event. `watch` -1 with IN_Q_OVERFLOW in `mask`: some were lost. `name`: inside a watched folder."""

    watch: int
    mask: int
    cookie: int
    name: bytes


def tightest(what: str) -> tuple[str, int]:
    """The sysctl that bounds this user's inotify `what` (watches, instances), and its value; 0: unknown."""
    found = []
    for name in (f"fs.inotify.max_user_{what}", f"user.max_inotify_{what}"):
        with suppress(OSError, ValueError):
            found.append((int(Path("/proc/sys", *name.split(".")).read_text()), name))
    value, name = min(found, default=(0, f"fs.inotify.max_user_{what}"))
    return name, value


class Inotify:
    """The kernel's calls, no more. Raises OSError, also on kernels that have none."""

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError("inotify is only on Linux")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.drained = True
        self.fd = self._call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)

    def add(self, path: Path | bytes, mask: int) -> int:
        """Watch one file or folder; the number returned names it in `read`."""
        return self._call(
            "inotify_add_watch", self.fd, ctypes.c_char_p(os.fsencode(path)), ctypes.c_uint32(mask)
        )

    def drop(self, watch: int) -> None:
        """Stop watching; a watch the kernel has dropped already is fine."""
        self._libc.inotify_rm_watch(self.fd, watch)

    def read(self, most: int = 64) -> list[Notice]:
        """What waits, never blocking; at most `most` pieces of 64 KiB, since whoever writes may be quicker.

        `drained` says afterwards whether that was all."""
        events: list[Notice] = []
        self.drained = False
        for _ in range(most):
            try:
                chunk = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                self.drained = True
                break
            at = 0
            while at + _HEAD.size <= len(chunk):
                watch, mask, cookie, length = _HEAD.unpack_from(chunk, at)
                at += _HEAD.size
                events.append(Notice(watch, mask, cookie, chunk[at : at + length].rstrip(b"\0")))
                at += length
        return events

    def close(self) -> None:
        os.close(self.fd)

    def _call(self, name: str, *args: object) -> int:
        result = int(getattr(self._libc, name)(*args))
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{name}: {os.strerror(code)}")
        return result
