"""Somebody sets the wall clock while a fleet runs, or NTP does: nobody is lost, aged or refused by it.

The system's idea of its own boot moves with the clock; a process that begins afterwards has the new one."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.lock import Holder, read_holder
from hhmrs.controller.letters.inbox import Inbox
from hhmrs.controller.letters.orders import send_order
from hhmrs.controller.processes import processes
from hhmrs.controller.processes.processes import booted_at, identify
from hhmrs.controller.reports.views import fleet_view
from hhmrs.controller.terminals.launching import launcher_words, read_report

STEPS = [3600.0, -3600.0]


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    found = StateDir(tmp_path / "state", "f")
    found.create()
    return found


@pytest.fixture
def holder(state: StateDir) -> Holder:
    """This very process, as if it were the daemon."""
    me = identify(os.getpid())
    assert me is not None
    held = Holder(
        me.pid, me.created, "host", "1", "f.yaml", "armed", time.time(), ready=True,
        booted=booted_at(), clock=time.time() - time.monotonic(),
    )  # fmt: skip
    _write(state, held)
    return held


def _write(state: StateDir, holder: Holder) -> None:
    state.lock.write_text(json.dumps(asdict(holder)))


@pytest.mark.parametrize("step", STEPS)
def test_the_daemon_is_found_by_a_command_that_begins_afterwards(
    state: StateDir, holder: Holder, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    monkeypatch.setattr(processes, "_BOOT", booted_at() + step)
    assert read_holder(state) == holder
    _write(state, replace(holder, created=holder.created - 100))
    assert read_holder(state) is None, "another process has its number"


@pytest.mark.parametrize("step", STEPS)
def test_ages_are_told_by_the_daemons_own_clock(
    state: StateDir, holder: Holder, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + step)
    view = fleet_view(state, None, time.time())
    assert abs(view.now - holder.now()) < 30
    assert view.daemon is not None
    assert view.daemon.uptime_s < 60


@pytest.fixture
def launcher(state: StateDir) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(launcher_words(state, "a", 1, "f:a", ["sleep", "60"], {})) as process:
        yield process
        process.terminate()


@pytest.mark.parametrize("step", STEPS)
def test_a_running_agent_is_found_by_the_next_daemon(
    state: StateDir,
    launcher: subprocess.Popen[bytes],
    wait_until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    step: float,
) -> None:
    wait_until(lambda: (read := read_report(state, "a")) and read.pid, deadline=20, what="it runs")
    monkeypatch.setattr(processes, "_BOOT", booted_at() + step)
    report = read_report(state, "a")
    assert report is not None
    assert report.pid is not None
    assert report.born is not None
    assert report.who(identify) == identify(report.pid) is not None
    started, boot = report.born
    assert replace(report, born=(started - 1, boot)).who(identify) is None, "another has its number"
    assert replace(report, born=(started, boot + 1)).who(identify) is None, "it ran before the last boot"
    assert launcher.poll() is None


@pytest.mark.parametrize("step", STEPS)
def test_an_order_is_not_too_old_by_a_clock_that_stands_still(state: StateDir, step: float) -> None:
    """The daemon's clock is ahead of the wall's (or behind it) by what that was set back (or on)."""

    class Ahead:
        def now(self) -> float:
            return time.time() + step

    refused: list[object] = []
    inbox = Inbox(state, refused.append, Ahead())
    inbox.make_operator()
    order = send_order(state, "pause", "a")
    late = send_order(state, "pause", "a", expires_after=-1)
    assert [letter.fields["id"] for letter in inbox.orders()] == [order]
    assert len(refused) == 1, late
