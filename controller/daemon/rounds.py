"""What the daemon does by the clock rather than on an event: looking at processes, probing, checkpointing,
showing live values and the means by which it sees. No round walks the whole fleet when nothing is due."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

from ...healing import evidence as e
from ...healing.agent import Stage
from ...healing.seats import seat_of
from ..means import Means, publish
from ..ports import Clock, Identity
from ..processes.connections import Silent
from ..processes.measuring import Measure
from ..processes.processes import ProcessTable
from ..processes.telling import Teller, few_at_work, first_pace, pace
from ..recovery.perform import Performer
from .engine import Engine
from .live_values import Beats, LiveValues
from .readiness import Readiness

log = logging.getLogger(__name__)

QUIET = 2.0
"""Seconds without a file change before the supervisor takes its own checkpoint."""
BETWEEN_CHECKPOINTS = 30.0
"""Seconds from one to the next; and the longest that one waits for quiet where changes never stop."""
CHECKPOINTS_AT_ONCE = 4
TRIM_EVERY = 3600.0
TOLD_AT_ONCE, BREATH = 20, 0.05
"""So many measures at once, then so many seconds for the rest of the loop: an exit must not wait."""
MEANS_EVERY = 5.0


class Rounds:
    """Periodic work on the loop; everything that may block runs in a thread."""

    def __init__(
        self, engine: Engine, performer: Performer, table: ProcessTable, clock: Clock, beats: Beats
    ) -> None:
        self._engine = engine
        self._performer = performer
        self._table = table
        self._clock = clock
        self._live = LiveValues(engine, clock, beats)
        self._ready = Readiness(engine, performer, clock)
        self._live.swept.append(self._ready.consider)
        self._teller = Teller()
        self._silent = Silent()
        self._changed_at: dict[str, float] = {}
        self._first_change: dict[str, float] = {}
        self._taken_at: dict[str, float] = {}
        self._quiet_at: list[tuple[float, str]] = []
        self._taking: dict[str, asyncio.Task[None]] = {}
        self._few = asyncio.Semaphore(CHECKPOINTS_AT_ONCE)
        engine.evidence_seen.append(self._notice)

    def tasks(
        self,
        fastest: float,
        *,
        means: Callable[[], tuple[Means, ...]] | None = None,
        means_file: Path | None = None,
    ) -> list[Coroutine[Any, Any, None]]:
        """The rounds to run beside the engine. `fastest`: the shortest heartbeat interval of the fleet, s.
        `means`: by which the daemon sees; written to `means_file` whenever they change."""
        soon = 1.0 if fastest >= 4 else 0.3
        rounds: list[Coroutine[Any, Any, None]] = [
            self._every(first_pace(fastest), self._measure),
            self._every(soon, self._live.tell),
            self._every(soon, self._ready.probe),
            self._every(0.5, self._ready.prompt),
            self._every(1.0, self._checkpoint),
            self._every(TRIM_EVERY, self._trim),
        ]
        if means is not None and means_file is not None:
            rounds.append(self._publish(means, means_file))
        return rounds

    async def _every(self, period: float, work: Callable[[], Coroutine[Any, Any, float | None]]) -> None:
        """Run `work` again and again; what it returns, if anything, is the time until the next."""
        wait = period
        while True:
            await asyncio.sleep(wait)
            wait = period
            try:
                wait = await work() or period
            except Exception:
                log.exception("cannot finish a round of %s", work.__name__)

    async def _publish(self, means: Callable[[], tuple[Means, ...]], path: Path) -> None:
        told: tuple[Means, ...] | None = None
        while True:
            try:
                now = means()
                if now != told:
                    await asyncio.to_thread(publish, path, now)
                    told = now
            except Exception:
                log.exception("cannot tell by which means the fleet is seen")
            await asyncio.sleep(MEANS_EVERY)

    def _notice(self, evidence: e.Evidence) -> None:
        agent = evidence.agent
        self._live.mark(agent)
        self._ready.notice(evidence)
        if isinstance(evidence, e.FileChanged):
            if agent not in self._changed_at:
                heapq.heappush(self._quiet_at, (evidence.at + QUIET, agent))
                self._first_change[agent] = evidence.at
            self._changed_at[agent] = evidence.at
        elif isinstance(evidence, e.ProcessStarted):
            self._teller.forget(agent)

    # -- processes ------------------------------------------------------------------------------

    async def _measure(self) -> float | None:
        roots = {
            agent: Identity(s.pid, s.created)
            for agent, s in self._engine.states.items()
            if s.alive and s.pid is not None and s.created is not None
        }
        if not roots:
            return None
        policies = [a.policy for a in self._engine.fleet.agents.values()]
        beat = min((p.heartbeat_interval for p in policies), default=30.0)
        silence = min((p.silence for p in policies), default=60.0)
        now, token = self._clock.now(), self._performer.starter.token
        measured = await asyncio.to_thread(self._table.measure, roots, tag=token, clis=self._clis(roots))
        calm = few_at_work(measured) and not any(s.recovery for s in self._engine.states.values())
        period = pace(self._table.cost, beat, silence, calm=calm)
        for number, told in enumerate(self._teller.choose(measured, now, silence, period), 1):
            state = self._engine.states.get(told.agent)
            # Meanwhile another process may have taken its place; this is not about that one.
            if state and state.alive and Identity(state.pid or 0, state.created or 0.0) == roots[told.agent]:
                self._engine.emit(told)
            if number % TOLD_AT_ONCE == 0:
                await asyncio.sleep(BREATH)
        await self._connected(roots, measured, now, period)
        return period

    async def _connected(
        self, roots: Mapping[str, Identity], measured: Mapping[str, Measure], now: float, period: float
    ) -> None:
        """Ask whether those that show nothing else have a connection to their provider open."""
        # What moved just now was told, or will be in time.
        still = {agent for agent, m in measured.items() if not (m.stopped or m.cpu_grew or m.busy_children)}
        states = {agent: s for agent, s in self._engine.states.items() if agent in still}
        wanted = self._silent.to_ask(states, self._engine.fleet.agents, now, period)
        if not wanted:
            return
        for agent, port in (await asyncio.to_thread(self._table.connected, wanted)).items():
            state = self._engine.states.get(agent)
            if state and state.alive and Identity(state.pid or 0, state.created or 0.0) == roots[agent]:
                self._engine.emit(e.ConnectionSeen(agent, now, port))

    def _clis(self, agents: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """What the CLIs of these agents are called, where a profile says so."""
        states, specs = self._engine.states, self._engine.fleet.agents
        found: dict[str, tuple[str, ...]] = {}
        for agent in agents:
            if agent in specs and (names := seat_of(states[agent], specs[agent]).profile.processes):
                found[agent] = names
        return found

    # -- checkpoints ----------------------------------------------------------------------------

    async def _checkpoint(self) -> None:
        """The supervisor's own checkpoint, after a quiet moment following changes."""
        now = self._clock.now()
        while self._quiet_at and self._quiet_at[0][0] <= now:
            _, agent = heapq.heappop(self._quiet_at)
            due = self._checkpoint_due(agent, now)
            if due is None:
                self._changed_at.pop(agent, None)
            elif due > now:
                heapq.heappush(self._quiet_at, (due, agent))
            else:
                del self._changed_at[agent]
                self._taken_at[agent] = now
                self._taking[agent] = asyncio.create_task(self._take_checkpoint(agent))
        if self._taking:
            # A large workspace takes its time; meanwhile those of others are saved.
            await asyncio.wait(self._taking.values(), timeout=1.0)

    def _checkpoint_due(self, agent: str, now: float) -> float | None:
        """When to take it, as things stand at `now`; None: never."""
        state, changed = self._engine.states.get(agent), self._changed_at.get(agent)
        if state is None or changed is None or agent not in self._engine.fleet.agents:
            return None
        moving = state.recovery is not None and state.recovery.stage is not Stage.VERIFYING
        if moving or self._engine.busy(agent) or agent in self._taking:
            return now + 1.0
        quiet = min(changed + QUIET, self._first_change[agent] + BETWEEN_CHECKPOINTS)
        return max(quiet, self._taken_at.get(agent, 0.0) + BETWEEN_CHECKPOINTS)

    async def _take_checkpoint(self, agent: str) -> None:
        try:
            async with self._few:
                spec, state = self._engine.fleet.agents[agent], self._engine.states[agent]
                taken = await asyncio.to_thread(self._performer.take_checkpoint, spec, state)
            self._engine.deliver(taken, [])
        except Exception:
            log.exception("agent %s: cannot take a checkpoint", agent)
        finally:
            del self._taking[agent]

    async def _trim(self) -> None:
        """Let go of old checkpoints and snapshots, also of agents that take no new ones."""
        for spec in list(self._engine.fleet.agents.values()):
            await asyncio.to_thread(self._performer.safe.trim, spec)
