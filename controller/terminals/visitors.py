"""Whether a person sits at the pane of an agent whose process is over.

Nothing is started over a person's head; so who leaves must be seen to leave, though there is no process any
more that anybody would watch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ...healing.evidence import PersonPresent
from ..ports import Clock, Emit
from .tmux_words import read_rows


@dataclass(slots=True)
class _Pane:
    attached: bool
    raw: str = ""


class Visitors:
    """Tells who comes to and leaves the panes of agents at rest."""

    def __init__(self, emit: Emit, clock: Clock) -> None:
        self._emit = emit
        self._clock = clock
        self._panes: dict[str, _Pane] = {}

    @property
    def agents(self) -> Collection[str]:
        """Those at rest."""
        return self._panes.keys()

    def rest(self, agent: str, *, attached: bool) -> None:
        """Its process is over. `attached`: as was told last."""
        before = self._panes.get(agent)
        self._panes[agent] = _Pane(before.attached if before else attached)

    def rise(self, agent: str) -> bool:
        """Its next process is watched, or nobody asks any more: whether somebody is at its pane."""
        pane = self._panes.pop(agent, None)
        return pane is not None and pane.attached

    def notice(self, listed: Mapping[str, str]) -> None:
        """`listed`: agent -> the lines that tmux has of its panes; one that has none has no visitor."""
        for agent, pane in self._panes.items():
            raw = listed.get(agent, "")
            if raw == pane.raw and raw:
                continue
            pane.raw = raw
            row = next(iter(read_rows(raw.split("\n"))), None) if raw else None
            attached = row is not None and row.view.attached
            if attached != pane.attached:
                pane.attached = attached
                self._emit(PersonPresent(agent, self._clock.now(), attached))
