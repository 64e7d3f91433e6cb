"""A person's machine for one test, on which the real command is run; with or without a daemon."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.writer import SqliteLedger

AGENTS = Path(__file__).parents[2] / "agents"
PATIENCE = 30.0
QUICK = "policy: {testing: true, heartbeat_interval: 5s, verify_within: 5s, kill_grace: 1s}\n"
WORKER = "[sh, -c, 'n=0; while sleep 0.1; do n=$((n+1)); echo $n > f$n; echo \"did $n\"; done']"


@dataclass
class Home:
    """A person's machine for one test: a home, a state folder, a tmux of its own, a fleet file."""

    root: Path
    fleet: str
    env: dict[str, str]

    @property
    def file(self) -> Path:
        return self.root / "project" / "hhmrs.yaml"

    @property
    def state(self) -> StateDir:
        return StateDir(Path(self.env["HHMRS_STATE_DIR"]), self.fleet)

    def write(self, agents: str, policy: str = "") -> None:
        self.file.write_text(f"fleet: {self.fleet}\n{policy}agents:\n{agents}")

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        options |= {"cwd": self.file.parent, "env": self.env, "text": True, "stdin": subprocess.DEVNULL}
        process: subprocess.Popen[str] = subprocess.Popen([sys.executable, "-m", "hhmrs", *words], **options)
        return process

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=90)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    def ledger(self) -> SqliteLedger:
        """The book, as a daemon would have begun it."""
        self.state.create()
        ledger = SqliteLedger(self.state.ledger)
        ledger.claim(self.fleet, self.file)
        return ledger

    def agent(self, name: str) -> dict[str, Any]:
        """The agent as `status --json` shows it now."""
        found = next(a for a in self.json("status")["agents"] if a["id"] == name)
        assert isinstance(found, dict)
        return found

    def until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"waited in vain: {what}"
            time.sleep(0.05)


@pytest.fixture
def home() -> Iterator[Home]:
    # Not tmp_path: the path of a tmux socket may have little more than 100 characters.
    root = Path(tempfile.mkdtemp(prefix="hhmrs-"))
    for name in ("home", "project", "tmux"):
        (root / name).mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "LC_ALL") if name in os.environ}
    env = {**kept, "HOME": str(root / "home"), "HHMRS_STATE_DIR": str(root / "state"), "NO_COLOR": "1",
           "TMUX_TMPDIR": str(root / "tmux")}  # fmt: skip
    one = Home(root, f"t{secrets.token_hex(4)}", env)
    one.write("  a: {profile: shell, command: [sleep, '600']}\n")
    yield one
    if one.state.lock.exists():
        one.start("down", "--kill", "--config", str(one.file)).communicate(timeout=90)
    subprocess.run(
        ["tmux", "-L", f"hhmrs-{one.fleet}", "kill-server"], env=env, capture_output=True, check=False
    )
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def running(home: Home) -> Home:
    """A supervised fleet: `a` makes files for ever, `b` asks a person first and makes files then."""
    asker = f"[{sys.executable}, {AGENTS / 'asker.py'}]"
    home.write(
        f"  a: {{profile: shell, command: {WORKER}, workspace: a}}\n"
        f"  b: {{parent: a, profile: shell, command: {asker}, workspace: b}}\n",
        QUICK,
    )
    done = home.run("up")
    assert done.returncode == 0, done.stderr
    return home
