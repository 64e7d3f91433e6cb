"""The list of incidents: open first, then the newest; every word of a filter must be found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from hhmrs.controller.ledger.writer import LedgerReader, SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.controller.reports.incidents import incident_lines
from hhmrs.healing.agent import Happening
from hhmrs.tui.incident_rows import ENDINGS, incident_rows, matching

T0 = 1_795_255_200.0  # Saturday, 2026-11-21 10:00 UTC


@pytest.fixture
def book(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def tell(book: SqliteLedger, agent: str, number: int, at: float, *told: tuple[str, dict[str, Any]]) -> None:
    name = f"{agent}-i{number}"
    why: dict[str, Any] = {"symptom": "s", "cause": "crash", "detail": "exit 1"}
    opened = ("agent_incident", why)
    happened = (Happening(k, agent, T0 + at + n, name, f) for n, (k, f) in enumerate((opened, *told)))
    book.append([Row(agent, None, tuple(happened))])


def closed(outcome: str) -> tuple[str, dict[str, Any]]:
    return "agent_incident_closed", {"outcome": outcome, "cause": "crash"}


@pytest.fixture
def full(book: SqliteLedger) -> SqliteLedger:
    restart = ("hhmrs_restart", {"n": 1, "strategy": "restart", "cause": "crash"})
    won = ("hhmrs_recovered", {"n": 1, "strategy": "restart", "proof": "p"})
    lost = ("hhmrs_failure", {"reason": "spent", "cause": "crash"})
    tell(book, "a", 1, -8 * 86_400, restart, won, closed("recovered"))
    tell(book, "b", 1, -3600, restart, lost)
    tell(book, "c", 1, -7200, closed("self"))
    tell(book, "d", 1, -1800, lost, closed("cleared"))
    tell(book, "e", 1, -86_400)
    tell(book, "f", 1, -90_000, closed("cleared"))
    tell(book, "g", 1, -95_000, ("agent_observed", {"strategy": "restart"}))
    return book


def test_open_ones_come_first_then_the_newest(full: SqliteLedger) -> None:
    lines = incident_lines(full.reader)
    assert [(line.id, line.ending) for line in lines] == [
        ("b-i1", "given up"), ("e-i1", "open"), ("g-i1", "watched"), ("d-i1", "given up"),
        ("c-i1", "by itself"), ("f-i1", "cleared"), ("a-i1", "recovered"),
    ]  # fmt: skip
    assert {line.ending for line in lines} == set(ENDINGS)
    healed = lines[-1]
    assert (healed.attempts, healed.last, healed.recovered, healed.lasted) == (1, "restart", 2.0, 3.0)
    assert lines[0].is_open
    assert not lines[3].is_open


def test_rows_say_when_how_often_and_how_long(full: SqliteLedger) -> None:
    rows = {row.agent: row for row in incident_rows(incident_lines(full.reader), {"a": "Ann"}, T0, zone=UTC)}
    assert (rows["b"].when, rows["b"].short, rows["b"].tries) == ("Sat 09:00", "09:00", "×1")
    assert (rows["a"].when, rows["a"].short, rows["a"].title) == ("13 Nov 26", "13.11", "Ann")
    assert (rows["a"].took, rows["b"].took) == ("2.0 s", "")
    assert rows["a"].detail == "restart: exit 1"
    plain = incident_rows(incident_lines(full.reader), {}, T0, plain=True, zone=UTC)
    assert all((row.mark + row.tries).isascii() for row in plain)


def test_every_word_must_be_found_and_a_mark_turns_one_round(full: SqliteLedger) -> None:
    rows = incident_rows(incident_lines(full.reader), {"a": "Ann"}, T0, zone=UTC)

    def found(needle: str) -> str:
        return "".join(row.agent for row in matching(rows, needle))

    assert found("") == "begdcfa"
    assert found("  CRASH given ") == "bd"
    assert found("ann") == "a"
    assert found("!given !open") == "gcfa"
    assert found("b-i1") == "b"
    assert found("nothing like it") == ""


def test_no_ledger_no_incidents(tmp_path: Path) -> None:
    assert incident_lines(LedgerReader(tmp_path / "none.db")) == ()
