"""Fetches what the views of one agent need beside the snapshots, in a thread, while one is in sight."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from textual.message import Message

from .aside import tell
from .feed import Beat, Post
from .looks import clean
from .work import Work, WorkError

EVERY = 1.0
PACES: Mapping[str, float] = {"files": 2.0, "saved": 2.0, "diff": 5.0, "tasks": 2.0, "spent": 5.0}
"""Seconds between two looks at each, and never more than a twentieth of the time goes into one of them."""
SHARE = 20.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """`what`: a name of PACES; `seq`: which checkpoint a diff is against, None for the newest."""

    what: str
    agent: str
    seq: int | None = None


class WorkSeen(Message):
    """One look; `value` is what `Work` gave, None with a `fault` in words."""

    def __init__(self, wanted: Wanted, value: object, fault: str = "") -> None:
        self.wanted = wanted
        self.value = value
        self.fault = fault
        super().__init__()


class WorkFeed:
    """`beat` does the looking; whoever owns it starts and stops it."""

    def __init__(self, work: Callable[[], Work], post: Post) -> None:
        """`work` is asked for in the thread: to load what is behind it takes a moment."""
        self._work = work
        self._post = post
        self._wanted: tuple[Wanted, ...] = ()
        self._due: dict[Wanted, float] = {}
        self.beat = Beat(self.look, "hhmrs-work", EVERY)
        self.beat.hold(True)

    def want(self, *wanted: Wanted) -> None:
        """What is in sight now; nothing to fetch nothing."""
        if wanted != self._wanted:
            self._wanted = wanted
            self.beat.hold(not wanted)
            self.beat.wake()

    def look(self) -> None:
        """One round: everything that is wanted and due."""
        wanted = self._wanted
        if not wanted:  # who came back from a pane had all beats go on
            self.beat.hold(True)
            if self._wanted:  # which may have come just now
                self.beat.hold(False)
        self._due = {one: at for one, at in self._due.items() if one in wanted}
        for one in wanted:
            began = time.monotonic()
            if began < self._due.get(one, 0.0) or one not in self._wanted:
                continue
            tell(self._post, self._seen(one))
            now = time.monotonic()
            self._due[one] = now + max(PACES[one.what], SHARE * (now - began))

    def _seen(self, one: Wanted) -> WorkSeen:
        try:
            return WorkSeen(one, self._fetch(one))
        except WorkError as why:
            return WorkSeen(one, None, clean(why, 400))
        except Exception as error:  # noqa: BLE001  # whatever a look meets must be shown, and must not end the looking
            return WorkSeen(one, None, clean(f"its {one.what} cannot be read: {error}", 400))

    def _fetch(self, one: Wanted) -> object:
        work = self._work()
        if one.what == "diff":
            return work.diff(one.agent, one.seq)
        return {"files": work.files, "saved": work.saved, "tasks": work.tasks, "spent": work.spent}[one.what](
            one.agent
        )
