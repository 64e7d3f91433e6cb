"""The finding: what runs, what fired, what would change it; patience, circles, the quick look, screens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hhmrs.config.fleet import AgentSpec
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Pauses, Phase
from hhmrs.healing.bounds import worst_case
from hhmrs.healing.codec import dump_state, load_state
from hhmrs.healing.decide import decide, due
from hhmrs.healing.detect import Finding, judge, missed_beats
from hhmrs.healing.evolve import evolve
from hhmrs.healing.explain import explain, lasting
from hhmrs.healing.patience import KEPT, NEEDED, hard_bound, progress_due, with_pause
from hhmrs.healing.simulate import CALM, Simulation
from hhmrs.healing.transitions import first_state

MakeSpec = Callable[..., AgentSpec]
T0 = 1000.0


class Bench:
    def __init__(self, spec: AgentSpec) -> None:
        self.spec = spec
        self.now = T0
        self.events: list[str] = []
        self.state: AgentState = first_state(spec, T0).state
        self.tell(e.ProcessStarted("a1", T0, 1, 100, 1.0, "%1"))
        self.tell(e.BeatReceived("a1", T0, "executing"))

    def tell(self, evidence: e.Evidence) -> None:
        change = evolve(self.state, evidence, self.spec)
        self.state = change.state
        self.events += [h.type for h in change.happenings]

    def wait(self, seconds: float, *, alive: bool = True) -> None:
        """Time passes; decide is asked when it is due. `alive`: it shows life all the while."""
        until = self.now + seconds
        while self.now < until:
            step = min(20.0, until - self.now)
            at = due(self.state, self.spec)
            self.now = min(self.now + step, max(self.now, at) if at is not None else until)
            if at is not None and at <= self.now:
                change = decide(self.state, self.spec, self.now)
                self.state = change.state
                self.events += [h.type for h in change.happenings]
            if alive:
                self.tell(e.OutputSeen("a1", self.now))

    def found(self) -> Finding:
        return judge(self.state, self.spec, self.now)

    def lines(self) -> str:
        return "\n".join(explain(self.state, self.spec, self.now).lines())


@pytest.fixture
def bench(make_spec: MakeSpec) -> Bench:
    return Bench(make_spec())


def test_the_clocks_that_run_with_what_is_left_of_them(bench: Bench) -> None:
    bench.wait(30.0)
    clocks = {clock.name: (clock.left, clock.length) for clock in bench.found().clocks}
    assert clocks == {
        "stalled": (60.0, 60.0),
        "quick_look": (90.0, 120.0),
        "looping": (570.0, 600.0),
        "deadline": (7170.0, 7200.0),
    }
    assert next(clock.name for clock in bench.found().clocks) == "stalled"
    told = bench.lines()
    assert "clock looping: looping in 570.0 s; reset by a changed file" in told
    assert "clock stalled: stalled in 60.0 s; reset by life: beat, output, file, transcript, cpu" in told
    assert told.endswith("next: stalled if nothing changes in 60.0 s")


def test_two_missed_heartbeats_of_thirty_seconds_are_a_stall(bench: Bench) -> None:
    assert bench.found().symptom is None
    late = judge(bench.state, bench.spec, T0 + 60)
    assert late.symptom is not None
    assert (late.symptom.name, missed_beats(bench.state, bench.spec, T0 + 60)) == ("stalled", 2)
    assert judge(bench.state, bench.spec, T0 + 59.9).symptom is None


def test_a_stopped_child_is_named_in_the_symptom(bench: Bench) -> None:
    frozen = e.ProcessMeasured("a1", T0 + 1, False, (), False, 0.0, 1.0, 2, stopped_child="cargo (pid 12)")
    bench.tell(frozen)
    symptom = judge(bench.state, bench.spec, T0 + 70).symptom
    assert symptom is not None
    assert symptom.detail == "no life for 70.0 s, its child cargo (pid 12) is stopped (state T)"


# -- the quick look -------------------------------------------------------------------------------


def test_a_spell_without_progress_is_looked_at_once_and_progress_ends_it(bench: Bench) -> None:
    bench.wait(119.0)
    assert (bench.events.count("agent_quick_look"), bench.found().quick) == (0, None)
    bench.wait(200.0)
    assert bench.events.count("agent_quick_look") == 1
    assert bench.found().quick == pytest.approx(319.0)
    assert bench.state.phase is Phase.WORKING, "it is no symptom"
    assert "no progress for 319.0 s, though it lives: the quick look" in bench.lines()
    bench.tell(e.FileChanged("a1", bench.now, "x"))
    assert bench.found().quick is None
    bench.wait(130.0)
    assert bench.events.count("agent_quick_look") == 2


@pytest.mark.parametrize("phase", ["idle", "awaiting_approval"])
def test_who_rests_gets_no_quick_look(bench: Bench, phase: str) -> None:
    bench.tell(e.BeatReceived("a1", T0, phase))
    bench.wait(5000.0)
    assert "agent_quick_look" not in bench.events
    assert bench.found().quick is None


def test_a_quick_look_that_would_come_after_the_loop_never_comes(make_spec: MakeSpec) -> None:
    bench = Bench(make_spec(quick_look=900.0))
    bench.wait(700.0)
    assert "agent_quick_look" not in bench.events
    assert "hhmrs_timeout" in bench.events


# -- patience -------------------------------------------------------------------------------------


def test_its_own_long_pauses_raise_the_threshold_and_are_told(make_spec: MakeSpec) -> None:
    bench = Bench(make_spec(task_deadline=1e5))
    for _ in range(NEEDED + 1):
        bench.wait(500.0)
        bench.tell(e.FileChanged("a1", bench.now, "x"))
    assert "hhmrs_timeout" not in bench.events
    looping = next(clock for clock in bench.found().clocks if clock.name == "looping")
    assert looping.length == pytest.approx(750.0)
    assert (
        "looping (750 s instead of 600: 1.5 x 500 s, the 99th percentile of its own 21 pauses)"
        in bench.lines()
    )
    bench.wait(749.0)
    assert "hhmrs_timeout" not in bench.events
    bench.wait(2.0)
    assert "hhmrs_timeout" in bench.events
    assert load_state(dump_state(bench.state)).pauses == bench.state.pauses


def test_few_pauses_or_one_odd_one_raise_nothing(make_spec: MakeSpec) -> None:
    policy = make_spec().policy
    pauses = Pauses()
    for seconds in [500.0] * (NEEDED - 1):
        pauses = with_pause(pauses, seconds, policy)
    assert pauses.p99 == 0.0
    odd = Pauses()
    for seconds in [30.0] * 50 + [599.0]:
        odd = with_pause(odd, seconds, policy)
    assert odd.p99 == 30.0
    for _ in range(3 * KEPT):
        odd = with_pause(odd, 0.5, policy)
    assert len(odd.newest) == 51, "a burst is no pause"
    for _ in range(3 * KEPT):
        odd = with_pause(odd, 40.0, policy)
    assert len(odd.newest) == KEPT, "bounded"


@pytest.mark.parametrize(
    ("policy", "bound"),
    [({}, 1200.0), ({"tool_timeout": 900.0}, 900.0), ({"task_deadline": 700.0}, 700.0),
     ({"tool_timeout": 60.0}, 600.0)],
)  # fmt: skip
def test_patience_ends_at_the_hard_bound(make_spec: MakeSpec, policy: dict[str, float], bound: float) -> None:
    spec = make_spec(**policy)
    assert hard_bound(spec.policy) == bound
    s = AgentState("a1", last_progress=T0, last_solid=T0, pauses=Pauses((), 5000.0))
    assert progress_due(s, spec.policy) == T0 + bound
    talking = replace(s, last_progress=T0 + 590)
    assert progress_due(talking, spec.policy) <= T0 + max(bound, 590 + 600)
    assert progress_due(talking, spec.policy) - T0 <= 2 * spec.policy.progress_timeout
    assert worst_case(spec, "looping").seconds > 2 * spec.policy.progress_timeout


def test_patience_makes_fewer_false_alarms_in_the_same_world(
    make_spec: MakeSpec, simulate: Callable[..., Simulation]
) -> None:
    def alarms(*, patient: bool) -> int:
        specs = [make_spec(f"a{i}", task_deadline=1e6) for i in range(6)]
        report = simulate(specs, "slow", behaviour="slow", faults=CALM, patient=patient).run(24)
        assert report.broken is None
        return report.false_alarms

    with_it, without = alarms(patient=True), alarms(patient=False)
    assert 0 < with_it < 0.8 * without


# -- circles --------------------------------------------------------------------------------------


def test_the_same_lines_coming_back_are_told_and_get_no_patience(bench: Bench) -> None:
    bench.tell(e.OutputSeen("a1", T0 + 3, ("read file 1", "edit file 1", "test failed")))
    bench.tell(e.FileChanged("a1", T0 + 10, "x"))
    bench.state = replace(bench.state, pauses=Pauses((500.0,) * NEEDED, 500.0))
    for look in range(41):
        lines = ("read file 2", "edit file 9") if look % 2 else ("test failed",)
        bench.tell(e.OutputSeen("a1", T0 + 20 + look * 10, lines))
    assert (bench.state.returning.lines, bench.state.returning.looks) == (3, 41)
    bench.tell(e.OutputSeen("a1", T0 + 609))
    symptom = judge(bench.state, bench.spec, T0 + 610).symptom
    assert symptom is not None, "found at progress_timeout, whatever its own pauses were"
    assert (
        symptom.detail == "alive, but no progress for 600.0 s; the same 3 lines came back 41 times in 590 s"
    )


def test_a_change_in_the_workspace_or_new_words_break_the_circle(bench: Bench) -> None:
    for breaks in (e.FileChanged("a1", T0 + 50, "x"), e.OutputSeen("a1", T0 + 90, ("something else",))):
        for look in range(3):
            bench.tell(e.OutputSeen("a1", breaks.at - 10 + look, ("again 1",)))
        assert bench.state.returning.looks > 0
        bench.tell(breaks)
        assert bench.state.returning.looks == 0


# -- screens --------------------------------------------------------------------------------------


def test_a_prompt_is_rest_without_a_task_and_work_with_one(make_spec: MakeSpec) -> None:
    resting, at_work = Bench(make_spec(prompt=None)), Bench(make_spec())
    for bench in (resting, at_work):
        bench.tell(e.ScreenMatched("a1", T0 + 1, "idle", "prompt"))
    assert resting.state.phase is Phase.IDLE
    assert "its screen shows its prompt, and it has no task" in resting.lines()
    assert at_work.state.phase is Phase.WORKING
    assert "its screen shows its prompt, with a task open" in at_work.lines()
    assert [clock.name for clock in at_work.found().clocks if clock.name == "looping"]
    resting.tell(e.ScreenMatched("a1", T0 + 2, "busy", "esc to interrupt"))
    assert resting.state.phase.value == "working"


def test_the_newer_of_letter_and_screen_is_believed(make_spec: MakeSpec) -> None:
    bench = Bench(make_spec(prompt=None))
    bench.tell(e.BeatReceived("a1", T0 + 1, "idle"))
    bench.tell(e.ScreenMatched("a1", T0 + 2, "busy", "esc"))
    assert bench.state.phase is Phase.WORKING
    bench.tell(e.ScreenMatched("a1", T0 + 3, "idle", "prompt"))
    assert bench.state.phase.value == "idle"
    bench.tell(e.BeatReceived("a1", T0 + 4, "executing"))
    assert bench.state.phase.value == "working"


def test_a_question_asked_by_letter_stands_while_the_screen_is_busy(bench: Bench) -> None:
    bench.tell(e.AskReceived("a1", T0 + 1, "which?"))
    bench.tell(e.ScreenMatched("a1", T0 + 2, "busy", "esc"))
    assert bench.state.phase is Phase.WAITING


def test_while_a_flapping_screen_asks_nobody_is_timed_out_or_healed(make_spec: MakeSpec) -> None:
    bench = Bench(make_spec(missed_heartbeats=1))
    for number, shown in enumerate(("waiting", "busy", "waiting")):
        bench.tell(e.ScreenMatched("a1", T0 + number, shown, "trust this folder?"))
    assert bench.state.phase is Phase.WORKING
    assert bench.state.flip_held
    bench.now = T0 + 3
    assert "clock screen: its screen, which flaps, is followed in 57.0 s" in bench.lines()
    bench.wait(56.0, alive=False)
    assert bench.state.incident is None
    bench.wait(2.0, alive=False)
    assert bench.state.phase.value == "waiting"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "0.0 s"),
        (599.94, "599.9 s"),
        (725.4, "12 min 5 s"),
        (3599.7, "1 h 0 min"),
        (-28920.0, "-8 h 2 min"),
    ],
)
def test_a_night_is_told_in_hours(seconds: float, told: str) -> None:
    assert lasting(seconds) == told
