"""The one road from the fleet to the screen: two threads look, the app gets immutable messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from textual.message import Message

from ..config.fleet import FleetSpec
from ..controller.ports import Event
from ..healing.agent import AgentState
from .document import Fleet
from .looks import clean

EVERY = 0.25
"""Seconds between two looks: four a second is what a person can follow, also over ssh."""
EVERY_UNFOCUSED = 0.5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that one look saw. `events` are the newest of the fleet, `timeline` those of the agent `focus`,
    both oldest first; `fault`: why this look failed, the rest is then what the last good one saw."""

    fleet: Fleet
    spec: FleetSpec | None = None
    events: tuple[Event, ...] = ()
    focus: str | None = None
    timeline: tuple[Event, ...] = ()
    explain: tuple[str, ...] = ()
    states: Mapping[str, AgentState] = field(default_factory=dict)
    fault: str = ""


class Source(Protocol):
    """The fleet as the screen needs it. All calls block and are made from threads; any may raise."""

    def snapshot(self, focus: str | None) -> Snapshot:
        """The fleet now; with `focus` also that agent's timeline and explanation."""
        ...

    def pane(self, agent: str) -> list[str]:
        """The agent's pane with some history, colours as SGR escapes."""
        ...

    def order(self, order: str, agent: str | None, args: Mapping[str, str]) -> str:
        """Send one operator's order; its letter's id. The answer arrives as event `operator_outcome`."""
        ...

    def attach_argv(self, agent: str) -> list[str]:
        """The command that takes over the agent's pane."""
        ...


class FleetSeen(Message):
    """A new snapshot; only the newest matters."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        super().__init__()

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, FleetSeen)


class PaneSeen(Message):
    """The lines of one agent's pane, or why they could not be read."""

    def __init__(self, agent: str, lines: tuple[str, ...], fault: str = "") -> None:
        self.agent = agent
        self.lines = lines
        self.fault = fault
        super().__init__()

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, PaneSeen)


Post = Callable[[Message], object]


class Beat:
    """Runs one look again and again in a thread, at most once in `every` seconds, until stopped."""

    def __init__(self, look: Callable[[], None], name: str, every: float = EVERY) -> None:
        self.every = every
        self._look = look
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Look again soon: a person chose something else."""
        self._wake.set()

    def hold(self, held: bool) -> None:
        """Rest while nobody can see the screen."""
        if held:
            self._go.clear()
        else:
            self._go.set()

    def stop(self) -> None:
        """Ask it to end; a look that hangs in tmux cannot keep the program from leaving."""
        self._stop.set()
        self._go.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._go.wait()
            if self._stop.is_set():
                return
            began = time.monotonic()
            self._wake.clear()
            self._look()
            spent = time.monotonic() - began
            # A wake may shorten the rest, but a slow look (many agents, a busy disk) never takes a core.
            self._stop.wait(max(min(0.1, self.every), 2 * spent))
            self._wake.wait(max(0.0, self.every - (time.monotonic() - began)))


class Feed:
    """Looks at the fleet and at the pane that is watched; a hanging tmux delays only the pane."""

    def __init__(self, source: Source, post: Post) -> None:
        self._source = source
        self._post = post
        self._focus: str | None = None
        self._watched: str | None = None
        self._last: Snapshot | None = None
        self._fleet = Beat(self._look_at_fleet, "hhmrs-feed")
        self._pane = Beat(self._look_at_pane, "hhmrs-pane")

    def start(self) -> None:
        self._fleet.start()
        self._pane.start()

    def stop(self) -> None:
        self._fleet.stop()
        self._pane.stop()

    def focus(self, agent: str | None) -> None:
        """Whose timeline and explanation the snapshots shall hold."""
        if agent != self._focus:
            self._focus = agent
            self._fleet.wake()

    def watch(self, agent: str | None) -> None:
        """Whose pane is on the screen; None when none is."""
        if agent != self._watched:
            self._watched = agent
            self._pane.wake()

    def hold(self, held: bool) -> None:
        self._fleet.hold(held)
        self._pane.hold(held)

    def slow(self, slow: bool) -> None:
        """Half the pace while the terminal has not the focus."""
        self._fleet.every = self._pane.every = EVERY_UNFOCUSED if slow else EVERY

    def _look_at_fleet(self) -> None:
        try:
            seen = self._source.snapshot(self._focus)
        except Exception as error:  # noqa: BLE001  # whatever a look meets must be shown, and must not end the looking
            last = self._last or Snapshot(Fleet(name="", at=time.time(), up=False))
            seen = replace(last, fault=clean(f"cannot read the fleet: {error}", 200))
        self._last = seen if not seen.fault else self._last
        self._post(FleetSeen(seen))

    def _look_at_pane(self) -> None:
        agent = self._watched
        if agent is None:
            return
        try:
            self._post(PaneSeen(agent, tuple(self._source.pane(agent))))
        except Exception as error:  # noqa: BLE001  # as above
            self._post(PaneSeen(agent, (), clean(f"its pane cannot be read: {error}", 200)))
