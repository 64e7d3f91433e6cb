"""What the screen remembers of a person from one time to the next: the theme, and how each fleet was left."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config.paths import state_root
from .listing import Listing, Sort, View

NAME = "screen.json"
MOST = 65536
"""Bytes of it that are read."""
FLEETS = 64
"""Fleets that are remembered, the last used ones."""
PATIENCE = 0.1
"""Seconds that leaving waits for a disk that takes its time."""
_writing = threading.Lock()
"""What is kept is read, changed and written: by one thread of this process at a time."""


@dataclass(frozen=True, slots=True)
class Left:
    """How a fleet's screen was left: view and order of the list, and the selected `agent`."""

    listing: Listing = field(default_factory=Listing)
    agent: str | None = None

    def as_json(self) -> dict[str, object]:
        listing = self.listing
        return {
            "view": listing.view.value,
            "sort": listing.sort.value,
            "backwards": listing.backwards,
            "agent": self.agent,
        }


class Memory:
    """A small file beside the fleets' folders. What is damaged there counts as forgotten."""

    def __init__(self, root: Path | None = None) -> None:
        self.path = (root or state_root()) / NAME

    def theme(self) -> str | None:
        theme = self._read().get("theme")
        return theme if isinstance(theme, str) else None

    def keep_theme(self, name: str) -> None:
        """Whole or not at all. Raises OSError."""
        with _writing:
            self._write({**self._read(), "theme": name})

    def left(self, fleet: str) -> Left:
        """As that fleet's screen was left last."""
        fleets = self._read().get("fleets")
        return _left(fleets.get(fleet) if isinstance(fleets, dict) else None)

    def keep_left(self, fleet: str, left: Left) -> None:
        """As `keep_theme`; the fleet counts as the one that was used last."""
        with _writing:
            known = self._read()
            kept = known.get("fleets")
            fleets = {k: v for k, v in kept.items() if k != fleet} if isinstance(kept, dict) else {}
            newest = [*fleets.items(), (fleet, left.as_json())][-FLEETS:]
            self._write({**known, "fleets": dict(newest)})

    def _read(self) -> dict[str, Any]:
        try:
            # a FIFO would block an ordinary open
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            with os.fdopen(fd, "rb") as file:
                raw = file.read(MOST) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
            found = json.loads(raw)
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, known: Mapping[str, object]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_name(f".{NAME}.{os.urandom(6).hex()}")
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(known, file)
            draft.replace(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise


class Remembering:
    """Keeps how one fleet's screen stands: once it has stood so for two looks, and when it is left. Written
    by a thread, for the disk may hang; what cannot be written is forgotten, for nothing depends on it."""

    def __init__(self, memory: Memory, fleet: str) -> None:
        self._memory, self._fleet = memory, fleet
        self.found = memory.left(fleet)
        self._kept = self._seen = self.found
        self._writes: threading.Thread | None = None

    def look(self, left: Left) -> None:
        """As it stands now."""
        if left == self._seen != self._kept:
            self._keep(left)
        self._seen = left

    def leave(self, left: Left) -> None:
        """The screen goes; waits a moment for what is being written."""
        if left != self._kept:
            self._finish()
            self._keep(left)
        self._finish()

    def _keep(self, left: Left) -> None:
        if self._writes is not None and self._writes.is_alive():
            return  # the next look tries again
        self._kept = left
        self._writes = threading.Thread(target=self._write, args=(left,), name="hhmrs-remember", daemon=True)
        self._writes.start()

    def _write(self, left: Left) -> None:
        with contextlib.suppress(OSError):
            self._memory.keep_left(self._fleet, left)

    def _finish(self) -> None:
        if self._writes is not None:
            self._writes.join(PATIENCE)


def _left(told: object) -> Left:
    """What is no view, no order or no name there counts as not told."""
    if not isinstance(told, dict):
        return Left()
    view = next((one for one in View if one.value == told.get("view")), View.TREE)
    sort = next((one for one in Sort if one.value == told.get("sort")), Sort.TREE)
    agent = told.get("agent")
    return Left(Listing(view, sort, told.get("backwards") is True), agent if isinstance(agent, str) else None)
