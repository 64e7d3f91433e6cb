"""The demo's judge: from events and workspaces to verdicts. Everything it is to notice, it must notice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hhmrs.controller.ports import Event
from hhmrs.controller.workspaces.marker import NAME as MARKER
from hhmrs.tui.demo.fleet import CAST, Part
from hhmrs.tui.demo.proof import Findings, judge, settled, unexpected
from hhmrs.tui.demo.scripted import JOURNAL

PARTS = {part.trouble: part for part in CAST}
SUBTASKS = 5


def at(second: float) -> str:
    return f"2026-11-21T10:00:{second:06.3f}Z"


def event(part: Part, second: float, kind: str, **data: Any) -> Event:
    return Event(int(second * 10), at(second), kind, part.id, part.parent, None, data)


def story(part: Part, strategy: str, **recovered: Any) -> list[Event]:
    proof = {"proof": "changed field_04.py", "cause": "stalled", "seconds": 2.0, **recovered}
    return [
        event(part, 4, "agent_incident", symptom="stalled", cause="stalled"),
        event(part, 5, "hhmrs_nudge" if strategy == "nudge" else "agent_started"),
        event(part, 9.05, "hhmrs_recovered", strategy=strategy, **proof),
        event(part, 12, "agent_done"),
    ]


def work(
    folder: Path, part: Part, *, switch: int = 3, attempts: tuple[int, int] = (1, 2), **first: Any
) -> None:
    """A journal of SUBTASKS entries, one a second from second 1 (with the trouble after `switch` of them)."""
    workspace = part.workspace(folder)
    workspace.mkdir(parents=True)
    lines = []
    for n in range(1, SUBTASKS + 1):
        later = n > switch
        entry: dict[str, Any] = {
            "subtask": f"{part.role}-{n:02d}",
            "attempt": attempts[later],
            "at": at(n + 5 * later),
            "result": "by size",
        }
        if n == 1:
            entry["resumed"] = []
        if n == switch + 1 and attempts[1] != attempts[0]:
            entry["resumed"] = [f"{part.role}-{m:02d}" for m in range(1, n)]
            entry.update(first)
        lines.append(json.dumps(entry))
    (workspace / JOURNAL).write_text("\n".join(lines) + "\n", encoding="utf-8")


def edit_journal(folder: Path, part: Part, change: Callable[[list[str]], list[str]]) -> None:
    path = part.workspace(folder) / JOURNAL
    path.write_text("\n".join(change(path.read_text(encoding="utf-8").splitlines())) + "\n", encoding="utf-8")


def findings(folder: Path) -> Findings:
    return Findings(folder, SUBTASKS, {PARTS["escalate"].title: 1}, frozenset())


@pytest.mark.parametrize(
    ("trouble", "strategy"),
    [("nudge", "nudge"), ("resume", "resume"), ("loop", "restart"), ("restart", "restart")],
)
def test_a_recovery_seen_from_both_sides_is_proved(tmp_path: Path, trouble: str, strategy: str) -> None:
    part = PARTS[trouble]
    work(tmp_path, part, attempts=(1, 1) if trouble == "nudge" else (1, 2))
    verdict = judge(part, story(part, strategy), findings(tmp_path))
    assert verdict.faults == ()
    assert (verdict.strategy, verdict.cause, verdict.proof) == (strategy, "stalled", "changed field_04.py")
    assert "5 subtasks, each once, 1 after the recovery" in verdict.outside


def test_another_strategy_than_expected_is_a_fault(tmp_path: Path) -> None:
    part = PARTS["resume"]
    work(tmp_path, part)
    verdict = judge(part, story(part, "reassign"), findings(tmp_path))
    assert verdict.faults == ("brought back by reassign, expected resume",)


def test_a_recovery_without_proof_is_a_fault(tmp_path: Path) -> None:
    part = PARTS["resume"]
    work(tmp_path, part)
    assert judge(part, story(part, "resume", proof=""), findings(tmp_path)).faults == (
        "the event names no proof",
    )


def test_no_recovery_is_a_fault(tmp_path: Path) -> None:
    part = PARTS["resume"]
    work(tmp_path, part)
    assert "it was never recovered" in judge(part, story(part, "resume")[:2], findings(tmp_path)).faults


def test_a_second_incident_is_a_fault(tmp_path: Path) -> None:
    part = PARTS["resume"]
    work(tmp_path, part)
    events = [*story(part, "resume"), event(part, 14, "agent_incident", symptom="stalled", cause="stalled")]
    assert judge(part, events, findings(tmp_path)).faults == ("2 incidents, expected 1",)


def test_work_done_twice_is_a_fault_whatever_the_events_say(tmp_path: Path) -> None:
    part = PARTS["resume"]
    work(tmp_path, part)
    edit_journal(tmp_path, part, lambda lines: [*lines, lines[1]])
    assert "done more than once: parser-02" in judge(part, story(part, "resume"), findings(tmp_path)).faults


def test_work_never_done_is_a_fault(tmp_path: Path) -> None:
    part = PARTS["resume"]
    work(tmp_path, part)
    edit_journal(tmp_path, part, lambda lines: lines[:-1])
    assert "never done: parser-05" in judge(part, story(part, "resume"), findings(tmp_path)).faults


def test_an_agent_called_recovered_that_did_nothing_since_is_a_fault(tmp_path: Path) -> None:
    part = PARTS["nudge"]
    work(tmp_path, part, attempts=(1, 1))
    late = [replace(e, at=at(59)) if e.type == "hhmrs_recovered" else e for e in story(part, "nudge")]
    assert judge(part, late, findings(tmp_path)).faults == ("the journal has no entry after the recovery",)


def test_late_news_of_what_was_done_before_the_act_is_no_proof(tmp_path: Path) -> None:
    part = PARTS["resume"]
    work(tmp_path, part)
    early = [replace(e, at=at(8.5)) if e.type == "hhmrs_recovered" else e for e in story(part, "resume")]
    assert judge(part, early, findings(tmp_path)).faults == (
        "called recovered 3.5 s after agent_started, but it had done nothing since",
    )


def test_a_resume_that_did_not_use_the_checkpoint_is_a_fault(tmp_path: Path) -> None:
    part = PARTS["resume"]
    work(tmp_path, part, resumed=["parser-01"])
    assert judge(part, story(part, "resume"), findings(tmp_path)).faults == (
        "the checkpoint held 1 of the 3 subtasks done before",
    )


def test_a_runaway_child_alive_at_the_new_start_or_later_is_a_fault(tmp_path: Path) -> None:
    part = PARTS["runaway"]
    work(tmp_path, part, runaway_alive=True)
    found = replace(findings(tmp_path), living=frozenset({part.id}))
    faults = judge(part, story(part, "resume"), found).faults
    assert faults == (
        "the new attempt began while the runaway child of the old one lived",
        "its runaway child still lives",
    )


def escalation(part: Part) -> list[Event]:
    return [
        event(part, 1, "agent_incident", symptom="exited", cause="crash"),
        event(part, 2, "hhmrs_restart", strategy="restart"),
        event(part, 3, "hhmrs_reassign", strategy="reassign"),
        event(part, 4, "hhmrs_failure", reason="every seat failed"),
    ]


def mark(folder: Path, part: Part) -> None:
    part.workspace(folder).mkdir(parents=True)
    (part.workspace(folder) / MARKER).write_text("{}\n", encoding="utf-8")


def test_an_escalation_needs_marker_failure_and_notification(tmp_path: Path) -> None:
    part = PARTS["escalate"]
    mark(tmp_path, part)
    verdict = judge(part, escalation(part), findings(tmp_path))
    assert verdict.faults == ()
    assert (verdict.strategy, verdict.seconds, verdict.proof) == ("escalate", 3.0, "every seat failed")
    bare = replace(findings(tmp_path), notified={part.title: 2})
    (part.workspace(tmp_path) / MARKER).unlink()
    faults = judge(part, [*escalation(part), event(part, 5, "hhmrs_failure")], bare).faults
    assert faults == (
        "2 hhmrs_failure events, expected 1",
        f"no {MARKER} in its workspace",
        "2 notifications arrived, expected 1",
    )


def test_giving_up_without_trying_is_a_fault(tmp_path: Path) -> None:
    part = PARTS["escalate"]
    mark(tmp_path, part)
    events = [e for e in escalation(part) if e.type in ("agent_incident", "hhmrs_failure")]
    assert judge(part, events, findings(tmp_path)).faults == ("tried only nothing before it gave up",)


def test_without_apprise_the_notification_is_named_as_not_checked(tmp_path: Path) -> None:
    part = PARTS["escalate"]
    mark(tmp_path, part)
    verdict = judge(part, escalation(part), replace(findings(tmp_path), notified=None))
    assert verdict.ok
    assert "not checked" in verdict.outside


def quiet(part: Part, phase: str) -> list[Event]:
    return [event(part, 3, "agent_phase", **{"from": "working", "to": phase}), event(part, 9, "agent_done")]


@pytest.mark.parametrize(
    ("trouble", "phase"), [("none", "working"), ("limit", "limited"), ("ask", "waiting")]
)
def test_an_agent_that_is_left_alone_is_proved(tmp_path: Path, trouble: str, phase: str) -> None:
    part = PARTS[trouble]
    work(tmp_path, part, attempts=(1, 1))
    assert judge(part, quiet(part, phase), findings(tmp_path)).faults == ()


@pytest.mark.parametrize("kind", ["hhmrs_nudge", "hhmrs_timeout", "agent_incident"])
def test_a_limited_agent_that_is_not_left_alone_is_a_fault(tmp_path: Path, kind: str) -> None:
    part = PARTS["limit"]
    work(tmp_path, part, attempts=(1, 1))
    events = [*quiet(part, "limited"), event(part, 5, kind)]
    assert judge(part, events, findings(tmp_path)).faults == (f"it was not left alone: {kind}",)


def test_a_limited_agent_that_was_started_again_is_a_fault_even_without_an_event(tmp_path: Path) -> None:
    part = PARTS["limit"]
    work(tmp_path, part)
    assert judge(part, quiet(part, "limited"), findings(tmp_path)).faults == ("it was started again",)


def test_a_limit_that_nobody_saw_is_a_fault(tmp_path: Path) -> None:
    part = PARTS["limit"]
    work(tmp_path, part, attempts=(1, 1))
    assert judge(part, quiet(part, "idle"), findings(tmp_path)).faults == ("it never was limited",)


def test_settled_means_nothing_more_is_to_come(tmp_path: Path) -> None:
    part = PARTS["resume"]
    events = story(part, "resume")
    assert not settled(part, events[:3], tmp_path, {})
    assert settled(part, events, tmp_path, {})
    failing = PARTS["escalate"]
    mark(tmp_path, failing)
    assert not settled(failing, escalation(failing), tmp_path, {})
    assert settled(failing, escalation(failing), tmp_path, {failing.title: 1})
    assert settled(failing, escalation(failing), tmp_path, None)


def test_what_a_fleet_like_this_must_never_see() -> None:
    stranger = Event(1, at(1), "agent_started", "stranger", None, None, {})
    cascade = Event(2, at(2), "hhmrs_cascade", None, None, None, {"reason": "too many"})
    assert unexpected([event(PARTS["none"], 1, "agent_started"), stranger, cascade]) == [
        "agent_started of stranger",
        "hhmrs_cascade of the fleet too many",
    ]
