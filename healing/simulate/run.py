"""One run: a fleet, its supervisor, and what goes wrong, on a fake clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...config.fleet import FleetSpec
from .. import evidence as e
from ..agent import HELD, Happening, Pauses, Phase
from ..promises import Watch
from ..replacing import replace
from .bodies import Body
from .chance import Agenda, Dice
from .faults import SOUND, Fault, Faults, ailing
from .hands import Hands
from .report import Report, Story
from .storms import Storms
from .supervisor import DEATHS, Mind, Supervisor, Wake
from .world import World

BEGIN = 1_000_000.0
INSPECTED_EVERY = 60.0
ORDERS = ("clear", "restart", "nudge", "pause", "unpause", "stop", "start", "reassign", "resume", "escalate")
LETS_GO = {Phase.ESCALATED: "clear", Phase.PAUSED: "unpause", Phase.STOPPED: "start", Phase.DONE: "start"}


class Simulation:
    """`wake` makes a daemon's brain (controller/daemon/brain.py); `faults` is what goes wrong by chance,
    `schedule` what does on purpose; `behaviour` forces one for every attempt of every agent. `patient` False:
    no agent's own pauses are remembered, so that every one is timed by the policy alone. `keep`: `log` has
    every happening."""

    def __init__(
        self,
        fleet: FleetSpec,
        seed: str,
        wake: Wake,
        *,
        faults: Faults | None = None,
        schedule: Iterable[Fault] = (),
        behaviour: str | None = None,
        watch: Watch | None = None,
        patient: bool = True,
        keep: bool = False,
    ) -> None:
        fleet = ailing(fleet)
        self.fleet = fleet
        self.log: list[Happening] = []
        self.events: Counter[str] = Counter()
        self.stories = {name: Story() for name in fleet.agents}
        self.false_alarms = 0
        self.watch = watch or Watch()
        self._seed = seed
        self._faults = faults or Faults()
        self._keep = keep
        self._orders = 0
        self._dice = Dice(seed)
        self._agenda = Agenda(BEGIN)
        self.world = World(fleet, self._agenda, self._dice, self._faults, behaviour)
        self.supervisor = Supervisor(fleet, wake, self._agenda, self.world, self.watch)
        self.world.eyes = self.supervisor
        hands = Hands(self._agenda, self.world, self.supervisor, self.watch, self._dice, self._faults)
        self.supervisor.act = hands.take
        self.supervisor.heard.append(self._hear)
        if not patient:
            self.supervisor.mended = _forget_pauses
        self._storms = Storms(fleet, self._agenda, self._dice, self.world, self.supervisor, self._faults)
        for spec in fleet.agents.values():
            self.watch.meet(spec, self.world.bodies[spec.id])
        self.supervisor.wake()
        self._plan(schedule)

    def run(self, hours: float, *, until: str | None = None) -> Report:
        """Run the clock on; stops early at the first broken promise, or at the first event `until`."""
        agenda, supervisor, watch = self._agenda, self.supervisor, self.watch
        start = agenda.now
        end = start + hours * 3600
        while not watch.broken and not (until and self.events[until]):
            due, following = supervisor.due(), agenda.next()
            if min(due, following) > end:
                agenda.now = end
                break
            if due <= following:
                agenda.now = max(agenda.now, due)
                supervisor.look()
            else:
                agenda.step()
        return self._report(agenda.now - start)

    def _report(self, seconds: float) -> Report:
        supervisor = self.supervisor
        return Report(
            seed=self._seed,
            seconds=seconds,
            steps=supervisor.steps,
            checks=self.watch.checks,
            daemons=supervisor.life,
            events=dict(self.events),
            broken=self.watch.broken,
            states={name: supervisor.state(name) for name in self.fleet.agents},
            stories=self.stories,
            struck=dict(self.world.struck),
            longest={name: self.watch.longest(name) for name in self.fleet.agents},
            false_alarms=self.false_alarms,
        )

    # -- what is going to happen --------------------------------------------------------------------

    def _plan(self, schedule: Iterable[Fault]) -> None:
        faults, agenda, dice = self._faults, self._agenda, self._dice
        for body in self.world.bodies.values():
            agenda.after(dice.unit() * INSPECTED_EVERY, self._inspect, body)
            if faults.person_every:
                agenda.after(dice.wait(faults.person_every), self._visit, body)
        if faults.daemon_every:
            agenda.after(dice.wait(faults.daemon_every), self._doom, None)
        if faults.storm_every and faults.storms:
            agenda.after(dice.wait(faults.storm_every), self._storm, None)
        for fault in schedule:
            agenda.after(fault.at, self._strike, fault)

    def _inspect(self, body: Body) -> None:
        self._agenda.after(INSPECTED_EVERY, self._inspect, body)
        if self.supervisor.awake:
            now, clock = self._agenda.now, self.supervisor.time()
            self.watch.inspect(self.supervisor.state(body.spec.id), now, clock)

    def _storm(self, _: None) -> None:
        self._agenda.after(self._dice.wait(self._faults.storm_every), self._storm, None)
        self._storms.any()

    def _doom(self, _: None) -> None:
        self._agenda.after(self._dice.wait(self._faults.daemon_every), self._doom, None)
        self._storms.kill(self._dice.one(DEATHS))

    def _strike(self, fault: Fault) -> None:
        """A fault on purpose."""
        bodies = list(self.world.bodies.values())
        body = bodies[fault.whom % len(bodies)]
        if fault.what == "person":
            self._person(body)
        elif fault.what == "daemon":
            self._storms.kill(DEATHS[fault.whom % len(DEATHS)])
        elif fault.what in self._storms.kinds:
            self._storms.strike(fault.what, fault.whom)
        elif body.newest is not None:
            self.world.afflict(body.newest, fault.what)

    # -- people -------------------------------------------------------------------------------------

    def _visit(self, body: Body) -> None:
        self._agenda.after(self._dice.wait(self._faults.person_every), self._visit, body)
        self._person(body)

    def _person(self, body: Body) -> None:
        """Somebody looks in: lets go who is held, orders something, or sits down at the pane."""
        if not self.supervisor.awake:
            return
        phase, point = self.supervisor.state(body.spec.id).phase, self._dice.unit()
        if phase in HELD and point < 0.9:
            self._mend(body)
            self._order(body, LETS_GO[phase])
        elif point < 0.3:
            self._sit(body)
        elif point < 0.7:
            self._order(body, self._dice.one(ORDERS))

    def _mend(self, body: Body) -> None:
        """Whatever keeps it from working, and what would not die, is put right by hand first."""
        body.curse = ""
        for life in tuple(body.lives):
            if life.undead:
                self.world.end(life, None, 9)

    def _order(self, body: Body, order: str) -> None:
        self._orders += 1
        letter, now = f"o{self._orders}", self.supervisor.time()
        self.supervisor.tell(e.Ordered(body.spec.id, now, order, letter, "sim"))

    def _sit(self, body: Body) -> None:
        if not body.attached:
            body.attached = True
            self.supervisor.tell(e.PersonPresent(body.spec.id, self.supervisor.time(), True))
            self._agenda.after(self._dice.wait(180.0), self._leave, body)

    def _leave(self, body: Body) -> None:
        body.attached = False
        self.supervisor.tell(e.PersonPresent(body.spec.id, self.supervisor.time(), False))

    # -- what is written down -----------------------------------------------------------------------

    def _hear(self, h: Happening) -> None:
        self.events[h.type] += 1
        if self._keep:
            self.log.append(h)
        story = self.stories.get(h.agent)
        if story is None:
            return
        story.hear(h)
        if h.type == "hhmrs_timeout" and h.fields.get("symptom") in ("stalled", "looping"):
            lives = self.world.bodies[h.agent].lives
            self.false_alarms += any(self.world.doing(life) in SOUND for life in lives)


def _forget_pauses(evidence: e.Evidence, mind: Mind) -> None:
    mind.states[evidence.agent] = replace(mind.states[evidence.agent], pauses=Pauses())
