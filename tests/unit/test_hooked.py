"""What a CLI's own hooks say, against what its screen looks like."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hhmrs.config.fleet import AgentSpec
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import Phase
from hhmrs.healing.explain import explain
from hhmrs.tests.unit.desk import Desk

MakeSpec = Callable[..., AgentSpec]


@pytest.fixture
def idle(make_spec: MakeSpec) -> Desk:
    """One without a task."""
    made = Desk(make_spec(prompt=None))
    made.tell(e.HookTold, "idle", after=1.0)
    assert made.phase() is Phase.IDLE
    return made


@pytest.fixture
def tasked(make_spec: MakeSpec) -> Desk:
    made = Desk(make_spec(prompt="do it"))
    made.tell(e.HookTold, "busy", after=1.0)
    made.tell(e.FileChanged, "x", after=1.0)
    assert made.phase() is Phase.WORKING
    return made


def test_turns_are_followed_at_once_however_often(idle: Desk) -> None:
    for _ in range(20):
        idle.tell(e.HookTold, "busy", after=0.2)
        assert idle.phase() is Phase.WORKING
        idle.tell(e.HookTold, "idle", after=0.2)
        assert idle.phase() is Phase.IDLE


def test_a_screen_that_looks_otherwise_changes_nothing_until_the_next_hook(idle: Desk) -> None:
    idle.tell(e.ScreenMatched, "busy", "spinner", after=5.0)
    idle.tell(e.ScreenCleared, after=5.0)
    assert idle.phase() is Phase.IDLE
    idle.tell(e.HookTold, "busy", after=1.0)
    idle.tell(e.ScreenMatched, "idle", "prompt", after=5.0)
    idle.tell(e.ScreenCleared, after=5.0)
    assert idle.phase() is Phase.WORKING


def test_with_the_process_the_word_of_its_hook_is_over(idle: Desk) -> None:
    idle.tell(e.Ordered, "restart", "o1", "me", after=5.0)
    assert idle.state.attempt == 2
    assert idle.state.hook is None


def test_a_question_is_waited_for_with_its_words(tasked: Desk) -> None:
    tasked.tell(e.HookTold, "waiting", "may it use Bash: make?", after=1.0)
    assert tasked.phase() is Phase.WAITING
    assert tasked.state.message == "may it use Bash: make?"
    assert tasked.told("agent_phase")[-1]["why"] == "may it use Bash: make?"
    told = explain(tasked.state, tasked.spec, tasked.now)
    assert "may it use Bash: make?" in told.rule
    tasked.look(7200.0)
    assert tasked.phase() is Phase.WAITING, "no clock runs meanwhile"


def test_a_prompt_on_the_screen_does_not_end_a_question(tasked: Desk) -> None:
    tasked.tell(e.HookTold, "waiting", "may it?", after=1.0)
    tasked.tell(e.ScreenMatched, "idle", "prompt", after=2.0)
    tasked.tell(e.ScreenCleared, after=2.0)
    assert tasked.phase() is Phase.WAITING


@pytest.mark.parametrize("how", ["busy", "seen and gone", "hook", "tool", "file"])
def test_a_question_ends_when_anything_shows_it(tasked: Desk, how: str) -> None:
    tasked.tell(e.HookTold, "waiting", "may it?", after=1.0)
    if how == "busy":
        tasked.tell(e.ScreenMatched, "busy", "spinner", after=3.0)
    elif how == "seen and gone":
        tasked.tell(e.ScreenMatched, "waiting", "dialog", after=0.3)
        tasked.tell(e.ScreenCleared, after=3.0)
    elif how == "file":
        tasked.tell(e.FileChanged, "x", after=3.0)
    else:
        tasked.tell(e.HookTold, "busy", "", "Bash" if how == "tool" else "", after=3.0)
    assert tasked.phase() is Phase.WORKING
    assert "may it?" not in explain(tasked.state, tasked.spec, tasked.now).rule


def test_a_look_from_before_the_hook_says_nothing(tasked: Desk) -> None:
    tasked.tell(e.HookTold, "waiting", "may it?", after=1.0)
    at = tasked.now - 0.5
    tasked.see(lambda agent, _: e.ScreenMatched(agent, at, "busy", "spinner"))
    assert tasked.phase() is Phase.WAITING


def test_a_dialog_that_no_hook_told_of_is_waited_for_and_then_the_hook_counts_again(tasked: Desk) -> None:
    tasked.tell(e.ScreenMatched, "waiting", "trust", after=2.0)
    assert tasked.phase() is Phase.WAITING
    tasked.tell(e.ScreenCleared, after=2.0)
    assert tasked.phase() is Phase.WORKING
    assert tasked.state.screen == "busy"


def test_a_hook_is_life_and_a_turn_is_no_progress(tasked: Desk) -> None:
    began = tasked.now
    while tasked.state.incident is None and tasked.now < began + 1000.0:
        tasked.tell(e.HookTold, "busy", after=20.0)
    assert tasked.now - began == pytest.approx(600.0, abs=21.0), "life, so no stall; and no progress"
    symptoms = {str(x["symptom"]) for x in tasked.told("agent_incident")}
    assert symptoms == {"looping"}


def test_a_tool_that_ran_to_its_end_is_progress(tasked: Desk) -> None:
    for _ in range(50):
        tasked.tell(e.HookTold, "busy", "", "Bash", after=20.0)
    assert tasked.phase() is Phase.WORKING
    assert tasked.did() == []
    assert tasked.state.progress_kind == "its tool Bash ran to its end"


def test_a_limit_with_its_time_is_waited_out_though_its_prompt_is_there(tasked: Desk) -> None:
    until = tasked.now + 1800.0
    tasked.tell(e.ErrorShown, "rate_limited", "resets in 30 min", until, "hook", after=1.0)
    tasked.tell(e.ScreenMatched, "idle", "prompt", after=2.0)
    tasked.tell(e.HookTold, "idle", after=60.0)
    assert tasked.phase() is Phase.LIMITED
    assert tasked.state.limited_until == until
    tasked.look(1800.0)
    assert tasked.phase() is not Phase.LIMITED
    assert tasked.state.hook is None


def test_an_error_by_hook_has_its_cause(tasked: Desk) -> None:
    tasked.tell(e.ErrorShown, "auth", "Invalid API key", None, "hook", after=1.0)
    assert tasked.phase() is Phase.ESCALATED
    assert tasked.told("agent_incident")[-1]["cause"] == "auth"
    assert "its hook says: Invalid API key" in str(tasked.told("agent_incident")[-1]["detail"])


def test_without_a_task_a_failed_turn_is_over_and_no_incident(idle: Desk) -> None:
    idle.tell(e.HookTold, "busy", after=1.0)
    idle.tell(e.ErrorShown, "api_error", "overloaded", None, "hook", after=1.0)
    assert idle.phase() is Phase.IDLE
    assert idle.state.incident is None
    assert idle.state.trouble is not None


def test_an_ask_letter_outlives_the_tool_that_sent_it_and_the_end_of_the_turn(tasked: Desk) -> None:
    tasked.tell(e.AskReceived, "which one?", after=5.0)
    tasked.tell(e.HookTold, "busy", "", "Bash", after=0.1)
    tasked.tell(e.HookTold, "idle", after=0.5)
    assert tasked.phase() is Phase.WAITING
    tasked.tell(e.HookTold, "busy", after=30.0)
    assert tasked.phase() is Phase.WORKING


def test_hands_off_is_hands_off(tasked: Desk) -> None:
    tasked.tell(e.Ordered, "pause", "o1", "me", after=1.0)
    for phase in ("busy", "waiting", "idle"):
        tasked.tell(e.HookTold, phase, "may it?", after=1.0)
        assert tasked.phase() is Phase.PAUSED


def test_a_failed_turn_without_a_hook_of_its_own_is_over_by_its_transcript(idle: Desk) -> None:
    idle.tell(e.HookTold, "busy", after=1.0)
    idle.tell(e.ScreenMatched, "idle", "prompt", after=2.0)
    assert idle.phase() is Phase.WORKING
    idle.tell(e.ErrorShown, "auth", "401", None, "transcript", after=0.1)
    assert idle.state.hook is None
    assert idle.phase() is Phase.ESCALATED, "nobody but a person logs it in"
    idle.tell(e.Ordered, "clear", "o1", "me", after=1.0)
    idle.tell(e.HookTold, "busy", after=1.0)
    idle.tell(e.ScreenMatched, "idle", "prompt", after=2.0)
    idle.tell(e.ErrorShown, "api_error", "529", None, "transcript", after=0.1)
    assert idle.phase() is Phase.IDLE


def test_who_may_have_missed_the_end_of_a_turn_is_not_timed(idle: Desk) -> None:
    """Not every CLI has a hook for a turn that a person broke off."""
    idle.tell(e.HookTold, "busy", after=1.0)
    idle.tell(e.ScreenMatched, "idle", "prompt", after=2.0)
    idle.look(7200.0)
    assert idle.did() == []
    idle.tell(e.ScreenCleared, after=1.0)
    idle.tell(e.HookTold, "busy", after=1.0)
    idle.look(7200.0)
    assert "timeout" in idle.did(), "with no prompt on its screen it is"


def test_a_second_hook_of_the_same_question_keeps_its_words(tasked: Desk) -> None:
    tasked.tell(e.HookTold, "waiting", "may it use Bash: make?", after=1.0)
    tasked.tell(e.HookTold, "waiting", after=0.1)
    assert tasked.state.message == "may it use Bash: make?"
    tasked.tell(e.HookTold, "busy", after=1.0)
    assert tasked.state.message == ""
