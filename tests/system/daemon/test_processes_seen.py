"""What agents' processes do is seen by the daemon, wherever they went, and can be asked for."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import Any

LEAVES = """
import os, sys, time
if os.fork():
    os.wait()
    time.sleep(1000)
os.setsid()
if os.fork():
    os._exit(0)
with open("stray.new", "w") as file:
    file.write(str(os.getpid()))
os.rename("stray.new", "stray")
null = os.open(os.devnull, os.O_RDWR)
for number in range(3):
    os.dup2(null, number)
while True:
    sum(range(99999))
"""


def _agent(command: list[str]) -> dict[str, Any]:
    return {"profile": "shell", "command": command, "workspace": "a", "prompt": "go", "liveness": ["cpu"]}


def test_the_work_of_a_child_that_left_is_its_agents_until_it_ends(make_fleet: Any) -> None:
    quiet = {"mode": "observe", "progress_timeout": "1500ms"}
    fleet = make_fleet({"a": _agent([sys.executable, "-c", LEAVES])}, policy=quiet)
    fleet.up()
    mark: Path = fleet.workspace("a") / "stray"
    fleet.wait(mark.exists)
    stray = int(mark.read_text())
    fleet.wait(lambda: fleet.phase("a") == "working")
    fleet.wait(lambda: (seen := fleet.agent("a"))["cpu_pct"] > 1 and seen["pid"], what="its CPU is seen")
    # Longer than it may be silent, and than it may go without progress.
    until = time.monotonic() + 2.5
    fleet.wait(lambda: time.monotonic() > until)
    assert [x.type for x in fleet.events("hhmrs_timeout")] == []
    assert fleet.phase("a") == "working"
    os.kill(stray, signal.SIGKILL)
    fleet.wait_event("hhmrs_timeout", agent="a")


def test_a_stopped_child_and_the_means_of_seeing_are_told(make_fleet: Any) -> None:
    command = ["sh", "-c", "sleep 1000 & echo $! > child; wait"]
    fleet = make_fleet({"a": {**_agent(command), "liveness": ["process"]}})
    fleet.up()
    mark: Path = fleet.workspace("a") / "child"
    fleet.wait(lambda: mark.exists() and mark.read_text().strip())
    child = int(mark.read_text())
    os.kill(child, signal.SIGSTOP)
    named = f"its child sleep (pid {child}) is stopped (state T)"
    fleet.wait(lambda: named in fleet.run("explain", "a").stdout, what=named)
    os.kill(child, signal.SIGCONT)
    fleet.wait(lambda: named not in fleet.run("explain", "a").stdout)
    fleet.wait(fleet.state.means.exists)
    told = json.loads(fleet.run("doctor", "--json").stdout)["findings"]
    used = {one["topic"]: one for one in told if one["what"].startswith("in use: ")}
    assert {"output", "deaths", "files", "letters", "processes"} <= set(used), shlex.join(used)
    assert fleet.state.means.stat().st_mode & 0o777 == 0o600
