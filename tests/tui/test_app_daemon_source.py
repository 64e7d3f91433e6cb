"""The screen on a real ledger and a real tmux: colours of the pane, orders as letters, attach and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

import hhmrs.tui.daemon_source as daemon_source_module
from hhmrs.config.fleet import FleetSpec, Policy, Profile, Seat
from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.lock import DaemonLock, Holder
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.healing.agent import AgentState, Happening, Phase
from hhmrs.healing.codec import dump_state
from hhmrs.tui.app import HhmrsApp
from hhmrs.tui.daemon_source import NEWEST, DaemonSource
from hhmrs.tui.looks import Glyphs
from hhmrs.tui.widgets.pane import PaneView
from hhmrs.tui.widgets.tron import TronBar

PROGRAM = "printf '\\033[38;2;1;200;3mgreen words\\033[0m\\n'; exec cat"


class House:
    """A state folder with a book, a lock as a daemon would hold it, and one agent in a real pane."""

    def __init__(self, root: Path, socket: str) -> None:
        self.state = StateDir(root / "state", "screen")
        self.state.create()
        self.state.operator_inbox.mkdir(parents=True, exist_ok=True)
        for part in ("tmp", "new"):
            (self.state.operator_inbox / part).mkdir(exist_ok=True)
        self.work = root / "work"
        self.work.mkdir()
        self.book = SqliteLedger(self.state.ledger)
        self.lock = DaemonLock(self.state)
        me = psutil.Process()
        self.lock.acquire(
            Holder(me.pid, me.create_time(), "host", "0", "f.yaml", "armed", time.time(), ready=True)
        )
        self.tmux = TmuxTerminals(socket, self.state.tmux_conf)
        self.tmux.ensure()
        view = self.tmux.respawn("worker", ["sh", "-c", PROGRAM], str(self.work), {}, 1)
        self.pid = view.pid
        self.put(Phase.WORKING)

    def put(self, phase: Phase, *happenings: Happening) -> None:
        now = time.time()
        state = AgentState(id="worker", phase=phase, since=now, attempt=1, pid=self.pid, alive=True)
        state = replace(state, started=now, last_life=now, last_progress=now)
        self.book.append([Row("worker", dump_state(state), happenings)])

    def letters(self) -> list[dict[str, Any]]:
        return [json.loads(p.read_text()) for p in sorted((self.state.operator_inbox / "new").iterdir())]

    def spec(self, make_spec: Any) -> FleetSpec:
        seat = Seat(profile=Profile(name="shell"), command=("sh",))
        one = make_spec("worker", seats=(seat,), workspace=self.work, title="The Worker")
        path = self.work.parent / "hhmrs.yaml"
        path.write_text("fleet: screen\n")
        return FleetSpec(fleet="screen", path=path, policy=Policy(), agents={"worker": one}, profiles={})

    def close(self) -> None:
        self.tmux.kill_server()
        self.lock.release()
        self.book.close()


@pytest.fixture
def house(tmp_path: Path, tmux_socket: str) -> Iterator[House]:
    made = House(tmp_path, tmux_socket)
    yield made
    made.close()


async def until(pilot: Any, holds: Callable[[], Any], what: str = "") -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline, what
        await pilot.pause(0.02)


async def test_a_real_pane_a_real_book_and_a_real_letter(house: House, make_spec: Any) -> None:
    source = DaemonSource(house.state, house.spec(make_spec), house.tmux)
    app = HhmrsApp(source, Glyphs())
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        screen = app.fleet_screen
        await until(pilot, lambda: screen.selected is not None and screen.selected.title == "The Worker")
        assert screen.fleet.up
        pane = screen.query_one(PaneView)
        await until(pilot, lambda: pane.virtual_size.height > 0)
        line = next(
            pane.draw(i) for i in range(pane.virtual_size.height) if "green words" in pane.draw(i).plain
        )
        assert any("#01c803" in str(span.style) for span in line.spans)

        house.tmux.paste("worker", "typed by hand")
        await until(pilot, lambda: any("typed by hand" in str(key) for key in pane._keys))

        trouble = Happening("hhmrs_restart", "worker", time.time(), "worker-1", {"reason": "try 1", "n": 1})
        house.put(Phase.RECOVERING, trouble)
        await until(pilot, lambda: screen.query_one(TronBar).display)
        await pilot.press("3")
        await until(pilot, lambda: any("worker is recovering" in line for line in screen.seen.explain))

        await pilot.press("p", "enter")
        await until(pilot, house.letters)
        letter = house.letters()[0]
        assert (letter["kind"], letter["order"], letter["agent"]) == ("order", "pause", "worker")
        await until(pilot, lambda: screen.ordering.desk.waiting() == 1)
        answer: dict[str, object] = {
            "letter": letter["id"],
            "order": "pause",
            "ok": True,
            "message": "paused; its process runs on",
        }
        house.put(Phase.PAUSED, Happening("operator_outcome", "worker", time.time(), None, answer))
        await until(pilot, lambda: any("pause done: paused" in n.message for n in app._notifications))


def test_the_newest_events_are_kept_and_a_new_book_is_read_from_its_start(
    house: House, make_spec: Any
) -> None:
    many = tuple(
        Happening("agent_phase", "worker", time.time(), None, {"from": "a", "to": str(i)})
        for i in range(NEWEST + 50)
    )
    house.put(Phase.WORKING, *many)
    source = DaemonSource(house.state, house.spec(make_spec), house.tmux)
    seen = source.snapshot("worker")
    assert len(seen.events) == NEWEST
    assert seen.events[-1].data["to"] == str(NEWEST + 49)
    assert [e.seq for e in seen.timeline] == sorted(e.seq for e in seen.timeline)
    assert source.snapshot("worker").timeline == seen.timeline
    house.put(
        Phase.WORKING, Happening("agent_phase", "worker", time.time(), None, {"from": "x", "to": "new"})
    )
    assert source.snapshot("worker").timeline[-1].data["to"] == "new"
    house.book.close()
    for part in ("", "-wal", "-shm"):
        (house.state.path / f"ledger.db{part}").unlink(missing_ok=True)
    house.book = SqliteLedger(house.state.ledger)
    house.put(
        Phase.WORKING, Happening("agent_phase", "worker", time.time(), None, {"from": "x", "to": "first"})
    )
    assert [e.data["to"] for e in source.snapshot("worker").events] == ["first"]


def test_without_a_daemon_the_last_state_is_shown(house: House, make_spec: Any) -> None:
    house.lock.release()
    seen = DaemonSource(house.state, house.spec(make_spec), house.tmux).snapshot(None)
    assert not seen.fleet.up
    assert seen.fleet.agents[0].phase is Phase.WORKING


RUN = """
import sys
from dataclasses import replace
from pathlib import Path
from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy, Profile, Seat
from hhmrs.config.paths import StateDir
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.tui.app import run_app
from hhmrs.tui.daemon_source import DaemonSource
state = StateDir(Path(sys.argv[1]), "screen")
sys.exit(run_app(DaemonSource(state, None, TmuxTerminals(sys.argv[2], state.tmux_conf))))
"""


def test_the_pulse_tells_of_every_write_and_of_nothing_else(house: House, make_spec: Any) -> None:
    source = DaemonSource(house.state, house.spec(make_spec), house.tmux)
    try:
        before = source.pulse()
        source.snapshot(None)
        assert source.pulse() == before, "to look changes nothing"
        house.put(Phase.WAITING)
        assert source.pulse() != before
    finally:
        source.close()


def test_who_chooses_another_agent_in_haste_does_not_have_the_whole_fleet_read(
    house: House, make_spec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_source_module, "AGAIN", 3600.0)
    source = DaemonSource(house.state, house.spec(make_spec), house.tmux)
    try:
        first = source.snapshot(None)
        house.put(Phase.WAITING)
        hurried = source.snapshot("worker")
        assert hurried.fleet.agents is first.fleet.agents
        assert hurried.explain, "of the agent itself everything is told"
        assert source.snapshot("worker").fleet.agents[0].phase is Phase.WAITING
    finally:
        source.close()


def test_attach_hands_over_the_terminal_and_comes_back(house: House, tmux_socket: str) -> None:
    """The program in a real terminal (a second private tmux): attach, type, detach, quit."""
    outer = ["tmux", "-L", f"{tmux_socket}-outer"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("TMUX")} | {"TERM": "xterm-256color"}

    def ask(*words: str) -> str:
        return subprocess.run([*outer, *words], env=env, capture_output=True, text=True, check=False).stdout

    def shows(text: str) -> None:
        deadline = time.monotonic() + 20
        while text not in (seen := ask("capture-pane", "-p", "-t", "main")):
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)

    program = [sys.executable, "-c", RUN, str(house.state.root), house.tmux.socket]
    keeper = "set -g remain-on-exit on; set -g prefix None; set -g status off"
    (house.work / "outer.conf").write_text(keeper.replace("; ", "\n"))
    size = ["-x", "100", "-y", "30"]
    conf = str(house.work / "outer.conf")
    subprocess.run(
        [*outer, "-f", conf, "new-session", "-d", "-s", "main", *size, *program], env=env, check=True
    )
    try:
        shows("worker")
        shows("green words")
        ask("send-keys", "-t", "main", "a")
        deadline = time.monotonic() + 20
        while not any(p.attached for p in house.tmux.panes()):
            assert time.monotonic() < deadline, ask("capture-pane", "-p", "-t", "main")
            time.sleep(0.05)
        ask("send-keys", "-t", "main", "-l", "hello from a person")
        shows("hello from a person")
        ask("send-keys", "-t", "main", "C-b")
        ask("send-keys", "-t", "main", "d")
        shows("? help")
        ask("send-keys", "-t", "main", "q")
        shows("The screen is closed.")
        assert any(p.agent == "worker" and not p.dead for p in house.tmux.panes())
    finally:
        ask("kill-server")
        folder = Path(os.environ.get("TMUX_TMPDIR", "/tmp")) / f"tmux-{os.getuid()}"
        (folder / f"{tmux_socket}-outer").unlink(missing_ok=True)
