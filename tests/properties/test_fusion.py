"""What the eyes report, fused: no order of reading, no act of ours, no flapping screen changes the truth."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hhmrs.config.fleet import AgentSpec, Probe
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import HELD, AgentState, Happening, Incident, Phase, Recovery, Stage, Strategy
from hhmrs.healing.decide import decide, due
from hhmrs.healing.detect import judge, limits
from hhmrs.healing.evolve import evolve
from hhmrs.healing.explain import explain
from hhmrs.healing.ordering import SOURCE, in_order
from hhmrs.healing.transitions import first_state, open_task

MakeSpec = Callable[..., AgentSpec]
T0 = 1000.0
EASY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NEVER_TIMED = HELD | {Phase.IDLE, Phase.WAITING, Phase.LIMITED, Phase.UNKNOWN}

Make = Callable[[float], e.Evidence]
SEEN: dict[str, tuple[Make, ...]] = {
    "process": (
        lambda at: e.ProcessMeasured("a1", at, True, (), False, 9.0, 10.0, 1, at - 2),
        lambda at: e.ProcessMeasured("a1", at, True, (5.0,), False, 9.0, 10.0, 1, at - 2),
        lambda at: e.ProcessMeasured("a1", at, True, (5.0,), False, 9.0, 10.0, 1, at - 2, busy_kinds=(7,)),
        lambda at: e.ProcessMeasured("a1", at, False, (), True, 0.0, 10.0, 1, at - 2),
        lambda at: e.ConnectionSeen("a1", at, 443),
    ),
    "output": (
        lambda at: e.OutputSeen("a1", at),
        lambda at: e.OutputSeen("a1", at, ("the same line",)),
        lambda at: e.OutputSeen("a1", at, ("news", "and more of it")),
        lambda at: e.OutputSeen("a1", at, ("an old screen",), True),
    ),
    "files": (lambda at: e.FileChanged("a1", at, "x.py"), lambda at: e.FileChanged("a1", at - 0.3, "y.py")),
    "transcript": (lambda at: e.TranscriptGrew("a1", at), lambda at: e.SessionLearned("a1", at, "s-1")),
    "screen": (
        lambda at: e.ScreenMatched("a1", at, "waiting", "trust?"),
        lambda at: e.ScreenMatched("a1", at, "limited", "limit", at + 40),
        lambda at: e.ScreenMatched("a1", at, "busy", "esc to interrupt"),
        lambda at: e.ScreenMatched("a1", at, "idle", "prompt"),
        lambda at: e.ScreenMatched("a1", at, "ready", "banner"),
        lambda at: e.ScreenCleared("a1", at),
    ),
    "letters": (
        lambda at: e.BeatReceived("a1", at, "executing"),
        lambda at: e.BeatReceived("a1", at, "idle"),
        lambda at: e.CheckpointReceived("a1", at, 3, True, 1),
        lambda at: e.CheckpointReceived("a1", at, 3, False, 1),
        lambda at: e.AskReceived("a1", at, "which?"),
        lambda at: e.FailReceived("a1", at, "cannot"),
        lambda at: e.DoneReceived("a1", at, "done"),
    ),
    "labels": (lambda at: e.PaneLabelled("a1", at, "a title", "sh", "/tmp"),),
    "sight": (lambda at: e.Unseen("a1", at, "tmux"), lambda at: e.SeenAgain("a1", at)),
    "person": (
        lambda at: e.PersonPresent("a1", at, True),
        lambda at: e.PersonPresent("a1", at, False),
        lambda at: e.Typed("a1", at, "go on"),
    ),
    "end": (
        lambda at: e.ProcessExited("a1", at, 1, 1, None),
        lambda at: e.ProcessExited("a1", at, 1, None, 9),
    ),
}
"""Each source with what it may tell; one source tells in an order of its own."""
ONE = st.sampled_from([(source, number) for source, makes in SEEN.items() for number in range(len(makes))])
STEP = st.tuples(st.sampled_from((0.0, 0.0, 0.5, 3.0, 29.0, 61.0, 130.0, 700.0)), ONE)


class Bench:
    """One agent at work whose actions nobody carries out, and a clock that is looked at when it is due."""

    def __init__(self, spec: AgentSpec, state: AgentState | None = None) -> None:
        self.spec = spec
        self.now = T0
        self.log: list[Happening] = []
        self.state = state or working(spec)

    def tell(self, evidence: e.Evidence) -> None:
        change = evolve(self.state, evidence, self.spec)
        self.state = change.state
        self.log += change.happenings

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(300):
            at = due(self.state, self.spec)
            if at is None or at > until:
                break
            self.now = max(self.now, at)
            before = self.state
            change = decide(before, self.spec, self.now)
            self.state = change.state
            self.log += change.happenings
            out = {str(h.fields["symptom"]) for h in change.happenings if h.type == "hhmrs_timeout"}
            assert before.phase not in NEVER_TIMED or before.stopped or out <= {"deadline"}
            if change.state == before:
                pytest.fail(f"due says {at}, and decide has nothing to do: {before}")
        self.now = until

    def flips(self) -> list[float]:
        return [h.at for h in self.log if h.type == "agent_phase"]


def working(spec: AgentSpec) -> AgentState:
    s = first_state(spec, T0).state
    s = evolve(s, e.ProcessStarted("a1", T0, 1, 100, 1.0, "%1"), spec).state
    return evolve(s, e.BeatReceived("a1", T0, "executing"), spec).state


def lived(spec: AgentSpec, steps: Sequence[tuple[float, tuple[str, int]]]) -> Bench:
    bench = Bench(spec)
    for wait, (source, number) in steps:
        bench.wait(wait)
        bench.tell(SEEN[source][number](bench.now))
    return bench


@EASY
@given(before=st.lists(STEP, max_size=8), batch=st.lists(ONE, min_size=2, max_size=8), dice=st.randoms())
def test_the_order_in_which_sources_of_one_moment_are_read_changes_nothing(
    make_spec: MakeSpec, before: list[Any], batch: list[Any], dice: random.Random
) -> None:
    spec = make_spec()
    ends = []
    for order in (batch, _interleaved(batch, dice)):
        bench = lived(spec, before)
        for evidence in in_order([SEEN[source][number](bench.now) for source, number in order]):
            bench.tell(evidence)
        bench.wait(0.0)
        ends.append((bench.state, bench.log))
    assert ends[0] == ends[1]


def _interleaved(batch: Sequence[tuple[str, int]], dice: random.Random) -> list[tuple[str, int]]:
    """The same evidence with the sources read in another order; each source keeps its own."""
    queues = {source: [one for one in batch if one[0] == source] for source, _ in batch}
    mixed = []
    while queues:
        source = dice.choice(sorted(queues))
        mixed.append(queues[source].pop(0))
        if not queues[source]:
            del queues[source]
    return mixed


def test_every_evidence_has_a_source() -> None:
    assert set(SOURCE) == set(e.Evidence.__args__)


ACTS = 17


def _ours(s: AgentState, now: float) -> list[e.Evidence | tuple[e.Evidence, ...]]:
    """Everything that we do ourselves, or learn of our own doing."""
    key = s.recovery.key if s.recovery else s.errand.key if s.errand else "none"
    typed = e.Typed(s.id, now, "do go on with your work, please")
    return [
        typed,
        (typed, e.OutputSeen(s.id, now + 5, ("> do go on with your work, please",))),
        (typed, e.OutputSeen(s.id, now, ("bash: do: command not found",))),
        e.CheckpointTaken(s.id, now, s.checkpoint + 1, True),
        e.SessionLearned(s.id, now, "s"),
        e.StepFinished(s.id, now, key, True, resumable=True),
        e.StepFinished(s.id, now, key, False, "no"),
        e.SeenAgain(s.id, now),
        e.Unseen(s.id, now, "tmux"),
        e.ReadyProbed(s.id, now, False),
        e.PersonPresent(s.id, now, True),
        e.PersonPresent(s.id, now, False),
        e.SupervisorStalled(s.id, now, 5.0),
        e.ProcessStarted(s.id, now, s.attempt, 200 + s.attempt, 2.0, "%1"),
        e.ProcessAdopted(s.id, now, s.attempt, 200 + s.attempt, 2.0, "%1"),
        e.PaneLabelled(s.id, now, "HHMRS", "sh", "/"),
        e.LetterRefused(s.id, now, "stale"),
    ]


@EASY
@given(
    before=st.lists(STEP, max_size=8),
    ours=st.lists(st.tuples(st.integers(0, ACTS - 1), st.sampled_from((0.0, 0.4, 3.0))), max_size=14),
)
def test_no_act_of_ours_is_ever_progress_nor_heals(
    make_spec: MakeSpec, before: list[Any], ours: list[tuple[int, float]]
) -> None:
    bench = lived(make_spec(), before)
    bench.wait(0.0)
    kind, pauses = bench.state.progress_kind, bench.state.pauses
    bench.log.clear()
    for number, wait in ours:
        incident = bench.state.incident
        act = _ours(bench.state, bench.now)[number]
        for evidence in act if isinstance(act, tuple) else (act,):
            bench.tell(evidence)
        assert incident is None or bench.state.incident is not None, "our own act closed an incident"
        bench.wait(wait)
    assert bench.state.progress_kind == kind
    assert bench.state.pauses == pauses
    assert not [h for h in bench.log if h.type == "hhmrs_recovered"]


SCREENS = st.lists(
    st.tuples(st.floats(0.0, 40.0), st.integers(0, len(SEEN["screen"]) - 1)), min_size=6, max_size=40
)


@EASY
@given(shown=SCREENS, task=st.booleans())
def test_a_flapping_screen_flips_the_phase_at_most_twice_in_two_intervals(
    make_spec: MakeSpec, shown: list[tuple[float, int]], task: bool
) -> None:
    spec = make_spec(prompt="work" if task else None)
    bench = Bench(spec)
    bench.log.clear()
    for wait, number in shown:
        _alive_for(bench, wait)
        bench.tell(SEEN["screen"][number](bench.now))
        bench.wait(0.0)
    flips, window = bench.flips(), 2 * spec.policy.heartbeat_interval
    spans = [third - first for first, third in zip(flips, flips[2:], strict=False)]
    assert not [span for span in spans if span < window - 1e-6]
    _alive_for(bench, window + 41)
    asks = {"waiting": Phase.WAITING, "limited": Phase.LIMITED}.get(bench.state.screen)
    assert asks is None or bench.state.phase is asks, "what it shows for good is followed in the end"
    _alive_for(bench, 0.0)
    bench.tell(e.ProcessExited("a1", bench.now, 1, 1, None))
    assert bench.state.phase is Phase.EXITED, "an exit is never held back"


def _alive_for(bench: Bench, seconds: float) -> None:
    """Time passes; its output and a file now and then keep every clock quiet."""
    for step in [10.0] * int(seconds // 10) + [seconds % 10]:
        bench.wait(step)
        bench.tell(e.OutputSeen("a1", bench.now))
        bench.state = replace(bench.state, last_progress=bench.now, last_solid=bench.now)


def test_a_letter_changes_the_phase_however_the_screen_flaps(make_spec: MakeSpec) -> None:
    bench = Bench(make_spec())
    for phase in ("waiting", "busy", "waiting", "busy"):
        bench.tell(e.ScreenMatched("a1", bench.now, phase, phase))
        bench.wait(1.0)
    assert bench.state.phase.value == "working"
    assert len(bench.flips()) == 2
    bench.tell(e.AskReceived("a1", bench.now, "which?"))
    assert bench.state.phase is Phase.WAITING


@EASY
@given(what=st.lists(STEP, max_size=30), task=st.booleans(), after=st.floats(0.0, 90_000.0))
def test_who_rests_is_never_timed_out_and_the_finding_is_what_decide_does(
    make_spec: MakeSpec, what: list[Any], task: bool, after: float
) -> None:
    """Judge is total, agrees with decide, and finds nothing where nobody may be timed out."""
    spec = make_spec(prompt="work" if task else None)
    bench = lived(spec, what)
    for now in (bench.now, bench.now + after):
        _agrees(bench.state, spec, now)
    bench.wait(after)
    at = due(bench.state, spec)
    assert at is None or at > bench.now, "all that was due was done"


def _agrees(s: AgentState, spec: AgentSpec, now: float) -> None:
    found = judge(s, spec, now)
    explain(s, spec, now)
    opened = [h for h in decide(s, spec, now).happenings if h.type == "hhmrs_timeout"]
    late = s.flip_held and not s.stopped
    if not late and s.limited_until is None:  # what else decide does first may change what is found
        assert bool(found.symptom) == bool(opened), (found, opened)
    if found.symptom is not None:
        assert found.phase not in NEVER_TIMED or s.stopped or found.symptom.name == "deadline"
        assert found.symptom.name == "deadline" or s.incident is None
    assert (
        all(clock.left > 0 for clock in found.clocks if clock.name in ("stalled", "looping"))
        or opened
        or late
    )


PHASES = st.sampled_from(sorted(Phase))
ANY_STATE = st.builds(
    AgentState,
    id=st.just("a1"),
    phase=PHASES,
    since=st.floats(0, 2000),
    attempt=st.integers(0, 3),
    alive=st.booleans(),
    stopped=st.booleans(),
    ready=st.booleans(),
    attached=st.booleans(),
    last_life=st.floats(0, 2000),
    last_shown=st.floats(0, 2000),
    last_progress=st.floats(0, 2000),
    last_solid=st.floats(0, 2000),
    quick_looked=st.none() | st.floats(0, 2000),
    says=st.sampled_from(("", "idle", "executing", "awaiting_approval")),
    screen=st.sampled_from(("", "waiting", "limited", "busy", "idle")),
    flips=st.sampled_from(((), (900.0,), (900.0, 950.0))),
    flip_held=st.booleans(),
    limited_until=st.none() | st.floats(0, 2000),
    incident=st.none()
    | st.builds(
        Incident,
        id=st.just("i"),
        opened=st.just(1.0),
        symptom=st.just("stalled"),
        cause=st.just("stalled"),
        detail=st.just("x"),
        observed=st.booleans(),
    ),
    recovery=st.none()
    | st.builds(
        Recovery,
        strategy=st.sampled_from([None, *Strategy]),
        stage=st.sampled_from(sorted(Stage)),
        key=st.just("k"),
        seat=st.just(0),
        due=st.floats(0, 2000),
        issued=st.booleans(),
    ),
)


@EASY
@given(state=ANY_STATE, now=st.floats(0, 200_000), task=st.booleans(), probe=st.booleans())
def test_judge_is_total_and_unknown_is_never_acted_upon(
    make_spec: MakeSpec, state: AgentState, now: float, task: bool, probe: bool
) -> None:
    spec = make_spec(ready=Probe(port=1) if probe else None)
    state = open_task(state, "work", 900.0).state if task else state
    found = judge(state, spec, now)
    assert explain(state, spec, now).lines()
    assert found.phase is state.phase
    if state.phase is Phase.UNKNOWN:
        assert found.symptom is None or found.symptom.name == "deadline"
        orders = state.recovery is not None and state.recovery.stage in (Stage.CLEARING, Stage.STARTING)
        acts = [one for one in decide(state, spec, now).actions if not isinstance(one, a.Escalate)]
        assert orders or not acts, "a person may be told; nothing else"
    if state.phase in HELD | {Phase.WAITING, Phase.LIMITED, Phase.UNKNOWN}:
        assert limits(state, spec).silence is None
        assert limits(state, spec).progress is None
