"""What stands on the fleet's tmux sockets, for `doctor`: its own servers, another fleet's, or nobody."""

from __future__ import annotations

from collections.abc import Iterable

from ..ports import TerminalsError
from ..terminals.sockets import agents_per_server, socket_folder, socket_name, sockets_on_disk
from ..terminals.tmux_engine import SpawnEngine
from ..terminals.tmux_words import WHOSE_FORMAT, Owner, read_owner
from .findings import Finding, Machine

TOPIC = "tmux servers"
DEADLINE = 5.0


def fleet_servers(machine: Machine) -> Iterable[Finding]:
    """Looks only: no server is started, and no socket is asked that cannot be the fleet's."""
    if machine.fleet is None:
        return
    fleet = machine.fleet.fleet
    per_server = agents_per_server(machine.environ)
    needed = {socket_name(fleet, n + 1) for n in range(-(-len(machine.fleet.agents) // per_server))}
    ours: list[str] = []
    for socket in sockets_on_disk(fleet, machine.environ):
        try:
            owner = _owner(socket)
        except TerminalsError as error:
            yield Finding(
                "fail", TOPIC, str(error), "if it stays so: end that server; its agents hang up with it"
            )
            continue
        if owner is None:
            path = socket_folder(machine.environ) / socket
            yield Finding(
                "ok", TOPIC, f"{path} was left by a server that is gone; the next start replaces it"
            )
        elif owner.fleet == fleet:
            ours.append(f"{socket} (pid {owner.pid})")
        elif socket in needed:
            yield _foreign(socket, owner)
    if ours:
        yield Finding("ok", TOPIC, f"running: {', '.join(ours)}")


def _owner(socket: str) -> Owner | None:
    said = SpawnEngine(socket, "tmux", DEADLINE).run(["display-message", "-p", WHOSE_FORMAT])
    return read_owner(said.stdout[0], socket) if said.stdout else None


def _foreign(socket: str, owner: Owner) -> Finding:
    if owner.fleet is None:
        what = f"a tmux server that hhmrs did not start is on the socket {socket}, which this fleet needs"
        return Finding("fail", TOPIC, what, f"end it (`tmux -L {socket} kill-server`) or rename the fleet")
    what = f"the tmux server on {socket} is the fleet {owner.fleet}'s, and this fleet needs that socket"
    return Finding("fail", TOPIC, what, "rename one of the two fleets")
