"""How long a killed process is missed: ours beside supervisord and circus, same command, same run.

    .venv/bin/python bench/recovery.py [KILLS]

Each of the three watches one process that writes the time and its pid to a file as it starts. In each round
each process is killed once by SIGKILL, in changing order; the next kill waits until the one before is over.
Ours also has a workspace to save: a git repository with `FILES` files, of which one changes at every start.
Prints one JSON document; all times are milliseconds.
"""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles

from hhmrs.bench.rivals import WANTED, circusd, supervisord, until
from hhmrs.bench.room import OwnFleet, room
from hhmrs.controller.checkpoints.snapshots import Snapshots
from hhmrs.controller.ledger.writer import LedgerReader

KILLS = 50
FILES = 100
SETTLE = 1.1
"""Seconds of life before a kill: supervisord takes a process as started after one (`startsecs`)."""
WORKER = 'born="$EPOCHREALTIME $$"; echo "$born" >>"$1"; echo "$born"; exec sleep 100000'
POLICY = {
    "testing": True,
    "verify_within": "300ms",
    "max_restarts": 1000,
    "stable_after": "1h",
}
STEPS = ("agent_exited", "agent_phase", "checkpoint_stored", "hhmrs_restart", "hhmrs_resume", "agent_started")


def command(starts: Path) -> list[str]:
    """The program that all three run; its starts are told in the file `starts`."""
    return ["bash", "-c", WORKER, "worker", str(starts)]


@dataclass(slots=True)
class Patient:
    """One watched process. `settled`: whether its supervisor is ready for the next death."""

    name: str
    starts: Path
    settled: Callable[[], bool]
    gaps: list[float] = field(default_factory=list)
    """Milliseconds from kill to the next process, one for each kill."""
    killed: list[float] = field(default_factory=list)

    def newest(self) -> tuple[float, int]:
        """When the newest process started, and its pid."""
        when, pid = self.starts.read_text().splitlines()[-1].split()
        return float(when), int(pid)

    def count(self) -> int:
        return self.starts.read_text().count("\n") if self.starts.exists() else 0

    def ready(self) -> bool:
        return self.count() > len(self.killed) and time.time() > self.newest()[0] + SETTLE and self.settled()

    def kill(self) -> None:
        """Kill it, and wait for the next one."""
        until(self.ready, f"{self.name} settles")
        had, (_, pid) = self.count(), self.newest()
        moment = time.time()
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.count() > had, f"{self.name} starts a new process")
        self.killed.append(moment)
        self.gaps.append((self.newest()[0] - moment) * 1000)


def prepare(workspace: Path) -> None:
    """A repository with some files in it, as a worker would have it."""
    for number in range(FILES):
        file = workspace / f"part{number // 10}" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"line {number}\n" * 40)
    for words in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", "-C", str(workspace), *words], check=True, stdin=subprocess.DEVNULL)


def own_fleet(place: Path) -> OwnFleet:
    agent = {
        "profile": "shell",
        "command": command(place / "fleet" / "worker" / "starts"),
        "workspace": "worker",
        "restart": "permanent",
        "liveness": ["process"],
    }
    fleet = OwnFleet(place, {"worker": agent}, POLICY)
    prepare(fleet.folder / "worker")
    return fleet


def at_rest(reader: LedgerReader) -> bool:
    """Whether the agent lives and no incident is open."""
    state = reader.states().get("worker", {})
    return state.get("alive") is True and not state.get("incident") and not state.get("recovery")


def steps(reader: LedgerReader, killed: Sequence[float]) -> list[dict[str, float]]:
    """For each kill, milliseconds until each of STEPS, as the ledger has them."""
    found: list[dict[str, float]] = [{} for _ in killed]
    bounds = [*killed, float("inf")]
    for event in reader.events():
        which = sum(moment <= stamp(event.at) + 0.001 for moment in killed) - 1
        if which < 0 or event.type not in STEPS or stamp(event.at) > bounds[which + 1]:
            continue
        if event.type == "agent_phase" and event.data.get("to") != "recovering":
            continue
        name = "recovering" if event.type == "agent_phase" else event.type
        found[which].setdefault(name, (stamp(event.at) - killed[which]) * 1000)
    return found


def stamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(median(values), 1),
        "p99": round(quantiles(values, n=100, method="inclusive")[98], 1),
        "worst": round(max(values), 1),
    }


def snapshots_alone(place: Path, workspace: Path, times: int) -> list[float]:
    """What one snapshot of the same workspace takes with nothing else going on, in milliseconds."""
    copy = place / "copy"
    shutil.copytree(workspace, copy, symlinks=True)
    snapshots, taken = Snapshots(place / "alone"), []
    for number in range(times + 1):
        with (copy / "starts").open("a") as starts:
            starts.write(f"{number}\n")
        begun = time.perf_counter()
        snapshots.take("worker", copy)
        taken.append((time.perf_counter() - begun) * 1000)
    return taken[1:]


def measure(kills: int) -> dict[str, object]:
    chance = random.SystemRandom()
    with room() as place:
        theirs = [supervisord, circusd]
        files = [place / f"{make.__name__}.starts" for make in theirs]
        fleet = own_fleet(place)
        rivals = [
            make(place / make.__name__, {"worker": command(file)})
            for make, file in zip(theirs, files, strict=True)
        ]
        try:
            fleet.up()
            reader = fleet.read()
            ours = Patient("hhmrs", fleet.folder / "worker" / "starts", lambda: at_rest(reader))
            patients = [ours, *(Patient(r.name, f, lambda: True) for r, f in zip(rivals, files, strict=True))]
            for _ in range(kills):
                for patient in chance.sample(patients, len(patients)):
                    time.sleep(chance.random())  # so that no kill falls in step with anybody's look
                    patient.kill()
            until(lambda: at_rest(reader), "the last incident closes")
            told = steps(reader, ours.killed)
            reader.close()
        finally:
            for rival in rivals:
                rival.end()
            fleet.end()
        alone = snapshots_alone(place, fleet.folder / "worker", kills)
    return figures(patients, told, alone)


def figures(
    patients: Sequence[Patient], told: Sequence[dict[str, float]], alone: Sequence[float]
) -> dict[str, object]:
    names = sorted({name for one in told for name in one}, key=lambda n: median(o.get(n, 0.0) for o in told))
    begun = spread([one["recovering"] for one in told])
    running = {p.name: spread(p.gaps) for p in patients}
    ours = running["hhmrs"]["median"]
    return {
        "kills": len(told),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "beside": WANTED,
        "kill_to_recovery_begun_ms": begun,
        "kill_to_new_process_ms": running,
        "ratio_of_medians": {n: round(r["median"] / ours, 2) for n, r in running.items() if n != "hhmrs"},
        "steps_of_ours_ms": {n: spread([one[n] for one in told if n in one]) for n in names},
        "snapshot_alone_ms": spread(alone),
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS), indent=2))
