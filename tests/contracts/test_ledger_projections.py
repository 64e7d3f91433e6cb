"""The tables beside the event log: what each event does to them, and that the log alone makes them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hhmrs.controller.ledger.errors import LedgerError
from hhmrs.controller.ledger.schema import PROJECTIONS
from hhmrs.controller.ledger.writer import LedgerReader, SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.tests.contracts.rows import PARENTS, T0, happened, row


def story() -> list[Row]:
    """Two incidents, both with a task: one healed by the third attempt, one lost for good; then a cascade."""
    cascade = happened("hhmrs_cascade", 220, agent="", cause="api_error", agents=["code", "prog"])
    return [*healed(), *lost(), row(cascade, agent="")]


def healed() -> list[Row]:
    first, cause, task = "code-i1", "stalled", "code-1"
    failed: dict[str, Any] = {"incident": first, "why": "no progress"}
    tried: dict[str, Any] = {"incident": first, "cause": cause, "task": task}
    seats: dict[str, Any] = {
        "old_profile": "claude",
        "old_model": "sonnet",
        "new_profile": "claude",
        "new_model": "opus",
    }
    counts: dict[str, Any] = {"restart_count": 0, "failure_count": 0, "parent": "arch", "grandparent": None}
    return [
        row(
            happened("task_opened", 0, task="code-1", text="build it"),
            happened("agent_started", 1, attempt=1, pid=10, profile="claude", model="sonnet"),
        ),
        row(
            happened("agent_incident", 100, incident=first, symptom=cause, cause=cause, detail="silent 60 s"),
            happened(
                "hhmrs_timeout", 100, reason="silent 60 s", symptom=cause, since=T0 + 40, **tried, **counts
            ),
        ),
        row(happened("hhmrs_nudge", 101, n=1, strategy="nudge", **tried)),
        row(happened("agent_attempt_failed", 131, n=1, strategy="nudge", **failed)),
        row(happened("hhmrs_restart", 132, n=2, strategy="restart", **tried)),
        row(happened("agent_attempt_failed", 162, n=2, strategy="restart", **failed)),
        row(happened("hhmrs_escalation", 163, incident=first, level_from=1, level_to=2, failure_count=0)),
        row(
            happened("hhmrs_reassign", 164, n=3, strategy="reassign", **tried, **seats),
            happened("agent_started", 165, attempt=3, pid=12, profile="claude", model="opus"),
        ),
        row(
            happened("hhmrs_recovered", 170, incident=first, n=3, strategy="reassign", proof="changed a.py"),
            happened("agent_incident_closed", 170, incident=first, outcome="recovered", cause="stalled"),
        ),
        row(
            happened("checkpoint_stored", 171, seq=1, by="agent", files=3),
            happened("task_done", 180, task="code-1", why="", seconds=180.0),
        ),
    ]


def lost() -> list[Row]:
    its: dict[str, Any] = {"agent": "prog", "incident": "prog-i1"}
    return [
        row(happened("task_opened", 200, agent="prog", task="prog-1", text="test it"), agent="prog"),
        row(
            happened("agent_incident", 210, symptom="exited", cause="unknown", detail="x", **its),
            happened("agent_attempt_failed", 211, n=1, strategy="restart", why="undead", **its),
            happened("hhmrs_failure", 212, reason="would not die", cause="crash", **its),
            happened("task_failed", 212, task="prog-1", why="would not die", **its),
            agent="prog",
        ),
    ]


def test_retry_history_goes_from_pending_to_what_was_proved(
    ledger: SqliteLedger, reader: LedgerReader
) -> None:
    outcomes = []
    for one in story()[:9]:
        ledger.append([one])
        outcomes.append([(r["retry_type"], r["outcome"]) for r in reader.rows("retry_history")])
    assert outcomes[1] == [("child_timeout", "pending")]
    assert outcomes[2][-1] == ("child_nudge", "pending")
    assert outcomes[3] == [("child_timeout", "pending"), ("child_nudge", "failure")]
    assert outcomes[7][-1] == ("llm_change", "pending")
    assert outcomes[8] == [
        ("child_timeout", "success"),
        ("child_nudge", "failure"),
        ("child_restart", "failure"),
        ("llm_change", "success"),
    ]
    rows = reader.rows("retry_history")
    assert list(rows[0]) == [
        "id",
        "run_id",
        "task_id",
        "agent_id",
        "parent_agent_id",
        "retry_type",
        "retry_count",
        "reason",
        "old_config",
        "new_config",
        "timestamp",
        "outcome",
    ]
    assert {(r["run_id"], r["task_id"], r["agent_id"], r["parent_agent_id"]) for r in rows} == {
        ("run-1", "code-1", "code", "arch")
    }
    assert rows[-1]["old_config"] == '{"profile": "claude", "model": "sonnet"}'
    assert rows[-1]["new_config"] == '{"profile": "claude", "model": "opus"}'


@pytest.mark.parametrize(
    ("new_profile", "new_model", "kind"),
    [("codex", "x", "agent_change"), ("claude", "y", "llm_change"), ("claude", None, "llm_change"),
     ("claude", "x", "agent_change")],
)  # fmt: skip
def test_only_another_model_is_an_llm_change(
    ledger: SqliteLedger, reader: LedgerReader, new_profile: str, new_model: str | None, kind: str
) -> None:
    change: dict[str, Any] = {
        "old_profile": "claude",
        "old_model": "x",
        "new_profile": new_profile,
        "new_model": new_model,
    }
    ledger.append([row(happened("hhmrs_reassign", incident="code-i1", n=1, **change))])
    assert [r["retry_type"] for r in reader.rows("retry_history")] == [kind]


@pytest.mark.parametrize(
    ("end", "outcome"), [("hhmrs_recovered", "success"), ("agent_attempt_failed", "failure")]
)
def test_raised_timeouts_stand_beside_the_reassign_and_end_with_it(
    ledger: SqliteLedger, reader: LedgerReader, end: str, outcome: str
) -> None:
    times: dict[str, Any] = {"old": {"silence": 60.0}, "new": {"silence": 120.0}, "reason": "longer"}
    change = {"old_profile": "claude", "new_profile": "codex"}
    ledger.append([
        row(
            happened("hhmrs_reassign", 1, incident="code-i1", n=1, strategy="reassign", **change),
            happened("agent_timeouts_raised", 1, incident="code-i1", n=1, task="code-1", **times),
        )
    ])  # fmt: skip
    raised = reader.rows("retry_history")[1]
    assert (raised["retry_type"], raised["outcome"], raised["task_id"]) == (
        "timeout_increase", "pending", "code-1",
    )  # fmt: skip
    assert (raised["old_config"], raised["new_config"]) == ('{"silence": 60.0}', '{"silence": 120.0}')
    ledger.append([row(happened(end, 2, incident="code-i1", n=1, strategy="reassign", proof="p", why="w"))])
    assert [r["outcome"] for r in reader.rows("retry_history")] == [outcome, outcome]


def test_an_attempt_cut_off_by_a_crash_never_stays_pending(
    ledger: SqliteLedger, reader: LedgerReader
) -> None:
    ledger.append([row(happened("hhmrs_restart", 1, incident="code-i1", n=1, strategy="restart"))])
    ledger.append([row(happened("hhmrs_restart", 2, incident="code-i1", n=2, strategy="restart"))])
    assert [r["outcome"] for r in reader.rows("retry_history")] == ["failure", "pending"]


def test_the_story_of_incidents_and_tasks(ledger: SqliteLedger, reader: LedgerReader) -> None:
    ledger.append(story())
    lost, healed = reader.incidents()
    assert (healed["outcome"], healed["level"], healed["detected_after_s"]) == ("recovered", 2, 60.0)
    assert [(a["n"], a["strategy"], a["outcome"], a["why"]) for a in healed["attempts"]] == [
        (1, "nudge", "failure", "no progress"),
        (2, "restart", "failure", "no progress"),
        (3, "reassign", "success", "changed a.py"),
    ]
    assert (lost["closed"], lost["outcome"], lost["level"], lost["cause"]) == (None, None, 3, "crash")
    assert lost["escalated"] == "2026-11-21T10:03:32.000Z"
    assert [(a["strategy"], a["outcome"], a["why"]) for a in lost["attempts"]] == [
        ("restart", "failure", "undead")
    ]
    assert [(t["id"], t["state"], t["files"]) for t in reader.rows("tasks")] == [
        ("code-1", "done", 3),
        ("prog-1", "failed", None),
    ]
    cascade = reader.cascade()
    assert cascade is not None
    assert cascade["agents"] == ["code", "prog"]
    ledger.append(
        [
            row(
                happened("agent_incident_closed", 300, agent="prog", incident="prog-i1", outcome="cleared"),
                agent="prog",
            ),
            row(happened("hhmrs_cascade", 301, agent="", over=True), agent=""),
        ]
    )
    assert reader.cascade() is None
    assert [i["outcome"] for i in reader.incidents()] == ["cleared", "recovered"]
    assert reader.rows("tasks")[1]["state"] == "open"


def test_a_rebuild_gives_the_same_projections(ledger: SqliteLedger, reader: LedgerReader) -> None:
    ledger.append(story())
    before = {table: reader.rows(table) for table in PROJECTIONS}
    assert all(before.values())
    # The tables are emptied behind its back, so that what comes back can only come from the events.
    statements = [f"DELETE FROM {table}" for table in PROJECTIONS]  # noqa: S608 - our own constants
    ledger._writer.submit(lambda conn: [conn.execute(one) for one in statements]).result()
    assert reader.rows("incidents") == []
    ledger.rebuild()
    assert {table: reader.rows(table) for table in PROJECTIONS} == before


def test_failure_metrics_of_the_day(ledger: SqliteLedger, reader: LedgerReader, tmp_path: Path) -> None:
    ledger.claim("nightly", tmp_path / "hhmrs.yaml")
    ledger.append(story())
    ledger.refresh_metrics(T0 + 3600)
    ledger.refresh_metrics(T0 + 7200)
    rows = {(r["metric_type"], r["metric_key"]): r for r in reader.rows("failure_metrics")}
    assert list(rows["agent", "code"]) == [
        "id",
        "metric_type",
        "metric_key",
        "total_count",
        "failure_count",
        "restart_count",
        "escalation_count",
        "avg_completion_time_sec",
        "avg_retries_per_task",
        "health_score",
        "period_start",
        "period_end",
        "created_at",
        "updated_at",
    ]
    assert set(rows) == {
        ("agent", "code"),
        ("agent", "prog"),
        ("llm", "claude:sonnet"),
        ("llm", "claude:opus"),
        ("task", "code-1"),
        ("task", "prog-1"),
        ("prime_directive", "arch"),
        ("project", "nightly"),
    }
    code = rows["agent", "code"]
    assert (code["total_count"], code["failure_count"], code["restart_count"], code["escalation_count"]) == (
        2,
        1,
        2,
        1,
    )
    assert (code["avg_completion_time_sec"], code["avg_retries_per_task"], code["health_score"]) == (
        180.0,
        2.0,
        50.0,
    )
    project = rows["project", "nightly"]
    assert (project["total_count"], project["failure_count"], project["health_score"]) == (2, 1, 50.0)
    assert (project["period_start"], project["period_end"]) == (
        "2026-11-21T00:00:00.000Z",
        "2026-11-22T00:00:00.000Z",
    )
    assert (project["created_at"], project["updated_at"]) == (
        "2026-11-21T11:00:00.000Z",
        "2026-11-21T12:00:00.000Z",
    )
    assert rows["llm", "claude:opus"]["failure_count"] == 0


def test_failure_metrics_grow_by_what_came_since(
    ledger: SqliteLedger, reader: LedgerReader, tmp_path: Path
) -> None:
    def metrics() -> dict[tuple[str, str], dict[str, Any]]:
        rows = reader.rows("failure_metrics")
        return {(r["metric_type"], r["metric_key"]): {k: v for k, v in r.items() if k != "id"} for r in rows}

    ledger.claim("nightly", tmp_path / "hhmrs.yaml")
    rows = story()
    for number in range(0, len(rows), 3):
        ledger.append(rows[number : number + 3])
        ledger.refresh_metrics(T0 + 3600)
    grown = metrics()
    whole = SqliteLedger(tmp_path / "whole.db", parents=PARENTS)
    try:
        whole.claim("nightly", tmp_path / "hhmrs.yaml")
        whole.append(rows)
        whole.refresh_metrics(T0 + 3600)
        reader = whole.reader
        assert grown == metrics()
    finally:
        whole.close()
    assert len(grown) == 8


def test_failure_metrics_that_could_not_be_written_are_counted_again(
    ledger: SqliteLedger, reader: LedgerReader, tmp_path: Path
) -> None:
    ledger.claim("nightly", tmp_path / "hhmrs.yaml")
    ledger.append(story())
    ledger._writer.submit(lambda conn: conn.execute("ALTER TABLE failure_metrics RENAME TO away")).result()
    with pytest.raises(LedgerError):
        ledger.refresh_metrics(T0 + 3600)
    ledger._writer.submit(lambda conn: conn.execute("ALTER TABLE away RENAME TO failure_metrics")).result()
    ledger.refresh_metrics(T0 + 3600)
    assert len(reader.rows("failure_metrics")) == 8
