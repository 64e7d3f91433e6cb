"""The one loop and the one holder of mutable state.

signal -> evidence -> evolve -> decide -> (written to the ledger) -> perform -> evidence. Sources put
evidence on the queue from any thread; the loop takes what is there, lets the pure brain say what it means,
commits, and only then hands the actions to the performer.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..config.fleet import AgentSpec, FleetSpec
from ..healing import actions as a
from ..healing import evidence as e
from ..healing.agent import HELD, AgentState, Happening, Stage
from ..healing.codec import dump_state
from ..healing.decide import decide, due
from ..healing.evolve import evolve
from ..healing.transitions import Change, first_state, fitted, plain_start
from .ledger_errors import LedgerError
from .perform import Outcome
from .ports import Clock, Letter, Row

log = logging.getLogger(__name__)

LAG = 1.0
"""A loop that wakes this many seconds late was itself asleep; nobody's silence counts then."""
PULSE = 0.5
"""Seconds between two signs of our own life."""
RETRY = 1.0
"""Seconds until rows that the ledger did not take are offered again."""
IDLE_WAIT = 1.0
DECIDE_LIMIT = 16
"""A bound on decide calls for one agent in one turn: it settles in three or four, so more is a defect."""


class Writer(Protocol):
    """What the engine needs of the ledger: commit these rows; the future is done after COMMIT."""

    def commit(self, rows: list[Row]) -> Awaitable[object]: ...


class Hands(Protocol):
    """Carries out actions; blocking, so it runs in a thread."""

    def perform(self, action: a.Action, state: AgentState) -> Outcome: ...


@dataclass(slots=True)
class _Pending:
    """What one turn of the loop has to write and then do."""

    happenings: dict[str, list[Happening]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    actions: list[a.Action] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)


