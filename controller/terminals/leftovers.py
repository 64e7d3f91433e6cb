"""Control clients that outlived the daemon that started them.

tmux before 3.7 keeps one whose daemon was killed at a bad moment: it is listed for ever, and kill-server
hangs on it. Each of ours carries who started it, so that nobody else's is ever ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Awaitable, Callable

from ..ports import Identity
from ..processes.processes import alive, identify

_STARTED_BY = "HHMRS_WATCHER"
Ask = Callable[..., Awaitable[list[str]]]
"""Runs one tmux command, given as words."""


def signed() -> dict[str, str]:
    """What a control client of this process carries in its environment."""
    us = identify(os.getpid())
    return {_STARTED_BY: f"{us.pid} {us.created:.2f}"} if us else {}


async def end_leftovers(ask: Ask) -> int:
    """End the control clients of daemons that are no more; how many there were. Raises what `ask` raises."""
    listed = await ask("list-clients", "-F", "#{client_control_mode} #{client_pid}")
    pids = [int(pid) for mode, _, pid in (line.partition(" ") for line in listed) if mode == "1" and pid]
    return sum(_end_if_orphan(pid) for pid in pids)


def _end_if_orphan(pid: int) -> bool:
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        # Taken before the look: what is looked at is what is ended.
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        starter = _starter(pid)
        if starter is None or alive(starter):
            return False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        return True
    finally:
        os.close(handle)


def _starter(pid: int) -> Identity | None:
    """Who started this control client, or None when it is none of ours."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            words = file.read(1 << 20).split(b"\0")
    except OSError:
        return None
    prefix = f"{_STARTED_BY}=".encode()
    for word in words:
        if word.startswith(prefix):
            number, _, created = word.removeprefix(prefix).decode("ascii", "replace").partition(" ")
            with contextlib.suppress(ValueError):
                return Identity(int(number), float(created))
    return None
