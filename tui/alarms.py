"""Which interventions the open screen calls a person for, by the rule of the fleet file. Pure.

One alert per incident; it calls once more when the incident fails for good, for only then must a person act.
While many agents fail of one cause, that is one incident here as well.
What happened before the screen was opened has called already, or somebody else has been told (`notify`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..config.fleet import Alerts, FleetSpec
from ..controller.ports import Event
from .document import Fleet
from .feed import Snapshot
from .interventions import ICONS
from .looks import clean

REST = 2.0
"""Seconds between two calls: what comes in between is told together, so that a storm is no drum roll."""
REMEMBERED = 4096
"""Incidents of which it is remembered that they called."""
NAMED = 3
BUDGETS = {"agent_budget_warned": "budget warning", "agent_budget_spent": "budget spent"}
"""Events that call as `budget`; they are no intervention, and in no orange bar."""
WORDS = {type: icon[2] for type, icon in ICONS.items()} | BUDGETS
_UNSAID = Alerts()


@dataclass(frozen=True, slots=True)
class Call:
    """`bell`: ring it; `notice`: what the terminal is to show outside of its window, empty for nothing."""

    bell: bool
    notice: str


class Alarms:
    """Remembers what has called; `take` is given every look."""

    def __init__(self) -> None:
        self._seq: int | None = None
        self._told: dict[tuple[str, bool], None] = {}
        self._waiting: list[tuple[Event, bool, bool]] = []
        self._called_at = 0.0
        self._shared = False
        """A shared cause is known, and has called."""

    def take(self, seen: Snapshot) -> Call | None:
        """What this look calls for. A look that failed tells nothing new."""
        events = seen.events
        if seen.fault or (self._seq is None and not seen.fleet.name):
            return None
        newest = events[-1].seq if events else 0
        if self._seq is None or newest < self._seq:  # the first look, or a ledger that began anew
            self._begin(events, newest)
        elif newest > self._seq:
            fresh = _since(events, self._seq)
            self._seq = newest
            for event in fresh:
                if (found := self._wanted(event, seen.spec)) and not self._of_shared(event, seen.fleet):
                    self._waiting.append(found)
        self._shared = self._shared and bool(seen.fleet.cascade)
        return self._call(seen.fleet) if self._waiting else None

    def _begin(self, events: Sequence[Event], newest: int) -> None:
        self._seq, self._told, self._waiting = newest, {}, []
        for event in events:
            if event.type in WORDS:
                self._remember(event)

    def _wanted(self, event: Event, spec: FleetSpec | None) -> tuple[Event, bool, bool] | None:
        """The event with whether the bell, and whether a notice, is to tell it."""
        name = "budget" if event.type in BUDGETS else event.type.removeprefix("hhmrs_")
        rule = _rule(spec, event.agent)
        bell, desktop = name in rule.bell, name in rule.desktop
        if event.type not in WORDS or not (bell or desktop) or not self._remember(event):
            return None
        return event, bell, desktop

    def _of_shared(self, event: Event, fleet: Fleet) -> bool:
        """Of agents that fail of one cause the first calls for all; who is given up still calls."""
        if not fleet.cascade or event.type in ("hhmrs_failure", *BUDGETS):
            return False
        before, self._shared = self._shared, True
        return before

    def _remember(self, event: Event) -> bool:
        """Whether this is the first of its incident, or its end in failure."""
        own = event.incident if event.type not in BUDGETS else None
        key = (own or f"event {event.seq}", event.type == "hhmrs_failure")
        if key in self._told or (not key[1] and (key[0], True) in self._told):
            return False
        self._told[key] = None
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        return True

    def _call(self, fleet: Fleet) -> Call | None:
        if 0 <= fleet.at - self._called_at < REST:
            return None
        told, self._waiting, self._called_at = self._waiting, [], fleet.at
        shown = [event for event, _, desktop in told if desktop]
        return Call(any(bell for _, bell, _ in told), _notice(shown, fleet))


def _since(events: Sequence[Event], seq: int) -> list[Event]:
    fresh: list[Event] = []
    for event in reversed(events):
        if event.seq <= seq:
            break
        fresh.append(event)
    return fresh[::-1]


def _rule(spec: FleetSpec | None, agent: str | None) -> Alerts:
    if spec is None:
        return _UNSAID
    own = spec.agents.get(agent) if agent is not None else None
    return (own.policy if own is not None else spec.policy).alerts


def _notice(events: Iterable[Event], fleet: Fleet) -> str:
    """`hhmrs nightly: Dir-Code timeout: silent for 60 s`; of many, the first few by name."""
    newest = {event.agent or "": event for event in events}
    if not newest:
        return ""
    words = [f"{fleet.title(one.agent) or 'fleet'} {WORDS[one.type]}" for one in newest.values()]
    line = ", ".join(words[:NAMED]) + (f" and {len(words) - NAMED} more" if len(words) > NAMED else "")
    reason = next(iter(newest.values())).data.get("reason") if len(words) == 1 else None
    return clean(f"hhmrs {fleet.name}: {line}" + (f": {reason}" if reason else ""), 160)
