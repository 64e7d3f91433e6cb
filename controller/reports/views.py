"""The fleet as it is now, read from the book: what `status`, the screen and scripts are shown.

Nothing here asks tmux or a process; without a daemon it is the last known state.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...config.fleet import AgentSpec, FleetSpec
from ...config.paths import StateDir
from ...healing.agent import AgentState, Attempt, Incident
from ..ledger.lock import Holder, read_holder
from ..ledger.reader import LedgerReader
from ..looks import Looks
from ..timestamps import to_iso
from .agent_view import ENDED, agent_view, stamp
from .known import KnownStates
from .status import AgentView, AttemptView, DaemonView, FleetView, IncidentView

CLOSED_SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Book:
    """What was read from the ledger in one moment."""

    states: Mapping[str, AgentState]
    rows: Mapping[str, Mapping[str, Any]]
    incidents: Sequence[Mapping[str, Any]]
    cascade: Mapping[str, Any] | None


KeptViews = dict[str, tuple[AgentState | None, AgentSpec | None, tuple[object, ...], AgentView]]
"""Views of the looks before, by agent, each behind what it was made of."""


def fleet_view(
    state_dir: StateDir,
    spec: FleetSpec | None,
    now: float,
    *,
    reader: LedgerReader | None = None,
    known: KnownStates | None = None,
    kept: KeptViews | None = None,
) -> FleetView:
    """The fleet at `now` (seconds since the epoch). A caller that looks often passes its own `reader`, what
    it has `known` from the looks before and the views it has `kept`.

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
    kept, up = kept if kept is not None else {}, holder is not None
    agents = [_kept(kept, name, specs[name], book, up, orphan=False) for name in specs]
    lost = spec is not None
    agents += [_kept(kept, name, None, book, up, orphan=lost) for name in _by_family(orphans, book)]
    return FleetView(
        fleet=state_dir.fleet,
        now=now,
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


def _kept(
    kept: KeptViews, name: str, spec: AgentSpec | None, book: _Book, up: bool, *, orphan: bool
) -> AgentView:
    """The view from the look before, if what it is made of is what it was made of."""
    row = book.rows.get(name, {})
    state, rest = book.states.get(name), (row.get("parent"), row.get("profile"), row.get("model"), up, orphan)
    before = kept.get(name)
    # Of states and specs only the very same will do: to compare them costs more than to make a view.
    if before is not None and before[0] is state and before[1] is spec and before[2] == rest:
        return before[3]
    view = agent_view(name, spec, state, row, up, orphan=orphan)
    kept[name] = (state, spec, rest, view)
    return view


def _is_over(book: _Book, name: str) -> bool:
    """Nothing of it runs, and nothing will."""
    state = book.states.get(name)
    return state is None or (not state.alive and state.phase in ENDED)


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
        stamp(incident.closed),
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
