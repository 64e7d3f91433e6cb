"""What of each look the engine is told: changes at once, the rest seldom, nothing that grew is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest

from hhmrs.controller.processes.measuring import Measure
from hhmrs.controller.processes.telling import (
    AT_REST,
    BUSY_RATE,
    CALM_SHARE,
    EVERY,
    QUIET_EVERY,
    SHARE,
    Teller,
    few_at_work,
    pace,
)
from hhmrs.healing.evidence import ProcessMeasured

QUIET = Measure(False, (), False, 0.0, 10.0, 3, window=2.0)
GREW = replace(QUIET, cpu_grew=True, cpu_pct=5.0)
WORKED = replace(GREW, busy_children=(7.0,), busy_kinds=(5,))


def look(teller: Teller, now: float, measures: Mapping[str, Measure]) -> dict[str, ProcessMeasured]:
    return {told.agent: told for told in teller.choose(measures, now, 60.0, EVERY)}


def test_a_quiet_tree_is_told_of_once_and_then_seldom() -> None:
    teller = Teller()
    told = [now for now in range(0, 122, 2) if look(teller, now, {"a": QUIET})]
    assert told[0] == 0
    assert len(told) <= 1 + 122 / (QUIET_EVERY - EVERY)
    assert all(later - earlier <= QUIET_EVERY for earlier, later in pairwise(told))


@pytest.mark.parametrize("change", [{"stopped": True}, {"stopped_child": "sleep (pid 5)"}, {"cpu_grew": True},
                                    {"busy_children": (1.0,)}])  # fmt: skip
def test_a_change_is_told_at_once_both_ways(change: dict[str, object]) -> None:
    teller = Teller()
    look(teller, 0.0, {"a": QUIET})
    changed = replace(QUIET, **change)  # type: ignore[arg-type] # the names are right above
    assert look(teller, 2.0, {"a": changed})["a"].stopped is changed.stopped
    after = 4.0 + (AT_REST if "stopped" not in str(change) else 0.0)
    assert look(teller, after, {"a": QUIET})["a"].stopped is False
    assert not look(teller, after + 2.0, {"a": QUIET})


def test_growth_counts_from_the_look_before_it() -> None:
    teller = Teller()
    look(teller, 0.0, {"a": QUIET})
    told = look(teller, 2.0, {"a": WORKED})["a"]
    assert (told.cpu_grew, told.busy_children, told.at, told.looked_before) == (True, (7.0,), 2.0, 0.0)
    assert told.busy_kinds == (5,)


def test_many_busy_trees_are_told_of_at_a_bounded_rate_and_lose_nothing() -> None:
    teller, agents = Teller(), [f"agent-{n}" for n in range(1000)]
    told: dict[str, list[ProcessMeasured]] = {agent: [] for agent in agents}
    period, looks = 8.0, 40
    for number in range(looks):
        busy = dict.fromkeys(agents, GREW)
        for one in teller.choose(busy, number * period, 60.0, period):
            told[one.agent].append(one)
    count = sum(map(len, told.values()))
    assert count <= 1000 + 1.7 * BUSY_RATE * period * looks
    for all_told in told.values():
        gaps = [b.at - a.at for a, b in pairwise(all_told)]
        assert max(gaps) <= 60.0 / 4 + period, "never so seldom that a busy agent would seem silent"
        assert all(one.cpu_grew for one in all_told)


def test_what_is_held_back_is_told_later_with_its_own_time() -> None:
    teller = Teller()
    others = {f"agent-{n}": GREW for n in range(400)}  # so many that telling again is held back for 10 s
    look(teller, 0.0, {"a": QUIET, **others})
    assert "a" in look(teller, 2.0, {"a": GREW, **others})
    assert "a" not in look(teller, 4.0, {"a": WORKED, **others})
    assert "a" not in look(teller, 6.0, {"a": GREW, **others})
    told = look(teller, 14.0, {"a": QUIET, **others})["a"]
    assert told.busy_children == (7.0,)
    assert told.looked_before == 2.0, "the children's work is not claimed for a later time"


def test_a_thousand_that_started_together_are_not_told_of_together() -> None:
    teller = Teller()
    agents = dict.fromkeys((f"agent-{n}" for n in range(1000)), QUIET)
    period = 8.0
    counts = [len(teller.choose(agents, n * period, 60.0, period)) for n in range(20)]
    assert counts[0] == 1000
    assert max(counts[1:]) <= 10 + 1000 * period / QUIET_EVERY


def test_another_process_is_told_of_at_once() -> None:
    teller = Teller()
    look(teller, 0.0, {"a": QUIET})
    assert not look(teller, 2.0, {"a": QUIET})
    teller.forget("a")
    assert look(teller, 4.0, {"a": QUIET})
    assert not look(teller, 6.0, {})
    assert look(teller, 8.0, {"a": QUIET}), "one that was away is new"


@pytest.mark.parametrize(("cost", "beat", "silence", "expected"), [
    (0.001, 30.0, 60.0, EVERY),
    (0.050, 30.0, 60.0, 0.050 / SHARE),
    (5.000, 30.0, 60.0, 15.0),
    (0.001, 1.0, 2.0, 0.3),
    (0.050, 1.0, 2.0, 0.5),
])  # fmt: skip
def test_the_pace_follows_the_cost_within_bounds(
    cost: float, beat: float, silence: float, expected: float
) -> None:
    assert pace(cost, beat, silence) == pytest.approx(expected)


def test_while_next_to_nothing_goes_on_looks_are_rarer_still_within_the_same_bound() -> None:
    assert pace(0.020, 30.0, 60.0, calm=True) == pytest.approx(0.020 / CALM_SHARE)
    assert pace(5.000, 30.0, 60.0, calm=True) == pace(5.000, 30.0, 60.0)
    assert few_at_work({f"agent-{n}": QUIET for n in range(10)} | {"a": WORKED})
    assert not few_at_work({"a": WORKED, "b": QUIET})
