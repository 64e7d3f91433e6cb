"""Figures of recoveries: only what was proved counts, and nothing is made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hhmrs.controller.ledger.writer import LedgerReader, SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.controller.reports.stats import stats_document, stats_text
from hhmrs.healing import metrics
from hhmrs.healing.agent import Happening
from hhmrs.healing.metrics import ActionRecord, IncidentRecord, TaskRecord

T0 = 1_795_255_200.0
HEALED = IncidentRecord(
    "i1", "a", "stalled", "stalled", 100.0, 130.0, "recovered", 130.0, None, 60.0, 1, 110.0
)
LOST = IncidentRecord("i2", "b", "exited", "crash", 200.0, None, None, None, 300.0, None, 6, 201.0)
BY_ITSELF = IncidentRecord("i3", "a", "looping", "looping", 300.0, 310.0, "self", None, None, 600.0, 0)
ORDERED = IncidentRecord(
    "i4", "a", "ordered", "unknown", 400.0, 900.0, "recovered", 900.0, None, None, 1, 400.0
)
INCIDENTS = [HEALED, LOST, BY_ITSELF, ORDERED]


def test_sent_is_not_proved() -> None:
    actions = [
        ActionRecord("a", "restart", 1.0, outcome) for outcome in ("success", "failure", "failure", "pending")
    ]
    assert metrics.count(actions) == metrics.Count(3, 1, 2, 33.3)
    assert metrics.count(actions[3:]) == metrics.Count(0, 0, 0, None)


def test_the_contract_s_keys_are_all_there() -> None:
    document = stats_document(None)
    promised = """total_actions successful failed success_rate by_agent recent_actions first_try_success
        recovery_success_rate failed_after_recovery average_recovery_time_s reasons mttd_s mttr_s
        false_alarms"""
    assert set(promised.split()) <= set(document)
    assert [document["first_try_success"][size]["target"] for size in ("small", "large")] == [95.0, 80.0]
    assert document["recovery_success_rate"]["target"] == 90.0


def test_an_escalated_incident_that_a_person_cleared_stays_a_failure() -> None:
    assert metrics.recovery_rate(INCIDENTS) == metrics.Goal(50.0, 90.0, 2)
    cleared = replace(LOST, closed=400.0, outcome="cleared")
    assert metrics.recovery_rate([HEALED, cleared]) == metrics.Goal(50.0, 90.0, 2)
    assert metrics.recovery_rate([BY_ITSELF, ORDERED]) == metrics.Goal(None, 90.0, 0)


def test_times_causes_and_false_alarms_leave_orders_out() -> None:
    assert metrics.detection_time(INCIDENTS) == pytest.approx(330.0)
    assert metrics.repair_time(INCIDENTS) == pytest.approx(30.0)
    assert metrics.recovery_time(INCIDENTS) == pytest.approx(20.0)
    assert metrics.false_alarms(INCIDENTS) == 1
    assert metrics.failed_after_recovery(INCIDENTS) == 1
    found = metrics.reasons([*INCIDENTS, replace(HEALED, id="i5", agent="c")])
    assert list(found) == ["stalled", "crash", "looping"]
    assert found["stalled"] == metrics.Reason(2, 50.0, ("a", "c"))


def test_first_try_is_by_size_and_spoilt_by_any_incident_of_its_time() -> None:
    tasks = [
        TaskRecord("clean", "a", True, 0.0, 90.0, files=4),
        TaskRecord("struck", "a", True, 95.0, 140.0, files=1),
        TaskRecord("lost", "c", False, 0.0, 50.0, files=0),
        TaskRecord("large", "c", True, 0.0, 50.0, files=5),
        TaskRecord("uncounted", "c", True, 0.0, 50.0, files=None),
    ]
    found = metrics.first_try(tasks, INCIDENTS)
    assert found == {"small": metrics.Goal(33.3, 95.0, 3), "large": metrics.Goal(100.0, 80.0, 1)}


def test_nothing_to_measure_is_null_never_a_figure(tmp_path: Path) -> None:
    empty = LedgerReader(tmp_path / "none.db")
    for document in (stats_document(None), stats_document(empty)):
        assert document["total_actions"] == 0
        for name in ("success_rate", "average_recovery_time_s", "mttd_s", "mttr_s"):
            assert document[name] is None
        assert document["recovery_success_rate"] == {"value": None, "target": 90.0, "n": 0}
        assert document["first_try_success"]["small"] == {"value": None, "target": 95.0, "n": 0}
        assert document["reasons"] == document["by_agent"] == {}
        assert "%" not in stats_text(document).replace("(target 95 %)", "").replace(
            "(target 80 %)", ""
        ).replace("(target 90 %)", "")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def tell(
    book: SqliteLedger, agent: str, *told: tuple[str, float, dict[str, Any]], incident: str | None = None
) -> None:
    happenings = tuple(Happening(kind, agent, T0 + at, incident, fields) for kind, at, fields in told)
    book.append([Row(agent, None, happenings)])


def test_the_document_of_a_fleet_that_had_two_incidents(book: SqliteLedger) -> None:
    start = {"attempt": 1, "pid": 1, "profile": "claude", "model": "sonnet"}
    tell(book, "a", ("agent_started", 0, start), ("task_opened", 0, {"task": "a-1", "text": "t"}))
    tell(
        book,
        "a",
        ("agent_incident", 100, {"symptom": "stalled", "cause": "stalled", "detail": "d"}),
        ("hhmrs_timeout", 100, {"since": T0 + 40, "reason": "d", "cause": "stalled", "symptom": "stalled"}),
        ("hhmrs_restart", 101, {"n": 1, "strategy": "restart", "cause": "stalled", "task": "a-1"}),
        ("agent_attempt_failed", 111, {"n": 1, "strategy": "restart", "why": "no\nprogress"}),
        (
            "hhmrs_reassign",
            112,
            {
                "n": 2,
                "strategy": "reassign",
                "cause": "stalled",
                "task": "a-1",
                "old_profile": "claude",
                "new_profile": "codex",
                "new_model": "o4",
            },
        ),
        ("hhmrs_recovered", 120, {"n": 2, "strategy": "reassign", "proof": "p"}),
        ("agent_incident_closed", 120, {"outcome": "recovered", "cause": "stalled"}),
        incident="a-i1",
    )
    tell(book, "a", ("task_done", 130, {"task": "a-1", "files": 7}))
    tell(
        book,
        "b",
        ("agent_incident", 10, {"symptom": "exited", "cause": "crash", "detail": "exit 1"}),
        ("hhmrs_failure", 11, {"reason": "spent", "cause": "crash"}),
        incident="b-i1",
    )
    document = stats_document(book.reader)
    assert json.loads(json.dumps(document)) == document
    assert (document["total_actions"], document["successful"], document["failed"]) == (2, 1, 1)
    assert document["success_rate"] == 50.0
    assert document["by_agent"] == {"a": {"total": 2, "successful": 1, "failed": 1, "success_rate": 50.0}}
    assert set(document["by_profile"]) == {"claude", "codex"}
    assert document["by_model"]["o4"]["successful"] == 1
    assert document["by_task"]["a-1"]["total"] == 2
    assert [(a["strategy"], a["outcome"], a["at"]) for a in document["recent_actions"]] == [
        ("reassign", "success", "2026-11-21T10:01:52.000Z"),
        ("restart", "failure", "2026-11-21T10:01:41.000Z"),
    ]
    assert document["recovery_success_rate"] == {"value": 50.0, "target": 90.0, "n": 2}
    assert document["first_try_success"]["large"] == {"value": 0.0, "target": 80.0, "n": 1}
    assert (document["total_tasks"], document["required_recovery"]) == (1, 1)
    assert document["reasons"]["crash"] == {"count": 1, "share": 50.0, "agents": ["b"]}
    assert (document["mttd_s"], document["mttr_s"], document["average_recovery_time_s"]) == (60.0, 20.0, 19.0)
    assert document["failed_after_recovery"] == 0, "nothing was tried for b"
    text = stats_text(document)
    assert "2 ended: 1 proved, 1 failed; 50 %" in text
    assert "no\\nprogress" in text, "a text of the outside keeps to its line"
