"""A child's work is progress for `tool_timeout`; a chain of equal ones no longer than that in all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hhmrs.config.fleet import AgentSpec
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState
from hhmrs.healing.chores import KEPT
from hhmrs.healing.codec import dump_state, load_state
from hhmrs.healing.decide import decide, due
from hhmrs.healing.evolve import evolve
from hhmrs.healing.explain import explain
from hhmrs.healing.transitions import first_state

MakeSpec = Callable[..., AgentSpec]
T0 = 1000.0
POLL, TEST = 7, 8


class Desk:
    """One agent whose shell keeps starting children; each look finds some at work."""

    def __init__(self, spec: AgentSpec) -> None:
        self.spec, self.now = spec, T0
        self.s: AgentState = first_state(spec, T0).state
        self.tell(e.ProcessStarted("a1", T0, 1, 100, 1.0, "%1"))

    def tell(self, evidence: e.Evidence) -> None:
        self.s = evolve(self.s, evidence, self.spec).state

    def work(self, *children: tuple[float, int], seconds: float, step: float = 10.0) -> None:
        """For so long each look finds these at work: (age, kind), always the same age, so always new ones."""
        until = self.now + seconds
        while self.now < until:
            self.now += step
            ages, kinds = tuple(age for age, _ in children), tuple(kind for _, kind in children)
            self.tell(e.ProcessMeasured("a1", self.now, True, ages, False, 9.0, 1.0, 2, self.now - step,
                                        busy_kinds=kinds))  # fmt: skip
            if (at := due(self.s, self.spec)) is not None and at <= self.now:
                self.s = decide(self.s, self.spec, self.now).state

    def pause(self) -> float:
        return self.now - self.s.last_progress

    def symptom(self) -> str | None:
        return self.s.incident.symptom if self.s.incident else None

    def lines(self) -> str:
        return "\n".join(explain(self.s, self.spec, self.now).lines())


@pytest.fixture
def desk(make_spec: MakeSpec) -> Desk:
    return Desk(make_spec(progress_timeout=600.0, tool_timeout=1200.0))


def test_a_chain_of_equal_children_is_progress_for_tool_timeout_in_all(desk: Desk) -> None:
    desk.work((2.0, POLL), seconds=1190)
    assert desk.pause() <= 20
    assert "progress no more" not in desk.lines()
    desk.work((2.0, POLL), seconds=500)
    assert 490 <= desk.pause() <= 520
    assert desk.symptom() is None
    assert "the first of that command line began" in desk.lines()
    desk.work((2.0, POLL), seconds=200)
    assert desk.symptom() == "looping"


def test_different_children_have_their_time_each(desk: Desk) -> None:
    for kind in range(3 * KEPT):
        desk.work((100.0, kind), seconds=300)
        assert desk.pause() <= 20
    assert len(desk.s.chores) == KEPT


def test_an_equal_child_among_ever_new_ones_is_not_forgotten(desk: Desk) -> None:
    for kind in range(100, 100 + 3 * KEPT):
        desk.work((1.0, kind), (2.0, POLL), seconds=30)
    assert desk.s.chores[-1].kind == POLL
    desk.work((2.0, POLL), seconds=300)
    assert desk.pause() >= 290, "its own time was over; what was new got its own"


def test_something_else_that_moves_gives_the_chain_its_time_again(desk: Desk) -> None:
    desk.work((2.0, POLL), seconds=1500)
    assert desk.pause() >= 280
    desk.tell(e.FileChanged("a1", desk.now, "x"))
    desk.work((2.0, POLL), seconds=1100)
    assert desk.pause() <= 20
    desk.work((2.0, POLL), seconds=400)
    assert desk.pause() >= 190


def test_another_childs_work_or_new_words_give_it_no_time(desk: Desk) -> None:
    desk.work((2.0, POLL), seconds=1000)
    desk.work((2.0, TEST), seconds=100)
    desk.tell(e.OutputSeen("a1", desk.now, ("a line that never was",)))
    desk.work((2.0, POLL), seconds=300)
    assert desk.pause() >= 190


def test_what_serves_for_hours_takes_no_time_from_a_new_child_like_it(make_spec: MakeSpec) -> None:
    desk = Desk(make_spec(progress_timeout=4000.0, tool_timeout=1200.0))
    desk.work((5000.0, POLL), seconds=1300)
    assert desk.pause() >= 1290
    desk.work((5000.0, POLL), (2.0, POLL), seconds=300)
    assert desk.pause() <= 20


def test_time_before_something_else_moved_is_not_held_against_the_chain(desk: Desk) -> None:
    desk.tell(e.FileChanged("a1", desk.now, "x"))
    desk.work((600.0, POLL), seconds=10)
    desk.work((2.0, POLL), seconds=1150)
    assert desk.pause() <= 20


def test_children_of_which_no_kind_is_told_count_each(desk: Desk) -> None:
    for _ in range(300):
        desk.now += 10
        desk.tell(e.ProcessMeasured("a1", desk.now, True, (2.0,), False, 9.0, 1.0, 2))
    assert desk.pause() == 0
    assert desk.s.chores == ()


def test_it_begins_anew_with_a_new_attempt_and_outlives_the_daemon(desk: Desk) -> None:
    desk.work((2.0, POLL), seconds=1500)
    assert desk.s.overlong > 0
    assert load_state(dump_state(desk.s)) == desk.s
    desk.tell(e.ProcessAdopted("a1", desk.now, 1, 100, 1.0, "%1"))
    assert (desk.s.chores, desk.s.overlong) == ((), 0.0)
    desk.work((2.0, POLL), seconds=100)
    assert desk.pause() <= 20


def test_while_we_slept_it_got_no_older(desk: Desk) -> None:
    desk.work((2.0, POLL), seconds=1000)
    desk.now += 5000
    desk.tell(e.SupervisorStalled("a1", desk.now, 5000))
    desk.work((2.0, POLL), seconds=100)
    assert desk.pause() <= 20
