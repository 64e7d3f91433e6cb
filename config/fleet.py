"""What the user wants: the validated, immutable models of a fleet file (contract.md section 3).

All durations are floats in seconds here; the file writes them as `500ms 30s 10m 2h`.
Models hold resolved values: policy merged, pools expanded, profiles looked up, workspaces absolute.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

StrategyName = Literal["nudge", "resume", "restart", "reassign", "escalate"]
LivenessKind = Literal["beat", "output", "file", "transcript", "cpu", "process"]
STRATEGIES: tuple[StrategyName, ...] = get_args(StrategyName)
HTTPS = 443
"""The port of providers elsewhere."""
MODEL_NAME = re.compile(r"[A-Za-z0-9@][A-Za-z0-9@._:/+~\[\]-]{0,199}")
"""What a model's name looks like; which models there are, only its provider knows."""

_WHOLE: tuple[StrategyName, ...] = ("nudge", "resume", "restart", "reassign")
_STARTS: tuple[StrategyName, ...] = ("resume", "restart", "reassign")
_AFRESH: tuple[StrategyName, ...] = ("restart", "reassign")
DEFAULT_RECOVERY: Mapping[str, tuple[StrategyName, ...]] = MappingProxyType({
    "stalled": _WHOLE, "looping": _WHOLE,
    "crash": _STARTS, "killed": _STARTS, "oom": _STARTS, "sigint": _STARTS, "timeout": _STARTS,
    "tests": _STARTS, "git": _STARTS, "pull_request": _STARTS, "unknown": _STARTS, "left_agent": _STARTS,
    "tmux_lost": _STARTS, "host_lost": _STARTS, "api_error": _STARTS, "rate_limited": _STARTS,
    "context_exhausted": _AFRESH,
    "permission": (), "auth": (), "deadline": (),
})  # fmt: skip
"""Ladder per cause, the same as in defaults.yaml. Empty: straight to a person."""
CAUSES = tuple(DEFAULT_RECOVERY)


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NudgeSteps(Model):
    force_update: bool = True
    clear_stuck_tasks: bool = True
    auto_reset: bool = True
    rescue: bool = True


class Backoff(Model):
    """Wait before attempt k >= 2 of an incident: min(max, initial * factor**(k-2)) * (1 + up to `jitter`)."""

    initial: float = 1.0
    factor: float = 2.0
    max: float = 8.0
    jitter: float = 0.1


class Cascade(Model):
    share: float = 0.30
    at_least: int = 3
    window: float = 60.0


class Recoveries(Model):
    """How many agents recover at once: this share of the fleet, and always `at_least` so many."""

    share: float = 0.05
    at_least: int = 8


class Keep(Model):
    """How much is kept of each agent's checkpoints and snapshots; the newest of both always is.

    `age` in seconds. Sizes in bytes: a larger file is in no snapshot; `total_size` bounds the files of one
    snapshot together, and the disk space of all."""

    checkpoints: int = 50
    snapshots: int = 100
    age: float = 14 * 86_400.0
    file_size: int = 10_000_000
    total_size: int = 2_000_000_000


class Limits(Model):
    """What may be spent of providers' tokens and money (US dollars), by one agent and by all; 0: no limit.

    At the share `warn` of a limit a person is told; at the limit nothing more is given to do."""

    tokens: int = 0
    cost: float = 0.0
    fleet_tokens: int = 0
    fleet_cost: float = 0.0
    warn: float = 0.8


AlertName = Literal[
    "timeout",
    "nudge",
    "resume",
    "restart",
    "reassign",
    "escalation",
    "recovered",
    "failure",
    "cascade",
    "budget",
]
ALERTS: tuple[AlertName, ...] = get_args(AlertName)
"""Interventions, each by the name of its event without `hhmrs_`; `budget`: warned of one, and one spent."""
_CALLING: tuple[AlertName, ...] = ("timeout", "escalation", "failure", "budget")


class Alerts(Model):
    """Which interventions the open screen tells with the terminal's bell, and which as a notification."""

    bell: tuple[AlertName, ...] = _CALLING
    desktop: tuple[AlertName, ...] = _CALLING


