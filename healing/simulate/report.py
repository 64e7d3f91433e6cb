"""What a simulated run comes to: counts, and each agent's incidents with their attempts and outcomes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..agent import AgentState, Happening

STRATEGIES = ("nudge", "resume", "restart", "reassign")


@dataclass(slots=True)
class Story:
    """What happened to one agent. Times in seconds: the longest from an incident's opening to its recovery,
    and to the call for a person, time in which nothing could be done included. `causes`: incidents by cause;
    `strategies`: attempts by strategy; `outcomes`: how its incidents ended."""

    causes: Counter[str] = field(default_factory=Counter)
    strategies: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    recovered_after: float | None = None
    escalated_after: float | None = None
    opened: float | None = None

    def hear(self, h: Happening) -> None:
        if h.type == "agent_incident":
            self.opened = h.at
            self.causes[str(h.fields.get("cause"))] += 1
        elif h.type.startswith("hhmrs_") and h.type[6:] in STRATEGIES:
            self.strategies[h.type[6:]] += 1
        elif h.type == "hhmrs_failure":
            self.outcomes["escalated"] += 1
            self.escalated_after = self._longer(self.escalated_after, h.at)
        elif h.type == "agent_incident_closed":
            outcome = str(h.fields.get("outcome"))
            self.outcomes[outcome] += 1
            if outcome == "recovered":
                self.recovered_after = self._longer(self.recovered_after, h.at)
            self.opened = None

    def _longer(self, before: float | None, at: float) -> float | None:
        if self.opened is None:
            return before
        return max(before or 0.0, at - self.opened)


@dataclass(frozen=True, slots=True)
class Report:
    """`seconds` were simulated in `steps` turns of the supervisor, by `daemons` daemons one after the other.
    `events`: happenings by type; `broken`: the first broken promise in words, or None; `checks`: how often
    the promises were looked at; `false_alarms`: time-outs of attempts that were soundly at work."""

    seed: str
    seconds: float
    steps: int
    checks: int
    daemons: int
    events: dict[str, int]
    broken: str | None
    states: dict[str, AgentState]
    stories: dict[str, Story]
    struck: dict[str, int]
    """How often what went wrong: attempts by behaviour, storms, deaths of the daemon."""
    longest: dict[str, float]
    """Of each agent: see promises.Watch.longest."""
    false_alarms: int = 0
