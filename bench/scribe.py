"""Writes letters as agents do, so many a second, into several inboxes in turn; for bench/letters.py.

    python bench/scribe.py NAME RATE SECONDS INBOX...

Of each hundred letters five are checkpoints that say something new, one is a question, the rest are beats.
Prints what it wrote as JSON, by inbox and kind.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any


def write(inbox: Path, name: str, kind: str, **fields: object) -> float:
    """One letter, written beside and renamed; the moment (monotonic) just before the rename."""
    now = time.time()
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    letter = {"kind": kind, "agent": inbox.name, "attempt": 1, "at": at, **fields}
    draft = inbox / "tmp" / name
    draft.write_text(json.dumps(letter))
    began = time.monotonic()
    os.rename(draft, inbox / "new" / name)  # noqa: PTH104 - nothing but the call itself is to be timed
    return began


def letter(number: int, name: str) -> tuple[str, dict[str, Any]]:
    """Kind and fields of the letter of this number."""
    place = number % 100
    if place in (10, 30, 50, 70, 90):
        return "checkpoint", {"completed": [f"{name} came to {number}"], "next": ["go on"]}
    if place == 99:
        return "ask", {"question": f"{name} asks {number}"}
    return "beat", {"state": "executing", "progress": place / 100, "message": f"{name} at {number}"}


def main(name: str, rate: float, seconds: float, inboxes: list[Path]) -> dict[str, Any]:
    written: dict[str, Counter[str]] = {inbox.name: Counter() for inbox in inboxes}
    began = time.monotonic()
    for number in range(round(rate * seconds)):
        ahead = began + number / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        inbox = inboxes[number % len(inboxes)]
        kind, fields = letter(number, name)
        write(inbox, f"{time.time_ns()}.{name}.{number}", kind, **fields)
        written[inbox.name][kind] += 1
    return {"seconds": time.monotonic() - began, "written": written}


if __name__ == "__main__":
    found = main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), [Path(x) for x in sys.argv[4:]])
    print(json.dumps(found))
