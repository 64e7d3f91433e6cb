"""What it costs to see, and how soon it is seen: our daemon, and a poll with libtmux, over the same panes.

    .venv/bin/python bench/seeing.py [--panes 100,500,1000] [--loads idle,ticking,flooding] [--seconds 15]

For each number of panes one fleet is started, daemon and all. In each load three windows of SECONDS follow:

- `alone`: nothing but the load. CPU of the daemon and of all tmux servers, memory.
- `ours`: some panes print a line or set their title, at moments of their own; some programs are killed. How
  long until the daemon's engine knows, each death with how it came about.
- `poll`: the same, with a program beside it that lists all panes by libtmux once a second. How long until it
  knows, what it costs, and what it costs tmux.

Loads: `idle`, all panes silent; `ticking`, each prints a line a second; `flooding`, `FLOODING` panes print
1,000 lines a second each, the others nothing. Prints one JSON document: CPU in percent of one core,
milliseconds, MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hhmrs.bench.idle import cpu, memory, parents
from hhmrs.bench.latencies import Sign, delays, noted, printed, unexplained
from hhmrs.bench.rivals import PATIENCE, until
from hhmrs.bench.room import OwnFleet, room

PROBES = 30
"""Panes at most that print and are labelled at moments that are known; they take part in no load."""
FLOODING = 10
DEATHS = 100
"""Programs at most that are killed in one window; never more than a tenth of those that live."""
CALM = 0.075
"""Seconds for each agent, after the start of all, in which nothing is measured: each pane and each workspace
is looked at for the first time, a few of them a second."""
SETTLE = 5.0
"""Seconds between a change of load and the figures."""
START = 1.0
"""Seconds allowed for each agent's start."""
HERE = Path(__file__).parent
# `read -t` waits without another process; opening the pipe waits until somebody has it open for writing.
WORK = """while exec 3<"$1"; do
  read -rt "0.$((RANDOM % 900 + 100))" -u 3
  while read -rt "$2" -u 3; (($? > 128)); do
    for ((i = 0; i < $3; i++)); do echo "line $((++n)) of some work that is going on"; done
  done
done"""


