"""The one loop and the one holder of mutable state.

signal -> evidence -> evolve -> decide -> (written to the ledger) -> perform -> evidence. Sources put
evidence on the queue from any thread; the loop takes what is there, lets the pure brain say what it means,
commits, and only then hands the actions to the performer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from ..config.fleet import AgentSpec, FleetSpec
from ..config.paths import OPERATOR
from ..healing import actions as a
from ..healing import evidence as e
from ..healing.agent import HELD, AgentState, Happening, Stage
from ..healing.decide import decide, due
from ..healing.evolve import evolve
from ..healing.ordering import in_order
from ..healing.replacing import replace
from ..healing.transitions import Change, first_state, fitted, plain_start
from .alarm import Alarm
from .deadlines import Deadlines
from .gathering import gathered
from .ledger_errors import LedgerError
from .perform import Outcome
from .ports import Clock, Letter, Row
from .tray import Tray

log = logging.getLogger(__name__)

LAG = 1.0
"""A loop that wakes this many seconds late was itself asleep; nobody's silence counts then."""
PULSE = 0.5
"""Seconds between two signs of our own life."""
RETRY = 1.0
"""Seconds until rows that the ledger did not take are offered again."""
IDLE_WAIT = 1.0
GRAIN = 0.01
"""A deadline is met at most this many seconds late: those that lie close together make one turn."""
DECIDE_LIMIT = 16
"""A bound on decide calls for one agent in one turn: it settles in three or four, so more is a defect."""
DUE_LIMIT = 1_000
"""Agents that are decided upon in one turn; the others follow in the next, when these are written down."""
CALM = (
    e.OutputSeen,
    e.ProcessMeasured,
    e.PaneLabelled,
    e.FileChanged,
    e.TranscriptGrew,
    e.BeatReceived,
    e.CheckpointTaken,
)
"""Evidence that may wait for the next turn a moment when turns follow each other closely; a beat that came as
a letter does not (`deliver`)."""


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


