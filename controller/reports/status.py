"""What `status`, the screen and scripts are shown of a fleet: the shapes of contract.md section 5.

A view holds what is written; what goes on with the clock alone is reckoned when the document is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..timestamps import to_iso

if TYPE_CHECKING:
    from ...config.fleet import FleetSpec
    from ...healing.agent import AgentState


USAGE = ("sent", "received", "cached", "cost", "context_left")
"""What its transcripts tell: tokens, US dollars, and 0..1 of the model's window; null where they do not."""


@dataclass(frozen=True, slots=True)
class DaemonView:
    pid: int
    uptime_s: float
    mode: str
    version: str
    ready: bool
    config: str
    stopped: bool = False
    """Its process is stopped (state T): what is shown is the last known state, and nobody is healed."""

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class AttemptView:
    """`at` is text; `outcome` pending, success or failure; `why` the proof or the reason."""

    n: int
    strategy: str
    at: str
    outcome: str
    why: str

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class IncidentView:
    """`outcome` is None while it is open, an escalated one (level 3) too; then recovered, self or cleared."""

    id: str
    agent: str
    opened: str
    symptom: str
    cause: str
    detail: str
    attempts: tuple[AttemptView, ...]
    outcome: str | None
    level: int
    closed: str | None

    def as_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "attempts": [a.as_json() for a in self.attempts]}


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent of contract.md section 5, as long as nothing is written about it; what goes on with the clock
    alone stands beside it (`FleetView.as_json`). `trace`: engine time of the newest evidence of each kind,
    None: none yet.

    `pane_title` is what its pane calls itself, hostile text.
    `stage` is where a recovery stands, `next` the strategy under way and the time its stage ends; `asks` the
    ancestor that is asked for the next step, and until when it may answer."""

    id: str
    parent: str | None
    profile: str | None
    model: str | None
    phase: str
    since: str | None
    attempt: int
    restarts: int
    reassigns: int
    pid: int | None
    pane: str | None
    socket: str | None
    task: str | None
    progress: float | None
    message: str
    cpu_pct: float
    memory_mb: float
    trace: Mapping[str, float | None]
    incident: str | None
    title: str
    ready: bool
    alive: bool
    attached: bool
    pane_title: str
    says: str
    task_text: str | None
    stage: str | None
    next: Mapping[str, str | None] | None
    asks: Mapping[str, str | None] | None
    limited_until: str | None
    bad_letters: int
    held_back: tuple[Mapping[str, str | None], ...]
    usage: Mapping[str, float | None] = field(default_factory=dict)
    budget: str | None = None
    """Why it is given nothing more to do, and what ends that; None: it is."""
    orphan: bool = False

    def as_json(self) -> dict[str, Any]:
        """Without what goes on with the clock."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in ("orphan", "trace")}
        plain["next"] = dict(self.next) if self.next else None
        plain["usage"] = {name: self.usage.get(name) for name in USAGE}
        plain["held_back"] = [dict(hold) for hold in self.held_back]
        plain["asks"] = dict(self.asks) if self.asks else None
        return plain | ({"orphan": True} if self.orphan else {})


@dataclass(frozen=True, slots=True)
class FleetView:
    """The document of `status --json`; agents in file order, then those no longer in it."""

    fleet: str
    now: float
    """Engine time of the look."""
    host: str
    daemon: DaemonView | None
    cascade: Mapping[str, Any] | None
    agents: tuple[AgentView, ...]
    incidents: tuple[IncidentView, ...]
    states: Mapping[str, AgentState] = field(default_factory=dict)
    """What it was made of, as far as agents were ever started; no part of the document."""
    spec: FleetSpec | None = None
    """The fleet file, with what a person set for this daemon; no part of the document."""

    def as_json(self) -> dict[str, Any]:
        return {
            "fleet": self.fleet,
            "at": to_iso(self.now),
            "host": self.host,
            "daemon": self.daemon.as_json() if self.daemon else None,
            "cascade": dict(self.cascade) if self.cascade else None,
            "agents": [a.as_json() | self._by_the_clock(a) for a in self.agents],
            "incidents": [i.as_json() for i in self.incidents],
        }

    def _by_the_clock(self, agent: AgentView) -> dict[str, Any]:
        """`evidence`: seconds since the newest of each kind. `rule` says why it is in its phase,
        `quick_look_s` how long a spell without progress has lasted once the quick look has noticed it."""
        old = {
            kind: None if at is None else round(max(0.0, self.now - at), 3)
            for kind, at in agent.trace.items()
        }
        spec, state = self.spec.agents.get(agent.id) if self.spec else None, self.states.get(agent.id)
        from ...healing.detect import judge  # by which rule is asked by `status` alone
        from ...healing.explain import rule_words

        found = judge(state, spec, self.now) if spec and state else None
        return {
            "evidence": old,
            "rule": rule_words(found, state, spec) if found and spec and state else None,
            "quick_look_s": None if found is None or found.quick is None else round(found.quick, 3),
        }
