"""`mode: observe`: what is foreseen is what an armed fleet does when nothing helps; it is counted apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, Backoff
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.controller.reports.stats import stats_document, stats_text
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Happening
from hhmrs.healing.decide import decide, due
from hhmrs.healing.evolve import evolve
from hhmrs.healing.transitions import first_state

MakeSpec = Callable[..., AgentSpec]
T0 = 1_795_255_200.0
TRIED = ("hhmrs_nudge", "hhmrs_resume", "hhmrs_restart", "hhmrs_reassign")


def silence(spec: AgentSpec, seconds: float) -> list[Happening]:
    """What is told of an agent that starts, shows a sign of life and is silent for ever; every act succeeds
    at once and helps nothing."""
    now, told = T0, list[Happening]()
    state: AgentState = first_state(spec, now).state

    def take(change: Any) -> None:
        nonlocal state
        state = change.state
        told.extend(change.happenings)
        for action in change.actions:
            if isinstance(action, a.StartAttempt):
                take(evolve(state, e.ProcessStarted(spec.id, now, action.attempt, 9, 1.0, "%1"), spec))
            else:
                take(evolve(state, e.StepFinished(spec.id, now, action.key, True), spec))

    while (at := due(state, spec)) is not None and at <= T0 + seconds:
        now = max(now, at)
        take(decide(state, spec, now))
        if state.attempt == 1 and state.trace.beat is None:
            take(evolve(state, e.BeatReceived(spec.id, now, "executing"), spec))
    return told


@pytest.mark.parametrize("alternates", [0, 1, 2])
@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_the_ladder_on_paper_is_the_one_that_is_climbed(
    make_spec: MakeSpec, alternates: int, factor: float
) -> None:
    kind: dict[str, Any] = {
        "alternates": alternates, "reassign_timeout_factor": factor, "task_deadline": 1e6,
        "backoff": Backoff(initial=2.0, factor=3.0, max=9.0, jitter=0.5),
    }  # fmt: skip
    observed = silence(make_spec(mode="observe", **kind), 5000)
    assert not [h for h in observed if h.type in TRIED]
    notes = [h for h in observed if h.type == "agent_observed"]
    assert len(notes) == 1
    armed = silence(make_spec(**kind), 5000)
    opened = next(h.at for h in armed if h.type == "agent_incident")
    done = [(h.type.removeprefix("hhmrs_"), h.at - opened) for h in armed if h.type in TRIED]
    done += [("escalate", h.at - opened) for h in armed if h.type == "hhmrs_failure"]
    ladder: Any = notes[0].fields["ladder"]
    assert [name for name, _, _ in ladder] == [name for name, _ in done]
    kill = 5.0  # an end that takes its whole grace is foreseen; this world's takes no time
    for number, ((_, _, after), (_, at)) in enumerate(zip(ladder, done, strict=True)):
        assert after == pytest.approx(at + kill * max(0, number - 1), abs=0.01)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def test_what_was_only_observed_is_in_no_other_figure(book: SqliteLedger) -> None:
    def tell(at: float, type: str, incident: str, **fields: Any) -> None:
        book.append([Row("a", None, (Happening(type, "a", T0 + at, incident, fields),))])

    ladder = [["nudge", 1, 0.0], ["resume", 1, 30.0], ["restart", 1, 66.0], ["escalate", 3, 101.0]]
    for number, (at, lasts) in enumerate([(0, 40.0), (200, 150.0), (500, None)]):
        name = f"a-i{number}"
        tell(at, "agent_incident", name, symptom="stalled", cause="stalled", detail="d")
        tell(at, "hhmrs_timeout", name, symptom="stalled", cause="stalled", reason="d", since=T0 + at - 60)
        tell(at, "agent_observed", name, strategy="nudge", level=1, reason="d", ladder=ladder)
        if lasts is not None:
            tell(at + lasts, "agent_incident_closed", name, outcome="self" if number == 0 else "cleared")
    document = stats_document(book.reader)
    would = document["would_have"]
    assert (would["incidents"], would["came_back"], would["open"]) == (3, 1, 1)
    assert would["by_strategy"] == {"nudge": 3, "restart": 1, "resume": 2}
    assert (would["actions"], would["needless"], would["escalations"]) == (6, 2, 1)
    assert would["by_agent"] == {"a": 6}
    assert would["reasons"]["stalled"]["count"] == 3
    assert would["mttd_s"] == 60.0
    for name in (
        "actions_sent",
        "recoveries_proved",
        "total_actions",
        "false_alarms",
        "failed_after_recovery",
    ):
        assert document[name] == 0, name
    assert (document["reasons"], document["mttd_s"], document["breakdown"]["agent"]) == ({}, None, {})
    text = stats_text(document)
    assert "3: 1 came back by themselves, 1 open" in text
    assert "6 actions (3 nudge, 1 restart, 2 resume), 2 of them needless; 1 calls for a person" in text


def test_an_incident_that_was_acted_on_in_the_end_is_a_real_one(book: SqliteLedger) -> None:
    told = (
        Happening("agent_incident", "a", T0, "a-i1", {"symptom": "exited", "cause": "crash"}),
        Happening("agent_observed", "a", T0, "a-i1", {"strategy": "resume", "level": 1}),
        Happening("hhmrs_resume", "a", T0 + 9, "a-i1", {"n": 1, "strategy": "resume"}),
        Happening("hhmrs_recovered", "a", T0 + 12, "a-i1", {"n": 1, "proof": "p"}),
        Happening("agent_incident_closed", "a", T0 + 12, "a-i1", {"outcome": "recovered"}),
    )
    book.append([Row("a", None, told)])
    document = stats_document(book.reader)
    assert (document["actions_sent"], document["recoveries_proved"]) == (1, 1)
    assert document["would_have"]["incidents"] == 0
