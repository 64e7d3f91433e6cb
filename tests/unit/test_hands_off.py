"""When the brain must wait, leave alone, or not believe: the edges of contract.md, "How it is judged"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, Probe
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import Phase, Stage
from hhmrs.healing.evolve import evolve
from hhmrs.tests.unit.desk import Desk

MakeSpec = Callable[..., AgentSpec]


class Ward(Desk):
    """The world answers at once, unless `lazy`."""

    def __init__(self, spec: AgentSpec) -> None:
        super().__init__(spec)
        self.lazy = False
        self.look()

    def order(self, *orders: str) -> None:
        """Orders that are read in one go."""
        for number, order in enumerate(orders):
            self.see(e.Ordered, order, f"{order}-{number}", "me")
        self.look()

    def answer(self, action: a.Action) -> None:
        if not self.lazy:
            super().answer(action)

    def finish(self, action: a.Action, *, ok: bool = True, **more: Any) -> None:
        if isinstance(action, a.StartAttempt) and ok:
            super().answer(action)
        else:
            self.tell(e.StepFinished, action.key, ok, "" if ok else "it went wrong", **more)

    def outcomes(self) -> dict[object, object]:
        told = self.told("operator_outcome")
        assert len({f["letter"] for f in told}) == len(told), "answered twice"
        return {f["letter"]: f["ok"] for f in told}


@pytest.fixture
def desk(make_spec: MakeSpec) -> Ward:
    return Ward(make_spec(alternates=1))


# -- whoever rests is not late -----------------------------------------------------------------------


@pytest.mark.parametrize("says", ["idle", "awaiting_approval"])
def test_time_spent_idle_or_waiting_is_no_time_without_progress(desk: Ward, says: str) -> None:
    desk.tell(e.BeatReceived, says)
    desk.tell(e.BeatReceived, "executing", after=5000)
    assert desk.phase() is Phase.WORKING
    desk.tell(e.BeatReceived, "executing", after=50)
    assert desk.did() == []


def test_flapping_between_idle_and_executing_hides_no_loop(desk: Ward) -> None:
    for _ in range(140):
        desk.tell(e.BeatReceived, "idle", after=5)
        desk.tell(e.BeatReceived, "executing", after=5)
        desk.look(0.0)
    assert "timeout" in desk.did()


def test_a_wake_up_call_puts_no_clock_into_the_future(desk: Ward) -> None:
    desk.tell(e.FileChanged, "x", after=10)
    desk.tell(e.SupervisorStalled, 3600.0)
    assert desk.state.last_progress <= desk.now


# -- a screen that asks ------------------------------------------------------------------------------


def test_a_restarted_agent_that_shows_a_dialog_is_waiting_and_left_alone(desk: Ward) -> None:
    desk.tell(e.ProcessExited, 1, 1, None)
    desk.tell(e.ScreenMatched, "waiting", "trust this folder?", after=2)
    desk.look(100_000)
    assert desk.phase() is Phase.WAITING
    assert desk.did() == ["restart"]
    assert desk.state.incident is not None, "a question is no progress"
    desk.tell(e.ScreenCleared)
    assert desk.phase() is Phase.RECOVERING
    desk.look(29)
    assert desk.did() == ["restart"], "it has all its time once it was answered"
    desk.tell(e.FileChanged, "x")
    assert desk.did() == ["restart", "recovered"]


def test_an_agent_that_asks_during_the_backoff_is_not_restarted(desk: Ward) -> None:
    desk.tell(e.FailReceived, "cannot build")
    desk.tell(e.FailReceived, "still not", after=1)
    assert desk.state.recovery is not None
    assert desk.state.recovery.stage is Stage.BACKOFF
    before = desk.did()
    desk.tell(e.AskReceived, "which compiler?")
    desk.look(100_000)
    assert desk.phase() is Phase.WAITING
    assert desk.did() == before


def test_beats_do_not_answer_a_dialog(desk: Ward) -> None:
    desk.tell(e.ScreenMatched, "waiting", "allow this command?")
    for _ in range(100):
        desk.tell(e.BeatReceived, "executing", after=20)
    assert desk.phase() is Phase.WAITING
    assert desk.did() == []


def test_keys_that_leave_the_dialog_on_the_screen_did_not_answer_it(desk: Ward) -> None:
    desk.tell(e.ScreenMatched, "waiting", "allow this command?")
    desk.tell(e.Typed, "7")
    assert desk.phase() is Phase.WAITING
    desk.tell(e.ScreenCleared, after=1)
    assert desk.phase() is Phase.WORKING


def test_a_question_that_was_answered_is_no_longer_what_it_has_to_say(desk: Ward) -> None:
    desk.tell(e.AskReceived, "which compiler?")
    assert desk.state.message == "which compiler?"
    desk.tell(e.Typed, "gcc")
    assert (desk.phase(), desk.state.message) == (Phase.WORKING, "")


def test_who_needs_only_to_be_there_is_up_once_it_is_started(make_spec: MakeSpec) -> None:
    plain = Ward(make_spec(liveness=("process",), prompt=None))
    assert plain.phase() is Phase.IDLE
    assert Ward(make_spec(liveness=("process",))).phase() is Phase.WORKING
    port = Probe(port=8000)
    assert Ward(make_spec(liveness=("process",), ready=port)).phase() is Phase.STARTING


def test_a_person_who_ordered_a_restart_is_told_that_it_waits_now(desk: Ward) -> None:
    desk.order("restart")
    desk.tell(e.ScreenMatched, "waiting", "log in?", after=2)
    assert desk.outcomes() == {"restart-0": False}


def test_a_rate_limit_after_a_restart_is_waited_for(desk: Ward) -> None:
    desk.tell(e.ProcessExited, 1, 1, None)
    desk.tell(e.ScreenMatched, "limited", "usage limit", desk.now + 3600, after=2)
    desk.look(3500)
    assert (desk.state.phase, desk.did()) == (Phase.LIMITED, ["restart"])
    desk.look(200)
    assert desk.did()[:2] == ["restart", "restart"]


# -- out of sight, or in a person's hand -----------------------------------------------------------


def _in_backoff(desk: Ward) -> None:
    desk.tell(e.ProcessExited, 1, 1, None)
    desk.look(30.1)
    assert desk.state.recovery is not None
    assert desk.state.recovery.stage is Stage.BACKOFF
    assert desk.did() == ["restart"]


def test_nothing_is_ended_while_unknown_whatever_had_been_planned(desk: Ward) -> None:
    _in_backoff(desk)
    desk.tell(e.Unseen, "tmux did not answer")
    desk.look(1000)
    assert desk.did() == ["restart"]
    desk.tell(e.SeenAgain)
    desk.look(10)
    assert desk.did() == ["restart", "restart"]


def test_an_attempt_that_could_not_be_watched_did_not_fail(desk: Ward) -> None:
    desk.tell(e.ProcessExited, 1, 1, None)
    desk.tell(e.Unseen, "tmux did not answer", after=1)
    desk.look(1000)
    desk.tell(e.SeenAgain)
    desk.tell(e.FileChanged, "x", after=20)
    assert desk.did() == ["restart", "recovered"]


def test_a_new_daemon_sees_whom_the_old_one_had_lost_sight_of(desk: Ward) -> None:
    desk.tell(e.ProcessExited, 1, 1, None)
    desk.tell(e.Unseen, "tmux did not answer", after=1)
    desk.tell(e.ProcessAdopted, desk.state.attempt, 7, 1.0, "%1", after=10)
    assert desk.phase() is Phase.RECOVERING
    desk.look(31)
    assert desk.told("agent_attempt_failed")


def test_a_start_that_is_seen_ends_the_not_knowing(desk: Ward) -> None:
    desk.lazy = True
    desk.tell(e.FailReceived, "no")
    desk.finish(desk.actions[-1])
    desk.state = evolve(desk.state, e.Unseen("a1", desk.now, "tmux is gone"), desk.spec).state
    desk.finish(desk.actions[-1])
    assert desk.phase() is Phase.RECOVERING


def test_what_is_on_the_pane_as_a_person_leaves_proves_nothing(desk: Ward) -> None:
    desk.tell(e.ProcessExited, 1, 1, None)
    desk.tell(e.PersonPresent, True, after=1)
    desk.tell(e.PersonPresent, False, after=20)
    desk.tell(e.OutputSeen, ("$ git status and such",), after=0.3)
    assert desk.did() == ["restart"]
    desk.tell(e.FileChanged, "x", after=20)
    assert desk.did() == ["restart", "recovered"], "its time began anew when the person left"


def test_unpaused_means_the_clocks_begin_anew(desk: Ward) -> None:
    desk.look(61)
    assert desk.did() == ["timeout", "nudge"]
    desk.order("pause")
    desk.look(500)
    desk.order("unpause")
    desk.look(59)
    assert desk.did() == ["timeout", "nudge"]
    assert desk.state.incident is None


# -- what proves nothing ---------------------------------------------------------------------------


def test_what_is_printed_before_the_program_says_it_is_ready_proves_nothing(make_spec: MakeSpec) -> None:
    desk = Ward(make_spec(ready=Probe(output="^> $")))
    desk.tell(e.ProcessExited, 1, 1, None)
    desk.tell(e.OutputSeen, ("resuming:", "what was said yesterday", "> "), after=8)
    desk.tell(e.ReadyProbed, True, after=0.1)
    assert desk.did() == ["restart"]
    desk.tell(e.OutputSeen, ("here is the next piece",), after=3)
    assert desk.did() == ["restart", "recovered"]


def test_a_slow_hand_on_the_keys_does_not_turn_the_reply_into_progress(desk: Ward) -> None:
    desk.lazy = True
    desk.look(61)
    nudge = desk.actions[-1]
    assert isinstance(nudge, a.Nudge)
    desk.tell(e.Typed, nudge.text)
    desk.tell(e.StepFinished, nudge.key, True, after=5)
    desk.tell(e.OutputSeen, ("bash: syntax error near unexpected token",), after=0.5)
    assert desk.did() == ["timeout", "nudge"]
    assert desk.state.incident is not None


@pytest.mark.parametrize("mode", ["armed", "observe"])
def test_work_past_the_deadline_does_not_open_and_close_incidents(make_spec: MakeSpec, mode: str) -> None:
    desk = Ward(make_spec(mode=mode))
    desk.tell(e.PersonPresent, True)
    for _ in range(200):
        desk.tell(e.FileChanged, "x", after=50)
    assert desk.did().count("timeout") == 1


# -- letters of the attempt that gives way ----------------------------------------------------------


def test_a_fail_letter_found_while_the_ground_is_cleared_costs_no_second_attempt(desk: Ward) -> None:
    desk.lazy = True
    desk.tell(e.FailReceived, "no")
    desk.tell(e.FailReceived, "no, read twice")
    desk.finish(desk.actions[-1])
    assert desk.state.restarts == 1
    assert desk.state.recovery is not None
    assert desk.state.recovery.stage is Stage.STARTING


def test_an_old_done_letter_does_not_undo_an_ordered_start(desk: Ward) -> None:
    desk.tell(e.ProcessExited, 1, 0, None)
    assert desk.phase() is Phase.DONE
    desk.lazy = True
    desk.order("start")
    desk.tell(e.DoneReceived, "found in the inbox")
    desk.finish(desk.actions[-1])
    desk.finish(desk.actions[-1])
    assert desk.phase() is Phase.STARTING
    assert desk.outcomes() == {"start-0": True}


def test_a_question_of_the_dead_is_not_waited_for(desk: Ward) -> None:
    _in_backoff(desk)
    desk.tell(e.ProcessExited, desk.state.attempt, 1, None)
    desk.tell(e.AskReceived, "and now?")
    desk.look(60)
    assert desk.did()[:2] == ["restart", "restart"]


# -- orders, whatever they meet ---------------------------------------------------------------------


@pytest.mark.parametrize("second", ["stop", "start", "escalate", "pause", "clear", "reassign"])
@pytest.mark.parametrize("first", ["restart", "escalate", "stop", "start", "clear"])
def test_two_orders_at_once_get_two_outcomes(desk: Ward, first: str, second: str) -> None:
    desk.tell(e.ProcessExited, 1, 126, None)
    desk.order(first, second)
    desk.look(100_000)
    assert set(desk.outcomes()) == {f"{first}-0", f"{second}-1"}


def test_a_start_whose_ground_cannot_be_cleared_is_not_forgotten(desk: Ward) -> None:
    desk.order("stop")
    desk.tell(e.ProcessExited, 1, None, 15)
    desk.lazy = True
    desk.order("start")
    desk.finish(desk.actions[-1], ok=False)
    assert desk.outcomes()["start-0"] is False
    assert desk.state.incident is not None, "a dead agent nobody looks after"


def test_the_marker_goes_with_the_start_of_an_agent_that_was_escalated_then_stopped(desk: Ward) -> None:
    desk.tell(e.ProcessExited, 1, 126, None)
    desk.order("stop")
    desk.order("start")
    assert any(isinstance(x, a.ClearMarker) for x in desk.actions)


# -- other rules -------------------------------------------------------------------------------------


def test_a_temporary_agent_is_never_restarted_by_itself(make_spec: MakeSpec) -> None:
    desk = Ward(make_spec(restart="temporary"))
    desk.look(1000)
    assert desk.did() == ["timeout", "nudge", "escalation", "failure"]
    ordered = Ward(make_spec(restart="temporary"))
    ordered.order("restart")
    ordered.tell(e.ProcessExited, 2, 7, None, after=1)
    ordered.look(1000)
    assert ordered.outcomes() == {"restart-0": False}
    assert ordered.did().count("restart") == 1


def test_observe_mode_begun_during_a_backoff_holds_from_then_on(make_spec: MakeSpec) -> None:
    desk = Ward(make_spec())
    _in_backoff(desk)
    desk.spec = make_spec(mode="observe")
    desk.look(1000)
    assert desk.did() == ["restart"]
