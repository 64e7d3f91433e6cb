"""An open connection to its provider: life for a while, never progress, and asked only of who is silent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, Profile, Seat
from hhmrs.controller.processes.connections import AT_ONCE, Silent
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Phase
from hhmrs.healing.decide import decide, due
from hhmrs.healing.evolve import evolve
from hhmrs.healing.explain import explain
from hhmrs.healing.transitions import first_state

MakeSpec = Callable[..., AgentSpec]
T0 = 1000.0


class Desk:
    def __init__(self, spec: AgentSpec) -> None:
        self.spec, self.now = spec, T0
        self.s: AgentState = first_state(spec, T0).state
        self.tell(e.ProcessStarted("a1", T0, 1, 100, 1.0, "%1"))
        self.tell(e.BeatReceived("a1", T0, "executing"))

    def tell(self, evidence: e.Evidence) -> None:
        self.s = evolve(self.s, evidence, self.spec).state

    def hold(self, seconds: float, *, waits: bool = True) -> None:
        """It shows nothing for so long; `waits`: but a connection, whenever somebody asks."""
        until, silent = self.now + seconds, Silent()
        while self.now < until:
            self.now += 5.0
            if waits and silent.to_ask({"a1": self.s}, {"a1": self.spec}, self.now, 5.0):
                self.tell(e.ConnectionSeen("a1", self.now, 443))
            if (at := due(self.s, self.spec)) is not None and at <= self.now:
                self.s = decide(self.s, self.spec, self.now).state

    def symptom(self) -> str | None:
        return self.s.incident.symptom if self.s.incident else None

    def lines(self) -> str:
        return "\n".join(explain(self.s, self.spec, self.now).lines())


@pytest.fixture
def make(make_spec: MakeSpec) -> Callable[..., Desk]:
    def desk(**more: Any) -> Desk:
        return Desk(make_spec(**({"progress_timeout": 3000.0, "tool_timeout": 600.0} | more)))

    return desk


def test_it_is_life_for_tool_timeout_after_life_of_another_kind(make: Callable[..., Desk]) -> None:
    desk = make()
    desk.hold(590)
    assert desk.symptom() is None
    assert desk.s.phase is Phase.WORKING
    assert "it lives by an open connection to its provider alone" in desk.lines()
    assert "open connections of its process tree" in desk.lines()
    desk.hold(100)
    assert desk.symptom() == "stalled"
    without = make()
    without.hold(70, waits=False)
    assert without.symptom() == "stalled"


def test_life_of_another_kind_gives_it_its_time_again(make: Callable[..., Desk]) -> None:
    desk = make()
    desk.hold(500)
    desk.tell(e.OutputSeen("a1", desk.now))
    assert "it lives by" not in desk.lines()
    desk.hold(500)
    assert desk.symptom() is None
    desk.hold(200)
    assert desk.symptom() == "stalled"


def test_it_has_its_time_from_the_adoption_on(make: Callable[..., Desk]) -> None:
    desk = make()
    desk.hold(590)
    desk.tell(e.ProcessAdopted("a1", desk.now, 1, 100, 1.0, "%1"))
    desk.hold(590)
    assert desk.symptom() is None
    desk.hold(100)
    assert desk.symptom() == "stalled"


def test_a_server_that_hangs_now_and_then_gives_it_no_time(make: Callable[..., Desk]) -> None:
    desk = make()
    for _ in range(40):
        desk.hold(20)
        desk.tell(e.Unseen("a1", desk.now, "tmux"))
        desk.tell(e.SeenAgain("a1", desk.now))
    assert desk.symptom() == "stalled"


def test_it_is_never_progress_and_proves_nothing(make: Callable[..., Desk]) -> None:
    desk = make(progress_timeout=300.0)
    before = desk.s.last_progress
    desk.hold(310)
    assert desk.s.last_progress == before
    assert desk.symptom() == "looping"
    desk.tell(e.ConnectionSeen("a1", desk.now, 443))
    assert desk.symptom() == "looping"


@pytest.mark.parametrize("change", [{"stopped": True}, {"alive": False}, {"started": T0 + 1e6}])
def test_it_is_none_of_who_is_stopped_or_gone(make: Callable[..., Desk], change: dict[str, Any]) -> None:
    desk = make()
    desk.s = replace(desk.s, **change)
    desk.tell(e.ConnectionSeen("a1", T0 + 40, 443))
    assert (desk.s.last_life, desk.s.trace.connection) == (T0, None)


def test_where_a_trees_cpu_is_no_life_its_connections_are_none(make: Callable[..., Desk]) -> None:
    desk = make(liveness=("beat", "output"))
    desk.hold(70)
    assert desk.symptom() == "stalled"
    other = make(liveness=("beat",))
    other.tell(e.ConnectionSeen("a1", T0 + 40, 443))
    assert other.s.last_life == T0
    assert "connection" in other.lines()
    assert "(does not count as life)" in next(x for x in other.lines().splitlines() if "  connection" in x)


def test_only_the_silent_are_asked_and_each_now_and_then(make: Callable[..., Desk]) -> None:
    desk, silent = make(), Silent()

    def ask(at: float, state: AgentState, spec: AgentSpec = desk.spec) -> dict[str, Any]:
        return silent.to_ask({"a1": state}, {"a1": spec}, at, 2.0)

    assert ask(T0 + 29, desk.s) == {}
    assert ask(T0 + 31, desk.s) == {"a1": (443,)}
    assert [at for at in range(32, 60, 2) if ask(T0 + at, desk.s)] == [46]
    silent = Silent()
    assert ask(T0 + 601, desk.s) == {}, "it could not count any more"
    for unasked in (
        {"stopped": True},
        {"phase": Phase.WAITING},
        {"phase": Phase.UNKNOWN},
        {"attached": True},
    ):
        assert ask(T0 + 40, replace(desk.s, **unasked)) == {}, unasked
    nowhere = desk.spec.model_copy(update={"seats": (Seat(profile=Profile(name="x", provider_ports=())),)})
    assert ask(T0 + 40, desk.s, nowhere) == {}
    assert ask(T0 + 40, desk.s) == {"a1": (443,)}


def test_of_a_thousand_that_fall_silent_at_once_some_are_asked_each_look(make: Callable[..., Desk]) -> None:
    desk, silent = make(), Silent()
    states = {f"a{n}": replace(desk.s, id=f"a{n}") for n in range(1000)}
    specs = dict.fromkeys(states, desk.spec)
    asked = [silent.to_ask(states, specs, T0 + 30 + 2 * look, 2.0) for look in range(15)]
    assert max(map(len, asked)) <= 140
    assert set().union(*asked[:14]) == states.keys(), "all before the first would be stalled"
    few = dict(list(states.items())[:AT_ONCE])
    assert len(Silent().to_ask(few, specs, T0 + 30, 2.0)) == AT_ONCE


def test_one_that_is_seen_too_late_counts_no_more_and_is_told_so(make: Callable[..., Desk]) -> None:
    desk = make()
    desk.now = T0 + 601
    desk.tell(e.ConnectionSeen("a1", desk.now, 443))
    assert desk.s.last_life == T0
    assert "(does not count as life)" in next(x for x in desk.lines().splitlines() if "  connection" in x)
