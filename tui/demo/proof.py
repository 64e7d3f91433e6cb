"""Was every trouble of the demo met as it should be? Judged twice: by the fleet's own events, and from
outside by what lies in the agents' workspaces, which no supervisor writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...controller.ports import Event
from ...controller.timestamps import from_iso
from ...controller.workspaces.marker import NAME as MARKER
from .fleet import CAST, Part
from .scripted import JOURNAL, RUNAWAY

UNEXPECTED = frozenset({"hhmrs_cascade", "agent_letter_refused", "agent_adopted"})
SLACK = 0.1
"""Seconds by which a journal's line may be later than the file whose change was the proof."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal: a subtask that an attempt did. `resumed` is None but on an attempt's first."""

    subtask: str
    attempt: int
    at: str
    result: str
    resumed: tuple[str, ...] | None
    found: tuple[str, ...]
    runaway_alive: bool | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one agent. `proof`: what the supervisor took as proof; `outside`: what its workspace
    shows; `faults`: everything that is not as it should be, empty when all is proved."""

    agent: str
    title: str
    trouble: str
    cause: str = ""
    strategy: str = ""
    proof: str = ""
    seconds: float | None = None
    outside: str = ""
    faults: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.faults

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found beside the event log when the demo was over."""

    folder: Path
    subtasks: int
    notified: Mapping[str, int] | None
    """Notifications that arrived, per agent's title; None when this machine has no Apprise to send them."""
    living: frozenset[str]
    """Agents whose runaway child was still alive after they had been recovered."""


def read_journal(workspace: Path) -> list[Entry]:
    """The journal's entries in order; none when there is no journal. Raises ValueError on a damaged one."""
    try:
        text = (workspace / JOURNAL).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [_entry(json.loads(line)) for line in text.splitlines()]


def _entry(raw: dict[str, Any]) -> Entry:
    resumed = raw.get("resumed")
    return Entry(
        subtask=raw["subtask"],
        attempt=raw["attempt"],
        at=raw["at"],
        result=raw["result"],
        resumed=None if resumed is None else tuple(resumed),
        found=tuple(raw.get("found", ())),
        runaway_alive=raw.get("runaway_alive"),
    )


