"""The fleet file as it is now, who may write to the fleet, and the way back to a running daemon."""

from __future__ import annotations

import os
import pwd
import signal
from pathlib import Path

from ...config.fleet import FleetSpec
from ...config.loading import load_fleet
from ...config.paths import StateDir
from ...config.problems import ConfigError
from ...controller.ledger.lock import read_holder


class FleetKeeper:
    """keeping.Keeper on a state folder. `flaws`: what is wrong with the file, one line each; while there
    are some, `spec` is that of the last good one, or None."""

    def __init__(
        self, state_dir: StateDir, config: Path | None, spec: FleetSpec | None, flaws: tuple[str, ...] = ()
    ) -> None:
        self._dir = state_dir
        self._config = config
        self.spec = spec
        self.flaws = flaws
        self._stamp = self._stamped()

    def look(self) -> None:
        """Read the file again if it was changed; a broken one changes nothing, just as for the daemon."""
        if (stamp := self._stamped()) == self._stamp or self._config is None:
            return
        self._stamp = stamp
        try:
            spec = load_fleet(self._config, moved=[])
        except ConfigError as error:
            self.flaws = tuple(str(problem) for problem in error.problems)
            return
        if spec.fleet != self._dir.fleet:
            self.flaws = (f"{self._config}:1:1: is fleet {spec.fleet} now, not {self._dir.fleet}",)
            return
        self.spec, self.flaws = spec, ()

    def locked(self) -> str:
        """Why no order can be given from here, or an empty text."""
        try:
            owner = self._dir.path.stat().st_uid
        except OSError:
            return ""
        if owner != os.geteuid():
            return f"the state of this fleet belongs to user {_name(owner)}: look, but only they give orders"
        inbox = self._dir.operator_inbox
        if inbox.exists() and not os.access(inbox, os.W_OK | os.X_OK):
            return f"{inbox} cannot be written to: no order can be given; `hhmrs doctor` says more"
        return ""

    def start(self) -> str:
        """Start the daemon, or let a stopped one go on. Raises ConfigError, DaemonError or OSError."""
        holder = read_holder(self._dir)
        if holder is not None and holder.is_stopped():
            os.kill(holder.pid, signal.SIGCONT)
            return f"the daemon, pid {holder.pid}, goes on"
        # What starts a daemon is not needed for the first look.
        from ...controller.daemon.daemon import DaemonError, spawn_daemon

        if self._config is None:
            raise DaemonError("where its fleet file stood is not known; run `hhmrs up --config FILE`")
        return f"the daemon runs, pid {spawn_daemon(self._config).pid}"

    def _stamped(self) -> tuple[int, int] | None:
        try:
            seen = self._config.stat() if self._config is not None else None
        except OSError:
            return None
        return (seen.st_mtime_ns, seen.st_ino) if seen is not None else None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
