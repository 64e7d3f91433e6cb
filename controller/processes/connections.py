"""Connections of an agent's processes to its provider: who waits for a long answer shows nothing else.

Asked only of agents that have been silent for half of the time that they may be, and then now and then."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from itertools import islice

from ...config.fleet import HTTPS, AgentSpec
from ...healing.agent import TIMED, AgentState
from ...healing.detect import limits
from ...healing.seats import in_force, seat_of
from .process_table import ProcessRow, read_row

AT_ONCE = 20
"""Trees asked in one look, at the least; more where else not all could be asked in time."""
FILES = 4096
"""Open files of one process that are looked at; who has more is not asked about the rest."""
_ESTABLISHED = b"01"
_PIECE = 65536


class Silent:
    """Remembers who was asked when. Not for two threads at once."""

    def __init__(self) -> None:
        self._asked: dict[str, float] = {}

    def to_ask(
        self, states: Mapping[str, AgentState], specs: Mapping[str, AgentSpec], now: float, period: float
    ) -> dict[str, Collection[int]]:
        """The remote ports to look for, of each agent of `states` that is to be asked now (engine time): who
        has shown no other life for half of its silence, each once in a quarter of it. `period`: seconds to
        the next look."""
        due: list[tuple[float, str, float, Collection[int]]] = []
        for agent, state in states.items():
            if (spec := specs.get(agent)) is None or state.phase not in TIMED or state.stopped:
                continue
            if now - state.last_shown < spec.policy.silence / 2:
                continue  # most agents, most of the time
            spec = in_force(state, spec)
            ports = seat_of(state, spec).profile.provider_ports
            asked, every = self._asked.get(agent, -math.inf), spec.policy.silence / 4
            if ports and now - asked >= every - period / 2 and _would_count(state, spec, now):
                due.append((asked, agent, every, ports))
        due.sort(key=lambda one: one[:2])
        most = max(AT_ONCE, math.ceil(sum(period / every for _, _, every, _ in due)))
        chosen = due[:most]
        self._asked = {agent: at for agent, at in self._asked.items() if agent in states}
        self._asked |= {agent: now for _, agent, _, _ in chosen}
        return {agent: ports for _, agent, _, ports in chosen}


def _would_count(s: AgentState, spec: AgentSpec, now: float) -> bool:
    """Whether an open connection would change anything, as judge.connected has it."""
    policy, quiet = spec.policy, now - s.last_shown
    if "cpu" not in spec.liveness or limits(s, spec).silence is None:
        return False
    return policy.silence / 2 <= quiet <= policy.tool_timeout


def open_to(
    trees: Mapping[str, Sequence[ProcessRow]], ports: Mapping[str, Collection[int]]
) -> dict[str, int]:
    """Agent -> the remote port of an established connection that a process of its tree holds, of those that
    `ports` names for it. A process in state T does not count: nothing in it waits for the answer."""
    sockets = _established(frozenset(port for name in trees for port in ports[name]))
    found: dict[str, int] = {}
    for name, rows in trees.items() if sockets else ():
        held = (sockets[inode] for row in rows for inode in _sockets_of(row) if inode in sockets)
        if (port := next((port for port in held if port in ports[name]), None)) is not None:
            found[name] = port
    return found


def _established(ports: Collection[int]) -> dict[bytes, int]:
    """Inode -> remote port, of the connections of this host (of our own network namespace) to these ports."""
    endings = {f":{port:04X}".encode(): port for port in ports}
    found: dict[bytes, int] = {}
    for table in ("tcp", "tcp6"):
        for line in _whole(f"/proc/net/{table}").splitlines()[1:]:
            fields = line.split(None, 10)
            if len(fields) < 10 or fields[3] != _ESTABLISHED:
                continue
            port = endings.get(fields[2][-5:])
            # Behind port 443 of this host is a server of somebody's own, hardly a provider.
            if port is not None and (port != HTTPS or not _on_this_host(fields[2][:-5])):
                found[fields[9]] = port
    return found


def _whole(path: str) -> bytes:
    """What the file holds; nothing where there is none. The kernel gives such a table in whole lines, so that
    a short answer is not yet the end of it (process_table.content takes it for that)."""
    parts: list[bytes] = []
    with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:
        while part := file.read(_PIECE):
            parts.append(part)
    return b"".join(parts)


def _on_this_host(address: bytes) -> bool:
    """Whether an address, as the kernel writes it (words of four bytes, in the order of the machine), is one
    of the loopback."""
    words = (address[at : at + 8] for at in range(0, len(address), 8))
    found = ip_address(b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words))
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_loopback


def _sockets_of(row: ProcessRow) -> Iterator[bytes]:
    """Inodes of the sockets that the process has open, if it still is that one, runs, and is ours to ask."""
    now = read_row(row.pid)
    if now is None or now.started != row.started or now.stopped or now.gone:
        return
    folder = f"/proc/{row.pid}/fd".encode()
    with contextlib.suppress(OSError), os.scandir(folder) as files:
        for file in islice(files, FILES):
            with contextlib.suppress(OSError):
                target = os.readlink(file.path)
                if target.startswith(b"socket:["):
                    yield target[8:-1]
