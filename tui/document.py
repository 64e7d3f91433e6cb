"""The status document (contract section 5) as the screen's own frozen values, every text made inert.

The screen reads the same published document as scripts do, so it can show nothing that they cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from ..healing.agent import Phase
from .looks import clean

KINDS = ("beat", "output", "file", "transcript", "process", "cpu")


@dataclass(frozen=True, slots=True)
class Try:
    n: int
    strategy: str
    at: float
    outcome: str
    why: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """An open incident."""

    id: str
    agent: str
    opened: float
    symptom: str
    cause: str
    detail: str
    tries: tuple[Try, ...] = ()
    outcome: str | None = None
    level: int = 1
    """Who answers for it: 1 the agent's parent, 2 its grandparent, 3 a person."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent, as long as nothing is written about it. `trace`: when the newest evidence of each kind was
    seen, None for none yet; that and `since` are epoch seconds by the clock of `Fleet.at`."""

    id: str
    title: str
    parent: str | None = None
    profile: str = ""
    model: str = ""
    phase: Phase = Phase.UNKNOWN
    since: float | None = None
    attempt: int = 0
    restarts: int = 0
    reassigns: int = 0
    pid: int | None = None
    task: str = ""
    progress: float | None = None
    message: str = ""
    cpu_pct: float = 0.0
    memory_mb: float = 0.0
    trace: Mapping[str, float | None] = field(default_factory=dict)
    incident: str | None = None
    alive: bool = True
    attached: bool = False
    doing: str = ""
    """The strategy under way and its stage, as `restart: verifying`; or whom it `asks` for the next one."""
    until: float | None = None
    """When the stage or the limit ends, epoch seconds."""
    orphan: bool = False

    @property
    def seat(self) -> str:
        return f"{self.profile}:{self.model}" if self.model else self.profile

    @property
    def newest(self) -> tuple[str, float] | None:
        """Kind and time of the newest evidence that the agent made; that its process is there counts last."""
        known = [(at, kind) for kind, at in self.trace.items() if at is not None]
        seen = [one for one in known if one[1] != "process"] or known
        return (max(seen)[1], max(seen)[0]) if seen else None


@dataclass(frozen=True)
class Fleet:
    """A whole status document. `up`: a daemon is running; `frozen`: its pid, if that process is stopped;
    `at`: epoch seconds of the look."""

    name: str
    at: float
    up: bool
    mode: str = ""
    uptime: float | None = None
    cascade: str = ""
    agents: tuple[Agent, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    frozen: int | None = None

    def agent(self, name: str | None) -> Agent | None:
        return self.by_id.get(name) if name is not None else None

    def trouble(self, agent: str) -> Trouble | None:
        """The agent's open incident, if any."""
        return self.open_troubles.get(agent)

    @cached_property
    def open_troubles(self) -> Mapping[str, Trouble]:
        """The open incident of each agent that has one."""
        return {t.agent: t for t in reversed(self.troubles) if t.outcome is None}

    @cached_property
    def by_id(self) -> Mapping[str, Agent]:
        return {agent.id: agent for agent in self.agents}

    def title(self, agent: str | None) -> str:
        found = self.agent(agent)
        return found.title if found else clean(agent or "", 64)


def moment(stamp: object) -> float | None:
    """Epoch seconds of an ISO 8601 text; None when it is not one."""
    if not isinstance(stamp, str):
        return None
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError):
        return None


def read_fleet(document: Mapping[str, Any], titles: Mapping[str, str]) -> Fleet:
    """A status document as values; `titles` by agent id, the id serves where one is missing."""
    up, at = bool(document.get("daemon")), moment(document.get("at")) or 0.0
    agents = [(raw, _trace(raw.get("evidence") or {}, at)) for raw in _maps(document.get("agents"))]
    return fleet_of(
        document,
        at,
        tuple(read_agent(raw, trace, titles, up) for raw, trace in agents),
        tuple(read_trouble(raw) for raw in _maps(document.get("incidents"))),
    )


def fleet_of(
    document: Mapping[str, Any], at: float, agents: tuple[Agent, ...], troubles: tuple[Trouble, ...]
) -> Fleet:
    """What a status document says of the fleet as a whole, with these agents and incidents."""
    daemon = document.get("daemon") or {}
    return Fleet(
        name=clean(document.get("fleet", ""), 40),
        at=at,
        up=bool(daemon),
        mode=clean(daemon.get("mode", ""), 16),
        uptime=_number(daemon.get("uptime_s")),
        cascade=_cascade(document.get("cascade")),
        agents=agents,
        troubles=troubles,
        frozen=int(_number(daemon.get("pid")) or 0) if daemon.get("stopped") is True else None,
    )


