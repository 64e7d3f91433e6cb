"""What can be asked of the book, in SQL but without SQLite: how rows are fetched is the reader's business."""

# ruff: noqa: S608 - table and column names are constants of this package; every value is bound

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

from .ledger_schema import READABLE
from .ports import Event

MANY = 500
"""More agents than this are picked out of all: a statement takes only so many values."""
EVENT_COLUMNS = "seq, at, type, agent, parent, incident, data"


def event_of(row: Sequence[Any]) -> Event:
    """The event of a row of EVENT_COLUMNS."""
    seq, at, kind, agent, parent, incident, data = tuple(row)
    return Event(seq, at, kind, agent, parent, incident, json.loads(data))


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

    def taken(self) -> dict[str, list[str]]:
        """Agent -> ids of letters that its state has taken in, and that may still lie in its inbox."""
        return {row[0]: json.loads(row[1]) for row in self._rows("SELECT agent, letters FROM taken")}

    def agents(self) -> list[dict[str, Any]]:
        """id, parent, phase, profile, model and updated_at of every agent ever recorded."""
        return self._dicts("SELECT id, parent, phase, profile, model, updated_at FROM agents ORDER BY rowid")

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

    def last_starts(self, before: str) -> list[Event]:
        """The newest agent_started of each agent before a time."""
        newest = "SELECT max(seq) FROM events WHERE type = 'agent_started' AND at < ? GROUP BY agent"
        sql = f"SELECT {EVENT_COLUMNS} FROM events WHERE seq IN ({newest}) ORDER BY seq"
        return [event_of(row) for row in self._rows(sql, (before,))]

    def beats(self, agents: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
        """Agent -> the newest live values the daemon showed (see SqliteLedger.beat)."""
        return self._of_agents("SELECT agent, live FROM live", "agent", agents)

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

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A whole table of contract.md section 6, oldest first. Raises ValueError for an unknown one."""
        if table not in READABLE:
            raise ValueError(f"no such table {table!r}; there are {', '.join(sorted(READABLE))}")
        return self._dicts(f"SELECT * FROM {table} ORDER BY rowid")

    def cascade(self) -> dict[str, Any] | None:
        """The shared failure under way, if any."""
        rows = self._dicts("SELECT opened, data FROM cascades")
        return {"opened": rows[0]["opened"], **json.loads(rows[0]["data"])} if rows else None

    def _of_agents(self, sql: str, column: str, agents: Collection[str] | None) -> dict[str, dict[str, Any]]:
        wanted = None if agents is None else list(agents)
        if wanted is not None and len(wanted) <= MANY:
            sql, wanted_in = f"{sql} WHERE {column} IN ({', '.join('?' * len(wanted))})", wanted
            return {row[0]: json.loads(row[1]) for row in self._rows(sql, wanted_in)}
        chosen = None if wanted is None else frozenset(wanted)
        return {row[0]: json.loads(row[1]) for row in self._rows(sql) if chosen is None or row[0] in chosen}

    def _dicts(self, sql: str, bound: Sequence[object] = ()) -> list[dict[str, Any]]:
        return [dict(row) for row in self._rows(sql, bound)]