class Policy(Model):
    """Seconds throughout; the defaults live in defaults.yaml and are repeated here for tests of healing."""

    mode: Literal["armed", "observe"] = "armed"
    testing: bool = False
    heartbeat_interval: float = 30.0
    missed_heartbeats: int = 2
    quick_look: float = 120.0
    nudge: NudgeSteps = Field(default_factory=NudgeSteps)
    progress_timeout: float = 600.0
    tool_timeout: float = 1200.0
    task_deadline: float = 7200.0
    max_restarts: int = 3
    max_llm_retries: int = 3
    decide_within: float = 30.0
    """How long an ancestor that is asked (`decider: parent`) may take to answer, for each step."""
    reassign_timeout_factor: float = 1.0
    """How many times as long an agent on another seat than its first may take; see healing/seats.py."""
    backoff: Backoff = Field(default_factory=Backoff)
    kill_grace: float = 5.0
    verify_within: float = 30.0
    stable_after: float = 600.0
    cascade: Cascade = Field(default_factory=Cascade)
    recoveries: Recoveries = Field(default_factory=Recoveries)
    spending: Limits = Field(default_factory=Limits)
    keep: Keep = Field(default_factory=Keep)
    alerts: Alerts = Field(default_factory=Alerts)
    recovery: dict[str, tuple[StrategyName, ...]] = Field(default_factory=lambda: dict(DEFAULT_RECOVERY))
    """Ladder per cause, one for each of CAUSES; `escalate` is its implied end and never listed."""

    @property
    def silence(self) -> float:
        """How long without life is a stall, in seconds."""
        return self.heartbeat_interval * self.missed_heartbeats


class Probe(Model):
    """Exactly one of the three is set. `output` is a regex searched in the pane's visible lines."""

    output: str | None = None
    port: int | None = None
    command: tuple[str, ...] | None = None


ScreenPhase = Literal["waiting", "limited", "error", "ready", "busy", "idle", "dialog"]
SCREEN_PHASES: tuple[ScreenPhase, ...] = tuple(phase for phase in get_args(ScreenPhase) if phase != "dialog")
"""What a rule under `screens:` may mean; a `dialog` is one of `dialogs:`."""


class ScreenRule(Model):
    """A regex on the bottom `lines` of the pane that, seen twice, means `phase`.

    `below`: a regex; only what stands under the last line that matches it is read (all, if none does): a
    dialog takes the place of the input line, so that its words above an input line are somebody's prose.
    `resets`: a regex whose first group says when the limit ends, for `limited`: seconds, a length of time or
    a time of day, then in the time zone of the second group if there is one. `cause`: of an `error`, one of
    CAUSES: the program stands there and says that it cannot go on. What the pattern's group `said` holds, if
    it has one, is kept as evidence; else the line."""

    name: str
    phase: ScreenPhase
    pattern: str
    cause: str | None = None
    lines: int = 12
    below: str | None = None
    resets: str | None = None


class Dialog(Model):
    """A dialog that any answer of ours leaves as harmless as it was, such as the question whether to update.
    Its pattern is read as a screen rule's is; `keys` close it, by tmux's names."""

    name: str
    pattern: str
    keys: tuple[str, ...]
    lines: int = 12
    below: str | None = None


class ErrorRule(Model):
    """A line of a transcript by which the CLI says that a turn of its own failed: `cause` is one of CAUSES.
    `resets` is read in that line, as a screen rule's."""

    cause: str
    pattern: str
    resets: str | None = None


