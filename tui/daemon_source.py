"""The real fleet behind the screen: the ledger is read, tmux shows the panes, orders go by letter."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.fleet import FleetSpec
from ..config.paths import StateDir
from ..controller.ledger.lock import Holder, read_holder
from ..controller.ledger.writer import LedgerReader
from ..controller.letters.orders import send_order
from ..controller.ports import Event, Terminals
from ..controller.reports.known import KnownStates
from ..controller.reports.status import AgentView, FleetView
from ..controller.reports.views import KeptViews, fleet_view
from ..healing.explain import explain
from .document import Agent, Fleet, fleet_of, read_agent, read_trouble
from .feed import Snapshot
from .numbers import Numbers
from .previews import Hands
from .sources.keeper import FleetKeeper
from .sources.numbers import LedgerNumbers

if TYPE_CHECKING:  # what it names is loaded when a view needs it
    from .settings import Settings
    from .work import Work

NEWEST = 400
"""Events of the fleet that a snapshot holds: enough for the bar and for the answers to orders."""
OF_ONE = 300
"""Events of the selected agent."""
AGAIN = 0.25
"""Seconds within which the fleet is not looked at anew because a person chose another agent."""
HISTORY = 500
"""Lines of a pane above what it shows now."""


@dataclass(slots=True)
class _Book:
    """What was read of the ledger so far. Only the feed's thread touches it."""

    inode: int | None = None
    version: int | None = None
    looked: float = -math.inf
    """When something new was read last; time.monotonic."""
    seq: int = 0
    newest: deque[Event] = field(default_factory=lambda: deque(maxlen=NEWEST))
    focus: str | None = None
    of_focus: deque[Event] = field(default_factory=lambda: deque(maxlen=OF_ONE))
    known: KnownStates = field(default_factory=KnownStates)
    views: KeptViews = field(default_factory=dict)
    agents: dict[str, tuple[AgentView, bool, Agent]] = field(default_factory=dict)
    """Each behind the view that it was read from, and whether a daemon was up."""
    titles: Mapping[str, str] = field(default_factory=dict)
    made_of: tuple[object, ...] = ()
    """What the newest `view` and `fleet` were made of."""
    view: FleetView | None = None
    fleet: Fleet | None = None


