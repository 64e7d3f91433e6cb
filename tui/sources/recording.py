"""A ledger as a recording: where each event lies in time, and the fleet after every so many of them.

Only this index is held in memory; the events themselves are read again where they are wanted."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from pathlib import Path

from ...controller.ledger.errors import LedgerCorrupt, LedgerError
from ...controller.ledger.reader import LedgerReader
from ...controller.ports import Event
from ..document import moment
from ..looks import clean
from .retelling import Told

PAGE = 2_000
"""Events read at once, and between two frames: a seek tells at most so many anew."""
MARKS = frozenset({"agent_incident", "hhmrs_failure", "hhmrs_cascade"})
"""What one wants to jump to."""


YEARS = 5 * 366 * 86_400.0
"""Seconds from the middle of a recording beyond which nothing in it can have been."""


class RecordingError(Exception):
    """The file is no ledger that can be played; the message says what it is, and what to do."""


class Recording:
    """Use `open_recording`. Positions count the events told: 0 is before the first.

    `seek`, `newest` and `of_agent` read the file: call them from one thread, and never from the loop. They
    raise LedgerError."""

    def __init__(self, path: Path, reader: LedgerReader, fleet: str) -> None:
        self.path, self.fleet = path, fleet
        self.note = ""
        """What is wrong with the file, where it can be played all the same."""
        self._reader = reader
        self._times = array("d")
        """When each event was; where the clock was set back, the latest time before it."""
        self._seqs = array("q")
        self._marks = array("d")
        self._frames: list[Told] = [Told()]
        """After 0, PAGE, 2 PAGE, ... events."""
        self._last = (0, Told())

    def __len__(self) -> int:
        return len(self._seqs)

    @property
    def begin(self) -> float:
        """Epoch seconds of the first event."""
        return self._times[0]

    @property
    def end(self) -> float:
        return self._times[-1]

    @property
    def marks(self) -> array[float]:
        """When an incident began, was given up, or was shared; in order."""
        return self._marks

    def position(self, at: float) -> int:
        """How many events there were by then, that moment included."""
        return bisect_right(self._times, at)

    def mark_after(self, at: float) -> float | None:
        index = bisect_right(self._marks, at)
        return self._marks[index] if index < len(self._marks) else None

    def mark_before(self, at: float) -> float | None:
        index = bisect_left(self._marks, at)
        return self._marks[index - 1] if index else None

    def seek(self, position: int) -> Told:
        """The fleet after so many events; not to be changed."""
        done, told = self._last
        if position == done:
            return told
        frame = position // PAGE
        if not frame * PAGE <= done < position:
            done, told = frame * PAGE, self._frames[frame]
        told = told.copy()
        for event in self._between(done, position):
            told.take(event)
        self._last = (position, told)
        return told

    def newest(self, position: int, count: int) -> list[Event]:
        """The last `count` events by then, in order."""
        return self._between(max(0, position - count), position)

    def of_agent(self, agent: str, position: int, count: int) -> list[Event]:
        """The agent's last `count` events by then, in order."""
        return self._reader.events_before(agent, self._seqs[position - 1] + 1, count) if position else []

    def close(self) -> None:
        self._reader.close()

    def read(self, progress: Callable[[int, int], None]) -> None:
        """Read all there is. `progress` is told how many numbers were read, and the last one there is."""
        whole, told, since = self._reader.newest_seq(), Told(), 0
        times, marks = array("d"), array("q")
        while page := self._page(since):
            for event in page:
                at = moment(event.at)
                times.append(math.nan if at is None else at)
                self._seqs.append(event.seq)
                if event.type in MARKS and not event.data.get("over"):
                    marks.append(len(times) - 1)
                told.take(event)
                if len(self._seqs) % PAGE == 0:
                    self._frames.append(told.copy())
            since = page[-1].seq
            progress(since, whole)
        self._times, doubted = believed(times)
        self._marks = array("d", (self._times[index] for index in marks))
        if doubted:
            told_when = f"{doubted} events bear no time that can be; each is shown with the one before"
            self.note = "; ".join(part for part in (self.note, told_when) if part)
        self._last = (len(self._seqs), told)

    def _page(self, since: int) -> list[Event]:
        """The next events; none behind a place where the file is damaged."""
        try:
            return self._reader.events(since=since, limit=PAGE)
        except (LedgerError, ValueError) as error:
            if not self._seqs:
                raise
            self.note = clean(f"damaged behind event {since}, which is the last one shown: {error}", 300)
            return []

    def _between(self, first: int, last: int) -> list[Event]:
        """The events of positions first+1 to last."""
        if first >= last:
            return []
        return self._reader.events(since=self._seqs[first] - 1, limit=last - first)


def believed(times: array[float]) -> tuple[array[float], int]:
    """When each event was, never before the one in front of it, and how many told no time that can be: one
    absurd time would else stretch the recording over millennia. `times`: epoch seconds, NaN for none."""
    known = sorted(at for at in times if math.isfinite(at))
    middle = known[len(known) // 2] if known else 0.0
    latest = next((at for at in times if abs(at - middle) <= YEARS), middle)
    doubted, told = 0, array("d")
    for at in times:
        if abs(at - middle) <= YEARS:
            latest = max(latest, at)
        else:
            doubted += 1
        told.append(latest)
    return told, doubted


def open_recording(path: Path, progress: Callable[[int, int], None] = lambda _, __: None) -> Recording:
    """Read the ledger at `path`, which is never written to. Raises RecordingError."""
    if path.is_dir():
        path = path / "ledger.db"
    if not path.exists():
        raise RecordingError(f"{path} is not there; give the path of a ledger.db, or of the folder it is in")
    if not path.is_file():
        raise RecordingError(f"{path} is no regular file; give the path of a ledger.db")
    reader = LedgerReader(path, still=True)
    try:
        meta = reader.meta()
        if "schema" not in meta:
            raise RecordingError(f"{path} is no ledger of hhmrs")
        recording = Recording(path, reader, clean(meta.get("fleet") or path.parent.name, 40))
        recording.read(progress)
    except RecordingError:
        reader.close()
        raise
    except (LedgerError, ValueError, OSError) as error:
        reader.close()
        raise RecordingError(_words(path, error)) from error
    if not len(recording):
        reader.close()
        raise RecordingError(f"{path} holds no events: no daemon has written anything there yet")
    return recording


def _words(path: Path, error: Exception) -> str:
    """For a person who only wants to see it; what the ledger itself advises is for who runs a fleet on it."""
    if isinstance(error, LedgerCorrupt):
        return f"{path} is no ledger of hhmrs, or is damaged from its beginning on; try another copy of it"
    return f"{path} cannot be played: {error}"
