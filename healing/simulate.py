"""The brain against a world of seeded faults on a fake clock, with the promises asserted after each step.

Pure: a seed gives the same run for ever. `Simulation(spec, seed).run(hours)` returns a Report; the first
broken promise is in `Report.broken` with the seed that shows it again.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace

from ..config.fleet import AgentSpec, Policy
from . import actions as a
from . import evidence as e
from .agent import HELD, AgentState, Happening, Pauses, Phase, Stage
from .bounds import bounds
from .codec import dump_state, load_state
from .decide import decide, due
from .evolve import evolve
from .guards import Told, guards_for, vital
from .ladder import fraction
from .promises import Watch
from .transitions import Change, first_state

BEHAVIOURS = (
    ("work", 30),
    ("crash", 14),
    ("hang", 14),
    ("loop", 8),
    ("killed", 8),
    ("frozen", 6),
    ("ask", 3),
    ("finish", 6),
    ("bad start", 4),
    ("undead", 1),
    ("deaf", 6),
    ("slow", 4),
)
"""What an attempt does, and how often in a hundred or so. `slow` works, with long pauses between results."""
SOUND = frozenset({"work", "slow"})
"""Behaviours that need nobody: an alarm about them is a false one."""
PAUSE, TAIL, LONGEST = 45.0, 1.15, 1100.0
"""A slow one's pauses: the least (s), the exponent of their Pareto tail, the most (s)."""


@dataclass(slots=True)
class Life:
    """One live process of the simulated world."""

    attempt: int
    behaviour: str
    turns_at: float
    """When the behaviour shows; until then it works."""
    steps: int = 0
    undead: bool = False
    result_at: float = 0.0
    """When a slow one shows its next result."""


@dataclass(frozen=True, slots=True)
class Look:
    """The supervisor's next look at an agent; only the newest one planned counts."""

    number: int


@dataclass(slots=True)
class Body:
    """What the world knows of one agent, beside what the supervisor believes."""

    spec: AgentSpec
    state: AgentState
    lives: list[Life] = field(default_factory=list)
    completed: int = 0
    progress_at: float = -1.0
    look: Look | None = None
    nudged: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """`events` counts happenings by type; `broken` is the first broken promise in words, or None.
    `false_alarms`: time-outs of attempts that were soundly at work."""

    seed: str
    seconds: float
    events: dict[str, int]
    steps: int
    broken: str | None
    bodies: dict[str, AgentState]
    false_alarms: int = 0


