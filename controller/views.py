"""The fleet as it is now, read from the book: what `status`, the screen and scripts are shown.

Nothing here asks tmux or a process; without a daemon it is the last known state.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config.fleet import AgentSpec, FleetSpec
from ..config.paths import StateDir
from ..healing.agent import AgentState, Attempt, Incident, Phase
from ..healing.asking import open_question
from ..healing.detect import ages, judge
from ..healing.explain import rule_words
from ..healing.seats import seat_of
from .known import KnownStates
from .ledger import LedgerReader
from .lock import Holder, read_holder
from .looks import Looks
from .timestamps import to_iso

KINDS = ("beat", "output", "file", "transcript", "process", "cpu")
CLOSED_SHOWN = 20
_ENDED = frozenset({Phase.DONE, Phase.STOPPED, Phase.EXITED, Phase.ESCALATED})


@dataclass(frozen=True, slots=True)
class DaemonView:
    pid: int
    uptime_s: float
    mode: str
    version: str
    ready: bool
    config: str
    stopped: bool = False
    """Its process is stopped (state T): what is shown is the last known state, and nobody is healed."""

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class AttemptView:
    """`at` is text; `outcome` pending, success or failure; `why` the proof or the reason."""

    n: int
    strategy: str
    at: str
    outcome: str
    why: str

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class IncidentView:
    """`outcome` is None while it is open, an escalated one (level 3) too; then recovered, self or cleared."""

    id: str
    agent: str
    opened: str
    symptom: str
    cause: str
    detail: str
    attempts: tuple[AttemptView, ...]
    outcome: str | None
    level: int
    closed: str | None

    def as_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "attempts": [a.as_json() for a in self.attempts]}


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent of contract.md section 5. `evidence`: seconds since the newest of each kind, None: none yet.

    `rule` says why it is in its phase, `quick_look_s` how long a spell without progress has lasted once the
    quick look has noticed it, else None; `pane_title` is what its pane calls itself, hostile text.
    `stage` is where a recovery stands, `next` the strategy under way and the time its stage ends; `asks` the
    ancestor that is asked for the next step, and until when it may answer."""

    id: str
    parent: str | None
    profile: str | None
    model: str | None
    phase: str
    since: str | None
    attempt: int
    restarts: int
    reassigns: int
    pid: int | None
    pane: str | None
    socket: str | None
    task: str | None
    progress: float | None
    message: str
    cpu_pct: float
    memory_mb: float
    evidence: Mapping[str, float | None]
    incident: str | None
    title: str
    ready: bool
    alive: bool
    attached: bool
    pane_title: str
    rule: str | None
    quick_look_s: float | None
    says: str
    task_text: str | None
    stage: str | None
    next: Mapping[str, str | None] | None
    asks: Mapping[str, str | None] | None
    limited_until: str | None
    bad_letters: int
    held_back: tuple[Mapping[str, str | None], ...]
    orphan: bool = False

    def as_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "orphan"}
        plain["evidence"] = dict(self.evidence)
        plain["next"] = dict(self.next) if self.next else None
        plain["held_back"] = [dict(hold) for hold in self.held_back]
        plain["asks"] = dict(self.asks) if self.asks else None
        return plain | ({"orphan": True} if self.orphan else {})


@dataclass(frozen=True, slots=True)
class FleetView:
    """The document of `status --json`; agents in file order, then those no longer in it."""

    fleet: str
    at: str
    host: str
    daemon: DaemonView | None
    cascade: Mapping[str, Any] | None
    agents: tuple[AgentView, ...]
    incidents: tuple[IncidentView, ...]
    states: Mapping[str, AgentState] = field(default_factory=dict)
    """What it was made of, as far as agents were ever started; no part of the document."""
    spec: FleetSpec | None = None
    """The fleet file, with what a person set for this daemon; no part of the document."""

    @property
    def open_incidents(self) -> tuple[IncidentView, ...]:
        return tuple(i for i in self.incidents if i.outcome is None)

    def as_json(self) -> dict[str, Any]:
        return {
            "fleet": self.fleet,
            "at": self.at,
            "host": self.host,
            "daemon": self.daemon.as_json() if self.daemon else None,
            "cascade": dict(self.cascade) if self.cascade else None,
            "agents": [a.as_json() for a in self.agents],
            "incidents": [i.as_json() for i in self.incidents],
        }


