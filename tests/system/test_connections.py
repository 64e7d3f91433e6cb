"""Who holds a connection to its provider open, by real sockets of real processes; and who works as whom."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hhmrs.controller.ports import Identity
from hhmrs.controller.processes import connections
from hhmrs.controller.processes.process_table import read_row
from hhmrs.controller.processes.processes import ProcessTable

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

Start = Callable[..., Identity]
WAITS = (
    "import socket, sys, time\n"
    "one = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
    "one.recv(1)\n"
    "time.sleep(600)"  # it keeps what the other side has closed
)
MANY = (
    "import socket, sys\n"
    "held = [socket.create_connection(('127.0.0.1', int(port))) for port in sys.argv[1:]]\n"
    "held[-1].recv(1)"
)
WORKS = "import time\nend = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass"


@pytest.fixture
def provider() -> Iterator[socket.socket]:
    """Takes connections on every address of this host, and answers nobody."""
    listens = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    with listens:
        yield listens


def client(start: Start, port: int, host: str = "127.0.0.1") -> Identity:
    """A shell whose child waits for an answer."""
    argv = [sys.executable, "-c", WAITS, host, str(port)]
    return start("sh", "-c", f"{shlex.join(argv)} & wait")


def asked(table: ProcessTable, who: Identity, *ports: int) -> dict[str, int]:
    table.measure({"a": who})
    return table.connected({"a": ports})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_of_the_tree_to_a_port_that_is_named_is_found(
    start: Start, wait_until: Callable[..., None], provider: socket.socket, host: str
) -> None:
    port = provider.getsockname()[1]
    waits, rests, table = client(start, port, host), start("sleep", "600"), ProcessTable()
    taken, (_, theirs, *_) = provider.accept()
    with taken:
        wait_until(lambda: asked(table, waits, port) == {"a": port})
        assert asked(table, waits, 443, theirs) == {}, "ports that nobody named, and its own end"
        assert asked(table, rests, port) == {}, "another tree's"
        table.measure({"a": waits, "b": rests})
        assert table.connected({"a": (443, port), "b": (port,), "gone": (port,)}) == {"a": port}
        taken.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: asked(table, waits, port) == {})


def test_among_many_connections_of_the_host_each_is_found(
    start: Start, wait_until: Callable[..., None]
) -> None:
    with contextlib.ExitStack() as held:
        listens = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(80)]
        ports = [one.getsockname()[1] for one in listens]
        who, table = start(sys.executable, "-c", MANY, *map(str, ports)), ProcessTable()
        for one in listens:
            held.enter_context(one.accept()[0])
        table.measure({"a": who})
        assert [port for port in ports if table.connected({"a": (port,)}) != {"a": port}] == []


def test_what_is_stopped_waits_for_no_answer(
    start: Start, wait_until: Callable[..., None], provider: socket.socket
) -> None:
    port = provider.getsockname()[1]
    who, table = client(start, port), ProcessTable()
    taken, _ = provider.accept()
    with taken:
        wait_until(lambda: asked(table, who, port) == {"a": port})
        (child,) = (one.pid for one in table.tree(who) if one != who)
        os.kill(child, signal.SIGSTOP)
        wait_until(lambda: (row := read_row(child)) and row.stopped)
        assert table.connected({"a": (port,)}) == {}, "stopped since the last measure"
        assert asked(table, who, port) == {}
        os.kill(child, signal.SIGCONT)
        wait_until(lambda: asked(table, who, port) == {"a": port})


def test_behind_the_common_port_of_this_host_is_no_provider(
    start: Start, provider: socket.socket, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    port, table = provider.getsockname()[1], ProcessTable()
    near = {host: client(start, port, host) for host in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1")}
    taken = [provider.accept()[0] for _ in near]
    for who in near.values():
        wait_until(lambda who=who: asked(table, who, port) == {"a": port})
    monkeypatch.setattr(connections, "HTTPS", port)
    assert {host: asked(table, who, port) for host, who in near.items()} == {host: {} for host in near}
    for one in taken:
        one.close()


def test_an_address_elsewhere_is_a_provider_at_the_common_port_too(
    start: Start, provider: socket.socket, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
            host = probe.getsockname()[0]
        except OSError:
            pytest.skip("this host has no address but loopback")
    port, table = provider.getsockname()[1], ProcessTable()
    monkeypatch.setattr(connections, "HTTPS", port)
    near, far = client(start, port, "127.0.0.1"), client(start, port, host)
    taken = [provider.accept()[0] for _ in (near, far)]
    wait_until(lambda: asked(table, far, port) == {"a": port})
    assert asked(table, near, port) == {}, "the port alone makes no provider"
    for one in taken:
        one.close()


def test_without_proc_nobody_can_tell(start: Start, provider: socket.socket) -> None:
    port = provider.getsockname()[1]
    who, table = client(start, port), ProcessTable(on_proc=False)
    taken, _ = provider.accept()
    with taken:
        assert asked(table, who, port) == {}


@pytest.mark.parametrize("on_proc", [True, False])
def test_children_of_one_command_line_are_of_one_kind(
    start: Start, wait_until: Callable[..., None], on_proc: bool
) -> None:
    poll, build = (shlex.join([sys.executable, "-c", WORKS, word]) for word in ("poll", "build"))
    trees = {
        name: start("sh", "-c", f"while :; do {line}; done") for name, line in (("a", poll), ("b", build))
    }
    table, begun = ProcessTable(on_proc=on_proc), dict[tuple[str, int], set[float]]()

    def again_and_again() -> bool:
        found, now = table.measure(trees, tag=lambda _: "test:none"), time.monotonic()
        for name, m in found.items():
            for age, kind in zip(m.busy_children, m.busy_kinds, strict=True):
                known = begun.setdefault((name, kind), set())
                if all(abs(now - age - one) > 0.3 for one in known):
                    known.add(now - age)
        return {name for (name, _), births in begun.items() if len(births) > 2} == {"a", "b"}

    wait_until(again_and_again, 60.0)
    often = {name: {kind for (of, kind), births in begun.items() if of == name and len(births) > 2}
             for name in trees}  # fmt: skip
    assert not often["a"] & often["b"]
    assert all(len(kinds) == 1 for kinds in often.values()), "three children and more, and one kind"