class DaemonSource:
    """feed.Source on a state folder. `spec` may be None: then the screen shows, but knows less."""

    def __init__(
        self,
        state_dir: StateDir,
        spec: FleetSpec | None,
        terminals: Terminals,
        *,
        config: Path | None = None,
        flaws: tuple[str, ...] = (),
    ) -> None:
        """`config` and `flaws`: the fleet file, and what is wrong with it, where `spec` is None for it."""
        self._dir = state_dir
        self.name = state_dir.fleet
        self._spec = spec
        self.keeper = FleetKeeper(state_dir, spec.path if spec is not None else config, spec, flaws)
        self._terminals = terminals
        self._reader = LedgerReader(state_dir.ledger)
        self._book = _Book()
        self._lock = threading.Lock()
        self.numbers: Numbers = LedgerNumbers(state_dir, lambda: self._spec)

    def pulse(self) -> object:
        """Whether anything was written into the ledger. The daemon and the fleet file are looked at by each
        snapshot, so once a second."""
        return self._reader.version()

    def snapshot(self, focus: str | None) -> Snapshot:
        """One look. Raises LedgerError or OSError when the ledger cannot be read."""
        with self._lock:
            holder = read_holder(self._dir)
            now = holder.now() if holder else time.time()
            spec = self._current_spec()
            self._read(focus)
            book = self._book
            view, fleet = self._look(spec, holder, now)
            return Snapshot(
                fleet=fleet,
                spec=spec,
                events=tuple(book.newest),
                focus=focus,
                timeline=tuple(book.of_focus),
                explain=self._explain(view, focus, now),
                states=view.states,
                flaws=self.keeper.flaws,
                locked=self.keeper.locked(),
            )

    def pane(self, agent: str) -> list[str]:
        return self._terminals.capture(agent, escapes=True, history=HISTORY)

    def order(self, order: str, agent: str | None, args: Mapping[str, str]) -> str:
        return send_order(self._dir, order, agent, args)

    @property
    def hands(self) -> Hands:
        return self._hands

    @cached_property
    def _hands(self) -> Hands:
        from .sources.hands import MachineHands  # what it needs is not needed for the first look

        return MachineHands(self._dir.fleet, self._dir, self._terminals)

    @property
    def work(self) -> Work:
        return self._work

    @cached_property
    def _work(self) -> Work:
        from .sources.work import DaemonWork  # as above

        return DaemonWork(self._dir, self._reader, lambda: self._spec)

    @property
    def settings(self) -> Settings:
        return self._settings

    @cached_property
    def _settings(self) -> Settings:
        from .sources.settings import FleetFile  # as above

        holder = read_holder(self._dir)
        named = Path(holder.config) if holder is not None else Path("hhmrs.yaml")
        return FleetFile(self._dir, self._spec.path if self._spec is not None else named)

    def attach_argv(self, agent: str, *, watch: bool = False) -> list[str]:
        socket, pane = self._terminals.socket_of(agent), self._terminals.pane_of(agent)
        # The pane that bears our label: a person may have renamed the agent's session.
        target = pane.pane if pane is not None else f"={agent}"
        return ["tmux", "-L", socket, "-u", "attach-session", *(["-r"] if watch else []), "-t", target]

    def close(self) -> None:
        """Waits for no look: one that hangs is not worth that."""
        self._reader.close(wait=False)
        self.numbers.close()

    def _read(self, focus: str | None) -> None:
        """Bring the book up to date; nothing is read while the ledger has not changed."""
        inode = _inode(self._dir)
        if inode != self._book.inode:
            self._book = _Book(inode=inode)
        book = self._book
        began = time.monotonic()
        hurried = focus != book.focus and began < book.looked + AGAIN
        version = book.version if hurried else self._reader.version()
        if version != book.version:
            book.looked = began
            fresh = self._reader.events(since=book.seq)
            book.seq = fresh[-1].seq if fresh else book.seq
            book.newest.extend(fresh)
            if book.focus == focus:
                book.of_focus.extend(event for event in fresh if event.agent == focus)
            book.version = version
        if focus != book.focus:
            book.focus = focus
            book.of_focus.clear()
            if focus is not None:
                book.of_focus.extend(self._reader.events(agent=focus))

    def _look(self, spec: FleetSpec | None, holder: Holder | None, now: float) -> tuple[FleetView, Fleet]:
        """Where nothing was written since the last look only the clock has gone on."""
        book = self._book
        made_of = (book.version, spec, holder, holder is not None and holder.is_stopped())
        if book.view is None or book.fleet is None or not _same(made_of, book.made_of):
            view = fleet_view(self._dir, spec, now, reader=self._reader, known=book.known, kept=book.views)
            book.made_of, book.view, book.fleet = made_of, view, _read(view, book)
            return view, book.fleet
        uptime = max(0.0, now - holder.started_at) if holder else None
        return replace(book.view, now=now), replace(book.fleet, at=now, uptime=uptime)

    def _explain(self, view: FleetView, focus: str | None, now: float) -> tuple[str, ...]:
        one = view.spec.agents.get(focus) if view.spec is not None and focus is not None else None
        if one is None:
            return (
                ("it is no longer in the fleet file: it is watched, but nothing judges it",) if focus else ()
            )
        if one.id not in view.states:
            return ("it was never started by a daemon",)
        return tuple(explain(view.states[one.id], one, now).lines())

    def _current_spec(self) -> FleetSpec | None:
        """The fleet file as it is now; a broken one changes nothing, just as for the daemon."""
        self.keeper.look()
        self._spec = self.keeper.spec
        return self._spec


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(a is b or a == b for a, b in zip(one, other, strict=True))


def _read(view: FleetView, book: _Book) -> Fleet:
    """The document of `status --json` as the screen's values; only what was written anew is read anew."""
    titles = {agent.id: agent.title for agent in view.agents}
    if titles != book.titles:
        book.titles, book.agents = titles, {}
    whole = {"fleet": view.fleet, "daemon": view.daemon and view.daemon.as_json(), "cascade": view.cascade}
    up = view.daemon is not None
    agents = tuple(_read_agent(one, up, book) for one in view.agents)
    return fleet_of(whole, view.now, agents, tuple(read_trouble(one.as_json()) for one in view.incidents))


def _read_agent(view: AgentView, up: bool, book: _Book) -> Agent:
    known = book.agents.get(view.id)
    if known is not None and known[0] is view and known[1] == up:
        return known[2]
    agent = read_agent(view.as_json(), view.trace, book.titles, up)
    book.agents[view.id] = (view, up, agent)
    return agent


def _inode(state_dir: StateDir) -> int | None:
    try:
        return state_dir.ledger.stat().st_ino
    except OSError:
        return None
