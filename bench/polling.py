"""What a supervisor does that has libtmux and a clock: `python polling.py NOTES SOCKET [SOCKET ...]`.

Every `PERIOD` seconds it asks each server for all its panes (`Server.panes`, the listing that the library
offers) and compares them with what it had before. What moved is one line of JSON in NOTES each: kind (line,
title, death), agent, the moment in which it was known, and of a death whether tmux told how it came about.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libtmux
from libtmux.exc import LibTmuxException

PERIOD = 1.0

Seen = tuple[tuple[str | None, ...], str | None, bool]
"""What moves with output; the title; whether the pane is dead."""


def looks(sockets: list[str]) -> Iterator[tuple[str, Seen, bool]]:
    """Session, what is seen of its pane, and whether tmux knows how it ended."""
    for socket in sockets:
        try:
            panes = list(libtmux.Server(socket_name=socket).panes)
        except LibTmuxException:
            continue  # one pane that vanishes while it lists makes it raise for the whole server
        for pane in panes:
            moving = (pane.history_size, pane.cursor_x, pane.cursor_y)
            known = bool(pane.pane_dead_status or pane.pane_dead_signal)
            yield str(pane.session_name), (moving, pane.pane_title, pane.pane_dead == "1"), known


def news(before: Seen, now: Seen, known: bool) -> Iterator[dict[str, Any]]:
    if before[0] != now[0]:
        yield {"kind": "line"}
    if before[1] != now[1]:
        yield {"kind": "title"}
    if now[2] and not before[2]:
        yield {"kind": "death", "signal": known}


def main(notes: Path, sockets: list[str]) -> None:
    out = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    held: dict[str, Seen] = {}
    due = time.monotonic()
    while True:
        for agent, seen, known in looks(sockets):
            for one in news(held.get(agent, seen), seen, known):
                os.write(out, json.dumps({**one, "agent": agent, "at": time.monotonic()}).encode() + b"\n")
            held[agent] = seen
        due = max(due + PERIOD, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
