"""The statements that write the book, as text with their values; running them is the writer's business."""

# ruff: noqa: S608 - table and column names are constants of this package; every value is bound

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from ..ports import Event
from ..timestamps import to_iso
from .entries import bounded
from .projections import Put, RowChange

Statement: TypeAlias = tuple[str, list[object]]

UPSERT_AGENT = """INSERT INTO agents(id, parent, phase, state, updated_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT(id) DO UPDATE SET parent = coalesce(excluded.parent, parent), phase = excluded.phase,
    state = excluded.state, updated_at = excluded.updated_at"""
STORE_TAKEN = "INSERT OR REPLACE INTO taken VALUES (?, ?)"
_UPSERT_HEARTBEAT = """INSERT INTO heartbeat_status(
    agent_id, parent_agent_id, run_id, last_heartbeat_timestamp, status, progress_pct, current_subtask,
    health_cpu_pct, health_memory_mb, health_active_threads,
    missed_heartbeat_count, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT(agent_id) DO UPDATE SET parent_agent_id = excluded.parent_agent_id, run_id = excluded.run_id,
    last_heartbeat_timestamp = coalesce(excluded.last_heartbeat_timestamp, last_heartbeat_timestamp),
    status = excluded.status, progress_pct = excluded.progress_pct,
    current_subtask = excluded.current_subtask,
    health_cpu_pct = excluded.health_cpu_pct, health_memory_mb = excluded.health_memory_mb,
    health_active_threads = excluded.health_active_threads,
    missed_heartbeat_count = excluded.missed_heartbeat_count, updated_at = excluded.updated_at"""


def insert_event(event: Event, run: str) -> Statement:
    data = json.dumps(event.data, separators=(",", ":"))
    return (
        "INSERT INTO events(at, type, agent, parent, incident, run, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [event.at, event.type, event.agent, event.parent, event.incident, run, data],
    )


def statements(changes: Iterable[RowChange]) -> Iterator[Statement]:
    """One statement per change. Table and column names are our own constants, values are always bound."""
    for change in changes:
        if isinstance(change, Put):
            yield _put(change)
        else:
            values = list(change.values.values())
            tests = []
            for column, operator, value in change.where:
                many = value if isinstance(value, tuple) else (value,)
                tests.append(
                    f"{column} {operator} " + (f"({_marks(len(many))})" if operator == "in" else "?")
                )
                values.extend(many)
            columns = ", ".join(f"{name} = ?" for name in change.values)
            yield f"UPDATE {change.table} SET {columns} WHERE {' AND '.join(tests)}", values


def _put(change: Put) -> Statement:
    names = list(change.values)
    update = ", ".join(f"{name} = excluded.{name}" for name in change.refresh)
    return (
        f"INSERT INTO {change.table}({', '.join(names)}) VALUES ({_marks(len(names))}) "
        f"ON CONFLICT({', '.join(change.key)}) DO " + (f"UPDATE SET {update}" if update else "NOTHING"),
        list(change.values.values()),
    )


class Beats:
    """Makes statements of live values. A row of `heartbeat_status` that says what it said is written again
    only every `AGAIN` seconds: most of what is live does not stand in it, and a statement costs 20 us."""

    AGAIN = 30.0

    def __init__(self, run: str) -> None:
        self._run = run
        self._written: dict[str, tuple[list[object], float]] = {}

    def store(self, agent: str, values: Mapping[str, object], parent: str | None) -> list[Statement]:
        """Live values into `live` and `heartbeat_status`: `beat` in engine time, `progress` 0..1, `status`,
        `message`, `cpu_pct`, `memory_mb`, `threads`, `missed`, and whatever else is to be shown.

        Raises ValueError or TypeError for values of a wrong shape."""
        live, at = bounded(values), time.time()
        now = to_iso(at)
        found: list[Statement] = [
            ("INSERT OR REPLACE INTO live VALUES (?, ?, ?)", [agent, now, json.dumps(live)])
        ]
        beat, progress = live.get("beat"), live.get("progress")
        row: list[object] = [
            agent, parent, self._run, to_iso(beat) if beat is not None else None, live.get("status"),
            progress * 100 if progress is not None else None, live.get("message"), live.get("cpu_pct"),
            live.get("memory_mb"), live.get("threads"), live.get("missed") or 0,
        ]  # fmt: skip
        before, since = self._written.get(agent, ([], 0.0))
        if row != before or not since <= at < since + self.AGAIN:
            self._written[agent] = (row, at)
            found.append((_UPSERT_HEARTBEAT, [*row, now, now]))
        return found

    def forget(self) -> None:
        """What was stored last may not have been: write every row in full again."""
        self._written.clear()


def _marks(count: int) -> str:
    return ", ".join("?" * count)
