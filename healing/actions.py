"""What the engine is asked to do. Each action has a key that makes carrying it out twice harmless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .agent import Briefing, HandSeat, NudgeStep


@dataclass(frozen=True, slots=True)
class ClearGround:
    """Snapshot the workspace, end the old tree (seen dead), drain its inbox under the old attempt.

    `why` becomes part of the handoff. One whose `cause` is looping is interrupted first, so that it may save
    itself. Answered by StepFinished(resumable=..., undead=...)."""

    agent: str
    key: str
    attempt: int
    strategy: str
    why: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Start `attempt` on seat `seat`, or on `hand` in its place. `strategy` is start, resume, restart or
    reassign and decides the handoff, together with `briefing`. Answered by ProcessStarted, or
    StepFinished(ok=False)."""

    agent: str
    key: str
    attempt: int
    seat: int
    strategy: str
    why: str
    hand: HandSeat | None = None
    briefing: Briefing | None = None


@dataclass(frozen=True, slots=True)
class Nudge:
    """Take one step of a nudge, for `reason`. `text`: what it types into the pane (a dialog's keys are no
    text). `stale_after`: seconds after which a status file is. `again`: a daemon before us may have taken it;
    what is typed is not typed a second time. Answered by StepFinished."""

    agent: str
    key: str
    attempt: int
    text: str
    step: NudgeStep = NudgeStep.RESCUE
    reason: str = ""
    stale_after: float = 0.0
    again: bool = False

    @property
    def types(self) -> bool:
        """Whether keys are pressed for it."""
        return not self.again and self.step in (NudgeStep.CLOSE_DIALOG, NudgeStep.RESCUE)


@dataclass(frozen=True, slots=True)
class Escalate:
    """Write the marker file and send the one notification; not when `quiet`, because a person was told of the
    cascade that it is part of. Answered by StepFinished."""

    agent: str
    key: str
    incident: str
    reason: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the person what concerns the whole fleet: one notification. `agent` is empty; `key` names what
    is told of. Answered by StepFinished, which is nobody's evidence."""

    key: str
    title: str
    text: str
    agent: str = ""


@dataclass(frozen=True, slots=True)
class ClearMarker:
    """Remove the marker file. Answered by StepFinished."""

    agent: str
    key: str


@dataclass(frozen=True, slots=True)
class EndTree:
    """End the agent's whole process tree because a person said stop. Answered by StepFinished."""

    agent: str
    key: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AlertAncestor:
    """Ask the agent `ancestor` which of `options` comes next for `agent`: a file in its inbox folder, and a
    line in its pane. `otherwise` is what the policy does at engine time `until`. Answered by StepFinished,
    and perhaps by Decided."""

    agent: str
    key: str
    ancestor: str
    incident: str
    n: int
    level: int
    options: tuple[str, ...]
    otherwise: str
    until: float


Action: TypeAlias = (
    ClearGround | StartAttempt | Nudge | Escalate | ClearMarker | EndTree | AlertAncestor | Announce
)
