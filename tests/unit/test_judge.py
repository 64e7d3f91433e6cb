"""What counts as life and progress, and what proves a recovery: contract.md, "How it is judged"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hhmrs.config.fleet import AgentSpec, Probe
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import Incident, Phase, Stage, Strategy
from hhmrs.healing.codec import dump_state, load_state
from hhmrs.healing.evolve import evolve
from hhmrs.tests.unit.desk import Desk

MakeSpec = Callable[..., AgentSpec]
T0 = 1000.0


class Bench(Desk):
    def __init__(self, spec: AgentSpec) -> None:
        super().__init__(spec, T0)
        self.resumable = False
        self.look()

    def answer(self, action: a.Action) -> None:
        if isinstance(action, a.ClearGround):
            self.tell(e.StepFinished, action.key, True, resumable=self.resumable)
        else:
            super().answer(action)

    def in_trouble(self) -> bool:
        return self.state.incident is not None

    def incident(self) -> Incident:
        assert self.state.incident is not None
        return self.state.incident


@pytest.fixture
def bench(make_spec: MakeSpec) -> Bench:
    return Bench(make_spec(alternates=1))


def test_the_first_start_is_no_recovery(bench: Bench) -> None:
    assert bench.phase() is Phase.STARTING
    assert not bench.in_trouble()
    assert bench.did() == []
    assert bench.state.task is not None


def test_a_beat_is_life_but_not_progress(bench: Bench) -> None:
    for _ in range(70):
        bench.tell(e.BeatReceived, "executing", after=10)
    assert "timeout" in bench.did()
    assert bench.in_trouble()
    assert bench.incident().cause == "looping"


def test_silence_is_a_stall_at_interval_times_missed(bench: Bench) -> None:
    bench.look(59.9)
    assert not bench.in_trouble()
    bench.look(0.2)
    assert (bench.incident().symptom, bench.incident().cause) == ("stalled", "stalled")


def test_cpu_is_life_and_a_working_child_is_progress_for_tool_timeout(bench: Bench) -> None:
    for _ in range(30):
        bench.tell(e.ProcessMeasured, True, (50.0,), False, 90.0, 10.0, 1, after=50)
    assert not bench.in_trouble()
    for _ in range(20):
        bench.tell(e.ProcessMeasured, True, (1300.0,), False, 90.0, 10.0, 1, after=50)
    assert bench.in_trouble()
    assert bench.incident().cause == "looping"


def test_cpu_counts_for_the_look_before_for_nobody_knows_when_it_grew(bench: Bench) -> None:
    bench.tell(e.ProcessMeasured, True, (), True, 5.0, 10.0, 1, looked_before=T0 + 0.5, after=4.0)
    bench.look(56.0)
    assert not bench.in_trouble()
    bench.look(0.6)
    assert bench.in_trouble(), "60 s after the last look that can have been before its last CPU time"


def test_a_repeat_is_not_progress_whatever_its_digits_times_and_colours(bench: Bench) -> None:
    lines = ["\x1b[32m12:00:01 step 1 of 9 id 0xdeadbeef\x1b[0m", "13:59:59 step 77 of 9 id 0xfeed0001"]
    bench.tell(e.OutputSeen, (lines[0],))
    first = bench.state.last_progress
    bench.tell(e.OutputSeen, (lines[1],), after=30)
    assert bench.state.last_life == bench.now
    assert bench.state.last_progress == first


def test_output_alone_is_progress_for_at_most_progress_timeout(bench: Bench) -> None:
    words = [f"{x}{y}{z}" for x in "abcdefgh" for y in "abcdefgh" for z in "abcdefgh"]
    for word in words[:80]:
        bench.tell(e.OutputSeen, (f"new prose {word}",), after=20)
        if bench.in_trouble():
            break
    assert bench.in_trouble()
    assert bench.incident().cause == "looping"
    assert bench.incident().opened - T0 <= 2 * bench.spec.policy.progress_timeout
    for word in words[80:]:
        bench.tell(e.OutputSeen, (f"new prose {word}",), after=1)
    assert bench.phase() is Phase.ESCALATED, "ever new prose cures no loop"


def test_a_changed_file_proves_an_attempt_and_a_beat_does_not(bench: Bench) -> None:
    bench.tell(e.ProcessExited, 1, 1, None)
    assert bench.state.recovery is not None
    assert bench.state.recovery.stage is Stage.VERIFYING
    bench.tell(e.BeatReceived, "executing", after=1)
    assert bench.in_trouble()
    bench.tell(e.FileChanged, "out.txt", after=1)
    assert not bench.in_trouble()
    assert bench.did() == ["restart", "recovered"]


def test_start_up_lines_of_an_earlier_attempt_prove_nothing(bench: Bench) -> None:
    bench.tell(e.OutputSeen, ("Welcome to agent 1.0", "loading model"))
    bench.tell(e.ProcessExited, 1, 1, None)
    bench.tell(e.OutputSeen, ("Welcome to agent 1.0", "loading model"), after=1)
    assert bench.did() == ["restart"]
    bench.look(31)
    assert bench.did()[:2] == ["restart", "restart"]


def test_last_words_and_what_is_printed_at_a_start_prove_nothing(bench: Bench) -> None:
    bench.tell(e.ProcessExited, 1, 1, None, ("Traceback", "ValueError: bad model"))
    bench.tell(e.OutputSeen, ("some other words at its start",), after=0.5)
    assert bench.in_trouble()
    bench.tell(e.OutputSeen, ("ValueError: bad model",), after=5)
    assert bench.in_trouble()
    bench.tell(e.OutputSeen, ("and now it works on",), after=1)
    assert not bench.in_trouble()


def test_late_news_of_what_an_older_attempt_wrote_proves_nothing(bench: Bench) -> None:
    bench.tell(e.ProcessExited, 1, None, 9, after=10)
    bench.now -= 0.2
    bench.tell(e.FileChanged, "written-before-the-kill.txt")
    assert bench.in_trouble()
    bench.tell(e.FileChanged, "written-since.txt", after=1)
    assert not bench.in_trouble()


@pytest.mark.parametrize("make", [e.FileChanged, e.TranscriptGrew])
def test_whoever_writes_files_of_a_dead_agent_it_is_not_the_agent(
    bench: Bench, make: Callable[..., e.Evidence]
) -> None:
    bench.tell(e.OutputSeen, ("one",), after=5)
    worked = bench.state.last_progress, bench.state.progress_kind
    died = bench.now + 5
    dead = evolve(bench.state, e.ProcessExited("a1", died, 1, None, 9), bench.spec).state
    assert not dead.alive
    touched = make("a1", died + 0.1, *(["die"] if make is e.FileChanged else []))
    dead = evolve(dead, touched, bench.spec).state
    assert (dead.last_progress, dead.progress_kind) == worked
    dead = evolve(dead, e.CheckpointReceived("a1", died, 1, True), bench.spec).state
    assert dead.last_progress == died, "its own letter is read late, and is its own"


def test_the_echo_of_our_nudge_proves_nothing(bench: Bench) -> None:
    bench.look(61)
    assert bench.did() == ["timeout", "nudge"]
    nudge = next(x for x in bench.actions if isinstance(x, a.Nudge))
    bench.tell(e.Typed, nudge.text)
    bench.tell(e.OutputSeen, (f"> {nudge.text[:60]}", f"  {nudge.text[60:]}"), after=5)
    assert bench.in_trouble()
    bench.tell(e.OutputSeen, ("bash: You: command not found",), after=-4)
    assert bench.in_trouble(), "an answer to our keys within two seconds is no work"
    bench.tell(e.OutputSeen, ("a different thing altogether",), after=9)
    assert not bench.in_trouble()


def test_resume_with_a_checkpoint_else_restart_known_only_when_the_inbox_is_drained(bench: Bench) -> None:
    bench.resumable = True
    bench.tell(e.ProcessExited, 1, None, 9)
    assert bench.did() == ["resume"]
    assert bench.in_trouble()
    assert bench.incident().cause == "killed"
    assert bench.incident().attempts[0].strategy is Strategy.RESUME
    bench.look(33)
    assert bench.did() == ["resume", "restart"]


def test_exit_zero_is_done_and_done_is_left_alone(bench: Bench) -> None:
    bench.tell(e.ProcessExited, 1, 0, None)
    assert bench.phase() is Phase.DONE
    assert bench.state.task is None
    bench.look(100_000)
    assert bench.did() == []


def test_permanent_takes_exit_zero_for_a_failure_and_temporary_is_never_restarted(
    make_spec: MakeSpec,
) -> None:
    permanent = Bench(make_spec(restart="permanent"))
    permanent.tell(e.ProcessExited, 1, 0, None)
    assert permanent.did() == ["restart"]
    temporary = Bench(make_spec(restart="temporary"))
    temporary.tell(e.ProcessExited, 1, 7, None)
    assert temporary.phase() is Phase.EXITED
    temporary.look(100_000)
    assert temporary.did() == []


def test_who_said_that_it_failed_does_not_come_back_by_printing_on(bench: Bench) -> None:
    bench.tell(e.OutputSeen, ("begun",), after=1.0)
    bench.tell(e.FailReceived, "cannot do it with API_KEY=hunter22", None, after=3.0)
    assert bench.state.incident is not None
    assert bench.state.incident.detail == "cannot do it with API_KEY=[secret removed]"
    assert not bench.told("agent_attempt_failed")
    bench.tell(e.FailReceived, "still cannot", None, after=3.0)
    assert bench.told("agent_attempt_failed")
    bench.tell(e.OutputSeen, ("giving up, it says",), after=0.1)
    bench.tell(e.FileChanged, "log.txt", after=0.1)
    assert bench.state.incident is not None
    bench.look(after=600.0)
    assert bench.state.phase is Phase.ESCALATED


def test_permission_goes_straight_to_a_person(bench: Bench) -> None:
    bench.tell(e.ProcessExited, 1, 126, None)
    assert bench.did() == ["escalation", "failure"]
    assert bench.phase() is Phase.ESCALATED


def test_the_deadline_bounds_the_task_over_all_attempts_and_rests_while_waiting(bench: Bench) -> None:
    bench.tell(e.AskReceived, "which one?")
    bench.look(10_000)
    assert bench.phase() is Phase.WAITING
    bench.tell(e.BeatReceived, "executing")
    for step in range(200):
        if bench.phase() is Phase.ESCALATED:
            break
        bench.tell(e.CheckpointReceived, step + 1, True, step, after=50)
    assert bench.phase() is Phase.ESCALATED
    assert bench.in_trouble()
    assert bench.incident().cause == "deadline"
    assert 7200 <= bench.now - T0 - 10_000 <= 7300


def test_a_file_written_just_before_the_question_does_not_end_the_waiting(bench: Bench) -> None:
    bench.tell(e.AskReceived, "which one?")
    bench.tell(e.FileChanged, "draft.txt", after=0.3)
    assert bench.phase() is Phase.WAITING
    bench.tell(e.FileChanged, "final.txt", after=10)
    assert bench.phase() is Phase.WORKING


def test_an_agent_without_a_task_may_be_idle_for_ever_unless_it_is_frozen(make_spec: MakeSpec) -> None:
    idle = Bench(make_spec(prompt=None))
    idle.tell(e.OutputSeen, ("$",))
    assert idle.phase() is Phase.IDLE
    idle.look(100_000)
    assert idle.did() == []
    idle.tell(e.ProcessMeasured, False, (), True, 0.0, 1.0, 1)
    idle.look(1)
    assert idle.did()[:1] == ["timeout"]


def test_a_silent_program_without_a_task_or_probe_is_not_missed_while_it_starts(make_spec: MakeSpec) -> None:
    quiet = Bench(make_spec(prompt=None))
    quiet.look(100_000)
    assert quiet.did() == []
    probed = Bench(make_spec(prompt=None, ready=Probe(port=1)))
    probed.look(100_000)
    assert probed.did()[:1] == ["timeout"], "it was to become ready"


def test_unseen_is_unknown_and_never_acted_upon(bench: Bench) -> None:
    bench.tell(e.Unseen, "tmux did not answer")
    bench.look(bench.spec.policy.task_deadline - 1)
    assert bench.phase() is Phase.UNKNOWN
    assert bench.did() == []
    bench.tell(e.SeenAgain)
    bench.look(0.5)
    assert bench.did() == []


def test_a_task_that_is_over_time_is_a_persons_whether_its_agent_is_seen_or_not(bench: Bench) -> None:
    bench.tell(e.Unseen, "tmux did not answer")
    asked = len(bench.actions)
    bench.look(bench.spec.policy.task_deadline + 1)
    assert bench.phase() is Phase.ESCALATED
    assert [type(action) for action in bench.actions[asked:]] == [a.Escalate], "nothing touches the agent"


def test_who_lives_without_a_pane_is_judged_by_all_other_evidence(bench: Bench) -> None:
    bench.tell(e.BeatReceived, "executing")
    bench.tell(e.Unseen, "its pane is gone")
    bench.tell(e.PaneLost, "its pane is gone", after=5)
    assert (bench.phase(), bench.state.pane) == (Phase.WORKING, None)
    bench.look(50)
    bench.tell(e.FileChanged, "parser.py")
    bench.look(59)
    assert bench.did() == []
    bench.look(2)
    assert bench.did()[:1] == ["timeout"]


def test_what_is_lost_from_sight_again_and_again_is_found_stalled_all_the_same(bench: Bench) -> None:
    """Only the time in which nobody looked is given back: else a tmux that hiccups hides every stall."""
    for _ in range(8):
        bench.look(10)
        bench.tell(e.Unseen, "the connection ended")
        bench.look(5)
        bench.tell(e.SeenAgain)
    assert bench.did()[:1] == ["timeout"]


def test_what_was_done_out_of_sight_is_told_in_time(bench: Bench) -> None:
    bench.look(59)
    bench.tell(e.Unseen, "the connection ended")
    bench.look(5)
    bench.tell(e.SeenAgain)
    bench.look(1.5)
    assert bench.did() == [], "the look at what it printed meanwhile is under way"
    bench.look(1)
    assert bench.did()[:1] == ["timeout"]


def test_paused_and_stopped_hold(bench: Bench) -> None:
    bench.tell(e.Ordered, "pause", "o1", "me")
    bench.look(100_000)
    assert bench.phase() is Phase.PAUSED
    bench.tell(e.ProcessExited, 1, 1, None)
    bench.look(100_000)
    assert bench.did() == []
    bench.tell(e.Ordered, "unpause", "o2", "me")
    assert bench.did() == ["restart"]
    bench.tell(e.Ordered, "stop", "o3", "me")
    bench.look(100_000)
    assert bench.phase() is Phase.STOPPED
    assert bench.did() == ["restart"]


def test_while_a_person_is_attached_nothing_is_done_by_itself(bench: Bench) -> None:
    bench.tell(e.PersonPresent, True)
    bench.tell(e.ProcessExited, 1, 1, None)
    bench.look(1000)
    assert bench.did() == []
    bench.tell(e.PersonPresent, False)
    assert bench.did() == ["restart"]


def test_manual_recoveries_spend_no_budget_and_clear_an_escalated_agent(bench: Bench) -> None:
    bench.tell(e.ProcessExited, 1, 126, None)
    assert bench.phase() is Phase.ESCALATED
    bench.tell(e.Ordered, "restart", "o1", "me")
    assert (bench.state.restarts, bench.state.reassigns) == (0, 0)
    assert bench.phase() is Phase.RECOVERING
    assert any(isinstance(x, a.ClearMarker) for x in bench.actions)
    bench.tell(e.FileChanged, "x", after=1)
    assert bench.did()[-1] == "recovered"
    assert bench.told("operator_outcome")


def test_budgets_outlive_incidents_and_refill_after_stable_after(bench: Bench) -> None:
    attempt = 1
    for _ in range(3):
        bench.tell(e.ProcessExited, attempt, 1, None)
        attempt = bench.state.attempt
        bench.tell(e.FileChanged, "x", after=1)
    assert bench.state.restarts == 3
    for _ in range(70):
        bench.tell(e.FileChanged, "x", after=10)
    assert bench.state.restarts == 0
    assert bench.told("agent_budgets_refilled")


def test_a_supervisor_that_slept_blames_nobody(bench: Bench) -> None:
    bench.now += 500
    bench.see(e.SupervisorStalled, 500.0)
    bench.look(59)
    assert bench.did() == []


def test_evidence_of_an_older_attempt_changes_nothing(bench: Bench) -> None:
    bench.tell(e.ProcessExited, 1, 1, None)
    before = bench.state
    bench.tell(e.ProcessExited, 1, 1, None)
    assert bench.state == before


def test_state_survives_the_ledger(bench: Bench) -> None:
    bench.tell(e.OutputSeen, ("hello",))
    bench.tell(e.ProcessExited, 1, 1, None)
    assert load_state(dump_state(bench.state)) == bench.state
    assert replace(bench.state, phase=Phase.IDLE) != bench.state


def test_observe_mode_writes_down_what_it_would_do_and_does_nothing(make_spec: MakeSpec) -> None:
    bench = Bench(make_spec(mode="observe"))
    bench.tell(e.ProcessExited, 1, 1, None)
    bench.look(100_000)
    assert len(bench.told("agent_observed")) == 1
    assert [x for x in bench.actions if not isinstance(x, a.StartAttempt)] == []


def test_no_field_takes_the_place_of_an_events_own_columns(bench: Bench) -> None:
    fixed = {"seq", "at", "type", "agent", "incident"}
    for evidence in (
        e.CheckpointReceived("a1", T0 + 1, 7, True, 2),
        e.CheckpointTaken("a1", T0 + 2, 8, True),
        e.ProcessExited("a1", T0 + 3, 1, 1, None),
    ):
        happenings = evolve(bench.state, evidence, bench.spec).happenings
        assert happenings
        assert [h.type for h in happenings if fixed & set(h.fields)] == []
