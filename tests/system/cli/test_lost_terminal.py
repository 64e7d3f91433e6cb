"""Whose terminal is gone shall not stay behind, whether or not the signal of it arrives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from hhmrs.tests.system.cli.home import PATIENCE, Home

UNTOLD = "trap '' HUP; exec \"$@\""


def painted(terminal: int, what: bytes) -> None:
    """Read until that was painted."""
    seen, deadline = b"", time.monotonic() + PATIENCE
    while what not in seen:
        assert time.monotonic() < deadline, f"never painted: {what!r}"
        seen += os.read(terminal, 1 << 16)


@pytest.mark.parametrize("wrapped", [[], ["sh", "-c", UNTOLD, "sh"]], ids=["no signal", "signal ignored"])
def test_the_screen_ends_with_its_terminal(home: Home, wrapped: list[str]) -> None:
    home.ledger().close()
    master, slave = os.openpty()
    argv = [*wrapped, sys.executable, "-m", "hhmrs", "--config", str(home.file)]
    # Without a controlling terminal, as in a container: nobody is sent a signal.
    screen = subprocess.Popen(
        argv,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**home.env, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    try:
        os.close(slave)
        painted(master, home.fleet.encode())
        os.close(master)
        assert screen.wait(PATIENCE) == -signal.SIGHUP
    finally:
        screen.kill()
        screen.wait()
