"""The daemon, as it is, that dies by SIGKILL at the N-th step it takes once FILE is there.

    python mortal_daemon.py FLEET_FILE FILE N

A step is a commit to the ledger, an act on tmux, on processes, on the workspace or on a checkpoint: it dies
before the first of them (1), between the first and the second (2), and so on. What is done by then is done.
The number of steps taken is kept beside FILE (`FILE.steps`), so that a test knows when there are no more.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hhmrs.controller.checkpoints.checkpoints import CheckpointStore
from hhmrs.controller.checkpoints.snapshots import Snapshots
from hhmrs.controller.daemon.daemon import run_daemon
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.letters.delivery import Deliveries
from hhmrs.controller.processes.processes import ProcessTable
from hhmrs.controller.recovery import notify, perform
from hhmrs.controller.terminals.servers import FleetTerminals

STEPS: tuple[tuple[Any, str], ...] = (
    (SqliteLedger, "submit"),
    (perform.Performer, "perform"),
    (FleetTerminals, "respawn"),
    (FleetTerminals, "paste"),
    (FleetTerminals, "keys"),
    (ProcessTable, "end_many"),
    (Snapshots, "take"),
    (CheckpointStore, "add"),
    (Deliveries, "collect"),
    (Deliveries, "acknowledge"),
    (perform, "write_marker"),
    (perform, "clear_marker"),
    (notify, "send"),
)


class Fate:
    def __init__(self, armed: Path, dies_at: int) -> None:
        self._armed = armed
        self._steps = Path(f"{armed}.steps")
        self._dies_at = dies_at
        self._taken = 0
        self._lock = threading.Lock()

    def step(self) -> None:
        if not self._armed.exists():
            return
        with self._lock:
            self._taken += 1
            self._steps.write_text(str(self._taken), encoding="utf-8")
            if self._taken == self._dies_at:
                os.kill(os.getpid(), signal.SIGKILL)


def count(fate: Fate, owner: Any, name: str) -> None:
    """Every call of `owner.name` is a step from now on."""
    real: Callable[..., Any] = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        fate.step()
        return real(*args, **kwargs)

    setattr(owner, name, counted)


if __name__ == "__main__":
    fleet_file, armed, number = sys.argv[1:]
    last = Fate(Path(armed), int(number))
    for one in STEPS:
        count(last, *one)
    sys.exit(run_daemon(Path(fleet_file)))
