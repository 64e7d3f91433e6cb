"""What an agent starts and lets go, with a session and an environment of its own, is of its attempt all the
same: it ends with it, and what it does on is never its successor's proof."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LETS_GO = """
import os, sys, time
writer = '''
import os, time
with open("pid." + os.environ["ATTEMPT"], "w") as out:
    out.write(str(os.getpid()))
end = time.time() + 60
while time.time() < end:
    with open("written", "w") as out:
        out.write(str(time.time()))
    time.sleep(0.1)
'''
if os.environ["HHMRS_ATTEMPT"] == "1":
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            # Nothing is left that says whose it is.
            os.execve(sys.executable, [sys.executable, "-c", writer], {"ATTEMPT": "1"})
        os._exit(0)
    os.wait()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def letting_go() -> dict[str, Any]:
    return {"profile": "shell", "command": [sys.executable, "-c", LETS_GO], "workspace": "worker"}


def _pid(fleet: Any) -> int:
    told = Path(fleet.workspace("worker") / "pid.1")
    fleet.wait(lambda: told.exists() and told.read_text(), what="what it let go is at work")
    return int(told.read_text())


def test_what_a_dead_agent_let_go_does_not_pass_for_its_successor(
    make_fleet: Any, letting_go: dict[str, Any], is_gone: Callable[[int], bool]
) -> None:
    fleet = make_fleet({"worker": letting_go}, policy={"max_restarts": 1, "max_llm_retries": 0})
    fleet.up()
    stray = _pid(fleet)
    os.kill(fleet.pid("worker"), signal.SIGKILL)
    fleet.wait_event("agent_started", agent="worker", count=2)
    assert is_gone(stray), "it is seen dead before the next attempt starts"
    fleet.wait_event("hhmrs_failure", agent="worker")
    assert fleet.events("hhmrs_recovered", agent="worker") == []


@pytest.mark.parametrize(
    "words", [("restart", "worker", "--no-wait"), ("stop", "worker"), ("down", "--kill")]
)
def test_what_a_living_agent_let_go_ends_with_it(
    make_fleet: Any, letting_go: dict[str, Any], is_gone: Callable[[int], bool], words: tuple[str, ...]
) -> None:
    fleet = make_fleet({"worker": letting_go | {"liveness": ["process"]}})
    fleet.up()
    stray = _pid(fleet)
    assert fleet.run(*words).returncode == 0
    fleet.wait(lambda: is_gone(stray), what="what it let go is gone")
