"""kill -9 of a process that writes the book: whatever it was told is stored, is stored."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from hhmrs.controller.ledger.schema import PROJECTIONS
from hhmrs.controller.ledger.writer import LedgerReader, SqliteLedger

KILLS = 10
WRITER = """
import itertools, sys, threading
from pathlib import Path
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.healing.agent import Happening

book = SqliteLedger(Path(sys.argv[1]))
assert book.note is None, book.note
begun, told = int(sys.argv[2]), threading.Lock()

def write(agent):
    for n in itertools.count():
        incident = f"{agent}-{begun}-{n}"
        at = 1795255200.0 + n
        rows = [Row(agent, {"id": agent, "phase": "working", "incident": incident}, (
            Happening("agent_incident", agent, at, incident, {"symptom": "stalled", "cause": "stalled"}),
            Happening("hhmrs_restart", agent, at, incident, {"n": 1, "strategy": "restart", "reason": "d"}),
            Happening("hhmrs_recovered", agent, at, incident, {"n": 1, "strategy": "restart", "proof": "p"}),
            Happening("agent_incident_closed", agent, at, incident, {"outcome": "recovered"}),
        ))]
        seqs = book.append(rows)
        book.beat({agent: {"message": incident}})
        with told:
            sys.stdout.write(f"{incident} {seqs[-1]}\\n")
            sys.stdout.flush()

for name in ("a", "b", "c"):
    threading.Thread(target=write, args=(name,)).start()
"""


def _write_until_killed(path: Path, turn: int, acknowledged: int) -> dict[str, int]:
    """Incident -> number of its last event, for all that the writer said were stored before it was killed."""
    argv = [sys.executable, "-c", WRITER, str(path), str(turn)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines: list[str] = []
        for line in writer.stdout:
            lines.append(line)
            if len(lines) == acknowledged:
                writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
    whole = [line.split() for line in lines if line.endswith("\n")]
    return {incident: int(seq) for incident, seq in whole}


def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    acknowledged: dict[str, int] = {}
    dice = random.Random(7)
    for turn in range(KILLS):
        acknowledged |= _write_until_killed(path, turn, dice.randint(5, 120))
        reader = LedgerReader(path)
        events = reader.events()
        assert [e.seq for e in events] == list(range(1, len(events) + 1)), "the numbers have a gap"
        stored = {e.incident: e.seq for e in events}
        assert {i: stored.get(i) for i in acknowledged} == acknowledged, f"lost after kill {turn + 1}"
        newest = {e.agent: e.incident for e in events}
        assert {a: s["incident"] for a, s in reader.states().items()} == newest, "state and log disagree"
        reader.close()
    assert len(acknowledged) >= KILLS * 5
    _assert_projections_are_whole(path)


def _assert_projections_are_whole(path: Path) -> None:
    book = SqliteLedger(path)
    assert book.note is None
    before = {table: book.reader.rows(table) for table in PROJECTIONS}
    assert {r["outcome"] for r in before["retry_history"]} == {"success"}
    book.rebuild()
    assert {table: book.reader.rows(table) for table in PROJECTIONS} == before
    book.close()
