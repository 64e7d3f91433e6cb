"""The fleet for the screen's early frame: everybody's place and phase, all the rest of who is in sight.

Read from the ledger alone, and only where all is as usual: a daemon runs, the state is ours, and the fleet
file is one whose roster is kept. In any other case there is no early frame.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config.paths import StateDir
from ..controller.ledger.errors import LedgerError
from ..controller.ledger.lock import Holder, read_holder
from ..controller.ledger.reader import LedgerReader
from ..controller.ports import Event
from ..controller.reports.agent_view import ENDED, agent_view
from ..controller.reports.known import current, read_state
from ..controller.reports.roster import Listed, fleet_named_in, read_roster
from ..healing.agent import AgentState, Phase
from .document import Agent, Fleet, Trouble, fleet_of, read_agent
from .listing import Listing, Sort, View
from .looks import LOOKS, clean
from .remembered import Left
from .rows import SICK, Row
from .tree import grow
from .viewmodel import Lines

NEWEST = 400
"""Events of the fleet among which the newest intervention is looked for."""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """`events`: the newest of the fleet, oldest first; `left`: how its screen was left."""

    fleet: Fleet
    events: tuple[Event, ...]
    left: Left = field(default_factory=Left)


def glimpse(state: StateDir, config: Path | None, rows: int, left: Left | None = None) -> Glimpse | None:
    """The fleet as it is now, whole for whoever can be in sight on `rows` lines of a screen that was `left`
    so; None where there is none to be had at once. `config`: its fleet file, None: the one that its daemon
    goes by."""
    holder = read_holder(state)
    if holder is None or not holder.ready or holder.is_stopped() or state.path.stat().st_uid != os.geteuid():
        return None
    if not os.access(state.operator_inbox, os.W_OK | os.X_OK):
        return None
    listed = read_roster(state, config or Path(holder.config))
    if listed is None:
        return None
    reader = LedgerReader(state.ledger)
    try:
        with reader.at_once():
            return _read(reader, state, holder, listed, (rows, left or Left()))
    except (LedgerError, ValueError, TypeError, KeyError):
        return None
    finally:
        reader.close()


def find(config: Path, fleet: str | None) -> StateDir | None:
    """Where the fleet of that file keeps its state, unless it is not the one that was asked for."""
    state = fleet_named_in(config)
    return state if state is not None and fleet in (None, state.fleet) else None


def _read(
    reader: LedgerReader,
    state: StateDir,
    holder: Holder,
    listed: Sequence[Listed],
    wanted: tuple[int, Left],
) -> Glimpse | None:
    """`wanted`: how many lines there are, and how the screen was left."""
    book = {row["id"]: row for row in reader.agents()}
    known = {one.id for one in listed}
    strangers = [name for name in book if name not in known]
    if any(not _is_over(one) for one in _states(reader, book, strangers).values()):
        return None  # they stand below all others, in an order of their own
    everybody = tuple(
        Agent(one.id, clean(one.title, 64), one.parent, phase=_phase(book.get(one.id))) for one in listed
    )
    names = _near(Fleet("", 0.0, up=True, agents=everybody), *wanted)
    states = _states(reader, book, names)
    titles = {one.id: one.title for one in listed}
    parents = {one.id: one.parent for one in listed}
    near = {name: _whole(name, states.get(name), titles, parents[name]) for name in names}
    troubles = [*_troubles(states), *_levels(reader, near)]
    uptime = round(max(0.0, holder.now() - holder.started_at), 3)
    whole = {
        "fleet": state.fleet,
        "daemon": {"mode": holder.mode, "uptime_s": uptime, "pid": holder.pid},
        "cascade": reader.cascade(),
    }
    agents = tuple(near.get(one.id, one) for one in everybody)
    events = reader.events(since=max(0, reader.newest_seq() - NEWEST))
    return Glimpse(fleet_of(whole, holder.now(), agents, tuple(troubles)), tuple(events), wanted[1])


def _near(fleet: Fleet, rows: int, left: Left) -> Sequence[str]:
    """Whose whole state the lines in sight need: those around the selected one, and all by whose state the
    lines are ordered. Of the fleet only places, titles and phases are known yet."""
    listing, order = left.listing, grow(fleet).order
    if listing.view is View.PROBLEMS:
        phases = {agent.id: agent.phase for agent in fleet.agents}
        return [name for name in order if LOOKS[phases[name]].rank or phases[name] is Phase.UNKNOWN]
    if listing.sort not in (Sort.TREE, Sort.NAME, Sort.NEED):
        return order
    if listing != Listing():
        order = tuple(line.agent for line in Lines().of(fleet, listing) if isinstance(line, Row))
    first = max(0, order.index(left.agent) - rows) if left.agent in order else 0
    return order[first : first + rows + 1]


def _phase(row: Mapping[str, Any] | None) -> Phase:
    return Phase(row["phase"]) if row is not None else Phase.STARTING


def _states(
    reader: LedgerReader, book: Mapping[str, Mapping[str, Any]], names: Collection[str]
) -> dict[str, AgentState]:
    if not names:
        return {}
    live, shown = reader.beats(names), reader.shown_at()
    found: dict[str, AgentState] = {}
    for name, text in reader.state_texts(names).items():
        written = read_state(name, json.loads(text))
        newer = shown.get(name, "") >= book[name]["updated_at"]
        found[name] = current(written, live[name], newer=newer) if name in live else written
    return found


def _is_over(state: AgentState) -> bool:
    return not state.alive and state.phase in ENDED


def _whole(name: str, state: AgentState | None, titles: Mapping[str, str], parent: str | None) -> Agent:
    row = {"parent": parent}
    view = agent_view(name, None, state, row, up=True, orphan=False, title=titles[name])
    return read_agent(view.as_json(), view.trace, titles, up=True)


def _troubles(states: Mapping[str, AgentState]) -> list[Trouble]:
    found: list[Trouble] = []
    for name, state in states.items():
        if (one := state.incident) is not None:
            detail, cause = clean(one.detail, 200), clean(one.cause, 40)
            found.append(
                Trouble(
                    one.id, name, one.opened, one.symptom, cause, detail, outcome=one.outcome, level=one.level
                )
            )
    return found


def _levels(reader: LedgerReader, near: Collection[str]) -> list[Trouble]:
    """Who is troubled out of sight: the lines to whom that is told pass through what is in sight."""
    levels = reader.incident_levels([phase.value for phase in sorted(SICK)])
    away = [name for name in levels if name not in near]
    return [Trouble("", name, 0.0, "", "", "", level=levels[name]) for name in away]
