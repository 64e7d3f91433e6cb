"""Where a benchmark runs: a folder, a HOME and a state directory of its own, and one fleet of ours in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hhmrs.bench.rivals import PATIENCE, gone, until
from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger import LedgerReader

SPARED = ("TMUX", "TMUX_PANE", "PYTHONPATH", "PYTHONHOME", "HHMRS_INBOX", "NOTIFY_SOCKET")


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

    def daemon_pid(self) -> int:
        """The pid of the daemon; 0 when none has come up."""
        with suppress(OSError, ValueError, KeyError):
            return int(json.loads(self.state.lock.read_text())["pid"])
        return 0

    def read(self) -> LedgerReader:
        return LedgerReader(self.state.ledger)

    def tmux_pid(self) -> int:
        """The pid of the fleet's tmux server; 0 when there is none."""
        words = ["tmux", "-L", f"hhmrs-{self.name}", "display-message", "-p", "#{pid}"]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        return int(done.stdout) if done.stdout.strip().isdecimal() else 0

    def end(self) -> None:
        """Take down daemon, agents and tmux server, if they run."""
        pids = [pid for pid in (self.daemon_pid(), self.tmux_pid()) if pid]
        if not pids:
            return
        done = self.run("down", "--kill")
        for pid in pids:
            with suppress(OSError):
                if done.returncode:
                    os.kill(pid, signal.SIGTERM)
            until(partial(gone, pid), f"the end of process {pid}", PATIENCE)
