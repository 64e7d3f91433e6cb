"""`down --kill`: every agent of the fleet ends, whole trees, and the next daemon starts them anew."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ..config.fleet import FleetSpec
from ..healing.agent import HELD, AgentState, Happening, Phase
from ..healing.codec import dump_state
from ..healing.transitions import enter, plain_start
from .adoption import orphans
from .perform import Performer
from .ports import Clock, Ledger, Row, Terminals, TerminalsError

log = logging.getLogger(__name__)

AT_ONCE = 16


def end_fleet(
    fleet: FleetSpec,
    states: Mapping[str, AgentState],
    performer: Performer,
    ledger: Ledger,
    terminals: Terminals,
    clock: Clock,
) -> None:
    """Blocking. Who will not die is named in the log; the tmux server goes last."""

    def end(agent: str) -> Row:
        survivors = performer.end_everything(fleet.agents[agent], states[agent])
        if survivors:
            log.error("agent %s: pids %s would not die", agent, [s.pid for s in survivors])
        return _row(states[agent], clock.now())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = list(pool.map(end, states))
        with contextlib.suppress(TerminalsError):
            strays = orphans(set(states), terminals.panes())
            list(pool.map(performer.end_stray, strays))
    ledger.append(rows)
    with contextlib.suppress(TerminalsError):
        terminals.kill_server()


def _row(state: AgentState, now: float) -> Row:
    note = Happening("agent_stopped_with_fleet", state.id, now)
    over = replace(state, alive=False, pid=None)
    if state.phase in HELD:
        return Row(state.id, dump_state(over), (note,))
    # The next daemon starts it as it starts any agent, not as the recovery of a death.
    ended = enter(
        replace(over, incident=None, before_unknown=None), Phase.EXITED, now, "ended with the fleet"
    )
    return Row(state.id, dump_state(plain_start(ended.state)), (note, *ended.happenings))
