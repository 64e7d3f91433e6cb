"""A fleet over several real tmux servers: who lives where, and whose server it is."""

from __future__ import annotations

import os
import secrets
import signal
import socket as sockets
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from hhmrs.config.loading import load_fleet
from hhmrs.controller.ports import PaneMissing, TerminalsError
from hhmrs.controller.reports.findings import Machine
from hhmrs.controller.reports.standing import fleet_servers
from hhmrs.controller.terminals.servers import FleetTerminals
from hhmrs.controller.terminals.sockets import (
    PER_SERVER,
    agents_per_server,
    socket_folder,
    socket_name,
    sockets_on_disk,
)
from hhmrs.controller.terminals.tmux import ForeignServer, TmuxTerminals

Start = Callable[..., str]


def tmux(socket: str, *words: str) -> str:
    command = ["tmux", "-L", socket, "-u", "-N", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout


@pytest.fixture
def fleet() -> Iterator[str]:
    """A fleet's name; whatever is left on its sockets is ended."""
    name = f"test-{secrets.token_hex(5)}"
    yield name
    for socket in sockets_on_disk(name):
        if pid := tmux(socket, "display-message", "-p", "#{pid}").strip():
            os.kill(int(pid), signal.SIGKILL)
        (socket_folder() / socket).unlink(missing_ok=True)


@pytest.fixture
def make(fleet: str, tmp_path: Path) -> Callable[..., FleetTerminals]:
    def new(name: str = fleet, per_server: int = 2, deadline: float = 10.0) -> FleetTerminals:
        conf = tmp_path / f"{name}.conf"
        return FleetTerminals(name, conf, per_server=per_server, settle=0.05, deadline=deadline)

    return new


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Start:
    def begin(terminals: FleetTerminals, agent: str, command: str = "cat") -> str:
        return terminals.respawn(agent, ["sh", "-c", command], str(tmp_path), environment, 1).socket

    return begin


def test_agents_fill_one_server_after_the_other_and_no_server_starts_before_it_is_needed(
    make: Callable[..., FleetTerminals], start: Start, fleet: str
) -> None:
    terminals = make()
    terminals.ensure()
    places = [start(terminals, f"a{n}") for n in range(2)]
    assert sockets_on_disk(fleet) == terminals.running() == [f"hhmrs-{fleet}"]
    places += [start(terminals, f"a{n}") for n in range(2, 5)]
    first, second, third = (socket_name(fleet, n) for n in (1, 2, 3))
    assert places == [first, first, second, second, third]
    assert terminals.running() == [first, second, third]
    assert {p.agent: p.socket for p in terminals.panes()} == {f"a{n}": places[n] for n in range(5)}
    terminals.kill_server()
    assert sockets_on_disk(fleet) == []


def test_an_agent_stays_where_its_session_is(
    make: Callable[..., FleetTerminals], start: Start, fleet: str
) -> None:
    before = make()
    homes = {f"a{n}": start(before, f"a{n}") for n in range(4)}
    before.close("a0")
    after = make(per_server=100)
    assert start(after, "a3") == homes["a3"], "also where the first would have room for it"
    assert start(after, "new") == socket_name(fleet)
    assert {p.agent: p.socket for p in after.panes()} == {
        "a1": homes["a1"], "a2": homes["a2"], "a3": homes["a3"], "new": socket_name(fleet),
    }  # fmt: skip


def test_what_is_asked_of_an_agent_reaches_the_server_it_is_on(
    make: Callable[..., FleetTerminals], start: Start, fleet: str, wait_until: Callable[..., None]
) -> None:
    for n in range(4):
        start(make(), f"a{n}")
    stranger = make()  # somebody who only looks: the screen, `logs`, `attach`
    assert stranger.socket_of("a3") == socket_name(fleet, 2)
    assert stranger.socket_of("nobody") == socket_name(fleet, 3)
    stranger.paste("a3", "to the third")
    stranger.keys("a2", ["2", "Enter"])
    wait_until(lambda: stranger.capture("a3").count("to the third") == 2)
    wait_until(lambda: stranger.capture("a2").count("2") == 2)
    assert not any(line for n in range(2) for line in stranger.capture(f"a{n}") if line.strip())
    stranger.close("a2")
    with pytest.raises(PaneMissing, match="a2 has no pane"):
        stranger.capture("a2")
    assert sorted(p.agent for p in stranger.panes()) == ["a0", "a1", "a3"]


def test_a_screen_that_stays_open_finds_agents_that_moved(
    make: Callable[..., FleetTerminals], start: Start, fleet: str
) -> None:
    terminals, screen = make(), make()
    for agent in ("a0", "a1", "a2"):
        start(terminals, agent)
    assert screen.socket_of("a2") == socket_name(fleet, 2)
    terminals.kill_server()
    start(make(), "a2")
    assert screen.socket_of("a2") == socket_name(fleet, 1)


def test_a_server_that_is_gone_takes_only_its_own_agents_and_they_come_back_to_it(
    make: Callable[..., FleetTerminals], start: Start, fleet: str
) -> None:
    terminals = make()
    homes = {f"a{n}": start(terminals, f"a{n}") for n in range(4)}
    pid = terminals.server(socket_name(fleet, 2)).server_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert {p.agent for p in terminals.panes()} == {"a0", "a1"}
    assert terminals.pane_of("a2") is None
    assert start(terminals, "a3") == homes["a3"]
    terminals.revive(socket_name(fleet, 9))
    assert terminals.running() == [socket_name(fleet, 1), socket_name(fleet, 2)]


def test_what_is_remembered_counts_until_it_is_seen_otherwise(
    make: Callable[..., FleetTerminals], start: Start, fleet: str
) -> None:
    start(make(), "seen")
    terminals = make()
    terminals.remember(
        {"seen": socket_name(fleet, 3), "lost": socket_name(fleet, 2), "odd": "default", "none": ""}
    )
    assert start(terminals, "seen") == socket_name(fleet, 1)
    assert start(terminals, "lost") == socket_name(fleet, 2)
    assert start(terminals, "odd") == socket_name(fleet, 1), "a socket that is not ours is no home"


def test_a_server_that_does_not_answer_hides_only_its_own_agents(
    make: Callable[..., FleetTerminals], start: Start, fleet: str, wait_until: Callable[..., None]
) -> None:
    for n in range(4):
        start(make(), f"a{n}")
    hasty = make(deadline=0.5)
    pid = hasty.server(socket_name(fleet, 2)).server_pid()
    assert pid is not None
    os.kill(pid, SIGSTOP)
    try:
        assert {p.agent for p in hasty.panes()} == {"a0", "a1"}
        with pytest.raises(TerminalsError, match="did not answer") as unknown:
            hasty.capture("a2")
        assert not isinstance(unknown.value, PaneMissing), "nobody knows whether it is there"
    finally:
        os.kill(pid, SIGCONT)
    wait_until(lambda: len(hasty.panes()) == 4, what="it goes on, with all that is in it")


def test_the_second_server_of_one_fleet_is_not_the_first_of_another(
    make: Callable[..., FleetTerminals], start: Start, fleet: str
) -> None:
    other = make(f"{fleet}-2")
    assert start(other, "a0") == socket_name(fleet, 2)
    terminals = make()
    terminals.ensure()
    with pytest.raises(ForeignServer, match=rf"hhmrs-{fleet}-2 is the fleet {fleet}-2's.*rename one"):
        terminals.check_room(3)
    terminals.check_room(2)
    for agent in ("a1", "a2"):
        start(terminals, agent)
    with pytest.raises(ForeignServer, match="down --kill --fleet"):
        start(terminals, "a3")
    assert {p.agent for p in terminals.panes()} == {"a1", "a2"}
    with pytest.raises(PaneMissing):
        terminals.capture("a0")
    terminals.kill_server()
    assert [p.agent for p in other.panes()] == ["a0"]


def test_a_fleet_whose_first_socket_another_one_took_is_refused(
    make: Callable[..., FleetTerminals], start: Start, fleet: str
) -> None:
    for n in range(3):
        start(make(), f"a{n}")
    with pytest.raises(ForeignServer, match=rf"is the fleet {fleet}'s"):
        make(f"{fleet}-2").ensure()


def test_a_server_from_before_fleets_had_several_belongs_to_the_fleet_of_its_socket(
    make: Callable[..., FleetTerminals], start: Start, fleet: str
) -> None:
    old = make(f"{fleet}-2")
    start(old, "a0")
    tmux(socket_name(fleet, 2), "set-option", "-s", "-u", "@hhmrs_fleet")
    assert start(make(f"{fleet}-2"), "a1") == socket_name(fleet, 2)
    with pytest.raises(ForeignServer, match=f"is the fleet {fleet}-2's"):
        make().server(socket_name(fleet, 2)).ensure()


def test_only_sockets_that_can_be_the_fleets_are_asked(
    make: Callable[..., FleetTerminals], fleet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / f"tmux-{os.getuid()}"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    names = [
        "hhmrs-x",
        "hhmrs-x-2",
        "hhmrs-x-10",
        "hhmrs-x-1",
        "hhmrs-x-02",
        "hhmrs-x-2-2",
        "hhmrs-xy",
        "default",
    ]
    plugs = [sockets.socket(sockets.AF_UNIX) for _ in names]
    monkeypatch.chdir(folder)  # the path of a socket must be short
    for plug, name in zip(plugs, names, strict=True):
        plug.bind(name)
        plug.close()
    (folder / "hhmrs-x-3").write_text("no socket")
    assert sockets_on_disk("x") == ["hhmrs-x", "hhmrs-x-2", "hhmrs-x-10"]
    assert make("x").running() == []


def test_many_threads_may_start_agents_at_once(
    make: Callable[..., FleetTerminals], start: Start, fleet: str
) -> None:
    terminals = make(per_server=4)
    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda n: start(terminals, f"a{n}"), range(12)))
    assert Counter(places) == {socket_name(fleet, n): 4 for n in (1, 2, 3)}


