"""Every letter that was renamed is handled, once, whatever becomes of the daemon and however many come."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from hhmrs.controller.ledger.writer import LedgerReader

WORKERS = 3
NUMBERS = count(1)


def _write(inbox: Path, kind: str, **fields: Any) -> None:
    name = f"{time.time_ns()}.{next(NUMBERS)}"
    letter = {"kind": kind, "agent": inbox.name, "attempt": 1, "at": "2026-11-21T10:00:00.000Z"} | fields
    (inbox / "tmp" / name).write_text(json.dumps(letter))
    (inbox / "tmp" / name).rename(inbox / "new" / name)


def _write_mixed(inbox: Path, number: int) -> str:
    """A letter of the kind that this number has."""
    if number % 10 == 3:
        _write(inbox, "ask", question=f"question {number}")
        return "ask"
    if number % 10 == 7:
        _write(inbox, "checkpoint", completed=[f"step {number}"])
        return "checkpoint"
    _write(inbox, "beat", state="executing", message=f"at {number}")
    return "beat"


def _flooded(inbox: Path, letters: int, written: Counter[tuple[str, str]]) -> None:
    """The first worker only beats: nothing that it says is worth a commit of its own."""
    for number in range(letters):
        kind = _write_mixed(inbox, 0 if inbox.name == "worker-1" else number)
        written[inbox.name, kind] += 1


def _told(reader: LedgerReader) -> Counter[tuple[str, str]]:
    """What the ledger holds, by agent and kind."""
    found = Counter({(agent, "beat"): int(s["beats"]) for agent, s in reader.states().items() if s["beats"]})
    kinds = {"checkpoint_stored": "checkpoint", "agent_asked": "ask"}
    for event in reader.events():
        if event.type in kinds and event.data.get("by") != "supervisor":
            found[str(event.agent), kinds[event.type]] += 1
    return found


def test_no_letter_is_lost_or_counted_twice_when_the_daemon_is_killed_amid_a_flood(
    make_fleet: Callable[..., Any],
) -> None:
    sleeper = {"profile": "shell", "command": ["sleep", "600"], "liveness": ["process"]}
    names = [f"worker-{n}" for n in range(1, WORKERS + 1)]
    fleet = make_fleet(dict.fromkeys(names, sleeper))
    fleet.up()
    fleet.wait_event("agent_started", count=WORKERS)
    inboxes = [fleet.state.inbox_of(name) for name in names]
    written: list[Counter[tuple[str, str]]] = [Counter() for _ in names]
    writers = [
        threading.Thread(target=_flooded, args=(inbox, 700, mine))
        for inbox, mine in zip(inboxes, written, strict=True)
    ]
    for writer in writers:
        writer.start()
    reader = LedgerReader(fleet.state.ledger)
    for share in (0.1, 0.4):
        fleet.wait(lambda share=share: _told(reader).total() > share * 2100, 30, "a part of the letters")
        os.kill(fleet.holder().pid, signal.SIGKILL)
        fleet.up()
    for writer in writers:
        writer.join()
    fleet.wait(lambda: not any(any((x / "new").iterdir()) for x in inboxes), 30, "empty inboxes")
    expected = sum(written, Counter())
    fleet.wait(lambda: _told(reader) == expected, 10, f"{expected} in the ledger, not {_told(reader)}")
    questions = Counter((x.agent, x.data["question"]) for x in fleet.events("agent_asked"))
    reader.close()
    assert set(questions.values()) == {1}
    assert [path for inbox in inboxes for path in (inbox / "bad").iterdir()] == []
    steps = fleet.state.checkpoints / names[1]
    newest = max((int(path.stem), path) for path in steps.glob("*.json"))[1]
    assert json.loads(newest.read_text())["completed"] == ["step 697"]


def test_who_writes_without_pause_keeps_neither_another_agent_nor_a_person_waiting(
    make_fleet: Callable[..., Any],
) -> None:
    sleeper = {"profile": "shell", "command": ["sleep", "600"], "liveness": ["process"]}
    fleet = make_fleet({"loud": sleeper, "calm": sleeper})
    fleet.up()
    fleet.wait_event("agent_started", count=2)
    over = threading.Event()
    loud, calm = fleet.state.inbox_of("loud"), fleet.state.inbox_of("calm")

    def shout() -> None:
        while not over.is_set():
            _write(loud, "beat", state="executing")

    # What waits already is more than several rounds can read.
    for _ in range(3000):
        _write(loud, "beat", state="executing")
    shouting = threading.Thread(target=shout)
    shouting.start()
    try:
        _write(calm, "done", summary="ready")
        fleet.wait_event("agent_done", agent="calm", deadline=5)
        assert fleet.run("stop", "loud").returncode == 0
    finally:
        over.set()
        shouting.join()
    fleet.wait(lambda: not any((loud / "new").iterdir()), 30, "an empty inbox")
