"""Where an agent runs: the file's seats, those a person names by hand, and how long it may take there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, Probe, Profile, Seat
from hhmrs.config.loading import ConfigError, load_fleet
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, HandSeat, Happening, Phase
from hhmrs.healing.bounds import worst_case
from hhmrs.healing.codec import dump_state, load_state
from hhmrs.healing.decide import decide, due
from hhmrs.healing.detect import limits
from hhmrs.healing.evolve import evolve
from hhmrs.healing.explain import explain
from hhmrs.healing.fitting import fitted
from hhmrs.healing.seats import Target, in_force, seat_of, seats_in_use, target
from hhmrs.healing.transitions import first_state

MakeSpec = Callable[..., AgentSpec]
MODEL = ("--model", "{model}")
CLAUDE = Profile(name="claude", command=("claude",), model_args=MODEL)
CODEX = Profile(name="codex", command=("codex",), model_args=MODEL)
PLAIN = Profile(name="plain", command=("plain",))
SHELL = Profile(name="shell")
PROFILES = {profile.name: profile for profile in (CLAUDE, CODEX, PLAIN, SHELL)}
OWN = Seat(profile=CLAUDE, model="sonnet", command=("claude", "--quiet"), env={"A": "1"})
NOW = 1000.0


@pytest.fixture
def spec(make_spec: MakeSpec) -> AgentSpec:
    return make_spec(seats=(OWN, Seat(profile=CODEX, model="o4")), profiles=PROFILES)


def test_the_file_s_own_seats_come_first(spec: AgentSpec) -> None:
    s = AgentState("a1")
    assert target(s, spec, None) == Target(1)
    assert target(replace(s, seat=1), spec, None) == Target(0)
    assert target(s, spec, "codex") == target(s, spec, "codex:o4") == Target(1)
    assert target(replace(s, seat=1), spec, "claude") == Target(0)


def test_seats_that_differ_only_in_command_or_environment_are_reached_in_turn_by_their_one_name(
    make_spec: MakeSpec,
) -> None:
    others = (OWN.model_copy(update={"env": {"A": "2"}}), Seat(profile=CODEX), OWN)
    spec = make_spec(seats=(OWN, *others), profiles=PROFILES)
    reached = [target(replace(AgentState("a1"), seat=number), spec, "claude:sonnet") for number in range(4)]
    assert reached == [Target(1), Target(3), Target(3), Target(0)]


def test_any_profile_with_any_model_will_do_by_hand(spec: AgentSpec) -> None:
    s = replace(AgentState("a1"), seat=1)
    assert target(s, spec, "claude:ollama/llama3.1:8b") == Target(1, HandSeat("claude", "ollama/llama3.1:8b"))
    assert target(s, spec, "plain") == Target(1, HandSeat("plain"))
    by_hand = seat_of(replace(s, hand=HandSeat("claude", "opus")), spec)
    assert (by_hand.label, by_hand.command) == ("claude:opus", ("claude", "--quiet")), "as its own seat there"
    other = seat_of(replace(s, hand=HandSeat("plain")), spec)
    assert (other.label, other.command, other.env) == ("plain", (), {"A": "1"}), "as an alternate would be"


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("claud", "unknown profile 'claud'; did you mean 'claude'? (there are claude, codex, plain, shell)"),
        ("x\x1b[31m", "unknown profile 'x\\x1b[31m'"),
        ("claude:", "'' is no model's name"),
        ("claude:two words", "'two words' is no model's name"),
        ("claude:--yolo", "'--yolo' is no model's name"),
        ("shell:m", "profile shell has no command"),
        ("plain:m", "profile plain has no `model` arguments"),
    ],
)
def test_what_leads_nowhere_is_refused_with_its_reason(spec: AgentSpec, to: str, words: str) -> None:
    why = target(AgentState("a1"), spec, to)
    assert isinstance(why, str)
    assert why.startswith(words)


def test_without_alternates_one_must_be_named_and_from_there_it_goes_back(make_spec: MakeSpec) -> None:
    alone = make_spec(seats=(OWN,), profiles=PROFILES)
    s = AgentState("a1")
    assert target(s, alone, None) == "it has no alternates; name a profile (--to PROFILE[:MODEL])"
    assert target(replace(s, hand=HandSeat("plain")), alone, None) == Target(0)


def test_a_seat_by_hand_outlives_daemons_and_goes_with_its_profile(spec: AgentSpec) -> None:
    s = replace(AgentState("a1"), seat=1, hand=HandSeat("plain"))
    again = fitted(load_state(dump_state(s)), spec, NOW)
    assert seat_of(again, spec).label == "plain"
    assert [seat.label for seat in seats_in_use(again, spec)] == ["claude:sonnet", "codex:o4", "plain"]
    poorer = spec.model_copy(update={"profiles": {"claude": CLAUDE}})
    assert seat_of(s, poorer).label == "codex:o4", "total, whatever the file says now"
    assert fitted(s, poorer, NOW).hand is None


def test_the_fleet_file_gives_every_agent_all_profiles(tmp_path: Path) -> None:
    file = tmp_path / "hhmrs.yaml"
    file.write_text("fleet: f\nagents: {a: {command: [x]}}\nprofiles: {mine: {command: [y]}}\n")
    agent = load_fleet(file).agents["a"]
    assert {"mine", "claude", "aider", "shell"} <= set(agent.profiles)
    assert target(AgentState("a"), agent, "mine") == Target(0, HandSeat("mine"))


class Life:
    """One agent and a world that does at once what is asked."""

    def __init__(self, spec: AgentSpec) -> None:
        self.spec, self.now, self.told = spec, NOW, list[Happening]()
        self.acts: list[a.Action] = []
        self.hold: type | None = None
        """Actions of this kind are never answered."""
        self.state = first_state(spec, NOW).state
        self.settle()

    def see(self, kind: Callable[..., e.Evidence], *args: Any) -> None:
        self._take(evolve(self.state, kind(self.spec.id, self.now, *args), self.spec))
        self.settle()

    def wait(self, seconds: float) -> None:
        """Time alone, each deadline when it comes."""
        until = self.now + seconds
        while (at := due(self.state, self.spec)) is not None and at <= until:
            self.now = max(self.now, at)
            self.settle()
        self.now = until

    def order(self, order: str, **args: str) -> None:
        self.see(e.Ordered, order, f"o{len(self.told)}", "me", args)

    def settle(self) -> None:
        for _ in range(50):
            at = due(self.state, self.spec)
            if at is None or at > self.now:
                return
            before = self.state
            change = decide(before, self.spec, self.now)
            self._take(change)
            for action in change.actions:
                self.acts.append(action)
                self._do(action)
        pytest.fail("decide does not settle")

    def _do(self, action: a.Action) -> None:
        if self.hold is not None and isinstance(action, self.hold):
            return
        if isinstance(action, a.StartAttempt):
            answer: e.Evidence = e.ProcessStarted(
                self.spec.id, self.now, action.attempt, 100 + action.attempt, 1.0, "%1"
            )
        else:
            answer = e.StepFinished(self.spec.id, self.now, action.key, True, resumable=True)
        self._take(evolve(self.state, answer, self.spec))

    def _take(self, change: Any) -> None:
        self.state = change.state
        self.told += change.happenings

    def task(self) -> str | None:
        return self.state.task.id if self.state.task else None

    def last(self, type: str) -> Happening:
        return next(h for h in reversed(self.told) if h.type == type)

    def count(self, type: str) -> int:
        return sum(h.type == type for h in self.told)


def test_by_hand_it_starts_there_and_the_event_says_from_where_to_where(spec: AgentSpec) -> None:
    life = Life(spec)
    life.see(e.SessionLearned, "s-1")
    life.order("reassign", to="plain")
    start = life.acts[-1]
    assert isinstance(start, a.StartAttempt)
    assert (start.seat, start.hand, start.strategy) == (0, HandSeat("plain"), "reassign")
    told = life.last("hhmrs_reassign").fields
    names = ("old_profile", "old_model", "new_profile", "new_model")
    assert [told[name] for name in names] == ["claude", "sonnet", "plain", None]
    assert life.last("agent_started").fields["profile"] == "plain"
    assert life.state.session is None, "another CLI cannot bring that session back"
    life.now += 5
    life.see(e.FileChanged, "x")
    assert life.state.incident is None
    assert "on plain," in " ".join(explain(life.state, spec, life.now).facts)


def test_what_follows_stays_there_and_the_round_goes_on_with_the_file_s_next(spec: AgentSpec) -> None:
    life = Life(spec)
    life.order("reassign", to="plain")
    life.now += 5
    life.see(e.FileChanged, "x")
    life.see(e.ProcessExited, life.state.attempt, 1, None)
    seats = [act for act in life.acts if isinstance(act, a.StartAttempt)]
    assert seats[-1].hand == HandSeat("plain"), "level one brings it back where it was"
    life.wait(300)
    ladder = [act for act in life.acts if isinstance(act, a.StartAttempt)][2:]
    assert [(act.strategy, act.seat, act.hand is not None) for act in ladder] == [
        ("resume", 0, True), ("restart", 0, True), ("restart", 0, True),
        ("reassign", 1, False), ("reassign", 0, False), ("reassign", 1, False),
    ]  # fmt: skip
    assert life.state.phase is Phase.ESCALATED
    life.order("start")
    assert life.last("agent_started").fields["profile"] == "codex"


def test_another_seat_may_take_longer_and_that_is_written_down(make_spec: MakeSpec) -> None:
    seats = (OWN, Seat(profile=CODEX, model="o4"))
    slow = make_spec(seats=seats, profiles=PROFILES, reassign_timeout_factor=3.0)
    life = Life(slow)
    first = limits(life.state, slow)
    assert first.silence == NOW + 60.0
    life.order("reassign")
    raised = life.last("agent_timeouts_raised").fields
    assert raised["old"] == {
        "silence": 60.0, "progress_timeout": 600.0, "tool_timeout": 1200.0, "verify_within": 30.0,
    }  # fmt: skip
    assert raised["new"] == {
        "silence": 180.0, "progress_timeout": 1800.0, "tool_timeout": 3600.0, "verify_within": 90.0,
    }  # fmt: skip
    assert life.state.recovery is not None
    assert life.state.recovery.due == life.now + 90.0
    life.now += 80
    life.see(e.FileChanged, "x")
    assert life.state.incident is None, "proved in the time that holds there"
    life.wait(170)
    assert life.state.incident is None
    life.wait(20)
    assert life.last("hhmrs_timeout").fields["cause"] == "stalled"
    life.order("reassign")
    assert (life.state.seat, life.count("agent_timeouts_raised")) == (0, 1), "back home nothing is raised"
    assert in_force(life.state, slow) is slow


def test_an_attempt_that_a_second_daemon_starts_again_is_written_down_once(make_spec: MakeSpec) -> None:
    slow = make_spec(seats=(OWN, Seat(profile=CODEX)), profiles=PROFILES, reassign_timeout_factor=3.0)
    life = Life(slow)
    life.hold = a.StartAttempt
    life.order("reassign")
    assert life.state.recovery is not None
    again = load_state(dump_state(life.state))
    life.state = replace(again, recovery=replace(life.state.recovery, issued=False))
    life.hold = None
    life.settle()
    starts = [act for act in life.acts if isinstance(act, a.StartAttempt)]
    assert len(starts) == 3, "the first ever, and one that was handed out twice"
    assert (life.count("hhmrs_reassign"), life.count("agent_timeouts_raised")) == (1, 1)


def test_another_cli_shows_in_its_own_way_that_it_is_up(make_spec: MakeSpec) -> None:
    here = CLAUDE.model_copy(update={"ready": Probe(output="claude>"), "liveness": ("output",)})
    there = CODEX.model_copy(update={"ready": Probe(output="codex>"), "liveness": ("transcript",)})
    seats = (Seat(profile=here), Seat(profile=there), Seat(profile=here, model="opus"))
    spec = make_spec(seats=seats, ready=here.ready, liveness=here.liveness, profiles={"plain": PLAIN})
    s = AgentState("a1")
    there_now = in_force(replace(s, seat=1), spec)
    assert (there_now.ready, there_now.liveness) == (there.ready, there.liveness)
    assert in_force(replace(s, seat=1), there_now) == there_now, "twice is as once"
    assert in_force(replace(s, seat=2), spec) is spec, "another model of the same CLI"
    assert in_force(replace(s, hand=HandSeat("plain")), spec).ready is None
    own = make_spec(seats=seats, ready=Probe(port=80), liveness=("beat",))
    assert in_force(replace(s, seat=1), own) is own, "what the agent says itself holds everywhere"


def test_check_counts_the_longer_times(make_spec: MakeSpec) -> None:
    plain, slow = make_spec(), make_spec(reassign_timeout_factor=3.0)
    for cause in ("stalled", "looping", "crash"):
        assert worst_case(slow, cause).seconds > worst_case(plain, cause).seconds
    waits = worst_case(plain).seconds - 60 - 30 - 6 * 35
    assert worst_case(slow).seconds == pytest.approx(180 + 90 + 6 * 95 + waits)
    assert any("3 times as long" in line for line in worst_case(slow).lines)


def test_no_silent_agent_outlives_the_bound_that_check_prints(make_spec: MakeSpec) -> None:
    slow = make_spec(seats=(OWN, Seat(profile=CODEX)), profiles=PROFILES, reassign_timeout_factor=3.0)
    life = Life(slow)
    life.order("reassign")
    life.now += 5
    life.see(e.FileChanged, "x")  # proved on the slow seat; from here on it is silent
    begun = life.now
    life.wait(worst_case(slow).seconds + 1)
    assert life.state.phase is Phase.ESCALATED
    assert life.last("hhmrs_failure").at - begun <= worst_case(slow).seconds


def test_a_reload_that_arms_an_observed_fleet_acts_on_what_is_open(make_spec: MakeSpec) -> None:
    observing = make_spec(mode="observe")
    life = Life(observing)
    life.see(e.ProcessExited, 1, 1, None)
    assert life.state.incident is not None
    assert life.state.incident.observed
    assert life.count("hhmrs_resume") + life.count("hhmrs_restart") == 0
    life.spec = make_spec(mode="armed")
    life.state = fitted(life.state, life.spec, life.now)
    life.settle()
    assert life.count("hhmrs_resume") + life.count("hhmrs_restart") == 1


# -- a failed task once more ----------------------------------------------------------------------


def given_up(spec: AgentSpec) -> Life:
    life = Life(spec)
    life.order("escalate")
    assert life.count("task_failed") == 1
    return life


def test_retry_clears_and_restarts_with_the_task(spec: AgentSpec) -> None:
    life = given_up(spec)
    life.order("retry", task="a1-1")
    start = life.acts[-1]
    assert isinstance(start, a.StartAttempt)
    assert start.strategy == "restart"
    assert life.count("agent_incident_closed") == 1
    assert any(isinstance(act, a.ClearMarker) for act in life.acts)
    assert life.last("hhmrs_restart").fields["manual"] is True
    life.now += 5
    life.see(e.FileChanged, "x")
    assert life.last("operator_outcome").fields["ok"] is True
    assert (life.state.phase, life.task()) == (Phase.WORKING, "a1-1")


def test_retry_also_clears_one_that_a_person_stopped_since(spec: AgentSpec) -> None:
    life = given_up(spec)
    life.order("stop")
    assert (life.state.phase, life.count("agent_incident_closed")) == (Phase.STOPPED, 0)
    life.acts.clear()
    life.order("retry", task="a1-1")
    assert life.count("agent_incident_closed") == 1
    assert [type(act) for act in life.acts if not isinstance(act, a.ClearMarker)] == [
        a.ClearGround, a.StartAttempt,
    ]  # fmt: skip
    assert any(isinstance(act, a.ClearMarker) for act in life.acts)


def test_a_task_that_ended_with_its_agent_is_opened_again_under_its_name(make_spec: MakeSpec) -> None:
    life = Life(make_spec(restart="temporary"))
    life.see(e.ProcessExited, 1, 1, None)
    assert life.task() is None
    life.order("retry", task="a1-1")
    assert life.task() == "a1-1"
    assert life.last("task_opened").fields == {"task": "a1-1", "text": "do the work"}


def test_retry_is_refused_where_there_is_nothing_to_retry(make_spec: MakeSpec, spec: AgentSpec) -> None:
    def refused(life: Life, task: str) -> str:
        life.order("retry", task=task)
        outcome = life.last("operator_outcome").fields
        assert outcome["ok"] is False
        return str(outcome["message"])

    at_work = Life(spec)
    assert refused(at_work, "a1-1") == "task a1-1 is not given up; it is starting"
    assert refused(at_work, "a1-9") == "it is at work on a1-1"
    life = Life(make_spec(prompt=None))
    assert refused(life, "a1-1") == "the fleet file has no prompt for it any more"
    stuck = given_up(spec)
    stuck.state = replace(stuck.state, undead=True)
    assert "would not die" in refused(stuck, "a1-1")


@pytest.mark.parametrize("factor", ["0.9", "11", "fast"])
def test_a_factor_out_of_bounds_is_refused_with_its_place(tmp_path: Path, factor: str) -> None:
    file = tmp_path / "hhmrs.yaml"
    file.write_text(
        f"fleet: f\npolicy: {{reassign_timeout_factor: {factor}}}\nagents: {{a: {{command: [x]}}}}\n"
    )
    with pytest.raises(ConfigError) as refused:
        load_fleet(file)
    assert "policy.reassign_timeout_factor" in str(refused.value)
    assert "expected a number from 1 to 10" in str(refused.value)
