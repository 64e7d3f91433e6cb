"""Where a fleet's state lives: one private folder per fleet (contract.md section 1)."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

OPERATOR = "_operator"
"""The inbox of what persons order; no agent can have this id."""


FILE_NAME = "hhmrs.yaml"


class StateDirError(Exception):
    """The state directory cannot be used; the message says why and what to do."""


def find_fleet_file(start: Path) -> Path | None:
    """The `hhmrs.yaml` in `start` or the nearest folder above it."""
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    return None


def state_root() -> Path:
    """The folder that holds every fleet's state: $HHMRS_STATE_DIR, else the platform's user state folder."""
    given = os.environ.get("HHMRS_STATE_DIR")
    if given:
        return Path(given).expanduser().absolute()
    from platformdirs import user_state_path

    return user_state_path("hhmrs", appauthor=False)


@dataclass(frozen=True, slots=True)
class StateDir:
    """The paths of one fleet below `root`. Only `create` touches the disk."""

    root: Path
    fleet: str

    @property
    def path(self) -> Path:
        return self.root / self.fleet

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.db"

    @property
    def inbox(self) -> Path:
        return self.path / "inbox"

    @property
    def operator_inbox(self) -> Path:
        return self.inbox / OPERATOR

    def inbox_of(self, agent: str) -> Path:
        return self.inbox / agent

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots"

    @property
    def handoffs(self) -> Path:
        return self.path / "handoffs"

    @property
    def reports(self) -> Path:
        """Post-mortems of the incidents that were given up."""
        return self.path / "reports"

    @property
    def runs(self) -> Path:
        """What each agent's launcher reports: pid and end of the process."""
        return self.path / "runs"

    @property
    def commands(self) -> Path:
        """Where agents find the `hhmrs` command, if they have none of their own."""
        return self.path / "bin"

    @property
    def comms_log(self) -> Path:
        return self.path / "comms.log"

    @property
    def daemon_log(self) -> Path:
        return self.path / "daemon.log"

    @property
    def lock(self) -> Path:
        return self.path / "daemon.lock"

    @property
    def roster(self) -> Path:
        """Who is in the fleet file, for a first frame that cannot wait until that is read."""
        return self.path / "roster.json"

    @property
    def means(self) -> Path:
        """By which means the running daemon sees, for others to read."""
        return self.path / "means.json"

    @property
    def last_pass(self) -> Path:
        """What the last `heal --check-now` found, for who ordered it."""
        return self.path / "last-pass.json"

    @property
    def tmux_conf(self) -> Path:
        return self.path / "tmux.conf"

    def create(self) -> None:
        """Make the folders, each 0700 and ours. Raises StateDirError for a link, a file, another's folder."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _refusal(self.root, error.strerror or str(error)) from error
        inner = (self.inbox, self.operator_inbox, self.checkpoints, self.snapshots, self.handoffs)
        for folder in (self.path, *inner, self.reports):
            _private(folder)


def _private(folder: Path) -> None:
    try:
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            pass
        seen = folder.lstat()
        if stat.S_ISLNK(seen.st_mode):
            raise _refusal(folder, "it is a link, and whoever made it could read every agent's letters")
        if not stat.S_ISDIR(seen.st_mode):
            raise _refusal(folder, "it is not a folder")
        if seen.st_uid != os.geteuid():
            raise _refusal(folder, f"it belongs to user {seen.st_uid}, not to you")
        if stat.S_IMODE(seen.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        raise _refusal(folder, error.strerror or str(error)) from error


def _refusal(folder: Path, why: str) -> StateDirError:
    return StateDirError(f"cannot keep state in {folder}: {why}; move it away or set HHMRS_STATE_DIR")
