"""Works a little, gets stuck, and goes on once what it waits for has come.

    python stuck.py tasks      as of an older system: until `current_tasks` of its status.json is empty
    python stuck.py reset      the same, until the status says ACTIVE_AGENT_MODE
    python stuck.py fresh      the same, until somebody refreshes `last_updated`
    python stuck.py letter     until a letter lies in its folder `inbox/`
    python stuck.py note       until a note lies in `notes/` of $HHMRS_INBOX
    python stuck.py dialog     shows a dialog over its screen until Escape is pressed

Three files, then stuck, then one file every 0.2 s, for ever. What woke it stands in `woken.txt`, once; what
was typed meanwhile in `typed.txt`.
"""

from __future__ import annotations

import json
import os
import select
import sys
import termios
import time
import tty
from itertools import count
from pathlib import Path
from typing import Any

from letters import append_line

STATUS = Path("status.json")
BEGUN = "2025-11-28 10:00:00"
BLOCKED = {
    "agent_id": "Agent-1",
    "status": "BLOCKED",
    "current_tasks": ["wait for an answer"],
    "last_updated": BEGUN,
    "current_mission": "Parse",
    "notes": {"of": ["its", "own"]},
}


def work(number: int) -> None:
    Path(f"work-{number % 100:02d}.txt").write_text(f"{number}\n", encoding="utf-8")
    time.sleep(0.2)


def said() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(STATUS.read_bytes())
    return found


def free(kind: str) -> bool:
    if kind == "tasks":
        return bool(said()["current_tasks"] == [])
    if kind == "reset":
        return bool(said()["status"] == "ACTIVE_AGENT_MODE")
    if kind == "fresh":
        return bool(said()["last_updated"] != BEGUN)
    folder = Path("inbox") if kind == "letter" else Path(os.environ["HHMRS_INBOX"]) / "notes"
    return folder.is_dir() and any(folder.glob("*.md"))


def stand_still(kind: str) -> None:
    """A child that waits costs no CPU of ours; it looks now and then, as such agents did."""
    while not free(kind):
        ready, _, _ = select.select([sys.stdin], [], [], 0.2)
        if ready:
            append_line(Path("typed.txt"), sys.stdin.readline().strip())


def dialog() -> None:
    print(
        "\x1b[2J\x1b[HWhat is new in version 2\n  - nothing to do with your work\n  Esc to close", flush=True
    )
    before = termios.tcgetattr(0)
    tty.setcbreak(0)
    try:
        while (key := os.read(0, 1)) != b"\x1b":
            append_line(Path("typed.txt"), repr(key))
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
    print("\x1b[2J\x1b[H", end="", flush=True)


def main() -> None:
    kind = sys.argv[1]
    if kind == "letter":
        Path("inbox").mkdir(exist_ok=True)
    for number in range(3):
        work(number)
    if kind in ("tasks", "reset", "fresh"):
        STATUS.write_text(json.dumps(BLOCKED, indent=2), encoding="utf-8")
    if kind == "dialog":
        dialog()
    else:
        stand_still(kind)
    append_line(Path("woken.txt"), kind)
    for number in count(3):
        work(number)


if __name__ == "__main__":
    main()
