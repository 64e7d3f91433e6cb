"""Which agents a filter line means. Pure.

parser            found in id, title, phase, profile, model, message, task or what is being done
parser lexer      both words
!parser           without it
phase:waiting     in that field only; so are `profile: model: name: task: message:`
under:dir-code    those below an agent with this in its id or title
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .document import Agent
from .tree import Tree

FIELDS: Mapping[str, Callable[[Agent], str]] = {
    "phase": lambda agent: agent.phase.value,
    "profile": lambda agent: agent.profile,
    "model": lambda agent: agent.model,
    "name": lambda agent: f"{agent.id} {agent.title}",
    "task": lambda agent: agent.task,
    "message": lambda agent: agent.message,
}
UNDER = "under"


@dataclass(frozen=True, slots=True)
class Word:
    """One word of the line; `field` empty: anywhere. `inverse`: who has it is left out."""

    text: str
    field: str = ""
    inverse: bool = False


def words_of(needle: str) -> tuple[Word, ...]:
    """The words of a filter line; what is only half typed (`!`, `phase:`) means nothing yet."""
    found: list[Word] = []
    for part in needle.casefold().split():
        inverse = part.startswith("!")
        part = part.removeprefix("!")
        field, colon, rest = part.partition(":")
        if colon and (field in FIELDS or field == UNDER):
            part = rest
        else:
            field = ""
        if part:
            found.append(Word(part, field, inverse))
    return tuple(found)


class Sieve:
    """Finds the agents that a line means; what it reads of an agent is kept while the agent is the same."""

    def __init__(self) -> None:
        self._hay: dict[str, tuple[Agent, str]] = {}

    def matching(self, needle: str, tree: Tree, agents: Mapping[str, Agent]) -> frozenset[str] | None:
        """Ids of those found; None when nothing is asked for."""
        words = words_of(needle)
        if not words:
            return None
        if len(self._hay) > 2 * len(agents):  # of agents that are gone
            self._hay = {}
        return frozenset(
            name
            for name, agent in agents.items()
            if all(self._fits(word, agent, tree, agents) for word in words)
        )

    def _fits(self, word: Word, agent: Agent, tree: Tree, agents: Mapping[str, Agent]) -> bool:
        if word.field == UNDER:
            above = (agents[name] for name in tree.ancestors(agent.id))
            found = any(word.text in FIELDS["name"](one).casefold() for one in above)
        elif word.field:
            found = word.text in FIELDS[word.field](agent).casefold()
        else:
            found = word.text in self._read(agent)
        return found is not word.inverse

    def _read(self, agent: Agent) -> str:
        known = self._hay.get(agent.id)
        if known is None or known[0] is not agent:
            own = (agent.id, agent.title, agent.phase.value, agent.seat)
            told = (agent.message, agent.task, agent.doing)
            known = self._hay[agent.id] = (agent, "\n".join(own + told).casefold())
        return known[1]
