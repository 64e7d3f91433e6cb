"""The one road from the fleet to the screen: two threads look, the app gets immutable messages."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from textual.message import Message

from ..config.fleet import FleetSpec
from ..controller.ports import Event
from ..healing.agent import AgentState
from .aside import tell
from .document import Fleet
from .keeping import Keeper
from .looks import clean
from .numbers import Numbers
from .previews import Hands

if TYPE_CHECKING:  # what it names is loaded when a view needs it
    from .settings import Settings
    from .work import Work

EVERY = 0.25
"""Seconds between two looks: four a second is what a person can follow, also over ssh."""
EVERY_UNFOCUSED = 0.5
HURRIED = 0.2
"""The least of it, also while a person goes from agent to agent with a key held down."""
CLOCK = 1.0
"""Seconds between two snapshots of a fleet about which nothing is written: ages are told in seconds."""
PANE_EVERY = 0.1
"""Seconds between two looks at a pane that changes: each is a process of tmux's."""
PANE_AT_REST = 0.25
"""Seconds that the selection must rest before a pane is read, while a person runs through the agents; whom a
single key selects is read at once."""
PANE_STILL = 4.0
"""The same at a pane that does not change. The daemon sees its output meanwhile: that is a reason to look."""
PATIENCE = 0.15
"""Seconds that leaving waits for looks that hang: they end with the program."""


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
    flaws: tuple[str, ...] = ()
    """What is wrong with the fleet file as it stands now; `spec` is then that of the last good one."""
    locked: str = ""
    """Why nothing can be ordered from here: the fleet can be read, and is not ours to write to."""


class Source(Protocol):
    """The fleet as the screen needs it. All calls block and are made from threads; any may raise."""

    def pulse(self) -> object:
        """Cheap: something that is equal to what it was before as long as only the clock has gone on."""
        ...

    name: str
    """The fleet's, known before it is looked at."""
    numbers: Numbers
    """Its whole past: figures, incidents, post-mortems."""

    def snapshot(self, focus: str | None) -> Snapshot:
        """The fleet now; with `focus` also that agent's timeline and explanation."""
        ...

    @property
    def keeper(self) -> Keeper:
        """Who can start the daemon."""
        ...

    def pane(self, agent: str) -> list[str]:
        """The agent's pane with some history, colours as SGR escapes."""
        ...

    def order(self, order: str, agent: str | None, args: Mapping[str, str]) -> str:
        """Send one operator's order; its letter's id. The answer arrives as event `operator_outcome`."""
        ...

    @property
    def hands(self) -> Hands:
        """What an order would do, asked of the machine."""
        ...

    @property
    def work(self) -> Work:
        """What the views of one agent show beside the snapshots."""
        ...

    @property
    def settings(self) -> Settings:
        """The fleet file, to be looked at and changed."""
        ...

    def attach_argv(self, agent: str, *, watch: bool = False) -> list[str]:
        """The command that takes over the agent's pane; `watch`: only looks at it, no key goes through."""
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

    def same_as(self, other: PaneSeen) -> bool:
        return (self.agent, self.lines, self.fault) == (other.agent, other.lines, other.fault)


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

    def end(self) -> None:
        """Ask it to end, and do not wait for it."""
        self._stop.set()
        self._go.set()
        self._wake.set()

    def stop(self, within: float = PATIENCE) -> None:
        """End it; a look that hangs in tmux keeps nobody from leaving for more than `within` seconds."""
        self.end()
        if self._thread.is_alive():
            self._thread.join(timeout=max(0.0, within))

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
            least = max(min(HURRIED, self.every), 2 * spent)
            self._wake.wait(max(least, self.every - spent))
            if (rest := began + spent + least - time.monotonic()) > 0:
                self._stop.wait(rest)


