"""One observer for each tmux server of the fleet, made when its first agent is watched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from ...config.fleet import ExitRule, ScreenRule
from ..means import Means
from ..ports import Clock, Emit, Identity
from .inquests import Inquests
from .launching import Report
from .observer import Observer
from .pace import Budget
from .servers import FleetTerminals
from .ttys import TtyWatch


class Watchers:
    """What supervision asks to look. `on_server_lost` is called on the loop with the socket of the server
    that was found gone; the other options are Observer's own, the same for each."""

    def __init__(
        self,
        terminals: FleetTerminals,
        emit: Emit,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        *,
        period: float = 1.0,
        late: float = 5.0,
        report: Callable[[str], Report | None] = lambda _: None,
        tmux: str = "tmux",
        on_server_lost: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._terminals = terminals
        self._loop = loop
        self._on_server_lost = on_server_lost
        # One descriptor hears the terminals of all servers, and one allowance bounds what all looks cost.
        self._ttys = TtyWatch(loop)
        self._inquests = Inquests(clock)
        self._make = partial(
            Observer, emit=emit, clock=clock, loop=loop, period=period, late=late, report=report, tmux=tmux,
            ttys=self._ttys, looks=Budget(lambda: self._ttys.busy), inquests=self._inquests,
        )  # fmt: skip
        self._observers: dict[str, Observer] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._at: dict[str, str] = {}

    async def start(self) -> None:
        """Begin to look at the servers that run; returns after the first try to connect to each."""
        running = await asyncio.to_thread(self._terminals.running)
        for socket in running:
            self._observer(socket)
        await asyncio.gather(*self._starting.values())

    async def stop(self) -> None:
        """Stop looking. Nothing is emitted afterwards."""
        for task in self._starting.values():
            task.cancel()
        await asyncio.gather(*self._starting.values(), return_exceptions=True)
        await asyncio.gather(*(observer.stop() for observer in self._observers.values()))
        self._ttys.close()
        self._inquests.close()
        self._at.clear()

    def watch(
        self,
        agent: str,
        attempt: int,
        who: Identity,
        *,
        screens: Sequence[ScreenRule] = (),
        exits: Sequence[ExitRule] = (),
        primed: bool = False,
        socket: str = "",
    ) -> None:
        """Follow the process `who` of this attempt on the server `socket` (empty: the fleet's first).
        `primed`: what its pane shows now was there before us."""
        home = socket or self._terminals.socket
        if self._at.get(agent, home) != home:
            self.unwatch(agent)
        self._at[agent] = home
        self._observer(home).watch(agent, attempt, who, screens=screens, exits=exits, primed=primed)

    def rest(self, agent: str) -> None:
        """Its process is over; who sits at its pane is told all the same."""
        home = self._at.get(agent)
        if home is not None:
            self._observers[home].rest(agent)

    def unwatch(self, agent: str) -> None:
        home = self._at.pop(agent, None)
        if home is not None:
            self._observers[home].unwatch(agent)

    def attend(self, agent: str) -> None:
        """What this agent shows is to be known promptly for the next minute: something was done to it."""
        home = self._at.get(agent)
        if home is not None:
            self._observers[home].attend(agent)

    def means(self) -> tuple[Means, ...]:
        """How each server is looked at, equal ones once."""
        looked = dict.fromkeys(m for observer in self._observers.values() for m in observer.means())
        return (*looked, self._inquests.means())

    def _observer(self, socket: str) -> Observer:
        if socket not in self._observers:
            lost = partial(self._on_server_lost, socket)
            observer = self._make(self._terminals.server(socket), on_server_lost=lost)
            self._observers[socket] = observer
            self._starting[socket] = self._loop.create_task(observer.start())
        return self._observers[socket]
