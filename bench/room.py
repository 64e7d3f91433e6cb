"""Where a benchmark runs: a folder, a HOME and a state directory of its own, and one fleet of ours in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hhmrs.bench.rivals import PATIENCE, gone, until
from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.writer import LedgerReader
from hhmrs.controller.terminals.sockets import socket_folder, sockets_on_disk

SPARED = (
    "PYTHONDONTWRITEBYTECODE",  # who installs it has the bytecode beside it
    "TMUX",
    "TMUX_PANE",
    "PYTHONPATH",
    "PYTHONHOME",
    "HHMRS_INBOX",
    "NOTIFY_SOCKET",
)


@contextmanager
def room() -> Generator[Path]:
    """A folder for one run; what is in it goes with it."""
    with TemporaryDirectory(prefix="hhmrs-bench-", ignore_cleanup_errors=True) as name:
        yield Path(name).resolve()


class OwnFleet:
    """A fleet with its daemon, below `place`. `agents` and `policy` as in the fleet file (JSON is YAML)."""

    def __init__(self, place: Path, agents: Mapping[str, Any], policy: Mapping[str, Any]) -> None:
        self.folder = place / "fleet"
        self.folder.mkdir()
        self.name = f"bench-{os.getpid()}"
        self.config = self.folder / "hhmrs.yaml"
        self.config.write_text(json.dumps({"fleet": self.name, "policy": policy, "agents": agents}))
        home, state = place / "home", place / "state"
        home.mkdir()
        self.environment = {k: v for k, v in os.environ.items() if k not in SPARED}
        self.environment |= {"HOME": str(home), "HHMRS_STATE_DIR": str(state)}
        self.state = StateDir(state, self.name)
        self._noting: subprocess.Popen[bytes] | None = None

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The `hhmrs` command on this fleet."""
        return subprocess.run(
            [sys.executable, "-m", "hhmrs", *words, "--config", str(self.config)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def up(self) -> None:
        """Start the daemon; ends the benchmark when it does not come up."""
        done = self.run("up")
        if done.returncode:
            raise SystemExit(done.stderr or done.stdout)

    def up_noting(self, notes: Path, prefixes: Sequence[str], within: float) -> None:
        """Start the daemon with a note taken of what it learns (recording.py); `within` seconds."""
        words = [str(Path(__file__).with_name("recording.py")), str(self.config), str(notes), *prefixes]
        with (self.folder / "said").open("wb") as said:
            self._noting = subprocess.Popen(
                [sys.executable, *words],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        until(self._answers, "the daemon is up", within)

    def _answers(self) -> bool:
        if self._noting is not None and self._noting.poll() is not None:
            raise SystemExit(f"the daemon ended: {(self.folder / 'said').read_text()[-2000:]}")
        with suppress(OSError, ValueError, KeyError):
            return json.loads(self.state.lock.read_text())["ready"] is True
        return False

    def daemon_pid(self) -> int:
        """The pid of the daemon; 0 when none has come up."""
        with suppress(OSError, ValueError, KeyError):
            return int(json.loads(self.state.lock.read_text())["pid"])
        return 0

    def read(self) -> LedgerReader:
        return LedgerReader(self.state.ledger)

    def sockets(self) -> list[str]:
        """The names of the fleet's tmux servers; a large fleet is spread over several."""
        return sockets_on_disk(self.name, self.environment)

    def tmux_pids(self) -> dict[str, int]:
        """Socket -> pid, of each tmux server of the fleet that answers."""
        found = {socket: self._server_pid(socket) for socket in self.sockets()}
        return {socket: pid for socket, pid in found.items() if pid}

    def tmux_pid(self) -> int:
        """The pid of the fleet's first tmux server; 0 when there is none."""
        return self._server_pid(f"hhmrs-{self.name}")

    def _server_pid(self, socket: str) -> int:
        words = ["tmux", "-L", socket, "display-message", "-p", "#{pid}"]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        return int(done.stdout) if done.stdout.strip().isdecimal() else 0

    def drop(self) -> None:
        """End the daemon, then the tmux servers; their panes' programs must end by SIGHUP. For many agents,
        of which `down --kill` would end each tree with care."""
        daemon = self.daemon_pid()
        for pid in [daemon] if daemon else []:
            os.kill(pid, signal.SIGTERM)
            until(self._over, f"the end of daemon {pid}", PATIENCE)
        for socket, pid in self.tmux_pids().items():
            os.kill(pid, signal.SIGTERM)
            until(partial(gone, pid), f"the end of tmux server {pid}", PATIENCE)
            (socket_folder(self.environment) / socket).unlink(missing_ok=True)

    def _over(self) -> bool:
        if self._noting is not None:
            return self._noting.poll() is not None
        return gone(self.daemon_pid())

    def end(self) -> None:
        """Take down daemon, agents and tmux servers, if they run."""
        pids = [pid for pid in (self.daemon_pid(), *self.tmux_pids().values()) if pid]
        if not pids:
            return
        done = self.run("down", "--kill")
        for pid in pids:
            with suppress(OSError):
                if done.returncode:
                    os.kill(pid, signal.SIGTERM)
            until(partial(gone, pid), f"the end of process {pid}", PATIENCE)
