"""An agent's `decide` letter: whose incident it is about, and whether that is the agent's to decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...healing.evidence import Decided
from ...healing.transitions import agent_of
from ..ports import Letter
from .letterforms import Refused, clean

Ancestors = Callable[[str], Sequence[str]]
"""agent -> its ancestors by the fleet file, from its parent upward; empty when it is not in the file."""


def decision(letter: Letter, ancestors: Ancestors, at: float) -> Decided:
    """What the letter says, as evidence about the child. Raises Refused: it counts only from an ancestor."""
    incident = str(letter.fields["incident"])
    child = agent_of(incident)
    if letter.agent not in ancestors(child):
        shown = clean(incident, 80)
        raise Refused(f"decide: {letter.agent} is no ancestor of the agent whose incident is {shown!r}")
    return Decided(child, at, incident, str(letter.fields["strategy"]), letter.agent)
