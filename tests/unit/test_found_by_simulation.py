"""What the simulator found in the brain, each as the smallest case that shows it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hhmrs.config.fleet import AgentSpec
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Asked, Happening, Hold, Incident, Phase, Shared
from hhmrs.healing.bounds import worst_case
from hhmrs.healing.cascade import Cascades
from hhmrs.healing.decide import decide, due
from hhmrs.healing.evolve import evolve
from hhmrs.healing.providers import provider_of
from hhmrs.healing.replacing import replace
from hhmrs.healing.simulate import CALM, Fault, Simulation
from hhmrs.healing.transitions import first_state

MakeSpec = Callable[..., AgentSpec]
Simulate = Callable[..., Simulation]
T0 = 1000.0


def working(spec: AgentSpec) -> AgentState:
    s = first_state(spec, T0).state
    s = evolve(s, e.ProcessStarted(spec.id, T0, 1, 100, 1.0, "%1"), spec).state
    return evolve(s, e.FileChanged(spec.id, T0 + 1, "x"), spec).state


def test_a_hold_that_is_over_does_not_hide_the_wait_for_an_answer(make_spec: MakeSpec) -> None:
    """Seed 24: `due` stayed in the past while an ancestor was asked, and decide did not settle."""
    spec = make_spec(parent="p", decider="parent", task_deadline=1800.0)
    now = T0 + 2000
    asked = Asked("p", until=now + 30, n=1, issued=True)
    incident = Incident("i1", T0 + 10, "exited", "api_error", "exit 1", asked=asked)
    held = (Hold("cascade", "others fail too", T0 + 10),)
    s = replace(working(spec), alive=False, phase=Phase.EXITED, incident=incident, held_back=held,
                deciders=("p",), task=None)  # fmt: skip
    assert due(s, spec) == asked.until
    assert decide(s, spec, now).actions == ()


def test_a_fail_letter_of_one_that_cannot_be_seen_waits_until_it_can(make_spec: MakeSpec) -> None:
    """Seed 50: its ground was cleared while tmux did not answer."""
    spec = make_spec()
    s = evolve(working(spec), e.Unseen(spec.id, T0 + 5, "tmux"), spec).state
    s = evolve(s, e.FailReceived(spec.id, T0 + 6, "cannot"), spec).state
    assert s.incident is not None
    assert s.phase is Phase.UNKNOWN
    change = decide(s, spec, T0 + 600)
    assert (change.actions, change.state.phase) == ((), Phase.UNKNOWN)
    seen = evolve(s, e.SeenAgain(spec.id, T0 + 601), spec).state
    assert seen.phase is Phase.RECOVERING
    assert decide(seen, spec, T0 + 601).actions, "then what it said is acted upon"


@pytest.mark.parametrize("cause", ["api_error", "rate_limited"])
def test_the_bound_counts_the_longer_waits_for_a_provider(make_spec: MakeSpec, cause: str) -> None:
    """Seed 3: an agent whose provider was down took longer than any bound that was reckoned."""
    spec = make_spec(alternates=1)
    waits = sum(spec.policy.backoff.max * min(64, 2**n) for n in range(6))
    assert worst_case(spec, cause).seconds >= worst_case(spec, "crash").seconds + waits - 60


def test_a_provider_that_is_down_for_long_ends_within_that_bound(
    make_spec: MakeSpec, simulate: Simulate
) -> None:
    spec = make_spec(alternates=1, task_deadline=1e6)
    run = simulate([spec], "down", behaviour="api_error", faults=CALM)
    report = run.run(24, until="hhmrs_failure")
    assert report.broken is None
    assert report.events["hhmrs_failure"] == 1
    assert report.seconds <= worst_case(spec, "api_error").seconds + 5


def test_a_letter_from_before_the_daemon_is_no_answer_to_its_nudge(
    make_spec: MakeSpec, simulate: Simulate
) -> None:
    """Seed 20; the daemon itself is tested in test_mailroom.py: here the whole fleet, with many deaths."""
    specs = [make_spec(f"a{n}") for n in range(4)]
    deaths = [Fault(60.0 * n, "daemon", n % 4) for n in range(1, 100)]
    assert simulate(specs, "deaths", faults=CALM, schedule=deaths).run(2).broken is None


def test_who_wakes_a_daemon_says_how_long_that_one_slept(make_spec: MakeSpec, simulate: Simulate) -> None:
    """Seed all-0: what was to wake a daemon woke the one after it, and said the other's whole sleep: every
    clock was moved on by minutes that nobody had slept."""
    run = simulate([make_spec()], "sleep", faults=CALM)
    supervisor, gaps = run.supervisor, list[float]()

    def hear(evidence: e.Evidence) -> None:
        if isinstance(evidence, e.SupervisorStalled):
            gaps.append(evidence.gap)

    supervisor.sleep()
    gone = supervisor.life
    supervisor.die()
    supervisor.wake()
    mind = supervisor._mind
    assert mind is not None
    mind.evidence_seen.append(hear)
    supervisor.sleep()
    run.run(10 / 3600)
    supervisor.go_on(gone)
    awake = [supervisor.awake]
    supervisor.go_on(supervisor.life)
    assert [*awake, supervisor.awake] == [False, True], "a signal to a daemon that is gone wakes no other"
    assert gaps == [10.0]


@pytest.mark.parametrize(("after", "held_back"), [(1799.0, True), (1801.0, False)])
def test_a_cascade_of_the_future_holds_nobody_back_for_longer(
    make_spec: MakeSpec, after: float, held_back: bool
) -> None:
    """Seed 11, 24 hours: the clock was set back between two daemons, and until it had caught up with the
    beginning of the cascade, its members were held back again and again."""
    specs = {name: make_spec(name, task_deadline=1800.0) for name in ("a", "b")}
    guard, now = Cascades(), T0 + after
    guard.fit(specs, specs["a"].policy)
    scope = f"provider {provider_of(specs['a'].seats[0])}"
    shared = Shared("cascade-1", "api_error", scope, T0 + 5000)
    incident = Incident("i1", T0 + 5000, "exited", "api_error", "exit 1", shared=shared)
    failed = replace(working(specs["a"]), alive=False, phase=Phase.EXITED, incident=incident)
    guard.changed(None, failed, (), T0)

    late = replace(failed, id="b", incident=replace(incident, id="i2", opened=now, shared=None))
    fell = Happening("agent_exited", "b", now, "i2", {"cause": "api_error"})
    told = guard.changed(working(specs["b"]), late, (fell,), now).evidence
    assert next(type(one) for one in told if one.agent == "b") is e.CauseShared, "it is part of the cascade"
    assert any(isinstance(one, e.HeldBack) for one in told) is held_back
