"""Shared failures that the daemon before this one left open: which are over, and which nobody was told of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...healing.actions import Announce
from ...healing.agent import AgentState, Happening
from ..ledger.queries import LedgerQueries


def over(cascades: Iterable[dict[str, Any]], states: Iterable[AgentState], now: float) -> list[Happening]:
    """The end of each that no agent is part of any more; of the others a guard knows (cascade.py)."""
    known = {s.incident.shared.id for s in states if s.incident and s.incident.shared}
    return [_end(row, now) for row in cascades if row.get("cascade") not in known]


def _end(row: dict[str, Any], now: float) -> Happening:
    fields: dict[str, object] = {name: value for name, value in row.items() if name != "opened"}
    reason = f"no more agents fail of {row.get('cause')}, as the next daemon found"
    fields |= {"over": True, "reason": reason, "restart_count": 0, "failure_count": 0}
    return Happening("hhmrs_cascade", "", now, None, fields | {"parent": None, "grandparent": None})


def untold(
    reader: LedgerQueries, cascades: Iterable[dict[str, Any]], ended: Iterable[object]
) -> list[Announce]:
    """What goes on and was written down, but not that a person was told of it. `ended`: ids of those that are
    over. Raises LedgerError."""
    known = {x.data.get("cascade") for x in reader.of_types(["operator_notified"])} | set(ended)
    return [
        Announce(
            str(row["cascade"]),
            str(row.get("reason")),
            f"{', '.join(row['agents'][:20])}\nlook: hhmrs status",
        )
        for row in cascades
        if "cascade" in row and row["cascade"] not in known
    ]
