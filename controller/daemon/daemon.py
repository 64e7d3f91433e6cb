"""The daemon as a process: the lock, signals, readiness, logs; and how others start and stop it."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from ... import __version__
from ...config.fleet import FleetSpec
from ...config.loading import load_fleet
from ...config.paths import StateDir, StateDirError, state_root
from ..ledger.errors import LedgerError, LedgerOwned
from ..ledger.lock import DaemonLock, Holder, LockHeld, here, read_holder
from ..ledger.writer import SqliteLedger
from ..looks import Looks
from ..ports import TerminalsError
from ..processes.open_files import raise_limit
from ..processes.processes import booted_at, identify

log = logging.getLogger("hhmrs")

LOG_BYTES = 5_000_000
LOG_FILES = 3
START_TIMEOUT = 30.0


class DaemonError(Exception):
    """The daemon could not be started or stopped; the message says what to do.

    `exit_code` is the one the command should end with: 2 when the fleet's name belongs to another file."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def state_of(fleet: str) -> StateDir:
    return StateDir(state_root(), fleet)


def run_daemon(config_path: Path, *, quick_look: float | None = None, interval: float | None = None) -> int:
    """Supervise in the foreground until SIGTERM. Exit code: 0 stopped, 1 held by another or cannot run.

    Raises ConfigError for a fleet file with problems."""
    looks = Looks(threshold=quick_look, interval=interval)
    fleet = looks.applied(load_fleet(config_path))
    state = state_of(fleet.fleet)
    lock = DaemonLock(state)
    try:
        state.create()
        me = identify(os.getpid())
        holder = Holder(os.getpid(), me.created if me else 0.0, here(), __version__, str(fleet.path),
                        fleet.policy.mode, time.time(), ready=False, quick_look=quick_look,
                        booted=booted_at(), clock=time.time() - time.monotonic())  # fmt: skip
        lock.acquire(holder)
        _log_to(state)
        raise_limit()
        return _supervise(fleet, state, lock, looks)
    except LedgerOwned as error:
        print(f"hhmrs: {error}", file=sys.stderr)
        return 2
    except (LockHeld, StateDirError, LedgerError, TerminalsError) as error:
        print(f"hhmrs: {error}", file=sys.stderr)
        return 1
    except Exception:
        # stderr is the next daemon's to overwrite; what a fault of ours looked like must outlive it.
        log.critical("the daemon fell over; its agents run on", exc_info=True)
        raise
    finally:
        lock.release()


def _supervise(fleet: FleetSpec, state: StateDir, lock: DaemonLock, looks: Looks) -> int:
    from .supervision import Supervision

    ledger = SqliteLedger(state.ledger, parents={a.id: a.parent for a in fleet.agents.values()})
    if ledger.note:
        log.error("%s", ledger.note)
    try:
        ledger.claim(fleet.fleet, fleet.path)

        def ready() -> None:
            lock.announce_ready()
            _tell_systemd("READY=1")
            log.info("supervising fleet %s with %d agents", fleet.fleet, len(fleet.agents))

        async def main() -> None:
            supervision = Supervision(fleet, state, ledger, ready, looks)
            supervision.went_by = lambda taken: lock.announce_mode(taken.policy.mode)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, lambda: supervision.go_down(kill=False))
            loop.add_signal_handler(signal.SIGHUP, supervision.reload)
            await supervision.run()
            _tell_systemd("STOPPING=1")

        asyncio.run(main())
    finally:
        ledger.close()
    log.info("stopped supervising")
    return 0


def _log_to(state: StateDir) -> None:
    rotating = logging.handlers.RotatingFileHandler(
        state.daemon_log, maxBytes=LOG_BYTES, backupCount=LOG_FILES
    )
    os.chmod(state.daemon_log, 0o600)
    rotating.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [rotating]
    if sys.stderr.isatty():
        root.addHandler(logging.StreamHandler())
    root.setLevel(logging.INFO)


def _tell_systemd(words: str) -> None:
    """sd_notify, when systemd asked for it. Silent where it is not there."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            door.sendto(words.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
    except OSError as error:
        log.warning("cannot tell systemd %s: %s", words, error)


def spawn_daemon(config_path: Path) -> Holder:
    """Start a daemon that survives this terminal, and wait until it supervises.

    Raises ConfigError for a file with problems, DaemonError when it did not come up."""
    fleet = load_fleet(config_path)
    state = state_of(fleet.fleet)
    if holder := read_holder(state):
        if holder.ready:
            return holder
    else:
        try:
            state.create()
        except StateDirError as error:
            raise DaemonError(str(error)) from None
    first_words = state.path / "daemon.start"
    with open(first_words, "wb", opener=_private) as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "hhmrs", "--daemon", "--config", str(fleet.path)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, cwd="/",
        )  # fmt: skip
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        holder = read_holder(state)
        if holder and holder.ready:
            return holder
        if process.poll() is not None and not (holder := read_holder(state)):
            raise DaemonError(
                _last_words(first_words, process.returncode, state), 2 if process.returncode == 2 else 1
            )
        time.sleep(0.02)
    raise DaemonError(f"the daemon was not ready within {START_TIMEOUT:.0f} s; see {state.daemon_log}")


def _last_words(path: Path, status: int, state: StateDir) -> str:
    """What a daemon that did not come up said; of a traceback the last line, for the log has it all."""
    said = path.read_text(errors="replace").strip()
    if said and "Traceback" not in said:
        return said[-2000:].removeprefix("hhmrs: ")
    fault = f" ({said.splitlines()[-1][:300]})" if said else ""
    return f"the daemon ended with exit {status}{fault}; see {state.daemon_log}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def stop_daemon(state: StateDir, *, kill: bool, timeout: float = 60.0) -> bool:
    """Stop the fleet's daemon (and with `kill` every agent); False when none ran. Raises DaemonError."""
    holder = read_holder(state)
    if holder is None:
        return False
    if kill:
        from ..letters.orders import send_order

        send_order(state, "down", "", {"kill": "1"})
    else:
        os.kill(holder.pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while read_holder(state) == holder:
        if time.monotonic() > deadline:
            raise DaemonError(
                f"{holder.describe()} did not stop within {timeout:.0f} s; see {state.daemon_log}"
            )
        time.sleep(0.02)
    return True
