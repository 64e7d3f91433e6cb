"""The supervisor of a simulated fleet: the daemon's own brain, a ledger, an inbox; and how daemons die.

What a turn changed is in the book before anything is done about it. A daemon that dies loses its brain, the
turn it had not written, and whatever its hands were at; the next one begins with the book and what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol, TypeAlias

from ...config.fleet import AgentSpec, FleetSpec
from .. import actions as a
from .. import evidence as e
from ..agent import AgentState, Happening, Phase, Stage
from ..codec import dump_state, load_state
from ..ordering import in_order
from ..promises import Watch
from ..transitions import giving_way
from ..turn import Turn
from .bodies import Body, Letter
from .chance import Agenda
from .world import World

SETTLES_IN = 50
"""Turns at one moment; more is a defect."""


class Mind(Protocol):
    """What the engine knows and decides: controller/daemon/brain.py."""

    states: dict[str, AgentState]
    evidence_seen: list[Callable[[e.Evidence], None]]
    defects: int

    def begin(self, spec: AgentSpec, now: float, *, after: int, running: bool) -> tuple[Happening, ...]: ...

    def restore(self, state: AgentState, now: float) -> None: ...

    def look_at_all(self) -> None: ...

    def next_due(self) -> float | None: ...

    def take(self, evidence: e.Evidence, turn: Turn) -> str: ...

    def decide_due(self, turn: Turn, now: float) -> None: ...


Wake: TypeAlias = Callable[[FleetSpec], Mind]
SCREENS = (e.ScreenMatched, e.ScreenCleared, e.ErrorShown)
LOOKS = 2.0
"""Seconds until a screen that nobody looked at for a while is believed."""
Act: TypeAlias = tuple[int, a.Action]
"""An action, and the daemon that handed it out."""
Told: TypeAlias = tuple[int, tuple[e.Evidence, ...], tuple[Letter, ...]]
"""What came of it, and the letters that were read on the way."""
DEATHS = ("between", "before the commit", "before the act", "after the act")
"""When a daemon may die: between two turns; with a turn not yet written; with it written and nothing done;
with something done and nobody told."""


class Supervisor:
    """`heard` are told what was written down."""

    def __init__(self, fleet: FleetSpec, wake: Wake, agenda: Agenda, world: World, watch: Watch) -> None:
        self.heard: list[Callable[[Happening], None]] = []
        self.act: Callable[[Act], None] = lambda _: None
        self.mended: Callable[[e.Evidence, Mind], None] | None = None
        self.book: dict[str, AgentState] = {}
        self.steps = 0
        self.life = 0
        """Which daemon this is; 0: none yet."""
        self.up = False
        self.since = agenda.now
        """When it woke, in seconds of the world."""
        self.doom = ""
        """When it will die, of DEATHS; empty: not yet."""
        self.wall = 0.0
        """How far the wall clock is from the world's, s: sleep and settings that no running daemon sees."""
        self._skew = 0.0
        self._fleet = fleet
        self._wake = wake
        self._agenda = agenda
        self._world = world
        self._watch = watch
        self._mind: Mind | None = None
        self._turn = Turn()
        self._seen: list[e.Evidence] = []
        self._due: float | None = None
        self._asleep: list[e.Evidence] | None = None
        self._slept = agenda.now
        """When it was stopped last, in seconds of the world."""
        self._again = (0.0, 0)

    # -- the outside ------------------------------------------------------------------------------

    def time(self) -> float:
        return self._agenda.now + self._skew

    def state(self, agent: str) -> AgentState:
        """As the supervisor has it, or had it last."""
        return self._mind.states[agent] if self._mind is not None else self.book[agent]

    def due(self) -> float:
        """When it has something to do of itself, in seconds of the world."""
        if self._due is None or not self.up or self._asleep is not None:
            return float("inf")
        return max(self._agenda.now, self._due - self._skew)

    def tell(self, *evidence: e.Evidence) -> None:
        """What the sources see."""
        if not self.up:
            return
        if self._asleep is not None:
            self._asleep.extend(evidence)
            return
        self._take(evidence, ())

    def post(self, letter: Letter) -> None:
        body = self._world.bodies[letter.agent]
        body.inbox.append(letter)
        if self.awake:
            self._read(body)

    def look(self) -> None:
        """Do what is due, now that its time has come."""
        self._take((), (), self._due or 0.0)

    # -- one turn -------------------------------------------------------------------------------

    def _take(self, evidence: Iterable[e.Evidence], letters: tuple[Letter, ...], least: float = 0.0) -> None:
        mind, turn = self._mind, self._turn
        assert mind is not None
        # Not before what is due: to reckon between two clocks rounds the time.
        now = max(self._agenda.now + self._skew, least)
        for one in evidence:
            mind.take(one, turn)
        due = mind.next_due()
        if due is not None and due <= now:
            self._count(now)
            mind.decide_due(turn, now)
            due = mind.next_due()
        self._due = due
        self.steps += 1
        if mind.defects:
            self._watch.say("0 total", f"the brain did not make sense of {self._seen[-3:]}")
        if turn.happenings or turn.changed or turn.actions or letters:
            self._commit(mind, turn, letters)
        self._seen.clear()

    def _count(self, now: float) -> None:
        """A brain that has to be asked again and again at one moment does not settle."""
        at, times = self._again
        self._again = (now, times + 1) if at == now else (now, 1)
        if times > SETTLES_IN + 10 * len(self._world.bodies) and at == now:
            self._watch.say("1 settles", f"there is always more to decide at {now}")

    def _commit(self, mind: Mind, turn: Turn, letters: tuple[Letter, ...]) -> None:
        self._turn = Turn()
        acts = bool(turn.actions)
        if self.doom == "before the commit" and acts:
            self.die()
            return
        for agent in (*turn.happenings, *turn.changed):
            if agent in mind.states:
                self.book[agent] = mind.states[agent]
        for letter in letters:
            self._acknowledge(letter)
        for told in turn.happenings.values():
            for happening in told:
                for hear in self.heard:
                    hear(happening)
        self._watch.turned(turn, mind.states, self._seen, self._agenda.now)
        if self.doom == "before the act" and acts:
            self.die()
            return
        for action in turn.actions:
            self.act((self.life, action))

    def _acknowledge(self, letter: Letter) -> None:
        body = self._world.bodies[letter.agent]
        body.opened.remove(letter)
        if letter.kind == "checkpoint":
            body.acknowledged = max(body.acknowledged, self.book[letter.agent].checkpoint)

    # -- letters --------------------------------------------------------------------------------

    def _read(self, body: Body) -> None:
        """What waits in an inbox, under the attempt that the supervisor knows now. While one attempt gives
        way to the next only the hands read it."""
        if not body.inbox or giving_way(self.state(body.spec.id)):
            return
        evidence, letters = self.drain(body)
        if evidence:
            self._take(evidence, letters)

    def drain(self, body: Body) -> tuple[list[e.Evidence], tuple[Letter, ...]]:
        """The letters as evidence; those of another attempt are refused and put away."""
        now, attempt = self.time(), self.state(body.spec.id).attempt
        evidence: list[e.Evidence] = []
        opened: list[Letter] = []
        for letter in body.inbox:
            if letter.attempt == attempt:
                evidence.append(self._opened(body, letter, now))
                opened.append(letter)
            else:
                evidence.append(e.LetterRefused(body.spec.id, now, "of another attempt"))
        body.inbox.clear()
        body.opened += opened
        return evidence, tuple(opened)

    def _opened(self, body: Body, letter: Letter, at: float) -> e.Evidence:
        agent = body.spec.id
        if letter.kind == "beat":
            return e.BeatReceived(agent, at, "executing")
        if letter.kind == "ask":
            return e.AskReceived(agent, at, "go on?")
        if letter.kind == "done":
            return e.DoneReceived(agent, at, "all of it")
        if letter.kind == "fail":
            return e.FailReceived(agent, at, "cannot")
        new = letter.said > body.told
        body.told = max(body.told, letter.said)
        body.stored += 1
        return e.CheckpointReceived(agent, at, body.stored, new, letter.said)

    # -- life and death -------------------------------------------------------------------------

    def wake(self) -> None:
        """A daemon begins: with the book, and what it finds. Its clock is set by the wall's."""
        self._skew = self.wall
        self.life += 1
        self.up, self.doom, self._asleep, self.since = True, "", None, self._agenda.now
        mind = self._mind = self._wake(self._fleet)
        mind.evidence_seen.append(self._seen.append)
        if self.mended is not None:
            mend = self.mended
            mind.evidence_seen.append(lambda evidence: mend(evidence, mind))
        now, turn, found = self.time(), self._turn, list[e.Evidence]()
        for body in self._world.bodies.values():
            body.inbox, body.opened = body.opened + body.inbox, []
        for name, spec in self._fleet.agents.items():
            if name in self.book:
                mind.restore(load_state(dump_state(self.book[name])), now)
                self._watch.reborn(mind.states[name], self._world.bodies[name].acknowledged)
            else:
                for happening in mind.begin(spec, now, after=0, running=False):
                    turn.note(happening)
            turn.changed.add(name)
            found += self._found(self._world.bodies[name], mind.states[name], now)
        self._watch.attended(self._agenda.now)
        mind.look_at_all()
        self._catch_up(found)

    def _found(self, body: Body, state: AgentState, now: float) -> list[e.Evidence]:
        """What became of an agent while no daemon looked: see controller/recovery/adoption.py."""
        agent = state.id
        seen: list[e.Evidence] = [e.SeenAgain(agent, now)] if state.phase is Phase.UNKNOWN else []
        mine = next((life for life in body.lives if life.attempt == state.attempt), None)
        attempt, status, signal = body.fallen or (0, None, None)
        if mine is not None:
            seen = [e.ProcessAdopted(agent, now, mine.attempt, mine.pid, 1.0, "%1")]
        elif attempt == state.attempt:
            begun = state.recovery is not None and state.recovery.stage is Stage.STARTING
            seen = [e.ProcessStarted(agent, now, attempt, 1, 0.0, "%1")] if begun and not state.alive else []
            seen.append(e.ProcessExited(agent, now, attempt, status, signal))
        elif state.alive:
            seen = [e.ProcessExited(agent, now, state.attempt, None, None)]
        if body.attached:
            seen.append(e.PersonPresent(agent, now, True))
        return seen

    def die(self) -> None:
        """kill -9: what was not written is gone."""
        self.up, self._mind, self._due, self.doom, self._asleep = False, None, None, "", None
        self._turn = Turn()
        self._watch.orphaned(self._agenda.now)

    def sleep(self) -> None:
        """SIGSTOP: what happens meanwhile is read afterwards."""
        if self.up and self._asleep is None:
            self._asleep, self._slept = [], self._agenda.now
            self._watch.orphaned(self._agenda.now)

    def go_on(self, life: int) -> None:
        """SIGCONT to that daemon, which may not live any more."""
        if life != self.life or not self.up or self._asleep is None:
            return
        now, waiting, slept = self.time(), self._asleep, self._agenda.now - self._slept
        self._asleep = None
        self._watch.attended(self._agenda.now)
        stalled = [e.SupervisorStalled(name, now, slept) for name in self._fleet.agents]
        self._catch_up([*stalled, *(replace(one, at=now) for one in waiting if not isinstance(one, SCREENS))])
        shown = {one.agent: one for one in waiting if isinstance(one, SCREENS)}
        for one in shown.values():
            self._agenda.after(LOOKS, self._looked, one)

    def _looked(self, shown: e.Evidence) -> None:
        """What a screen shows is believed after two looks."""
        self.tell(replace(shown, at=self.time()))

    def _catch_up(self, found: list[e.Evidence]) -> None:
        """Take in what was found, and the letters that waited, before anything is decided."""
        letters: list[Letter] = []
        for body in self._world.bodies.values():
            if body.inbox and not giving_way(self.state(body.spec.id)):
                evidence, opened = self.drain(body)
                found += evidence
                letters += opened
        self._take(in_order(found), tuple(letters))

    @property
    def awake(self) -> bool:
        return self.up and self._asleep is None

    # -- what its hands report --------------------------------------------------------------------

    def report(self, told: Told) -> None:
        """The outcome of an act, if the daemon that asked for it still lives."""
        daemon, evidence, letters = told
        if daemon != self.life or not self.up:
            return
        if self._asleep is not None:
            self._agenda.after(1.0, self.report, told)
            return
        self._take(evidence, letters)
        for one in evidence:
            body = self._world.bodies[one.agent]
            if body.inbox and self.awake:
                self._read(body)
