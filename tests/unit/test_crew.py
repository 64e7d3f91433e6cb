"""Actions of one agent follow each other, those of many go side by side; none is lost by another's fault."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from hhmrs.controller.daemon import crew as crew_module
from hhmrs.controller.daemon.crew import Crew
from hhmrs.controller.recovery.perform import Outcome
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState


class Stopped:
    def now(self) -> float:
        return 5.0


class Gates:
    """Hands that wait at a gate of each action until a test opens it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gates: dict[str, threading.Event] = {}
        self.most = 0
        self._inside = 0
        self._lock = threading.Lock()

    def gate(self, key: str) -> threading.Event:
        with self._lock:
            return self.gates.setdefault(key, threading.Event())

    def perform(self, action: a.Action, state: AgentState) -> Outcome:
        with self._lock:
            self.begun.append(action.key)
            self._inside += 1
            self.most = max(self.most, self._inside)
        assert self.gate(action.key).wait(10)
        with self._lock:
            self._inside -= 1
        if "fails" in action.key:
            raise OSError("no such pane")
        assert state.id == action.agent
        return Outcome([e.StepFinished(action.agent, 0.0, action.key, ok=True)])


class Site:
    def __init__(self, agents: list[str]) -> None:
        self.hands = Gates()
        self.told: list[e.StepFinished] = []
        states = {agent: AgentState(agent) for agent in agents}
        self.crew = Crew(self.hands, states, Stopped(), self._done)

    def _done(self, action: a.Action, outcome: Outcome) -> None:
        (step,) = outcome.evidence
        assert isinstance(step, e.StepFinished)
        assert step.key == action.key
        self.told.append(step)

    def take(self, agent: str, key: str, *, open_gate: bool = True) -> None:
        if open_gate:
            self.hands.gate(key).set()
        self.crew.take(a.ClearMarker(agent, key))

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - what is waited for happens in other threads
                await asyncio.sleep(0.001)


async def test_those_of_one_agent_keep_their_order_and_never_overlap() -> None:
    site = Site(["x"])
    for n in range(20):
        site.take("x", f"x{n}")
    assert site.crew.busy("x")
    await site.crew.rest(10)
    assert [step.key for step in site.told] == [f"x{n}" for n in range(20)]
    assert site.hands.most == 1
    assert not site.crew.busy("x")


async def test_a_stubborn_agent_keeps_nobody_else_waiting() -> None:
    site = Site(["slow", "x", "y"])
    site.take("slow", "s", open_gate=False)
    await site.until(lambda: site.hands.begun == ["s"])
    for n in range(5):
        site.take("x", f"x{n}")
        site.take("y", f"y{n}")
    await site.until(lambda: len(site.told) == 10)
    assert site.crew.busy("slow")
    site.take("slow", "s2")
    site.hands.gate("s").set()
    await site.crew.rest(10)
    assert [step.key for step in site.told][10:] == ["s", "s2"]


async def test_no_more_than_so_many_at_once_and_the_others_get_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crew_module, "AT_ONCE", 3)
    agents = [f"a{n}" for n in range(12)]
    site = Site(agents)
    for agent in agents:
        site.take(agent, agent, open_gate=False)
        site.take(agent, f"{agent}-again")
    await site.until(lambda: len(site.hands.begun) == 3)
    for agent in agents:
        site.hands.gate(agent).set()
    await site.crew.rest(10)
    assert len(site.told) == 24
    assert site.hands.most == 3
    # Each agent had its first turn before one of those that were waiting had its second.
    assert site.hands.begun.index("a11") < site.hands.begun.index("a3-again")


async def test_what_raises_has_failed_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(["x"])
    site.take("x", "fails")
    site.take("x", "next")
    site.take("gone", "nobody")
    await site.crew.rest(10)
    told = {step.key: step for step in site.told}
    assert (told["fails"].ok, told["fails"].at) == (False, 5.0)
    assert "no such pane" in told["fails"].why
    assert told["next"].ok
    assert not told["nobody"].ok
    assert "cannot carry out" in caplog.text


async def test_what_comes_just_as_the_last_hand_is_let_go_is_not_left_lying(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crew_module, "AT_ONCE", 1)
    site = Site(["x", "y"])

    def done(_action: a.Action, _outcome: Outcome) -> None:
        if not site.crew.busy("y") and "y" not in site.hands.begun:
            asyncio.get_running_loop().call_soon(site.take, "y", "y")

    site.crew = Crew(site.hands, {"x": AgentState("x"), "y": AgentState("y")}, Stopped(), done)
    site.take("x", "x")
    await site.until(lambda: site.hands.begun == ["x", "y"])
