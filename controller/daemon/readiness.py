"""Is an agent up (its `ready` probe)? Then it gets its prompt, if its command line could not hold it."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess

from ...config.fleet import AgentSpec, Probe
from ...healing import evidence as e
from ...healing.agent import HELD, AgentState
from ...healing.holding import HANDS_OFF
from ...healing.seats import in_force
from ..ports import Clock
from ..recovery.perform import Performer
from .engine import Engine

PROBE_TIMEOUT = 5.0


class Readiness:
    """Asks only those that started and have not yet shown that they are up."""

    def __init__(self, engine: Engine, performer: Performer, clock: Clock) -> None:
        self._engine = engine
        self._performer = performer
        self._clock = clock
        self._unproved: dict[str, None] = {}
        self._screens: dict[str, tuple[str, ...]] = {}

    def notice(self, evidence: e.Evidence) -> None:
        agent = evidence.agent
        if isinstance(evidence, e.OutputSeen):
            if agent in self._unproved and evidence.lines:
                self._screens[agent] = evidence.lines
        elif isinstance(evidence, e.ProcessStarted | e.ProcessAdopted):
            self._screens.pop(agent, None)
            self._unproved[agent] = None

    def consider(self, agent: str, state: AgentState, spec: AgentSpec) -> None:
        """It may have got its probe by another fleet file."""
        if in_force(state, spec).ready and state.alive and not state.ready:
            self._unproved[agent] = None

    async def probe(self) -> None:
        for agent in list(self._unproved):
            state, spec = self._engine.states.get(agent), self._engine.fleet.agents.get(agent)
            spec = in_force(state, spec) if state is not None and spec is not None else None
            if state is None or spec is None or not spec.ready or state.ready or not state.alive:
                self._unproved.pop(agent, None)
                self._screens.pop(agent, None)
                continue
            if state.phase in HELD:
                continue
            passes: bool = await asyncio.to_thread(self._passes, spec)
            if passes:
                self._engine.emit(e.ReadyProbed(agent, self._clock.now(), True))

    def _passes(self, spec: AgentSpec) -> bool:
        probe = spec.ready or Probe()
        if probe.output is not None:
            return any(re.search(probe.output, line) for line in self._screens.get(spec.id, ()))
        if probe.port is not None:
            try:
                with socket.create_connection(("127.0.0.1", probe.port), timeout=1.0):
                    return True
            except OSError:
                return False
        try:
            done = subprocess.run(
                list(probe.command or ()),
                cwd=spec.workspace,
                timeout=PROBE_TIMEOUT,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    async def prompt(self) -> None:
        """Type the prompt of agents that are ready for it."""
        for agent, (attempt, text) in list(self._performer.starter.to_type.items()):
            state = self._engine.states.get(agent)
            spec = self._engine.fleet.agents.get(agent)
            if state is None or spec is None or state.attempt != attempt or state.attached:
                continue
            # A dialog before the first prompt (is this folder trusted?) is not answered with the task.
            if state.phase in HANDS_OFF or not (state.alive and state.ready):
                continue
            why: str = await asyncio.to_thread(self._performer.hands_off, spec, state)
            if why:
                continue
            self._engine.emit(e.Typed(agent, self._clock.now(), text))
            await asyncio.to_thread(self._performer.terminals.paste, agent, text)
            if self._performer.starter.to_type.get(agent) == (attempt, text):
                del self._performer.starter.to_type[agent]
