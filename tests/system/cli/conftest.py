"""A person's machine for one test, on which the real command is run; with or without a daemon."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hhmrs.tests.system.cli.home import Home
from hhmrs.tests.system.cli.terminal import Terminal

AGENTS = Path(__file__).parents[2] / "agents"
QUICK = "policy: {testing: true, heartbeat_interval: 5s, verify_within: 5s, kill_grace: 1s}\n"
WORKER = "[sh, -c, 'n=0; while sleep 0.1; do n=$((n+1)); echo $n > f$n; echo \"did $n\"; done']"


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
def terminal(home: Home) -> Iterator[Terminal]:
    one = Terminal(home)
    yield one
    one.tmux("kill-server")


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
