"""What was done from this screen, and how the last of it is taken back, where that is possible. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..controller.ports import Event
from .interventions import Dismissal
from .looks import clean

KEPT = 50
INVERSE = {
    "pause": "unpause",
    "unpause": "pause",
    "stop": "start",
    "start": "stop",
    "escalate": "clear",
}
"""An order -> the one that takes it back."""
GRAVE = frozenset({"start", "stop", "clear"})
"""Those of them that start or end a process: asked about first."""
_ENDED = frozenset({"resume", "restart", "reassign"})
_NEVER = {
    "nudge": "what was typed and pressed cannot be taken back",
    "send": "what was typed cannot be taken back",
    "clear": "the closed incident stays closed; give it up again with e if it must be",
    "heal": "a look takes nothing away; what it recovered stays",
}


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that was done. `agents` with their `titles`; `dismissal`: what was waved away before it."""

    order: str
    agents: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    letter: str = ""
    dismissal: Dismissal | None = None

    @property
    def whom(self) -> str:
        if len(self.titles) > 3:
            return f"{len(self.titles)} agents"
        return clean(", ".join(self.titles), 120) or "the fleet"


@dataclass(frozen=True, slots=True)
class Undo:
    """What the next undo is. `order` empty: it cannot be taken back, and `says` why, or brings the bar back
    with `dismissal`."""

    says: str
    order: str = ""
    agents: tuple[str, ...] = ()
    dismissal: Dismissal | None = None

    @property
    def grave(self) -> bool:
        return self.order in GRAVE


class Undoing:
    """The deeds of this session, newest last. Each is undone once."""

    def __init__(self) -> None:
        self._deeds: list[Deed] = []

    def did(self, deed: Deed) -> None:
        self._deeds = [*self._deeds[1 - KEPT :], deed]

    @property
    def last(self) -> Deed | None:
        return self._deeds[-1] if self._deeds else None

    def take(self, events: Iterable[Event]) -> Undo:
        """Take the last deed off the pile. `events`: the fleet's newest, oldest first."""
        if not self._deeds:
            return Undo("nothing was done from this screen that could be undone")
        deed = self._deeds.pop()
        if deed.dismissal is not None:
            return Undo("the bar is back", dismissal=deed.dismissal)
        back = INVERSE.get(deed.order)
        if back is not None:
            return Undo(f"undo {deed.order} of {deed.whom}: {back}", back, deed.agents)
        why = _NEVER.get(deed.order) or f"a {deed.order} cannot be undone"
        if deed.order in _ENDED:
            why = f"a {deed.order} cannot be undone. {_held(deed, events)}"
        next_one = self.last
        nearer = f". Before it: {next_one.order} of {next_one.whom}, press again" if next_one else ""
        return Undo(f"{deed.order} of {deed.whom}: {why}{nearer}")


def _held(deed: Deed, events: Iterable[Event]) -> str:
    """Where the state before it is."""
    known = list(events)
    found = [f"{name}: {seq}" for name in deed.agents if (seq := saved_before(known, name)) is not None]
    if not found:
        return "`hhmrs checkpoints AGENT` lists what was saved before"
    if len(deed.agents) == 1:
        name, seq = deed.agents[0], saved_before(known, deed.agents[0])
        return f"Checkpoint {seq} holds the state before it: `hhmrs restore {name} {seq} --to DIR`"
    return f"Checkpoints hold the states before it ({clean(', '.join(found), 160)}): see `hhmrs restore`"


def saved_before(events: Iterable[Event], agent: str) -> int | None:
    """The checkpoint that was stored last before the agent's newest attempt began."""
    newest: int | None = None
    before: int | None = None
    for event in events:
        if event.agent != agent:
            continue
        if event.type == "checkpoint_stored" and isinstance(seq := event.data.get("checkpoint"), int):
            newest = seq
        elif event.type == "agent_started":
            before = newest
    return before