@dataclass(slots=True)
class _Pass:
    """A look at every agent that somebody asked for; `told` hears what happened in it, by agent."""

    told: Callable[[dict[str, list[Happening]]], None]
    happened: dict[str, list[Happening]] = field(default_factory=dict)


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
        self._tray = Tray(acknowledge)
        self._queue: deque[tuple[e.Evidence | None, tuple[Letter, ...]]] = deque()
        self._deadlines = Deadlines()
        self._alarm = Alarm()
        self._stopping = False
        self._acting: dict[str, asyncio.Task[None]] = {}
        self._notes: deque[Happening] = deque()
        self._passes: list[_Pass] = []
        self._unsaved: set[str] = set()
        self._pulse = clock.now()

    # -- the outside ----------------------------------------------------------------------------

    def emit(self, evidence: e.Evidence) -> None:
        """Queue one evidence; from any thread."""
        self._queue.append((evidence, ()))
        self._alarm.ring(pressing=not isinstance(evidence, CALM))

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
        """Have a turn now; from any thread."""
        self._alarm.ring()

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
        self._deadlines.set(agent, None)
        for waiting in (state.recovery, state.errand):
            if waiting and waiting.order:
                self._refuse(waiting.order, "", "the agent is no longer in the fleet file")

    def _refuse(self, letter: str, order: str, why: str) -> None:
        told = {"letter": letter, "order": order, "ok": False, "message": why}
        self.note(Happening("operator_outcome", "", self._clock.now(), None, dict(told)))

    # -- the loop -------------------------------------------------------------------------------

    async def run(self) -> None:
        self._alarm.open()
        for agent in self.states:
            self._deadlines.set(agent, 0.0)
        self._pulse = self._clock.now()
        beating = asyncio.create_task(self._keep_pulse())
        try:
            while not self._stopping:
                await self.turn()
                await self._alarm.wait(self._until_due())
            if self._acting:
                await asyncio.wait(list(self._acting.values()), timeout=10)
            await self.turn()
            await self._tray.close()
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

    async def turn(self) -> None:
        """Take what is queued, decide what is due, commit, act."""
        pending = _Pending()
        self._take_notes(pending)
        self._feel_pulse()
        for evidence in gathered(in_order(self._batch())):
            self._take(evidence, pending)
        if not self._stopping:
            self._decide_due(pending)
            self._end_passes(pending)
        self._take_notes(pending)
        pending.changed |= self._unsaved
        self._unsaved.clear()
        if await self._write(pending):
            for action in pending.actions:
                self._dispatch(action)

    def _batch(self) -> list[e.Evidence]:
        """Only what is there now: sources that never pause must not keep us from deciding."""
        batch: list[e.Evidence] = []
        for _ in range(len(self._queue)):
            evidence, letters = self._queue.popleft()
            if letters:
                self._tray.hold(letters, self._clock.now())
            if evidence is not None:
                batch.append(evidence)
        return batch

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
        self._deadlines.set(evidence.agent, due(self.states[evidence.agent], spec))

    def _decide_due(self, pending: _Pending) -> None:
        now = self._clock.now()
        for _ in range(DUE_LIMIT):
            agent = self._deadlines.take(now)
            if agent is None:
                return
            spec = self.fleet.agents.get(agent)
            if spec is None or agent not in self.states:
                continue
            try:
                settled = self._settle(agent, spec, now, pending)
            except Exception:
                log.exception("agent %s: cannot decide what to do", agent)
                settled = False
            if not settled:
                log.error("agent %s: decide did not settle; looked at again in a second", agent)
                self._deadlines.set(agent, now + 1.0)

    def _settle(self, agent: str, spec: AgentSpec, now: float, pending: _Pending) -> bool:
        for _ in range(DECIDE_LIMIT):
            state = self.states[agent]
            self._adopt_change(state, decide(state, spec, now), pending)
            at = due(self.states[agent], spec)
            if at is None or at > now:
                self._deadlines.set(agent, at)
                return True
        return False

    def _adopt_change(self, before: AgentState, change: Change, pending: _Pending) -> None:
        after = change.state
        self.states[after.id] = after
        if change.happenings:
            pending.happenings.setdefault(after.id, []).extend(
                self._with_family(h) for h in change.happenings
            )
        if change.happenings or _vital(before) != _vital(after):
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
        agents = dict.fromkeys([*pending.happenings, *pending.changed])
        held = self._tray.due()
        all_of_them = held is not None and (self._stopping or held <= self._clock.now())
        letters = self._tray.take(None if all_of_them else [*agents, OPERATOR] if agents else ())
        ids = self._tray.ids(letters)
        agents.update(dict.fromkeys(agent for agent in ids if agent in self.states))
        rows = [self._row(agent, pending, ids.get(agent)) for agent in agents]
        if rows and not await self._commit(rows):
            return False
        self._tray.committed(letters)
        happened = [h for group in pending.happenings.values() for h in group]
        for observe in self.observers if happened else ():
            try:
                observe(happened)
            except Exception:
                log.exception("cannot pass on what happened")
        return True

    def _row(self, agent: str, pending: _Pending, letters: tuple[str, ...] | None) -> Row:
        state = self.states.get(agent)  # made JSON of in the ledger's own thread
        happened = tuple(pending.happenings.get(agent, ()))
        return Row(agent, state, happened, letters=letters)

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

    def _until_due(self) -> float:
        """Seconds until the loop has something to do of itself."""
        times = [at for at in (self._deadlines.next(), self._tray.due()) if at is not None]
        if not times:
            return IDLE_WAIT
        wait = min(times) - self._clock.now()
        return min(IDLE_WAIT, max(GRAIN, wait)) if wait > 0 else 0.0

    def reschedule_all(self) -> None:
        """Look at every agent now (a new policy, or a person asked)."""
        for agent in self.states:
            self._deadlines.set(agent, 0.0)
        self.wake()

    def look_at_all(self, told: Callable[[dict[str, list[Happening]]], None]) -> None:
        """As `reschedule_all`; when every agent was decided upon, `told` hears what came of it, by agent.
        What it notes down then is committed together with that."""
        self._passes.append(_Pass(told))
        self.reschedule_all()

    def _end_passes(self, pending: _Pending) -> None:
        if not self._passes:
            return
        for one in self._passes:
            for agent, happened in pending.happenings.items():
                one.happened.setdefault(agent, []).extend(happened)
        at = self._deadlines.next()
        if at is not None and at <= self._clock.now():
            return  # more agents than one turn decides upon
        over, self._passes = self._passes, []
        for one in over:
            one.told(one.happened)

    def held(self, agent: str) -> bool:
        return self.states[agent].phase in HELD


def _vital(s: AgentState) -> tuple[object, ...]:
    """What must be in the ledger before anything else is done, were it only to change back again."""
    return s.recovery, s.errand, s.attempt, s.phase, s.alive, s.incident
