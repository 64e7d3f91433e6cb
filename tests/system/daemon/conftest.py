"""A whole fleet under a real daemon: own state, own tmux server, driven by the command people type."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest
import yaml

from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.writer import LedgerReader
from hhmrs.controller.ports import Event
from hhmrs.controller.terminals.sockets import socket_folder, sockets_on_disk

AGENTS = Path(__file__).parents[2] / "agents"

QUICK: dict[str, Any] = {
    "testing": True,
    "heartbeat_interval": "500ms",
    "missed_heartbeats": 2,
    "verify_within": "3s",
    "kill_grace": "1s",
    "progress_timeout": "5s",
    "task_deadline": "10m",
    "stable_after": "10m",
    "backoff": {"initial": "100ms", "factor": 2, "max": "400ms", "jitter": 0},
}


class Fleet:
    """One fleet of a test. `agents`: as in the fleet file; `policy` is laid over quick times."""

    def __init__(
        self, folder: Path, agents: dict[str, Any], *, policy: dict[str, Any] | None = None, **top: Any
    ):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.name = f"t{secrets.token_hex(5)}"
        self.config = folder / "hhmrs.yaml"
        self.write(agents, policy=policy, **top)
        self.state = StateDir(Path(os.environ["HHMRS_STATE_DIR"]), self.name)

    def write(self, agents: dict[str, Any], *, policy: dict[str, Any] | None = None, **top: Any) -> None:
        document = {"fleet": self.name, "policy": QUICK | (policy or {}), "agents": agents, **top}
        self.config.write_text(
            yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )

    def run(
        self, *words: str, timeout: float = 60, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The `hhmrs` command on this fleet."""
        command = [sys.executable, "-m", "hhmrs", *words, "--config", str(self.config)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            env=os.environ | (env or {}),
        )

    def up(self) -> None:
        done = self.run("up")
        assert done.returncode == 0, done.stderr + done.stdout

    def status(self) -> dict[str, Any]:
        done = self.run("status", "--json")
        assert done.stdout, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def agent(self, agent: str) -> dict[str, Any]:
        return next(a for a in self.status()["agents"] if a["id"] == agent)

    def phase(self, agent: str) -> str:
        """As the ledger has it; cheaper than the command."""
        reader = LedgerReader(self.state.ledger)
        try:
            return str(reader.states().get(agent, {}).get("phase"))
        finally:
            reader.close()

    def events(self, *types: str, agent: str | None = None) -> list[Event]:
        reader = LedgerReader(self.state.ledger)
        try:
            return [x for x in reader.events(agent=agent) if not types or x.type in types]
        finally:
            reader.close()

    def holder(self) -> psutil.Process:
        return psutil.Process(json.loads(self.state.lock.read_text())["pid"])

    def panes(self) -> dict[str, tuple[str, int]]:
        """agent -> (pane id, pid), asked of tmux itself."""
        out = self.tmux("list-panes", "-a", "-F", "#{session_name} #{pane_id} #{pane_pid}")
        rows = [line.split() for line in out.splitlines()]
        return {name: (pane, int(pid)) for name, pane, pid in rows if not name.startswith("_")}

    def pid(self, agent: str) -> int:
        """The pid of the agent's own command (what tmux shows is its launcher)."""
        reader = LedgerReader(self.state.ledger)
        try:
            return int(reader.states()[agent]["pid"])
        finally:
            reader.close()

    def tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", f"hhmrs-{self.name}", *words], capture_output=True, text=True, check=False
        )
        return done.stdout

    @contextlib.contextmanager
    def visitor(self, agent: str) -> Generator[int]:
        """A person attached to the agent's session; what is written to the descriptor is typed."""
        ours, theirs = pty.openpty()
        client = subprocess.Popen(
            ["tmux", "-L", f"hhmrs-{self.name}", "attach", "-t", f"={agent}"],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=os.environ | {"TERM": "xterm"},
        )  # fmt: skip
        try:
            yield ours
        finally:
            client.terminate()
            client.wait(10)
            os.close(ours)
            os.close(theirs)

    def workspace(self, agent: str) -> Path:
        return self.folder / agent

    def wait(self, condition: Callable[[], object], deadline: float = 20.0, what: str = "") -> None:
        end = time.monotonic() + deadline
        while not condition():
            if time.monotonic() > end:
                log = self.state.daemon_log
                tail = log.read_text()[-3000:] if log.exists() else "no log"
                events = "\n".join(str(x.as_json()) for x in self.events()[-40:])
                pytest.fail(f"not within {deadline:g} s: {what}\n{events}\n{tail}")
            time.sleep(0.03)

    def wait_event(
        self, type: str, *, agent: str | None = None, count: int = 1, deadline: float = 20.0
    ) -> list[Event]:
        self.wait(lambda: len(self.events(type, agent=agent)) >= count, deadline, f"{count} x {type}")
        return self.events(type, agent=agent)

    def end(self) -> None:
        """Take everything down that this fleet started, gently first."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.run("down", "--kill", timeout=30)
        with contextlib.suppress(OSError, ValueError, KeyError, psutil.Error):
            self.holder().kill()
        for socket in sockets_on_disk(self.name):
            self._end_server(socket)

    def _end_server(self, socket: str) -> None:
        where = ["tmux", "-L", socket, "-N"]
        listing = [*where, "list-panes", "-a", "-F", "#{pid} #{pane_pid}"]
        told = subprocess.run(listing, capture_output=True, text=True, check=False).stdout.split()
        for pane_pid in map(int, told[1::2]):
            with contextlib.suppress(psutil.Error):
                for child in [*psutil.Process(pane_pid).children(recursive=True), psutil.Process(pane_pid)]:
                    child.kill()
        if told:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(told[0]), signal.SIGKILL)
        (socket_folder() / socket).unlink(missing_ok=True)


def gone(pid: int) -> bool:
    """No such process, or only its entry, waiting for whoever inherited it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def is_gone() -> Callable[[int], bool]:
    return gone


class MakeFleet(Protocol):
    def __call__(
        self, agents: dict[str, Any], *, policy: dict[str, Any] | None = None, **top: Any
    ) -> Fleet: ...


@pytest.fixture
def make_fleet(tmp_path: Path) -> Iterator[MakeFleet]:
    made: list[Fleet] = []

    def make(agents: dict[str, Any], *, policy: dict[str, Any] | None = None, **top: Any) -> Fleet:
        fleet = Fleet(tmp_path / f"fleet {len(made)}", agents, policy=policy, **top)
        made.append(fleet)
        return fleet

    yield make
    for fleet in made:
        fleet.end()


def scripted(name: str, *words: str) -> list[str]:
    """The command of a scripted agent of the tests."""
    return [sys.executable, str(AGENTS / f"{name}.py"), *words]


@pytest.fixture
def script() -> Callable[..., list[str]]:
    return scripted


@pytest.fixture
def notified() -> Iterator[tuple[str, list[bytes]]]:
    """(an Apprise URL of a receiver on this machine, what it has received)."""
    received: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any, **__: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"json://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _needs_tmux() -> None:
    assert shutil.which("tmux"), "these tests need tmux; script/test installs it"
