"""A person's machine for one test, on which the real command is run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.writer import SqliteLedger

PATIENCE = 30.0


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
