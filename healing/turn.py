"""What one turn of the loop has to write down, and then to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from .actions import Action
from .agent import Happening


@dataclass(slots=True)
class Turn:
    """`happenings` by agent; `changed`: agents whose state must be written; `actions` are for afterwards."""

    happenings: dict[str, list[Happening]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    actions: list[Action] = field(default_factory=list)

    def note(self, happening: Happening) -> None:
        self.happenings.setdefault(happening.agent, []).append(happening)
