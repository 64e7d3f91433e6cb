"""Slots and cascades with the whole brain in a small world: agents that need a provider and a tmux server."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st

from hhmrs.config.fleet import (
    Cascade,
    ExitRule,
    Policy,
    Profile,
    Recoveries,
    Seat,
)
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import Phase
from hhmrs.tests.properties.small_world import START, at_work, begun, crash

# -- a provider that is down --------------------------------------------------------------------


def test_a_provider_outage_is_one_incident_one_alert_and_costs_no_budget_but_that_of_who_tried() -> None:
    world = begun()
    world.provider_down()
    world.run(1800)
    assert world.count("hhmrs_cascade") == 1
    opened = world.of("hhmrs_cascade")[0].fields
    assert opened["cause"] == "api_error"
    assert opened["scope"] == "provider acme"
    assert {s.held_back[0].by for s in world.states.values() if s.held_back} == {"cascade"}
    assert sum(bool(s.held_back) for s in world.states.values()) >= 11, "one tries at most"
    tried = len(world.begun)
    assert 5 <= tried <= 12, f"tried {tried} times in half an hour"
    world.down.clear()
    world.run(1800, until=lambda: world.count("hhmrs_cascade") == 2)
    assert at_work(world)
    over = world.of("hhmrs_cascade")[1].fields
    assert over["over"] is True
    assert over["agents"] == list(world.states)
    assert len(world.announced) == 1
    assert world.escalated == []
    assert [(s.restarts, s.reassigns) for s in world.states.values()] == [(1, 0)] * 12
    assert all(not s.held_back for s in world.states.values())


def test_whoever_was_held_all_the_time_spent_nothing() -> None:
    world = begun()
    world.provider_down()
    world.run(60)
    tried = {agent for _, agent in world.begun}
    rested = [s for s in world.states.values() if s.id not in tried]
    assert rested
    assert all(s.incident is not None and not s.incident.attempts for s in rested)
    assert all(s.restarts == 0 for s in world.states.values()), "what was tried in vain is given back"


def test_another_provider_goes_on() -> None:
    world = begun()
    some = [f"a{n:02}" for n in range(6)]
    world.provider_down(some)
    world.run(120)
    assert [s.phase for s in world.states.values() if s.id not in some] == [Phase.WORKING] * 6
    assert world.count("hhmrs_cascade") == 1


def test_two_that_fail_are_two_incidents() -> None:
    world = begun()
    world.provider_down(["a03", "a07"])
    world.run(400)
    assert world.count("hhmrs_cascade") == 0
    assert world.announced == []
    waits = [b - x for (x, _), (b, _) in itertools.pairwise([one for one in world.begun if one[1] == "a03"])]
    assert waits[0] > Policy().backoff.max, "an API that errs is left in peace longer than a crash"


def test_failures_far_apart_are_no_cascade() -> None:
    world = begun(cascade=Cascade(window=1))
    for n in range(6):
        world.provider_down([f"a{n:02}"])
        world.run(5)
    assert world.count("agent_incident") == 6
    assert world.count("hhmrs_cascade") == 0


def test_nobody_tries_for_the_others_while_some_are_at_it_still() -> None:
    """Three of twelve begin before the fourth makes it a cascade."""
    world = begun()
    for agent in world.states:
        world.down[agent] = lambda agent, attempt: e.ProcessExited(agent, 0, attempt, 2, None)
    crash(world, list(world.states))
    world.run(60)
    assert world.count("hhmrs_cascade") == 1
    assert world.most == 3


def test_a_provider_that_fails_again_while_all_come_back_is_the_same_outage() -> None:
    world = begun()
    world.provider_down()
    world.run(300)
    world.down.clear()
    recovered = lambda: world.count("hhmrs_recovered") >= 2  # noqa: E731 - a condition
    world.run(1800, until=recovered)
    world.provider_down()
    world.run(600)
    assert world.count("hhmrs_cascade") == 1
    world.down.clear()
    world.run(1800, until=lambda: world.count("hhmrs_cascade") == 2)
    assert at_work(world)
    assert len(world.announced) == 1


def test_an_outage_longer_than_the_deadline_ends_with_a_person_who_hears_of_it_once() -> None:
    world = begun(task_deadline=3600.0)
    world.provider_down()
    world.run(3 * 3600)
    assert {s.phase for s in world.states.values()} == {Phase.ESCALATED}
    assert world.count("hhmrs_failure") == 12
    assert all(action.quiet for action in world.escalated)
    assert len(world.announced) == 1


def test_a_provider_that_wants_a_login_is_one_alert_though_nobody_can_be_healed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = begun()
    needs = Profile(name="acme", exits=(ExitRule(cause="auth", pattern="API error"),))
    for name, spec in world.fleet.agents.items():
        monkeypatch.setitem(
            world.fleet.agents, name, spec.model_copy(update={"seats": (Seat(profile=needs),)})
        )
    world.provider_down()
    world.run(30)
    assert {s.phase for s in world.states.values()} == {Phase.ESCALATED}
    assert len(world.announced) == 1
    assert [action.quiet for action in world.escalated] == [True] * 12


# -- a server, a machine, a person ---------------------------------------------------------------


def test_a_lost_tmux_server_is_one_incident_and_its_agents_come_back_parents_first() -> None:
    parents = [None, 0, 0, 1, 1, 2]
    world = begun(parents)
    world.server_lost()
    world.run(300, until=lambda: world.count("hhmrs_cascade") == 2)
    assert at_work(world)
    assert [h.fields["cause"] for h in world.of("hhmrs_cascade")] == ["tmux_lost"] * 2
    order = [agent for _, agent in world.begun]
    assert order[0] == "a00"
    assert set(order[1:3]) == {"a01", "a02"}
    assert len({at for at, _ in world.begun}) == 6, "a moment apart"
    assert world.count("hhmrs_resume") == 6
    assert world.begun[-1][0] - START < 30
    assert len(world.announced) == 1


def test_a_child_is_started_after_its_parent_though_that_takes_longer_to_clear_away() -> None:
    world = begun([None, 0, 1])
    world.slow["a00"] = world.slow["a01"] = 3.0
    world.server_lost()
    world.run(300, until=lambda: world.count("hhmrs_cascade") == 2)
    assert [h.agent for h in world.of("agent_started")] == ["a00", "a01", "a02"]
    world.slow["a00"] = 60.0
    world.server_lost()
    world.run(40)
    assert [h.agent for h in world.of("agent_started")][3:] == ["a01", "a02"], "no parent keeps it for ever"


def test_a_server_that_is_lost_again_and_again_is_not_built_anew_without_a_pause() -> None:
    world = begun()
    for agent in world.states:
        world.down[agent] = lambda agent, attempt: e.ProcessExited(agent, 0, attempt, None, 1, (), lost=True)
    world.server_lost()
    world.run(3600)
    assert world.count("hhmrs_cascade") == 1
    assert len(world.begun) < 40
    assert world.escalated == []


def test_a_machine_that_slept_is_no_mass_stall() -> None:
    world = begun(heartbeat_interval=30.0)
    for agent in world.states:
        world.tell(e.BeatReceived(agent, world.now, "executing"))
    world.now += 7200
    world.tell(*(e.SupervisorStalled(agent, world.now, 7200.0) for agent in world.states))
    world.run(20)
    assert world.count("agent_incident") == 0
    assert world.count("hhmrs_cascade") == 0


def test_all_silent_at_once_is_one_cascade_and_one_is_nudged_first() -> None:
    world = begun(heartbeat_interval=30.0)
    for agent in world.states:
        world.tell(e.BeatReceived(agent, world.now, "executing"))
    world.run(61)
    assert [h.fields["cause"] for h in world.of("hhmrs_cascade")] == ["stalled"]
    nudged = world.count("hhmrs_nudge")
    assert nudged < 5, "who fell before the cascade was known, at most"


def test_what_a_person_orders_is_not_held() -> None:
    world = begun()
    world.provider_down()
    world.run(30)
    held = next(s for s in world.states.values() if s.held_back)
    world.down.pop(held.id)
    world.tell(e.Ordered(held.id, world.now, "restart", "o1", "me"))
    assert not world.states[held.id].held_back
    world.run(3)
    assert world.states[held.id].phase is Phase.WORKING
    assert world.states[held.id].restarts == 0


@pytest.mark.parametrize("order", ["clear", "pause", "stop", "escalate"])
def test_a_person_takes_one_out_of_it(order: str) -> None:
    world = begun()
    world.provider_down()
    world.run(30)
    held = next(s for s in world.states.values() if s.held_back)
    world.tell(e.Ordered(held.id, world.now, order, "o1", "me"))
    assert not world.states[held.id].held_back
    if order == "escalate":
        assert [action.quiet for action in world.escalated] == [False], "a person asked for it"


def test_the_next_daemon_holds_as_the_last_one_did() -> None:
    world = begun()
    world.provider_down()
    world.run(100)
    before = {s.id: s.held_back for s in world.states.values()}
    known = len(world.begun)
    world.reborn()
    again = {s.id: s.held_back for s in world.states.values()}
    assert sum(before[agent] != again[agent] for agent in before) <= 1, "but perhaps who was about to try"
    world.run(60)
    assert len(world.begun) - known <= 3
    assert world.count("hhmrs_cascade") == 1
    world.down.clear()
    world.run(3600, until=lambda: world.count("hhmrs_cascade") == 2)
    assert at_work(world)


def test_a_hold_of_which_no_guard_knows_ends() -> None:
    world = begun(task_deadline=600.0)
    world.provider_down(["a00"])
    world.run(0.1)
    world.tell(e.HeldBack("a00", world.now, "somebody", "of a daemon that knew more"))
    world.down.clear()
    world.run(500)
    assert world.states["a00"].phase is Phase.EXITED
    world.run(200)
    assert world.states["a00"].phase is not Phase.EXITED


# -- slots ---------------------------------------------------------------------------------------


def test_no_more_recover_at_once_than_may_and_all_get_their_turn() -> None:
    never = Cascade(at_least=1000)
    world = begun([None] * 20, recoveries=Recoveries(share=0, at_least=3), cascade=never)
    crash(world, list(world.states))
    world.run(300)
    assert at_work(world)
    assert world.most == 3
    first = [agent for _, agent in world.begun]
    assert first == sorted(first), "the longest waiting first"


def test_parents_go_before_their_children() -> None:
    never = Cascade(at_least=1000)
    world = begun([None, 0, 1, 1, 2, 2, 3, 3], recoveries=Recoveries(share=0, at_least=1), cascade=never)
    crash(world, list(reversed(world.states)))
    world.run(300)
    assert at_work(world)
    order = [agent for _, agent in world.begun]
    assert order[1:] == ["a00", "a01", *sorted(order[3:], key=order.index)]
    for child, spec in world.fleet.agents.items():
        if spec.parent and child != order[0]:
            assert order.index(spec.parent) < order.index(child)


def test_who_waits_for_a_person_keeps_no_slot() -> None:
    never = Cascade(at_least=1000)
    world = begun([None] * 4, recoveries=Recoveries(share=0, at_least=1), cascade=never)
    crash(world, ["a00"])
    world.run(0.5)
    world.tell(e.AskReceived("a00", world.now, "go on?"))
    crash(world, ["a01"])
    world.run(5)
    assert world.states["a01"].phase is Phase.WORKING


OUTAGES = st.lists(
    st.tuples(
        st.sampled_from(["down", "up", "crash", "lost", "reborn", "order", "wait"]),
        st.integers(0, 2**32),
        st.floats(0.1, 90),
    ),
    max_size=14,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Step.explicit, Step.reuse, Step.generate],  # a failing example is short enough as it is
)
@given(steps=OUTAGES, most=st.integers(1, 4), parents=st.lists(st.integers(0, 100), min_size=6, max_size=6))
def test_whatever_comes_the_bound_holds_and_all_are_let_go_in_the_end(
    steps: list[tuple[str, int, float]], most: int, parents: list[int]
) -> None:
    line: list[int | None] = [None, *(p % (n + 1) for n, p in enumerate(parents)), *([None] * 5)]
    world = begun(line, recoveries=Recoveries(share=0, at_least=most), max_restarts=1000)
    manual = set()
    for what, chance, seconds in steps:
        agents = list(world.states)
        some = [agent for n, agent in enumerate(agents) if chance >> n & 1]
        if what == "down":
            world.provider_down(some or None)
        elif what == "up":
            world.down.clear()
        elif what == "crash":
            crash(world, some)
        elif what == "lost":
            world.server_lost()
        elif what == "reborn":
            world.reborn()
        elif what == "order" and some:
            manual.add(some[0])
            world.tell(e.Ordered(some[0], world.now, "restart", f"o{chance}", "me"))
        world.run(seconds)
    assert world.most <= most
    world.down.clear()
    world.run(4000)
    assert all(s.incident is None or s.phase is Phase.ESCALATED for s in world.states.values()), {
        s.id: (s.phase, s.held_back, s.recovery) for s in world.states.values() if s.incident
    }
    assert all(not s.held_back for s in world.states.values())
    opened = Counter(str(h.fields["cascade"]) for h in world.of("hhmrs_cascade") if not h.fields.get("over"))
    closed = Counter(str(h.fields["cascade"]) for h in world.of("hhmrs_cascade") if h.fields.get("over"))
    assert set(opened.values()) <= {1}
    assert len(world.announced) == len(opened)
    assert set(closed) <= set(opened)
