"""What a cascade is made of: which causes many share, who failed of one, how it is told. See cascade.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..config.fleet import AgentSpec
from .agent import HELD, AgentState, Happening, Shared, Stage
from .breaker import Breaker
from .holding import HANDS_OFF, healable, tries, wants

OF_PROVIDER = frozenset({"api_error", "rate_limited", "auth"})
"""Causes that lie with the provider, of which many agents of one provider fail at once."""
OF_SERVER = frozenset({"tmux_lost", "host_lost"})
"""Causes after which there is nothing to try out: what is gone is built anew."""
NOBODYS_FAULT = OF_PROVIDER | OF_SERVER
"""Causes of which no agent can be the reason: what is tried in vain costs it nothing."""
GATHERED = OF_SERVER | {"auth"}
"""Causes that come over many in one moment: the first who fails waits to see whether it is alone."""
NAMED = 20
"""So many agents an alert names."""
NOBODY_KNOWS = frozenset({"", "unknown", "ended by us"})


class Counted(NamedTuple):
    """An agent that failed at engine time `at` and counts in these scopes; `state` as it was last told."""

    state: AgentState
    cause: str
    at: float
    scopes: tuple[str, ...]


@dataclass(slots=True)
class Member:
    """One agent that failed of the cause. `incident`: its id; `since`: engine time of the failure; `able`: a
    recovery would begin by itself; `ready`: not before then; `trying`: one is under way. `gone_on`: it was
    let go for good, because somebody proved that it works again; `turns`: how often it tried for others."""

    incident: str
    cause: str
    since: float
    able: bool = False
    ready: float = 0.0
    trying: bool = False
    held: bool = False
    gone_on: bool = False
    gone_at: float = 0.0
    started: bool = False
    """Its attempt under way has a process."""
    turns: int = 0


@dataclass(slots=True)
class Cascade:
    """`last`: engine time of its newest failure or of the last that was let go; `order`: who goes next once
    the breaker is closed; `release`: and when. `named`: everybody who was ever part of it."""

    shared: Shared
    breaker: Breaker
    causes: frozenset[str]
    last: float
    members: dict[str, Member] = field(default_factory=dict)
    named: dict[str, None] = field(default_factory=dict)
    order: list[tuple[int, float, str]] = field(default_factory=list)
    release: float = 0.0
    waiting: int = 0
    """How many of its members have not gone on."""
    lapsed: bool = False
    """It began before the clock was set back: nobody knows how long it has lasted, so it holds nobody."""

    def failed(self, now: float) -> None:
        """Who was to show that it works again did not; or it was believed too early."""
        self.breaker.failed(now, self.shared.id)
        self.order.clear()


def failed_of(s: AgentState, happened: Iterable[Happening]) -> str:
    """The cause of which the agent has just failed, as far as it is known; empty: it has not."""
    for h in happened:
        known = h.type in ("agent_incident", "agent_cause_found")
        if known and h.fields.get("symptom") == "ordered":
            return ""
        if known or (h.type == "agent_exited" and s.phase not in HELD):
            cause = str(h.fields.get("cause"))
            if cause not in NOBODY_KNOWS:
                return cause
    return ""


def seen(member: Member, s: AgentState, spec: AgentSpec) -> Member:
    """The member, as its state is now."""
    member.trying = tries(s) and s.phase not in HANDS_OFF
    member.started = s.recovery is not None and s.recovery.stage is Stage.VERIFYING
    member.able = not member.trying and healable(s, spec) and wants(s, spec)
    member.ready = s.recovery.due if s.recovery is not None and not member.trying else 0.0
    return member


def depths(agents: Mapping[str, AgentSpec]) -> dict[str, int]:
    """How many ancestors each agent has. A circle, which no file may hold, ends where it began."""
    found: dict[str, int] = {}
    for agent in agents:
        line: list[str] = []
        here: str | None = agent
        while here is not None and here in agents and here not in found and here not in line:
            line.append(here)
            here = agents[here].parent
        depth = found.get(here, -1) if here is not None else -1
        for one in reversed(line):
            depth += 1
            found[one] = depth
    return found


def alert_text(cause: str, agents: Sequence[str]) -> str:
    """For the person: who, what is done about it, and where to look."""
    first = "they are held back, and one of them tries now and then"
    follow = "they are started anew, parents first" if cause in OF_SERVER else first
    more = f" and {len(agents) - NAMED} more" if len(agents) > NAMED else ""
    return f"{', '.join(agents[:NAMED])}{more}\n{follow}\nlook: hhmrs status"


def cascade_event(cascade: Cascade, now: float, reason: str, **more: object) -> Happening:
    shared = cascade.shared
    fields: dict[str, object] = {
        "cascade": shared.id,
        "cause": shared.cause,
        "scope": shared.scope,
        "agents": list(cascade.named),
        "reason": reason,
        "restart_count": 0,
        "failure_count": 0,
        "parent": None,
        "grandparent": None,
    }
    return Happening("hhmrs_cascade", "", now, None, fields | more)
