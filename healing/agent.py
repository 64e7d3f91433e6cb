"""The state of one agent as the supervisor knows it. Frozen; only `evolve` and `decide` make new ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from .repeats import Memory


class Phase(StrEnum):
    STARTING = "starting"
    WORKING = "working"
    IDLE = "idle"
    WAITING = "waiting"
    LIMITED = "limited"
    STALLED = "stalled"
    LOOPING = "looping"
    EXITED = "exited"
    RECOVERING = "recovering"
    ESCALATED = "escalated"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"
    UNKNOWN = "unknown"


HELD = frozenset({Phase.PAUSED, Phase.STOPPED, Phase.DONE, Phase.ESCALATED})
"""Phases that only a person (or the parent) ends; they persist across daemons."""
TIMED = frozenset({Phase.STARTING, Phase.WORKING, Phase.STALLED, Phase.LOOPING})
"""Phases in which silence and want of progress count; in no other are they ever a time-out."""


class Strategy(StrEnum):
    NUDGE = "nudge"
    RESUME = "resume"
    RESTART = "restart"
    REASSIGN = "reassign"
    ESCALATE = "escalate"


class Stage(StrEnum):
    """Where a recovery stands: waiting out its backoff, ending the old tree, starting, being proved."""

    BACKOFF = "backoff"
    CLEARING = "clearing"
    STARTING = "starting"
    VERIFYING = "verifying"


@dataclass(frozen=True)
class Task:
    """One piece of work. `spent`: seconds of its deadline; `ticking_since`: engine time, None at rest."""

    id: str
    text: str
    spent: float = 0.0
    ticking_since: float | None = None


@dataclass(frozen=True)
class Attempt:
    """One try to bring the agent back. `outcome`: pending, success or failure; `why` the proof or reason."""

    n: int
    strategy: Strategy
    at: float
    outcome: str = "pending"
    why: str = ""
    seat: int = 0
    manual: bool = False
    level: int = 1


@dataclass(frozen=True)
class Incident:
    """One episode of trouble. `level`: 1 parent, 2 grandparent, 3 person. `outcome`: None while open,
    then recovered, escalated (stays open until cleared), cleared, or self (it came back by itself)."""

    id: str
    opened: float
    symptom: str
    cause: str
    detail: str
    level: int = 1
    nudged: bool = False
    attempts: tuple[Attempt, ...] = ()
    outcome: str | None = None
    closed: float | None = None
    observed: bool = False
    """`mode: observe`: what would have been done was written down."""


@dataclass(frozen=True)
class Recovery:
    """The attempt under way. `strategy` None: a plain start. `due`: engine time at which its stage is over
    (backoff, verifying). `issued`: the stage's action was handed out; a new daemon hands it out again.

    `n` is the attempt's number in the incident, `order` the id of the operator's letter that asked for it,
    `seat` where it will run, `ended` whether the old process had ended (by itself or by us), so that a
    ready probe may prove it. `began`: when verifying began."""

    strategy: Strategy | None
    stage: Stage
    key: str
    seat: int
    due: float = 0.0
    issued: bool = False
    n: int = 0
    level: int = 1
    order: str | None = None
    ended: bool = False
    began: float = 0.0
    from_seat: int = 0


@dataclass(frozen=True)
class Errand:
    """Something beside the ladder that must be carried out once: escalate, clear_marker or end_tree."""

    kind: str
    key: str
    issued: bool = False
    order: str | None = None


@dataclass(frozen=True)
class Trace:
    """Engine time of the newest evidence of each kind; None: none yet."""

    beat: float | None = None
    output: float | None = None
    file: float | None = None
    transcript: float | None = None
    process: float | None = None
    cpu: float | None = None


@dataclass(frozen=True)
class Returning:
    """Looks at its screen, since the newest progress, that showed nothing new: how many `looks`, from `since`
    on, and how many different `lines` (masked) they showed in all."""

    lines: int = 0
    looks: int = 0
    since: float = 0.0


@dataclass(frozen=True)
class Pauses:
    """The agent's own newest pauses between progress (s, oldest first), and their 99th percentile; 0 until
    there are enough of them. See patience.py."""

    newest: tuple[float, ...] = ()
    p99: float = 0.0


@dataclass(frozen=True)
class AgentState:
    id: str
    phase: Phase = Phase.STARTING
    since: float = 0.0
    attempt: int = 0
    seat: int = 0
    restarts: int = 0
    reassigns: int = 0
    nudges: int = 0
    """Incidents that began with a nudge since the budgets were last full; bounded like the restarts."""
    pid: int | None = None
    created: float | None = None
    pane: str | None = None
    socket: str = ""
    """The tmux server that has its pane; large fleets have several."""
    title: str = ""
    program: str = ""
    folder: str = ""
    """What its pane says of itself (evidence.PaneLabelled)."""
    alive: bool = False
    stopped: bool = False
    """The main process is in state T (SIGSTOP)."""
    stopped_child: str = ""
    """A descendant in state T: its name and pid."""
    started: float = 0.0
    ready: bool = False
    trace: Trace = field(default_factory=Trace)
    last_life: float = 0.0
    last_progress: float = 0.0
    last_solid: float = 0.0
    """Progress other than output; output alone counts only for `progress_timeout` after it."""
    progress_kind: str = ""
    quick_looked: float | None = None
    """When the gentle look of this spell without progress was taken; progress ends the spell."""
    returning: Returning = field(default_factory=Returning)
    pauses: Pauses = field(default_factory=Pauses)
    memory: Memory = field(default_factory=Memory)
    says: str = ""
    """The state of the agent's own last beat."""
    progress: float | None = None
    message: str = ""
    task: Task | None = None
    incident: Incident | None = None
    recovery: Recovery | None = None
    healthy_since: float | None = None
    checkpoint: int = 0
    resumable: bool = False
    session: str | None = None
    attached: bool = False
    screen: str = ""
    """What its screen showed last, by the profile's rules: waiting limited busy idle, or none."""
    flips: tuple[float, ...] = ()
    """When its screen changed its phase, the two newest times: one that flaps is not followed more often."""
    flip_held: bool = False
    """Its screen asks for another phase, and has changed it too often of late; decide follows it in time."""
    limited_until: float | None = None
    before_unknown: Phase | None = None
    incidents: int = 0
    """How many incidents this agent has had; makes their ids."""
    tasks: int = 0
    """How many tasks this agent was given; makes their ids."""
    bad_letters: int = 0
    errand: Errand | None = None
    undead: bool = False
    """Its process tree would not die: nothing may be started in its place."""
    typed_at: float = 0.0
    typed: tuple[str, ...] = ()
    """The newest texts that we or a person typed; their echo is never the agent's own output."""
    cpu_pct: float = 0.0
    memory_mb: float = 0.0
    threads: int = 0
    moved: int | None = None
    """Bytes that its process tree has read and written; None when nobody can tell."""
    beats: int = 0
    """How many beats this agent has sent."""


@dataclass(frozen=True)
class Happening:
    """One line for the ledger: an event type of contract.md section 6 with its fields.

    `seq` and `at` as text are given by the ledger. `fields` are JSON values."""

    type: str
    agent: str
    at: float
    incident: str | None = None
    fields: dict[str, object] = field(default_factory=dict)
