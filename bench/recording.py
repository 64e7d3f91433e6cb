"""The daemon, as it is, with a note taken of everything it learns about some of its agents.

    .venv/bin/python bench/recording.py FLEET_FILE NOTES PREFIX [PREFIX ...]

For each evidence that the engine has made its own, about an agent whose name begins with one of the
prefixes, one line of JSON goes to NOTES: the kind, the agent, the moment by the clock that all processes
share, and what a death or a label says. Of the other agents only deaths. One line costs some 10 microseconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hhmrs.controller.daemon import supervision
from hhmrs.controller.daemon.daemon import run_daemon
from hhmrs.controller.ports import Clock
from hhmrs.healing import evidence as e


def told(evidence: e.Evidence) -> dict[str, Any]:
    """What the figures need to know of it, beyond its kind and moment."""
    match evidence:
        case e.ProcessExited():
            return {"status": evidence.status, "signal": evidence.signal, "tail": evidence.tail[-3:]}
        case e.PaneLabelled():
            return {"title": evidence.title}
        case _:
            return {}


def notes_to(path: Path, prefixes: tuple[str, ...], clock: Clock) -> Callable[[e.Evidence], None]:
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(evidence: e.Evidence) -> None:
        if not evidence.agent.startswith(prefixes) and not isinstance(evidence, e.ProcessExited):
            return
        moment = time.monotonic()
        # What it says of: a look that comes late at something older is no news of what came meanwhile.
        of = moment - max(0.0, clock.now() - evidence.at)
        line = {
            "kind": type(evidence).__name__,
            "agent": evidence.agent,
            "at": moment,
            "of": of,
            **told(evidence),
        }
        os.write(out, json.dumps(line).encode() + b"\n")

    return note


def record(path: Path, prefixes: tuple[str, ...]) -> None:
    """From now on every supervision in this process takes notes."""

    class Recorded(supervision.Supervision):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.engine.evidence_seen.append(notes_to(path, prefixes, self.clock))

    # run_daemon looks the class up by its name, and not before it is called.
    supervision.Supervision = Recorded  # type: ignore[assignment, misc]


if __name__ == "__main__":
    fleet_file, notes, *names = sys.argv[1:]
    record(Path(notes), tuple(names))
    sys.exit(run_daemon(Path(fleet_file)))
