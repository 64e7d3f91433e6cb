"""What it costs to say what every agent is doing, and how often that is wrong.

    .venv/bin/python bench/fusion.py [--agents 1000] [--hours 24] [--seeds 3]

`evidence_us`: one piece of evidence through evolve and due, microseconds: output nobody looked at, a measure,
a changed file; `judged_us`: the whole finding of one agent, and the part of it that decide needs.
`status_ms`: the fleet as `status` shows it, for a reader that keeps what it read (`kept`, nothing written
since; `one_in_a_hundred` written since) beside one that reads every state anew (`anew`).
`false_alarms`: slow agents on a simulated clock, soundly at work with long pauses, HOURS each per seed: with
a threshold that their own pauses raise (`own_pauses`) beside the policy's alone (`fixed`). Prints one JSON
document; times are the least of several runs, of the process's own CPU.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy, Profile, Seat
from hhmrs.config.paths import StateDir
from hhmrs.controller.daemon.brain import Brain
from hhmrs.controller.daemon.live_values import live_values
from hhmrs.controller.ledger.writer import LedgerReader, SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.controller.reports.known import SURE_AFTER, KnownStates
from hhmrs.controller.reports.views import fleet_view
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState
from hhmrs.healing.codec import dump_state
from hhmrs.healing.decide import due
from hhmrs.healing.detect import judge, noticed
from hhmrs.healing.evolve import evolve
from hhmrs.healing.replacing import replace
from hhmrs.healing.simulate import CALM, Simulation
from hhmrs.healing.transitions import first_state

RUNS = 5
CALLS = 5_000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--agents", type=int, default=1000)
    options.add_argument("--hours", type=float, default=24.0)
    options.add_argument("--seeds", type=int, default=3)
    given = options.parse_args()
    spec = agent("a1")
    at_work = busy(spec, time.time())
    document = {
        "evidence_us": evidence(at_work, spec),
        "judged_us": judged(at_work, spec),
        "status_ms": {"agents": given.agents, **status(given.agents)},
        "false_alarms": false_alarms(given.hours, given.seeds),
    }
    print(json.dumps(document, indent=2))


def agent(name: str, **policy: float) -> AgentSpec:
    profile = Profile(name="shell")
    rules = Policy.model_validate(policy)
    return AgentSpec(id=name, title=name, seats=(Seat(profile=profile),) * 2, workspace=Path("/nowhere"),
                     liveness=profile.liveness, prompt="work", policy=rules)  # fmt: skip


def busy(spec: AgentSpec, now: float) -> AgentState:
    """An agent with a full memory of what it printed."""
    s = first_state(spec, now - 400).state
    s = evolve(s, e.ProcessStarted(spec.id, now - 400, 1, 5, 1.0, "%1"), spec).state
    for number in range(300):
        line = f"line {'abcdefghij'[number % 10] * (number // 10 + 1)}"
        s = evolve(s, e.OutputSeen(spec.id, now - 390 + number, (line,)), spec).state
    return s


def evidence(s: AgentState, spec: AgentSpec) -> dict[str, float]:
    now = s.last_life + 5
    kinds: dict[str, e.Evidence] = {
        "output": e.OutputSeen(s.id, now),
        "measure": e.ProcessMeasured(s.id, now, True, (), False, 1.0, 1.0, 1, now - 2),
        "file": e.FileChanged(s.id, now, "x.py"),
    }

    def through(one: e.Evidence) -> Callable[[], object]:
        return lambda: due(evolve(s, one, spec).state, spec)

    return {kind: least(through(one), CALLS, 1e6) for kind, one in kinds.items()}


def judged(s: AgentState, spec: AgentSpec) -> dict[str, float]:
    now = s.last_life + 5
    return {
        "finding": least(lambda: judge(s, spec, now), CALLS, 1e6),
        "what_decide_needs": least(lambda: noticed(s, spec, now), CALLS, 1e6),
    }


def status(count: int) -> dict[str, float]:
    names = [f"a{number:05}" for number in range(count)]
    specs = {name: agent(name) for name in names}
    now = time.time()
    state = busy(agent("a1"), now)
    with tempfile.TemporaryDirectory(prefix="hhmrs-bench-") as root:
        place = Path(root)
        folder = StateDir(place / "state", "bench")
        folder.create()
        fleet = FleetSpec(fleet="bench", path=place / "f.yaml", policy=Policy(), agents=specs, profiles={})
        book = SqliteLedger(folder.ledger)
        try:
            write(book, state, names)
            return read(book, folder, fleet, state, names)
        finally:
            book.close()


def write(book: SqliteLedger, state: AgentState, names: list[str]) -> None:
    book.append([Row(name, dump_state(replace(state, id=name))) for name in names])
    book.beat({name: live_values(state) for name in names})


def read(
    book: SqliteLedger, folder: StateDir, fleet: FleetSpec, state: AgentState, names: list[str]
) -> dict[str, float]:
    reader, known = LedgerReader(book.path), KnownStates()

    def look(what: KnownStates) -> object:
        return fleet_view(folder, fleet, time.time(), reader=reader, known=what).as_json()

    time.sleep(SURE_AFTER + 1.0)  # until no second write can bear the same time
    look(known)
    found = {"anew": least(lambda: look(KnownStates()), 1, 1e3), "kept": least(lambda: look(known), 1, 1e3)}
    some = names[:: max(1, len(names) // 100)][: max(1, len(names) // 100)]
    times = []
    for _ in range(RUNS):
        write(book, state, some)
        times.append(least(lambda: look(known), 1, 1e3, runs=1))
    reader.close()
    return found | {"one_in_a_hundred": min(times)}


def false_alarms(hours: float, seeds: int) -> dict[str, object]:
    def alarms(*, patient: bool) -> list[int]:
        found = []
        for seed in range(seeds):
            agents = {f"a{number}": agent(f"a{number}", task_deadline=1e6) for number in range(10)}
            fleet = FleetSpec(fleet="bench", path=Path("/f"), policy=Policy(), agents=agents, profiles={})
            run = Simulation(fleet, f"fusion-{seed}", Brain, behaviour="slow", faults=CALM, patient=patient)
            found.append(run.run(hours).false_alarms)
        return found

    return {"agent_hours": 10 * hours * seeds, "own_pauses": alarms(patient=True),
            "fixed": alarms(patient=False)}  # fmt: skip


def least(work: Callable[[], object], calls: int, unit: float, runs: int = RUNS) -> float:
    """The least time of a call over several runs, in `unit`s of a second (1e6: microseconds)."""
    times = []
    for _ in range(runs):
        began = time.process_time()
        for _ in range(calls):
            work()
        times.append((time.process_time() - began) / calls)
    return round(min(times) * unit, 2)


if __name__ == "__main__":
    main()