def _trace(evidence: Mapping[str, Any], at: float) -> dict[str, float | None]:
    """Times of what the document tells the ages of."""
    ages = {kind: _number(evidence.get(kind)) for kind in KINDS}
    return {kind: None if age is None else at - age for kind, age in ages.items()}


def _maps(value: object) -> Iterable[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, (list, tuple)) else []


def _cascade(value: object) -> str:
    if isinstance(value, Mapping):
        cause, agents = value.get("cause", "shared cause"), value.get("agents")
        count = f" ({len(agents)} agents)" if isinstance(agents, (list, tuple)) else ""
        return clean(f"{cause}{count}", 80)
    return clean(value, 80) if value else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _phase(value: object) -> Phase:
    try:
        return Phase(str(value))
    except ValueError:
        return Phase.UNKNOWN


def read_agent(
    raw: Mapping[str, Any], trace: Mapping[str, float | None], titles: Mapping[str, str], up: bool
) -> Agent:
    """One agent of a status document. `trace`: when the newest evidence of each kind was seen."""
    name = str(raw.get("id", ""))
    pid, alive = raw.get("pid"), bool(raw.get("alive", True))
    task = raw.get("task_text") or raw.get("task")
    step = raw.get("next") or {}
    asks = raw.get("asks") or {}
    return Agent(
        id=name,
        title=clean(titles.get(name) or raw.get("title") or name, 64),
        parent=raw.get("parent"),
        profile=clean(raw.get("profile") or "", 40),
        model=clean(raw.get("model") or "", 60),
        phase=_phase(raw.get("phase")),
        since=moment(raw.get("since")),
        attempt=int(raw.get("attempt") or 0),
        restarts=int(raw.get("restarts") or 0),
        reassigns=int(raw.get("reassigns") or 0),
        pid=pid if alive and isinstance(pid, int) else None,
        task=clean(task or "", 200),
        progress=_number(raw.get("progress")),
        message=clean(raw.get("message") or "", 200),
        cpu_pct=_number(raw.get("cpu_pct")) or 0.0,
        memory_mb=_number(raw.get("memory_mb")) or 0.0,
        trace=trace,
        incident=clean(raw["incident"], 80) if raw.get("incident") else None,
        alive=alive,
        attached=bool(raw.get("attached")),
        doing=clean(_doing(raw, titles, up), 40),
        until=moment(step.get("at") if step else asks.get("until") or raw.get("limited_until")),
        orphan=bool(raw.get("orphan")),
    )


def _doing(raw: Mapping[str, Any], titles: Mapping[str, str], up: bool) -> str:
    """Without a daemon nothing is under way; the next one takes it up."""
    step, stage, asks = raw.get("next") or {}, raw.get("stage"), raw.get("asks") or {}
    if raw.get("budget"):
        return "budget spent: held" if raw.get("phase") == "paused" else "budget spent: finishes its turn"
    held = [str(hold.get("by")) for hold in _maps(raw.get("held_back"))]
    if held and stage in (None, "backoff"):
        what = f"{step.get('strategy')}: " if step else ""
        return f"{what}held back ({', '.join(held)})"
    if step and stage:
        return f"{step.get('strategy')}: {stage}" if up else f"{step.get('strategy')} at the next `hhmrs up`"
    asked = str(asks.get("agent") or "")
    return f"asks {titles.get(asked, asked)}" if asked else ""


def read_trouble(raw: Mapping[str, Any]) -> Trouble:
    """One incident of a status document."""
    return Trouble(
        id=clean(raw.get("id", ""), 80),
        agent=str(raw.get("agent", "")),
        opened=moment(raw.get("opened")) or 0.0,
        symptom=clean(raw.get("symptom") or "", 40),
        cause=clean(raw.get("cause") or "", 40),
        detail=clean(raw.get("detail") or "", 200),
        tries=tuple(
            Try(
                n=int(t.get("n") or 0),
                strategy=clean(t.get("strategy") or "", 20),
                at=moment(t.get("at")) or 0.0,
                outcome=clean(t.get("outcome") or "", 20),
                why=clean(t.get("why") or "", 200),
            )
            for t in _maps(raw.get("attempts"))
        ),
        outcome=raw.get("outcome"),
        level=int(_number(raw.get("level")) or 1),
    )
