"""The kernel's file notices (Linux): its calls and its words, no more."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

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
IN_ISDIR = 0x4000_0000
IN_ONESHOT = 0x8000_0000
_HEAD = struct.Struct("iIII")


@dataclass(frozen=True, slots=True)
class Notice:
    """One event. `watch` -1 with IN_Q_OVERFLOW in `mask`: some were lost. `name`: inside a watched folder."""

    watch: int
    mask: int
    cookie: int
    name: bytes


class Inotify:
    """The kernel's calls, no more. Raises OSError, also on kernels that have none."""

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError("inotify is only on Linux")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)

    def add(self, path: Path, mask: int) -> int:
        """Watch one file or folder; the number returned names it in `read`."""
        return self._call(
            "inotify_add_watch", self.fd, ctypes.c_char_p(os.fsencode(path)), ctypes.c_uint32(mask)
        )

    def drop(self, watch: int) -> None:
        """Stop watching; a watch the kernel has dropped already is fine."""
        self._libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> list[Notice]:
        """All that wait; never blocks."""
        events: list[Notice] = []
        while True:
            try:
                chunk = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return events
            at = 0
            while at + _HEAD.size <= len(chunk):
                watch, mask, cookie, length = _HEAD.unpack_from(chunk, at)
                at += _HEAD.size
                events.append(Notice(watch, mask, cookie, chunk[at : at + length].rstrip(b"\0")))
                at += length

    def close(self) -> None:
        os.close(self.fd)

    def _call(self, name: str, *args: object) -> int:
        result = int(getattr(self._libc, name)(*args))
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{name}: {os.strerror(code)}")
        return result
