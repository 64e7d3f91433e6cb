"""What the views of one agent show beyond a snapshot: its files, what was saved of them, its tasks, its
spending. Frozen values, and the port they come through; every text in them is as it was found, so hostile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # what only these views need is loaded when one of them is first in sight
    from ..controller.checkpoints.present import Files
    from ..healing.usage import Tokens


class WorkError(Exception):
    """It cannot be shown or done; the message says why, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint. `at`: when it was stored, `older_by`: by how many seconds its files are older than what
    it says. `by`: agent, supervisor, or empty where the log no longer tells. `restorable`: its snapshot is
    there; `standing`: its name, else what is wrong with it. `unsaved`: what is not in the snapshot."""

    seq: int
    at: float | None
    by: str
    attempt: int | None
    task: str
    completed: tuple[str, ...]
    next: tuple[str, ...]
    changed: tuple[str, ...]
    standing: str
    restorable: bool
    older_by: int | None
    unsaved: str


@dataclass(frozen=True, slots=True)
class Diff:
    """The workspace as it is now against the snapshot of checkpoint `seq`, which was taken at `at`.

    `stat` and `text`: as git prints them; `skipped`: files that no snapshot would hold."""

    seq: int
    at: float | None
    stat: tuple[str, ...]
    text: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PastTask:
    """A task of the book. `opened`: epoch seconds; `seconds`, `files`: None where nobody wrote it down."""

    id: str
    text: str
    state: str
    opened: float | None
    seconds: float | None
    files: int | None
    why: str
    tries: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What the agent's own transcript says of its session. `source`: that file; `whole`: it was read from its
    beginning. `tokens` None: nothing in it says how many. `minutes`: minute since 1970 and the tokens sent
    and received in it, by the transcript's own times, oldest first."""

    tokens: Tokens | None
    source: str
    whole: bool
    minutes: tuple[tuple[int, int], ...] = ()


class Work(Protocol):
    """All calls block, may take seconds, and are made from one thread. Raise WorkError, or anything."""

    def files(self, agent: str) -> Files:
        """The newest files of its workspace, those that git ignores left out."""
        ...

    def saved(self, agent: str) -> tuple[Saved, ...]:
        """Its checkpoints, newest first."""
        ...

    def diff(self, agent: str, seq: int | None) -> Diff:
        """Its workspace against checkpoint `seq`; None: the newest one that has a snapshot."""
        ...

    def tasks(self, agent: str) -> tuple[PastTask, ...]:
        """Its tasks, newest first."""
        ...

    def spent(self, agent: str) -> Spent | None:
        """None where its CLI keeps no transcript that could be read."""
        ...

    def restore(self, agent: str, seq: int, to: Path) -> str:
        """Write what checkpoint `seq` saved into the new or empty folder `to`; what was done, in words."""
        ...
