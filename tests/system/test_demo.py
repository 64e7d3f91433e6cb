"""The whole demo as a user starts it: real daemon, real tmux, real agents, and nothing left afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hhmrs.tui.demo.fleet import CAST

ROOM_FOR = 150.0
"""Seconds: the demo's own deadline of 90 and its cleaning up."""
ENDED_WITHIN = 5.0
"""Seconds until what was killed is gone: on a busy machine that takes its turn too."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(ROOM_FOR + 30)]


@pytest.fixture
def home() -> Iterator[Path]:
    # A short path of its own, because the name of a socket may have some hundred letters only.
    with tempfile.TemporaryDirectory(prefix="hd-") as folder:
        yield Path(folder).resolve()


def start(home: Path, *flags: str) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HHMRS_", "TMUX"))}
    env |= {"HOME": str(home), "TMPDIR": str(home), "TMUX_TMPDIR": str(home)}
    argv = [sys.executable, "-m", "hhmrs", "demo", "--headless", *flags]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=home
    )


def finish(demo: subprocess.Popen[str]) -> tuple[str, str]:
    try:
        return demo.communicate(timeout=ROOM_FOR)
    except subprocess.TimeoutExpired:
        demo.send_signal(signal.SIGTERM)
        raise


def processes_of(home: Path) -> list[str]:
    """Command lines of processes that were started with this home, other than the caller's own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if f"TMPDIR={home}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(
                        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    )
            except OSError:
                continue
    return found


def assert_nothing_is_left(home: Path) -> None:
    end = time.monotonic() + ENDED_WITHIN
    while processes_of(home) and time.monotonic() < end:
        time.sleep(0.05)
    assert processes_of(home) == []
    assert [path for path in home.rglob("*") if path.is_socket()] == [], "a tmux socket is left"
    assert list(home.glob("hhmrs-demo-*")) == [], "the demo's folder is left"


def test_every_recovery_is_proved_and_nothing_is_left(home: Path) -> None:
    demo = start(home, "--json")
    out, err = finish(demo)
    document: dict[str, Any] = json.loads(out)
    faults = {v["agent"]: v["faults"] for v in document["agents"] if v["faults"]}
    assert (faults, document["unexpected"], document["left_behind"]) == ({}, [], []), err
    assert (demo.returncode, document["ok"]) == (0, True)
    strategies = {v["agent"]: v["strategy"] for v in document["agents"]}
    assert {"nudge", "resume", "restart", "reassign", "escalate"} <= set(strategies.values())
    assert [part.id for part in CAST if bool(strategies[part.id]) != bool(part.expected)] == []
    assert_nothing_is_left(home)


def test_ctrl_c_ends_all_of_it(home: Path) -> None:
    demo = start(home)
    assert demo.stdout is not None
    first = demo.stdout.readline()
    assert first.startswith("demo-"), first or finish(demo)
    _wait_for_work(home)
    demo.send_signal(signal.SIGINT)
    _, err = finish(demo)
    assert demo.returncode == 130, err
    assert "Traceback" not in err
    assert_nothing_is_left(home)


def _wait_for_work(home: Path) -> None:
    end = time.monotonic() + 60
    while not list(home.glob("hhmrs-demo-*/work/*/journal.jsonl")):
        assert time.monotonic() < end, "no agent of the demo did anything"
        time.sleep(0.05)
