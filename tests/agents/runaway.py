"""Leaves a process behind that does not want to end.

    python runaway.py [--stay] [--kill-self] [--busy]

Forks a child that leaves the session (setsid), ignores SIGTERM, SIGHUP and SIGINT, closes the terminal, and
writes its pid to `runaway.pid` in the workspace. `--stay` (default): the parent sleeps silently beside it;
`--kill-self`: the parent SIGKILLs itself, so that the child is an orphan that only HHMRS_TOKEN in its
environment gives away. `--busy`: the child uses CPU instead of sleeping. The child ends by itself after ten
minutes, whatever happens.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def child(busy: bool) -> None:
    os.setsid()
    for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    signal.alarm(600)
    draft = Path("runaway.pid.part")
    draft.write_text(str(os.getpid()), encoding="utf-8")
    draft.rename("runaway.pid")
    while True:
        if not busy:
            signal.pause()


def main() -> None:
    signal.alarm(600)
    if os.fork() == 0:
        child("--busy" in sys.argv)
    print("left a child behind", flush=True)
    while not Path("runaway.pid").exists():
        os.sched_yield()
    if "--kill-self" in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
