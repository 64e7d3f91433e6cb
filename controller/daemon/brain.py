"""What the engine knows and decides: every agent's state, when each is due, what lies between agents.

No clock and no input of its own: it is told evidence and the time, and fills a `Turn` with what is to be
written down and then done. What goes wrong with one agent is logged and keeps nobody else waiting.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from ...config.fleet import AgentSpec, FleetSpec
from ...healing import evidence as e
from ...healing.actions import Action
from ...healing.agent import GIVING_WAY, AgentState, Happening
from ...healing.asking import asked_anew
from ...healing.decide import decide, due
from ...healing.evolve import evolve
from ...healing.fitting import fitted
from ...healing.guards import NOTHING, Guards, Told, guards_for, vital
from ...healing.replacing import replace
from ...healing.transitions import Change, first_state, plain_start
from ...healing.turn import Turn
from .deadlines import Deadlines

log = logging.getLogger(__name__)

DECIDE_LIMIT = 16
"""A bound on decide calls for one agent in one turn: it settles in three or four, so more is a defect."""
DUE_LIMIT = 1_000
"""Agents that are decided upon in one turn; the others follow in the next, when these are written down."""
TOLD_LIMIT = 10
"""What guards tell in one turn, per agent, at most: more is a defect."""


class Brain:
    """`evidence_seen` are called with each piece of evidence that was taken in."""

    def __init__(self, fleet: FleetSpec) -> None:
        self.fleet = fleet
        self.states: dict[str, AgentState] = {}
        self.evidence_seen: list[Callable[[e.Evidence], None]] = []
        self._deadlines = Deadlines()
        self._guards: Guards = guards_for(fleet.agents, fleet.policy)
        self._told: deque[e.Evidence] = deque()
        self._notes: list[Happening] = []
        self._orders: list[Action] = []
        """What guards want done for the fleet."""
        self.defects = 0
        """How often something of ours went wrong that was logged and survived."""

    # -- whom it knows --------------------------------------------------------------------------

    def begin(self, spec: AgentSpec, now: float, *, after: int, running: bool) -> tuple[Happening, ...]:
        """Take on an agent that was never started; or of which nothing is known but that its attempt
        `after` was there, and may be `running`. What is not is cleared away before the next one starts."""
        change = first_state(spec, now)
        state = change.state
        if after:
            planned = plain_start(replace(state, attempt=after))
            state = replace(planned, recovery=None if running else planned.recovery)
        self._take_on(state, now)
        return change.happenings

    def restore(self, state: AgentState, now: float) -> None:
        """Take on an agent as the ledger knows it; steps that were under way are handed out again."""
        recovery, errand = state.recovery, state.errand
        if recovery and recovery.stage in GIVING_WAY:
            recovery = replace(recovery, issued=False)
        if errand:
            errand = replace(errand, issued=False)
        state = asked_anew(replace(state, recovery=recovery, errand=errand, attached=False))
        spec = self.fleet.agents.get(state.id)
        self._take_on(fitted(state, spec, now) if spec else state, now)

    def _take_on(self, state: AgentState, now: float) -> None:
        self.states[state.id] = state
        self._hear(self._guards.changed(None, state, (), now))

    def change_fleet(self, fleet: FleetSpec, now: float) -> list[AgentState]:
        """Go by another fleet file; the agents that it does not name are forgotten: as they were."""
        gone = [state for agent, state in self.states.items() if agent not in fleet.agents]
        self.fleet = fleet
        self._guards.fit(fleet.agents, fleet.policy)
        for state in gone:
            del self.states[state.id]
            self._deadlines.set(state.id, None)
        for agent, state in self.states.items():
            self.states[agent] = fitted(state, fleet.agents[agent], now)
        return gone

    # -- time -----------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """Engine time at which `decide_due` has something to do, without new evidence."""
        times = [at for at in (self._deadlines.next(), self._guards.due()) if at is not None]
        return min(times, default=None)

    def look_at_all(self) -> None:
        """Every agent is due now."""
        for agent in self.states:
            self._deadlines.set(agent, 0.0)

    # -- one turn -------------------------------------------------------------------------------

    def take(self, evidence: e.Evidence, turn: Turn) -> str:
        """Let one piece of evidence change its agent. Why that was not possible, or empty."""
        state = self.states.get(evidence.agent)
        spec = self.fleet.agents.get(evidence.agent)
        if state is None or spec is None:
            return f"no agent {evidence.agent!r} in this fleet"
        try:
            self._adopt(state, evolve(state, evidence, spec), turn, evidence.at)
        except Exception:
            # One agent's nonsense must not end the supervision of all.
            self.defects += 1
            log.exception("agent %s: cannot make sense of %s", evidence.agent, evidence)
            return "it failed inside the daemon; see daemon.log"
        for seen in self.evidence_seen:
            try:
                seen(evidence)
            except Exception:
                log.exception("agent %s: cannot follow %s", evidence.agent, evidence)
        self._deadlines.set(evidence.agent, due(self.states[evidence.agent], spec))
        if isinstance(evidence, e.Decided) and evidence.by in self.states:
            # The letter that said so is another agent's, and must not be read again after this was heeded.
            turn.changed.add(evidence.by)
        return ""

    def decide_due(self, turn: Turn, now: float) -> None:
        """Decide about the agents that are due, as many as one turn may."""
        self._hear(self._guards.tick(now))
        self._heed(turn)
        for _ in range(DUE_LIMIT):
            agent = self._deadlines.take(now)
            if agent is None:
                break
            spec = self.fleet.agents.get(agent)
            if spec is None or agent not in self.states:
                continue
            try:
                settled = self._settle(agent, spec, now, turn)
            except Exception:
                log.exception("agent %s: cannot decide what to do", agent)
                settled = False
            if not settled:
                self.defects += 1
                log.error("agent %s: decide did not settle; looked at again in a second", agent)
                self._deadlines.set(agent, now + 1.0)

    def _settle(self, agent: str, spec: AgentSpec, now: float, turn: Turn) -> bool:
        for _ in range(DECIDE_LIMIT):
            before = self.states[agent]
            self._adopt(before, decide(before, spec, now), turn, now)
            self._heed(turn)
            after = self.states[agent]
            if after.incident is not None and before.incident is None:
                continue  # decide left it at that, until the guards had heard of it
            at = due(after, spec)
            if at is None or at > now:
                self._deadlines.set(agent, at)
                return True
        return False

    def _adopt(self, before: AgentState, change: Change, turn: Turn, now: float) -> None:
        after = change.state
        self.states[after.id] = after
        if change.happenings:
            told = turn.happenings.setdefault(after.id, [])
            for happening in change.happenings:
                told.append(self._with_family(happening) if happening.type[:6] == "hhmrs_" else happening)
        if change.happenings or vital(before) != vital(after):
            turn.changed.add(after.id)
            self._hear(self._guards.changed(before, after, change.happenings, now))
        elif before.spending is not after.spending:
            if len(before.spending.known) != len(after.spending.known):
                turn.changed.add(after.id)  # how much of it was there before is known only now
            self._hear(self._guards.changed(before, after, (), now))
        turn.actions.extend(change.actions)

    def _with_family(self, happening: Happening) -> Happening:
        type, agent, at, incident, fields = happening
        spec = self.fleet.agents.get(agent)
        if spec is None:
            return happening
        parent = spec.parent
        above = self.fleet.grandparent(agent) if parent else None
        return Happening(type, agent, at, incident, {"parent": parent, "grandparent": above, **fields})

    # -- what lies between agents ---------------------------------------------------------------

    def _hear(self, told: Told) -> None:
        if told is NOTHING:
            return
        self._told.extend(told.evidence)
        self._notes.extend(told.happenings)
        self._orders.extend(told.actions)

    def _heed(self, turn: Turn) -> None:
        """Take in what the guards have said, and what they say to that."""
        if not (self._told or self._notes or self._orders):
            return
        for _ in range(TOLD_LIMIT * (len(self.states) + 1)):
            if not self._told:
                break
            self.take(self._told.popleft(), turn)
        if self._told:
            self.defects += 1
            log.error("the guards do not come to an end; %d words of theirs are dropped", len(self._told))
            self._told.clear()
        for happening in self._notes:
            turn.note(happening)
        self._notes.clear()
        turn.actions.extend(self._orders)
        self._orders.clear()
