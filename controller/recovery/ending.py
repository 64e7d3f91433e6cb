"""`down --kill`: every agent of the fleet ends, whole trees, and the next daemon starts them anew."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ...config.fleet import FleetSpec
from ...healing.agent import HELD, AgentState, Happening, Phase
from ...healing.codec import dump_state
from ...healing.transitions import enter, plain_start
from ..ports import Clock, Identity, Ledger, Row, Terminals, TerminalsError
from .adoption import orphans
from .perform import Performer

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
    """Blocking. Who will not die is named in the log; the tmux servers go last."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        saved = list(pool.map(lambda agent: performer.save(fleet.agents[agent], states[agent]), states))
        # Together, where the grace is the same: to look at all processes once for each takes minutes.
        together: dict[float, list[str]] = {}
        for agent in states:
            together.setdefault(fleet.agents[agent].policy.kill_grace, []).append(agent)
        with contextlib.suppress(TerminalsError):
            strays = orphans(set(states), terminals.panes())
            together.setdefault(fleet.policy.kill_grace, []).extend(strays)
        roots = dict(zip(states, saved, strict=True))

        def end(group: tuple[float, list[str]]) -> list[Identity]:
            grace, agents = group
            return performer.end_many([who for a in agents for who in roots.get(a, ())], agents, grace)

        survivors = [who.pid for group in pool.map(end, together.items()) for who in group]
    if survivors:
        log.error("pids %s would not die", survivors)
    ledger.append([_row(state, clock.now()) for state in states.values()])
    with contextlib.suppress(TerminalsError):
        terminals.kill_server()


def _row(state: AgentState, now: float) -> Row:
    note = Happening("agent_stopped_with_fleet", state.id, now, None, {})
    over = replace(state, alive=False, pid=None)
    if state.phase in HELD:
        return Row(state.id, dump_state(over), (note,))
    # The next daemon starts it as it starts any agent, not as the recovery of a death.
    ended = enter(
        replace(over, incident=None, before_unknown=None), Phase.EXITED, now, "ended with the fleet"
    )
    return Row(state.id, dump_state(plain_start(ended.state)), (note, *ended.happenings))
