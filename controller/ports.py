"""The doors between the engine and the world, and the values that pass through them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..healing.agent import Happening
from ..healing.evidence import Evidence

Emit = Callable[[Evidence], None]
"""Puts one evidence on the engine's queue. May be called from any thread."""


class Clock(Protocol):
    """Engine time: seconds since the epoch, but steady: it follows the monotonic clock after it was made."""

    def now(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be mistaken for another: pid and start time (seconds since the epoch)."""

    pid: int
    created: float


@dataclass(frozen=True, slots=True)
class PaneView:
    """One pane of ours as one look shows it. `activity`: any of its change keys moved since the last look."""

    agent: str
    pane: str
    pid: int
    tty: str
    dead: bool
    status: int | None
    signal: int | None
    attempt: int
    attached: bool
    change_key: str
    title: str
    in_mode: bool = False


class TerminalsError(Exception):
    """tmux did not answer or refused; the message says what to do next. Proves nothing about the agents."""


class Terminals(Protocol):
    """The fleet's private tmux server. Blocking calls; none of them touches another socket."""

    socket: str

    def ensure(self) -> None:
        """Start the server with our own configuration and its hub session if it is not there."""
        ...

    def survey(self) -> list[PaneView]:
        """`ensure`, then `panes`, in one call where the server is there."""
        ...

    def respawn(
        self, agent: str, argv: Sequence[str], cwd: str, env: dict[str, str], attempt: int
    ) -> PaneView:
        """Make the agent's session if missing, then run `argv` in its pane, with `env`."""
        ...

    def panes(self) -> list[PaneView]: ...

    def capture(self, agent: str, *, history: int = 0, escapes: bool = False) -> list[str]:
        """The pane's visible lines, with `history` lines above them."""
        ...

    def paste(self, agent: str, text: str, *, enter: bool = True) -> None:
        """Put `text` (control characters removed) into the pane as one paste, then Enter on its own."""
        ...

    def keys(self, agent: str, names: Sequence[str]) -> None: ...

    def close(self, agent: str) -> None:
        """Remove the agent's session. Only for agents whose tree is already dead."""
        ...

    def kill_server(self) -> None: ...


class Processes(Protocol):
    def identify(self, pid: int) -> Identity | None: ...
    def alive(self, who: Identity) -> bool: ...
    def tree(self, who: Identity, *, tag: str | None = None) -> list[Identity]:
        """`who` and all descendants, deepest first; with `tag` (value of HHMRS_TOKEN in their environment)
        also those that left the tree."""
        ...

    def end_tree(self, who: Identity, *, grace: float, tag: str | None = None) -> list[Identity]:
        """TERM deepest first (CONT for stopped ones), wait up to `grace`, KILL, wait. Returns survivors."""
        ...

    def end_tagged(self, tag: str, *, grace: float) -> list[Identity]:
        """As `end_tree` for the processes that carry the tag, when no root is known any more."""
        ...


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """contract.md section 4; `snapshot` is None when none could be taken."""

    agent: str
    seq: int
    task: str | None
    attempt: int
    created_at: str
    completed: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    session: dict[str, Any] | None = None
    snapshot: dict[str, Any] | None = None
    version: int = 1

    @property
    def resumable(self) -> bool:
        """It holds something that a fresh start would not know."""
        return bool(
            self.completed or self.files or self.next or self.data or (self.snapshot or {}).get("changed")
        )


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that passed the door. `agent` is whose inbox it lay in; `fields` are checked for its kind."""

    kind: str
    agent: str
    attempt: int
    at: str
    id: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the event log. `data` holds everything beside the fixed columns."""

    seq: int
    at: str
    type: str
    agent: str | None
    parent: str | None
    incident: str | None
    data: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "at": self.at,
            "type": self.type,
            "agent": self.agent,
            "parent": self.parent,
            "incident": self.incident,
            **self.data,
        }


@dataclass(frozen=True, slots=True)
class Row:
    """What to store together in one transaction for one agent: its state and what just happened.

    `key` makes a repeated call harmless: a row whose key is stored already changes nothing."""

    agent: str
    state: dict[str, Any] | None
    happenings: tuple[Happening, ...] = ()
    key: str | None = None


class Ledger(Protocol):
    """The book. One writer; `append` returns only after the commit."""

    def append(self, rows: Sequence[Row]) -> list[int]: ...
    def states(self) -> dict[str, dict[str, Any]]: ...
    def history(
        self, *, since: int = 0, agent: str | None = None, incident: str | None = None
    ) -> Iterator[Event]: ...
