"""The problems first: rows only for who needs somebody, everybody else a dot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..healing.agent import Phase
from .document import Agent, Fleet
from .listing import Listing, Sort, arrange
from .looks import LOOKS
from .rows import SICK
from .tree import tally

INDENT = 2
"""Cells before the first dot of a line."""


class Need(StrEnum):
    """Whom an agent waits for; each value is how the group is called for a person."""

    YOU = "needs you now"
    HEALING = "being healed"
    TIME = "limited or held"
    NOBODY = "fine"


@dataclass(frozen=True, slots=True)
class Heading:
    """Begins a group. `phases`: how many agents of it are in which phase, the worst first."""

    need: Need
    count: int
    phases: tuple[tuple[Phase, int], ...]


@dataclass(frozen=True, slots=True)
class Dots:
    """A line of agents that need nothing, one sign each, in the order of the tree."""

    agents: tuple[str, ...]
    phases: tuple[Phase, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A line in words."""

    words: str
    good: bool = False


def need_of(agent: Agent, fleet: Fleet) -> Need:
    """Whom the agent waits for. A sick one waits for a person where nobody heals: without a daemon, with a
    stopped one, and where the policy is only to observe."""
    phase = agent.phase
    if phase in (Phase.ESCALATED, Phase.WAITING):
        return Need.YOU
    if phase in SICK:
        alone = not fleet.up or fleet.frozen is not None
        observed = fleet.mode == "observe" and phase is not Phase.RECOVERING
        return Need.YOU if alone or observed else Need.HEALING
    if phase is Phase.UNKNOWN and agent.attempt == 0:  # never started
        return Need.NOBODY
    return Need.TIME if LOOKS[phase].rank else Need.NOBODY


def group(fleet: Fleet, names: Iterable[str]) -> dict[Need, list[str]]:
    """The named agents by whom they wait for, each group in the order they came."""
    groups: dict[Need, list[str]] = {need: [] for need in Need}
    agents = fleet.by_id
    for name in names:
        groups[need_of(agents[name], fleet)].append(name)
    return groups


def problems(
    fleet: Fleet, names: Sequence[str], listing: Listing, across: int
) -> Iterator[Heading | Dots | Note | str]:
    """The lines from above; an agent's name where its row belongs. `names`: who is listed, in the order of
    the tree; `across`: cells of a line."""
    agents, groups = fleet.by_id, group(fleet, names)
    if names and not groups[Need.YOU] and not groups[Need.HEALING]:
        yield Note(quiet_words(groups, listing), good=True)
    for need, members in groups.items():
        if not members:
            continue
        yield Heading(need, len(members), tally((agents[name] for name in members), least=0))
        if need is Need.NOBODY:
            yield from dots(members, agents, across)
        else:
            yield from _ordered(members, agents, listing)


def quiet_words(groups: Mapping[Need, Sequence[str]], listing: Listing) -> str:
    """That there is nothing to do, in words."""
    whose = "of those that match, " if listing.needle else ""
    if groups[Need.TIME]:
        return f"{whose}nobody needs you; {len(groups[Need.TIME])} wait for a time or for your unpause"
    return f"{whose}nobody needs you, and nothing is being healed"


def _ordered(members: list[str], agents: Mapping[str, Agent], listing: Listing) -> list[str]:
    """As asked; else the worst first, and of those alike whoever waits longest."""
    if listing.sort is not Sort.TREE:
        return arrange(members, agents, listing.sort, listing.backwards)
    worst = sorted(members, key=lambda name: (-LOOKS[agents[name].phase].rank, agents[name].since or 0.0))
    return worst[::-1] if listing.backwards else worst


def dots(names: Sequence[str], agents: Mapping[str, Agent], across: int) -> Iterator[Dots]:
    """The agents in lines that fit into `across` cells."""
    wide = max(1, across - INDENT)
    for start in range(0, len(names), wide):
        part = tuple(names[start : start + wide])
        yield Dots(part, tuple(agents[name].phase for name in part))
