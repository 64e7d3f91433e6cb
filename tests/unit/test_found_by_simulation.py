"""What the simulator found in the brain, each as the smallest case that shows it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hhmrs.config.fleet import AgentSpec
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import (
    AgentState,
    Asked,
    Attempt,
    Happening,
    Hold,
    Incident,
    Phase,
    Recovery,
    Shared,
    Stage,
    Strategy,
)
from hhmrs.healing.bounds import worst_case
from hhmrs.healing.cascade import Cascades
from hhmrs.healing.decide import decide, due
from hhmrs.healing.evolve import evolve
from hhmrs.healing.fitting import fitted
from hhmrs.healing.ladder import delay_before
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


@pytest.mark.parametrize(("opened", "held_back"), [(-1799.0, True), (-1801.0, False), (5000.0, False)])
def test_a_cascade_holds_nobody_for_longer_than_its_task_may_take_nor_one_of_the_future(
    make_spec: MakeSpec, opened: float, held_back: bool
) -> None:
    """Seeds 11 and 61, 24 hours: the clock was set back between two daemons, and until it had caught up with
    the beginning of the cascade, or for as long again, its members were held back."""
    specs = {name: make_spec(name, task_deadline=1800.0) for name in ("a", "b")}
    guard = Cascades()
    guard.fit(specs, specs["a"].policy)
    shared = Shared("cascade-1", "api_error", f"provider {provider_of(specs['a'].seats[0])}", T0 + opened)
    incident = Incident("i1", T0, "exited", "api_error", "exit 1", shared=shared)
    held = (Hold("cascade", "others fail too", T0),)
    failed = replace(working(specs["a"]), alive=False, phase=Phase.EXITED, incident=incident, held_back=held)
    again = [type(one) for one in guard.changed(None, failed, (), T0).evidence]
    assert again == [e.HeldBack if held_back else e.LetGo]

    late = replace(failed, id="b", incident=replace(incident, id="i2", shared=None), held_back=())
    fell = Happening("agent_exited", "b", T0, "i2", {"cause": "api_error"})
    told = [one for one in guard.changed(working(specs["b"]), late, (fell,), T0).evidence if one.agent == "b"]
    assert [type(one) for one in told] == [e.CauseShared, *([e.HeldBack] if held_back else [])]


def test_a_clock_that_was_set_back_makes_no_backoff_longer(make_spec: MakeSpec) -> None:
    """Seed 69, 24 hours: three seconds before the next attempt became the longest wait that there is."""
    spec = make_spec(task_deadline=1e6)
    made = (Attempt(1, Strategy.RESTART, T0, "failure"), Attempt(2, Strategy.RESTART, T0, "failure"))
    incident = Incident("i1", T0, "stalled", "stalled", "no life", attempts=made)
    pause = delay_before(incident, spec.policy.backoff, "i1")
    waits = Recovery(Strategy.RESTART, Stage.BACKOFF, "k", 0, due=T0 + 2000 + pause)
    again = fitted(replace(working(spec), incident=incident, recovery=waits), spec, T0)
    assert again.recovery is not None
    assert again.recovery.due == T0 + pause
    soon = replace(again, recovery=replace(waits, due=T0 + pause / 2))
    assert fitted(soon, spec, T0) == soon, "what comes sooner stays"


def test_the_first_line_of_one_that_loops_is_news_whatever_its_screen_shows(
    make_spec: MakeSpec, simulate: Simulate
) -> None:
    """Seed 155, 24 hours: it began to loop behind a dialog, and its first line was held against the brain."""
    run = simulate([make_spec()], "loop", faults=CALM, behaviour="loop")
    run.run(10 / 3600)
    (body,) = run.world.bodies.values()
    (life,) = body.lives
    life.shows, life.loops, begun = "limited", False, run._agenda.now
    seen: list[float] = []
    for _ in range(2):
        run.run(60 / 3600)
        run.world._loop(life)
        seen.append(body.news_at)
    assert begun < seen[0] == seen[1], "and said again it is none"
