"""The recoveries of the whole ledger as records for arithmetic: actions, incidents, tasks, and what was only
observed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...healing.foreseen import Observation, Step
from ...healing.metrics import ActionRecord, IncidentRecord, TaskRecord
from ..ledger.queries import LedgerQueries
from ..ports import Event
from ..timestamps import from_iso

Seat = tuple[str | None, str | None]
"""Profile and model."""
_NOWHERE: Seat = (None, None)


@dataclass(frozen=True, slots=True)
class Recollection:
    """`incidents` are those that the supervisor acted on, or could have; `observed` the others."""

    actions: tuple[ActionRecord, ...] = ()
    incidents: tuple[IncidentRecord, ...] = ()
    tasks: tuple[TaskRecord, ...] = ()
    observed: tuple[Observation, ...] = ()
    now: float = 0.0
    """When the newest event was: how far the ledger goes."""

    def within(self, holds: Callable[[float], bool]) -> Recollection:
        """What began at such a time; of tasks, what ended then."""
        return replace(
            self,
            actions=tuple(a for a in self.actions if holds(a.at)),
            incidents=tuple(i for i in self.incidents if holds(i.opened)),
            tasks=tuple(t for t in self.tasks if holds(t.closed)),
            observed=tuple(o for o in self.observed if holds(o.incident.opened)),
        )


Told = Callable[[str, int, int], None]
"""Is told what is being read now, its number and of how many: a large ledger takes its time."""
STEPS = ("starts", "attempts", "tasks", "incidents", "observations", "sums")


def _untold(_what: str, _number: int, _of: int) -> None:
    return


def recollect(reader: LedgerQueries, told: Told = _untold) -> Recollection:
    """All of it, of one moment as far as the reader can. Raises LedgerError."""

    def step(number: int) -> None:
        told(STEPS[number], number + 1, len(STEPS))

    step(0)
    starts = reader.of_types(("agent_started",))
    step(1)
    attempts = reader.rows("attempts")
    step(2)
    tasks, seats = reader.rows("tasks"), _Seats(starts)
    step(3)
    found = _incidents(reader.rows("incidents"), attempts, seats, _Tasks(tasks))
    step(4)
    first = {e.incident: e for e in reversed(reader.of_types(("agent_observed",))) if e.incident}
    observed = [i for i in found if i.id in first and not i.attempts]
    now = from_iso(newest) if (newest := reader.newest_at()) else 0.0
    only = {i.id for i in observed}
    step(5)
    return Recollection(
        actions=tuple(_actions(attempts, seats)),
        incidents=tuple(i for i in found if i.id not in only),
        tasks=tuple(_ended_tasks(tasks, seats)),
        observed=tuple(_observation(i, first[i.id], now) for i in observed),
        now=now,
    )


class _Seats:
    """On which profile and model each agent ran, at any event number or time."""

    def __init__(self, starts: Sequence[Event]) -> None:
        self._seqs: dict[str, list[int]] = {}
        self._times: dict[str, list[str]] = {}
        self._seats: dict[str, list[Seat]] = {}
        for event in starts:
            agent = event.agent or ""
            times = self._times.setdefault(agent, [])
            self._seqs.setdefault(agent, []).append(event.seq)
            times.append(max(event.at, times[-1]) if times else event.at)  # in order, whatever the clock did
            seat = (event.data.get("profile"), event.data.get("model"))
            self._seats.setdefault(agent, []).append(seat)

    def before(self, agent: str, seq: int) -> Seat:
        index = bisect_right(self._seqs.get(agent, []), seq)
        return self._seats[agent][index - 1] if index else _NOWHERE

    def at(self, agent: str, time: str) -> Seat:
        index = bisect_right(self._times.get(agent, []), time)
        return self._seats[agent][index - 1] if index else _NOWHERE


class _Tasks:
    """Which task each agent was at, at any time."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._of: dict[str, list[tuple[str, str, str]]] = {}
        for row in rows:
            span = (row["opened"], row["closed"] or "~", row["id"])
            self._of.setdefault(row["agent"] or "", []).append(span)
        for spans in self._of.values():
            spans.sort()

    def at(self, agent: str, time: str) -> str | None:
        """The last one that was begun by then, if it was not over."""
        spans = self._of.get(agent, [])
        index = bisect_right(spans, (time, "~~", ""))
        return spans[index - 1][2] if index and time <= spans[index - 1][1] else None


def _actions(rows: Sequence[Mapping[str, Any]], seats: _Seats) -> list[ActionRecord]:
    records = []
    for row in rows:
        known = (row["profile"], row["model"]) if row["profile"] else seats.before(row["agent"], row["seq"])
        records.append(ActionRecord(
            row["agent"], row["strategy"], from_iso(row["at"]), row["outcome"], row["why"], row["cause"],
            row["incident"], row["n"], known[0], known[1], row["task"],
        ))  # fmt: skip
    return records


def _incidents(
    rows: Sequence[Mapping[str, Any]], attempts: Sequence[Mapping[str, Any]], seats: _Seats, tasks: _Tasks
) -> list[IncidentRecord]:
    tried: dict[str, list[float]] = {}
    for row in attempts:
        if row["incident"]:
            tried.setdefault(row["incident"], []).append(from_iso(row["at"]))
    records = []
    for row in rows:
        profile, model = seats.at(row["agent"], row["opened"])
        plain = IncidentRecord(
            row["id"], row["agent"], row["symptom"], row["cause"], from_iso(row["opened"]),
            _time(row["closed"]), row["outcome"], _time(row["recovered"]), _time(row["escalated"]),
            row["detected_after_s"],
            len(tried.get(row["id"], ())), min(tried.get(row["id"], ()), default=None),
        )  # fmt: skip
        task = tasks.at(row["agent"], row["opened"])
        records.append(replace(plain, profile=profile, model=model, task=task))
    return records


def _ended_tasks(rows: Sequence[Mapping[str, Any]], seats: _Seats) -> list[TaskRecord]:
    return [
        TaskRecord(row["id"], row["agent"] or "", row["state"] == "done", from_iso(row["opened"]),
                   from_iso(row["closed"]), row["files"], *seats.at(row["agent"] or "", row["closed"]))
        for row in rows
        if row["closed"] and row["state"] in ("done", "failed")
    ]  # fmt: skip


def _observation(incident: IncidentRecord, event: Event, now: float) -> Observation:
    began = from_iso(event.at)
    end = incident.closed if incident.closed is not None else now
    return Observation(incident, _steps(event.data), max(0.0, end - began), incident.closed is None)


def _steps(data: Mapping[str, Any]) -> tuple[Step, ...]:
    ladder = data.get("ladder")
    if isinstance(ladder, list) and ladder:
        return tuple(Step(str(name), int(level), float(after)) for name, level, after in ladder)
    return (Step(str(data.get("strategy")), int(data.get("level") or 1), 0.0),)


def _time(text: str | None) -> float | None:
    return from_iso(text) if text else None
