"""The state of one agent as the supervisor knows it. Frozen; only `evolve` and `decide` make new ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from .repeats import Memory
from .usage import Spending


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
TYPED_KEPT = 4
"""Texts that were typed and are remembered."""


class Strategy(StrEnum):
    NUDGE = "nudge"
    RESUME = "resume"
    RESTART = "restart"
    REASSIGN = "reassign"
    ESCALATE = "escalate"


class NudgeStep(StrEnum):
    """What a nudge is made of, from what disturbs least; four of them have a flag of the policy's name."""

    CLOSE_DIALOG = "close_dialog"
    FORCE_UPDATE = "force_update"
    CLEAR_STUCK_TASKS = "clear_stuck_tasks"
    AUTO_RESET = "auto_reset"
    RESCUE = "rescue"


class Stage(StrEnum):
    """Where a recovery stands: waiting out its backoff, ending the old tree, starting, being proved."""

    BACKOFF = "backoff"
    CLEARING = "clearing"
    STARTING = "starting"
    VERIFYING = "verifying"


GIVING_WAY = frozenset({Stage.CLEARING, Stage.STARTING})
"""Stages in which one attempt makes room for the next."""
WAITING_OUT = frozenset({Stage.BACKOFF, Stage.VERIFYING})
"""Stages that time alone ends."""


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
    free: bool = False
    """It cost no budget, or what it cost was given back."""
    lived: float | None = None
    """Seconds that its process lived, if it ended by itself before anything was proved."""


@dataclass(frozen=True)
class Hold:
    """For now nothing is done about the agent by itself: so says the guard `by`, since engine time."""

    by: str
    why: str
    since: float


@dataclass(frozen=True)
class Shared:
    """The cascade that an incident is part of: agents that fail of one `cause` (see cascade.py).

    `scope`: what they have in common, in words; `opened`: engine time; `tries`: how often somebody was let go
    to try, in vain."""

    id: str
    cause: str
    scope: str
    opened: float
    tries: int = 0


@dataclass(frozen=True)
class Asked:
    """A question put to an ancestor agent (`decider: parent`): which step is next? See asking.py.

    `until`: engine time at which the policy decides instead. `n`: its number in the incident, `level` the
    level of the step. `issued`: the alert was handed out. `strategy`: the answer, and `by` whose it is.
    `over`: why the policy decides after all. `passed`: whom it was put to before."""

    ancestor: str
    until: float
    n: int = 1
    level: int = 1
    issued: bool = False
    strategy: Strategy | None = None
    by: str = ""
    over: str = ""
    passed: tuple[str, ...] = ()


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
    until: float | None = None
    """Engine time at which the limit ends that its cause is; None once that was waited for. See
    provider_limits.py."""
    asked: Asked | None = None
    questions: int = 0
    """How many steps of it an ancestor was asked about."""
    shared: Shared | None = None
    """What it is part of, as long as that is not over: a person hears of that alone."""


@dataclass(frozen=True)
class HandSeat:
    """A seat that a person named and the fleet file does not list (see seats.py)."""

    profile: str
    model: str | None = None


@dataclass(frozen=True)
class Briefing:
    """What a person says to the attempt that they ordered. `note`: added to its handoff; `edited`: the whole
    handoff as they changed it, in place of ours. Either may be empty; both are clean and bounded."""

    by: str
    note: str = ""
    edited: str = ""


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
    by: str = ""
    """The ancestor that chose it, when one was asked."""
    from_seat: int = 0
    hand: HandSeat | None = None
    """It will run on this, in place of the file's `seat`."""
    from_hand: HandSeat | None = None
    longer: float = 1.0
    """How many times as long it may take there as on the seat before."""
    told: bool = False
    """That it is started was written down."""
    briefing: Briefing | None = None
    """Until it is started; nobody needs it afterwards."""


@dataclass(frozen=True)
class Nudging:
    """A nudge under way; see nudges.py. `left`: the steps still to take, the first of them `issued` once it
    was handed out. `again`: that was by a daemon which did not live to hear of it. `due`: engine time before
    which the next one is not taken. `taken`: how many of them did something. `gentle`: it is the quick
    look's, and no incident's. Each step's action is known by `key` and the step."""

    key: str
    left: tuple[NudgeStep, ...]
    reason: str = ""
    due: float = 0.0
    issued: bool = False
    again: bool = False
    taken: int = 0
    gentle: bool = False


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
    connection: float | None = None