class TranscriptRule(Model):
    """Where a CLI writes its own transcript: files of lines that only grow.

    `roots`: folders of which the first counts whose ${VAR}s are all set; `~` is the agent's home, {workspace}
    its folder, {repo} the git tree around that. `file`: below the root, with `*` inside a name, {session}
    (the native id), {session8} (its first 8 characters), {folder} (the workspace with - in place of all but
    letters and digits).
    `counts`: a regex; only lines that hold it are the agent's doing (not what it was asked). `errors`: lines
    by which it says that it cannot go on; the first rule that matches has it.
    `folder`, `session`, `began`: dotted keys of the first line (JSON) that hold its folder, its id and the
    time it began (ISO 8601). `kept_open`: the CLI holds the file open as long as it writes there."""

    roots: tuple[str, ...]
    file: str
    counts: str
    folder: str = ""
    session: str = ""
    began: str = ""
    kept_open: bool = False
    errors: tuple[ErrorRule, ...] = ()


HookKind = Literal["", "claude", "codex", "gemini", "qwen", "copilot", "opencode", "aider"]
StatusKind = Literal["status", "devlog", "inbox"]


class StatusRule(Model):
    """Files in the workspace by which agents of older systems tell of themselves; `pattern` is relative to it
    and may hold `*`, `**` and {agent}.

    `status`: a JSON object that says its state, as a beat does. `devlog`: files the agent writes, so that
    their growth is its doing. `inbox`: letters that others leave; taking one away is its doing."""

    pattern: str
    kind: StatusKind


class ExitRule(Model):
    """Words in the last lines that name the cause of a death, believed only when the exit status agrees: `^`
    and `$` are the ends of a line. `resets`: as of a screen rule, read in the same lines."""

    cause: str
    pattern: str
    status: tuple[int, ...] = ()
    """Empty: any that is not 0 and has no meaning of its own (a signal, 124 timed out, 126 not permitted)."""
    resets: str | None = None


class LocalModel(Model):
    """How a CLI is pointed at a model server on this machine, for `hhmrs profiles test`.

    In the values {address} is http://127.0.0.1:PORT, {workspace} and {home} are the folders of the test."""

    args: tuple[str, ...] = ()
    """Follow the command."""
    env: dict[str, str] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    """Path below the home -> what is written there before the start."""
    model: str | None = None

    def filled(self, **values: str) -> LocalModel:
        """With each `{name}` of `values` replaced; other braces stay."""

        def fill(text: str) -> str:
            for name, value in values.items():
                text = text.replace(f"{{{name}}}", value)
            return text

        return LocalModel(
            args=tuple(map(fill, self.args)),
            env={name: fill(value) for name, value in self.env.items()},
            files={path: fill(text) for path, text in self.files.items()},
            model=self.model,
        )


