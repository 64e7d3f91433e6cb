"""`decider: parent`: an ancestor is asked before each step, and the policy decides when it is silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import Phase, Stage, Strategy
from hhmrs.healing.asking import open_question
from hhmrs.healing.bounds import worst_case
from hhmrs.healing.explain import explain
from hhmrs.tests.unit.desk import Desk

MakeSpec = Callable[..., AgentSpec]
NOW = 1_000_000.0
WITHIN = 20.0


class Child(Desk):
    """An agent at work below `boss` and `chief`, in a world that does nothing of what is asked."""

    def __init__(self, spec: AgentSpec, deciders: tuple[str, ...] = ("boss", "chief")) -> None:
        super().__init__(spec, NOW)
        self.see(e.ProcessStarted, 1, 7, 1.0, "%1")
        self.see(e.BeatReceived, "executing")
        self.see(e.DecidersKnown, deciders)

    def answer(self, action: a.Action) -> None:
        """It is left to the test."""

    def crash(self) -> None:
        self.see(e.ProcessExited, self.state.attempt, 1, None)
        self.look()

    def decide(self, strategy: str, by: str = "boss") -> None:
        incident = self.state.incident
        assert incident is not None
        self.see(e.Decided, incident.id, strategy, by)
        self.look()

    def fail_again(self) -> None:
        """The attempt under way starts and dies at once."""
        recovery = self.state.recovery
        assert recovery is not None
        assert recovery.stage is Stage.CLEARING
        self.see(e.StepFinished, recovery.key, True)
        self.look()
        self.see(e.ProcessStarted, self.state.attempt, 8, 2.0, "%1")
        self.crash()

    def alerts(self) -> list[a.AlertAncestor]:
        return [x for x in self.actions if isinstance(x, a.AlertAncestor)]

    def strategies(self) -> list[str]:
        incident = self.state.incident
        return [attempt.strategy.value for attempt in incident.attempts] if incident else []


@pytest.fixture
def child(make_spec: MakeSpec) -> Child:
    return Child(below(make_spec))


def below(make_spec: MakeSpec, **fields: Any) -> AgentSpec:
    return make_spec("worker", **({"parent": "boss", "decider": "parent", "decide_within": WITHIN} | fields))


def test_the_parent_is_asked_and_nothing_is_done_meanwhile(child: Child) -> None:
    child.crash()
    (alert,) = child.alerts()
    assert (alert.ancestor, alert.level, alert.n) == ("boss", 1, 1)
    assert alert.options == ("restart", "reassign", "escalate"), "there is nothing to resume from"
    assert alert.otherwise == "resume"
    assert alert.until == NOW + WITHIN
    child.look(WITHIN - 1)
    assert child.actions == [alert]
    assert child.state.recovery is None
    assert child.state.phase is Phase.EXITED
    assert [x["decider"] for x in child.told("agent_decider_asked")] == ["boss"]


def test_what_the_parent_chose_is_done_with_a_reason_that_names_it(child: Child) -> None:
    child.crash()
    child.decide("restart")
    recovery = child.state.recovery
    assert recovery is not None
    assert (recovery.strategy, recovery.by) == (Strategy.RESTART, "boss")
    assert child.state.restarts == 1, "what it asks for spends the budget"
    child.see(e.StepFinished, recovery.key, True)
    child.look()
    (restart,) = child.told("hhmrs_restart")
    assert "chosen by boss" in str(restart["reason"])
    assert restart["decided_by"] == "boss"
    assert child.told("agent_decided") == [{"by": "boss", "strategy": "restart", "n": 1}]


def test_past_the_deadline_the_policy_decides(child: Child) -> None:
    child.crash()
    child.look(WITHIN)
    assert child.state.recovery is not None
    assert child.state.recovery.strategy is Strategy.RESUME
    assert child.state.recovery.by == ""
    (silent,) = child.told("agent_decider_silent")
    assert silent["why"] == "boss gave no answer within 20 s"
    child.see(e.Decided, "worker-i1", "escalate", "boss")
    child.look()
    assert [x["why"] for x in child.told("agent_decision_refused")] == ["it was decided already"]
    assert child.state.phase is Phase.RECOVERING


def test_each_step_is_asked_about_and_level_two_is_the_grandparents(make_spec: MakeSpec) -> None:
    child = Child(below(make_spec, max_restarts=1, backoff={"initial": 0.001, "factor": 1, "max": 0.001,
                                                            "jitter": 0.0}))  # fmt: skip
    child.crash()
    child.decide("restart")
    child.fail_again()
    child.look(1)
    assert [(x.ancestor, x.level, x.n) for x in child.alerts()] == [("boss", 1, 1), ("chief", 2, 2)]
    child.decide("reassign", by="chief")
    child.look(1)
    assert child.strategies() == ["restart", "reassign"]
    (risen,) = child.told("hhmrs_escalation")
    assert (risen["level_from"], risen["level_to"], risen["reason"]) == (1, 2, "reassign chosen by chief")


@pytest.mark.parametrize(
    ("deciders", "who"),
    [(("chief",), "chief"), (("chief", "top"), "chief"), (("boss",), "boss")],
)
def test_who_cannot_answer_is_passed_over(make_spec: MakeSpec, deciders: tuple[str, ...], who: str) -> None:
    child = Child(below(make_spec), deciders)
    child.crash()
    assert [x.ancestor for x in child.alerts()] == [who]


def test_with_nobody_to_ask_the_policy_decides_at_once(make_spec: MakeSpec) -> None:
    child = Child(below(make_spec), ())
    child.crash()
    assert child.alerts() == []
    assert child.state.recovery is not None
    (silent,) = child.told("agent_decider_silent")
    assert silent["why"] == "no ancestor of it can answer now"


def test_a_question_is_passed_on_when_who_was_asked_falls_and_the_deadline_stays(child: Child) -> None:
    child.crash()
    child.look(5)
    child.see(e.DecidersKnown, ("chief",))
    child.look()
    assert [(x.ancestor, x.n, x.until) for x in child.alerts()] == [
        ("boss", 1, NOW + WITHIN),
        ("chief", 1, NOW + WITHIN),
    ]
    child.see(e.DecidersKnown, ("boss",))
    child.look()
    assert child.state.recovery is not None, "boss was asked already, and chief is gone: the policy decides"
    assert len(child.alerts()) == 2


def test_a_strategy_that_is_not_possible_is_refused_and_the_policys_way_goes_on(child: Child) -> None:
    child.crash()
    child.decide("nudge")
    (refused,) = child.told("agent_decision_refused")
    assert refused == {"by": "boss", "strategy": "nudge", "why": "nudge is not in the ladder of cause crash"}
    assert child.state.recovery is not None
    assert child.state.recovery.strategy is Strategy.RESUME
    assert child.state.recovery.by == ""


def test_a_parent_may_call_a_person(child: Child) -> None:
    child.crash()
    child.decide("escalate")
    assert child.state.phase is Phase.ESCALATED
    (failure,) = child.told("hhmrs_failure")
    assert "escalate chosen by boss" in str(failure["reason"])
    assert [x["level_to"] for x in child.told("hhmrs_escalation")] == [3]


def test_when_every_budget_is_spent_nobody_is_asked(make_spec: MakeSpec) -> None:
    child = Child(below(make_spec, max_restarts=0, alternates=0))
    child.crash()
    assert child.alerts() == []
    assert child.state.phase is Phase.ESCALATED


def test_budgets_bind_the_parent_too(make_spec: MakeSpec) -> None:
    child = Child(below(make_spec, max_restarts=1))
    child.crash()
    child.decide("restart")
    child.fail_again()
    assert child.alerts()[-1].options == ("reassign", "escalate")
    child.decide("restart", by="chief")
    assert "restarts are spent" in str(child.told("agent_decision_refused")[0]["why"])
    child.look(10)
    assert child.state.restarts == 1
    assert child.state.recovery is not None
    assert child.state.recovery.strategy is Strategy.REASSIGN


def test_what_dies_young_again_and_again_is_not_tried_once_more(make_spec: MakeSpec) -> None:
    quick = {"initial": 0.001, "factor": 1.0, "max": 0.001, "jitter": 0.0}
    child = Child(below(make_spec, max_restarts=9, backoff=quick))
    child.crash()
    for _ in range(3):
        child.decide("restart")
        child.look(0.01)
        child.fail_again()
    assert child.alerts()[-1].options == ("reassign", "escalate")
    child.decide("restart")
    assert "died in under 30 s" in str(child.told("agent_decision_refused")[0]["why"])
    child.look(0.01)
    assert child.state.recovery is not None
    assert child.state.recovery.strategy is Strategy.REASSIGN


def test_a_letter_that_comes_twice_is_one_decision(child: Child) -> None:
    child.crash()
    assert child.state.incident is not None
    for _ in range(2):
        child.see(e.Decided, child.state.incident.id, "restart", "boss")
    child.look()
    assert len(child.told("agent_decided")) == 1
    assert len(child.told("agent_decision_refused")) == 1
    assert sum(isinstance(x, a.ClearGround) for x in child.actions) == 1


def test_about_an_incident_that_is_over_nothing_is_decided(child: Child) -> None:
    child.crash()
    child.see(e.Decided, "worker-i7", "restart", "boss")
    assert child.told("agent_decision_refused")[0]["why"] == "that incident is over"
    assert open_question(child.state) is not None


def test_with_the_policy_as_decider_an_answer_nobody_asked_for_is_refused(make_spec: MakeSpec) -> None:
    child = Child(below(make_spec, decider="policy"))
    child.crash()
    assert child.alerts() == []
    assert child.state.recovery is not None
    child.see(e.Decided, "worker-i1", "escalate", "boss")
    assert child.told("agent_decision_refused")[0]["why"] == "its step is the policy's to decide"


def test_a_silent_child_that_comes_back_by_itself_needs_no_answer(child: Child) -> None:
    child.look(61)
    assert open_question(child.state) is not None
    assert child.alerts()[0].options == ("nudge", "restart", "reassign", "escalate")
    child.see(e.FileChanged, "a.txt")
    assert child.state.incident is None
    child.look(WITHIN)
    assert child.state.phase is Phase.WORKING


def test_a_person_goes_before_the_parent(child: Child) -> None:
    child.crash()
    child.see(e.Ordered, "restart", "o1", "me")
    child.look()
    assert child.state.recovery is not None
    assert child.state.recovery.order == "o1"
    assert open_question(child.state) is None
    assert child.state.incident is not None
    assert child.state.incident.asked is None


def test_while_a_person_is_attached_nothing_is_decided(child: Child) -> None:
    child.look(61)
    child.see(e.PersonPresent, True)
    child.look(WITHIN * 3)
    assert child.strategies() == []
    child.see(e.PersonPresent, False)
    child.look()
    assert child.strategies() == ["nudge"]
    assert child.told("hhmrs_nudge")[0]["reason"] == child.told("agent_incident")[0]["detail"]


def test_an_alert_that_could_not_be_delivered_leaves_it_to_the_policy(child: Child) -> None:
    child.crash()
    child.see(e.StepFinished, child.alerts()[0].key, False, "the disk is full")
    child.look()
    assert child.state.recovery is not None
    assert "the disk is full" in str(child.told("agent_decider_silent")[0]["why"])


def test_an_answer_is_for_its_own_step_alone(make_spec: MakeSpec) -> None:
    """What was chosen and then called off by a person is not done after all when the person lets go."""
    slow = {"initial": 5.0, "factor": 1.0, "max": 5.0, "jitter": 0.0}
    child = Child(below(make_spec, backoff=slow))
    child.crash()
    child.decide("restart")
    child.fail_again()
    child.decide("restart")
    assert child.state.recovery is not None
    assert child.state.recovery.due == child.now + 5
    child.see(e.Ordered, "pause", "o1", "me")
    child.see(e.Ordered, "unpause", "o2", "me")
    child.look()
    assert open_question(child.state) is not None
    assert [x.n for x in child.alerts()] == [1, 2, 3]


def test_our_own_sleep_is_not_taken_from_the_time_to_answer(child: Child) -> None:
    child.crash()
    child.now += 100
    child.see(e.SupervisorStalled, 100.0)
    child.look(WITHIN - 1)
    assert open_question(child.state) is not None
    child.look(2)
    assert child.state.recovery is not None


def test_an_order_by_hand_to_decide_is_a_manual_recovery_of_that_incident(child: Child) -> None:
    child.crash()
    child.see(e.Ordered, "decide", "o1", "me", {"incident": "worker-i9", "strategy": "restart"})
    (told,) = child.told("operator_outcome")
    assert (told["ok"], told["letter"]) == (False, "o1")
    child.see(e.Ordered, "decide", "o2", "me", {"incident": "worker-i1", "strategy": "dance"})
    assert child.told("operator_outcome")[1]["ok"] is False
    child.see(e.Ordered, "decide", "o3", "me", {"incident": "worker-i1", "strategy": "restart"})
    child.look()
    assert child.state.recovery is not None
    assert (child.state.recovery.strategy, child.state.recovery.order) == (Strategy.RESTART, "o3")
    assert child.state.restarts == 0


def test_check_counts_the_time_to_answer(make_spec: MakeSpec) -> None:
    asked, unasked = below(make_spec), below(make_spec, decider="policy")
    for cause, steps in (("stalled", 7), ("crash", 6)):
        more = worst_case(asked, cause).seconds - worst_case(unasked, cause).seconds
        assert more == pytest.approx(steps * WITHIN)
    orphan = make_spec("worker", decider="parent", decide_within=WITHIN)
    assert worst_case(orphan).seconds == worst_case(make_spec("worker")).seconds


def test_explain_says_whom_it_waits_for_and_until_when(child: Child) -> None:
    child.crash()
    child.look(5)
    told = explain(child.state, child.spec, child.now)
    assert "boss is asked to decide" in told.next
    assert told.when_s == pytest.approx(WITHIN - 5)
    assert [c.name for c in told.clocks if c.name == "answer"] == ["answer"]
