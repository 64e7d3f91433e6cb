"""How soon a letter is understood, and what becomes of 2,000 letters a second: our daemon, and other ways.

    .venv/bin/python bench/letters.py [--rounds 300] [--seconds 10] [--rate 2000]

`latency`: one agent says in turn that it waits and that it works; from the rename of its letter until the new
phase is committed in the ledger, where everybody sees it. Beside it, over the same letters, two other ways:
`look_each_second`, a program that lists the folder once a second and has read the letter then, and
`one_process`, an agent that starts `hhmrs beat` for each letter (the same way in, an interpreter before it).

`flood`: `WRITERS` processes write into the inboxes of `AGENTS` agents, beats, checkpoints and questions. What
is in the ledger afterwards is compared with what was written. Meanwhile an agent with little to say asks
questions, and a person gives orders; how long both wait is told as well. `daemon_cpu` is percent of one core
during the flood, `backlog` what lay unread when the last letter was written, `drained_after_s` how long it
took from then on. Prints one JSON document; milliseconds, MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hhmrs.bench.idle import cpu, memory
from hhmrs.bench.rivals import PATIENCE, until
from hhmrs.bench.room import OwnFleet, room
from hhmrs.bench.scribe import write
from hhmrs.controller.ledger.writer import LedgerReader
from hhmrs.controller.ports import Event
from hhmrs.controller.timestamps import to_iso

AGENTS = 8
WRITERS = 4
PROCESSES = 30
"""Letters written by a process each; one takes as long as a hundred renames."""
BETWEEN = 0.02
"""Seconds between the letters of the latency part: each comes after a quiet moment."""
POLL = 0.0003
"""Seconds between two looks into the ledger; the figures are late by half of it, and by the look itself."""
HERE = Path(__file__).parent


class Ledger:
    """Sees events come, in the order in which they are committed."""

    def __init__(self, fleet: OwnFleet) -> None:
        self._reader = fleet.read()
        self.seq = max((event.seq for event in self._reader.events()), default=0)

    def wait(self, holds: Callable[[Event], bool], what: str) -> float:
        """The moment (monotonic) in which such an event was there to be read."""
        over = time.monotonic() + PATIENCE
        while time.monotonic() < over:
            events = self._reader.events(self.seq)
            now = time.monotonic()
            for event in events:
                self.seq = event.seq
                if holds(event):
                    return now
            time.sleep(POLL)
        raise SystemExit(f"not within {PATIENCE:g} s: {what}")

    def close(self) -> None:
        self._reader.close()


def spread(delays: Sequence[float]) -> dict[str, float]:
    """Milliseconds of seconds."""
    ordered = sorted(delays)
    at = {"median": 0.5, "p99": 0.99}
    shown = {name: ordered[min(len(ordered) - 1, int(len(ordered) * part))] for name, part in at.items()}
    return {name: round(value * 1000, 2) for name, value in (shown | {"worst": ordered[-1]}).items()}


class ListsEachSecond:
    """What a supervisor does that looks once a second: it lists a folder and reads what is new."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[str] = set()
        self.seen: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(1.0):
            for path in self._folder.iterdir():
                if path.name not in self._known:
                    self._known.add(path.name)
                    json.loads(path.read_text())
                    self.seen[path.name] = time.monotonic()


def to_phase(agent: str, phase: str) -> Callable[[Event], bool]:
    return lambda event: event.type == "agent_phase" and event.agent == agent and event.data["to"] == phase


def holding(field: str, text: str) -> Callable[[Event], bool]:
    return lambda event: event.data.get(field) == text


def turns(rounds: int) -> list[tuple[str, str]]:
    """(state of the beat, phase it leads to), in turn."""
    both = (("awaiting_approval", "waiting"), ("executing", "working"))
    return [both[number % 2] for number in range(rounds)]


def latency(fleet: OwnFleet, place: Path, rounds: int) -> dict[str, Any]:
    inbox = fleet.state.inbox_of("agent-1")
    other = place / "looked" / "agent-1"
    for part in ("tmp", "new"):
        (other / part).mkdir(parents=True)
    ledger, looker = Ledger(fleet), ListsEachSecond(other / "new")
    ours: list[float] = []
    theirs: dict[str, float] = {}
    try:
        for number, (state, phase) in enumerate(turns(rounds)):
            name = f"{time.time_ns()}.{number}"
            theirs[name] = write(other, name, "beat", state=state)
            began = write(inbox, name, "beat", state=state)
            ours.append(ledger.wait(to_phase("agent-1", phase), f"phase {phase}") - began)
            time.sleep(BETWEEN)
        until(lambda: len(looker.seen) == rounds, "the look at the last letter", PATIENCE)
        process = [one_process(fleet, ledger, state, phase) for state, phase in turns(PROCESSES)]
    finally:
        looker.end()
        ledger.close()
    return {
        "letters": rounds,
        "hhmrs": spread(ours),
        "look_each_second": spread([looker.seen[name] - began for name, began in theirs.items()]),
        "one_process": {"letters": PROCESSES, **spread(process)},
    }


