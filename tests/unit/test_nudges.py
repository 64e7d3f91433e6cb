"""What a nudge is made of, its order, and that each step is taken once; on a clock in our hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, Dialog, FleetSpec, NudgeSteps, Profile, Seat, StatusRule
from hhmrs.controller.daemon.brain import Brain
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import NudgeStep, Phase
from hhmrs.healing.codec import dump_state, load_state
from hhmrs.healing.decide import decide
from hhmrs.healing.explain import explain
from hhmrs.healing.ladder import next_rung
from hhmrs.healing.nudges import MOMENT, NOTHING, RESCUE, steps
from hhmrs.healing.turn import Turn
from hhmrs.tests.unit.desk import Desk

MakeSpec = Callable[..., AgentSpec]
STATUS = (StatusRule(pattern="status.json", kind="status"),)
NEWS = (Dialog(name="news", pattern="What is new", keys=("Escape",)),)
ALL = ["close_dialog", "force_update", "clear_stuck_tasks", "auto_reset", "rescue"]


def seat(status: tuple[StatusRule, ...] = STATUS, dialogs: tuple[Dialog, ...] = NEWS) -> Seat:
    return Seat(profile=Profile(name="old", status_files=status, dialogs=dialogs))


class Ward(Desk):
    """An agent at work; each step of a nudge is answered as `reply` says, or not at all."""

    def __init__(self, spec: AgentSpec) -> None:
        super().__init__(spec)
        self.reply: dict[str, Any] | None = {"ok": True}
        self.taken: list[a.Nudge] = []
        self.take(decide(self.state, spec, self.now))
        self.see(e.ProcessStarted, 1, 100, 1.0, "%1")
        self.tell(e.BeatReceived, "executing")
        assert self.state.phase is Phase.WORKING

    def answer(self, action: a.Action) -> None:
        if isinstance(action, a.Nudge):
            self.taken.append(action)
            if self.reply is not None:
                self.tell(e.StepFinished, action.key, **self.reply)
        elif isinstance(action, a.ClearGround):
            self.tell(e.StepFinished, action.key, True)

    def steps(self) -> list[str]:
        return [str(one.step) for one in self.taken]

    def new_daemon(self) -> None:
        self.state = load_state(dump_state(self.state))
        self.tell(e.ProcessAdopted, 1, 100, 1.0, "%1")


@pytest.fixture
def ward(make_spec: MakeSpec) -> Ward:
    return Ward(make_spec(seats=(seat(),)))


# -- what it is made of ----------------------------------------------------------------------------


def test_all_steps_in_the_order_of_how_little_they_disturb(ward: Ward) -> None:
    ward.tell(e.ScreenMatched, "dialog", "news")
    ward.look(61)
    assert ward.did() == ["timeout", "nudge"]
    ward.look(4 * MOMENT)
    assert ward.steps() == ALL
    assert [one.text for one in ward.taken] == ["", "", "", "", RESCUE]
    assert ward.told("hhmrs_nudge")[0]["steps"] == ALL
    assert [one["step"] for one in ward.told("agent_nudge_step")] == ALL
    assert len({one.key for one in ward.taken}) == 5


@pytest.mark.parametrize("flag", ["force_update", "clear_stuck_tasks", "auto_reset", "rescue"])
def test_each_flag_takes_one_step_out(make_spec: MakeSpec, flag: str) -> None:
    ward = Ward(make_spec(seats=(seat(),), nudge=NudgeSteps(**{flag: False})))
    ward.look(75)
    assert ward.steps() == [step for step in ALL[1:] if step != flag]


def test_an_agent_without_status_files_gets_the_message_alone_and_at_once(make_spec: MakeSpec) -> None:
    ward = Ward(make_spec())
    ward.look(60)
    assert ward.steps() == ["rescue"]


OFF = NudgeSteps(force_update=False, clear_stuck_tasks=False, auto_reset=False, rescue=False)


def test_with_every_flag_off_and_no_dialog_the_ladder_goes_on(make_spec: MakeSpec) -> None:
    ward = Ward(make_spec(seats=(seat(),), nudge=OFF))
    ward.look(61)
    assert ward.did()[:2] == ["timeout", "restart"]
    assert ward.steps() == []


def test_with_every_flag_off_a_dialog_is_still_closed(make_spec: MakeSpec) -> None:
    ward = Ward(make_spec(seats=(seat(),), nudge=OFF))
    ward.tell(e.ScreenMatched, "dialog", "news")
    ward.look(60)
    assert (ward.did(), ward.steps()) == (["timeout", "nudge"], ["close_dialog"])


def test_status_flags_alone_are_nothing_without_a_status_file(make_spec: MakeSpec) -> None:
    spec = make_spec(nudge=NudgeSteps(rescue=False))
    ward = Ward(spec)
    assert steps(ward.state, spec) == ()
    ward.look(61)
    assert "nudge" not in ward.did()


# -- from step to step -----------------------------------------------------------------------------


def test_after_a_step_that_did_something_the_agent_has_a_moment(ward: Ward) -> None:
    ward.look(60)
    assert ward.steps() == ["force_update"]
    ward.look(MOMENT - 0.1)
    assert ward.steps() == ["force_update"]
    ward.tell(e.FileChanged, "x.py")
    ward.look(20)
    assert ward.steps() == ["force_update"], "it was enough, so nothing more is done to it"
    assert ward.did() == ["timeout", "nudge", "recovered"]
    assert ward.state.nudging is None


def test_a_step_with_nothing_to_do_costs_no_time(ward: Ward) -> None:
    ward.reply = {"ok": True, "idle": True}
    ward.look(60)
    assert ward.steps() == ALL[1:]


def test_a_nudge_of_which_nothing_could_be_done_has_failed_at_once(ward: Ward) -> None:
    ward.reply = {"ok": False, "why": "tmux did not answer"}
    ward.look(60)
    assert ward.steps() == ALL[1:], "what fails keeps nothing that comes after it"
    assert ward.told("agent_attempt_failed")[0]["why"] == "tmux did not answer"
    assert "restart" in ward.did()


def test_one_step_that_did_something_gets_its_time(ward: Ward) -> None:
    ward.reply = {"ok": True}
    ward.look(60)
    ward.reply = {"ok": False, "why": "no"}
    ward.look(29)
    assert not ward.told("agent_attempt_failed")
    ward.look(1.1)
    assert ward.told("agent_attempt_failed")[0]["why"] == "no fresh progress within 30 s"


def test_nothing_is_handed_out_while_hands_are_off(ward: Ward) -> None:
    ward.look(60)
    ward.tell(e.PersonPresent, True)
    ward.look(300)
    assert ward.steps() == ["force_update"]
    ward.tell(e.PersonPresent, False)
    ward.look(10)
    assert ward.steps() == ALL[1:]


def test_what_is_over_takes_the_rest_of_it_along(ward: Ward) -> None:
    ward.look(60)
    ward.tell(e.ProcessExited, 1, 1, None)
    ward.look(5)
    assert ward.steps() == ["force_update"]


# -- a daemon that dies between two steps ----------------------------------------------------------


@pytest.mark.parametrize("died_at", range(4))
def test_another_daemon_goes_on_where_the_last_one_stopped_and_types_nothing_twice(
    ward: Ward, died_at: int
) -> None:
    for _ in range(60):
        if len(ward.taken) > died_at:
            break
        ward.reply = {"ok": True} if len(ward.taken) < died_at else None
        ward.look(1 if ward.taken else 60)
    assert len(ward.taken) == died_at + 1
    ward.reply = {"ok": True}
    ward.new_daemon()
    ward.look(4 * MOMENT)
    assert ward.steps() == [*ALL[1 : died_at + 2], *ALL[died_at + 1 :]], "the step that was cut off, again"
    assert ward.taken[died_at + 1].again
    typed = [one for one in ward.taken if one.types]
    assert [one.text for one in typed] == [RESCUE]
    assert ward.did().count("nudge") == 1
    assert len(ward.told("agent_nudge_step")) == 4


def test_the_text_is_in_the_ledger_before_it_is_typed(make_spec: MakeSpec) -> None:
    """A daemon that types it and dies has told nobody; the next one knows the echo all the same."""
    ward = Ward(make_spec())
    ward.reply = None
    ward.look(60)
    assert ward.steps() == ["rescue"]
    ward.new_daemon()
    ward.tell(e.OutputSeen, (f"> {RESCUE[:70]}", f"  {RESCUE[70:]}"), after=10)
    assert ward.state.incident is not None, "the echo of our own words"
    assert "recovered" not in ward.did()


# -- the quick look --------------------------------------------------------------------------------


def busy(ward: Ward, seconds: int) -> None:
    """It lives and gets nowhere."""
    for _ in range(seconds // 10):
        ward.tell(e.BeatReceived, "executing", after=10)


def test_the_quick_look_takes_the_gentle_steps_once_and_changes_nothing_else(ward: Ward) -> None:
    ward.tell(e.ScreenMatched, "dialog", "news")
    before = ward.state
    busy(ward, 300)
    assert ward.steps() == ALL[:3]
    assert ward.told("agent_quick_look")[0]["steps"] == ALL[:3]
    assert all(one["gentle"] for one in ward.told("agent_nudge_step"))
    assert ward.did() == []
    after = ward.state
    assert (after.phase, after.incident, after.incidents) == (Phase.WORKING, None, 0)
    assert (after.restarts, after.reassigns, after.nudges) == (0, 0, 0)
    assert (after.last_progress, after.progress_kind) == (before.last_progress, before.progress_kind)
    ward.tell(e.FileChanged, "x.py")
    busy(ward, 300)
    assert ward.steps() == [*ALL[:3], *ALL[:3]], "once per spell"


def test_progress_ends_a_gentle_nudge_where_it_is(ward: Ward) -> None:
    busy(ward, 110)
    ward.look(10)
    assert ward.steps() == ["force_update"]
    ward.tell(e.FileChanged, "x.py", after=0.5)
    ward.look(20)
    assert ward.steps() == ["force_update"]
    assert ward.state.nudging is None


def test_an_agent_with_nothing_to_be_gentle_with_is_only_looked_at(make_spec: MakeSpec) -> None:
    ward = Ward(make_spec())
    busy(ward, 300)
    assert ward.steps() == []
    assert ward.told("agent_quick_look")[0]["steps"] == []


def test_a_gentle_nudge_waits_for_a_person_and_is_then_of_the_past(ward: Ward) -> None:
    busy(ward, 110)
    ward.look(10)
    ward.tell(e.PersonPresent, True)
    ward.look(100)
    ward.tell(e.PersonPresent, False)
    ward.look(5)
    assert ward.steps() == ["force_update"]
    assert ward.state.nudging is None


def test_observe_records_what_it_would_have_done_and_does_nothing(make_spec: MakeSpec) -> None:
    ward = Ward(make_spec(seats=(seat(),), mode="observe"))
    ward.tell(e.ScreenMatched, "dialog", "news")
    busy(ward, 300)
    look = ward.told("agent_quick_look")[0]
    assert (look["steps"], look["observed"]) == (ALL[:3], True)
    ward.look(61)
    observed = ward.told("agent_observed")[0]
    assert (observed["strategy"], observed["steps"]) == ("nudge", ALL)
    assert ward.steps() == []


# -- by hand, and in words -------------------------------------------------------------------------


def test_a_nudge_by_hand_is_the_same(ward: Ward) -> None:
    ward.tell(e.Ordered, "nudge", "l1", "ann")
    ward.look(4 * MOMENT)
    assert ward.steps() == ALL[1:]
    assert ward.state.nudges == 0
    ward.tell(e.FileChanged, "x.py")
    answer = ward.told("operator_outcome")[0]
    assert (answer["ok"], answer["letter"]) == (True, "l1")


def test_a_nudge_by_hand_of_nothing_is_refused(make_spec: MakeSpec) -> None:
    ward = Ward(make_spec(seats=(seat(),), nudge=OFF))
    ward.tell(e.Ordered, "nudge", "l1", "ann")
    assert ward.told("operator_outcome")[0]["message"] == NOTHING
    assert ward.state.incident is None


def test_explain_tells_what_a_nudge_would_be_made_of(ward: Ward) -> None:
    def said() -> str:
        return "\n".join(explain(ward.state, ward.spec, ward.now).lines())

    assert "a nudge would refresh its status file" in said()
    assert "close the dialog" not in said()
    ward.tell(e.ScreenMatched, "dialog", "news")
    assert "a nudge would close the dialog news; refresh" in said()
    assert "its screen shows: dialog news" in said()
    busy(ward, 120)
    assert "the quick look, for which this is done: close the dialog news; refresh" in said()
    ward.tell(e.ScreenCleared)
    ward.look(61)
    assert "left of it: clear_stuck_tasks, auto_reset, rescue" in said()


def test_a_dialog_on_the_screen_is_no_waiting_and_changes_no_phase(ward: Ward) -> None:
    ward.tell(e.ScreenMatched, "dialog", "news")
    assert ward.state.phase is Phase.WORKING
    ward.tell(e.ScreenMatched, "waiting", "permission")
    assert (ward.state.phase, steps(ward.state, ward.spec)[0]) == (Phase.WAITING, NudgeStep.FORCE_UPDATE)
    ward.tell(e.ScreenMatched, "dialog", "news")
    assert ward.state.phase is Phase.WORKING, "its question is answered"


def test_the_rung_is_skipped_by_the_same_rule(make_spec: MakeSpec) -> None:
    ward = Ward(make_spec(seats=(seat(),), nudge=OFF, mode="observe"))
    ward.look(61)
    assert ward.state.incident is not None
    assert next_rung(ward.state, ward.state.incident, ward.spec).strategy.value == "resume"


def test_no_step_is_taken_before_it_stands_in_the_ledger(make_spec: MakeSpec) -> None:
    """A turn writes the agents in `changed` before it acts: each step's state must be among them."""
    spec = make_spec(seats=(seat(),))
    fleet = FleetSpec(fleet="f", path=Path("/f"), policy=spec.policy, agents={"a1": spec}, profiles={})
    brain, now = Brain(fleet), 1000.0
    taken: list[NudgeStep] = []
    brain.begin(spec, now, after=0, running=False)
    brain.take(e.ProcessStarted("a1", now, 1, 7, 1.0, "%1"), Turn())
    brain.take(e.BeatReceived("a1", now, "executing"), Turn())
    while len(taken) < 4 and now < 1100.0:
        now += 0.5
        turn = Turn()
        brain.decide_due(turn, now)
        for action in turn.actions:
            if isinstance(action, a.Nudge):
                taken.append(action.step)
                nudging = brain.states["a1"].nudging
                assert "a1" in turn.changed, f"{action.step} is handed out and nobody wrote it down"
                assert nudging is not None
                assert nudging.issued
                brain.take(e.StepFinished("a1", now, action.key, True), Turn())
    assert [*map(str, taken)] == ALL[1:]