@dataclass(frozen=True, slots=True)
class _Book:
    """What was read from the ledger in one moment."""

    states: Mapping[str, AgentState]
    rows: Mapping[str, Mapping[str, Any]]
    incidents: Sequence[Mapping[str, Any]]
    cascade: Mapping[str, Any] | None


def fleet_view(
    state_dir: StateDir,
    spec: FleetSpec | None,
    now: float,
    *,
    reader: LedgerReader | None = None,
    known: KnownStates | None = None,
) -> FleetView:
    """The fleet at `now` (seconds since the epoch). A caller that looks often passes its own `reader`, and
    what it has `known` from the looks before.

    Raises LedgerError when there is a ledger that cannot be read."""
    holder = read_holder(state_dir)
    if holder is not None and holder.clock is not None:
        now = holder.now()  # what the book holds are times by the daemon's clock, whatever the wall's says
    if spec is not None and holder is not None:
        spec = Looks(holder.quick_look).applied(spec)
    own = reader is None
    reader = reader or LedgerReader(state_dir.ledger)
    try:
        book = _read(reader, known or KnownStates())
    finally:
        if own:
            reader.close()
    specs = spec.agents if spec else {}
    strangers = [name for name in book.rows if name not in specs]
    # A file that is gone or broken says nothing of who left it.
    orphans = strangers if spec is None else [name for name in strangers if not _is_over(book, name)]
    agents = [_agent(name, specs[name], book, now, holder) for name in specs]
    agents += [
        _agent(name, None, book, now, holder, orphan=spec is not None) for name in _by_family(orphans, book)
    ]
    return FleetView(
        fleet=state_dir.fleet,
        at=to_iso(now),
        host=holder.host if holder else socket.gethostname(),
        daemon=_daemon(holder, now) if holder else None,
        cascade=book.cascade,
        agents=tuple(agents),
        incidents=tuple(_incidents(book, set(strangers) if spec else set())),
        states=book.states,
        spec=spec,
    )


def _read(reader: LedgerReader, known: KnownStates) -> _Book:
    with reader.at_once():
        rows = reader.agents()
        states = known.read(reader, rows)
        incidents, cascade = reader.incidents(CLOSED_SHOWN), reader.cascade()
    return _Book(states, {row["id"]: row for row in rows}, incidents, cascade)


def _by_family(names: Iterable[str], book: _Book) -> list[str]:
    """Parents before their children, as far as the book knows them."""
    names = list(names)
    placed: list[str] = []
    while waiting := [n for n in names if n not in placed]:
        free = [n for n in waiting if book.rows[n].get("parent") not in waiting]
        placed.extend(free or waiting)
    return placed


def _daemon(holder: Holder, now: float) -> DaemonView:
    uptime = round(max(0.0, now - holder.started_at), 3)
    return DaemonView(
        holder.pid, uptime, holder.mode, holder.version, holder.ready, holder.config, holder.is_stopped()
    )