class Simulation:
    """`behaviour` forces one for every attempt of every agent. `patient` False: no agent's own pauses are
    remembered, so that every one is timed by the policy alone."""

    def __init__(
        self,
        specs: list[AgentSpec],
        seed: str,
        *,
        behaviour: str | None = None,
        crashes: bool = True,
        watch: Watch | None = None,
        persons: bool = True,
        patient: bool = True,
    ) -> None:
        self._seed = seed
        self._draws = itertools.count()
        self._forced = behaviour
        self._crashes = crashes
        self._persons = persons
        self._patient = patient
        self._false_alarms = 0
        self.now = 1_000_000.0
        self._serial = itertools.count()
        self._agenda: list[tuple[float, int, str, object]] = []
        self.events: Counter[str] = Counter()
        self.log: list[Happening] = []
        self.watch = watch or Watch()
        self.bodies: dict[str, Body] = {}
        policy = specs[0].policy if specs else Policy()
        self._guards = guards_for({spec.id: spec for spec in specs}, policy)
        self._guards_at: float | None = None
        for spec in specs:
            change = first_state(spec, self.now)
            self.bodies[spec.id] = Body(spec, change.state)
            self._note(change)
            self._heed(self._guards.changed(None, change.state, (), self.now))
            self._plan_look(self.bodies[spec.id], 0.0)
            if persons:
                self._plan(self._draw(600, 7200), spec.id, "person")

    def run(self, hours: float, *, until: str | None = None) -> Report:
        """Run the clock on; stops early at the first broken promise, or at the first event `until`."""
        start, end, steps = self.now, self.now + hours * 3600, 0
        while self._agenda and self._agenda[0][0] <= end and not self.watch.broken:
            self.now, _, agent, what = heapq.heappop(self._agenda)
            self._happen(self.bodies[agent], what)
            steps += 1
            if until and self.events[until]:
                break
        return Report(
            self._seed,
            self.now - start,
            dict(self.events),
            steps,
            self.watch.broken,
            {k: b.state for k, b in self.bodies.items()},
            self._false_alarms,
        )

    # -- chance ---------------------------------------------------------------------------------

    def _chance(self) -> float:
        return fraction(f"{self._seed}/{next(self._draws)}")

    def _draw(self, low: float, high: float) -> float:
        return low + (high - low) * self._chance()

    def _behaviour(self) -> str:
        if self._forced:
            return self._forced
        point = self._chance() * sum(weight for _, weight in BEHAVIOURS)
        for name, weight in BEHAVIOURS:
            point -= weight
            if point < 0:
                return name
        return "work"

    # -- the world ------------------------------------------------------------------------------

    def _plan(self, delay: float, agent: str, what: object) -> None:
        heapq.heappush(self._agenda, (self.now + delay, next(self._serial), agent, what))

    def _plan_look(self, body: Body, delay: float) -> None:
        body.look = Look(next(self._serial))
        self._plan(delay, body.spec.id, body.look)

    def _happen(self, body: Body, what: object) -> None:
        if what == "guards":
            self._guards_at = None
            self._heed(self._guards.tick(self.now))
        elif isinstance(what, Look):
            if what is body.look:
                self._look(body)
        elif what == "person":
            self._person(body)
        elif isinstance(what, Life):
            self._live(body, what)
        elif isinstance(what, e.StepFinished | e.ProcessStarted | e.ProcessExited):
            self._tell(body, replace(what, at=self.now))
        elif isinstance(
            what, a.ClearGround | a.StartAttempt | a.Nudge | a.Escalate | a.ClearMarker | a.EndTree
        ):
            self._carry_out(body, what)

    def _live(self, body: Body, life: Life) -> None:
        """One second or so in the life of a process."""
        if life not in body.lives:
            return
        kind = self._doing(life)
        if kind in ("hang", "frozen", "undead", "deaf"):
            if kind == "hang" and body.nudged:
                life.behaviour = "work"
            self._plan(self._draw(5, 15), body.spec.id, life)
            if kind == "frozen":
                self._tell(body, e.ProcessMeasured(body.spec.id, self.now, False, (), True, 0.0, 1.0, 1))
            return
        if kind in ("crash", "killed", "bad start", "finish"):
            body.lives.remove(life)
            if kind == "finish":
                body.progress_at = self.now
            status = {"crash": 1, "finish": 0, "bad start": 127}.get(kind)
            ended = e.ProcessExited(
                body.spec.id, self.now, life.attempt, status, 9 if kind == "killed" else None
            )
            self._tell(body, ended)
            return
        if kind == "ask":
            life.behaviour = "work"
            body.progress_at = self.now
            self._tell(body, e.AskReceived(body.spec.id, self.now, "go on?"))
            self._plan(self._draw(60, 600), body.spec.id, life)
            return
        self._plan(self._draw(2, 20), body.spec.id, life)
        if kind == "slow" and self.now < life.result_at:
            self._tell(body, e.BeatReceived(body.spec.id, self.now, "executing"))
            return
        if kind == "slow":
            pause = PAUSE * (1.0 - self._chance()) ** (-1 / TAIL)
            life.result_at = self.now + min(LONGEST, pause)
        if kind == "loop":
            self._tell(body, e.BeatReceived(body.spec.id, self.now, "executing"))
            self._tell(body, e.OutputSeen(body.spec.id, self.now, (f"working {life.steps}",)))
            return
        life.steps += 1
        body.completed += 1
        body.progress_at = self.now
        self._tell(body, e.CheckpointReceived(body.spec.id, self.now, body.completed, True, body.completed))

    def _doing(self, life: Life) -> str:
        return life.behaviour if self.now >= life.turns_at else "work"

    def _person(self, body: Body) -> None:
        """Now and then somebody orders something, looks in, or tmux does not answer for a while."""
        self._plan(self._draw(600, 7200), body.spec.id, "person")
        point = self._chance()
        orders = ("clear", "restart", "nudge", "pause", "unpause", "stop", "start", "reassign")
        if point < 0.15:
            self._tell(body, e.Unseen(body.spec.id, self.now, "tmux did not answer"))
            self._plan(self._draw(1, 90), body.spec.id, "person")
        elif body.state.phase is Phase.UNKNOWN:
            self._tell(body, e.SeenAgain(body.spec.id, self.now))
        elif body.state.phase in HELD or point < 0.5:
            held = {"escalated": "clear", "paused": "unpause", "stopped": "start", "done": "start"}
            order = held.get(body.state.phase.value) or orders[int(self._chance() * len(orders))]
            self._tell(body, e.Ordered(body.spec.id, self.now, order, f"o{next(self._serial)}", "sim"))
        elif point < 0.7 and self._crashes:
            self._supervisor_dies(body)

    def _supervisor_dies(self, body: Body) -> None:
        """kill -9 of the daemon: what the ledger holds lives on; steps under way are handed out again."""
        state = load_state(dump_state(body.state))
        recovery = state.recovery
        if recovery and recovery.stage in (Stage.CLEARING, Stage.STARTING):
            recovery = replace(recovery, issued=False)
        errand = replace(state.errand, issued=False) if state.errand else None
        body.state = replace(state, recovery=recovery, errand=errand)
        self._agenda = [x for x in self._agenda if not (x[2] == body.spec.id and _of_the_daemon(x[3]))]
        heapq.heapify(self._agenda)
        alive = next((x for x in body.lives if x.attempt == body.state.attempt), None)
        if alive:
            self._tell(body, e.ProcessAdopted(body.spec.id, self.now, alive.attempt, 1, 1.0, "%1"))
        elif body.state.alive:
            self._tell(body, e.ProcessExited(body.spec.id, self.now, body.state.attempt, None, None))
        self._look(body)

    # -- the supervisor -------------------------------------------------------------------------

    def _tell(self, body: Body, evidence: e.Evidence) -> None:
        self._adopt(body, evolve(body.state, evidence, body.spec))
        self._look(body)

    def _look(self, body: Body) -> None:
        for _ in range(16):
            at = due(body.state, body.spec)
            if at is None:
                return
            if at > self.now:
                self._plan_look(body, at - self.now)
                return
            self._adopt(body, decide(body.state, body.spec, self.now))
        self.watch.say(f"{body.spec.id}: decide does not settle at {self.now}")

    def _adopt(self, body: Body, change: Change) -> None:
        before, body.state = body.state, change.state
        if not self._patient:
            body.state = replace(body.state, pauses=Pauses())
        self._note(change)
        for happening in change.happenings:
            if happening.type == "hhmrs_timeout" and happening.fields.get("symptom") in (
                "stalled",
                "looping",
            ):
                self._false_alarms += any(self._doing(life) in SOUND for life in body.lives)
            self.watch.happened(happening, body.state, body.progress_at)
        for action in change.actions:
            self.watch.asked(action, before, body.state, [x.attempt for x in body.lives])
            delay = self._draw(0.0, 0.2)
            if isinstance(action, a.Nudge):
                body.state = evolve(body.state, e.Typed(body.spec.id, self.now, action.text), body.spec).state
            self._plan(delay, body.spec.id, action)
        self.watch.stepped(body.state, self.now, body.spec)
        if change.happenings or vital(before) != vital(change.state):
            self._heed(self._guards.changed(before, change.state, change.happenings, self.now))

    def _heed(self, told: Told) -> None:
        for happening in told.happenings:
            self.events[happening.type] += 1
            self.log.append(happening)
        for evidence in told.evidence:
            self._tell(self.bodies[evidence.agent], evidence)
        at = self._guards.due()
        if at is not None and (self._guards_at is None or at < self._guards_at):
            self._guards_at = at
            self._plan(max(0.0, at - self.now), next(iter(self.bodies)), "guards")

    def _carry_out(self, body: Body, action: a.Action) -> None:
        agent = body.spec.id
        if isinstance(action, a.ClearGround):
            took = self._draw(0.0, body.spec.policy.kill_grace)
            undead = any(x.undead for x in body.lives)
            body.lives = [x for x in body.lives if x.undead]
            self._plan(
                took,
                agent,
                e.StepFinished(
                    agent,
                    0,
                    action.key,
                    not undead,
                    "undead" if undead else "",
                    undead=undead,
                    resumable=body.completed > 0,
                ),
            )
        elif isinstance(action, a.StartAttempt):
            if any(x.attempt == action.attempt for x in body.lives):
                self._tell(body, e.ProcessStarted(agent, self.now, action.attempt, 1, 1.0, "%1"))
                return
            self.watch.started(agent, action.attempt, [x.attempt for x in body.lives])
            kind = self._behaviour()
            quick = kind in ("bad start", "frozen", "deaf") or self._forced is not None
            life = Life(
                action.attempt,
                kind,
                self.now + (0.0 if quick else self._draw(5, 1800)),
                undead=kind == "undead",
            )
            body.lives.append(life)
            body.nudged = False
            self._plan(0.01, agent, life)
            self._tell(body, e.ProcessStarted(agent, self.now, action.attempt, 1, 1.0, "%1"))
        elif isinstance(action, a.Nudge):
            body.nudged = True
            self._tell(body, e.StepFinished(agent, self.now, action.key, True))
        elif isinstance(action, a.EndTree):
            body.lives = [x for x in body.lives if x.undead]
            self._tell(body, e.StepFinished(agent, self.now, action.key, True))
            self._tell(body, e.ProcessExited(agent, self.now, body.state.attempt, None, 15))
        else:
            self._tell(body, e.StepFinished(agent, self.now, action.key, True))

    def _note(self, change: Change) -> None:
        for happening in change.happenings:
            self.events[happening.type] += 1
            self.log.append(happening)


def _of_the_daemon(what: object) -> bool:
    """Planned work that dies with the daemon: its looks, its actions and their results."""
    return not isinstance(what, str | Life | e.ProcessExited)


def longest(spec: AgentSpec) -> float:
    """The bound `check` prints, s."""
    return max(bound.seconds for bound in bounds(spec))
