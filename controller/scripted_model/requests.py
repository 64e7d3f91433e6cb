"""What the scripted model was asked: kept for tests, bounded, without headers."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass

from .conversation import Json

KEPT = 2000
KEPT_CHARACTERS = 64_000
"""Of each user message."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `at` in Unix seconds; `answer` says in short what it got: text, tool, HANG, E401."""

    path: str
    at: float
    users: tuple[str, ...]
    answer: str = ""
    status: int = 200


class Requests:
    """The newest requests, oldest first. For any thread."""

    def __init__(self) -> None:
        self._asked: deque[Asked] = deque(maxlen=KEPT)
        self._changed = threading.Condition()

    def add(self, path: str, users: tuple[str, ...], answer: str, status: int = 200) -> None:
        cut = tuple(text[:KEPT_CHARACTERS] for text in users)
        with self._changed:
            self._asked.append(Asked(path, time.time(), cut, answer, status))
            self._changed.notify_all()

    def all(self) -> list[Asked]:
        with self._changed:
            return list(self._asked)

    def wait_for(self, wanted: Callable[[Asked], bool], timeout: float) -> Asked | None:
        """The first request that is wanted, waited for at most `timeout` seconds; None without one."""
        with self._changed:

            def found() -> Asked | None:
                return next((asked for asked in self._asked if wanted(asked)), None)

            self._changed.wait_for(lambda: found() is not None, timeout)
            return found()

    def as_json(self) -> list[Json]:
        return [asdict(asked) for asked in self.all()]
