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

from ...config.fleet import AgentSpec, FleetSpec
from ...config.paths import OPERATOR
from ...healing import actions as a
from ...healing import evidence as e
from ...healing.agent import HELD, AgentState, Happening
from ...healing.ordering import in_order
from ...healing.turn import Turn
from ..ledger.errors import LedgerError
from ..ports import Clock, Letter, Row
from ..recovery.perform import Outcome
from .alarm import Alarm
from .brain import Brain
from .crew import Crew, Hands
from .gathering import gathered
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
CALM = (
    e.OutputSeen,
    e.ProcessMeasured,
    e.ConnectionSeen,
    e.PaneLabelled,
    e.FileChanged,
    e.TranscriptGrew,
    e.UsageTold,
    e.BeatReceived,
    e.CheckpointTaken,
)
"""Evidence that may wait for the next turn a moment when turns follow each other closely; a beat that came as
a letter does not (`deliver`)."""


class Writer(Protocol):
    """What the engine needs of the ledger: commit these rows; the future is done after COMMIT."""

    def commit(self, rows: list[Row]) -> Awaitable[object]: ...


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
        self._brain = Brain(fleet)
        self.states = self._brain.states
        self.observers: list[Callable[[list[Happening]], None]] = []
        self.evidence_seen = self._brain.evidence_seen
        self._clock = clock
        self._writer = writer
        self._tray = Tray(acknowledge)
        self._queue: deque[tuple[e.Evidence | None, tuple[Letter, ...]]] = deque()
        self._alarm = Alarm()
        self._stopping = False
        self._crew = Crew(hands, self.states, clock, self._done)
        self._notes: deque[Happening] = deque()
        self._passes: list[_Pass] = []
        self._unsaved: set[str] = set()
        self._pulse = clock.now()

    @property
    def fleet(self) -> FleetSpec:
        return self._brain.fleet

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
        return self._crew.busy(agent)

    def begin(self, spec: AgentSpec, *, after: int = 0, running: bool = False) -> None:
        """Take on an agent that was never started; or of which nothing is known but that its attempt
        `after` was there, and may be `running`. What is not is cleared away before the next one starts."""
        begun = self._brain.begin(spec, self._clock.now(), after=after, running=running)
        self._notes.extend(begun)
        self._unsaved.add(spec.id)

    def restore(self, state: AgentState) -> None:
        """Take on an agent as the ledger knows it; steps that were under way are handed out again."""
        self._brain.restore(state, self._clock.now())
        self._unsaved.add(state.id)

    def change_fleet(self, fleet: FleetSpec) -> list[str]:
        """Go by another fleet file; the agents that it does not name run on and are forgotten: their ids."""
        gone = self._brain.change_fleet(fleet, self._clock.now())
        for state in gone:
            for waiting in (state.recovery, state.errand):
                if waiting and waiting.order:
                    self.refuse(waiting.order, "", "the agent is no longer in the fleet file")
        return [state.id for state in gone]

    def refuse(self, letter: str, order: str, why: str) -> None:
        """Answer whoever waits for the outcome of that order."""
        told = {"letter": letter, "order": order, "ok": False, "message": why}
        self.note(Happening("operator_outcome", "", self._clock.now(), None, dict(told)))

    # -- the loop -------------------------------------------------------------------------------

    async def run(self) -> None:
        self._alarm.open()
        self._brain.look_at_all()
        self._pulse = self._clock.now()
        beating = asyncio.create_task(self._keep_pulse())
        try:
            while not self._stopping:
                await self.turn()
                await self._alarm.wait(self._until_due())
            await self._crew.rest(within=10)
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
        turn = Turn()
        self._take_notes(turn)
        self._feel_pulse()
        for evidence in gathered(in_order(self._batch())):
            refused = self._brain.take(evidence, turn)
            if refused and isinstance(evidence, e.Ordered):
                self.refuse(evidence.letter, evidence.order, refused)
        if not self._stopping:
            self._brain.decide_due(turn, self._clock.now())
            self._end_passes(turn)
        self._take_notes(turn)
        turn.changed |= self._unsaved
        self._unsaved.clear()
        if await self._write(turn):
            for action in turn.actions:
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

    def _take_notes(self, turn: Turn) -> None:
        while self._notes:
            turn.note(self._notes.popleft())

    async def _write(self, turn: Turn) -> bool:
        """Commit the turn; False when that was not possible any more, so that nothing may be done."""
        agents = dict.fromkeys([*turn.happenings, *turn.changed])
        held = self._tray.due()
        all_of_them = held is not None and (self._stopping or held <= self._clock.now())
        letters = self._tray.take(None if all_of_them else [*agents, OPERATOR] if agents else ())
        ids = self._tray.ids(letters)
        agents.update(dict.fromkeys(agent for agent in ids if agent in self.states))
        rows = [self._row(agent, turn, ids.get(agent)) for agent in agents]
        if rows and not await self._commit(rows):
            return False
        self._tray.committed(letters)
        happened = [h for group in turn.happenings.values() for h in group]
        for observe in self.observers if happened else ():
            try:
                observe(happened)
            except Exception:
                log.exception("cannot pass on what happened")
        return True

    def _row(self, agent: str, turn: Turn, letters: tuple[str, ...] | None) -> Row:
        state = self.states.get(agent)  # made JSON of in the ledger's own thread
        happened = tuple(turn.happenings.get(agent, ()))
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
        if isinstance(action, a.Nudge) and action.types:
            # Known before it is typed: the echo must never be taken for the agent's own words.
            self.emit(e.Typed(action.agent, self._clock.now(), action.text))
        self._crew.take(action)

    def _done(self, action: a.Action, outcome: Outcome) -> None:
        if isinstance(action, a.Announce):
            for done in outcome.evidence:
                self._announced(action, done)
            return
        self.deliver(outcome.evidence, outcome.letters)

    def _announced(self, action: a.Announce, done: e.Evidence) -> None:
        """What is no agent's evidence is written down as it is."""
        if isinstance(done, e.StepFinished):
            told: dict[str, object] = {"cascade": action.key, "ok": done.ok, "message": done.why or "done"}
            if action.key.startswith("budget "):
                told = {"about": told.pop("cascade"), **told}
            self.note(Happening("operator_notified", "", done.at, None, told))

    def announce(self, action: a.Announce) -> None:
        """Tell the person what a daemon before this one wrote down and may not have told."""
        self._dispatch(action)

    # -- time -----------------------------------------------------------------------------------

    def _until_due(self) -> float:
        """Seconds until the loop has something to do of itself."""
        times = [at for at in (self._brain.next_due(), self._tray.due()) if at is not None]
        if not times:
            return IDLE_WAIT
        wait = min(times) - self._clock.now()
        return min(IDLE_WAIT, max(GRAIN, wait)) if wait > 0 else 0.0

    def reschedule_all(self) -> None:
        """Look at every agent now (a new policy, or a person asked)."""
        self._brain.look_at_all()
        self.wake()

    def look_at_all(self, told: Callable[[dict[str, list[Happening]]], None]) -> None:
        """As `reschedule_all`; when every agent was decided upon, `told` hears what came of it, by agent.
        What it notes down then is committed together with that."""
        self._passes.append(_Pass(told))
        self.reschedule_all()

    def _end_passes(self, turn: Turn) -> None:
        if not self._passes:
            return
        for one in self._passes:
            for agent, happened in turn.happenings.items():
                one.happened.setdefault(agent, []).extend(happened)
        at = self._brain.next_due()
        if at is not None and at <= self._clock.now():
            return  # more agents than one turn decides upon
        over, self._passes = self._passes, []
        for one in over:
            one.told(one.happened)

    def held(self, agent: str) -> bool:
        return self.states[agent].phase in HELD
