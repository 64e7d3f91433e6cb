"""What the screens of figures, incidents and post-mortems are told: the port to the ledger's whole past."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..controller.reports.incidents import IncidentLine

Told = Callable[[str, int, int], None]
"""Is told what is being read, its number and of how many; called from the reading thread."""


class Numbers(Protocol):
    """All calls block, are made from worker threads and may raise. What is asked for again while nothing was
    written is the very same object, so that a screen can tell that nothing has changed."""

    def document(self, span: str, told: Told) -> Mapping[str, Any]:
        """The document of `hhmrs stats --json --span SPAN`."""
        ...

    def incidents(self, told: Told) -> tuple[IncidentLine, ...]:
        """Every incident, open ones first, then the newest first."""
        ...

    def report(self, incident: str) -> str | None:
        """The page of `hhmrs report INCIDENT`; None when there is no such incident."""
        ...

    def close(self) -> None:
        """Let go of the ledger."""
        ...
