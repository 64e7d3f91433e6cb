"""What a round of the engine costs with 10,000 agents, and what a second of much evidence costs with 1,000.

    .venv/bin/python bench/tick.py [--agents 10000] [--ticks 100] [--seconds 10]

`tick`: in each tick one agent of a hundred has been silent for too long; each gets its incident, its events
and the order to be nudged. `decided`: the whole turn with a ledger that takes everything at once;
`committed`: with the real one, on disk and synced. Beside them, over the same agents, `every_agent`: asking
each agent in each tick whether its time has come, and deciding about the same hundred; nothing is written.
`p50` and `p99` are by the clock on the wall, `cpu` is the median of what the loop's own thread used. After
each tick a fixed piece of work is timed that touches no memory: `alone` is the median of the ticks beside
which that took at most a tenth longer than its quickest quarter, `share` how many of all those were. Where
others use the same core, ticks are slower by up to twice, and that work is slower too.

`evidence`: `RATE` pieces a second of what sources see, put in by another thread one by one, for SECONDS, with
the real clock and ledger; `cpu` is percent of one core without that thread. Beside it `standing_still`, the
same engine when nothing comes. Nobody carries anything out: nudges are said to be done. Prints one JSON
document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hhmrs.bench.room import room
from hhmrs.config.fleet import AgentSpec, Cascade, FleetSpec, Policy, Profile, Recoveries, Seat
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.daemon.engine import Engine, Writer
from hhmrs.controller.daemon.garbage import spare_what_is_there
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Clock, Row
from hhmrs.controller.recovery.perform import Outcome
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Phase, Task
from hhmrs.healing.decide import decide, due
from hhmrs.healing.repeats import RECENT, STARTUP, Memory
from hhmrs.healing.transitions import anew

SHARE = 100
"""One agent of so many is due in each tick."""
BETWEEN = 0.1
"""Engine seconds from tick to tick."""
BUSY_AGENTS = 1_000
RATE = 400
SEED = 11

WORK = 30_000
"""Rounds of the fixed work: some 2 ms."""

Spent = list[tuple[float, float, float]]
"""Of each tick: seconds on the clock and of the loop's thread on a core; of the fixed work after it."""


def fixed_work() -> float:
    """Seconds that the same work takes now."""
    began, x = time.thread_time(), 0
    for number in range(WORK):
        x = (x * 31 + number) & 0xFFFF
    return time.thread_time() - began


class SetClock:
    """Engine time as the benchmark wants it."""

    def __init__(self) -> None:
        self.at = 1_000_000.0

    def now(self) -> float:
        return self.at


class TakesAll:
    """A ledger that costs nothing."""

    async def commit(self, rows: list[Row]) -> None:  # noqa: ARG002 - the signature of the real one
        return None