def one_process(fleet: OwnFleet, ledger: Ledger, state: str, phase: str) -> float:
    """Seconds from the start of `hhmrs beat` to the phase."""
    mine = {
        "HHMRS_INBOX": str(fleet.state.inbox_of("agent-1")),
        "HHMRS_AGENT": "agent-1",
        "HHMRS_FLEET": fleet.name,
        "HHMRS_ATTEMPT": "1",
    }
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "hhmrs", "beat", state], env=fleet.environment | mine, check=True)
    return ledger.wait(to_phase("agent-1", phase), f"phase {phase}") - began


def told(reader: LedgerReader, since: int) -> dict[str, Counter[str]]:
    """What the ledger holds of each agent: beats in all, checkpoints and questions after `since`."""
    found = {agent: Counter(beat=state["beats"]) for agent, state in reader.states().items()}
    kinds = {"checkpoint_stored": "checkpoint", "agent_asked": "ask"}
    for event in reader.events(since):
        if event.type in kinds and event.agent and event.data.get("by") != "supervisor":
            found[event.agent][kinds[event.type]] += 1
    return found


def waiting(fleet: OwnFleet, agents: Sequence[str]) -> int:
    return sum(len(list((fleet.state.inbox_of(agent) / "new").iterdir())) for agent in agents)


def aside(fleet: OwnFleet, over: threading.Event) -> tuple[list[float], list[float]]:
    """Seconds that an agent with little to say, and a person, wait until they are heard."""
    ledger = Ledger(fleet)
    asked: list[float] = []
    ordered: list[float] = []
    while not over.is_set():
        text = secrets.token_hex(8)
        began = write(fleet.state.inbox_of("quiet"), text, "ask", question=text)
        asked.append(ledger.wait(holding("question", text), "question") - began)
        began = order(fleet, text)
        ordered.append(ledger.wait(holding("letter", text), "order") - began)
        over.wait(0.2)
    ledger.close()
    return asked, ordered


def order(fleet: OwnFleet, name: str) -> float:
    """Have every agent looked at, as `hhmrs heal --check-now` does; the moment of its rename."""
    now = time.time()
    fields = {
        "id": name,
        "order": "heal",
        "agent": "",
        "by": "bench",
        "expires": to_iso(now + 60),
        "args": {},
    }
    return write(fleet.state.operator_inbox, name, "order", **fields)


def flood(fleet: OwnFleet, rate: float, seconds: float) -> dict[str, Any]:
    agents = [f"agent-{number}" for number in range(1, AGENTS + 1)]
    reader = fleet.read()
    since = max(event.seq for event in reader.events())
    before = told(reader, since)
    daemon, over = fleet.daemon_pid(), threading.Event()
    words = [str(rate / WRITERS), str(seconds), *(str(fleet.state.inbox_of(x)) for x in agents)]
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(aside, fleet, over)
        used, began, rested = cpu(daemon), time.monotonic(), memory(daemon)
        writers = [
            subprocess.Popen(
                [sys.executable, str(HERE / "scribe.py"), f"w{n}", *words], stdout=subprocess.PIPE
            )
            for n in range(WRITERS)
        ]
        said = [json.loads(writer.communicate()[0]) for writer in writers]
        backlog, ended = waiting(fleet, agents), time.monotonic()
        used = (cpu(daemon) - used) / (ended - began) * 100
        over.set()
        asked, ordered = beside.result()
        until(lambda: waiting(fleet, agents) == 0, "an empty inbox", PATIENCE)
    drained = time.monotonic() - ended
    written = {agent: sum((Counter(x["written"][agent]) for x in said), Counter()) for agent in agents}
    after = told(reader, since)
    reader.close()
    kinds = ("beat", "checkpoint", "ask")
    lost = {k: sum(written[a][k] - (after[a][k] - before[a][k]) for a in agents) for k in kinds}
    return {
        "letters": sum(sum(x.values()) for x in written.values()),
        "a_second": round(sum(sum(x.values()) for x in written.values()) / max(x["seconds"] for x in said)),
        "kinds": {kind: sum(x[kind] for x in written.values()) for kind in kinds},
        "lost": lost,
        "backlog": backlog,
        "drained_after_s": round(drained, 2),
        "daemon_cpu": round(used, 1),
        "daemon_mib": {"before": round(rested, 1), "after": round(memory(daemon), 1), "peak": peak(daemon)},
        "question_of_another": spread(asked),
        "order": spread(ordered),
    }


def peak(pid: int) -> float:
    """MiB at most so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024, 1)


def measure(rounds: int, rate: float, seconds: float) -> dict[str, Any]:
    sleeper = {"profile": "shell", "command": ["sleep", "100000"], "liveness": ["process"]}
    agents = {f"agent-{number}": sleeper for number in range(1, AGENTS + 1)} | {"quiet": sleeper}
    with room() as place:
        fleet = OwnFleet(place, agents, {})
        try:
            fleet.up()
            reader = fleet.read()
            started = ["agent_started"]
            until(lambda: len(reader.of_types(started)) == len(agents), "the start of all agents", PATIENCE)
            reader.close()
            first = latency(fleet, place, rounds)
            return {
                "python": platform.python_version(),
                "load": os.getloadavg()[0],
                "latency": first,
                "flood": flood(fleet, rate, seconds),
            }
        finally:
            fleet.end()


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--rounds", type=int, default=300)
    given.add_argument("--rate", type=float, default=2000)
    given.add_argument("--seconds", type=float, default=10)
    words = given.parse_args()
    print(json.dumps(measure(words.rounds, words.rate, words.seconds), indent=2))
