"""What the screen costs and how quick it is, under a real pty, beside a plain Textual DataTable of the same.

    .venv/bin/python bench/screen.py [--agents 1000,5000] [--seconds 15]

Both read the same ledger of so many agents, which a stand-in for the daemon writes: `CHANGES` agents change
in a second, one of ten with an event. `paint_ms`: from the start of the program until the first agents stand
there, `own_ms` until the screen itself has painted over the early frame, `fresh_ms`: the first at the first
start ever by this fleet file, which must be read first. `key_ms`: from a key that moves the selection until
its new line was painted, while that goes on;
`cpu`: percent of one core meanwhile with nobody at the keys, `cpu_keys` with about six keys a second; `idle`:
when nothing changes and no key is pressed; `rss`: MiB.
No tmux server runs: the live pane of the selected agent is not part of it. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from hhmrs.bench.pressing import Pressed
from hhmrs.bench.room import SPARED, room
from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.lock import DaemonLock, Holder
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.healing.agent import AgentState, Happening, Phase, Task
from hhmrs.healing.transitions import anew

SIZE = (180, 50)
CHANGES = 100
"""Agents that change in a second."""
TEAM = 25
"""Agents below one parent."""
BETWEEN = 0.15
"""Seconds from key to key."""
SETTLES = 3.0
"""Seconds from the first change until what they cost is measured."""
AGE = 7200.0
"""Seconds since the fleet was started, and since anything happened in it before the measurement."""
WARM = 3.0
"""Seconds from the first paint until anything is measured."""
OWN = b"attempt 1"
"""Stands in the head of the selected agent, which no early frame has."""
SEED = 5
PROFILE = """fleet: bench
profiles:
  idle: {command: [sleep, "9"]}