class Engine:
    """Supervises one fleet. `observers` are called after each commit with the happenings of the turn."""

    def __init__(
        self,
        fleet: FleetSpec,
        clock: Clock,
        writer: Writer,
        hands: Hands,
        acknowledge: Callable[[list[Letter]], None],
    ) -> None:
        self.fleet = fleet
        self.states: dict[str, AgentState] = {}
        self.observers: list[Callable[[list[Happening]], None]] = []
        self.evidence_seen: list[Callable[[e.Evidence], None]] = []
        self._clock = clock
        self._writer = writer
        self._hands = hands
        self._acknowledge = acknowledge
        self._queue: deque[tuple[e.Evidence | None, tuple[Letter, ...]]] = deque()
        self._heap: list[tuple[float, int, str]] = []
        self._versions: dict[str, int] = {}
        self._serial = itertools.count()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._acting: dict[str, asyncio.Task[None]] = {}
        self._notes: deque[Happening] = deque()
        self._unsaved: set[str] = set()
        self._pulse = clock.now()

    # -- the outside ----------------------------------------------------------------------------

    def emit(self, evidence: e.Evidence) -> None:
        """Queue one evidence; from any thread."""
        self.deliver([evidence], [])

    def deliver(self, evidence: list[e.Evidence], letters: list[Letter]) -> None:
        """Queue evidence, and letters to be acknowledged once it is committed; from any thread."""
        self._queue.extend((item, ()) for item in evidence)
        if letters:
            self._queue.append((None, tuple(letters)))
        self.wake()

    def note(self, happening: Happening) -> None:
        """Write down something that is about no agent's state."""
        self._notes.append(happening)
        self.wake()

    def wake(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    def stop(self) -> None:
        """End `run` after what is queued is committed. Agents are left alone."""
        self._stopping = True
        self.wake()

    def busy(self, agent: str) -> bool:
        """Whether an action of this agent is being carried out."""
        return agent in self._acting

    def begin(self, spec: AgentSpec, *, after: int = 0, running: bool = False) -> None:
        """Take on an agent that was never started; or of which nothing is known but that its attempt
        `after` was there, and may be `running`. What is not is cleared away before the next one starts."""
        change = first_state(spec, self._clock.now())
        self.states[spec.id] = change.state
        if after:
            state = plain_start(replace(change.state, attempt=after))
            self.states[spec.id] = replace(state, recovery=None if running else state.recovery)
        self._notes.extend(change.happenings)
        self._unsaved.add(spec.id)

    def restore(self, state: AgentState) -> None:
        """Take on an agent as the ledger knows it; steps that were under way are handed out again."""
        recovery, errand = state.recovery, state.errand
        if recovery and recovery.stage in (Stage.CLEARING, Stage.STARTING):
            recovery = replace(recovery, issued=False)
        if errand:
            errand = replace(errand, issued=False)
        state = replace(state, recovery=recovery, errand=errand, attached=False)
        spec = self.fleet.agents.get(state.id)
        self.states[state.id] = fitted(state, spec, self._clock.now()) if spec else state
        self._unsaved.add(state.id)

    def change_fleet(self, fleet: FleetSpec) -> list[str]:
        """Go by another fleet file; the agents that it does not name run on and are forgotten: their ids."""
        gone = [agent for agent in self.states if agent not in fleet.agents]
        self.fleet = fleet
        for agent in gone:
            self._forget(agent)
        now = self._clock.now()
        for agent, state in self.states.items():
            self.states[agent] = fitted(state, fleet.agents[agent], now)
        return gone

    def _forget(self, agent: str) -> None:
        state = self.states.pop(agent)
        self._versions.pop(agent, None)
        for waiting in (state.recovery, state.errand):
            if waiting and waiting.order:
                self._refuse(waiting.order, "", "the agent is no longer in the fleet file")

    def _refuse(self, letter: str, order: str, why: str) -> None:
        told = {"letter": letter, "order": order, "ok": False, "message": why}
        self.note(Happening("operator_outcome", "", self._clock.now(), None, dict(told)))

    # -- the loop -------------------------------------------------------------------------------

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        for agent in self.states:
            self._schedule(agent, 0.0)
        self._pulse = self._clock.now()
        beating = asyncio.create_task(self._keep_pulse())
        try:
            while not self._stopping:
                await self._turn()
                wait = self._until_due()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                self._wake.clear()
            if self._acting:
                await asyncio.wait(list(self._acting.values()), timeout=10)
            await self._turn()
        finally:
            beating.cancel()

    async def _keep_pulse(self) -> None:
        while True:
            self._feel_pulse()
            await asyncio.sleep(PULSE)

    def _feel_pulse(self) -> None:
        """Notice that we ourselves did not run for a while, wherever the loop was when it stopped."""
        now = self._clock.now()
        late, self._pulse = now - self._pulse - PULSE, now
        if late > LAG:
            log.warning("the loop slept %.1f s; every agent's clocks are moved on by as much", late)
            self._queue.extendleft((e.SupervisorStalled(i, now, late), ()) for i in self.states)

    async def _turn(self) -> None:
        pending = _Pending()
        self._take_notes(pending)
        self._feel_pulse()
        # Only what is there now: sources that never pause must not keep us from deciding.
        for _ in range(len(self._queue)):
            evidence, letters = self._queue.popleft()
            pending.letters.extend(letters)
            if evidence is not None:
                self._take(evidence, pending)
        if not self._stopping:
            self._decide_due(pending)
        self._take_notes(pending)
        pending.changed |= self._unsaved
        self._unsaved.clear()
        if await self._write(pending):
            for action in pending.actions:
                self._dispatch(action)

    def _take_notes(self, pending: _Pending) -> None:
        while self._notes:
            note = self._notes.popleft()
            pending.happenings.setdefault(note.agent, []).append(note)

    def _take(self, evidence: e.Evidence, pending: _Pending) -> None:
        state = self.states.get(evidence.agent)
        spec = self.fleet.agents.get(evidence.agent)
        if state is None or spec is None:
            if isinstance(evidence, e.Ordered):
                self._refuse(evidence.letter, evidence.order, f"no agent {evidence.agent!r} in this fleet")
            return
        try:
            self._adopt_change(state, evolve(state, evidence, spec), pending)
        except Exception:
            # One agent's nonsense must not end the supervision of all.
            log.exception("agent %s: cannot make sense of %s", evidence.agent, evidence)
            if isinstance(evidence, e.Ordered):
                self._refuse(evidence.letter, evidence.order, "it failed inside the daemon; see daemon.log")
            return
        for seen in self.evidence_seen:
            try:
                seen(evidence)
            except Exception:
                log.exception("agent %s: cannot follow %s", evidence.agent, evidence)
        self._schedule(evidence.agent)

    def _decide_due(self, pending: _Pending) -> None:
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            _, version, agent = heapq.heappop(self._heap)
            spec = self.fleet.agents.get(agent)
            if spec is None or self._versions.get(agent) != version or agent not in self.states:
                continue
            try:
                settled = self._settle(agent, spec, now, pending)
            except Exception:
                log.exception("agent %s: cannot decide what to do", agent)
                settled = False
            if not settled:
                log.error("agent %s: decide did not settle; looked at again in a second", agent)
            self._schedule(agent, None if settled else now + 1.0)

    def _settle(self, agent: str, spec: AgentSpec, now: float, pending: _Pending) -> bool:
        for _ in range(DECIDE_LIMIT):
            state = self.states[agent]
            self._adopt_change(state, decide(state, spec, now), pending)
            at = due(self.states[agent], spec)
            if at is None or at > now:
                return True
        return False

    def _adopt_change(self, before: AgentState, change: Change, pending: _Pending) -> None:
        after = change.state
        self.states[after.id] = after
        if change.happenings:
            pending.happenings.setdefault(after.id, []).extend(
                self._with_family(h) for h in change.happenings
            )
        vital = (before.recovery, before.errand, before.attempt, before.phase, before.alive, before.incident)
        if change.happenings or vital != (
            after.recovery,
            after.errand,
            after.attempt,
            after.phase,
            after.alive,
            after.incident,
        ):
            pending.changed.add(after.id)
        pending.actions.extend(change.actions)

    def _with_family(self, happening: Happening) -> Happening:
        spec = self.fleet.agents.get(happening.agent)
        if spec is None or not happening.type.startswith("hhmrs_"):
            return happening
        family = {"parent": spec.parent, "grandparent": self.fleet.grandparent(spec.id)}
        return replace(happening, fields={**family, **happening.fields})

    async def _write(self, pending: _Pending) -> bool:
        """Commit the turn; False when that was not possible any more, so that nothing may be done."""
        agents = list(pending.happenings) + [x for x in pending.changed if x not in pending.happenings]
        rows = [
            Row(
                x,
                dump_state(self.states[x]) if x in self.states else None,
                tuple(pending.happenings.get(x, ())),
            )
            for x in agents
        ]
        if rows and not await self._commit(rows):
            return False
        if pending.letters:
            try:
                await asyncio.to_thread(self._acknowledge, pending.letters)
            except Exception:
                log.exception("cannot take letters away that are in the ledger; they will be read again")
        happened = [h for group in pending.happenings.values() for h in group]
        for observe in self.observers if happened else ():
            try:
                observe(happened)
            except Exception:
                log.exception("cannot pass on what happened")
        return True

    async def _commit(self, rows: list[Row]) -> bool:
        """Write them, however long it takes: what is not in the ledger must not be acted upon."""
        refused = ""
        while True:
            try:
                await self._writer.commit(rows)
            except Exception as error:
                if str(error) != refused:
                    log.error("nothing is done until the ledger takes this: %s", error)
                refused = str(error)
                if self._stopping:
                    return False
                if not isinstance(error, LedgerError):
                    # Not the ledger's trouble but something in a row, which will be there the next time too.
                    if len(rows) == 1:
                        log.exception("agent %s: this is left out of the ledger: %s", rows[0].agent, rows[0])
                        return True
                    return all([await self._commit([row]) for row in rows])
                await asyncio.sleep(RETRY)
            else:
                if refused:
                    log.error("the ledger takes writes again")
                return True

    # -- acting ---------------------------------------------------------------------------------

    def _dispatch(self, action: a.Action) -> None:
        if isinstance(action, a.Nudge):
            # Known before it is typed: the echo must never be taken for the agent's own words.
            self.emit(e.Typed(action.agent, self._clock.now(), action.text))
        before = self._acting.get(action.agent)
        self._acting[action.agent] = asyncio.create_task(self._act(action, before))

    async def _act(self, action: a.Action, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            outcome = await asyncio.to_thread(self._hands.perform, action, self.states[action.agent])
        except Exception as error:
            log.exception("cannot carry out %s", action)
            outcome = Outcome(
                [e.StepFinished(action.agent, self._clock.now(), action.key, False, repr(error))]
            )
        if self._acting.get(action.agent) is asyncio.current_task():
            del self._acting[action.agent]
        self.deliver(outcome.evidence, outcome.letters)

    # -- time -----------------------------------------------------------------------------------

    def _schedule(self, agent: str, at: float | None = None) -> None:
        spec = self.fleet.agents.get(agent)
        state = self.states.get(agent)
        if spec is None or state is None:
            return
        when = at if at is not None else due(state, spec)
        version = self._versions[agent] = next(self._serial)
        if when is not None:
            heapq.heappush(self._heap, (when, version, agent))

    def _until_due(self) -> float:
        while self._heap and self._versions.get(self._heap[0][2]) != self._heap[0][1]:
            heapq.heappop(self._heap)
        if self._queue or self._notes:
            return 0.0
        if not self._heap:
            return IDLE_WAIT
        return max(0.0, min(IDLE_WAIT, self._heap[0][0] - self._clock.now()))

    def reschedule_all(self) -> None:
        """Look at every agent now (a new policy, or a person asked)."""
        for agent in self.states:
            self._schedule(agent, 0.0)
        self.wake()

    def held(self, agent: str) -> bool:
        return self.states[agent].phase in HELD
