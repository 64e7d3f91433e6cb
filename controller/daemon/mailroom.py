"""When to read which inbox: as soon as a letter came, but never while an attempt gives way to the next.

Whose letters came stands in one line, each agent once. A few clerks take the first ones of the line, read
some letters of each, and put those who have more at its end: so nobody who writes without pause keeps the
others waiting, and a thousand agents that write now and then are read in rounds, not one by one."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ...config.fleet import AgentSpec
from ...healing import evidence as e
from ...healing.agent import GIVING_WAY
from ..letters.delivery import Delivered, Deliveries
from ..letters.inbox import OPERATOR
from ..letters.inbox_watch import InboxWatch
from ..means import Means
from .engine import Engine
from .reception import Reception

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds between two looks at inboxes of which nobody told anything."""
PARTS = 6
"""Of all inboxes one in so many is looked at each time: what is noticed is told by the watch."""
CLERKS = 3
"""Rounds at a time; one whose disk does not answer holds up no more than its own."""
ROUND = 32
"""Inboxes of one round."""
MOST = 100
"""Letters of one inbox in one round, about."""
PACE = 0.01
"""Seconds from the begin of one round to that of the next: letters that come in crowds are read in crowds."""
SLOWEST = 0.05
"""The same while they come in such crowds that every round brings more than `CROWD`."""
CROWD = 16
UNREAD = 2_000
"""Letters of one agent that may wait for their commit; while so many do, no more of them are read."""

CATCH_UP = 5.0
"""Seconds that a beginning daemon waits at most for the letters of the time before."""

_Read = tuple[AgentSpec, Callable[[], int], str | None]


