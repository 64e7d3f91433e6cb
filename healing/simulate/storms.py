"""What strikes many agents, or the supervisor itself."""

from __future__ import annotations

from collections.abc import Callable

from ...config.fleet import FleetSpec
from .. import evidence as e
from ..providers import provider_of
from .bodies import Body
from .chance import Agenda, Dice, Table
from .faults import Faults
from .supervisor import DEATHS, Supervisor
from .world import World

SERVERS = 20
"""Agents that share one tmux server."""
BAD_ENDS = ("crash", "killed", "hang", "deaf", "api_error", "loop")


class Storms:
    """`kinds`: each strikes once; its number says whom, taken modulo what there is to choose from."""

    def __init__(
        self,
        fleet: FleetSpec,
        agenda: Agenda,
        dice: Dice,
        world: World,
        supervisor: Supervisor,
        faults: Faults,
    ) -> None:
        self._agenda = agenda
        self._dice = dice
        self._world = world
        self._supervisor = supervisor
        self._table = Table(faults.storms) if faults.storms else None
        self._bodies = list(world.bodies.values())
        self._children = [kin for parent in fleet.agents if len(kin := fleet.children(parent)) > 1]
        seats = (seat for spec in fleet.agents.values() for seat in spec.seats)
        self._providers = sorted({provider_of(seat) for seat in seats})
        self.kinds: dict[str, Callable[[int], None]] = {
            "outage": self._outage,
            "children": self._siblings,
            "server lost": self._server_lost,
            "blind": self._blind,
            "stopped daemon": self._stop_daemon,
            "suspend": self._suspend,
            "clock jump": self._jump,
        }

    def any(self) -> None:
        if self._table is not None:
            self.strike(self._table.draw(self._dice), int(self._dice.unit() * 1000))

    def strike(self, kind: str, whom: int) -> None:
        self._world.struck[kind] += 1
        self.kinds[kind](whom)

    # -- agents -------------------------------------------------------------------------------------

    def _outage(self, whom: int) -> None:
        name = self._providers[whom % len(self._providers)]
        self._world.outages.add(name)
        self._agenda.after(self._dice.between(60, 1800), self._world.outages.discard, name)

    def _siblings(self, whom: int) -> None:
        names = self._children[whom % len(self._children)] if self._children else list(self._world.bodies)
        kind = self._dice.one(BAD_ENDS)
        for name in names:
            for life in tuple(self._world.bodies[name].lives):
                self._world.afflict(life, kind)

    def _server(self, whom: int) -> list[Body]:
        first = SERVERS * (whom % (1 + (len(self._bodies) - 1) // SERVERS))
        return self._bodies[first : first + SERVERS]

    def _server_lost(self, whom: int) -> None:
        """Its processes lose their terminals, and end of it; some do not."""
        for body in self._server(whom):
            for life in tuple(body.lives):
                if not life.undead:
                    self._world.end(life, None, 1, lost=True)

    def _blind(self, whom: int) -> None:
        bodies = self._server(whom)
        for body in bodies:
            body.blind = True
            now = self._supervisor.time()
            self._supervisor.tell(e.Unseen(body.spec.id, now, "tmux does not answer"))
        self._agenda.after(self._dice.wait(45.0), self._see_again, bodies)

    def _see_again(self, bodies: list[Body]) -> None:
        for body in bodies:
            body.blind = False
            self._supervisor.tell(e.SeenAgain(body.spec.id, self._supervisor.time()))

    # -- the supervisor -----------------------------------------------------------------------------

    def kill(self, how: str) -> None:
        """The daemon dies: now, or when it is about to do something. Another one follows."""
        if not self._supervisor.up:
            return
        self._world.struck[f"daemon dies {how}"] += 1
        if how == DEATHS[0]:
            self._supervisor.die()
        else:
            self._supervisor.doom = how
        self._agenda.after(self._dice.wait(20.0), self._wake, None)

    def _wake(self, _: None) -> None:
        if not self._supervisor.up:
            self._supervisor.wake()
        elif self._supervisor.doom:
            self._agenda.after(self._dice.wait(20.0), self._wake, None)  # not dead yet

    def _stop_daemon(self, _: int) -> None:
        seconds = self._dice.between(2.0, 900.0)
        self._supervisor.sleep()
        self._agenda.after(seconds, self._supervisor.go_on, self._supervisor.life)

    def _suspend(self, _: int) -> None:
        """All stand still together, and the daemon's clock with them; the wall's does not."""
        self._supervisor.wall += self._dice.between(60.0, 40_000.0)

    def _jump(self, _: int) -> None:
        self._supervisor.wall += self._dice.between(-7200.0, 7200.0)
