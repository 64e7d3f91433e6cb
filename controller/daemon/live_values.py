"""Live values for those who only read the book: of the agents that changed, so many a second and no more."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

from ...config.fleet import AgentSpec
from ...healing.agent import AgentState
from ...healing.detect import missed_beats
from ..ports import Clock
from ..timestamps import to_iso
from .engine import Engine

OLDEST = 10.0
"""Seconds by which what is shown may lag behind when every agent is at work."""
FEWEST, MOST = 20, 200
"""Rows in one round: a row costs the daemon about 50 us."""
SWEEP_ROUNDS = 30
SWEPT_AT_LEAST = 50

Beats = Callable[[Mapping[str, Mapping[str, object]]], None]


class LiveValues:
    """Evidence marks its agent; each round writes the agents that were marked longest ago. What changes
    without evidence (a phase by the clock, missed heartbeats) is found by a sweep, some agents a round."""

    def __init__(self, engine: Engine, clock: Clock, beats: Beats) -> None:
        self._engine = engine
        self._clock = clock
        self._beats = beats
        self._told: dict[str, dict[str, object]] = {}
        self._marked: dict[str, None] = {}
        self._sweep: deque[str] = deque()
        self.swept: list[Callable[[str, AgentState, AgentSpec], None]] = []
        """Called for each agent the sweep comes to, in about half a minute for every one."""

    def mark(self, agent: str) -> None:
        self._marked[agent] = None

    async def tell(self) -> None:
        """One round."""
        self._look_over_some()
        rows = int(min(MOST, max(FEWEST, len(self._engine.states) / OLDEST)))
        fresh: dict[str, dict[str, object]] = {}
        while self._marked and len(fresh) < rows:
            agent = next(iter(self._marked))
            del self._marked[agent]
            values = self._values(agent)
            if values is not None and self._told.get(agent) != values:
                fresh[agent] = self._told[agent] = values
        if fresh:
            await asyncio.to_thread(self._beats, fresh)

    def _look_over_some(self) -> None:
        if not self._sweep:
            self._sweep.extend(self._engine.states)
            for agent in self._told.keys() - self._engine.states.keys():
                del self._told[agent]
        for _ in range(max(SWEPT_AT_LEAST, len(self._engine.states) // SWEEP_ROUNDS)):
            if not self._sweep:
                return
            agent = self._sweep.popleft()
            state, spec = self._engine.states.get(agent), self._engine.fleet.agents.get(agent)
            if state is None or spec is None:
                continue
            if self._told.get(agent) != self._values(agent):
                self.mark(agent)
            for look in self.swept:
                look(agent, state, spec)

    def _values(self, agent: str) -> dict[str, object] | None:
        state = self._engine.states.get(agent)
        if state is None:
            return None
        spec = self._engine.fleet.agents.get(agent)
        missed = missed_beats(state, spec, self._clock.now()) if spec else 0
        return live_values(state) | {"missed": missed}


def usage_values(s: AgentState) -> list[float | None] | None:
    """sent, received, cached, cost, context_left; None: its transcripts tell nothing."""
    if not s.spending.known:
        return None
    total = s.spending.total
    return [total.sent, total.received, total.cached, total.cost, s.spending.context_left]


def live_values(s: AgentState) -> dict[str, object]:
    trace = s.trace
    return {
        "beat": trace.beat,
        "output": trace.output,
        "file": trace.file,
        "transcript": trace.transcript,
        "process": trace.process,
        "cpu": trace.cpu,
        "connection": trace.connection,
        "cpu_pct": round(s.cpu_pct, 1),
        "memory_mb": round(s.memory_mb, 1),
        "threads": s.threads,
        "moved": s.moved,
        "progress": s.progress,
        "message": s.message,
        "status": s.phase.value,
        "says": s.says,
        "screen": s.screen,
        "title": s.title,
        "stopped": s.stopped,
        "stopped_child": s.stopped_child,
        "attached": s.attached,
        "last_life": s.last_life,
        "last_progress": s.last_progress,
        "last_solid": s.last_solid,
        "last_shown": s.last_shown,
        "overlong": s.overlong,
        "progress_kind": s.progress_kind,
        "usage": usage_values(s),
        "last_heartbeat": to_iso(trace.beat) if trace.beat else None,
    }
