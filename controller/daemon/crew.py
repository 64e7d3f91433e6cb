"""Carries out actions in threads: those of one agent one after the other, of many agents a few at once."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from ...healing import actions as a
from ...healing import evidence as e
from ...healing.agent import AgentState
from ..ports import Clock
from ..recovery.perform import Outcome

log = logging.getLogger(__name__)

AT_ONCE = 32
"""So many actions are carried out at once. Ending a tree may take its whole grace: a few stubborn agents must
not keep the others waiting."""


class Hands(Protocol):
    """Carries out actions; blocking, so it runs in a thread."""

    def perform(self, action: a.Action, state: AgentState) -> Outcome: ...


class Crew:
    """Hands out actions in the order in which they come; `done` hears of each, with what came of it. An
    action that fails with an exception is done all the same: its step has failed, and why."""

    def __init__(
        self,
        hands: Hands,
        states: Mapping[str, AgentState],
        clock: Clock,
        done: Callable[[a.Action, Outcome], None],
    ) -> None:
        self._hands = hands
        self._states = states
        self._clock = clock
        self._done = done
        self._lines: dict[str, deque[a.Action]] = {}
        """agent -> what waits for the action of it that is being carried out."""
        self._next: deque[a.Action] = deque()
        """The first actions of agents that wait for a free hand."""
        self._busy_hands = 0
        self._at_work: set[asyncio.Task[None]] = set()
        """Tasks of those hands; one that has just ended stays in it a moment longer."""

    def take(self, action: a.Action) -> None:
        """Carry it out as soon as may be. Called in the loop."""
        line = self._lines.get(action.agent)
        if line is not None:
            line.append(action)
            return
        self._lines[action.agent] = deque()
        self._next.append(action)
        if self._busy_hands < AT_ONCE:
            self._busy_hands += 1
            task = asyncio.create_task(self._work())
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

    def busy(self, agent: str) -> bool:
        """Whether an action of this agent is being carried out, or waits for it."""
        return agent in self._lines

    async def rest(self, within: float) -> None:
        """Wait until all that was taken is done, at most so many seconds."""
        if self._at_work:
            await asyncio.wait(list(self._at_work), timeout=within)

    async def _work(self) -> None:
        while self._next:
            action = self._next.popleft()
            outcome = await self._outcome(action)
            # Behind the others: one agent with much to do must not keep a hand to itself.
            line = self._lines[action.agent]
            if line:
                self._next.append(line.popleft())
            else:
                del self._lines[action.agent]
            self._done(action, outcome)
        self._busy_hands -= 1

    async def _outcome(self, action: a.Action) -> Outcome:
        try:
            state = self._states[action.agent] if action.agent else AgentState("")  # "": of the whole fleet
            return await asyncio.to_thread(self._hands.perform, action, state)
        except Exception as error:
            log.exception("cannot carry out %s", action)
            failed = e.StepFinished(action.agent, self._clock.now(), action.key, False, repr(error))
            return Outcome([failed])
