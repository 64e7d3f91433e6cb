"""The doors between the engine and the world, and the values that pass through them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:  # names alone: a look at the ledger needs `Event`, and none of what they are made of
    from ..config.fleet import AgentSpec, Seat
    from ..healing.agent import AgentState, Happening
    from ..healing.evidence import Evidence
    from .means import Means

Emit: TypeAlias = "Callable[[Evidence], None]"
"""Puts one evidence on the engine's queue. May be called from any thread."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be mistaken for another: pid and start time (seconds since the epoch)."""

    pid: int
    created: float


@dataclass(frozen=True, slots=True)
class Running:
    """An attempt that runs: what a source needs to know to follow it. `session` is the native id it is known
    by, `adopted` that it began under another daemon."""

    spec: AgentSpec
    seat: Seat
    attempt: int
    who: Identity
    session: str | None = None
    adopted: bool = False
    socket: str = ""


class Source(Protocol):
    """Something that sees what agents do, and emits evidence of it; it touches nothing it looks at.

    Subclass it and override what the source needs. All are called on the loop and must not block; a source
    works in a thread of its own, and after `forget` and `close` emits nothing of that agent, or at all."""

    def open(self) -> None:
        """Begin to work."""
        return

    def enrol(self, spec: AgentSpec) -> None:  # noqa: ARG002 - not all need it
        """The fleet has this agent (told again at each reload)."""
        return

    def follow(self, running: Running) -> None:  # noqa: ARG002 - not all need it
        """This attempt of an agent runs now; in place of the one before, if any. May be told twice."""
        return

    def rest(self, agent: str) -> None:  # noqa: ARG002 - not all need it
        """The attempt is over; another may follow."""
        return

    def forget(self, agent: str) -> None:  # noqa: ARG002 - not all need it
        """The fleet has this agent no more."""
        return

    def wrote(self, path: Path, content: bytes) -> None:  # noqa: ARG002 - not all need it
        """A supervisor is about to write that: it is no word and no work of any agent's. From any thread."""
        return

    def close(self) -> None:
        """End all work."""
        return

    def means(self) -> tuple[Means, ...]:
        """By which means it sees now."""
        return ()


class Clock(Protocol):
    """Engine time: seconds since the epoch, but steady: it follows the monotonic clock after it was made."""

    def now(self) -> float: ...


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
    socket: str = ""
    """The tmux server it is on; empty in a row read off the wire, before anybody said which."""


class TerminalsError(Exception):
    """tmux did not answer or refused; the message says what to do next. Proves nothing about the agents."""


class PaneMissing(TerminalsError):
    """There is no such pane, or no server at all that could hold it: tmux itself says so."""


class Terminals(Protocol):
    """The fleet's private tmux servers. Blocking calls; none of them touches another socket."""

    socket: str
    """The first server's."""

    def ensure(self) -> None:
        """Start the (first) server with our own configuration and its hub session if it is not there."""
        ...

    def pane_of(self, agent: str) -> PaneView | None: ...
    def socket_of(self, agent: str) -> str:
        """Name of the server with the agent's session, or of the one it would be started on."""
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
        """The pane's visible lines; with `history`, so many above them, each line as it was printed and not
        as the pane wraps it, unless the escapes are asked for."""
        ...

    def paste(self, agent: str, text: str, *, enter: bool = True) -> None:
        """Put `text` (control characters removed) into the pane as one paste, then Enter on its own."""
        ...

    def keys(self, agent: str, names: Sequence[str]) -> None: ...

    def close(self, agent: str) -> None:
        """Remove the agent's session. Only for agents whose tree is already dead."""
        ...

    def kill_server(self) -> None:
        """End every server of the fleet."""
        ...


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

    def end_many(self, roots: Collection[Identity], *, grace: float, tags: Collection[str]) -> list[Identity]:
        """As `end_tree` for many at once, with as few looks as for one."""
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

    A state is written as healing/codec.py dumps it; it may be given so, or as it is.
    `key` makes a repeated call harmless: a row whose key is stored already changes nothing. `letters`: ids of
    letters that the state has taken in and that may still lie in the inbox; None: as written before."""

    agent: str
    state: AgentState | dict[str, Any] | None
    happenings: tuple[Happening, ...] = ()
    key: str | None = None
    letters: tuple[str, ...] | None = None


class Ledger(Protocol):
    """The book. One writer; `append` returns only after the commit."""

    def append(self, rows: Sequence[Row]) -> list[int]: ...
    def states(self) -> dict[str, dict[str, Any]]: ...
    def history(
        self, *, since: int = 0, agent: str | None = None, incident: str | None = None
    ) -> Iterator[Event]: ...
