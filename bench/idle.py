"""What a fleet at rest costs: ours beside supervisord and circus, same commands, same time.

    .venv/bin/python bench/idle.py [SECONDS]

Each supervisor watches `AGENTS` processes that sleep. All three run at once; after `CALM` seconds in which
nothing is measured, their CPU time over the given time is read from the kernel's own account, in nanoseconds,
with that of helpers they waited for. `hhmrs` is the sum of its daemon, its tmux client and its tmux server.
Prints one JSON document; CPU is in percent of one core, memory in MiB.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from hhmrs.bench.rivals import PATIENCE, WANTED, circusd, supervisord, until
from hhmrs.bench.room import OwnFleet, room

AGENTS = 50
SECONDS = 60.0
CALM = 10.0
COMMAND = ["sleep", "100000"]
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = 1 / os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Seconds on a core so far: all threads of the process, and the children that it has waited for."""
    own = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):
            own += int((task / "schedstat").read_text().split()[0])
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return own / 1e9 + (int(fields[13]) + int(fields[14])) * TICK


def memory(pid: int) -> float:
    """MiB that it has in memory, shared libraries included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20


def parents() -> dict[int, tuple[int, str]]:
    """pid -> (pid of its parent, its name), of every process there is."""
    found: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                head, _, rest = (entry / "stat").read_text().rpartition(")")
            except OSError:
                continue
            found[int(entry.name)] = int(rest.split()[1]), head.partition("(")[2]
    return found


def sleepers(under: int) -> int:
    """How many agents are at work under this process, at any depth."""
    table, count = parents(), 0
    for pid, (_, name) in table.items():
        above = pid
        while name == "sleep" and above > 1 and above != under:
            above = table.get(above, (0, ""))[0]
        count += name == "sleep" and above == under
    return count


def at_work(counts: Mapping[int, int]) -> bool:
    """Whether under each process at least as many sleep as are wanted."""
    return all(sleepers(pid) >= wanted for pid, wanted in counts.items())


def own_fleet(place: Path) -> OwnFleet:
    # What only sleeps must count as well, or after a minute it is a silent agent to be healed.
    agent = {"profile": "shell", "command": COMMAND, "liveness": ["process"], "count": AGENTS}
    return OwnFleet(place, {"sleeper": agent}, {})


def check_rest(fleet: OwnFleet) -> None:
    """Ends the benchmark when the daemon had anything to do but watch."""
    reader = fleet.read()
    types = {event.type for event in reader.events()}
    reader.close()
    if types != {"agent_started"}:
        raise SystemExit(f"the fleet was not at rest: {', '.join(sorted(types))}")


def watched(fleet: OwnFleet) -> dict[str, int]:
    """The processes of our own that run all the time."""
    daemon = fleet.daemon_pid()
    clients = [pid for pid, (parent, name) in parents().items() if parent == daemon and "tmux" in name]
    if len(clients) != 1:
        raise SystemExit(f"the daemon has {len(clients)} tmux clients; expected one")
    return {"daemon": daemon, "tmux_client": clients[0], "tmux_server": fleet.tmux_pid()}


def measure(seconds: float) -> dict[str, object]:
    programs = {f"sleeper-{number}": COMMAND for number in range(AGENTS)}
    with room() as place:
        fleet = own_fleet(place)
        rivals = [make(place / make.__name__, programs) for make in (supervisord, circusd)]
        try:
            fleet.up()
            # The fleet's hub session sleeps as well.
            counts = {fleet.tmux_pid(): AGENTS + 1} | {rival.pid: AGENTS for rival in rivals}
            until(partial(at_work, counts), "all agents run", 4 * PATIENCE)
            pids = watched(fleet) | {rival.name: rival.pid for rival in rivals}
            time.sleep(CALM)
            found = figures(pids, seconds)
            check_rest(fleet)
            return found
        finally:
            for rival in rivals:
                rival.end()
            fleet.end()


def figures(pids: dict[str, int], seconds: float) -> dict[str, object]:
    begun = time.monotonic()
    before = {name: cpu(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    after = {name: cpu(pid) for name, pid in pids.items()}
    took = time.monotonic() - begun
    percent = {name: 100 * (after[name] - before[name]) / took for name in pids}
    resident = {name: memory(pid) for name, pid in pids.items()}
    ours: Sequence[str] = ("daemon", "tmux_client", "tmux_server")
    return {
        "agents": AGENTS,
        "seconds": round(took, 1),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "beside": WANTED,
        "cpu_percent": {"hhmrs": round(sum(percent[name] for name in ours), 3)}
        | {name: round(value, 3) for name, value in percent.items()},
        "memory_mib": {name: round(value, 1) for name, value in resident.items()},
    }


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS), indent=2))