def test_an_agent_whose_session_a_person_renamed_keeps_its_pane(
    make: Callable[..., FleetTerminals], start: Start, fleet: str
) -> None:
    terminals = make()
    start(terminals, "a0")
    pane = terminals.panes()[0].pane
    tmux(socket_name(fleet), "rename-session", "-t", "=a0", "mine")
    start(terminals, "a0")
    assert [(p.agent, p.pane) for p in terminals.panes()] == [("a0", pane)]


def test_the_bound_can_be_set_from_outside() -> None:
    assert agents_per_server({"HHMRS_AGENTS_PER_SERVER": "7"}) == 7
    for nonsense in ("", "0", "-3", "many"):
        assert agents_per_server({"HHMRS_AGENTS_PER_SERVER": nonsense}) == PER_SERVER


def test_names_that_cannot_be_agents_reach_no_server(make: Callable[..., FleetTerminals]) -> None:
    for name in ("=x", "a:b", "_hub", "#{pid}", ""):
        for act in (make().pane_of, make().socket_of, make().capture, make().close):
            with pytest.raises(TerminalsError, match="cannot name an agent"):
                act(name)


def test_one_server_alone_is_spoken_to_as_before(fleet: str, tmp_path: Path) -> None:
    single = TmuxTerminals(socket_name(fleet), tmp_path / "conf")
    single.ensure()
    assert FleetTerminals(fleet, tmp_path / "conf").running() == [single.socket]


