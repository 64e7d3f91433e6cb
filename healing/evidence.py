"""What the sources saw: small frozen facts, each about one agent.

`at` is engine time: seconds since the epoch, taken from a clock that never jumps while a daemon lives.
Nothing the supervisor does itself is ever turned into one of the "the agent did this" kinds below;
what the performer reports about our own acts are the `*Step*` kinds at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .agent import Shared
from .usage import Tokens


@dataclass(frozen=True, slots=True)
class ProcessStarted:
    """The attempt's process exists: `pid` is the configured command itself, `created` its start time.
    `socket` names the tmux server that has its pane."""

    agent: str
    at: float
    attempt: int
    pid: int
    created: float
    pane: str
    socket: str = ""


@dataclass(frozen=True, slots=True)
class ProcessAdopted:
    """A running attempt was found by a daemon that did not start it. All clocks start anew."""

    agent: str
    at: float
    attempt: int
    pid: int
    created: float
    pane: str
    socket: str = ""


@dataclass(frozen=True, slots=True)
class ProcessExited:
    """The attempt's process is gone. `status` is its exit status, `signal` the signal that ended it;
    both None when nobody could tell. `tail` holds the last visible lines, for the profile's patterns.
    `lost`: its terminal is gone as well, which many programs take for a reason to end, even with 0.

    `oom`: the kernel's own words for having killed it for want of memory. `pressure`: of the last ten
    seconds, the share (0..100) in which somebody on this host waited for memory; None: not known. `until`:
    engine time at which the limit ends that its last lines name."""

    agent: str
    at: float
    attempt: int
    status: int | None
    signal: int | None
    tail: tuple[str, ...] = ()
    lost: bool = False
    oom: str = ""
    pressure: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class ProcessMeasured:
    """One look at the process tree. `cpu_grew`: the tree used CPU since the last look.

    `busy_children` are the ages (s) of descendants whose own CPU time or I/O grew since the last look.
    Growth happened some time after `looked_before`, and nobody knows when: that is the time it counts for.
    `stopped`: the main process is in state T (not t: a debugger lets go by itself). `stopped_child`: which of
    its children is, in words, "" for none. `cpu_pct` is of one core, `memory_mb` the tree's RSS; `moved` the
    bytes that its living processes have read and written, None when nobody may know. `cli`: whether the CLI
    that should run under the shell which the agent's command is, is `there`, or `gone` in two looks running;
    "" where nobody can say. `busy_kinds`: for each of `busy_children` a number that stands for its command
    line."""

    agent: str
    at: float
    cpu_grew: bool
    busy_children: tuple[float, ...]
    stopped: bool
    cpu_pct: float
    memory_mb: float
    threads: int
    looked_before: float | None = None
    moved: int | None = None
    stopped_child: str = ""
    cli: str = ""
    busy_kinds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectionSeen:
    """A process of its tree that is not stopped holds an open TCP connection to its provider, at this remote
    port. Asked only of who shows nothing else."""

    agent: str
    at: float
    port: int


@dataclass(frozen=True, slots=True)
class OutputSeen:
    """The pane changed; `lines` are its last lines as text, empty when nobody looked what it was (then it
    is life and no more). `primed`: older than our first look."""

    agent: str
    at: float
    lines: tuple[str, ...] = ()
    primed: bool = False


@dataclass(frozen=True, slots=True)
class PaneLabelled:
    """What the pane says of itself changed: its title (hostile text, bounded), the program in front and the
    folder it works in (both "" when unknown). Shown, never believed."""

    agent: str
    at: float
    title: str
    program: str
    folder: str


@dataclass(frozen=True, slots=True)
class FileChanged:
    """A file in a workspace that this agent alone owns was changed. `path` is relative to the workspace."""

    agent: str
    at: float
    path: str


@dataclass(frozen=True, slots=True)
class TranscriptGrew:
    """The agent CLI's own transcript grew."""

    agent: str
    at: float


@dataclass(frozen=True, slots=True)
class ScreenMatched:
    """A profile's screen rule held twice in a row. `phase`: waiting, limited, ready, busy (at work), idle
    (at its prompt) or dialog (one that a nudge may close); `until`: engine time."""

    agent: str
    at: float
    phase: str
    rule: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class ScreenCleared:
    """No screen rule holds any more."""

    agent: str
    at: float


@dataclass(frozen=True, slots=True)
class ErrorShown:
    """The agent lives and says that it cannot go on: a line of its transcript (`source`), its own hook, or a
    screen rule that held. `cause`: of contract.md section 5; `line`: the words, as a quotation; `until`:
    engine time."""

    agent: str
    at: float
    cause: str
    line: str
    until: float | None = None
    source: str = "screen"


HookPhase: TypeAlias = Literal["busy", "idle", "waiting"]


@dataclass(frozen=True, slots=True)
class HookTold:
    """The agent CLI's own hook says what it is doing: `busy` (a turn is under way), `idle` (it ended) or
    `waiting` (it asks a person; `words`: what). `tool`: one of its tools ran to its end just now, well."""

    agent: str
    at: float
    phase: HookPhase
    words: str = ""
    tool: str = ""


@dataclass(frozen=True, slots=True)
class ReadyProbed:
    """The agent's `ready` probe was run; only `ok` ones mean anything."""

    agent: str
    at: float
    ok: bool


@dataclass(frozen=True, slots=True)
class BeatReceived:
    """The newest of `count` beats that came one after the other. `by_file`: a status file said it, which
    others may write as well."""

    agent: str
    at: float
    state: str
    progress: float | None = None
    message: str = ""
    count: int = 1
    by_file: bool = False