def _agent(
    name: str, spec: AgentSpec | None, book: _Book, now: float, holder: Holder | None, *, orphan: bool = False
) -> AgentView:
    row = book.rows.get(name, {})
    state = book.states.get(name) or AgentState(name, phase=Phase.STARTING if holder else Phase.UNKNOWN)
    profile, model = _seat(state, spec, row)
    found = judge(state, spec, now) if spec and name in book.states else None
    seen = {sign.kind: sign.age for sign in found.signs} if found else ages(state.trace, now)
    task = state.task
    return AgentView(
        id=name,
        parent=spec.parent if spec else row.get("parent"),
        profile=profile,
        model=model,
        phase=state.phase.value,
        since=_stamp(state.since),
        attempt=state.attempt,
        restarts=state.restarts,
        reassigns=state.reassigns,
        pid=state.pid if state.alive else None,
        pane=state.pane,
        socket=state.socket or None,
        task=task.id if task else None,
        progress=_finite(state.progress),
        message=state.message,
        cpu_pct=round(_finite(state.cpu_pct) or 0.0, 1),
        memory_mb=round(_finite(state.memory_mb) or 0.0, 1),
        evidence={kind: None if (age := seen[kind]) is None else round(age, 3) for kind in KINDS},
        incident=state.incident.id if state.incident else None,
        title=spec.title if spec else name,
        ready=state.ready,
        alive=state.alive,
        attached=state.attached,
        pane_title=state.title,
        rule=rule_words(found, state, spec) if found and spec else None,
        quick_look_s=None if found is None or found.quick is None else round(found.quick, 3),
        says=state.says,
        task_text=task.text if task else None,
        stage=state.recovery.stage.value if state.recovery else None,
        next=_next(state),
        asks=_asks(state),
        limited_until=_stamp(state.limited_until),
        bad_letters=state.bad_letters,
        held_back=tuple({"by": h.by, "why": h.why, "since": _stamp(h.since)} for h in state.held_back),
        orphan=orphan,
    )


def _seat(state: AgentState, spec: AgentSpec | None, row: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Profile and model it runs on: by the file, else as the book last saw it start."""
    if spec and spec.seats:
        seat = seat_of(state, spec)
        return seat.profile.name, seat.model
    return row.get("profile"), row.get("model")


def _next(state: AgentState) -> dict[str, str | None] | None:
    recovery = state.recovery
    if recovery is None:
        return None
    return {"strategy": recovery.strategy.value if recovery.strategy else "start", "at": _stamp(recovery.due)}


def _asks(state: AgentState) -> dict[str, str | None] | None:
    asked = open_question(state)
    return None if asked is None else {"agent": asked.ancestor, "until": _stamp(asked.until)}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _stamp(at: float | None) -> str | None:
    return to_iso(at) if at else None


def _is_over(book: _Book, name: str) -> bool:
    """Nothing of it runs, and nothing will."""
    state = book.states.get(name)
    return state is None or (not state.alive and state.phase in _ENDED)


def _incidents(book: _Book, left: set[str]) -> Iterable[IncidentView]:
    """The open ones, then those closed lately. The agent's own state has the last word on what is open;
    nobody heals those that `left` the file, nor could anybody clear them: theirs are over."""
    states = {name: state for name, state in book.states.items() if name not in left}
    current = {s.incident.id: (name, s.incident) for name, s in states.items() if s.incident}
    opened = sorted(current.values(), key=lambda pair: pair[1].opened, reverse=True)
    yield from (_from_state(name, incident) for name, incident in opened)
    yield from (_from_row(row) for row in book.incidents if row["id"] not in current)


def _from_state(agent: str, incident: Incident) -> IncidentView:
    return IncidentView(
        incident.id, agent, to_iso(incident.opened), incident.symptom, incident.cause, incident.detail,
        tuple(_attempt(a) for a in incident.attempts), incident.outcome, incident.level,
        _stamp(incident.closed),
    )  # fmt: skip


def _attempt(attempt: Attempt) -> AttemptView:
    return AttemptView(attempt.n, attempt.strategy.value, to_iso(attempt.at), attempt.outcome, attempt.why)


def _from_row(row: Mapping[str, Any]) -> IncidentView:
    attempts = tuple(
        AttemptView(a["n"], a["strategy"], a["at"], a["outcome"], a["why"]) for a in row["attempts"]
    )
    # Its agent has left it behind without a word (its state was lost): it is not open, but nobody healed it.
    outcome = row["outcome"] or "cleared"
    return IncidentView(row["id"], row["agent"], row["opened"], row["symptom"], row["cause"], row["detail"],
                        attempts, outcome, row["level"], row["closed"])  # fmt: skip
