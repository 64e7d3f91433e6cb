"""What can be asked of the book, in SQL but without SQLite: how rows are fetched is the reader's business."""

# ruff: noqa: S608 - table and column names are constants of this package; every value is bound

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

from ..ports import Event
from .schema import READABLE

MANY = 500
"""More agents than this are picked out of all: a statement takes only so many values."""
CASCADES_READ = 32
"""So many events of shared failures are looked at for those under way: they are few, and each has two."""
_OF_EVERY_EVENT = frozenset({"restart_count", "failure_count", "parent", "grandparent"})
EVENT_COLUMNS = "seq, at, type, agent, parent, incident, data"


def event_of(row: Sequence[Any]) -> Event:
    """The event of a row of EVENT_COLUMNS. What a damaged or foreign ledger has no words for is left out."""
    seq, *texts, data = tuple(row)
    if bytes in map(type, texts):
        texts = [one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in texts]
    at, kind, agent, parent, incident = texts
    return Event(seq, at, kind, agent, parent, incident, _said(data))


def _said(data: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class LedgerQueries(ABC):
    """Every question is one short read; no ledger, no rows. Raises LedgerError."""

    @abstractmethod
    def _rows(self, sql: str, bound: Sequence[object] = ()) -> list[Any]:
        """All rows of a query, each usable as a sequence and as a mapping."""

    def meta(self) -> dict[str, str]:
        return {row["key"]: row["value"] for row in self._rows("SELECT key, value FROM meta")}

    def states(self, agents: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
        """Agent -> its state, as healing/codec.py dumped it; of all, or of these `agents`."""
        return self._of_agents("SELECT id, state FROM agents", "id", agents)

    def state_texts(self, agents: Collection[str]) -> dict[str, str]:
        """The same of these `agents`, as the JSON text that stands in the book."""
        return self._texts("SELECT id, state FROM agents", "id", agents)

    def taken(self) -> dict[str, list[str]]:
        """Agent -> ids of letters that its state has taken in, and that may still lie in its inbox."""
        return {row[0]: json.loads(row[1]) for row in self._rows("SELECT agent, letters FROM taken")}

    def agents(self) -> list[dict[str, Any]]:
        """id, parent, phase, profile, model and updated_at of every agent ever recorded."""
        return self._dicts("SELECT id, parent, phase, profile, model, updated_at FROM agents ORDER BY rowid")

    def incident_levels(self, phases: Sequence[str]) -> dict[str, int]:
        """Agent -> the level of the open incident in its own state, of those in one of these phases."""
        level = "json_extract(state, '$.incident.level')"
        still = "json_extract(state, '$.incident.outcome') IS NULL"
        marks = ", ".join("?" * len(phases))
        sql = f"SELECT id, {level} FROM agents WHERE phase IN ({marks}) AND {level} IS NOT NULL AND {still}"
        return {row[0]: int(row[1]) for row in self._rows(sql, phases)}

    def events(
        self, since: int = 0, limit: int | None = None, agent: str | None = None, incident: str | None = None
    ) -> list[Event]:
        """Events with a number above `since`, in order; at most `limit`."""
        tests = ["seq > ?"]
        given: list[object] = [since]
        for column, value in (("agent", agent), ("incident", incident)):
            if value is not None:
                tests.append(f"{column} = ?")
                given.append(value)
        sql = f"SELECT {EVENT_COLUMNS} FROM events WHERE {' AND '.join(tests)} ORDER BY seq LIMIT ?"
        return [event_of(row) for row in self._rows(sql, (*given, -1 if limit is None else limit))]

    def period(self, start: str, end: str, types: Sequence[str], *, after: int = 0) -> list[Event]:
        """Events of these types with start <= at < end (ISO texts) and numbers above `after`, in order."""
        marks = ", ".join("?" * len(types))
        sql = (
            f"SELECT {EVENT_COLUMNS} FROM events WHERE seq > ? AND type IN ({marks}) AND at >= ? AND at < ?"
            " ORDER BY seq"
        )
        return [event_of(row) for row in self._rows(sql, (after, *types, start, end))]

    def of_types(self, types: Sequence[str]) -> list[Event]:
        """Every event of these types, in order."""
        return self.period("", "~", types)

    def of_agent(self, agent: str, types: Sequence[str], limit: int) -> list[Event]:
        """The agent's newest `limit` events of these types, in order."""
        marks = ", ".join("?" * len(types))
        sql = (
            f"SELECT {EVENT_COLUMNS} FROM events WHERE agent = ? AND type IN ({marks})"
            " ORDER BY seq DESC LIMIT ?"
        )
        return [event_of(row) for row in reversed(self._rows(sql, (agent, *types, limit)))]

    def tasks_of(self, agent: str, limit: int) -> list[dict[str, Any]]:
        """The agent's newest `limit` rows of `tasks`, newest first, each with how many `tries` it took to
        bring its agent back while it was open."""
        tries = "(SELECT count(*) FROM attempts WHERE attempts.task = tasks.id) AS tries"
        sql = f"SELECT *, {tries} FROM tasks WHERE agent = ? ORDER BY opened DESC, rowid DESC LIMIT ?"
        return self._dicts(sql, (agent, limit))

    def newest_at(self) -> str | None:
        """When the newest event was."""
        rows = self._rows("SELECT at FROM events ORDER BY seq DESC LIMIT 1")
        return str(rows[0][0]) if rows else None

    def newest_seq(self) -> int:
        """The number of the newest event; 0 where there is none."""
        rows = self._rows("SELECT max(seq) FROM events")
        return int(rows[0][0] or 0) if rows else 0

    def last_starts(self, before: str) -> list[Event]:
        """The newest agent_started of each agent before a time."""
        newest = "SELECT max(seq) FROM events WHERE type = 'agent_started' AND at < ? GROUP BY agent"
        sql = f"SELECT {EVENT_COLUMNS} FROM events WHERE seq IN ({newest}) ORDER BY seq"
        return [event_of(row) for row in self._rows(sql, (before,))]

    def beats(self, agents: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
        """Agent -> the newest live values the daemon showed (see SqliteLedger.beat)."""
        return self._of_agents("SELECT agent, live FROM live", "agent", agents)

    def beat_texts(self, agents: Collection[str]) -> dict[str, str]:
        """The same of these `agents`, as the JSON text that stands in the book."""
        return self._texts("SELECT agent, live FROM live", "agent", agents)

    def shown_at(self) -> dict[str, str]:
        """Agent -> when its live values were written (ISO text)."""
        return {row[0]: row[1] for row in self._rows("SELECT agent, at FROM live")}

    def incidents(self, closed: int = 20) -> list[dict[str, Any]]:
        """All open incidents, then the newest `closed` ones, each with its `attempts`."""
        found = self._dicts("SELECT * FROM incidents WHERE closed IS NULL ORDER BY opened DESC")
        found += self._dicts(
            "SELECT * FROM incidents WHERE closed IS NOT NULL ORDER BY closed DESC LIMIT ?", (closed,)
        )
        for one in found:
            one["attempts"] = self._dicts(
                "SELECT * FROM attempts WHERE incident = ? ORDER BY n", (one["id"],)
            )
        return found

    def incident(self, incident: str) -> dict[str, Any] | None:
        """One row of `incidents` with its `attempts`."""
        found = self._dicts("SELECT * FROM incidents WHERE id = ?", (incident,))
        for one in found:
            one["attempts"] = self._dicts("SELECT * FROM attempts WHERE incident = ? ORDER BY n", (incident,))
        return found[0] if found else None

    def incident_ids(self) -> list[str]:
        """Of every incident there ever was, the newest first."""
        return [row[0] for row in self._rows("SELECT id FROM incidents ORDER BY opened DESC")]

    def events_before(self, agent: str, seq: int, limit: int) -> list[Event]:
        """The agent's newest `limit` events with numbers below `seq`, in order."""
        sql = f"SELECT {EVENT_COLUMNS} FROM events WHERE agent = ? AND seq < ? ORDER BY seq DESC LIMIT ?"
        return [event_of(row) for row in reversed(self._rows(sql, (agent, seq, limit)))]

    def record(self, cause: str) -> dict[str, tuple[int, int]]:
        """Strategy -> (proved, ended) of every attempt that was made for this cause."""
        sql = (
            "SELECT strategy, sum(outcome = 'success'), count(*) FROM attempts"
            " WHERE cause = ? AND outcome != 'pending' GROUP BY strategy"
        )
        return {row[0]: (row[1], row[2]) for row in self._rows(sql, (cause,))}

    def task(self, task: str) -> dict[str, Any] | None:
        """One row of `tasks`."""
        return next(iter(self._dicts("SELECT * FROM tasks WHERE id = ?", (task,))), None)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A whole table of contract.md section 6, oldest first. Raises ValueError for an unknown one."""
        if table not in READABLE:
            raise ValueError(f"no such table {table!r}; there are {', '.join(sorted(READABLE))}")
        return self._dicts(f"SELECT * FROM {table} ORDER BY rowid")

    def cascade(self) -> dict[str, Any] | None:
        """The shared failure under way, if any; of several the one that began first."""
        return next(iter(self.cascades()), None)

    def cascades(self) -> list[dict[str, Any]]:
        """The shared failures under way, the oldest first: `opened` (ISO text) and what their event says."""
        sql = "SELECT at, data FROM events WHERE type = 'hhmrs_cascade' ORDER BY seq DESC LIMIT ?"
        found: dict[object, dict[str, Any]] = {}
        for row in reversed(self._rows(sql, (CASCADES_READ,))):
            data = json.loads(row[1])
            known = data.get("cascade")
            if not data.get("over"):
                told = {name: value for name, value in data.items() if name not in _OF_EVERY_EVENT}
                found[known] = {"opened": row[0], **told}
            elif known is None:
                found.clear()
            else:
                found.pop(known, None)
        return list(found.values())

    def _of_agents(self, sql: str, column: str, agents: Collection[str] | None) -> dict[str, dict[str, Any]]:
        texts = self._rows(sql) if agents is None else self._texts(sql, column, agents).items()
        return {agent: json.loads(text) for agent, text in texts}

    def _texts(self, sql: str, column: str, agents: Collection[str]) -> dict[str, str]:
        wanted = frozenset(agents)
        if len(wanted) <= MANY:
            picked = f"{sql} WHERE {column} IN ({', '.join('?' * len(wanted))})"
            return {row[0]: row[1] for row in self._rows(picked, [*wanted])}
        return {row[0]: row[1] for row in self._rows(sql) if row[0] in wanted}

    def _dicts(self, sql: str, bound: Sequence[object] = ()) -> list[dict[str, Any]]:
        return [dict(row) for row in self._rows(sql, bound)]
