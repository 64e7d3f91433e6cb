"""Causes in the brain: who sent a SIGINT, errors of agents that live, limits that end, a CLI that left."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hhmrs.config.fleet import AgentSpec, ExitRule, Profile, Seat
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import Incident, Phase, Stage
from hhmrs.healing.explain import explain
from hhmrs.tests.unit.desk import Desk

MakeSpec = Callable[..., AgentSpec]
T0 = 1_000_000.0
CLI = Profile(
    name="cli",
    exits=(ExitRule(cause="rate_limited", pattern="^usage limit"), ExitRule(cause="auth", pattern="^log in")),
)


class Case(Desk):
    """What runs ends when the ground is cleared, with the status of what was sent to it."""

    def __init__(self, spec: AgentSpec, *, resumable: bool = True) -> None:
        super().__init__(spec, T0)
        self.resumable = resumable
        self.look()

    def answer(self, action: a.Action) -> None:
        if not isinstance(action, a.ClearGround):
            super().answer(action)
            return
        if self.state.alive:
            status = 130 if action.cause == "looping" else 143
            self.tell(e.ProcessExited, self.state.attempt, status, None)
        self.tell(e.StepFinished, action.key, True, resumable=self.resumable)

    def dies(
        self, status: int | None, signal: int | None = None, *said: str, after: float = 0.0, **more: object
    ) -> None:
        self.tell(e.ProcessExited, self.state.attempt, status, signal, said, after=after, **more)

    def works(self) -> None:
        self.tell(e.FileChanged, f"file-{self.now}", after=3.0)

    @property
    def incident(self) -> Incident:
        assert self.state.incident is not None
        return self.state.incident


@pytest.fixture
def desk(make_spec: MakeSpec) -> Case:
    made = Case(make_spec(alternates=1, seats=(Seat(profile=CLI),) * 2))
    made.works()
    return made


# -- whose SIGINT ---------------------------------------------------------------------------------


def test_a_sigint_of_a_person_is_said_to_be_a_persons(desk: Case) -> None:
    desk.tell(e.PersonPresent, True)
    desk.dies(130, after=5)
    assert desk.incident.cause == "sigint"
    assert desk.incident.detail == "exit 130 (SIGINT); a person was attached"


@pytest.mark.parametrize(
    ("after", "words"), [(1.5, "a person was attached until 1.5 s before"), (2.5, "no person")]
)
def test_who_left_a_moment_before_may_have_done_it(desk: Case, after: float, words: str) -> None:
    desk.tell(e.PersonPresent, True)
    desk.tell(e.PersonPresent, False, after=1)
    desk.dies(None, 2, after=after)
    assert desk.incident.cause == "sigint"
    assert words in desk.incident.detail


def test_a_sigint_after_keys_of_ours_is_ours(desk: Case) -> None:
    desk.tell(e.Typed, "go on", after=10)
    desk.dies(130, after=1)
    assert "keys of ours were typed 1.0 s before" in desk.incident.detail


def test_a_sigint_while_a_nudge_of_our_clock_is_under_way_names_the_clock(desk: Case) -> None:
    desk.look(61)
    assert "nudge" in desk.did()
    desk.dies(130, after=10)
    attempt = desk.incident.attempts[0]
    assert "a timer of ours had set off a nudge (stalled)" in attempt.why


def test_a_sigint_of_the_interrupt_that_ends_a_loop_is_our_clocks(desk: Case) -> None:
    for _ in range(200):
        desk.tell(e.BeatReceived, "executing", after=10)
        if len(desk.actions) > 2:
            break
    ended = next(x for x in desk.happened if x.type == "agent_exited")
    assert ended.fields["cause"] == "ended by us"
    assert ended.fields["detail"] == "exit 130 (SIGINT); a timer of ours had set off its end (looping)"


@pytest.mark.parametrize(
    ("pressure", "words"),
    [
        (34.2, "the host was short of memory (somebody waited for it 34 % of the time)"),
        (0.5, "no person was attached, and no key or timer of ours was at it"),
        (None, "whether the host was short of memory is not known"),
    ],
)
def test_want_of_memory_beside_a_sigint_is_said(desk: Case, pressure: float | None, words: str) -> None:
    desk.dies(130, after=10, pressure=pressure)
    assert words in desk.incident.detail


# -- the table's ladders --------------------------------------------------------------------------


def test_permission_and_auth_go_to_a_person_at_once(desk: Case) -> None:
    desk.dies(126)
    assert desk.state.phase is Phase.ESCALATED
    assert desk.did() == ["escalation", "failure"]


def test_a_full_context_is_restarted_with_the_handoff_never_resumed(make_spec: MakeSpec) -> None:
    profile = Profile(name="p", exit_codes={9: "context_exhausted"})
    desk = Case(make_spec(seats=(Seat(profile=profile),) * 2, max_restarts=2))
    desk.works()
    for _ in range(3):
        desk.dies(9, after=3)
        desk.look(10)
    assert desk.did() == ["restart", "restart", "escalation", "reassign"]


def test_an_api_error_waits_even_before_the_first_attempt(make_spec: MakeSpec) -> None:
    profile = Profile(name="p", exit_codes={9: "api_error"})
    desk = Case(make_spec(seats=(Seat(profile=profile),)))
    desk.works()
    desk.dies(9)
    assert desk.state.recovery is not None
    assert desk.state.recovery.stage is Stage.BACKOFF
    desk.look(desk.spec.policy.backoff.max - 0.1)
    assert desk.did() == []
    desk.look(2)
    assert desk.did() == ["resume"]
    desk.dies(9, after=3)
    assert desk.state.recovery.due - desk.now >= 2 * desk.spec.policy.backoff.max


def test_what_loops_is_interrupted_before_it_is_ended(desk: Case) -> None:
    for _ in range(200):
        desk.tell(e.BeatReceived, "executing", after=10)
        if len(desk.actions) > 2:
            break
    cleared = [x for x in desk.actions if isinstance(x, a.ClearGround)]
    assert [x.cause for x in cleared] == ["looping"]


# -- a limit that ends ----------------------------------------------------------------------------


def test_one_that_died_of_a_limit_waits_for_its_end_and_goes_on_at_no_cost(desk: Case) -> None:
    desk.dies(1, None, "usage limit, resets in 1h", until=desk.now + 3600)
    assert desk.state.phase is Phase.LIMITED
    assert desk.incident.cause == "rate_limited"
    assert "usage limit, resets in 1h" in desk.incident.detail
    desk.look(3500)
    assert desk.did() == []
    assert desk.state.task is not None
    assert desk.state.task.spent < 10
    desk.look(101)
    assert desk.did() == ["resume"]
    assert (desk.state.restarts, desk.state.reassigns) == (0, 0)
    desk.works()
    assert desk.did() == ["resume", "recovered"]


def test_without_a_time_it_backs_off_and_spends_its_budget(desk: Case) -> None:
    desk.dies(1, None, "usage limit")
    assert desk.state.phase is Phase.EXITED
    desk.look(desk.spec.policy.backoff.max - 0.1)
    assert desk.did() == []
    desk.look(2)
    assert desk.did() == ["resume"]
    assert desk.state.restarts == 1


def test_limits_that_end_again_and_again_come_to_an_end(desk: Case) -> None:
    for _ in range(60):
        if desk.state.phase is Phase.ESCALATED:
            break
        desk.dies(1, None, "usage limit", until=desk.now + 60)
        desk.look(70)
    assert desk.state.phase is Phase.ESCALATED
    policy = desk.spec.policy
    assert desk.did().count("resume") + desk.did().count("restart") == 2 * policy.max_restarts
    assert desk.did().count("reassign") == policy.max_llm_retries


def test_a_limit_without_end_is_nothing_to_wait_for(desk: Case) -> None:
    desk.dies(1, None, "usage limit, resets in 300 days", until=desk.now + 300 * 86_400)
    assert desk.phase() is Phase.EXITED
    desk.look(desk.spec.policy.backoff.max + 2)
    assert desk.did() == ["resume"]
    assert desk.state.restarts == 1


def test_a_limit_found_on_the_way_outranks_what_the_incident_began_with(desk: Case) -> None:
    desk.dies(1)
    desk.dies(1, None, "usage limit", after=3, until=desk.now + 600)
    assert (desk.incident.cause, desk.state.phase) == ("rate_limited", Phase.LIMITED)
    desk.look(601)
    assert desk.did() == ["resume", "restart"]
    assert desk.state.restarts == 1


def test_a_person_may_go_on_before_the_limit_ends(desk: Case) -> None:
    desk.dies(1, None, "usage limit", until=desk.now + 3600)
    desk.tell(e.Ordered, "restart", "letter-1", "ann", after=5)
    assert desk.did() == ["restart"]
    desk.works()
    assert desk.state.phase is Phase.WORKING
    assert desk.state.limited_until is None


def test_what_comes_next_is_explained(desk: Case) -> None:
    desk.dies(1, None, "usage limit", until=desk.now + 3600)
    told = explain(desk.state, desk.spec, desk.now)
    assert "usage limit" in told.rule
    assert told.next == "resume, the limit's time is over; it spends no budget"
    assert told.when_s == pytest.approx(3600)


# -- what it said last ----------------------------------------------------------------------------


def test_its_last_words_are_kept_told_and_explained_without_secrets(desk: Case) -> None:
    said = [f"line {n}" for n in range(20)]
    desk.dies(1, None, *said, "\x1b[31mAPI_KEY=qwertyuiop1234\x07 is refused\x1b[0m", "", "cannot go on")
    kept = ("line 14", "line 15", "line 16", "line 17", "line 18", "line 19")
    (told,) = desk.told("agent_exited")
    assert told["said"] == [*kept, "API_KEY=[secret removed] is refused", "cannot go on"]
    assert desk.state.alive, "another attempt has begun since"
    assert desk.state.last_words == (), "and has said nothing yet"


def test_who_ends_well_or_by_our_hand_leaves_no_last_words(desk: Case) -> None:
    desk.tell(e.Ordered, "restart", "letter-1", "ann")
    desk.works()
    desk.dies(0, None, "all done")
    assert [told.get("said") for told in desk.told("agent_exited")] == [None, None]
    assert desk.state.last_words == ()


def test_the_beginning_of_an_attempt_is_not_told_as_progress_of_the_one_before(desk: Case) -> None:
    assert (
        "last progress 2.0 s ago: changed file-1000000.0"
        in explain(desk.state, desk.spec, desk.now + 2).facts
    )
    desk.dies(1)
    assert "no progress of this attempt yet" in explain(desk.state, desk.spec, desk.now + 2).facts
    desk.works()
    assert any(fact.startswith("last progress") for fact in explain(desk.state, desk.spec, desk.now).facts)


def test_where_nothing_is_done_but_observed_nothing_is_announced(make_spec: MakeSpec) -> None:
    desk = Case(make_spec(mode="observe", seats=(Seat(profile=CLI),)))
    desk.works()
    desk.dies(1)
    told = explain(desk.state, desk.spec, desk.now)
    assert (
        told.next == "nothing, it is only observed; armed, it would be resume, attempt 1 of 3 by the parent"
    )
    assert told.when_s is None


# -- why a person is needed -----------------------------------------------------------------------


def test_who_is_given_up_by_the_ladder_says_why_and_shows_its_last_words(desk: Case) -> None:
    desk.dies(1, None, "log in, please")
    told = explain(desk.state, desk.spec, desk.now)
    assert desk.phase() is Phase.ESCALATED
    assert told.rule.startswith("nothing heals cause auth but a person; a person is needed: exit 1")
    assert "its last words: log in, please" in told.facts


def test_who_is_given_up_by_a_person_is_not_said_to_have_been_tried(desk: Case) -> None:
    desk.tell(e.Ordered, "escalate", "letter-1", "ann")
    assert explain(desk.state, desk.spec, desk.now).rule == "escalated by ann; a person is needed"


def test_what_fails_after_an_order_is_given_up_for_its_own_cause_and_not_for_the_order(desk: Case) -> None:
    desk.tell(e.Ordered, "restart", "letter-1", "ann")
    assert (desk.incident.cause, desk.incident.detail) == ("unknown", "restart ordered by ann")
    desk.dies(1, after=1)
    assert (desk.incident.cause, desk.incident.detail) == ("crash", "exit 1")
    for _ in range(20):
        if desk.phase() is Phase.ESCALATED:
            break
        desk.look(20)
        desk.dies(1)
    (told,) = desk.told("hhmrs_failure")
    assert told["cause"] == "crash"
    assert told["reason"] == "exit 1; 3 attempts in a row each died in under 30 s"


def test_an_order_in_vain_says_why_it_failed_and_not_who_gave_it(desk: Case) -> None:
    desk.tell(e.Ordered, "restart", "letter-1", "ann")
    for _ in range(20):
        if desk.told("operator_outcome") and desk.incident.detail != "restart ordered by ann":
            break
        desk.look(5)
    why = f"no fresh progress within {desk.spec.policy.verify_within:g} s"
    assert desk.told("operator_outcome")[-1]["message"] == why
    assert desk.incident.detail == why
    assert desk.told("agent_cause_found") == [{"cause": "unknown", "detail": why}]
    assert "ordered by" not in explain(desk.state, desk.spec, desk.now).rule


# -- errors of those that live --------------------------------------------------------------------


def test_an_error_of_its_transcript_opens_an_incident_with_that_cause(desk: Case) -> None:
    desk.tell(e.ErrorShown, "api_error", "API Error: 500", None, "transcript", after=5)
    assert (desk.incident.symptom, desk.incident.cause) == ("error", "api_error")
    assert desk.incident.detail == "its transcript says: API Error: 500"
    assert desk.state.phase is Phase.RECOVERING
    desk.look(desk.spec.policy.backoff.max - 0.1)
    assert desk.did() == []
    desk.look(2)
    assert desk.did() == ["resume"]


def test_an_auth_error_goes_to_a_person_at_once(desk: Case) -> None:
    desk.tell(e.ErrorShown, "auth", "Please run /login")
    told = explain(desk.state, desk.spec, desk.now)
    assert "its screen says that it cannot go on (auth): Please run /login" in told.facts
    assert desk.state.phase is Phase.ESCALATED
    assert [x for x in desk.actions if isinstance(x, a.ClearGround)] == [], "it is left as it is"


def test_words_on_its_screen_do_not_take_an_error_back_and_work_does(desk: Case) -> None:
    desk.tell(e.ErrorShown, "api_error", "API Error: 500")
    desk.tell(e.OutputSeen, ("a new footer",), after=0.5)
    assert desk.incident.outcome is None
    desk.tell(e.TranscriptGrew, after=0.1)
    assert desk.state.incident is None
    assert desk.state.trouble is None
    assert desk.state.phase is Phase.WORKING
    desk.look(30)
    assert desk.did() == []


def test_a_busy_line_after_the_error_means_that_it_goes_on_itself(desk: Case) -> None:
    desk.tell(e.ErrorShown, "api_error", "API Error: 500")
    desk.tell(e.ScreenMatched, "busy", "busy", after=0.5)
    assert desk.state.incident is None
    assert desk.state.phase is Phase.WORKING
    desk.look(30)
    assert desk.did() == []


def test_a_limit_with_a_time_is_a_limited_agent_and_no_incident(desk: Case) -> None:
    desk.tell(e.ErrorShown, "rate_limited", "resets in 1h", desk.now + 3605, "transcript", after=5)
    assert desk.phase() is Phase.LIMITED
    assert desk.state.incident is None
    desk.look(3601)
    assert desk.phase() is Phase.WORKING


def test_a_screen_that_names_no_time_does_not_take_back_the_transcripts(desk: Case) -> None:
    desk.tell(e.ErrorShown, "rate_limited", "usage limit", desk.now + 3600.0, "transcript")
    ends = desk.state.limited_until
    assert ends is not None
    desk.tell(e.ScreenMatched, "limited", "usage-limit", after=1.0)
    assert (desk.state.phase, desk.state.limited_until) == (Phase.LIMITED, ends)
    desk.tell(e.ScreenMatched, "limited", "usage-limit", ends + 60.0, after=1.0)
    assert desk.state.limited_until == ends + 60.0, "the newer word, where it has one"


def test_a_limit_without_a_time_backs_off(desk: Case) -> None:
    desk.tell(e.ErrorShown, "rate_limited", "429", None, "transcript")
    assert desk.incident.cause == "rate_limited"
    desk.look(desk.spec.policy.backoff.max - 0.1)
    assert desk.did() == []
    desk.look(2)
    assert desk.did() == ["resume"]


@pytest.mark.parametrize("held", ["pause", "escalate"])
def test_one_that_is_held_is_left_alone(desk: Case, held: str) -> None:
    desk.tell(e.Ordered, held, "letter-1", "ann")
    before = desk.state.phase
    desk.tell(e.ErrorShown, "api_error", "API Error: 500", after=1)
    desk.look(60)
    assert desk.state.phase is before
    assert "resume" not in desk.did()


def test_one_that_asks_a_person_is_left_alone(desk: Case) -> None:
    desk.tell(e.ScreenMatched, "waiting", "permission")
    desk.tell(e.ErrorShown, "api_error", "API Error: 500", None, "transcript", after=1)
    desk.look(600)
    assert desk.state.phase is Phase.WAITING
    assert desk.state.incident is None


def test_nobodys_task_is_nobodys_trouble(make_spec: MakeSpec) -> None:
    desk = Case(make_spec(prompt=None, seats=(Seat(profile=CLI),)))
    desk.tell(e.ScreenMatched, "idle", "idle")
    desk.tell(e.ErrorShown, "api_error", "API Error: 500")
    desk.look(600)
    assert desk.state.incident is None
    desk.tell(e.ErrorShown, "auth", "Please run /login")
    assert desk.state.phase is Phase.ESCALATED, "nobody else will log it in"


def test_an_error_of_the_past_that_a_resumed_session_shows_does_not_end_the_attempt(desk: Case) -> None:
    desk.dies(1)
    desk.tell(e.ErrorShown, "auth", "Please run /login", after=2)
    assert desk.state.recovery is not None
    assert desk.state.recovery.stage is Stage.VERIFYING
    assert desk.incident.cause == "crash"
    desk.works()
    assert desk.did() == ["resume", "recovered"]


def test_an_error_that_stays_is_why_the_attempt_failed_and_outranks_if_nothing_heals_it(
    desk: Case,
) -> None:
    desk.dies(1)
    desk.tell(e.ErrorShown, "auth", "Please run /login", after=2)
    desk.tell(e.OutputSeen, ("something new at its prompt",), after=5)
    desk.look(31)
    assert desk.state.phase is Phase.ESCALATED
    assert desk.incident.cause == "auth"
    assert "Please run /login" in desk.incident.attempts[0].why
    assert desk.did() == ["resume", "escalation", "failure"]


def test_words_of_an_error_are_news_and_no_progress(desk: Case) -> None:
    desk.dies(1)
    desk.tell(e.OutputSeen, ("usage limit once more, in other words",), after=5)
    assert desk.did() == ["resume"], "what it prints is that it cannot go on"
    desk.tell(e.OutputSeen, ("now it reads the parser",), after=1)
    assert desk.did() == ["resume", "recovered"]


# -- a CLI that left ------------------------------------------------------------------------------


def measured(desk: Case, cli: str, after: float = 2.0) -> None:
    desk.tell(e.ProcessMeasured, False, (), False, 0.0, 1.0, 1, cli=cli, after=after)


def test_a_cli_whose_shell_is_back_has_left_and_is_resumed(desk: Case) -> None:
    measured(desk, "there")
    measured(desk, "gone")
    assert (desk.incident.symptom, desk.incident.cause) == ("exited", "left_agent")
    assert desk.incident.detail == "cli ended, and the shell above it is back"
    assert desk.did() == ["resume"]


def test_the_prompt_of_the_shell_is_no_work(desk: Case) -> None:
    desk.tell(e.PersonPresent, True)
    measured(desk, "gone")
    desk.tell(e.PersonPresent, False, after=1)
    assert desk.did() == ["resume"]


def test_while_a_person_is_there_nothing_is_done_and_what_they_start_is_good(desk: Case) -> None:
    desk.tell(e.PersonPresent, True)
    measured(desk, "there")
    measured(desk, "gone")
    assert desk.incident.cause == "left_agent"
    desk.tell(e.OutputSeen, ("$ ",), after=3)
    measured(desk, "there", after=60)
    assert desk.state.incident is None
    desk.tell(e.PersonPresent, False, after=1)
    assert desk.did() == []


def test_one_that_leaves_again_has_failed_again(desk: Case) -> None:
    measured(desk, "gone")
    measured(desk, "there")
    measured(desk, "gone")
    desk.look(3)
    assert [x.outcome for x in desk.incident.attempts] == ["failure", "pending"]
    assert desk.did() == ["resume", "restart"]