class SaysDone:
    """Carries out nothing and says that it did."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def perform(self, action: a.Action, state: AgentState) -> Outcome:  # noqa: ARG002 - the signature of the real one
        return Outcome([e.StepFinished(action.agent, self._clock.now(), action.key, ok=True)])


@contextmanager
def ledger(place: Path) -> Generator[SqliteLedger]:
    book = SqliteLedger(place / "ledger.db")
    try:
        yield book
    finally:
        book.close()


def fleet(count: int) -> FleetSpec:
    # Nobody is held back: a hundred that are nudged is what is measured, with the guards that look on.
    many = 100_000
    policy = Policy(cascade=Cascade(at_least=many), recoveries=Recoveries(at_least=many))
    profile = Profile(name="shell")
    agents = {
        name: AgentSpec(
            id=name,
            title=name,
            seats=(Seat(profile=profile),),
            workspace=Path("/nowhere"),
            prompt="work",
            liveness=profile.liveness,
            policy=policy,
        )
        for name in (f"agent-{number:05d}" for number in range(count))
    }
    return FleetSpec(fleet="bench", path=Path("/nowhere"), policy=policy, agents=agents, profiles={})


def at_work(agent: str, now: float, chance: random.Random) -> AgentState:
    """A state as it is after some hours: all that it may remember, it remembers."""
    memory = Memory(
        tuple(chance.getrandbits(64) for _ in range(RECENT)),
        tuple(chance.getrandbits(64) for _ in range(STARTUP)),
    )
    task = Task("task", "work", ticking_since=now)
    state = AgentState(agent, Phase.WORKING, now, 1, pid=1, created=1.0, pane="%1", alive=True, task=task)
    return anew(replace(state, ready=True, memory=memory), now)


def engine(spec: FleetSpec, clock: Clock, writer: Writer) -> Engine:
    return Engine(spec, clock, writer, SaysDone(clock), lambda _: None)


async def settle(one: Engine) -> None:
    """Have turns until nothing is left to be done."""
    for _ in range(3):
        while any(one.busy(agent) for agent in one.states):  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.001)
        await one.turn()


async def ticks(spec: FleetSpec, writer: Writer, count: int) -> Spent:
    """What each of `count` turns took."""
    clock, chance = SetClock(), random.Random(SEED)  # noqa: S311 - only spreads the deadlines
    one = engine(spec, clock, writer)
    begin, each = clock.at, max(1, len(spec.agents) // SHARE)
    for number, agent in enumerate(spec.agents):
        one.restore(at_work(agent, begin + BETWEEN * (number // each), chance))
    one.reschedule_all()
    for _ in range(len(spec.agents) // 1000 + 2):
        await one.turn()
    first = begin + spec.policy.silence
    while clock.at < first - 1:  # not in one leap, which would be a sleep of the engine itself
        clock.at += 0.9
        await one.turn()
    spare_what_is_there()  # as the daemon does when its agents are there
    found: Spent = []
    for number in range(count):
        clock.at = first + BETWEEN * (number + 0.5)
        began, used = time.perf_counter(), time.thread_time()
        await one.turn()
        took = time.perf_counter() - began, time.thread_time() - used
        found.append((*took, fixed_work()))
        await settle(one)
    stalled = sum(s.incident is not None for s in one.states.values())
    if stalled != count * each:
        raise SystemExit(f"{stalled} agents were found silent, not {count * each}")
    return found


def every_agent(spec: FleetSpec, count: int) -> Spent:
    """What each tick takes when every agent is asked."""
    chance = random.Random(SEED)  # noqa: S311 - only spreads the deadlines
    begin, each = 1_000_000.0, max(1, len(spec.agents) // SHARE)
    states = {
        agent: at_work(agent, begin + BETWEEN * (number // each), chance)
        for number, agent in enumerate(spec.agents)
    }
    found: Spent = []
    for number in range(count):
        now = begin + spec.policy.silence + BETWEEN * (number + 0.5)
        began, used = time.perf_counter(), time.thread_time()
        for agent, state in states.items():
            at = due(state, spec.agents[agent])
            if at is not None and at <= now:
                states[agent] = decide(state, spec.agents[agent], now).state
        took = time.perf_counter() - began, time.thread_time() - used
        found.append((*took, fixed_work()))
    return found


def seen(agents: Sequence[str], chance: random.Random, now: float) -> e.Evidence:
    """Something that a source might have seen just now."""
    agent, kind = chance.choice(agents), chance.random()
    if kind < 0.4:
        return e.OutputSeen(agent, now)
    if kind < 0.5:
        return e.OutputSeen(agent, now, (f"step {chance.choice('abcdefgh')} of the work",))
    if kind < 0.8:
        return e.ProcessMeasured(agent, now, True, (), False, 1.0, 80.0, 4, now - 2)
    if kind < 0.9:
        return e.FileChanged(agent, now, "src/parser.py")
    return e.BeatReceived(agent, now, "executing", 0.5, "half way")


async def evidence(spec: FleetSpec, place: Path, rate: float, seconds: float) -> dict[str, float]:
    """CPU of an engine that is told `rate` things a second, in percent of one core; 0: nothing."""
    clock, chance, own = SteadyClock(), random.Random(SEED), [0.0]  # noqa: S311 - only picks what is seen
    agents = list(spec.agents)
    with ledger(place) as book:
        one = engine(spec, clock, book)
        for agent in agents:
            one.restore(at_work(agent, clock.now(), chance))

        def tell() -> None:
            began = time.monotonic()
            for number in range(round(rate * seconds)):
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
                one.emit(seen(agents, chance, clock.now()))
            own[0] = time.thread_time()

        running = asyncio.create_task(one.run())
        await asyncio.sleep(2.0)
        began, used, teller = time.monotonic(), time.process_time(), threading.Thread(target=tell)
        teller.start()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(teller.join)
        used = time.process_time() - used - own[0]
        over = time.monotonic() - began
        one.stop()
        await running
    told = {} if not rate else {"each_us": round(used / (rate * seconds) * 1e6)}
    return {"cpu": round(used / over * 100, 2)} | told


def spread(spent: Spent) -> dict[str, float]:
    """Milliseconds."""
    clock, used, work = (sorted(column) for column in zip(*spent, strict=True))
    last = len(spent) - 1
    alone = sorted(took for took, _, beside in spent if beside <= 1.1 * work[last // 4])
    found = {
        "p50": clock[last // 2],
        "p99": clock[int(last * 0.99)],
        "cpu": used[last // 2],
        "alone": alone[(len(alone) - 1) // 2],
    }
    told = {name: round(value * 1000, 2) for name, value in found.items()}
    return told | {"share": round(len(alone) / len(spent), 2)}


def measure(agents: int, count: int, seconds: float) -> dict[str, Any]:
    spec, busy = fleet(agents), fleet(BUSY_AGENTS)
    with room() as place:
        decided = asyncio.run(ticks(spec, TakesAll(), count))
        with ledger(place) as book:
            committed = asyncio.run(ticks(spec, book, count))
        visited = every_agent(spec, count)
        (place / "busy").mkdir()
        (place / "still").mkdir()
        return {
            "python": platform.python_version(),
            "load": os.getloadavg()[0],
            "tick": {
                "agents": agents,
                "due": max(1, agents // SHARE),
                "ticks": count,
                "ms": {
                    "decided": spread(decided),
                    "committed": spread(committed),
                    "every_agent": spread(visited),
                },
            },
            "evidence": {
                "agents": BUSY_AGENTS,
                "a_second": RATE,
                "busy": asyncio.run(evidence(busy, place / "busy", RATE, seconds)),
                "standing_still": asyncio.run(evidence(busy, place / "still", 0.0, seconds)),
            },
        }


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--agents", type=int, default=10_000)
    given.add_argument("--ticks", type=int, default=100)
    given.add_argument("--seconds", type=float, default=10)
    words = given.parse_args()
    print(json.dumps(measure(words.agents, words.ticks, words.seconds), indent=2))