class Profile(Model):
    """How one kind of agent is started, resumed and read. Built-ins are config/profiles/*.yaml.

    Argument templates may hold {model} {prompt} {session}; a list that names a placeholder without a
    value is left out whole. argv = command + model_args, then session_args + prompt_args at a start,
    resume_args + resume_prompt_args at a resume."""

    name: str
    about: str = ""
    checked: Literal["verified", "documented"] = "documented"
    version: str | None = None
    command: tuple[str, ...] = ()
    model_args: tuple[str, ...] = ()
    prompt_args: tuple[str, ...] = ()
    session_args: tuple[str, ...] = ()
    """Start under a session id of ours, {session}; empty when the CLI mints its own."""
    resume_args: tuple[str, ...] = ()
    """Bring {session} back; empty: no native resume."""
    resume_prompt_args: tuple[str, ...] = ()
    """Follow resume_args when the CLI takes a prompt together with them."""
    type_prompt: Literal["never", "resumed", "always"] = "never"
    """When the prompt must be typed into the pane because no argument submits it."""
    env: dict[str, str] = Field(default_factory=dict)
    """Values may hold ${VAR}, resolved at launch; `$$` is a dollar sign."""
    pass_env: tuple[str, ...] | None = None
    """Inherited variables it gets beside those that every program needs (`*` for any letters); None: all."""
    unset_env: tuple[str, ...] = ()
    ready: Probe | None = None
    liveness: tuple[LivenessKind, ...] = ("beat", "output", "file", "transcript", "cpu")
    screens: tuple[ScreenRule, ...] = ()
    dialogs: tuple[Dialog, ...] = ()
    """What a nudge may close; never a question that a person is to answer."""
    transcripts: tuple[TranscriptRule, ...] = ()
    status_files: tuple[StatusRule, ...] = ()
    bookkeeping: tuple[str, ...] = ()
    """Paths in the workspace where the CLI writes what it was told: their change is nobody's work."""
    exits: tuple[ExitRule, ...] = ()
    exit_codes: dict[int, str] = Field(default_factory=dict)
    """Exit status -> cause, where this CLI's own codes differ from the usual ones."""
    autonomy_args: tuple[str, ...] = ()
    """Any one of these flags keeps the CLI from stopping to ask; `check` advises when a command has none."""
    needed_args: tuple[str, ...] = ()
    """Flags every command for this CLI must hold; `check` advises when an agent's own command lacks one."""
    nudge_keys: tuple[str, ...] = ()
    """tmux key names sent before the rescue message (for a dialog); usually empty."""
    quit_keys: tuple[str, ...] = ()
    interrupt_keys: tuple[str, ...] = ()
    """tmux key names that stop what it is doing, so that it may save itself before it is ended."""
    processes: tuple[str, ...] = ()
    """Names of the CLI's own process, a last `*` for any ending: where it runs under a shell, their absence
    means that it ended (left_agent). Empty: nobody can tell."""
    local_model: LocalModel | None = None
    """None: it cannot be run against a model server of ours."""
    provider_ports: tuple[int, ...] = (HTTPS,)
    """Remote TCP ports of its provider: an open connection to one is life for a while. On this host itself
    only those other than HTTPS count. Empty: nobody looks."""

    hooks: HookKind = ""
    """Whose hook system its CLI has, for `hooks install`; hooks of no other CLI speak for its agents. Empty:
    unknown, and any may."""

    @property
    def looked_for(self) -> tuple[ScreenRule, ...]:
        """All that is looked for on its screen: its screen rules, and its dialogs."""
        closable = (
            ScreenRule(name=x.name, phase="dialog", pattern=x.pattern, lines=x.lines, below=x.below)
            for x in self.dialogs
        )
        return (*self.screens, *closable)


class Seat(Model):
    """One way to run an agent: seat 0 is what the file says, the others are its alternates in order."""

    profile: Profile
    model: str | None = None
    command: tuple[str, ...] = ()
    """Replaces the profile's command when not empty."""
    env: dict[str, str] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        """`profile` or `profile:model`, as in comms.log."""
        return f"{self.profile.name}:{self.model}" if self.model else self.profile.name


class AgentSpec(Model):
    """One agent, everything resolved. `pool` is the id before expansion when `count` was given."""

    id: str
    parent: str | None = None
    title: str
    seats: tuple[Seat, ...]
    workspace: Path
    prompt: str | None = None
    decider: Literal["policy", "parent"] = "policy"
    restart: Literal["transient", "permanent", "temporary"] = "transient"
    ready: Probe | None = None
    liveness: tuple[LivenessKind, ...]
    policy: Policy
    pool: str | None = None
    profiles: dict[str, Profile] = Field(default_factory=dict, repr=False)
    """All of the fleet's, built-in ones included: a person may name any of them (`reassign --to`)."""


class FleetSpec(Model):
    """A whole fleet file. `agents` is ordered parents first."""

    fleet: str
    path: Path
    """Real path of the fleet file."""
    policy: Policy
    notify: tuple[str, ...] = ()
    agents: dict[str, AgentSpec]
    profiles: dict[str, Profile]

    def grandparent(self, agent: str) -> str | None:
        parent = self.agents[agent].parent
        return self.agents[parent].parent if parent in self.agents else None

    def ancestors(self, agent: str) -> tuple[str, ...]:
        """From its parent upward; empty for an agent that is not in the file."""
        found: list[str] = []
        here = self.agents[agent].parent if agent in self.agents else None
        while here is not None and here in self.agents and here not in found:
            found.append(here)
            here = self.agents[here].parent
        return tuple(found)

    def children(self, agent: str | None) -> list[str]:
        """Ids whose parent is `agent`, in file order; None gives the top-level ones."""
        return [a.id for a in self.agents.values() if a.parent == agent]
