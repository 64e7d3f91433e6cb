"""Live values are written for the agents that changed, so many in a round, the longest waiting first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil
from pathlib import Path

import pytest

from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy
from hhmrs.controller.daemon.engine import Engine
from hhmrs.controller.daemon.live_values import MOST, OLDEST, SWEEP_ROUNDS, LiveValues
from hhmrs.controller.ports import Row
from hhmrs.controller.recovery.perform import Outcome
from hhmrs.healing.actions import Action
from hhmrs.healing.agent import AgentState, Phase

MakeSpec = Callable[..., AgentSpec]


class Time:
    def now(self) -> float:
        return 1000.0


class Book:
    async def commit(self, rows: list[Row]) -> None:
        raise AssertionError("nothing is written but live values")


class Hands:
    def perform(self, action: Action, state: AgentState) -> Outcome:
        raise AssertionError("nothing is done")


class Shown:
    """`rounds`: what was written in each round that wrote anything."""

    def __init__(self, specs: list[AgentSpec]) -> None:
        fleet = FleetSpec(fleet="f", path=Path("/f"), policy=Policy(), agents={s.id: s for s in specs},
                          profiles={})  # fmt: skip
        self.rounds: list[dict[str, Mapping[str, object]]] = []
        self.engine = Engine(fleet, Time(), Book(), Hands(), lambda _: None)
        for spec in specs:
            self.engine.begin(spec)
        self.live = LiveValues(self.engine, Time(), lambda rows: self.rounds.append(dict(rows)))

    def change(self, agent: str, **values: object) -> None:
        self.engine.states[agent] = replace(self.engine.states[agent], **values)  # type: ignore[arg-type] # given right

    async def settle(self) -> None:
        """Until all have been told as they are."""
        for _ in range(2 * SWEEP_ROUNDS + 20):
            await self.live.tell()
        del self.rounds[:]


@pytest.fixture
def shown(make_spec: MakeSpec) -> Shown:
    return Shown([make_spec(f"agent-{n:04}") for n in range(1000)])


async def test_what_evidence_marked_is_written_next_and_nothing_else(shown: Shown) -> None:
    await shown.settle()
    await shown.live.tell()
    assert shown.rounds == []
    shown.change("agent-0500", message="half way")
    shown.live.mark("agent-0500")
    shown.live.mark("agent-0501")
    await shown.live.tell()
    assert [list(one) for one in shown.rounds] == [["agent-0500"]]
    assert shown.rounds[0]["agent-0500"]["message"] == "half way"


async def test_when_all_are_at_work_none_waits_longer_than_the_rest(shown: Shown) -> None:
    await shown.settle()
    agents = list(shown.engine.states)
    for number in range(12):
        for agent in agents:
            shown.change(agent, cpu_pct=float(number + 1))
            shown.live.mark(agent)
        await shown.live.tell()
    assert {len(one) for one in shown.rounds} == {ceil(len(agents) / OLDEST)}
    written = [agent for one in shown.rounds for agent in one]
    assert written[: len(agents)] == agents
    assert len(shown.rounds[0]) <= MOST


async def test_what_changed_without_evidence_is_found_by_the_sweep(shown: Shown) -> None:
    await shown.settle()
    shown.change("agent-0999", phase=Phase.STALLED)
    for _ in range(SWEEP_ROUNDS + 2):
        await shown.live.tell()
    assert [list(one) for one in shown.rounds] == [["agent-0999"]]


async def test_the_sweep_also_asks_who_wants_to_know(shown: Shown) -> None:
    asked: list[str] = []
    shown.live.swept.append(lambda agent, _state, _spec: asked.append(agent))
    await shown.live.tell()
    assert 0 < len(asked) < 100, "a part of them in each round"
    for _ in range(SWEEP_ROUNDS):
        await shown.live.tell()
    assert set(asked) == set(shown.engine.states)


async def test_agents_that_are_gone_are_no_trouble(shown: Shown) -> None:
    await shown.settle()
    del shown.engine.states["agent-0007"]
    shown.live.mark("agent-0007")
    for _ in range(2 * SWEEP_ROUNDS):
        await shown.live.tell()
    assert shown.rounds == []