class Mailroom:
    """Lives on the loop; inboxes are read in threads of its own, for neither a slow disk must keep the loop,
    nor an act that takes its time the letters."""

    def __init__(
        self, engine: Engine, deliveries: Deliveries, reception: Reception, watch: InboxWatch
    ) -> None:
        self._engine = engine
        self._deliveries = deliveries
        self._reception = reception
        self._watch = watch
        self._line: dict[str, None] = {}
        self._reading: set[str] = set()
        self._again: set[str] = set()
        """To be read when what stands in the way of it is over: a reader, a start, a commit."""
        self._stuck: set[str] = set()
        self._news = asyncio.Event()
        self._door = asyncio.Lock()
        self._began = 0.0
        self._pace = PACE
        self._tasks: list[asyncio.Task[None]] = []
        self._threads = ThreadPoolExecutor(CLERKS + 1, "hhmrs-letters")
        engine.evidence_seen.append(self._notice)

    def open(self) -> None:
        """Begin to watch, with what arrived while nobody did."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._watch.fileno(), self._letters_came)
        self._deliveries.acknowledged = lambda agents: _tell(loop, self._removed, agents)
        for agent in [*self._engine.states, OPERATOR]:
            self.read(agent)
        self._tasks = [loop.create_task(self._clerk()) for _ in range(CLERKS)]
        self._tasks.append(loop.create_task(self._now_and_then()))

    async def catch_up(self) -> None:
        """Wait until what lay in the inboxes at the beginning is read, if the disk lets us: it was written
        before anything that is decided from now on, and must not be taken for the answer to it."""
        loop = asyncio.get_running_loop()
        unread, ends = set(self._engine.states), loop.time() + CATCH_UP
        while unread and loop.time() < ends:
            await asyncio.sleep(PACE)
            unread &= self._line.keys() | self._reading

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._deliveries.acknowledged = lambda _: None
        asyncio.get_running_loop().remove_reader(self._watch.fileno())
        self._watch.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def means(self) -> tuple[Means, ...]:
        """By which means letters are noticed now."""
        return self._watch.means()

    def read(self, agent: str) -> None:
        """Read this inbox as soon as its turn comes."""
        if agent == OPERATOR:
            self._reception.read()
        elif agent in self._reading or self._changing(agent):
            self._again.add(agent)
        elif agent in self._engine.states:
            self._again.discard(agent)
            self._line[agent] = None
            self._news.set()

    def _letters_came(self) -> None:
        for agent in self._watch.read():
            self.read(agent)

    def _changing(self, agent: str) -> bool:
        """The performer drains the inbox under the old attempt, and the new letters must not meet it."""
        state = self._engine.states.get(agent)
        recovery = state.recovery if state else None
        return recovery is not None and recovery.stage in GIVING_WAY

    def _notice(self, evidence: e.Evidence) -> None:
        step = isinstance(evidence, e.ProcessStarted | e.ProcessAdopted | e.StepFinished)
        if step and evidence.agent in self._again:
            self.read(evidence.agent)

    def _removed(self, agents: set[str]) -> None:
        """Letters of theirs are out of the way, so that others can be read."""
        for agent in agents & self._again:
            self.read(agent)

    # -- rounds ---------------------------------------------------------------------------------

    async def _clerk(self) -> None:
        while True:
            try:
                async with self._door:
                    agents = await self._next_round()
                if agents:
                    await self._round(agents)
            except Exception:
                log.exception("letters could not be read; tried again in a moment")
                await asyncio.sleep(PACE)

    async def _next_round(self) -> dict[str, _Read]:
        await self._news.wait()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._began + self._pace - loop.time()))
        self._began = loop.time()
        return self._next()

    def _next(self) -> dict[str, _Read]:
        """Whose turn it is, off the line, with what is needed to read their letters."""
        agents: dict[str, _Read] = {}
        while self._line and len(agents) < ROUND:
            agent = next(iter(self._line))
            del self._line[agent]
            state, spec = self._engine.states.get(agent), self._engine.fleet.agents.get(agent)
            if state is None or spec is None:
                continue
            if self._changing(agent) or self._deliveries.inbox.unread(agent) >= UNREAD:
                self._again.add(agent)
                continue
            task = state.task.id if state.task else None
            agents[agent] = (spec, partial(self._attempt, agent), task)
        if not self._line:
            self._news.clear()
        self._reading.update(agents)
        return agents

    async def _round(self, agents: dict[str, _Read]) -> None:
        found: dict[str, Delivered] = {}
        try:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._threads, self._collect, agents)
        except RuntimeError:
            log.debug("no more letters are read: the daemon goes down")
        finally:
            self._reading.difference_update(agents)
        crowd = sum(len(delivered.letters) for delivered in found.values()) > CROWD
        self._pace = min(SLOWEST, self._pace * 1.5) if crowd else PACE
        for agent, delivered in found.items():
            if delivered.stuck and agent not in self._stuck:
                log.error("agent %s: %s; its letters wait in the inbox", agent, delivered.stuck)
            self._stuck.add(agent) if delivered.stuck else self._stuck.discard(agent)
            if delivered.letters:
                self._engine.deliver(delivered.evidence, delivered.letters)
            if delivered.more or agent in self._again:
                self.read(agent)

    def _collect(self, agents: dict[str, _Read]) -> dict[str, Delivered]:
        """In a thread: what waits for each of them."""
        found: dict[str, Delivered] = {}
        for agent, (spec, attempt, task) in agents.items():
            try:
                found[agent] = self._deliveries.collect(spec, attempt, task, most=MOST)
            except Exception:
                found[agent] = Delivered()
                log.exception("agent %s: its inbox could not be read; tried again in a moment", agent)
        return found

    async def _now_and_then(self) -> None:
        """A letter whose notice was lost, or that could not be taken, lies there until somebody looks."""
        for part in itertools.cycle(range(PARTS)):
            await asyncio.sleep(LOOK_EVERY)
            try:
                loop, inbox = asyncio.get_running_loop(), self._deliveries.inbox
                moved = await loop.run_in_executor(self._threads, inbox.moved, part, PARTS)
                for agent in {*moved, *self._stuck}:
                    self.read(agent)
            except Exception:
                log.exception("the inboxes could not be looked at; tried again in a moment")

    def _attempt(self, agent: str) -> int:
        state = self._engine.states.get(agent)
        return state.attempt if state else 0


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[set[str]], None], agents: set[str]) -> None:
    """From a thread; the loop may be closed by now."""
    try:
        loop.call_soon_threadsafe(what, agents)
    except RuntimeError:
        log.debug("letters of %d agents were removed after the loop had ended", len(agents))
