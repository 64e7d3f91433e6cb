"""Real tmux on a private socket, a home of its own, and waiting for conditions instead of sleeping."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from hhmrs.controller.ports import Identity
from hhmrs.controller.processes.processes import ProcessTable, identify
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.controller.workspaces.workspaces import Workspaces

ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


class WaitUntil(Protocol):
    def __call__(self, condition: Callable[[], object], deadline: float = 10.0, what: str = "") -> None: ...


class Eventually(Protocol):
    def __call__(
        self, condition: Callable[[], object], deadline: float = 10.0, what: str = ""
    ) -> Awaitable[None]: ...


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home and a state folder of the test's own, and no tmux around it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HHMRS_STATE_DIR", str(tmp_path / "state"))
    for name in ("TMUX", "TMUX_PANE"):
        monkeypatch.delenv(name, raising=False)
    for name in [n for n in os.environ if n.startswith("HHMRS_") and n != "HHMRS_STATE_DIR"]:
        monkeypatch.delenv(name)


@pytest.fixture
def wait_until() -> WaitUntil:
    """Blocks until the condition holds; fails the test at the deadline (seconds)."""

    def wait(condition: Callable[[], object], deadline: float = 10.0, what: str = "") -> None:
        end = time.monotonic() + deadline
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"not within {deadline:g} s: {what or condition}")
            time.sleep(0.01)

    return wait


@pytest.fixture
def eventually() -> Eventually:
    """Like wait_until, on the loop."""

    async def wait(condition: Callable[[], object], deadline: float = 10.0, what: str = "") -> None:
        end = time.monotonic() + deadline
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"not within {deadline:g} s: {what or condition}")
            await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def tmux_socket() -> Iterator[str]:
    """A name for `tmux -L`; a server left on it is ended by its pid and its socket removed."""
    name = f"hhmrs-test-{secrets.token_hex(6)}"
    yield name
    folder = Path(os.environ.get("TMUX_TMPDIR", "/tmp")) / f"tmux-{os.getuid()}"
    if not (folder / name).exists():
        return
    # Whoever started it: the name was made up above, so it is this test's.
    asked = subprocess.run(
        ["tmux", "-L", name, "-N", "display-message", "-p", "#{pid}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.stdout.strip().isdecimal():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(asked.stdout), signal.SIGKILL)
    (folder / name).unlink(missing_ok=True)


@pytest.fixture
def terminals(tmux_socket: str, tmp_path: Path) -> TmuxTerminals:
    """A running server of ours on the private socket."""
    found = TmuxTerminals(tmux_socket, tmp_path / "tmux.conf", settle=0.05)
    found.ensure()
    return found


@pytest.fixture
def environment() -> dict[str, str]:
    """What a scripted agent needs to run."""
    return dict(ENVIRONMENT)


@pytest.fixture
def python() -> str:
    return sys.executable


@pytest.fixture
def tag() -> str:
    """A token by which whatever a test starts is found again."""
    return f"test:{secrets.token_hex(4)}"


@pytest.fixture
def start(tag: str) -> Iterator[Callable[..., Identity]]:
    """Start a process that carries the tag, if `tagged` (`env`: more variables); it and all below it, and all
    that carry the tag, are ended."""
    started = []

    def run(*argv: str, tagged: bool = True, **env: str) -> Identity:
        token = {"HHMRS_TOKEN": tag} if tagged else {}
        child = subprocess.Popen(
            argv, env={**os.environ, **token, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        started.append(child)
        who = identify(child.pid)
        assert who is not None
        return who

    yield run
    table = ProcessTable()
    table.end_tagged(tag, grace=0.0)
    for child in started:
        if who := identify(child.pid):
            table.end_tree(who, grace=0.0, tag=tag)
        child.wait(10)


@pytest.fixture
def own_limits() -> list[str]:
    """Words before a command that give it inotify limits of its own to set, and nobody else's."""
    words = ["unshare", "--user", "--map-root-user"]
    try:
        tried = subprocess.run(
            [*words, "test", "-w", "/proc/sys/user/max_inotify_watches"], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("no unshare on this system")
    if tried.returncode:
        pytest.skip("this system does not let us have limits of our own")
    return words


@pytest.fixture
def told() -> list[tuple[str, str]]:
    """What `watched` has said: (agent, path), the newest last."""
    return []


@pytest.fixture
def watched(told: list[tuple[str, str]]) -> Iterator[Workspaces]:
    watched = Workspaces(lambda agent, path, _: told.append((agent, path)), settle=0.02)
    yield watched
    watched.stop()
