"""The rounds: what is measured is told of the process it was measured of, checkpoints wait for quiet."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy, Profile, Seat
from hhmrs.controller.daemon import rounds as rounds_module
from hhmrs.controller.daemon.engine import Engine
from hhmrs.controller.daemon.rounds import BETWEEN_CHECKPOINTS, QUIET, Rounds
from hhmrs.controller.means import Means, published
from hhmrs.controller.ports import Identity, Row
from hhmrs.controller.processes.measuring import Measure
from hhmrs.controller.processes.processes import ProcessTable, identify
from hhmrs.controller.recovery.perform import Outcome
from hhmrs.healing import evidence as e
from hhmrs.healing.actions import Action
from hhmrs.healing.agent import AgentState, Phase

MakeSpec = Callable[..., AgentSpec]


class Time:
    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at


class Book:
    async def commit(self, rows: list[Row]) -> None:
        return None


class Desk:
    """Rounds over an engine that is not running: what they emit is kept."""

    def __init__(self, specs: list[AgentSpec], table: ProcessTable | None = None) -> None:
        fleet = FleetSpec(fleet="f", path=Path("/f"), policy=Policy(), agents={s.id: s for s in specs},
                          profiles={})  # fmt: skip
        self.time, self.emitted, self.taken = Time(), list[e.Evidence](), list[str]()
        self.engine = Engine(fleet, self.time, Book(), self, lambda _: None)
        self.engine.emit = self.emitted.append  # type: ignore[method-assign,assignment] # nothing else is asked
        self.table = table or ProcessTable()
        starter = SimpleNamespace(token=lambda agent: f"f:{agent}", to_type={})
        hands: Any = SimpleNamespace(starter=starter, take_checkpoint=self.take_checkpoint)
        self.rounds = Rounds(self.engine, hands, self.table, self.time, lambda _: None)
        for spec in specs:
            self.engine.begin(spec)

    def perform(self, action: Action, state: AgentState) -> Outcome:
        raise AssertionError("nothing is done")

    def take_checkpoint(self, spec: AgentSpec, state: AgentState) -> list[e.Evidence]:
        self.taken.append(spec.id)
        return []

    def runs(self, agent: str, who: Identity) -> None:
        state = replace(self.engine.states[agent], phase=Phase.WORKING, alive=True, recovery=None,
                        pid=who.pid, created=who.created)  # fmt: skip
        self.engine.states[agent] = state

    def notice(self, evidence: e.Evidence) -> None:
        for seen in self.engine.evidence_seen:
            seen(evidence)


def ourselves() -> Identity:
    who = identify(os.getpid())
    assert who is not None
    return who


async def test_what_is_measured_is_told_with_the_time_of_the_look(make_spec: MakeSpec) -> None:
    desk = Desk([make_spec("a")])
    desk.runs("a", ourselves())
    period = await desk.rounds._measure()
    (told,) = desk.emitted
    assert isinstance(told, e.ProcessMeasured)
    assert (told.agent, told.at) == ("a", 1000.0)
    assert told.memory_mb > 1
    assert period is not None
    assert 2.0 <= period <= 15.0


async def test_nothing_is_told_of_a_process_whose_place_was_taken_meanwhile(make_spec: MakeSpec) -> None:
    class Slow(ProcessTable):
        def measure(
            self, roots: Mapping[str, Identity], *, tag: Callable[[str], str] | None = None, **more: Any
        ) -> dict[str, Measure]:
            found = super().measure(roots, tag=tag, **more)
            desk.runs("a", Identity(ourselves().pid + 1, 5.0))
            return found

    desk = Desk([make_spec("a"), make_spec("b")], Slow())
    desk.runs("a", ourselves())
    desk.runs("b", ourselves())
    await desk.rounds._measure()
    assert [told.agent for told in desk.emitted] == ["b"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
async def test_of_a_silent_agent_it_is_told_that_its_connection_is_open(make_spec: MakeSpec) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listens, socket.create_connection(listens.getsockname()):
        port = listens.getsockname()[1]
        seats = (Seat(profile=Profile(name="shell", provider_ports=(port,))),)
        desk = Desk([make_spec("a", seats=seats), make_spec("b"), make_spec("c", seats=seats)])
        for agent, quiet in (("a", 31.0), ("b", 31.0), ("c", 29.0)):
            desk.runs(agent, ourselves())
            state = replace(desk.engine.states[agent], last_shown=1000.0 - quiet)
            desk.engine.states[agent] = state
        await desk.rounds._measure()
        seen = [told for told in desk.emitted if isinstance(told, e.ConnectionSeen)]
        assert seen == [e.ConnectionSeen("a", 1000.0, port)]


async def test_a_checkpoint_is_taken_once_it_is_quiet_and_not_again_so_soon(make_spec: MakeSpec) -> None:
    desk = Desk([make_spec("a"), make_spec("b")])
    for agent in ("a", "b"):
        desk.runs(agent, ourselves())

    async def at(when: float, *changed: str) -> list[str]:
        desk.time.at = when
        for agent in changed:
            desk.notice(e.FileChanged(agent, when, "x"))
        await desk.rounds._checkpoint()
        taken, desk.taken = desk.taken, []
        return taken

    assert await at(1000.0, "a") == []
    assert await at(1000.0 + QUIET - 0.1, "a") == []
    assert await at(1000.0 + QUIET + 0.1) == [], "it went on meanwhile"
    assert await at(1000.0 + 2 * QUIET) == ["a"]
    assert await at(1010.0, "a", "b") == []
    assert await at(1010.0 + QUIET) == ["b"]
    assert await at(1000.0 + 2 * QUIET + BETWEEN_CHECKPOINTS) == ["a"]
    assert await at(1100.0) == [], "nothing changed since"


async def test_changes_that_never_stop_do_not_keep_a_checkpoint_from_being_taken(make_spec: MakeSpec) -> None:
    desk = Desk([make_spec("a")])
    desk.runs("a", ourselves())
    taken_at = []
    for second in range(200):
        desk.time.at = 1000.0 + second
        desk.notice(e.FileChanged("a", desk.time.at, f"f{second}"))
        await desk.rounds._checkpoint()
        if desk.taken:
            taken_at.append(second)
            desk.taken.clear()
    pauses = [later - earlier for earlier, later in zip([0, *taken_at], taken_at, strict=False)]
    assert len(taken_at) >= 6
    assert all(BETWEEN_CHECKPOINTS <= pause <= BETWEEN_CHECKPOINTS + 1 for pause in pauses), pauses


async def test_a_slow_workspace_keeps_no_other_waiting(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk([make_spec("a"), make_spec("b")])
    for agent in ("a", "b"):
        desk.runs(agent, ourselves())
    free = threading.Event()

    def take(spec: AgentSpec, _: AgentState) -> list[e.Evidence]:
        if spec.id == "a":
            assert free.wait(30)
        desk.taken.append(spec.id)
        return []

    monkeypatch.setattr(desk.rounds._performer, "take_checkpoint", take)
    desk.notice(e.FileChanged("a", 1000.0, "x"))
    desk.time.at = 1003.0
    await desk.rounds._checkpoint()
    assert desk.taken == []
    desk.notice(e.FileChanged("a", 1003.0, "x"))
    desk.notice(e.FileChanged("b", 1003.0, "x"))
    desk.time.at = 1060.0
    await desk.rounds._checkpoint()
    assert desk.taken == ["b"], "and no second one of a beside the first"
    free.set()
    async with asyncio.timeout(30):
        while desk.taken != ["b", "a"]:  # noqa: ASYNC110 - a thread is what is waited for
            await asyncio.sleep(0.01)
    desk.time.at = 1062.0
    await desk.rounds._checkpoint()
    assert desk.taken == ["b", "a", "a"]


async def test_an_agent_that_is_being_brought_back_waits_with_its_checkpoint(make_spec: MakeSpec) -> None:
    desk = Desk([make_spec("a")])
    begun = desk.engine.states["a"].recovery
    assert begun is not None, "its start is under way"
    desk.notice(e.FileChanged("a", 1000.0, "x"))
    desk.time.at = 1010.0
    await desk.rounds._checkpoint()
    assert desk.taken == []
    desk.runs("a", ourselves())
    desk.time.at = 1011.0
    await desk.rounds._checkpoint()
    assert desk.taken == ["a"]


async def test_means_are_published_when_they_change_and_only_then(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds_module, "MEANS_EVERY", 0.01)
    desk, path, asked = Desk([make_spec("a")]), tmp_path / "means.json", list[int]()
    means = (Means("output", "inotify"),)

    def tell() -> tuple[Means, ...]:
        asked.append(1)
        return means

    async def until(holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - what is waited for is made by a task
                await asyncio.sleep(0.005)

    running = asyncio.create_task(desk.rounds._publish(tell, path))
    await until(path.exists)
    first, seen = path.stat().st_ino, len(asked)
    await until(lambda: len(asked) > seen + 5)
    assert path.stat().st_ino == first
    means = (Means("output", "looking", False, "no inotify"),)
    await until(lambda: published(path, os.getpid()) == means)
    running.cancel()
