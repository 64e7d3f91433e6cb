"""What is stored together: an agent's state, what happened, and the letters that told of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ...healing.agent import AgentState
from ...healing.codec import dump_state
from ..ports import Event, Row
from ..timestamps import to_iso
from .entries import clean, entry
from .projections import project
from .sql import STORE_TAKEN, UPSERT_AGENT, Statement, insert_event, statements


class Connection(Protocol):
    """An open transaction of the ledger's one connection."""

    def execute(self, sql: str, bound: Sequence[Any] = (), /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A row made ready to be stored."""

    agent: str
    parent: str | None
    key: str | None
    phase: str
    state: str | None
    events: tuple[Event, ...]
    letters: str | None

    @classmethod
    def of(cls, row: Row, parents: Mapping[str, str | None]) -> Prepared:
        """Raises ValueError and TypeError for what no ledger can hold."""
        parent = parents.get(row.agent)
        dumped = dump_state(row.state) if isinstance(row.state, AgentState) else row.state
        state = json.dumps(dumped, separators=(",", ":")) if dumped is not None else None
        phase = str((dumped or {}).get("phase", "unknown"))
        events = tuple(entry(h, parents.get(h.agent)) for h in row.happenings)
        letters = json.dumps(row.letters) if row.letters is not None else None
        return cls(row.agent, parent, clean(row.key) if row.key else None, phase, state, events, letters)

    def store(self, conn: Connection, run_id: str) -> list[int]:
        """The numbers of the row's events; those of the first time when its key is known."""
        if self.key is not None:
            known = conn.execute("SELECT first, count FROM keys WHERE key = ?", (self.key,)).fetchone()
            if known:
                return list(range(known[0], known[0] + known[1]))
        if self.state is not None:
            conn.execute(UPSERT_AGENT, (self.agent, self.parent, self.phase, self.state, to_iso(time.time())))
        if self.letters is not None:
            conn.execute(STORE_TAKEN, (self.agent, self.letters))
        seqs = [_store_event(conn, event, run_id) for event in self.events]
        if self.key is not None:
            conn.execute("INSERT INTO keys VALUES (?, ?, ?)", (self.key, seqs[0] if seqs else 0, len(seqs)))
        return seqs


def run(conn: Connection, what: Iterable[Statement]) -> None:
    for statement in what:
        conn.execute(*statement)


def _store_event(conn: Connection, event: Event, run_id: str) -> int:
    seq: int = conn.execute(*insert_event(event, run_id)).lastrowid or 0
    run(conn, statements(project(replace(event, seq=seq), run_id)))
    return seq