def agents(panes: int, place: Path) -> dict[str, Any]:
    """Fleet file entries: probes, floods and workers, `panes` in all, mixed as evenly as may be: the servers
    get their agents in the order of the file."""
    moments = str(place / "moments")
    shell = {"profile": "shell", "restart": "temporary"}

    def working(pipe: str, pause: str, lines: int) -> list[str]:
        return ["bash", "-c", WORK, pipe, str(place / pipe), pause, str(lines)]

    for pipe in ("flooding", "ticking"):
        os.mkfifo(place / pipe, 0o600)
    probing = [sys.executable, "-I", "-S", str(HERE / "prober.py"), str(place / "go"), moments]
    probes = min(PROBES, panes // 5)
    kinds = {
        "probe": (probes, probing),
        "flood": (FLOODING, working("flooding", "0.1", 100)),
        "worker": (panes - probes - FLOODING, working("ticking", "1", 1)),
    }
    return {
        f"{kind}{group}": shell | {"count": share, "command": command}
        for group in range(FLOODING)
        for kind, (count, command) in kinds.items()
        if (share := count // FLOODING + (group < count % FLOODING))
    }


class Bench:
    """One fleet of `panes` agents under a daemon that takes notes, below `place`."""

    def __init__(self, place: Path, panes: int) -> None:
        self.place = place
        self.panes = panes
        self.fleet = OwnFleet(place, agents(panes, place), {})
        self.notes = place / "notes"
        self.chance = random.SystemRandom()
        self.kills: list[Sign] = []
        self.left: dict[str, int] = {}
        """Workers that may be killed: agent -> pid."""

    def up(self) -> float:
        """Start all; the seconds that took."""
        begun = time.monotonic()
        self.fleet.up_noting(self.notes, ["probe"], PATIENCE + START * self.panes)
        until(self._all_live, f"{self.panes} agents live", PATIENCE + START * self.panes)
        took = time.monotonic() - begun
        self.left = {name: pid for name, pid in self._pids().items() if name.startswith("worker")}
        return took

    def _pids(self) -> dict[str, int]:
        reader = self.fleet.read()
        try:
            return {x: int(s["pid"]) for x, s in reader.states().items() if s.get("alive") and s.get("pid")}
        finally:
            reader.close()

    def _all_live(self) -> bool:
        time.sleep(0.5)
        return len(self._pids()) == self.panes

    @contextmanager
    def loaded(self, load: str) -> Generator[None]:
        """Workers or floods print as long as their pipe is open."""
        if load == "idle":
            yield
            return
        # Non-blocking: it fails when nobody waits at the other end.
        pipe = os.open(self.place / load, os.O_WRONLY | os.O_NONBLOCK)
        try:
            yield
        finally:
            os.close(pipe)

    def disturb(self, seconds: float) -> tuple[float, float]:
        """Let the probes print and kill some workers at moments drawn by chance; from when to when."""
        go = self.place / "go"
        begun = time.monotonic()
        end = begun + seconds
        go.touch()
        deaths = min(DEATHS, len(self.left) // 10)
        moments = sorted(begun + self.chance.uniform(0.2, seconds - 1.5) for _ in range(deaths))
        for moment in moments:
            time.sleep(max(0.0, moment - time.monotonic()))
            agent = self.chance.choice(list(self.left))
            self.kills.append(Sign("death", agent, time.monotonic()))
            os.kill(self.left.pop(agent), signal.SIGKILL)
        time.sleep(max(0.0, end - 1.2 - time.monotonic()))
        go.unlink()
        time.sleep(max(0.0, end - time.monotonic()))
        return begun, end

    # -- what it costs --------------------------------------------------------------------------

    def processes(self) -> dict[str, list[int]]:
        daemon = self.fleet.daemon_pid()
        clients = [pid for pid, (parent, name) in parents().items() if parent == daemon and "tmux" in name]
        return {"daemon": [daemon], "tmux": [*self.fleet.tmux_pids().values(), *clients]}

    # -- the windows ----------------------------------------------------------------------------

    def alone(self, seconds: float) -> dict[str, Any]:
        """Nothing but the load: what it costs."""
        groups = self.processes()
        percent = self._percent(groups, lambda: time.sleep(seconds))
        return {
            "daemon_cpu": percent["daemon"],
            "tmux_cpu": percent["tmux"],
            "daemon_rss_mib": round(sum(memory(pid) for pid in groups["daemon"]), 1),
            "tmux_servers": len(self.fleet.tmux_pids()),
        }

    def ours(self, seconds: float) -> dict[str, Any]:
        """How soon the daemon knows."""
        return self._seen(self.disturb(seconds))

    def poll(self, load: str, seconds: float) -> dict[str, Any]:
        """How soon a poll beside it knows, what it costs, and how soon the daemon knows meanwhile."""
        notes = self.place / f"polled-{load}"
        words = [sys.executable, str(HERE / "polling.py"), str(notes), *self.fleet.sockets()]
        with subprocess.Popen(words, env=self.fleet.environment, stdin=subprocess.DEVNULL) as process:
            try:
                time.sleep(SETTLE)
                spans: list[tuple[float, float]] = []
                groups = {"poll": [process.pid], "tmux": self.processes()["tmux"]}
                percent = self._percent(groups, lambda: spans.append(self.disturb(seconds)))
                time.sleep(SETTLE / 2)  # a poll that is behind is let come to the end of it
            finally:
                process.terminate()
        news = noted(notes, {"line": "line", "title": "title", "death": "death"})
        signs = self._signs(spans[0])
        return {
            "poll_cpu": percent["poll"],
            "tmux_cpu": percent["tmux"],
            **delays(signs, news),
            "deaths_without_their_signal": unexplained(signs, news),
            "ours_meanwhile": self._seen(spans[0]),
        }

    def _percent(self, groups: Mapping[str, Sequence[int]], work: Callable[[], None]) -> dict[str, float]:
        begun, before = time.monotonic(), spent(groups)
        work()
        after, took = spent(groups), time.monotonic() - begun
        return {name: round(100 * (after[name] - before[name]) / took, 2) for name in groups}

    def _signs(self, span: tuple[float, float]) -> list[Sign]:
        happened = [*printed(self.place / "moments"), *self.kills]
        return [sign for sign in happened if span[0] <= sign.at <= span[1]]

    def _seen(self, span: tuple[float, float]) -> dict[str, Any]:
        kinds = {"OutputSeen": "line", "PaneLabelled": "title", "ProcessExited": "death"}
        news, signs = noted(self.notes, kinds), self._signs(span)
        return delays(signs, news) | {"deaths_without_their_signal": unexplained(signs, news)}


def spent(groups: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Seconds on a core so far, of each group of processes together."""
    found = dict.fromkeys(groups, 0.0)
    for name, pids in groups.items():
        for pid in pids:
            with suppress(FileNotFoundError):
                found[name] += cpu(pid)
    return found


def measure(panes: int, loads: Sequence[str], seconds: float) -> dict[str, Any]:
    """All loads on one fleet."""
    with room() as place:
        bench = Bench(place, panes)
        try:
            found: dict[str, Any] = {"panes": panes, "start_s": round(bench.up(), 1)}
            time.sleep(CALM * panes)
            for load in loads:
                with bench.loaded(load):
                    time.sleep(SETTLE)
                    found[load] = {"alone": bench.alone(seconds), "ours": bench.ours(seconds)}
                    found[load]["poll"] = bench.poll(load, seconds)
            return found
        finally:
            bench.fleet.drop()


def main() -> None:
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reader.add_argument("--panes", default="100,500,1000")
    reader.add_argument("--loads", default="idle,ticking,flooding")
    reader.add_argument("--seconds", type=float, default=15.0)
    given = reader.parse_args()
    runs = [measure(int(n), given.loads.split(","), given.seconds) for n in given.panes.split(",")]
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "seconds": given.seconds}
    print(json.dumps(machine | {"runs": runs}, indent=2))


if __name__ == "__main__":
    main()