agents:
"""
PHASES = (*[Phase.WORKING] * 6, Phase.IDLE, Phase.WAITING, Phase.STALLED, Phase.RECOVERING)


def names(count: int) -> list[str]:
    return [f"a{number:05d}" for number in range(count)]


class StandIn:
    """A ledger with `count` agents below `place`, its lock held as a daemon holds it; changes on demand."""

    def __init__(self, place: Path, count: int) -> None:
        self.place, self.agents = place, names(count)
        self.config = place / "hhmrs.yaml"
        parents = {name: self.agents[number // TEAM] for number, name in enumerate(self.agents) if number}
        # In few words: a fleet file has its bounds.
        lines = [f"{name}: {{profile: idle, parent: {parents.get(name, 'null')}}}" for name in self.agents]
        self.config.write_text(PROFILE + "".join(f"  {line}\n" for line in lines))
        self.state = StateDir(place / "state", "bench")
        self.state.create()
        self.book = SqliteLedger(self.state.ledger, parents=parents)
        me, began = psutil.Process(), time.time() - AGE
        self.lock = DaemonLock(self.state)
        self.lock.acquire(
            Holder(me.pid, me.create_time(), "here", "0", str(self.config), "armed", began, ready=True)
        )
        self._chance = random.Random(SEED)  # noqa: S311 - only picks who changes
        self.book.append([Row(name, self._anybody(name, began)) for name in self.agents])
        self._stop = threading.Event()

    def _anybody(self, name: str, now: float) -> AgentState:
        state = AgentState(name, self._chance.choice(PHASES), now, 1, pid=1, created=1.0, alive=True)
        told = f"step {self._chance.randrange(1000)} of the work"
        task = Task("task", "do the work", ticking_since=now)
        return anew(replace(state, ready=True, message=told, progress=self._chance.random(), task=task), now)

    @contextmanager
    def changing(self) -> Generator[None]:
        self._stop.clear()
        writer = threading.Thread(target=self._change)
        writer.start()
        try:
            yield
        finally:
            self._stop.set()
            writer.join()

    def _change(self) -> None:
        begun = time.monotonic()
        for turn in range(1_000_000):
            if self._stop.wait(max(0.0, begun + turn / 10 - time.monotonic())):
                return
            self.book.append(
                [self._change_of(self._chance.choice(self.agents)) for _ in range(CHANGES // 10)]
            )

    def _change_of(self, name: str) -> Row:
        now = time.time()
        state = self._anybody(name, now)
        if self._chance.random() > 0.1:
            return Row(name, state)
        fields: dict[str, object] = {"from": "idle", "to": state.phase.value, "why": "it says so"}
        return Row(name, state, (Happening("agent_phase", name, now, None, fields),))

    def close(self) -> None:
        self.lock.release()
        self.book.close()


def measure(house: StandIn, argv: list[str], sign: bytes, seconds: float) -> dict[str, Any]:
    """`sign`: what stands before the name of the selected agent, as a pattern."""
    environment = {k: v for k, v in os.environ.items() if k not in SPARED}
    environment |= {"HOME": str(house.place), "HHMRS_STATE_DIR": str(house.place / "state")}
    fresh = _first_start(house, argv, environment, sign)
    program = Pressed(argv, environment, SIZE)
    try:
        first = program.wait_for(sign, house.agents[0].encode(), 60.0)
        if first is None:
            raise SystemExit(f"{argv} shows no agents")
        own = program.wait_for(b"", OWN, 3.0)
        time.sleep(WARM)
        idle = program.cpu(seconds)
        with house.changing():
            time.sleep(SETTLES)
            cpu = program.cpu(seconds)
            used, began = program.used(), time.perf_counter()
            waits = walk(program, house.agents, sign, seconds)
            cpu_keys = (program.used() - used) / (time.perf_counter() - began) * 100
        return {
            "paint_ms": round(first * 1000),
            "own_ms": round((own or first) * 1000),
            "fresh_ms": round(fresh * 1000),
            "key_ms": spread([wait for wait in waits if wait is not None]),
            "keys": len(waits),
            "missed": waits.count(None),
            "cpu": round(cpu, 1),
            "cpu_keys": round(cpu_keys, 1),
            "idle": round(idle, 2),
            "rss": round(program.memory(), 1),
        }
    finally:
        program.close()


def _first_start(house: StandIn, argv: list[str], environment: dict[str, str], sign: bytes) -> float:
    """Seconds to the first paint of the first start by this fleet file."""
    program = Pressed(argv, environment, SIZE)
    try:
        first = program.wait_for(sign, house.agents[0].encode(), 60.0)
        if first is None:
            raise SystemExit(f"{argv} shows no agents")
        program.wait_for(b"", OWN, 5.0)
        return first
    finally:
        program.close()


def walk(program: Pressed, agents: list[str], sign: bytes, seconds: float) -> list[float | None]:
    """Down and up again over the first screenful, where the parents' lines are."""
    waits: list[float | None] = []
    at, step, until = 0, 1, time.perf_counter() + seconds
    order = in_order(agents)
    while time.perf_counter() < until:
        step = -1 if at >= SIZE[1] - 12 else 1 if at == 0 else step
        at += step
        wait = program.press(b"\x1b[B" if step > 0 else b"\x1b[A", sign, order[at].encode())
        waits.append(wait)
        time.sleep(max(0.0, BETWEEN - (wait or 0.0)))
    return waits


def in_order(agents: list[str]) -> list[str]:
    """The agents as a tree stands on the screen: each followed by what is below it."""
    below: dict[int, list[int]] = {}
    for number in range(1, len(agents)):
        below.setdefault(number // TEAM, []).append(number)
    found, todo = list[str](), [0]
    while todo:
        number = todo.pop()
        found.append(agents[number])
        todo += reversed(below.get(number, []))
    return found


def spread(waits: list[float]) -> dict[str, float]:
    """Milliseconds."""
    if not waits:
        return {}
    ordered = sorted(waits)
    at = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    return {name: round(ordered[int((len(ordered) - 1) * part)] * 1000, 1) for name, part in at.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agents", default="1000,5000")
    parser.add_argument("--seconds", type=float, default=15.0)
    options = parser.parse_args()
    found: dict[str, Any] = {"python": platform.python_version(), "load": os.getloadavg()[0]}
    table = str(Path(__file__).with_name("table.py"))
    for count in map(int, options.agents.split(",")):
        with room() as place:
            house = StandIn(place, count)
            try:
                ours = [sys.executable, "-m", "hhmrs", "--config", str(house.config)]
                theirs = [sys.executable, table, str(house.config), str(house.place / "state")]
                found[str(count)] = {
                    "hhmrs": measure(house, ours, "▌(?s:.){0,30}".encode(), options.seconds),
                    "datatable": measure(house, theirs, "» ".encode(), options.seconds),
                }
            finally:
                house.close()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