def _doctor(folder: Path, fleet: str, agents: int) -> list[tuple[str, str]]:
    """What `doctor` says of the fleet's servers: level and words."""
    listed = "".join(f"  a{n}: {{profile: shell, command: [cat]}}\n" for n in range(agents))
    (folder / "hhmrs.yaml").write_text(f"fleet: {fleet}\nagents:\n{listed}")
    environ = {**os.environ, "HHMRS_AGENTS_PER_SERVER": "2"}
    machine = Machine(environ, folder, load_fleet(folder / "hhmrs.yaml"), {})
    return [(found.level, found.what) for found in fleet_servers(machine)]


def test_doctor_names_the_servers_that_run_those_that_are_gone_and_those_in_the_way(
    make: Callable[..., FleetTerminals], start: Start, fleet: str, tmp_path: Path
) -> None:
    terminals = make()
    assert _doctor(tmp_path, fleet, 4) == []
    for n in range(3):
        start(terminals, f"a{n}")
    pids = [terminals.server(socket_name(fleet, n)).server_pid() for n in (1, 2)]
    running = f"running: hhmrs-{fleet} (pid {pids[0]}), hhmrs-{fleet}-2 (pid {pids[1]})"
    assert _doctor(tmp_path, fleet, 4) == [("ok", running)]
    os.kill(pids[1] or 0, signal.SIGKILL)
    terminals.server(socket_name(fleet, 2)).owner()
    first, second = _doctor(tmp_path, fleet, 4)
    assert (first[0], f"hhmrs-{fleet}-2 was left by a server that is gone" in first[1]) == ("ok", True)
    assert second == ("ok", f"running: hhmrs-{fleet} (pid {pids[0]})")
    start(make(f"{fleet}-2"), "theirs")
    assert _doctor(tmp_path, fleet, 2) == [second]
    (level, what), _ = _doctor(tmp_path, fleet, 3)
    assert (level, f"on hhmrs-{fleet}-2 is the fleet {fleet}-2's" in what) == ("fail", True)
