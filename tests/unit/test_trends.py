"""Figures over time: nothing is counted twice or lost, and the whole is the sum of its slices."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hhmrs.healing import metrics
from hhmrs.healing.metrics import ActionRecord, IncidentRecord
from hhmrs.healing.trends import MOST, ending, most_troubled, over_time

EDGES = [0.0, 100.0, 200.0, 300.0]


def incident(agent: str = "a", opened: float = 0.0, **more: object) -> IncidentRecord:
    fields = {"symptom": "stalled", "cause": "crash", **more}
    return IncidentRecord(f"{agent}-{opened}", agent, opened=opened, **fields)  # type: ignore[arg-type]  # fields of a test's own


def test_each_ending_has_its_word() -> None:
    assert ending(incident()) == "open"
    assert ending(incident(closed=5.0, outcome="recovered", recovered=5.0)) == "recovered"
    assert ending(incident(closed=5.0, outcome="self")) == "by_itself"
    assert ending(incident(closed=5.0, outcome="cleared")) == "cleared"
    assert ending(incident(closed=5.0, outcome="cleared", escalated=3.0)) == "given_up"
    assert ending(incident(escalated=3.0)) == "given_up", "open and given up is given up"


def test_an_edge_belongs_to_the_slice_it_begins() -> None:
    slices = over_time([], [incident(opened=at) for at in (-1.0, 0.0, 99.9, 100.0, 299.9, 300.0)], EDGES)
    assert [one.incidents for one in slices] == [2, 1, 1]
    assert [(one.since, one.until) for one in slices] == [(0.0, 100.0), (100.0, 200.0), (200.0, 300.0)]


def test_orders_are_nobody_s_failure_but_their_actions_are_actions() -> None:
    ordered = incident(opened=50.0, symptom="ordered", recovered=60.0, closed=60.0, outcome="recovered")
    first, *_ = over_time([ActionRecord("a", "restart", 50.0, "success")], [ordered], EDGES)
    assert (first.incidents, first.mttr_s, first.repairs) == (0, None, 0)
    assert (first.actions, first.proved) == (1, 1)


def test_the_most_troubled_come_first_and_open_trouble_lasts_until_now() -> None:
    incidents = [
        incident("once", 10.0, closed=20.0, outcome="recovered", recovered=20.0),
        incident("twice", 10.0, closed=11.0, outcome="self"),
        incident("twice", 30.0),
        incident("ordered", 30.0, symptom="ordered"),
    ]
    acts = [ActionRecord("twice", "nudge", 31.0, "pending")]
    first, second = most_troubled(acts, incidents, now=130.0)
    assert (first.agent, first.incidents, first.actions, first.seconds) == ("twice", 2, 1, 101.0)
    assert (second.agent, second.recovered, second.seconds) == ("once", 1, 10.0)
    many = [incident(f"a{number}", 1.0) for number in range(MOST + 5)]
    assert len(most_troubled([], many, 2.0)) == MOST


times = st.floats(0.0, 299.0)
endings = st.sampled_from([None, "recovered", "self", "cleared"])


@given(st.lists(st.tuples(times, endings, st.booleans(), st.booleans()), max_size=40))
def test_the_slices_add_up_to_the_figures_of_the_whole(
    drawn: list[tuple[float, str | None, bool, bool]],
) -> None:
    incidents = [
        incident(
            opened=at, outcome=outcome, closed=at + 5.0 if outcome else None, attempts=0,
            recovered=at + 5.0 if outcome == "recovered" else None, escalated=at + 1.0 if lost else None,
            symptom="ordered" if ordered else "stalled",
        )
        for at, outcome, lost, ordered in drawn
    ]  # fmt: skip
    slices = over_time([], incidents, EDGES)
    assert sum(one.incidents for one in slices) == sum(r.count for r in metrics.reasons(incidents).values())
    for one in slices:
        kinds = (one.recovered, one.by_itself, one.given_up, one.cleared, one.open)
        assert sum(kinds) == one.incidents
    judged = metrics.recovery_rate(incidents)
    won = sum(one.recovered for one in slices)
    assert judged.n == won + sum(one.given_up for one in slices)
    assert judged.value == metrics.share(won, judged.n)
