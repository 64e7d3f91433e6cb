"""What only a look at the machine tells of an order beforehand: the processes that it ends, the handoff that
the next attempt gets. Pure: the values, their words, and the port to who looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..config.fleet import AgentSpec
from ..healing.agent import AgentState
from .looks import clean

NAMED = 6
"""Processes that are named; of more there is only the number."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A process that would be ended; `words`: what it was started as, as hostile as any text."""

    pid: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """`victims` None: the order ends nothing. `handoff`: the very text, as it would be now; empty: none is
    made. `told`: by which way it reaches the agent. `checkpoint`: from which it would go on. `keys`: pressed
    before its process is ended. `doubt`: why it would most likely be refused."""

    victims: tuple[Victim, ...] | None = None
    handoff: str = ""
    told: str = ""
    checkpoint: str = ""
    keys: tuple[str, ...] = ()
    doubt: str = ""


class Hands(Protocol):
    """Reads only: nothing is written, typed or ended by asking."""

    def preview(self, order: str, state: AgentState, spec: AgentSpec, args: Mapping[str, str]) -> Known:
        """What this order with these args would meet and make now. Blocking; raises OSError and the like."""
        ...


LOOKED_AT = frozenset({"resume", "restart", "reassign", "stop", "start"})
"""Orders of which a look tells more than the state does."""


def looks_at(order: str, state: AgentState | None) -> bool:
    """Whether a look at the machine tells more of this order."""
    return order in LOOKED_AT or (order == "clear" and state is not None and not state.alive)


def facts(known: Known) -> tuple[str, ...]:
    """What was found, a line each."""
    lines: list[str] = []
    if known.keys:
        lines.append(f"pressed first, so that it can save itself: {' '.join(known.keys)}")
    if known.victims is not None:
        lines.append(_ended(known.victims))
    if known.checkpoint:
        lines.append(known.checkpoint)
    if known.told:
        lines.append(known.told)
    if known.doubt:
        lines.append(f"it would most likely be refused: {clean(known.doubt, 200)}")
    return tuple(lines)


def _ended(victims: tuple[Victim, ...]) -> str:
    if not victims:
        return "ends no process: none of it is there"
    named = ", ".join(f"{one.pid} {clean(one.words, 40)}".rstrip() for one in victims[:NAMED])
    more = f" and {len(victims) - NAMED} more" if len(victims) > NAMED else ""
    return f"ends {len(victims)} process{'es' if len(victims) > 1 else ''}: {named}{more}"
