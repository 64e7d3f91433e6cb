"""Rows for a ledger of three agents, one below the other."""

from __future__ import annotations

from typing import Any

from hhmrs.controller.ports import Row
from hhmrs.healing.agent import Happening

T0 = 1_795_255_200.0  # 2026-11-21T10:00:00Z
PARENTS = {"arch": None, "code": "arch", "prog": "code"}


def happened(
    kind: str, at: float = 0.0, agent: str = "code", incident: str | None = None, **fields: Any
) -> Happening:
    """`at`: seconds after T0."""
    return Happening(kind, agent, T0 + at, incident, fields)


def row(*happenings: Happening, agent: str = "code", key: str | None = None, **state: Any) -> Row:
    return Row(agent, {"id": agent, "phase": "working", **state}, happenings, key)
