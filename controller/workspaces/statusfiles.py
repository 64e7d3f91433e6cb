"""Files by which agents of older systems tell of themselves, by the patterns of their profile.

A status file that says something else than before is a beat: life, never progress. A devlog that grows is the
agent's doing, as a transcript is. A letter in its inbox somebody else wrote: only taking it is its doing. A
touch, or what a supervisor wrote (`ours`), is nothing at all. With two agents in one folder, a file counts
for the one it names, else for neither. All is hostile: bounded, plain files only, no link is followed."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from ...healing.evidence import BeatReceived, TranscriptGrew
from ...healing.masking import mask_secrets
from ..means import Means
from ..ports import Clock, Emit, Running, Source
from .status_patterns import files, fits, is_ours
from .status_words import MOST_BYTES, Said, read_status
from .tails import Tail

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds from one look at an agent's files to the next, with few agents."""
SHARE = 0.01
"""Of a core, at most: with many files each is looked at less often."""
MOST_OURS = 1_000
OLDEST = 60.0

_Stamp = tuple[int, int, int, int]


@dataclass(slots=True, eq=False)
class _Followed:
    """One attempt, and what its files looked like the last time."""

    running: Running
    place: str
    first: bool = True
    stamps: dict[Path, _Stamp] = field(default_factory=dict)
    contents: dict[Path, bytes] = field(default_factory=dict)
    tails: dict[Path, Tail] = field(default_factory=dict)
    letters: set[Path] = field(default_factory=set)
    note: str = ""


class StatusFiles(Source):
    """Emits BeatReceived and TranscriptGrew. One thread, begun with the first agent that has such files."""

    def __init__(self, emit: Emit, clock: Clock, *, every: float = EVERY) -> None:
        self._emit = emit
        self._clock = clock
        self._every = every
        self._followed: dict[str, _Followed] = {}
        self._ours: dict[bytes, None] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, running: Running) -> None:
        agent = running.spec.id
        if not running.seat.profile.status_files:
            self.forget(agent)
            return
        place = os.path.realpath(running.spec.workspace)
        self._followed = {**self._followed, agent: _Followed(running, place)}
        if self._thread is None and not self._over.is_set():
            self._thread = threading.Thread(target=self._run, name="hhmrs-statusfiles", daemon=True)
            self._thread.start()

    def rest(self, agent: str) -> None:
        self.forget(agent)

    def forget(self, agent: str) -> None:
        self._followed = {name: each for name, each in self._followed.items() if name != agent}

    def close(self) -> None:
        self._followed = {}
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def means(self) -> tuple[Means, ...]:
        followed = list(self._followed.values())
        if not followed:
            return ()
        notes = [each.note for each in followed if each.note][:10]
        how = f"a look at the files of {len(followed)} agents in turn"
        return (Means("status files", how, not notes, "; ".join(notes)),)

    def wrote(self, path: Path, content: bytes) -> None:
        self._ours[_mark(os.path.realpath(path.parent), path.name, content)] = None
        while len(self._ours) > MOST_OURS:
            self._ours.pop(next(iter(self._ours)), None)

    # -- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._over.wait(self._every):
            for agent, each in self._followed.items():
                began = time.thread_time()
                try:
                    self._look(agent, each)
                except Exception:
                    log.exception("agent %s: cannot look at its status files", agent)
                used = time.thread_time() - began
                if self._over.wait(used / SHARE):
                    return

    def _look(self, agent: str, each: _Followed) -> None:
        notes: list[str] = []
        letters: set[Path] = set()
        for rule in each.running.seat.profile.status_files:
            for path, status in files(Path(each.place), rule, agent):
                if is_ours(path.name):
                    continue  # neither its coming nor its going is anybody's doing
                if rule.kind == "inbox":
                    letters.add(path)
                    continue
                stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
                if each.stamps.get(path) == stamp:
                    continue
                each.stamps[path] = stamp
                if rule.kind == "status":
                    self._read_status(agent, each, path, notes)
                else:
                    self._read_devlog(agent, each, path, notes)
        self._count_letters(agent, each, letters, notes)
        each.first, each.note = False, notes[0] if notes else each.note

    def _read_status(self, agent: str, each: _Followed, path: Path, notes: list[str]) -> None:
        raw = _read(path)
        if raw is None:
            return
        digest = _mark(str(path.parent), path.name, raw)
        before, each.contents[path] = each.contents.get(path), digest
        if each.first or digest == before or digest in self._ours:
            return
        said = read_status(raw)
        if said is not None and self._is_its(agent, each, path, said, notes) and self._still(each):
            at = self._time(each.stamps[path][3])
            message = mask_secrets(said.message)
            self._emit(BeatReceived(agent, at, said.state, said.progress, message, by_file=True))

    def _read_devlog(self, agent: str, each: _Followed, path: Path, notes: list[str]) -> None:
        tail = each.tails.get(path)
        if tail is None:
            tail = each.tails[path] = Tail(path, None)
            if each.first:
                tail.skip()
        changed = tail.grown()
        if changed is not None and self._is_its(agent, each, path, None, notes):
            self._tell(each, changed)

    def _count_letters(self, agent: str, each: _Followed, letters: set[Path], notes: list[str]) -> None:
        # One that was cut off the listing's end was not taken.
        taken = [path for path in each.letters if path not in letters and not os.path.lexists(path)]
        each.letters = letters
        if taken and self._is_its(agent, each, taken[0], None, notes):
            self._tell(each, time.time())

    def _is_its(self, agent: str, each: _Followed, path: Path, said: Said | None, notes: list[str]) -> bool:
        """No other agent could have written it; or it names this one."""
        others = [
            name
            for name, other in self._followed.items()
            if other is not each
            and (path == Path(other.place) or Path(other.place) in path.parents)
            and any(
                fits(Path(other.place), rule, name, path) for rule in other.running.seat.profile.status_files
            )
        ]
        if not others:
            return True
        if said is not None and said.names & {agent.casefold(), each.running.spec.title.casefold()}:
            return True
        notes.append(f"{agent} and {others[0]} share {path}: it counts for whom it names only")
        return False

    def _still(self, each: _Followed) -> bool:
        return self._followed.get(each.running.spec.id) is each

    def _tell(self, each: _Followed, changed: float) -> None:
        if self._still(each):
            self._emit(TranscriptGrew(each.running.spec.id, self._time(int(changed * 1e9))))

    def _time(self, changed_ns: int) -> float:
        """Engine time of a file's time."""
        return self._clock.now() - min(max(0.0, time.time() - changed_ns / 1e9), OLDEST)


def _mark(folder: str, name: str, content: bytes) -> bytes:
    return blake2b(f"{folder}/{name}\0".encode("utf-8", "surrogateescape") + content, digest_size=16).digest()


def _read(path: Path) -> bytes | None:
    """The whole of a small plain file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            return None
        raw = os.read(fd, MOST_BYTES + 1)
    except OSError:
        return None
    finally:
        os.close(fd)
    return raw if len(raw) <= MOST_BYTES else None
