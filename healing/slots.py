"""How many agents recover at once: a bound for the whole fleet, so that no host drowns in starts.

Whoever would begin while the bound is reached is held back. It is let go when its turn comes: the longest
waiting first, but before it any ancestor that waits as well. Turns follow each other a moment apart; only a
handful may begin at once. What a person orders is neither held nor counted. An agent that was let go keeps
its slot for a while only: if something else keeps it from beginning, another goes.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..config.fleet import AgentSpec, Policy
from .agent import AgentState, Happening
from .evidence import Evidence, HeldBack, LetGo
from .guards import NOTHING, Told
from .holding import HANDS_OFF, SLOTS, hold_of, tries, wants

GOLDEN = (math.sqrt(5) - 1) / 2
PATIENCE = 10.0
"""Seconds in which an agent that was let go has to begin."""


def _told(words: Sequence[Evidence]) -> Told:
    return Told(list(words)) if words else NOTHING


class Waiting(NamedTuple):
    """Held back since `since`; could begin from `ready` on (engine time; infinite: what comes next is not
    decided yet). `number` tells old entries of a queue from the one that counts."""

    since: float
    ready: float
    number: int


def most_at_once(agents: int, policy: Policy) -> int:
    """How many of so many agents may recover at once."""
    return max(1, policy.recoveries.at_least, math.ceil(policy.recoveries.share * agents - 1e-9))


class Slots:
    """The guard of the bound. Each change costs at most the logarithm of those that wait."""

    def __init__(self) -> None:
        self._agents: Mapping[str, AgentSpec] = {}
        self._policy = Policy()
        self._most = 1
        self._free: dict[str, float] = {}
        """Agents that may begin at any moment, or from an engine time on, and are not held back."""
        self._busy: set[str] = set()
        self._granted: dict[str, float] = {}
        """Agents that were let go and have a slot until then."""
        self._waiting: dict[str, Waiting] = {}
        self._queue: list[tuple[float, int, str]] = []
        """(since, number, agent) of those that wait and could begin."""
        self._later: list[tuple[float, int, str]] = []
        """(ready, number, agent) of those that wait, and whose backoff is not over."""
        self._numbers = itertools.count()
        self._next = -math.inf
        """When the next one should begin, if they followed each other evenly."""

    def fit(self, agents: Mapping[str, AgentSpec], policy: Policy) -> None:
        self._agents, self._policy = agents, policy
        self._most = most_at_once(len(agents), policy)
        for agent in [*self._free, *self._busy, *self._granted, *self._waiting]:
            if agent not in agents:
                self._forget(agent)

    def changed(
        self,
        before: AgentState | None,
        after: AgentState,
        happened: Sequence[Happening],  # noqa: ARG002 - the state says it all
        now: float,
    ) -> Told:
        agent = after.id
        spec = self._agents.get(agent)
        if spec is None:
            return NOTHING
        if after.incident is None and after.recovery is None and not after.held_back:
            self._forget(agent)
            return NOTHING
        if after.incident is not None or after.recovery is not None:
            if tries(after) and after.phase not in HANDS_OFF:
                return NOTHING if agent in self._busy else _told(self._begun(agent, now))
            others = after.held_back and any(hold.by != SLOTS for hold in after.held_back)
            if not others and wants(after, spec):
                return _told(self._wants(after, before is None, now))
        let_go = agent in self._waiting or hold_of(after, SLOTS)
        self._forget(agent)
        return Told([LetGo(agent, now, SLOTS)]) if let_go else NOTHING

    def due(self) -> float | None:
        self._drop_old()
        times = [next(iter(self._granted.values()))] if self._granted else []
        if self._later:
            times.append(self._later[0][0])
        if self._queue and self._used() < self._most:
            times.append(self._next - self._head_start())
        return min(times, default=None)

    def tick(self, now: float) -> Told:
        told = Told()
        late = [agent for agent, until in self._granted.items() if until <= now]
        for agent in late:
            del self._granted[agent]
            self._free[agent] = now
        while self._later and self._later[0][0] <= now:
            _, number, agent = heapq.heappop(self._later)
            waiting = self._waiting.get(agent)
            if waiting and waiting.number == number:
                heapq.heappush(self._queue, (waiting.since, number, agent))
        self._drop_old()
        while self._queue and not self._is_closed(now):
            agent = self._first(now)
            self._forget(agent)
            self._granted[agent] = now + PATIENCE
            self._count(now)
            told.evidence.append(LetGo(agent, now, SLOTS))
            self._drop_old()
        if self._free and self._is_closed(now):
            told.evidence += self._hold_all(now)
        return told

    # -- one agent ------------------------------------------------------------------------------

    def _begun(self, agent: str, now: float) -> Sequence[Evidence]:
        if agent not in self._granted:
            self._count(now)
        self._forget(agent)
        self._busy.add(agent)
        return self._hold_all(now) if self._free and self._is_closed(now) else ()

    def _wants(self, s: AgentState, taken_on: bool, now: float) -> Sequence[Evidence]:
        # What it is held back with may be out of date: what was last told, and not yet heeded, counts.
        agent, hold = s.id, hold_of(s, SLOTS) if taken_on else None
        ready = s.recovery.due if s.recovery is not None else math.inf
        if agent in self._granted:
            if ready <= now:
                return ()
            del self._granted[agent]
        self._busy.discard(agent)
        if agent in self._waiting:
            if ready != self._waiting[agent].ready:
                self._queue_up(agent, self._waiting[agent].since, ready, now)
        elif hold is not None:
            self._queue_up(agent, hold.since, ready, now)  # so it was when the daemon before us ended
        elif self._queue or self._is_closed(now):
            return [self._hold(agent, ready, now)]
        else:
            self._free[agent] = ready
        return ()

    def _hold_all(self, now: float) -> list[Evidence]:
        free, self._free = self._free, {}
        return [self._hold(agent, ready, now) for agent, ready in free.items()]

    def _hold(self, agent: str, ready: float, now: float) -> HeldBack:
        self._free.pop(agent, None)
        self._queue_up(agent, now, ready, now)
        why = f"{self._most} may recover at once, and its turn comes"
        return HeldBack(agent, now, SLOTS, why)

    def _queue_up(self, agent: str, since: float, ready: float, now: float) -> None:
        number = next(self._numbers)
        self._waiting[agent] = Waiting(since, ready, number)
        if ready <= now:
            heapq.heappush(self._queue, (since, number, agent))
        elif ready < math.inf:
            heapq.heappush(self._later, (ready, number, agent))

    def _forget(self, agent: str) -> None:
        self._busy.discard(agent)
        self._free.pop(agent, None)
        self._granted.pop(agent, None)
        self._waiting.pop(agent, None)

    # -- the bound ------------------------------------------------------------------------------

    def _used(self) -> int:
        return len(self._busy) + len(self._granted)

    def _is_closed(self, now: float) -> bool:
        return self._used() >= self._most or self._next - self._head_start() > now

    def _head_start(self) -> float:
        """So many seconds the beginnings may be ahead of an even pace: a handful at once."""
        backoff = self._policy.backoff
        return 1.5 * (max(1, self._policy.recoveries.at_least) - 1) * backoff.initial * backoff.jitter

    def _count(self, now: float) -> None:
        backoff = self._policy.backoff
        # A seed for each would cost more than all the rest; the golden ratio spreads a count as well.
        spread = next(self._numbers) * GOLDEN % 1.0
        self._next = max(self._next, now) + backoff.initial * backoff.jitter * (1 + spread)

    def _first(self, now: float) -> str:
        """Whose turn it is. Whoever waits for its own ancestor's sake stays in the queue."""
        since, number, agent = heapq.heappop(self._queue)
        top, here = agent, self._agents[agent].parent
        seen = {agent}
        while here is not None and here not in seen and here in self._agents:
            seen.add(here)
            waiting = self._waiting.get(here)
            if waiting and waiting.ready <= now:
                top = here
            here = self._agents[here].parent
        if top != agent:
            heapq.heappush(self._queue, (since, number, agent))
        return top

    def _drop_old(self) -> None:
        """Take away the heads of the queues that do not count any more."""
        for queue in (self._queue, self._later):
            while queue and not self._counts(queue[0]):
                heapq.heappop(queue)

    def _counts(self, entry: tuple[float, int, str]) -> bool:
        waiting = self._waiting.get(entry[2])
        return waiting is not None and waiting.number == entry[1]
