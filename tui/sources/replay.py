"""A recorded night behind the screen: any moment of it, made of nothing but what the ledger says."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import NoReturn

from ...controller.ports import Event
from ..document import Agent, Fleet, Trouble
from ..feed import Snapshot
from ..localtime import local
from ..player import Player
from .recording import Recording

NEWEST = 400
"""Events of the fleet that a snapshot holds."""
OF_ONE = 300
"""Events of the selected agent."""
NO_ORDERS = "this is a replay: what you see is past, and takes no orders"
NO_PANE = "no pane was recorded: a ledger holds what happened, not what stood on the screens"
UNTOLD = "not recorded: its pane, the ages of its evidence, CPU and memory, its own words, its title"


class ReplayError(Exception):
    """It was asked for what a recording does not have; the message says so."""


class ReplaySource:
    """Gives the moment at which the player stands; the same moment gives the same snapshot, however one came
    there. Reads the file: never call it from the loop."""

    def __init__(self, recording: Recording, player: Player) -> None:
        self.recording, self.player = recording, player
        self._lock = threading.Lock()
        self._made: tuple[int, Fleet] | None = None
        self._events: tuple[int, tuple[Event, ...]] = (0, ())
        self._of_focus: tuple[int, str | None, tuple[Event, ...]] = (0, None, ())

    def pulse(self) -> object:
        """The moment that is shown: a recording changes with it alone."""
        return self.player.now

    def snapshot(self, focus: str | None) -> Snapshot:
        """Raises LedgerError."""
        return self.at(self.player.now, focus)

    def at(self, now: float, focus: str | None = None) -> Snapshot:
        """The fleet as it was at `now`, epoch seconds. Raises LedgerError."""
        with self._lock:
            position = self.recording.position(now)
            fleet = self._fleet(position, now)
            return Snapshot(
                fleet=fleet,
                events=self._newest(position),
                focus=focus,
                timeline=self._timeline(position, focus),
                explain=tuple(explained(fleet, focus)) if focus else (),
            )

    def pane(self, agent: str) -> list[str]:  # noqa: ARG002  # as feed.Source has it
        return [NO_PANE]

    def order(self, order: str, agent: str | None, args: Mapping[str, str]) -> NoReturn:  # noqa: ARG002  # as above
        raise ReplayError(NO_ORDERS)

    def attach_argv(self, agent: str, *, watch: bool = False) -> NoReturn:  # noqa: ARG002  # as above
        raise ReplayError(NO_PANE)

    def close(self) -> None:
        self.recording.close()

    def _fleet(self, position: int, now: float) -> Fleet:
        """While no event comes, the very same agents: then only the clock goes on, and nothing is painted."""
        told = self.recording.seek(position)
        fleet = told.fleet(self.recording.fleet, now)
        if self._made is not None and self._made[0] == position:
            before = self._made[1]
            fleet = Fleet(
                fleet.name,
                now,
                fleet.up,
                fleet.mode,
                fleet.uptime,
                fleet.cascade,
                before.agents,
                before.troubles,
            )
        self._made = (position, fleet)
        return fleet

    def _newest(self, position: int) -> tuple[Event, ...]:
        if self._events[0] != position:
            self._events = (position, tuple(self.recording.newest(position, NEWEST)))
        return self._events[1]

    def _timeline(self, position: int, focus: str | None) -> tuple[Event, ...]:
        if self._of_focus[:2] != (position, focus):
            told = self.recording.of_agent(focus, position, OF_ONE) if focus else []
            self._of_focus = (position, focus, tuple(told))
        return self._of_focus[2]


def explained(fleet: Fleet, name: str) -> Iterator[str]:
    """What the events told of the agent by then, and what they never tell."""
    agent = fleet.agent(name)
    if agent is None:
        yield f"{name}: by then nothing was written about it"
        return
    yield _stand(agent)
    if agent.task:
        yield f"  task: {agent.task}"
    if agent.doing:
        yield f"  under way: {agent.doing}"
    if agent.restarts or agent.reassigns:
        yield f"  spent of its budgets: {agent.restarts} restarts, {agent.reassigns} reassigns"
    if (trouble := fleet.trouble(name)) is not None:
        yield from _trouble(trouble)
    yield UNTOLD


def _stand(agent: Agent) -> str:
    if agent.since is None:
        return f"{agent.id}: no event told its phase yet"
    why = f": {agent.message}" if agent.message else ""
    return f"{agent.id} is {agent.phase.value} since {clock(agent.since)}{why}"


def _trouble(trouble: Trouble) -> Iterator[str]:
    detail = f": {trouble.detail}" if trouble.detail else ""
    yield f"  incident {trouble.id}, open since {clock(trouble.opened)}, cause {trouble.cause}{detail}"
    for one in trouble.tries:
        why = f": {one.why}" if one.why else ""
        yield f"    {one.n}. {one.strategy} at {clock(one.at)}, {one.outcome}{why}"


def clock(at: float) -> str:
    """`02:14:03` by the person's own clock; its zone stands in the screen's head."""
    return local(at)