@dataclass(frozen=True)
class Chore:
    """Children of one command line (`kind` stands for it) at work: when the first of them began, or the spell
    in which nothing else moves, if that is later. Engine time. See chores.py."""

    kind: int
    since: float


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
class Trouble:
    """An error that it tells of while it lives (evidence.ErrorShown), until it shows it no more: `cause` of
    contract.md section 5, `line` a quotation, `source` who read it: screen or transcript."""

    cause: str
    line: str
    at: float
    source: str = "screen"


@dataclass(frozen=True)
class Hook:
    """What the CLI's own hook told last of this attempt: `phase` busy, idle, waiting or limited, at engine
    time `at`. It stands against a screen that looks otherwise; `behind`: what that shows; evolve_hooks.py."""

    phase: str
    at: float
    words: str = ""
    behind: str = ""

    @property
    def may_have_missed_an_end(self) -> bool:
        """A turn is under way, it told, and the screen shows the prompt: not every end of one has a hook."""
        return self.phase == "busy" and self.behind == "idle"


@dataclass(frozen=True)
class Tending:
    """Its `children` recover: since engine time `since` its own silence does not count. See hierarchy.py."""

    since: float
    children: tuple[str, ...]


@dataclass(frozen=True)
class AgentState:
    id: str
    phase: Phase = Phase.STARTING
    since: float = 0.0
    attempt: int = 0
    seat: int = 0
    hand: HandSeat | None = None
    """It runs on this, in place of the file's `seat`."""
    restarts: int = 0
    reassigns: int = 0
    waits: int = 0
    """Attempts that followed a wait for a limit's end, and spent nothing of the two; refilled with them."""
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
    last_words: tuple[str, ...] = ()
    """What its process printed last before it ended badly by itself, inert and without secrets."""
    started: float = 0.0
    ready: bool = False
    trace: Trace = field(default_factory=Trace)
    last_life: float = 0.0
    last_shown: float = 0.0
    """Life other than an open connection, which counts only for `tool_timeout` after it."""
    last_progress: float = 0.0
    last_solid: float = 0.0
    """Progress other than output; output alone counts only for `progress_timeout` after it."""
    last_apart: float = 0.0
    """Progress other than output and a child's work."""
    chores: tuple[Chore, ...] = ()
    """The children at work since then, by command line; the newest last."""
    overlong: float = 0.0
    """Since when the children work that are at it now and count no more; 0: there are none."""
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
    unsaved: str = ""
    """What of its workspace is not in the newest snapshot, in words; "" when all is."""
    session: str | None = None
    attached: bool = False
    visited: float = 0.0
    """Until when a person was attached last, and is no more."""
    screen: str = ""
    """What its screen showed last, by its profile: waiting limited busy idle, `dialog NAME`, or none; or what
    its hook told."""
    hook: Hook | None = None
    flips: tuple[float, ...] = ()
    """When its screen changed its phase, the two newest times: one that flaps is not followed more often."""
    flip_held: bool = False
    """Its screen asks for another phase, and has changed it too often of late; decide follows it in time."""
    limited_until: float | None = None
    trouble: Trouble | None = None
    cli: str = ""
    """Where its CLI runs under a shell: `there` or `gone`, with the shell in its place (ProcessMeasured)."""
    before_unknown: Phase | None = None
    incidents: int = 0
    """How many incidents this agent has had; makes their ids."""
    tasks: int = 0
    """How many tasks this agent was given; makes their ids."""
    bad_letters: int = 0
    errand: Errand | None = None
    nudging: Nudging | None = None
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
    deciders: tuple[str, ...] = ()
    """Its ancestors that could answer a question now, from its parent upward; see hierarchy.py."""
    tending: Tending | None = None
    held_back: tuple[Hold, ...] = ()
    """Why its incident is left alone for now; see holding.py."""
    spending: Spending = field(default_factory=Spending)
    """What it has spent, and whether it may go on spending; see budgets.py."""


class Happening(NamedTuple):
    """One line for the ledger: an event type of contract.md section 6 with its fields.

    `seq` and `at` as text are given by the ledger. `fields` are JSON values."""

    type: str
    agent: str
    at: float
    incident: str | None
    fields: dict[str, object]
