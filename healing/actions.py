"""What the engine is asked to do. Each action has a key that makes carrying it out twice harmless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ClearGround:
    """Snapshot the workspace, end the old tree (seen dead), drain its inbox under the old attempt.

    `why` becomes part of the handoff. Answered by StepFinished(resumable=..., undead=...)."""

    agent: str
    key: str
    attempt: int
    strategy: str
    why: str


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Start `attempt` on seat `seat`. `strategy` is start, resume, restart or reassign and decides the
    handoff. Answered by ProcessStarted, or StepFinished(ok=False)."""

    agent: str
    key: str
    attempt: int
    seat: int
    strategy: str
    why: str


@dataclass(frozen=True, slots=True)
class Nudge:
    """Type the rescue message into the pane. Answered by StepFinished."""

    agent: str
    key: str
    attempt: int
    text: str


@dataclass(frozen=True, slots=True)
class Escalate:
    """Write the marker file and send the one notification. Answered by StepFinished."""

    agent: str
    key: str
    incident: str
    reason: str


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


Action: TypeAlias = ClearGround | StartAttempt | Nudge | Escalate | ClearMarker | EndTree
