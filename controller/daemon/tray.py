"""Letters between the reading and the removing: what they said must be in the ledger first.

A beat alone is not worth a commit of its own: it waits for the next one, at most `HOLD` seconds, and lies in
the inbox until then. So however many agents beat, there are few commits, and after `kill -9` nothing that
was renamed into new/ is missing. The other way round, a letter that is in the ledger may still lie there
when the daemon dies: its id is committed with it, so that it is not taken twice."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable

from ..ports import Letter

log = logging.getLogger(__name__)

HOLD = 0.5
"""Seconds a letter that changes nothing vital waits for a commit it can share."""
MOST = 500
"""So many letters are worth a commit of their own."""


class Tray:
    """Lives on the loop; `remove` takes letters out of their inboxes, in a thread."""

    def __init__(self, remove: Callable[[list[Letter]], None]) -> None:
        self.remove = remove
        self._held: dict[str, tuple[float, list[Letter]]] = {}
        """agent -> since when, and what; whoever has waited longest first."""
        self._count = 0
        self._committed: list[Letter] = []
        self._lying: defaultdict[str, dict[str, None]] = defaultdict(dict)
        """agent -> ids that are in the ledger and perhaps still in the inbox."""
        self._removing: asyncio.Task[None] | None = None

    def hold(self, letters: Iterable[Letter], now: float) -> None:
        """They were read, and are said to the brain in this turn."""
        for letter in letters:
            self._held.setdefault(letter.agent, (now, []))[1].append(letter)
            self._count += 1

    def due(self) -> float | None:
        """When what is held must be committed; None when nothing is."""
        for since, _ in self._held.values():
            return since if self._count >= MOST else since + HOLD
        return None

    def take(self, agents: Iterable[str] | None = None) -> list[Letter]:
        """What is held of these agents, of all when None, to be committed now."""
        names = list(self._held) if agents is None else [name for name in agents if name in self._held]
        taken = [letter for name in names for letter in self._held.pop(name)[1]]
        self._count -= len(taken)
        return taken

    def ids(self, letters: Iterable[Letter]) -> dict[str, tuple[str, ...]]:
        """agent -> what to write beside its state: the ids of its letters that may still lie there."""
        agents = set[str]()
        for letter in letters:
            self._lying[letter.agent][letter.id] = None
            agents.add(letter.agent)
        return {agent: tuple(self._lying[agent]) for agent in agents}

    def committed(self, letters: list[Letter]) -> None:
        """They are in the ledger: have them removed, while the loop goes on."""
        if not letters:
            return
        self._committed += letters
        if self._removing is None or self._removing.done():
            self._removing = asyncio.get_running_loop().create_task(self._remove_all())

    async def close(self) -> None:
        """Wait until what is committed is removed."""
        if self._removing is not None:
            await asyncio.wait([self._removing])

    async def _remove_all(self) -> None:
        while self._committed:
            letters, self._committed = self._committed, []
            try:
                await asyncio.to_thread(self.remove, letters)
            except Exception:
                log.exception("cannot take letters away that are in the ledger; they are passed over")
            for letter in letters:
                self._lying[letter.agent].pop(letter.id, None)
            for agent in [agent for agent, ids in self._lying.items() if not ids]:
                del self._lying[agent]
