"""A screen ends with its terminal, also where no SIGHUP tells it so: where that is not the controlling one
(`docker exec -t`, setsid), or where the signal is ignored (nohup). Textual would read its end for ever."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import stat
import sys


class Hangup:
    """Told by the kernel; costs nothing while the terminal is there."""

    def __init__(self, terminal: int) -> None:
        """`terminal`: the number of the open terminal. Raises OSError where it cannot be waited for."""
        self._told = select.epoll()
        self._told.register(terminal, 0)  # that it hung up is told whatever is asked for

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_reader(self._told.fileno(), hung_up)


def hung_up() -> None:
    """End as the signal would have ended us: there is nobody to paint for, and nothing to be saved."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGHUP)


def hangup_of_stdin() -> Hangup | None:
    """None where stdin is no terminal, or the system cannot tell."""
    if not hasattr(select, "epoll") or sys.__stdin__ is None:
        return None
    try:
        number = sys.__stdin__.fileno()
        # Not isatty: a terminal that hung up is none any more.
        return Hangup(number) if stat.S_ISCHR(os.fstat(number).st_mode) else None
    except (OSError, ValueError):
        return None
