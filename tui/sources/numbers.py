"""numbers.Numbers on a real ledger. It has a reader of its own: a long look back never delays the screen's
looks at the fleet, and is made again only when an event was added."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...config.fleet import FleetSpec
from ...config.paths import StateDir
from ...controller.ledger.lock import read_holder
from ...controller.ledger.writer import LedgerReader
from ..numbers import Told

if TYPE_CHECKING:
    from ...controller.reports.incidents import IncidentLine
    from ...controller.reports.recollection import Recollection

RECKONED = 8
"""Documents that are kept: one for each span a person goes through, and a few of the hours before."""


class LedgerNumbers:
    """`spec` gives the fleet file as it is now. One caller at a time; others wait. Raises LedgerError."""

    def __init__(self, state_dir: StateDir, spec: Callable[[], FleetSpec | None]) -> None:
        self._dir = state_dir
        self._spec = spec
        self._reader = LedgerReader(state_dir.ledger)
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int], Recollection] | None = None
        self._lines: tuple[tuple[int, int], tuple[IncidentLine, ...]] | None = None
        self._page: tuple[tuple[int, int, str], str | None] | None = None
        self._made: dict[tuple[str, float | None, float | None, float], dict[str, Any]] = {}

    def document(self, span: str, told: Told) -> Mapping[str, Any]:
        """Raises ValueError for a span that does not exist."""
        from ...controller.reports.spans import span_of
        from ...controller.reports.stats import STEP, figures_of

        with self._lock:
            holder = read_holder(self._dir)
            now = holder.now() if holder else time.time()
            asked = span_of(span, now)
            known = self._recollection(told)
            key = (span, asked.since, asked.until, now // STEP)
            made = self._made.get(key)
            if made is None:
                made = self._made[key] = figures_of(known, span, now)
                for old in list(self._made)[:-RECKONED]:
                    del self._made[old]
            return made

    def incidents(self, told: Told) -> tuple[IncidentLine, ...]:
        from ...controller.reports.incidents import incident_lines

        with self._lock:
            stamp = self._stamp()
            if self._lines is None or self._lines[0] != stamp:
                told("incidents", 1, 1)
                self._lines = (stamp, incident_lines(self._reader))
            return self._lines[1]

    def report(self, incident: str) -> str | None:
        from ...controller.reports.postmortems import post_mortem_in

        with self._lock:
            stamp = (*self._stamp(), incident)
            if self._page is None or self._page[0] != stamp:
                found = post_mortem_in(self._dir, self._reader, self._spec(), incident)
                self._page = (stamp, found.page() if found is not None else None)
            return self._page[1]

    def close(self) -> None:
        self._reader.close(wait=False)

    def _recollection(self, told: Told) -> Recollection:
        from ...controller.reports.recollection import recollect

        stamp = self._stamp()
        if self._known is None or self._known[0] != stamp:
            self._known = (stamp, recollect(self._reader, told))
            self._made.clear()
        return self._known[1]

    def _stamp(self) -> tuple[int, int]:
        """Which ledger it is, and how far it has come. Live values, written each second, do not count."""
        try:
            inode = self._dir.ledger.stat().st_ino
        except FileNotFoundError:
            inode = 0
        return inode, self._reader.newest_seq()
