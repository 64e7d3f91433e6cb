"""When to read which inbox: as soon as a letter came, but never while an attempt gives way to the next."""

from __future__ import annotations

import asyncio
import logging

from ..healing import evidence as e
from ..healing.agent import Stage
from .delivery import Delivered, Deliveries
from .engine import Engine
from .inbox import OPERATOR
from .inbox_watch import InboxWatch
from .reception import Reception

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds between two looks into all inboxes, whatever was or was not told of them."""


class Mailroom:
    """Lives on the loop; inboxes are read in threads, for a slow disk must not keep the loop."""

    def __init__(
        self, engine: Engine, deliveries: Deliveries, reception: Reception, watch: InboxWatch
    ) -> None:
        self._engine = engine
        self._deliveries = deliveries
        self._reception = reception
        self._watch = watch
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._looking: asyncio.Task[None] | None = None
        engine.evidence_seen.append(self._notice)

    def open(self) -> None:
        """Begin to watch, with what arrived while nobody did."""
        asyncio.get_running_loop().add_reader(self._watch.fileno(), self._letters_came)
        for agent in [*self._engine.states, OPERATOR]:
            self.read(agent)
        self._looking = asyncio.get_running_loop().create_task(self._now_and_then())

    def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        asyncio.get_running_loop().remove_reader(self._watch.fileno())
        self._watch.close()

    def read(self, agent: str) -> None:
        """Read this inbox now, or as soon as its present reader is done."""
        if agent == OPERATOR:
            self._reception.read()
        elif agent in self._reading or self._changing(agent):
            self._again.add(agent)
        elif agent in self._engine.states:
            self._again.discard(agent)
            self._reading[agent] = asyncio.get_running_loop().create_task(self._collect(agent))

    def _letters_came(self) -> None:
        for agent in self._watch.read():
            self.read(agent)

    def _changing(self, agent: str) -> bool:
        """The performer drains the inbox under the old attempt, and the new letters must not meet it."""
        state = self._engine.states.get(agent)
        recovery = state.recovery if state else None
        return recovery is not None and recovery.stage in (Stage.CLEARING, Stage.STARTING)

    def _notice(self, evidence: e.Evidence) -> None:
        step = isinstance(evidence, e.ProcessStarted | e.ProcessAdopted | e.StepFinished)
        if step and evidence.agent in self._again:
            self.read(evidence.agent)

    async def _collect(self, agent: str) -> None:
        delivered = Delivered()
        try:
            state, spec = self._engine.states[agent], self._engine.fleet.agents[agent]
            task = state.task.id if state.task else None
            delivered = await asyncio.to_thread(
                self._deliveries.collect, spec, lambda: self._attempt(agent), task
            )
        except Exception:
            log.exception("agent %s: its inbox could not be read; tried again in a moment", agent)
        finally:
            del self._reading[agent]
        if delivered.stuck:
            log.error("agent %s: %s; its letters wait in the inbox", agent, delivered.stuck)
        if delivered.letters:
            self._engine.deliver(delivered.evidence, delivered.letters)
        if delivered.more or agent in self._again:
            self.read(agent)

    async def _now_and_then(self) -> None:
        """A letter whose notice was lost, or that could not be taken, lies there until somebody looks."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for agent in [*self._engine.states, OPERATOR]:
                try:
                    self.read(agent)
                except Exception:
                    log.exception("inbox %s could not be read; tried again in a moment", agent)

    def _attempt(self, agent: str) -> int:
        state = self._engine.states.get(agent)
        return state.attempt if state else 0
