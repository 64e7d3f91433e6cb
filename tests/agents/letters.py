"""For the scripted agents of the tests: writes letters into $HHMRS_INBOX as contract.md section 4 says.

    from letters import letter
    letter("beat", state="executing", progress=0.5, message="half way")

The agents are run as `python /path/agents/NAME.py`, so the folder of this file is on their path. Without
$HHMRS_INBOX nothing is written.
"""

from __future__ import annotations

import json
import os
import signal
import time
from itertools import count
from pathlib import Path

LIFETIME = 600
signal.alarm(LIFETIME)  # whatever becomes of a test, none of its agents outlives it for long

_numbers = count(1)


def stamp() -> str:
    """Now, as `2026-11-21T10:00:00.123Z`."""
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"


def attempt() -> int:
    return int(os.environ.get("HHMRS_ATTEMPT", "1"))


def letter(kind: str, **fields: object) -> None:
    """Write one letter. `fields` may override `agent`, `attempt` and `at`, to make bad ones."""
    inbox = os.environ.get("HHMRS_INBOX")
    if not inbox:
        return
    body = {
        "kind": kind,
        "agent": os.environ.get("HHMRS_AGENT", ""),
        "attempt": attempt(),
        "at": stamp(),
        **fields,
    }
    name = f"{time.time_ns()}.{os.getpid()}.{next(_numbers)}.json"
    draft = Path(inbox, "tmp", name)
    draft.write_text(json.dumps(body), encoding="utf-8")
    draft.rename(Path(inbox, "new", name))


def append_line(path: Path, line: str) -> None:
    """Append one line and see it on the disk before going on."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, line.encode() + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
