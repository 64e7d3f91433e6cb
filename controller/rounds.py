"""What the daemon does by the clock rather than on an event: measuring, probing, checkpointing, beats."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import subprocess
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from ..config.fleet import AgentSpec, Probe
from ..healing import evidence as e
from ..healing.agent import HELD, AgentState, Stage
from ..healing.decide import HANDS_OFF
from ..healing.detect import limits
from .engine import Engine
from .perform import Performer
from .ports import Clock, Identity
from .processes import ProcessTable
from .timestamps import to_iso

log = logging.getLogger(__name__)

QUIET = 2.0
"""Seconds without a file change before the supervisor takes its own checkpoint."""
BETWEEN_CHECKPOINTS = 30.0
MEASURE_EVERY = 2.0
TELL_QUIET_EVERY = 5.0
PROBE_TIMEOUT = 5.0

Beats = Callable[[Mapping[str, Mapping[str, object]]], None]


class Rounds:
    """Periodic work on the loop; everything that may block runs in a thread."""

    def __init__(
        self, engine: Engine, performer: Performer, table: ProcessTable, clock: Clock, beats: Beats
    ) -> None:
        self._engine = engine
        self._performer = performer
        self._table = table
        self._clock = clock
        self._beats = beats
        self._measured_at: float | None = None
        self._stopped: dict[str, bool] = {}
        self._told: dict[str, dict[str, object]] = {}
        self._changed_at: dict[str, float] = {}
        self._taken_at: dict[str, float] = {}
        self._screens: dict[str, tuple[str, ...]] = {}
        engine.evidence_seen.append(self._notice)

    def tasks(self, fastest: float) -> list[Coroutine[Any, Any, None]]:
        """The rounds to run beside the engine. `fastest`: the shortest heartbeat interval of the fleet, s."""
        measure = min(MEASURE_EVERY, max(0.3, fastest / 4))
        return [
            self._every(measure, self._measure),
            self._every(1.0 if fastest >= 4 else 0.3, self._tell),
            self._every(1.0 if fastest >= 4 else 0.3, self._probe),
            self._every(1.0, self._checkpoint),
            self._every(0.5, self._prompt),
        ]

    async def _every(self, period: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await asyncio.sleep(period)
            try:
                await work()
            except Exception:
                log.exception("cannot finish a round of %s", work.__name__)

    def _notice(self, evidence: e.Evidence) -> None:
        if isinstance(evidence, e.FileChanged):
            self._changed_at[evidence.agent] = evidence.at
        elif isinstance(evidence, e.OutputSeen):
            self._screens[evidence.agent] = evidence.lines
        elif isinstance(evidence, e.ProcessStarted):
            self._screens.pop(evidence.agent, None)

    async def _measure(self) -> None:
        roots = {
            agent: Identity(s.pid, s.created)
            for agent, s in self._engine.states.items()
            if s.alive and s.pid is not None and s.created is not None
        }
        if not roots:
            return
        before, now = self._measured_at, self._clock.now()
        measured = await asyncio.to_thread(self._table.measure, roots)
        self._measured_at = now
        for agent, m in measured.items():
            told = self._engine.states[agent].trace.process if agent in self._engine.states else None
            moved = m.cpu_grew or m.busy_children or m.stopped != self._stopped.get(agent, False)
            if not moved and told is not None and now - told < TELL_QUIET_EVERY:
                continue  # nothing new is not worth a state and a row each time
            self._stopped[agent] = m.stopped
            self._engine.emit(
                e.ProcessMeasured(
                    agent,
                    now,
                    m.cpu_grew,
                    tuple(m.busy_children),
                    m.stopped,
                    m.cpu_pct,
                    m.memory_mb,
                    m.threads,
                    before,
                )
            )

    async def _tell(self) -> None:
        """Live values for those who only read: what changed since the last time."""
        fresh: dict[str, dict[str, object]] = {}
        for agent, state in self._engine.states.items():
            values = _live_values(state) | {"missed": self._missed(agent, state)}
            if self._told.get(agent) != values:
                fresh[agent] = self._told[agent] = values
        if fresh:
            await asyncio.to_thread(self._beats, fresh)

    def _missed(self, agent: str, state: AgentState) -> int:
        """Heartbeat intervals without any life, for agents whose silence counts."""
        spec = self._engine.fleet.agents.get(agent)
        if spec is None or limits(state, spec).silence is None:
            return 0
        return int(max(0.0, self._clock.now() - state.last_life) // spec.policy.heartbeat_interval)

    async def _prompt(self) -> None:
        """Type the prompt of agents that take none on their command line, once they are ready for it."""
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

    async def _probe(self) -> None:
        due: list[AgentSpec] = []
        for agent, state in self._engine.states.items():
            spec = self._engine.fleet.agents.get(agent)
            if spec and spec.ready and state.alive and not state.ready and state.phase not in HELD:
                due.append(spec)
        for spec in due:
            passes: bool = await asyncio.to_thread(self._passes, spec)
            if passes:
                self._engine.emit(e.ReadyProbed(spec.id, self._clock.now(), True))

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

    async def _checkpoint(self) -> None:
        """The supervisor's own checkpoint, after a quiet moment following changes."""
        now = self._clock.now()
        for agent, changed in list(self._changed_at.items()):
            state = self._engine.states.get(agent)
            spec = self._engine.fleet.agents.get(agent)
            if state is None or spec is None:
                del self._changed_at[agent]
                continue
            recent = now - self._taken_at.get(agent, 0.0) < BETWEEN_CHECKPOINTS
            moving = state.recovery is not None and state.recovery.stage is not Stage.VERIFYING
            if now - changed < QUIET or recent or moving or self._engine.busy(agent):
                continue
            del self._changed_at[agent]
            self._taken_at[agent] = now
            taken = await asyncio.to_thread(self._performer.take_checkpoint, spec, state)
            self._engine.deliver(taken, [])


def _live_values(s: AgentState) -> dict[str, object]:
    trace = s.trace
    return {
        "beat": trace.beat,
        "output": trace.output,
        "file": trace.file,
        "transcript": trace.transcript,
        "process": trace.process,
        "cpu": trace.cpu,
        "cpu_pct": round(s.cpu_pct, 1),
        "memory_mb": round(s.memory_mb, 1),
        "threads": s.threads,
        "progress": s.progress,
        "message": s.message,
        "status": s.phase.value,
        "says": s.says,
        "stopped": s.stopped,
        "attached": s.attached,
        "last_life": s.last_life,
        "last_progress": s.last_progress,
        "last_solid": s.last_solid,
        "progress_kind": s.progress_kind,
        "last_heartbeat": to_iso(trace.beat) if trace.beat else None,
    }
