"""What a new daemon finds: ledger and tmux are matched, agent by agent, and nothing is started twice."""

from __future__ import annotations

from dataclasses import dataclass

from ..healing import evidence as e
from ..healing.agent import AgentState, Phase, Stage
from ..healing.transitions import giving_way
from .launching import Report
from .ports import Clock, Identity, PaneView, Processes


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


def orphans(known: set[str], panes: list[PaneView]) -> list[str]:
    """Agents of ours in tmux that the fleet file does not name: left running, only named."""
    return sorted({p.agent for p in panes} - known)
