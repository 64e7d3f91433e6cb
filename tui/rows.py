"""One agent as one line of the list. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..healing.agent import Phase
from .document import Agent, Trouble
from .looks import age

SICK = frozenset({Phase.STALLED, Phase.LOOPING, Phase.EXITED, Phase.RECOVERING})
"""Phases in which an open incident is being worked on; shown in the orange of interventions."""


@dataclass(frozen=True, slots=True)
class Row:
    """One agent's line. `rails`: per level above, whether the line goes on; the last is its own.

    `below`: (phase, how many) for every phase that needs attention among its descendants, worst first;
    `hidden`: how many of them are folded away. `since` and `seen` are epoch seconds: what is told of them
    goes on with the clock, and the row does not. `within`: title of the parent, where the list is no tree;
    `figure`: what it is ordered by, where no column tells it; `context`: no match of the filter itself, it
    stands there for those below it."""

    agent: str
    title: str
    rails: tuple[bool, ...]
    parent: bool
    folded: bool
    phase: Phase
    since: float | None
    seen: float | None
    kind: str
    tries: int
    percent: int | None
    message: str
    affected: bool
    stale: bool
    hidden: int = 0
    below: tuple[tuple[Phase, int], ...] = ()
    within: str = ""
    figure: str = ""
    context: bool = False
    level: int = 1
    """Who answers for what is done about it: 1 its parent, 2 its grandparent."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where and how an agent is listed; the fields are those of its row."""

    rails: tuple[bool, ...] = ()
    parent: bool = False
    folded: bool = False
    within: str = ""
    figure: str = ""
    context: bool = False


def row_of(
    agent: Agent,
    trouble: Trouble | None,
    spot: Spot,
    under: tuple[tuple[tuple[Phase, int], ...], int],
    now: float,
    up: bool,
) -> Row:
    """The agent's line as of `now` (epoch seconds); `under`: what the row's `below` and `hidden` say;
    `up`: a daemon is running."""
    kind, seen = agent.newest or ("", None)
    return Row(
        agent=agent.id,
        title=agent.title,
        rails=spot.rails,
        parent=spot.parent,
        folded=spot.folded,
        phase=agent.phase,
        since=agent.since,
        seen=seen,
        kind=kind,
        tries=agent.restarts + agent.reassigns,
        percent=None if agent.progress is None else round(100 * min(1.0, max(0.0, agent.progress))),
        message=says(agent, now, trouble),
        affected=up and is_affected(agent, trouble is not None),
        stale=not up,
        below=under[0],
        hidden=under[1],
        within=spot.within,
        figure=spot.figure,
        context=spot.context,
        level=trouble.level if trouble is not None else 1,
    )


def says(agent: Agent, now: float, trouble: Trouble | None = None) -> str:
    """What matters most about the agent in a few words, before its own message."""
    words: list[str] = []
    if agent.orphan:
        words.append("not in the fleet file")
    if agent.attached:
        words.append("a person is attached")
    if agent.doing:
        words.append(
            agent.doing + (f" {age(agent.until - now)} left" if agent.until and agent.until > now else "")
        )
    elif agent.phase is Phase.LIMITED and agent.until and agent.until > now:
        words.append(f"for {age(agent.until - now)}")
    elif agent.phase is Phase.ESCALATED and trouble is not None:
        words.append(trouble.detail or trouble.cause)
    own = agent.message or agent.task
    return " - ".join([*words, own] if own else words)


def is_affected(agent: Agent, troubled: bool) -> bool:
    """An intervention is under way: the one thing that is painted orange."""
    return agent.phase is Phase.RECOVERING or (troubled and agent.phase in SICK)