def runaway_child(workspace: Path) -> tuple[int, float] | None:
    """Pid of the child that was left behind, and when (seconds since the epoch); None when none was."""
    try:
        raw = json.loads((workspace / RUNAWAY).read_bytes())
        return int(raw["pid"]), float(raw["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def of_agent(events: Iterable[Event], agent: str, *types: str) -> list[Event]:
    return [e for e in events if e.agent == agent and (not types or e.type in types)]


def settled(part: Part, events: Sequence[Event], folder: Path, notified: Mapping[str, int] | None) -> bool:
    """Whether nothing more is to be expected of this agent."""
    if part.trouble == "escalate":
        told = notified is None or part.title in notified
        marker = part.workspace(folder) / MARKER
        return told and marker.is_file() and bool(of_agent(events, part.id, "hhmrs_failure"))
    if not of_agent(events, part.id, "agent_done"):
        return False
    return not part.expected or bool(of_agent(events, part.id, "hhmrs_recovered"))


def judge(part: Part, events: Sequence[Event], findings: Findings) -> Verdict:
    """The verdict on one agent."""
    if part.trouble == "escalate":
        return _judge_escalated(part, events, findings)
    if part.expected:
        return _judge_recovered(part, events, findings)
    return _judge_quiet(part, events, findings)


def unexpected(events: Sequence[Event]) -> list[str]:
    """Events that this fleet must not see at all, in words."""
    cast = {part.id for part in CAST}
    strange = [e for e in events if e.type in UNEXPECTED or (e.agent and e.agent not in cast)]
    return [f"{e.type} of {e.agent or 'the fleet'} {e.data.get('reason', '')}".rstrip() for e in strange]


def _judge_recovered(part: Part, events: Sequence[Event], findings: Findings) -> Verdict:
    recovered = of_agent(events, part.id, "hhmrs_recovered")
    faults = _one_incident(part, events)
    if not recovered:
        return Verdict(part.id, part.title, part.trouble, faults=(*faults, "it was never recovered"))
    event = recovered[0]
    strategy = str(event.data.get("strategy", ""))
    if strategy not in part.expected:
        faults.append(f"brought back by {strategy}, expected {' or '.join(sorted(part.expected))}")
    if not event.data.get("proof"):
        faults.append("the event names no proof")
    outside, more = _outside(part, event.at, findings)
    more += _backed(part, events, event, findings)
    return Verdict(
        part.id, part.title, part.trouble,
        cause=str(event.data.get("cause") or _cause(part, events)),
        strategy=strategy,
        proof=str(event.data.get("proof", "")),
        seconds=float(event.data.get("seconds", 0.0)),
        outside=outside,
        faults=(*faults, *more),
    )  # fmt: skip


def _cause(part: Part, events: Sequence[Event]) -> str:
    incidents = of_agent(events, part.id, "agent_incident")
    return str(incidents[0].data.get("cause", "")) if incidents else ""


def _one_incident(part: Part, events: Sequence[Event]) -> list[str]:
    count = len(of_agent(events, part.id, "agent_incident"))
    return [] if count == 1 else [f"{count} incidents, expected 1"]


def _outside(part: Part, recovered_at: str, findings: Findings) -> tuple[str, list[str]]:
    """What the journal shows of a recovered agent, and what is wrong with it."""
    entries = read_journal(part.workspace(findings.folder))
    faults = _each_once(part, entries, findings.subtasks)
    after = [e for e in entries if e.at > recovered_at]
    if not after:
        faults.append("the journal has no entry after the recovery")
    words = [f"{len(entries)} subtasks, each once, {len(after)} after the recovery"]
    if part.trouble in ("resume", "loop", "runaway"):
        faults += _resumed(entries)
        words.append(f"{sum(1 for e in entries if e.attempt == 1)} kept by the checkpoint")
    if part.trouble == "nudge" and {e.attempt for e in entries} != {1}:
        faults.append("a nudge must not change the attempt")
    if part.trouble == "runaway":
        faults += _runaway(part, entries, findings)
        words.append("its runaway child is dead")
    return ", ".join(words), faults


def _backed(part: Part, events: Sequence[Event], recovered: Event, findings: Findings) -> list[str]:
    """The agent must have done something between the act that was to bring it back and the proof of it:
    late news of what it did before that act proves nothing."""
    acts = [e for e in of_agent(events, part.id, "hhmrs_nudge", "agent_started") if e.seq < recovered.seq]
    if not acts:
        return ["nothing was done to bring it back"]
    began, proved = from_iso(acts[-1].at), from_iso(recovered.at)
    entries = read_journal(part.workspace(findings.folder))
    if any(began < from_iso(e.at) <= proved + SLACK for e in entries):
        return []
    return [f"called recovered {proved - began:.1f} s after {acts[-1].type}, but it had done nothing since"]


def _each_once(part: Part, entries: Sequence[Entry], subtasks: int) -> list[str]:
    wanted = [f"{part.role}-{n:02d}" for n in range(1, subtasks + 1)]
    names = [e.subtask for e in entries]
    twice = sorted({n for n in names if names.count(n) > 1})
    missing = [n for n in wanted if n not in names]
    faults = [f"done more than once: {', '.join(twice)}"] if twice else []
    return [*faults, f"never done: {', '.join(missing)}"] if missing else faults


def _resumed(entries: Sequence[Entry]) -> list[str]:
    """The attempt after the first must have begun from exactly what the first had checkpointed."""
    before = [e.subtask for e in entries if e.attempt == 1]
    later = next((e for e in entries if e.attempt > 1 and e.resumed is not None), None)
    if not before or later is None:
        return ["no later attempt carried the work of the first on"]
    if sorted(later.resumed or ()) != sorted(before):
        return [f"the checkpoint held {len(later.resumed or ())} of the {len(before)} subtasks done before"]
    return []


def _runaway(part: Part, entries: Sequence[Entry], findings: Findings) -> list[str]:
    faults = []
    later = next((e for e in entries if e.attempt > 1 and e.resumed is not None), None)
    if later is None or later.runaway_alive is not False:
        faults.append("the new attempt began while the runaway child of the old one lived")
    if part.id in findings.living:
        faults.append("its runaway child still lives")
    return faults


def _judge_escalated(part: Part, events: Sequence[Event], findings: Findings) -> Verdict:
    faults = _one_incident(part, events)
    failures = of_agent(events, part.id, "hhmrs_failure")
    if len(failures) != 1:
        faults.append(f"{len(failures)} hhmrs_failure events, expected 1")
    if not (part.workspace(findings.folder) / MARKER).is_file():
        faults.append(f"no {MARKER} in its workspace")
    told, fault = _notified(part, findings)
    faults += fault
    if of_agent(events, part.id, "hhmrs_recovered"):
        faults.append("it was called recovered")
    tried = [str(e.data.get("strategy") or e.type.removeprefix("hhmrs_")) for e in
             of_agent(events, part.id, "hhmrs_resume", "hhmrs_restart", "hhmrs_reassign")]  # fmt: skip
    if "restart" not in tried or "reassign" not in tried:
        faults.append(f"tried only {', '.join(tried) or 'nothing'} before it gave up")
    seconds = _between(of_agent(events, part.id, "agent_incident"), failures)
    return Verdict(
        part.id, part.title, part.trouble, cause=_cause(part, events), strategy="escalate",
        proof=str(failures[0].data.get("reason", "")) if failures else "", seconds=seconds,
        outside=f"{MARKER} written, {told}, tried {', '.join(tried)}", faults=tuple(faults),
    )  # fmt: skip


def _notified(part: Part, findings: Findings) -> tuple[str, list[str]]:
    if findings.notified is None:
        return "notification not checked (Apprise is not installed)", []
    count = findings.notified.get(part.title, 0)
    return f"{count} notification", [] if count == 1 else [f"{count} notifications arrived, expected 1"]


def _between(first: Sequence[Event], last: Sequence[Event]) -> float | None:
    if not first or not last:
        return None
    return round(from_iso(last[0].at) - from_iso(first[0].at), 3)


def _judge_quiet(part: Part, events: Sequence[Event], findings: Findings) -> Verdict:
    """An agent that is to be left alone: working, limited, or waiting for its answer."""
    touched = sorted({e.type for e in of_agent(events, part.id)
                      if e.type.startswith("hhmrs_") or e.type == "agent_incident"})  # fmt: skip
    faults = [f"it was not left alone: {', '.join(touched)}"] if touched else []
    entries = read_journal(part.workspace(findings.folder))
    faults += _each_once(part, entries, findings.subtasks)
    if {e.attempt for e in entries} - {1}:
        faults.append("it was started again")
    phases = [str(e.data.get("to")) for e in of_agent(events, part.id, "agent_phase")]
    wanted = {"limit": "limited", "ask": "waiting"}.get(part.trouble)
    if wanted and wanted not in phases:
        faults.append(f"it never was {wanted}")
    if part.trouble == "ask" and not any("by size" in e.result for e in entries):
        faults.append("the answer never reached it")
    outside = f"{len(entries)} subtasks, each once, in one attempt"
    proof = {"limit": "limited, then by itself", "ask": "asked, then answered"}.get(
        part.trouble, "undisturbed"
    )
    return Verdict(part.id, part.title, part.trouble, proof=proof, outside=outside, faults=tuple(faults))
