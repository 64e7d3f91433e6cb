"""Gathers what the book and the snapshots know of an incident, and puts its post-mortem away.

Reads only, but for the page itself in the state directory; works without a daemon."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.fleet import AgentSpec, FleetSpec
from ...config.paths import StateDir
from ...healing.lessons import lessons
from ...healing.postmortem import Case, Told, Try, post_mortem
from ...healing.usage import in_words
from ..checkpoints.snapshots import SnapshotError, Snapshots
from ..ledger.queries import LedgerQueries
from ..ledger.reader import LedgerReader
from ..ports import Event
from ..timestamps import from_iso
from .known import state_now

KEPT = 100
"""Pages that are kept."""
BEFORE = 6
"""Events of the agent from before the incident that belong to it: its last start, how it ended."""
MOST_EVENTS = 5_000
SOON = 60.0
"""A snapshot this long (s) after the end still shows what there was at the end."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,120}")
_TELLING = frozenset(
    {
        "agent_started", "agent_adopted", "agent_exited", "agent_error_shown", "agent_quick_look",
        "agent_asked",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PostMortem:
    case: Case
    lessons: tuple[str, ...]

    def page(self) -> str:
        return post_mortem(self.case, self.lessons)


def post_mortem_of(
    incident: str,
    reader: LedgerQueries,
    snapshots: Snapshots,
    spec: AgentSpec | None,
    pauses: float = 0.0,
    spent: str = "",
) -> PostMortem | None:
    """The incident as the book has it; None when it has none of that name. Raises LedgerError.

    `spec` None: the fleet file says nothing of its agent. `pauses`, `spent`: as in `Case`."""
    row = reader.incident(incident)
    if row is None:
        return None
    opened = from_iso(row["opened"])
    events = _events(reader, row)
    task = _task(row, events)
    known = reader.task(task) if task else None
    end = row["closed"] or row["recovered"] or row["escalated"]
    changes, diff = _changes(snapshots, row["agent"], opened, from_iso(end) if end else time.time())
    case = Case(
        id=row["id"], agent=row["agent"], parent=row["parent"], symptom=row["symptom"], cause=row["cause"],
        detail=row["detail"], opened=row["opened"], outcome=row["outcome"], closed=row["closed"],
        lasted=_after(row["closed"], opened), recovered=_after(row["recovered"], opened),
        escalated=_after(row["escalated"], opened), unnoticed=row["detected_after_s"],
        task=task, text=str(known["text"]) if known else "",
        events=tuple(Told(e.at, from_iso(e.at) - opened, e.type, e.data) for e in events),
        tries=tuple(_tries(row, opened)), record=reader.record(row["cause"]), changes=changes, diff=diff,
        policy=spec.policy if spec else None, alternates=len(spec.seats) - 1 if spec else 0, pauses=pauses,
        observed=any(e.type == "agent_observed" for e in events), spent=spent,
    )  # fmt: skip
    return PostMortem(case, tuple(lessons(case)))


def post_mortem_in(
    state_dir: StateDir, reader: LedgerReader, spec: FleetSpec | None, incident: str
) -> PostMortem | None:
    """`post_mortem_of` with what the folder and the fleet file know. Raises LedgerError."""
    row = reader.incident(incident)
    if row is None:
        return None
    state = state_now(reader, row["agent"])
    one = spec.agents.get(row["agent"]) if spec is not None else None
    pauses = state.pauses.p99 if state is not None else 0.0
    spent = in_words(state.spending) if state is not None else ""
    return post_mortem_of(incident, reader, Snapshots(state_dir.snapshots), one, pauses, spent)


def _events(reader: LedgerQueries, row: Mapping[str, Any]) -> list[Event]:
    own = reader.events(limit=MOST_EVENTS, incident=row["id"])
    if not own:
        return []
    before = reader.events_before(row["agent"], own[0].seq, BEFORE)
    return [*(event for event in before if event.type in _TELLING and event.incident is None), *own]


def _task(row: Mapping[str, Any], events: list[Event]) -> str | None:
    named = [a["task"] for a in row["attempts"]] + [event.data.get("task") for event in events]
    return next((str(task) for task in named if task), None)


def _tries(row: Mapping[str, Any], opened: float) -> Iterator[Try]:
    for a in row["attempts"]:
        seat = ":".join(part for part in (a["profile"], a["model"]) if part)
        at = from_iso(a["at"]) - opened
        yield Try(a["n"], a["strategy"], at, _after(a["ended"], opened), a["outcome"], a["why"], seat)


def _after(text: str | None, opened: float) -> float | None:
    return from_iso(text) - opened if text else None


def _changes(snapshots: Snapshots, agent: str, opened: float, end: float) -> tuple[str, str]:
    """What became of the workspace from the incident's beginning to its end: a summary and a diff."""
    try:
        found = snapshots.listing(agent)  # newest first; times are whole seconds
        old = next((commit for commit, at in found if at <= opened), found[-1][0] if found else None)
        after = next((commit for commit, at in reversed(found) if int(end) <= at <= end + SOON), None)
        new = after or next((commit for commit, at in found if at <= end), None)
        if old is None or new is None or old == new:
            return "", ""
        return snapshots.diff_stat(agent, old, new), snapshots.diff(agent, old, new, 64_000)
    except SnapshotError:
        return "", ""


@dataclass(frozen=True, slots=True)
class PostMortems:
    """Writes the page of an incident that is given up. For any thread."""

    state_dir: StateDir
    reader: LedgerQueries
    snapshots: Snapshots

    def write(self, incident: str, spec: AgentSpec, pauses: float) -> Path | None:
        """Where the page lies, readable by us alone; None for no incident. Raises OSError, LedgerError."""
        found = post_mortem_of(incident, self.reader, self.snapshots, spec, pauses)
        if found is None or not _NAME.fullmatch(incident):
            return None
        folder = self.state_dir.reports
        folder.mkdir(mode=0o700, exist_ok=True)
        final, draft = folder / f"{incident}.md", folder / f".{incident}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
            file.write(found.page())
        draft.rename(final)
        self._trim(folder)
        return final

    def _trim(self, folder: Path) -> None:
        pages = sorted(folder.glob("*.md"), key=_written, reverse=True)
        for page in pages[KEPT:]:
            with contextlib.suppress(OSError):
                page.unlink()


def _written(page: Path) -> float:
    try:
        return page.lstat().st_mtime
    except OSError:
        return 0.0
