"""What one look at all process trees costs: ours beside psutil asked agent by agent, in turn, same processes.

    .venv/bin/python bench/processes.py [LOOKS]

Each agent is a shell with two sleeping children, as in a fleet at rest; every tenth has one more that left
its session and its parent. `hhmrs` is the daemon's own look (cpu, memory, threads, bytes moved, who is
stopped and who belongs to whom) with all that it remembers from the look before; `psutil` asks for each
agent's process, `children(recursive=True)`, and the same figures of each. `process_iter` is psutil's own
single pass, which knows no trees yet. Of psutil's walk over many agents only `SAMPLE` are timed and the
rest reckoned.

Times are the CPU that the thread used, in milliseconds, the median of LOOKS. `every` is the pace that the
daemon takes from it, in seconds, and `core_percent` what that comes to. Prints one JSON document.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import psutil

from hhmrs.bench.rivals import PATIENCE, until
from hhmrs.controller.ports import Identity
from hhmrs.controller.processes.processes import ProcessTable, identify
from hhmrs.controller.processes.telling import pace

SIZES = (100, 500, 1000)
SAMPLE = 20
LOOKS = 7
BEAT, SILENCE = 30.0, 60.0
"""The defaults of a fleet file: heartbeat interval, and the silence that is a symptom."""
PLAIN = "sleep 100000 & sleep 100000 & wait"
LEFT = "sleep 100000 & sleep 100000 & (setsid sleep 100000 &) & wait"


@contextmanager
def agents(count: int, fleet: str) -> Generator[dict[str, Identity]]:
    """So many agents at work, ended in the end with all that left them."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for number in range(count):
            name = f"agent-{number}"
            script = LEFT if number % 10 == 0 else PLAIN
            running[name] = subprocess.Popen(
                ["sh", "-c", script],
                env={**os.environ, "HHMRS_TOKEN": f"{fleet}:{name}"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        roots = {name: who for name, p in running.items() if (who := identify(p.pid))}
        yield roots
    finally:
        for process in running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in running.values():
            process.wait(PATIENCE)
        for name in list(running)[::10]:
            ProcessTable().end_tagged(f"{fleet}:{name}", grace=0.0)


def spent(work: Callable[[], object]) -> float:
    """Milliseconds of CPU in this thread."""
    before = time.thread_time()
    work()
    return 1000 * (time.thread_time() - before)


def walk(roots: list[Identity]) -> int:
    """What psutil's manual proposes for one tree, for each; how many processes were seen."""
    seen = 0
    for who in roots:
        root = psutil.Process(who.pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error), process.oneshot():
                figures = (process.cpu_times(), process.memory_info(), process.num_threads())
                seen += bool((*figures, process.status(), process.io_counters()))
    return seen


def iterate() -> None:
    for _ in psutil.process_iter(["ppid", "cpu_times", "memory_info", "num_threads", "status"]):
        pass


def figures(count: int, looks: int) -> dict[str, object]:
    fleet = f"bench-{secrets.token_hex(4)}"
    with agents(count, fleet) as roots:
        table = ProcessTable()
        expected = count * 3 + (count + 9) // 10

        def look() -> int:
            found = table.measure(roots, tag=lambda name: f"{fleet}:{name}")
            return sum(m.threads for m in found.values())

        until(lambda: look() == expected, f"{expected} processes are seen", 4 * PATIENCE)
        sample = list(roots.values())[:: max(1, count // SAMPLE)][:SAMPLE]
        ours, theirs, single = [], [], []
        for _ in range(looks):
            ours.append(spent(look))
            theirs.append(spent(lambda: walk(sample)) * count / len(sample))
            single.append(spent(iterate))
        mine = statistics.median(ours)
        every = pace(mine / 1000, BEAT, SILENCE, calm=True)
        return {
            "agents": count,
            "processes": {"of_agents": expected, "of_the_machine": len(psutil.pids())},
            "hhmrs_ms": round(mine, 1),
            "psutil_children_ms": round(statistics.median(theirs), 1),
            "psutil_process_iter_ms": round(statistics.median(single), 1),
            "every_s": round(every, 1),
            "core_percent": round(mine / 10 / every, 2),
        }


def measure(looks: int) -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "psutil": psutil.__version__,
        "cores": os.cpu_count(),
        "looks": looks,
        "sampled_of_psutil": SAMPLE,
        "sizes": [figures(count, looks) for count in SIZES],
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else LOOKS), indent=2))
