"""Short ways to write a fleet for tests of what the screen makes of it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from hhmrs.healing.agent import Phase
from hhmrs.tui.document import Agent, Fleet, Trouble

NOW = 1_795_260_000.0


def agent(name: str, parent: str | None = None, phase: Phase = Phase.WORKING, **more: Any) -> Agent:
    """Alive, 5 s in its phase, at its first attempt unless `more` says otherwise."""
    known: dict[str, Any] = {"since": NOW - 5, "attempt": 1, "pid": 7} | more
    return Agent(id=name, title=known.pop("title", name.title()), parent=parent, phase=phase, **known)


def fleet(*agents: Agent, troubles: tuple[Trouble, ...] = (), **more: Any) -> Fleet:
    """Supervised by an armed daemon unless `more` says otherwise."""
    known: dict[str, Any] = {"up": True, "mode": "armed"} | more
    return Fleet(name="f", at=NOW, agents=agents, troubles=troubles, **known)


def grown(count: int, seed: int = 1) -> Fleet:
    """So many agents, each below a random one before it or at the top, in random phases."""
    chance = random.Random(seed)
    agents = []
    for number in range(count):
        above = None if number == 0 or chance.random() < 0.05 else f"a{chance.randrange(number)}"
        agents.append(
            agent(f"a{number}", above, chance.choice(list(Phase)), cpu_pct=chance.random() * 100,
                  restarts=chance.randrange(4), trace={"output": NOW - chance.randrange(900)})
        )  # fmt: skip
    return fleet(*agents)


def stirred(before: Fleet, chance: random.Random, moved: int) -> Fleet:
    """The next look: `moved` agents are in another phase."""
    changed = set(chance.sample([one.id for one in before.agents], moved))
    agents = tuple(
        replace(one, phase=chance.choice(list(Phase))) if one.id in changed else one for one in before.agents
    )
    return replace(before, agents=agents, at=before.at + 0.25)
