"""Many agents that fail of one cause are one incident: one event, one alert, one agent that tries.

A cascade begins when so many agents as `policy.cascade` says fail of the same cause within its window: of the
fleet; for causes that lie with a provider, of those that use it; for a lost tmux server, of those that ran in
it. From then on who fails of it is held back; one of them tries, after a pause that grows (breaker.py). Once
one is at work again the others follow, parents first, a moment apart. What its members tried in vain costs
them nothing if the cause is a provider or a server. Agents of a lost tmux server have nothing to try out:
they follow each other at once.

It is over when nobody is held back any more and the window has passed without another failure. A cascade that
lasts longer than an agent's `task_deadline` holds that one back no more: what then happens is up to its own
budgets, so that nothing goes on for ever.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence

from ..config.fleet import AgentSpec, Policy
from .actions import Announce
from .agent import HELD, AgentState, Happening, Shared
from .breaker import Breaker
from .cascade_parts import (
    GATHERED,
    NOBODYS_FAULT,
    OF_PROVIDER,
    OF_SERVER,
    Cascade,
    Counted,
    Member,
    alert_text,
    cascade_event,
    depths,
    failed_of,
    seen,
)
from .evidence import CauseShared, HeldBack, LetGo
from .guards import NOTHING, Told
from .holding import CASCADE, hold_of
from .pacing import stagger
from .providers import provider_of
from .replacing import replace
from .seats import seat_of

PATIENCE = 10.0
"""Seconds that a child waits for its parent to be started, and no longer."""
AGAIN = 1.0


class Cascades:
    """The guard of shared causes. A change costs the same however many agents there are; the beginning of a
    cascade, and each turn of the one who tries, as much as it has members."""

    def __init__(self) -> None:
        self._agents: Mapping[str, AgentSpec] = {}
        self._policy = Policy()
        self._depth: dict[str, int] = {}
        self._providers: Counter[str] = Counter()
        self._sockets: dict[str, str] = {}
        self._servers: Counter[str] = Counter()
        self._thresholds: dict[str, int] = {}
        self._windows: dict[str, dict[str, float]] = {}
        """scope -> agents that failed, and when; the oldest first."""
        self._counted: dict[str, Counted] = {}
        self._open: dict[str, Cascade] = {}
        self._part: dict[str, str] = {}
        self._gathering: dict[str, float] = {}
        """Agents that wait to see whether they are alone, and until when; the oldest first."""

    def fit(self, agents: Mapping[str, AgentSpec], policy: Policy) -> None:
        self._agents, self._policy = agents, policy
        self._depth = depths(agents)
        self._thresholds.clear()
        self._providers = Counter(provider_of(spec.seats[0]) for spec in agents.values())
        for gone in [agent for agent in self._sockets if agent not in agents]:
            self._servers[self._sockets.pop(gone)] -= 1
        for gone in [agent for agent in (*self._counted, *self._gathering) if agent not in agents]:
            self._forget(gone)
        for gone in [agent for agent in self._part if agent not in agents]:
            self._leave(gone)
        for cascade in self._open.values():
            cascade.breaker.backoff = policy.backoff

    # -- what is heard --------------------------------------------------------------------------

    def changed(
        self, before: AgentState | None, after: AgentState, happened: Sequence[Happening], now: float
    ) -> Told:
        agent = after.id
        spec = self._agents.get(agent)
        if spec is None:
            return NOTHING
        if after.socket and self._sockets.get(agent) != after.socket:
            self._moved(agent, after.socket)
        told = NOTHING
        if before is None:
            self._taken_on(after, spec, now, told := Told())
            return told
        failure = failed_of(after, happened) if happened and after.incident is not None else ""
        if agent in self._part:
            self._of_member(after, spec, happened, failure, now, told := Told())
        elif failure:
            self._failed(after, spec, failure, now, told := Told())
        elif agent in self._counted:
            self._look_again(after)
        return told

    def due(self) -> float | None:
        times = [self._due(cascade) for cascade in self._open.values()]
        if self._gathering:
            times.append(next(iter(self._gathering.values())))
        return min(times, default=None)

    def tick(self, now: float) -> Told:
        told = Told()
        while self._gathering and (first := next(iter(self._gathering))) and self._gathering[first] <= now:
            del self._gathering[first]
            if first not in self._part:
                told.evidence.append(LetGo(first, now, CASCADE))
        for scope, cascade in list(self._open.items()):
            if self._due(cascade) > now:
                continue
            if not cascade.waiting:
                self._end(scope, cascade, now, told)
            elif cascade.breaker.closed:
                self._let_next_go(cascade, now, told)
            else:
                self._let_one_try(cascade, now, told)
        return told

    # -- failures -------------------------------------------------------------------------------

    def _failed(self, s: AgentState, spec: AgentSpec, cause: str, now: float, told: Told) -> None:
        scopes = self._scopes(s, spec, cause)
        for scope in scopes:
            if scope in self._open:
                self._join(scope, Counted(s, cause, now, scopes), now, told)
                return
        self._uncount(s.id)
        self._counted[s.id] = Counted(s, cause, now, scopes)
        begun = now - self._policy.cascade.window
        for scope in scopes:
            window = self._windows.setdefault(scope, {})
            window[s.id] = now
            while (first := next(iter(window))) and window[first] < begun:
                del window[first]
            if len(window) >= self._enough(scope):
                self._begin(scope, now, told)
                return
        if cause in GATHERED and self._population(scopes[0]) >= self._enough(scopes[0]):
            self._gathering[s.id] = now + self._policy.backoff.initial
            why = f"{cause}: others may fail of it in this moment"
            told.evidence.append(HeldBack(s.id, now, CASCADE, why))

    def _look_again(self, s: AgentState) -> None:
        """Whoever comes back, or is in a person's hands, has not failed of what the others fail of."""
        counted = self._counted[s.id]
        before = counted.state.incident
        if s.incident is None or before is None or s.incident.id != before.id or s.phase in HELD:
            self._forget(s.id)
        else:
            self._counted[s.id] = Counted(s, counted.cause, counted.at, counted.scopes)

    def _scopes(self, s: AgentState, spec: AgentSpec, cause: str) -> tuple[str, ...]:
        if cause in OF_PROVIDER:
            return f"provider {provider_of(seat_of(s, spec))}", "cause " + cause
        if cause in OF_SERVER and s.socket:
            return (f"tmux server {s.socket}",)
        return ("cause " + cause,)

    def _population(self, scope: str) -> int:
        kind, _, name = scope.partition(" ")
        if kind == "provider":
            return self._providers[name]
        return self._servers[name.partition(" ")[2]] if kind == "tmux" else len(self._agents)

    def _enough(self, scope: str) -> int:
        """So many agents that fail make a cascade."""
        known = self._thresholds.get(scope)
        if known is not None:
            return known
        cascade, population = self._policy.cascade, self._population(scope)
        share = math.ceil(cascade.share * population - 1e-9)
        least = min(cascade.at_least, population) if scope.startswith("tmux ") else cascade.at_least
        found = self._thresholds[scope] = max(2, least, share)
        return found

    # -- one cascade ----------------------------------------------------------------------------

    def _begin(self, scope: str, now: float, told: Told) -> None:
        agents = list(self._windows[scope])
        causes = Counter(self._counted[agent].cause for agent in agents)
        cause = causes.most_common(1)[0][0]
        shared = Shared(f"cascade-{now:.3f}-{scope.replace(' ', '-')}", cause, scope, now)
        cascade = self._new(shared, now)
        if cause in OF_SERVER:
            cascade.breaker.proved()
            cascade.release = now + self._policy.backoff.initial
        for agent in agents:
            self._join(scope, self._counted[agent], now, told)
        words = f"{len(agents)} agents fail of {cause} ({scope})"
        told.happenings.append(cascade_event(cascade, now, words))
        if self._policy.mode == "armed":
            told.actions.append(Announce(shared.id, words, alert_text(cause, agents)))

    def _new(self, shared: Shared, now: float) -> Cascade:
        patient = shared.cause in NOBODYS_FAULT  # what costs nothing must not be tried all the time
        breaker = Breaker(self._policy.backoff, patient, shared.tries)
        breaker.rest(now, shared.id)
        causes = OF_PROVIDER if shared.cause in OF_PROVIDER else frozenset({shared.cause})
        found = self._open[shared.scope] = Cascade(shared, breaker, causes, now)
        return found

    def _join(self, scope: str, counted: Counted, now: float, told: Told) -> None:
        cascade, s = self._open[scope], counted.state
        agent, incident = s.id, s.incident.id if s.incident else ""
        member = seen(Member(incident, counted.cause, counted.at), s, self._agents[agent])
        gathered = self._gathering.pop(agent, None) is not None
        self._uncount(agent)
        self._part[agent] = scope
        cascade.members[agent] = member
        cascade.named[agent] = None
        cascade.waiting += 1
        cascade.last = now
        if cascade.breaker.closed and cascade.shared.cause not in OF_SERVER:
            cascade.failed(now)
        told.evidence.append(CauseShared(agent, now, self._shared(cascade)))
        if member.able:
            self._hold(cascade, agent, now, told)
        elif gathered:
            told.evidence.append(LetGo(agent, now, CASCADE))

    def _of_member(
        self,
        s: AgentState,
        spec: AgentSpec,
        happened: Sequence[Happening],
        failure: str,
        now: float,
        told: Told,
    ) -> None:
        cascade = self._open[self._part[s.id]]
        member, incident = cascade.members[s.id], s.incident
        ordered = s.recovery is not None and s.recovery.order is not None
        if incident is None or incident.id != member.incident or s.phase in HELD or ordered:
            self._left(cascade, s, happened, now, told)
            if failure and not ordered:
                self._failed(s, spec, failure, now, told)
            return
        seen(member, s, spec)
        if member.started and cascade.order and self._agents[cascade.order[0][2]].parent == s.id:
            cascade.release = min(cascade.release, now)  # its child may wait for that
        if any(h.type == "agent_attempt_failed" for h in happened):
            self._in_vain(cascade, s.id, member, failure, now, told)
        waits = member.held or member.gone_on or s.id == cascade.breaker.probe
        if member.able and not waits:
            self._hold(cascade, s.id, now, told)

    def _in_vain(
        self, cascade: Cascade, agent: str, member: Member, failure: str, now: float, told: Told
    ) -> None:
        """An attempt of a member failed: of the shared cause, unless it had gone on and failed of another."""
        if member.gone_on:
            if failure not in cascade.causes:
                return
            member.gone_on = False
            cascade.waiting += 1
        if agent == cascade.breaker.probe or cascade.breaker.closed:
            cascade.failed(now)
        cascade.last = now
        told.evidence.append(CauseShared(agent, now, self._shared(cascade)))

    def _left(
        self, cascade: Cascade, s: AgentState, happened: Sequence[Happening], now: float, told: Told
    ) -> None:
        """It is at work again, given up, or in a person's hands."""
        outcomes = {h.fields.get("outcome") for h in happened if h.type == "agent_incident_closed"}
        tried, held = cascade.breaker.probe == s.id, cascade.members[s.id].held
        self._leave(s.id)
        if outcomes & {"recovered", "self"}:
            self._prove(cascade, now, told)
        elif tried:
            cascade.breaker.rest(now, cascade.shared.id)
        if held or hold_of(s, CASCADE):
            told.evidence.append(LetGo(s.id, now, CASCADE))
        if s.incident is not None and s.phase not in HELD:
            told.evidence.append(CauseShared(s.id, now, None))

    def _prove(self, cascade: Cascade, now: float, told: Told) -> None:
        """One is at work again: the others follow, in the order of their families."""
        if cascade.breaker.closed:
            return
        cascade.breaker.proved()
        cascade.release = now
        for agent, member in cascade.members.items():
            if member.held:
                heapq.heappush(cascade.order, (self._depth[agent], member.since, agent))
            elif not member.gone_on:
                self._go_on(cascade, agent, member, now, told)

    def _hold(self, cascade: Cascade, agent: str, now: float, told: Told) -> None:
        deadline = self._agents[agent].policy.task_deadline
        if cascade.lapsed or now >= cascade.shared.opened + deadline:
            return
        member = cascade.members[agent]
        member.held = True
        why = f"one of many that fail of {cascade.shared.cause} ({cascade.shared.scope})"
        told.evidence.append(HeldBack(agent, now, CASCADE, why))
        if cascade.breaker.closed:
            heapq.heappush(cascade.order, (self._depth[agent], member.since, agent))

    # -- time -----------------------------------------------------------------------------------

    def _due(self, cascade: Cascade) -> float:
        if not cascade.waiting:
            return cascade.last + self._policy.cascade.window
        if cascade.breaker.closed:
            return cascade.release if cascade.order else math.inf
        return cascade.breaker.until

    def _let_next_go(self, cascade: Cascade, now: float, told: Told) -> None:
        while cascade.order:
            agent = cascade.order[0][2]
            member = cascade.members.get(agent)
            if member is not None and member.held and self._waits_for_parent(cascade, agent, now):
                cascade.release = now + AGAIN
                return
            heapq.heappop(cascade.order)
            if member is None or not member.held:
                continue
            told.evidence.append(LetGo(agent, now, CASCADE))
            self._go_on(cascade, agent, member, now, told)
            cascade.release = now + stagger(self._policy.backoff, f"{cascade.shared.id}/{agent}")
            return

    def _waits_for_parent(self, cascade: Cascade, agent: str, now: float) -> bool:
        """Its parent was let go a moment ago and has no process yet."""
        parent = cascade.members.get(self._agents[agent].parent or "")
        if parent is None or parent.started or not parent.gone_on:
            return False
        return now < parent.gone_at + PATIENCE

    def _go_on(self, cascade: Cascade, agent: str, member: Member, now: float, told: Told) -> None:
        member.held, member.gone_on, member.gone_at = False, True, now
        cascade.waiting -= 1
        cascade.last = now
        told.evidence.append(CauseShared(agent, now, None))

    def _let_one_try(self, cascade: Cascade, now: float, told: Told) -> None:
        """The pause is over, or who tried is neither proved nor failed in its time."""
        breaker, seed = cascade.breaker, cascade.shared.id
        if breaker.probe is not None:
            cascade.failed(now)
            return
        held = [(agent, m) for agent, m in cascade.members.items() if m.held and m.able]
        if not held or any(member.trying for member in cascade.members.values()):
            breaker.rest(now, seed)
            return
        agent, member = min(held, key=lambda one: self._rank(one[0], one[1], now))
        member.held = False
        member.turns += 1
        policy = self._agents[agent].policy
        patience = policy.kill_grace + 2 * policy.verify_within + 2 * breaker.pause(seed)
        breaker.goes(agent, max(now, member.ready) + patience)
        told.evidence.append(LetGo(agent, now, CASCADE))

    def _rank(self, agent: str, member: Member, now: float) -> tuple[float, ...]:
        return member.turns, max(0.0, member.ready - now), self._depth[agent], member.since

    def _end(self, scope: str, cascade: Cascade, now: float, told: Told) -> None:
        for agent in list(cascade.members):
            self._leave(agent)
        del self._open[scope]
        seconds = round(now - cascade.shared.opened, 3)
        words = f"no more agents fail of {cascade.shared.cause} ({cascade.shared.scope})"
        told.happenings.append(cascade_event(cascade, now, words, over=True, seconds=seconds))

    # -- bookkeeping ----------------------------------------------------------------------------

    def _taken_on(self, s: AgentState, spec: AgentSpec, now: float, told: Told) -> None:
        """What it was part of when the daemon before us ended, it is still."""
        shared = s.incident.shared if s.incident else None
        hold = hold_of(s, CASCADE)
        if s.incident is None or shared is None or s.phase in HELD:
            if hold:
                told.evidence.append(LetGo(s.id, now, CASCADE))
            return
        cascade = self._open.get(shared.scope)
        if cascade is None:
            cascade = self._new(replace(shared, opened=min(shared.opened, now)), now)
            cascade.lapsed = shared.opened > now
            if shared.cause in OF_SERVER:
                cascade.breaker.proved()
                cascade.release = now
        cascade.breaker.tries = max(cascade.breaker.tries, shared.tries)
        member = seen(Member(s.incident.id, shared.cause, hold.since if hold else now), s, spec)
        self._part[s.id] = shared.scope
        cascade.members[s.id] = member
        cascade.named[s.id] = None
        cascade.waiting += 1
        if member.able:
            self._hold(cascade, s.id, now, told)
        if hold and not member.held:
            told.evidence.append(LetGo(s.id, now, CASCADE))

    def _shared(self, cascade: Cascade) -> Shared:
        before, tried = cascade.shared, cascade.breaker.tries
        if before.tries != tried:
            cascade.shared = Shared(before.id, before.cause, before.scope, before.opened, tried)
        return cascade.shared

    def _moved(self, agent: str, socket: str) -> None:
        if agent in self._sockets:
            self._servers[self._sockets[agent]] -= 1
        self._thresholds.clear()
        self._sockets[agent] = socket
        self._servers[socket] += 1

    def _leave(self, agent: str) -> None:
        cascade = self._open[self._part.pop(agent)]
        cascade.waiting -= not cascade.members.pop(agent).gone_on
        if cascade.breaker.probe == agent:
            cascade.breaker.probe = None

    def _forget(self, agent: str) -> None:
        self._uncount(agent)
        self._gathering.pop(agent, None)

    def _uncount(self, agent: str) -> None:
        counted = self._counted.pop(agent, None)
        for scope in counted.scopes if counted else ():
            self._windows[scope].pop(agent, None)
