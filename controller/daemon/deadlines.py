"""When each agent is to be looked at next; nobody else is touched."""

from __future__ import annotations

import heapq


class Deadlines:
    """One time per agent. To put it off costs nothing: the heap hears of it when the earlier time is over.

    Nearly every piece of evidence moves the deadline of its agent a little further, so a heap that was told
    each time would be the engine's main work, and hold hundreds of entries for each agent."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._entered: dict[str, float] = {}
        """The time under which an agent's one valid entry stands in the heap; it may be too early."""

    def __len__(self) -> int:
        """Entries in the heap, outdated ones included: at most about two for each agent."""
        return len(self._heap)

    def set(self, agent: str, when: float | None) -> None:
        """Look at `agent` at `when` and not before; None: not at all."""
        if when is None:
            self._due.pop(agent, None)
            return
        self._due[agent] = when
        entered = self._entered.get(agent)
        if entered is not None and entered <= when:
            return
        self._enter(agent, when)
        if len(self._heap) > 2 * len(self._due) + 64:
            self._clean()

    def next(self) -> float | None:
        """The earliest deadline of all."""
        while self._heap:
            entered, agent = self._heap[0]
            due = self._due.get(agent)
            if self._entered.get(agent) == entered and due is not None and due <= entered:
                return due
            self._drop_first()
        return None

    def take(self, now: float) -> str | None:
        """An agent whose deadline is not after `now`, the earliest first; it has none any more then."""
        while self._heap and self._heap[0][0] <= now:
            due = self.next()
            if due is None or due > now:
                return None
            agent = self._heap[0][1]
            del self._due[agent]
            self._drop_first()
            return agent
        return None

    def _drop_first(self) -> None:
        """Take the first entry away; where it was only too early, enter its agent again."""
        entered, agent = heapq.heappop(self._heap)
        if self._entered.get(agent) != entered:
            return
        del self._entered[agent]
        due = self._due.get(agent)
        if due is not None:
            self._enter(agent, due)

    def _enter(self, agent: str, when: float) -> None:
        self._entered[agent] = when
        heapq.heappush(self._heap, (when, agent))

    def _clean(self) -> None:
        self._entered = dict(self._due)
        self._heap = [(when, agent) for agent, when in self._due.items()]
        heapq.heapify(self._heap)
