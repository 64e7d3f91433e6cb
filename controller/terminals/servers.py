"""A fleet's tmux servers: tmux walks all its panes at each wake-up, so no server gets more than a hundred.

An agent stays where its session is, over restarts of the daemon and reloads of the fleet file; a new one goes
to the first server with room. Servers are found by their sockets and by asking them whose they are: the name
alone does not tell, `hhmrs-x-2` may be the fleet x-2's.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TypeVar

from ..ports import PaneMissing, PaneView, TerminalsError
from .sockets import agents_per_server, may_be, socket_name, sockets_on_disk
from .tmux import ForeignServer, TmuxTerminals
from .tmux_words import check_agent

log = logging.getLogger(__name__)

T = TypeVar("T")


class FleetTerminals:
    """ports.Terminals over all tmux servers of one fleet. Safe to call from several threads.

    `per_server`: agents on one server at most. The other options are TmuxTerminals' own."""

    def __init__(
        self,
        fleet: str,
        conf_path: Path,
        *,
        per_server: int | None = None,
        tmux: str = "tmux",
        deadline: float = 10.0,
        settle: float = 0.3,
    ) -> None:
        self.fleet = fleet
        self.socket = socket_name(fleet)
        self.per_server = per_server or agents_per_server()
        self._make: Callable[[str], TmuxTerminals] = lambda socket: TmuxTerminals(
            socket, conf_path, fleet=fleet, tmux=tmux, deadline=deadline, settle=settle
        )
        self._servers: dict[str, TmuxTerminals] = {}
        self._homes: dict[str, str] = {}
        self._looked = False
        self._lock = threading.RLock()

    # -- the servers ----------------------------------------------------------------------------

    def server(self, socket: str) -> TmuxTerminals:
        """The one server on `socket`, whether it runs or not."""
        with self._lock:
            if socket not in self._servers:
                self._servers[socket] = self._make(socket)
            return self._servers[socket]

    def running(self) -> list[str]:
        """Sockets of our servers that answer, first server first. Starts none, never raises."""
        found: list[str] = []
        for socket in self._candidates():
            try:
                if self.server(socket).server_pid() is not None:
                    found.append(socket)
            except TerminalsError as error:
                log.error("%s", error)
        return found

    def ensure(self) -> None:
        """Start the first server if none answers there. Raises TerminalsError, also when it is not ours."""
        self.server(self.socket).ensure()

    def revive(self, socket: str) -> None:
        """Start the server on `socket` anew if agents have their home there, or if it is the first."""
        with self._lock:
            needed = socket == self.socket or socket in self._homes.values()
        if needed:
            self.server(socket).ensure()

    def check_room(self, agents: int) -> None:
        """Raises ForeignServer when so many agents need a socket on which another fleet's server is.

        Never where agents of ours run: those are supervised, the start of one without room says why."""
        self._look_once()
        if self._homes:
            return
        for number in range(2, -(-agents // self.per_server) + 1):
            server = self.server(socket_name(self.fleet, number))
            if owner := server.owner():
                server.check_owner(owner)

    def kill_server(self) -> None:
        """End every server of ours. Raises TerminalsError when one does not, after all were tried."""
        failed: list[TerminalsError] = []
        for socket in self._candidates():
            try:
                self.server(socket).kill_server()
            except TerminalsError as error:
                failed.append(error)
        with self._lock:
            self._homes.clear()
        if failed:
            raise failed[0]

    def _candidates(self) -> list[str]:
        """Sockets that may be ours, first server first. From the disk: the daemon may have started one."""
        on_disk = sockets_on_disk(self.fleet)
        return on_disk if self.socket in on_disk else [self.socket, *on_disk]

    # -- panes ----------------------------------------------------------------------------------

    def survey(self) -> list[PaneView]:
        self.ensure()
        return self.panes()

    def panes(self) -> list[PaneView]:
        """Every pane of ours. A server that does not answer is left out while another does: its agents are
        unknown, the others are not. Raises TerminalsError when none answers."""
        found: dict[str, PaneView] = {}
        failed: list[TerminalsError] = []
        answered = False
        for socket in self._candidates():
            try:
                views = self.server(socket).panes()
            except (PaneMissing, ForeignServer) as none_of_ours:
                if socket == self.socket:
                    failed.append(none_of_ours)
                continue
            except TerminalsError as error:
                failed.append(error)
                log.error("%s", error)
                continue
            answered = True
            for view in views:
                found.setdefault(view.agent, view)
        if failed and not answered:
            raise failed[0]
        with self._lock:
            self._looked = True
            self._homes |= {view.agent: view.socket for view in found.values()}
        return list(found.values())

    def remember(self, homes: Mapping[str, str]) -> None:
        """Where agents were when they were last seen: they have their place there, unless seen elsewhere."""
        with self._lock:
            self._homes = {a: s for a, s in homes.items() if may_be(self.fleet, s)} | self._homes

    def pane_of(self, agent: str) -> PaneView | None:
        """The agent's pane on the server where we know it to be, or None. Raises TerminalsError."""
        self._look_once()
        home = self._homes.get(check_agent(agent))
        if home is None:
            return None
        try:
            return self.server(home).pane_of(agent)
        except (PaneMissing, ForeignServer):
            return None

    def socket_of(self, agent: str) -> str:
        """Name of the server with the agent's session, or of the one it would be started on."""
        try:
            return self._on(agent, lambda server: _present(server, agent)).socket
        except PaneMissing:
            self._look_once()
            return self._place(agent, keep=False)[0]

    def respawn(
        self, agent: str, argv: Sequence[str], cwd: str, env: dict[str, str], attempt: int
    ) -> PaneView:
        self._look_once()
        socket, new = self._place(check_agent(agent), keep=True)
        try:
            return self.server(socket).respawn(agent, argv, cwd, env, attempt)
        except TerminalsError:
            if new:
                with self._lock:
                    self._homes.pop(agent, None)
            raise

    def capture(self, agent: str, *, history: int = 0, escapes: bool = False) -> list[str]:
        return self._on(agent, lambda server: server.capture(agent, history=history, escapes=escapes))

    def paste(self, agent: str, text: str, *, enter: bool = True) -> None:
        self._on(agent, lambda server: server.paste(agent, text, enter=enter))

    def keys(self, agent: str, names: Sequence[str]) -> None:
        self._on(agent, lambda server: server.keys(agent, names))

    def close(self, agent: str) -> None:
        with contextlib.suppress(PaneMissing):
            self._on(agent, lambda server: server.close(_present(server, agent).agent))
        with self._lock:
            self._homes.pop(agent, None)

    # -- homes ----------------------------------------------------------------------------------

    def _look_once(self) -> None:
        if not self._looked:
            with contextlib.suppress(PaneMissing):
                self.panes()

    def _place(self, agent: str, *, keep: bool) -> tuple[str, bool]:
        """The agent's home, chosen now if it has none: the first server with room; and whether it is new."""
        with self._lock:
            if agent in self._homes:
                return self._homes[agent], False
            living = Counter(self._homes.values())
            names = (socket_name(self.fleet, number) for number in count(1))
            socket = next(name for name in names if living[name] < self.per_server)
            if keep:
                self._homes[agent] = socket
            return socket, True

    def _on(self, agent: str, act: Callable[[TmuxTerminals], T]) -> T:
        """`act` on the server with the agent's pane. It finds the pane before it does anything, so it may be
        tried on the next server where there is none. Raises PaneMissing when none has it."""
        home = self._homes.get(check_agent(agent))
        unanswered: TerminalsError | None = None
        for socket in self._nearest(home):
            try:
                done = act(self.server(socket))
            except (PaneMissing, ForeignServer):
                continue
            except TerminalsError as error:
                if socket == home:
                    raise
                unanswered = unanswered or error
                continue
            with self._lock:
                self._homes[agent] = socket
            return done
        raise unanswered or PaneMissing(
            f"agent {agent} has no pane on a tmux server of the fleet {self.fleet}; start it first"
        )

    def _nearest(self, home: str | None) -> Iterator[str]:
        if home is not None:
            yield home
        yield from (socket for socket in self._candidates() if socket != home)


def _present(server: TmuxTerminals, agent: str) -> PaneView:
    """The agent's pane. Raises PaneMissing."""
    found = server.pane_of(agent)
    if found is None:
        raise PaneMissing(f"agent {agent} has no pane on the socket {server.socket}; start it first")
    return found
