"""What a new daemon finds: ledger and tmux are matched, agent by agent, and nothing is started twice."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ...config.fleet import AgentSpec
from ...config.paths import StateDir
from ...healing import evidence as e
from ...healing.agent import AgentState, Phase, Stage
from ...healing.codec import load_state
from ...healing.seats import seat_of
from ...healing.transitions import giving_way
from ..ledger.writer import SqliteLedger
from ..ports import Clock, Identity, PaneView, Processes, TerminalsError
from ..terminals.inquests import limit_ends
from ..terminals.launching import Report, read_report
from .perform import TAIL

log = logging.getLogger(__name__)


class _Panes(Protocol):
    def panes(self) -> list[PaneView]: ...
    def capture(self, agent: str, *, history: int = 0, escapes: bool = False) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """`evidence` to begin with; `running`: the process to watch, if one runs."""

    evidence: tuple[e.Evidence, ...]
    running: Identity | None


def match(
    state: AgentState, pane: PaneView | None, report: Report | None, processes: Processes, clock: Clock
) -> Found:
    """What became of this agent while no daemon looked."""
    now = clock.now()
    attempt = state.attempt
    # tmux answers, so whoever could not be seen before is seen now.
    seen: tuple[e.Evidence, ...] = (e.SeenAgain(state.id, now),) if state.phase is Phase.UNKNOWN else ()
    if pane is not None and pane.attempt == attempt:
        mine = report if report and report.attempt == attempt else None
        if pane.dead or (mine is not None and mine.over):
            return _ended(state, pane, mine, now)
        if mine is not None and (who := mine.who(processes.identify)):
            return _running(state, who, pane.pane, pane.socket, now)
        # Its launcher is only just starting, or its report is lost.
    if not state.alive:
        return Found(seen, None)
    if state.pid is not None and state.created is not None:
        who = Identity(state.pid, state.created)
        if processes.alive(who):
            if giving_way(state):
                # The old tree of a recovery that was cut off; its step is handed out again and ends it.
                return Found((), None)
            where = (pane.pane, pane.socket) if pane else (state.pane or "", state.socket)
            return _running(state, who, *where, now)
    return Found((e.ProcessExited(state.id, now, attempt, None, None, lost=pane is None),), None)


def _running(state: AgentState, who: Identity, pane: str, socket: str, now: float) -> Found:
    """It lives. Without a pane it will be Unseen: unknown is not dead."""
    adopted = e.ProcessAdopted(state.id, now, state.attempt, who.pid, who.created, pane, socket)
    return Found((adopted,), who)


def _ended(state: AgentState, pane: PaneView, report: Report | None, now: float) -> Found:
    evidence: list[e.Evidence] = []
    if not state.alive and state.recovery and state.recovery.stage is Stage.STARTING:
        # It was started and ended before anybody wrote down that it had been started.
        evidence.append(e.ProcessStarted(state.id, now, state.attempt, pane.pid, 0.0, pane.pane, pane.socket))
    known = report if report and report.over else None
    status, signal = (known.status, known.signal) if known else (pane.status, pane.signal)
    evidence.append(e.ProcessExited(state.id, now, state.attempt, status, signal))
    return Found(tuple(evidence), None)


def orphans(known: set[str], panes: Iterable[PaneView]) -> list[str]:
    """Agents of ours in tmux that the fleet file does not name: left running, only named."""
    return sorted({p.agent for p in panes} - known)


@dataclass(frozen=True, slots=True)
class Remains:
    """What is there of one agent. `known`: the ledger knew it, and `state` is what it said; else nothing is
    known of it but the number of its last attempt. `taken`: ids of its letters that are in that state."""

    state: AgentState
    known: bool
    found: Found
    taken: Sequence[str]


@dataclass(frozen=True, slots=True)
class Findings:
    """One look at what is there: the remains of each agent that was asked for, and every pane of ours."""

    remains: Mapping[str, Remains]
    panes: Sequence[PaneView]


class Adoption:
    """Looks at what is there of agents that nobody supervises yet. For any thread: tmux may be slow."""

    def __init__(
        self,
        state_dir: StateDir,
        ledger: SqliteLedger,
        terminals: _Panes,
        processes: Processes,
        clock: Clock,
    ) -> None:
        self._state_dir = state_dir
        self._ledger = ledger
        self._terminals = terminals
        self._processes = processes
        self._clock = clock

    def look(self, specs: Iterable[AgentSpec]) -> Findings:
        """Raises TerminalsError, LedgerError: then nothing is known of any of them."""
        panes = self._terminals.panes()
        by_agent = {pane.agent: pane for pane in panes}
        known, taken = self._ledger.states(), self._ledger.reader.taken()
        remains = {
            spec.id: self._of(spec, by_agent.get(spec.id), known, tuple(taken.get(spec.id, ())))
            for spec in specs
        }
        return Findings(remains, panes)

    def _of(
        self,
        spec: AgentSpec,
        pane: PaneView | None,
        known: Mapping[str, dict[str, Any]],
        taken: Sequence[str],
    ) -> Remains:
        report = read_report(self._state_dir, spec.id)
        state = remembered = _remembered(spec, known)
        if state is None:
            # The ledger may be a new one; what runs in tmux does not know that.
            last = max(pane.attempt if pane else 0, report.attempt if report else 0)
            state = AgentState(spec.id, attempt=last)
        found = match(state, pane, report, self._processes, self._clock)
        if pane is not None:
            evidence = tuple(self._with_last_words(x, state, spec) for x in found.evidence)
            found = replace(found, evidence=evidence)
        return Remains(state, remembered is not None, found, taken)

    def _with_last_words(self, evidence: e.Evidence, state: AgentState, spec: AgentSpec) -> e.Evidence:
        """How it died may stand on its pane only."""
        if not isinstance(evidence, e.ProcessExited):
            return evidence
        try:
            tail = tuple(self._terminals.capture(evidence.agent, history=TAIL))
        except TerminalsError:
            return evidence
        exits = seat_of(state, spec).profile.exits
        return replace(evidence, tail=tail, until=limit_ends(tail, exits, self._clock))


def _remembered(spec: AgentSpec, known: Mapping[str, dict[str, Any]]) -> AgentState | None:
    try:
        return load_state(known[spec.id]) if spec.id in known else None
    except (TypeError, ValueError) as error:
        log.error("agent %s: its state in the ledger cannot be read (%s); it begins anew", spec.id, error)
        return None