class Feed:
    """Looks at the fleet and at the pane that is watched; a hanging tmux delays only the pane."""

    def __init__(self, source: Source, post: Post) -> None:
        self._source = source
        self._post = post
        self._focus: str | None = None
        self._watched: str | None = None
        self._slow = False
        self._last: Snapshot | None = None
        self._pulse: object = None
        self._told_focus: str | None = None
        self._told = -math.inf
        """The fleet's pulse and focus when it was last told of, and when that was."""
        self._turn = 0
        """How often another pane was wanted."""
        self._turned = self._ready = -math.inf
        """When that was last, and from when on it may be read; time.monotonic."""
        self._shown: tuple[int, PaneSeen] | None = None
        """What was told of the watched pane last, and in which turn."""
        self._output: float | None = None
        """When the agent whose pane is watched last printed, as the daemon saw it."""
        self._fleet = Beat(self._look_at_fleet, "hhmrs-feed")
        self._pane = Beat(self._look_at_pane, "hhmrs-pane", PANE_EVERY)
        self._joined: list[Beat] = []

    def join(self, beat: Beat) -> None:
        """One more that looks, at its own pace: it starts, rests and ends with the others."""
        self._joined.append(beat)

    def start(self) -> None:
        for beat in (self._fleet, self._pane, *self._joined):
            beat.start()

    def stop(self) -> None:
        """All are asked before any is waited for, and what hangs is waited for once and not once each."""
        beats = (self._fleet, self._pane, *self._joined)
        for beat in beats:
            beat.end()
        last = time.monotonic() + PATIENCE
        for beat in beats:
            beat.stop(last - time.monotonic())

    def focus(self, agent: str | None) -> None:
        """Whose timeline and explanation the snapshots shall hold."""
        if agent != self._focus:
            self._focus = agent
            self._fleet.wake()

    def watch(self, agent: str | None) -> None:
        """Whose pane is on the screen; None when none is."""
        if agent != self._watched:
            now = time.monotonic()
            self._ready = now + PANE_AT_REST if now < self._turned + PANE_AT_REST else now
            self._turned = now
            self._watched = agent
            self._turn += 1
            self._look_quickly()

    def look(self) -> None:
        """Look again soon: what the source gives has just been changed by hand."""
        self._told = -math.inf
        self._fleet.wake()

    def hold(self, held: bool) -> None:
        for beat in (self._fleet, self._pane, *self._joined):
            beat.hold(held)

    def slow(self, slow: bool) -> None:
        """Half the pace while the terminal has not the focus."""
        self._fleet.every = EVERY_UNFOCUSED if slow else EVERY
        self._slow = slow

    def _look_at_fleet(self) -> None:
        focus = self._focus
        try:
            pulse, same = self._source.pulse(), focus == self._told_focus
            if same and pulse == self._pulse and time.monotonic() < self._told + CLOCK:
                return
            seen = self._source.snapshot(focus)
            # For another focus the fleet may be told as it was a moment ago: then it is looked at again.
            self._pulse = pulse if same else self._pulse
            self._told_focus, self._told = focus, time.monotonic()
        except Exception as error:  # noqa: BLE001  # whatever a look meets must be shown, and must not end the looking
            last = self._last or Snapshot(Fleet(name="", at=time.time(), up=False))
            seen = replace(last, fault=clean(f"cannot read the fleet: {error}", 200))
            self._pulse = None
        self._last = seen if not seen.fault else self._last
        tell(self._post, FleetSeen(seen))
        self._listen(seen.fleet)

    def _listen(self, fleet: Fleet) -> None:
        """A pane at rest is looked at again when its agent has printed something."""
        agent = fleet.agent(self._watched)
        output = agent.trace.get("output") if agent is not None else None
        if output != self._output:
            self._output = output
            self._look_quickly()

    def _look_quickly(self) -> None:
        self._pane.every = self._pane_every
        self._pane.wake()

    @property
    def _pane_every(self) -> float:
        return EVERY_UNFOCUSED if self._slow else PANE_EVERY

    def _look_at_pane(self) -> None:
        turn, agent = self._turn, self._watched
        if agent is None:
            self._pane.every = PANE_STILL
            return
        if (rest := self._ready - time.monotonic()) > 0:
            self._pane.every = rest
            return
        try:
            seen = PaneSeen(agent, tuple(self._source.pane(agent)))
        except Exception as error:  # noqa: BLE001  # as above
            seen = PaneSeen(agent, (), clean(f"its pane cannot be read: {error}", 200))
        before, self._shown = self._shown, (turn, seen)
        if before is not None and before[0] == turn and before[1].same_as(seen):
            self._pane.every = min(PANE_STILL, 2 * self._pane.every)
            return
        self._pane.every = self._pane_every
        tell(self._post, seen)
