"""A fleet under the whole brain in a small world: agents that need a provider and a tmux server."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hhmrs.config.fleet import (
    AgentSpec,
    ExitRule,
    FleetSpec,
    Policy,
    Profile,
    Seat,
)
from hhmrs.controller.daemon.brain import Brain
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Happening, Phase
from hhmrs.healing.codec import dump_state, load_state
from hhmrs.healing.holding import tries
from hhmrs.healing.turn import Turn

START = 1_000_000.0
PROFILE = Profile(name="acme", exits=(ExitRule(cause="api_error", pattern="API error"),))


def fleet_of(parents: Sequence[int | None], **policy: Any) -> FleetSpec:
    """Agents a00, a01, ...; `parents`: the number of each one's parent."""
    made = Policy(**policy)
    agents = {
        f"a{n:02}": AgentSpec(
            id=f"a{n:02}",
            title=f"A{n}",
            parent=None if parent is None else f"a{parent:02}",
            seats=(Seat(profile=PROFILE),),
            workspace=Path("/nowhere"),
            prompt="work",
            liveness=PROFILE.liveness,
            policy=made,
        )
        for n, parent in enumerate(parents)
    }
    return FleetSpec(fleet="f", path=Path("/f"), policy=made, agents=agents, profiles={})


class World:
    """Each attempt works a second after its start, or dies of what is `down` then. Steps take `STEP` s."""

    STEP = 0.2

    def __init__(self, fleet: FleetSpec) -> None:
        self.fleet = fleet
        self.now = START
        self.down: dict[str, Callable[[str, int], e.Evidence]] = {}
        self.slow: dict[str, float] = {}
        """How long it takes to end the old process tree of these, s."""
        self.events: list[Happening] = []
        self.announced: list[a.Announce] = []
        self.escalated: list[a.Escalate] = []
        self.begun: list[tuple[float, str]] = []
        self.most = 0
        self.steps = 0
        self._serial = itertools.count()
        self._agenda: list[tuple[float, int, e.Evidence]] = []
        self.brain = Brain(fleet)
        for spec in fleet.agents.values():
            self.brain.begin(spec, self.now, after=0, running=False)
        self.brain.look_at_all()
        self._turn([])

    @property
    def states(self) -> dict[str, AgentState]:
        return self.brain.states

    def count(self, type: str) -> int:
        return sum(h.type == type for h in self.events)

    def of(self, type: str) -> list[Happening]:
        return [h for h in self.events if h.type == type]

    def tell(self, *evidence: e.Evidence) -> None:
        self._turn(evidence)

    def fails_of_api(self, agent: str, attempt: int) -> e.Evidence:
        return e.ProcessExited(agent, self.now, attempt, 1, None, ("API error 500",))

    def provider_down(self, agents: Sequence[str] | None = None) -> None:
        """Who works there dies of it within a moment of each other."""
        for agent in agents or self.states:
            self.down[agent] = self.fails_of_api
        for n, (agent, state) in enumerate(self.states.items()):
            if agent in self.down and state.alive:
                self._plan(0.05 * n, self.fails_of_api(agent, state.attempt))

    def server_lost(self) -> None:
        for n, (agent, state) in enumerate(reversed(self.states.items())):
            ended = e.ProcessExited(agent, self.now + 0.01 * n, state.attempt, None, 1, (), lost=True)
            self._plan(0.01 * n, ended)

    def reborn(self) -> None:
        """kill -9 of the daemon, and another one."""
        states = [load_state(dump_state(s)) for s in self.states.values()]
        self._agenda = [entry for entry in self._agenda if isinstance(entry[2], e.ProcessExited)]
        heapq.heapify(self._agenda)
        self.brain = Brain(self.fleet)
        for state in states:
            self.brain.restore(state, self.now)
        self.brain.look_at_all()
        self._turn(
            [e.ProcessAdopted(s.id, self.now, s.attempt, 1, 1.0, "%1", s.socket) for s in states if s.alive]
        )

    def run(self, seconds: float, *, until: Callable[[], bool] = lambda: False) -> None:
        end = self.now + seconds
        while not until():
            times = [self._agenda[0][0]] if self._agenda else []
            if (at := self.brain.next_due()) is not None:
                times.append(max(at, self.now))
            if not times or min(times) > end:
                break
            self.now = min(times)
            batch = []
            while self._agenda and self._agenda[0][0] <= self.now:
                batch.append(heapq.heappop(self._agenda)[2])
            self._turn(batch)
            self.steps += 1
            assert self.steps < 60_000, "it goes round in circles"
        else:
            return
        self.now = end

    def _plan(self, delay: float, evidence: e.Evidence) -> None:
        heapq.heappush(self._agenda, (self.now + delay, next(self._serial), evidence))

    def _turn(self, batch: Sequence[e.Evidence]) -> None:
        turn = Turn()
        for evidence in batch:
            self._look(evidence)
            self.brain.take(replace(evidence, at=self.now), turn)
        self.brain.decide_due(turn, self.now)
        for group in turn.happenings.values():
            self.events += group
        for action in turn.actions:
            self._carry_out(action)
        assert self.brain.defects == 0
        under_way = sum(tries(s) and s.phase is Phase.RECOVERING for s in self.states.values())
        self.most = max(self.most, under_way)

    def _look(self, evidence: e.Evidence) -> None:
        """A second after its start it shows what comes of it."""
        if not isinstance(evidence, e.ProcessStarted):
            return
        agent, attempt = evidence.agent, evidence.attempt
        if agent in self.down:
            self._plan(1.0, self.down[agent](agent, attempt))
        else:
            self._plan(1.0, e.CheckpointReceived(agent, self.now, attempt, True, attempt))

    def _carry_out(self, action: a.Action) -> None:
        if isinstance(action, a.Announce):
            self.announced.append(action)
        elif isinstance(action, a.StartAttempt):
            started = e.ProcessStarted(action.agent, self.now, action.attempt, 7, 1.0, "%1", "hhmrs-f")
            self._plan(self.STEP, started)
        elif isinstance(action, a.ClearGround):
            self.begun.append((self.now, action.agent))
            cleared = e.StepFinished(action.agent, self.now, action.key, True, resumable=True)
            self._plan(self.slow.get(action.agent, self.STEP), cleared)
        else:
            if isinstance(action, a.Escalate):
                self.escalated.append(action)
            self._plan(self.STEP, e.StepFinished(action.agent, self.now, action.key, True))


def at_work(world: World) -> bool:
    return all(s.phase is Phase.WORKING and s.incident is None for s in world.states.values())


def begun(parents: Sequence[int | None] = (None,) * 12, **policy: Any) -> World:
    world = World(fleet_of(parents, **({"stable_after": 1e6, "progress_timeout": 1e6} | patient() | policy)))
    world.run(5)
    assert at_work(world)
    world.events.clear()
    world.begun.clear()
    return world


def patient() -> dict[str, Any]:
    """Nobody is silent for too long: only what fails counts."""
    return {"heartbeat_interval": 1e6, "quick_look": 1e6, "task_deadline": 1e6}


def crash(world: World, agents: Sequence[str]) -> None:
    for n, agent in enumerate(agents):
        state = world.states[agent]
        world._plan(0.001 * n, e.ProcessExited(agent, world.now, state.attempt, 2, None))