@dataclass(frozen=True, slots=True)
class CheckpointReceived:
    """The agent's own checkpoint letter was stored under `seq`. `new`: it says something the last did not."""

    agent: str
    at: float
    seq: int
    new: bool
    completed: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointTaken:
    """The supervisor's own checkpoint was stored; never life, never progress. `unsaved` says what of the
    workspace is not in its snapshot, "" when all is."""

    agent: str
    at: float
    seq: int
    resumable: bool
    unsaved: str = ""


@dataclass(frozen=True, slots=True)
class SessionLearned:
    """The agent CLI's native session id is known, so that `resume` can use it."""

    agent: str
    at: float
    session: str


@dataclass(frozen=True, slots=True)
class UsageTold:
    """All that one of its transcripts tells of tokens and cost until now; never life, never progress.

    `transcript` names it (hostile text, bounded); `context_left`: 0..1 of the model's window, None: not told.
    `old`: it was there before the attempt, so that of one nobody knows all is somebody else's."""

    agent: str
    at: float
    transcript: str
    tokens: Tokens
    context_left: float | None = None
    old: bool = False


@dataclass(frozen=True, slots=True)
class BudgetJudged:
    """What the guard of budgets says: why the agent is given nothing more to do (`held`, "": it is), and the
    limits of which it was warned. `news`: what is to be told once, as (agent_budget_warned or
    agent_budget_spent, agent or fleet, limit, words)."""

    agent: str
    at: float
    held: str
    warned: tuple[str, ...] = ()
    news: tuple[tuple[str, str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DoneReceived:
    agent: str
    at: float
    summary: str = ""


@dataclass(frozen=True, slots=True)
class FailReceived:
    agent: str
    at: float
    summary: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class AskReceived:
    agent: str
    at: float
    question: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LetterRefused:
    """A letter went to bad/; counted and shown, and nothing else. `order`: the id of the order that it may
    have been, which a command waits for."""

    agent: str
    at: float
    reason: str
    order: str = ""


@dataclass(frozen=True, slots=True)
class PersonPresent:
    """Somebody attached to (True) or left (False) the agent's session."""

    agent: str
    at: float
    attached: bool


@dataclass(frozen=True, slots=True)
class Typed:
    """We (or a person, through us) typed `text` into the pane: its echo is nobody's progress.
    `answers`: it is for who waits for an answer; an alert is not."""

    agent: str
    at: float
    text: str
    answers: bool = True


@dataclass(frozen=True, slots=True)
class TaskGiven:
    """A task was handed to the agent."""

    agent: str
    at: float
    task: str
    text: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """A look failed: tmux did not answer. Unknown is not dead."""

    agent: str
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class PaneLost:
    """tmux answers and has no pane of an agent whose process lives: a fact, not a failed look. What it does
    is still told by its letters, files and processes; whoever shows no life by them is stalled in time."""

    agent: str
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class SeenAgain:
    """The look that had failed works again; clocks go on where they stood."""

    agent: str
    at: float


@dataclass(frozen=True, slots=True)
class SupervisorStalled:
    """The daemon itself did not run for `gap` seconds (suspend, SIGSTOP): nobody's silence counts."""

    agent: str
    at: float
    gap: float


@dataclass(frozen=True, slots=True)
class Ordered:
    """A person's order from the operator inbox: see contract.md section 2 for the verbs."""

    agent: str
    at: float
    order: str
    letter: str
    by: str = ""
    args: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecidersKnown:
    """Which ancestors of the agent could answer a question now, from its parent upward (by a guard)."""

    agent: str
    at: float
    deciders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """`by`, an ancestor of the agent, says by letter which `strategy` (agent.Strategy) its incident needs."""

    agent: str
    at: float
    incident: str
    strategy: str
    by: str


@dataclass(frozen=True, slots=True)
class ChildrenRecovering:
    """These children of the agent are being recovered; in place of those told before (by a guard)."""

    agent: str
    at: float
    children: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChildrenWell:
    """No child of the agent is being recovered any more (by a guard)."""

    agent: str
    at: float


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The guard `by` wants the agent's recovery left for later."""

    agent: str
    at: float
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class LetGo:
    """The guard `by` has nothing against the agent's recovery any more."""

    agent: str
    at: float
    by: str


@dataclass(frozen=True, slots=True)
class CauseShared:
    """The agent's incident is part of a cascade (by a guard); None: no more. Attempts of it that failed since
    the cascade began cost no budget, where the cause lies with no agent."""

    agent: str
    at: float
    shared: Shared | None


@dataclass(frozen=True, slots=True)
class StepFinished:
    """An action came to its end. `key` names it; `ok` False carries `why`.

    After ClearGround `undead` means the tree would not die, and `resumable` that the chosen checkpoint
    holds something. After a nudge `ok` means it was delivered, never that it helped. `denied`: the system
    did not permit it, and would not the next time either. `idle`: there was nothing for it to do."""

    agent: str
    at: float
    key: str
    ok: bool
    why: str = ""
    undead: bool = False
    resumable: bool = False
    denied: bool = False
    idle: bool = False


Evidence: TypeAlias = (
    ProcessStarted | ProcessAdopted | ProcessExited | ProcessMeasured | ConnectionSeen | OutputSeen |
    PaneLabelled | FileChanged | TranscriptGrew | ScreenMatched | ScreenCleared | ErrorShown | HookTold
    | ReadyProbed | BeatReceived | CheckpointReceived | CheckpointTaken | SessionLearned | UsageTold |
    DoneReceived | FailReceived | AskReceived | LetterRefused | PersonPresent | Typed | TaskGiven |
    Unseen | PaneLost | SeenAgain | SupervisorStalled | Ordered | StepFinished | DecidersKnown | Decided
    | ChildrenRecovering | ChildrenWell | HeldBack | LetGo | CauseShared | BudgetJudged
)  # fmt: skip
