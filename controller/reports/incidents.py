"""Every incident there ever was, as a list for people: open ones first, then the newest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..ledger.queries import LedgerQueries
from ..timestamps import from_iso


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """`opened`: epoch seconds; `lasted`, `recovered`: seconds since then, None as long as it is not so.

    `ending`: open, recovered, by itself, given up, cleared, or watched (`mode: observe`: nothing was done).
    `attempts`: how many were made, `last` the strategy of the newest."""

    id: str
    agent: str
    symptom: str
    cause: str
    detail: str
    opened: float
    ending: str
    is_open: bool
    attempts: int
    last: str
    lasted: float | None
    recovered: float | None


def incident_lines(reader: LedgerQueries) -> tuple[IncidentLine, ...]:
    """All of them. Raises LedgerError."""
    tried: dict[str, tuple[int, str]] = {}
    for row in reader.rows("attempts"):
        if row["incident"]:
            count, _ = tried.get(row["incident"], (0, ""))
            tried[row["incident"]] = (count + 1, str(row["strategy"]))
    watched = {event.incident for event in reader.of_types(("agent_observed",))}
    lines = [_line(row, *tried.get(row["id"], (0, "")), watched) for row in reader.rows("incidents")]
    return tuple(sorted(lines, key=lambda line: (not line.is_open, -line.opened, line.id)))


def _line(row: Mapping[str, Any], attempts: int, last: str, watched: set[str | None]) -> IncidentLine:
    opened = from_iso(row["opened"])
    return IncidentLine(
        id=row["id"], agent=row["agent"], symptom=row["symptom"], cause=row["cause"], detail=row["detail"],
        opened=opened, ending=_ending(row, not attempts and row["id"] in watched),
        is_open=row["closed"] is None, attempts=attempts, last=last, lasted=_after(row["closed"], opened),
        recovered=_after(row["recovered"], opened),
    )  # fmt: skip


def _ending(row: Mapping[str, Any], watched: bool) -> str:
    if row["escalated"] is not None:
        return "given up"
    if row["outcome"] is None:
        return "watched" if watched else "open"
    return {"self": "by itself"}.get(row["outcome"], str(row["outcome"]))


def _after(text: str | None, opened: float) -> float | None:
    return from_iso(text) - opened if text else None
