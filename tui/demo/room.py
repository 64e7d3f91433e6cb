"""Where the demo plays: a temporary folder with its own state, its own daemon and tmux server, and, whatever
happens, nothing left of it afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from ...config.paths import StateDir
from ...controller.daemon.daemon import DaemonError, spawn_daemon, stop_daemon
from ...controller.ledger.lock import read_holder
from ...controller.ports import Identity, TerminalsError
from ...controller.processes.processes import ProcessTable
from ...controller.terminals.servers import FleetTerminals
from .fleet import CAST, fleet_name, write_fleet

STATE = "state"
STOP_WITHIN = 30.0
NOBODY = Identity(-1, 0.0)
MAX_BODY = 1 << 20
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Receiver:
    """A door on this machine that notifications are sent to, counted by the agent's title in them."""

    def __init__(self) -> None:
        self.by_title: Counter[str] = Counter()
        receiver = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = min(int(self.headers.get("Content-Length") or 0), MAX_BODY)
                receiver.take(self.rfile.read(size))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is inherited
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._thread = threading.Thread(target=self._server.serve_forever, name="notifications", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where to send, as Apprise wants it."""
        return f"json://127.0.0.1:{self._server.server_port}/"

    def take(self, body: bytes) -> None:
        with contextlib.suppress(ValueError, AttributeError):
            title = str(json.loads(body).get("title", ""))
            self.by_title.update(part.title for part in CAST if f" {part.title} " in f" {title} ")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(slots=True)
class Room:
    """A demo that is running. `left`: what was still there after everything should have ended, in words."""

    folder: Path
    config: Path
    state: StateDir
    subtasks: int
    receiver: Receiver | None
    left: list[str] = field(default_factory=list)

    @property
    def notified(self) -> Mapping[str, int] | None:
        return self.receiver.by_title if self.receiver else None


@contextlib.contextmanager
def open_room(*, subtasks: int, pace: float, keep: bool = False) -> Generator[Room]:
    """Start the demo's fleet under a daemon; on the way out end all of it and look that it is gone.

    Raises DaemonError when the daemon does not come up. SIGTERM and SIGHUP end it as Ctrl-C does."""
    folder = Path(tempfile.mkdtemp(prefix="hhmrs-demo-")).resolve()
    receiver = Receiver() if find_spec("apprise") else None
    name = fleet_name()
    with _environment(HHMRS_STATE_DIR=str(folder / STATE), NO_PROXY="127.0.0.1"), _ending_by_signal():
        room = Room(folder, folder, StateDir(folder / STATE, name), subtasks, receiver)
        try:
            notify = (receiver.url,) if receiver else ()
            room.config = write_fleet(folder, name, subtasks=subtasks, pace=pace, notify=notify)
            spawn_daemon(room.config)
            yield room
        finally:
            with _undisturbed():
                _tear_down(room, keep)


def _tear_down(room: Room, keep: bool) -> None:
    _stop_daemon(room)
    _end_leftovers(room)
    if room.receiver:
        room.receiver.close()
    if not keep:
        shutil.rmtree(room.folder, ignore_errors=True)
        if room.folder.exists():
            room.left.append(f"the folder {room.folder} could not be removed")


def _stop_daemon(room: Room) -> None:
    holder = read_holder(room.state)
    try:
        stop_daemon(room.state, kill=True, timeout=STOP_WITHIN)
    except (DaemonError, OSError) as error:
        room.left.append(f"the daemon had to be killed: {error}")
        if holder:
            ProcessTable().end_tree(Identity(holder.pid, holder.created), grace=1.0)


def _end_leftovers(room: Room) -> None:
    """After a clean stop there is nothing to find; what is found all the same is named, then ended."""
    processes = ProcessTable()
    for part in CAST:
        token = f"{room.state.fleet}:{part.id}"
        if found := processes.tree(NOBODY, tag=token):
            room.left.append(
                f"{part.title} was still running as pid {', '.join(str(who.pid) for who in found)}"
            )
            processes.end_tagged(token, grace=1.0)
    terminals = FleetTerminals(room.state.fleet, room.state.tmux_conf)
    with contextlib.suppress(TerminalsError):
        if running := terminals.running():
            room.left.append(f"tmux servers were still running: {', '.join(running)}")
            terminals.kill_server()


@contextlib.contextmanager
def _environment(**values: str) -> Generator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _ending_by_signal() -> Generator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt, so that the way out is the same."""
    with _handling(lambda _number, _frame: _interrupt()):
        yield


def _interrupt() -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _undisturbed() -> Generator[None]:
    """A second Ctrl-C does not break off the cleaning up."""

    def told(_number: int, _frame: FrameType | None) -> None:
        print("still cleaning up ...", file=sys.stderr, flush=True)

    with _handling(told):
        yield


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], object]) -> Generator[None]:
    # Only the main thread may set signal handlers; elsewhere the caller has to see to it.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
