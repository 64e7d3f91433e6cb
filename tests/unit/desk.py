"""One agent under the brain, with the clock in our hand: what tests of single rules share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hhmrs.config.fleet import AgentSpec
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Happening, Phase
from hhmrs.healing.codec import dump_state, load_state
from hhmrs.healing.decide import decide, due
from hhmrs.healing.evolve import evolve
from hhmrs.healing.transitions import Change, first_state


class Desk:
    """What the brain asks for is done at once and well; another world is told by another `answer`.

    `happened` and `actions`: all it wrote down and all it asked for, in order. Every state it comes to is
    written and read back, as the ledger does."""

    def __init__(self, spec: AgentSpec, now: float = 1000.0) -> None:
        self.spec, self.now = spec, now
        self.happened: list[Happening] = []
        self.actions: list[a.Action] = []
        self.state: AgentState = first_state(spec, now).state

    def tell(
        self, make: Callable[..., e.Evidence], *args: object, after: float = 0.0, **named: object
    ) -> None:
        """`after` seconds later it hears of this, and does what is due then."""
        self.look(after)
        self.see(make, *args, **named)
        self.look()

    def see(self, make: Callable[..., e.Evidence], *args: object, **named: object) -> None:
        """It hears of this now, and is not asked yet what to do."""
        self.take(evolve(self.state, make(self.spec.id, self.now, *args, **named), self.spec))

    def look(self, after: float = 0.0) -> None:
        """Time passes; it is asked what to do whenever it wants to be."""
        until = self.now + after
        for _ in range(300):
            at = due(self.state, self.spec)
            if at is None or at > until:
                break
            self.now = max(self.now, at)
            self.take(decide(self.state, self.spec, self.now))
        else:
            pytest.fail(f"it does not settle: {self.state}")
        self.now = until

    def take(self, change: Change) -> None:
        self.state = change.state
        assert load_state(dump_state(self.state)) == self.state
        self.happened += change.happenings
        self.actions += change.actions
        for action in change.actions:
            self.answer(action)

    def answer(self, action: a.Action) -> None:
        if isinstance(action, a.StartAttempt):
            self.tell(e.ProcessStarted, action.attempt, 100 + action.attempt, 1.0, "%1")
        else:
            self.tell(e.StepFinished, action.key, True)

    def phase(self) -> Phase:
        return self.state.phase

    def did(self) -> list[str]:
        """The recoveries it told of: `timeout`, `nudge`, `restart`, ..."""
        told = (h.type for h in self.happened)
        return [kind.removeprefix("hhmrs_") for kind in told if kind.startswith("hhmrs_")]

    def told(self, kind: str) -> list[dict[str, object]]:
        """The fields of each event of that type."""
        return [dict(h.fields) for h in self.happened if h.type == kind]
