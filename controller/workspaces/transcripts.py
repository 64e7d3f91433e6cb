"""Growth of the transcripts that agent CLIs write of themselves: by inotify on each file, else by looking.

Only lines that the CLI wrote of its own doing count (the profile says which): a prompt that we typed is
written there too, and must prove nothing. And only files that are this agent's beyond doubt: by the session
id in the name, by its processes holding it open, or, new since it began, as the only one of its folder."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ...config.fleet import ErrorRule
from ...config.profiles import LaunchError, launch_env
from ...healing.attribute import words_of
from ...healing.evidence import ErrorShown, SessionLearned, TranscriptGrew, UsageTold
from ...healing.usage import Tokens
from ..clock import local_now
from ..inotify import (
    IN_ATTRIB,
    IN_DELETE_SELF,
    IN_DONT_FOLLOW,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_ONESHOT,
    IN_Q_OVERFLOW,
    Inotify,
)
from ..means import Means
from ..ports import Clock, Emit, Running, Source
from ..terminals.reset_times import read_end
from .metering import Metering
from .tails import Tail
from .transcript_places import LATE, Place, TooMany, holds
from .turns import Turns

log = logging.getLogger(__name__)

_CHANGED = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF | IN_DONT_FOLLOW | IN_ONESHOT
HOLD = 0.5
"""Seconds until the next look at a file that grew; more of them when many grow at once."""
SEARCH = 1.0
SEARCHES = 20
"""Agents looked for in a second, while their transcript has not been found."""
AGAIN = 15.0
"""Seconds until an agent whose transcript was found is looked for again: it may have begun another."""
TOLD = 50
"""Growth told in a second, all agents together, or little more."""
POLLS = 100
"""Files looked at in a second where there is no inotify."""
NOTE = 0.2
NAMED = 200
"""Characters of a transcript's name that tell it from the agent's others."""
OLDEST = 60.0


@dataclass(slots=True, eq=False)
class _File:
    """One file that is followed. `agents`: whose it may be; with more than one it counts for neither."""

    tail: Tail
    errors: tuple[ErrorRule, ...] = ()
    agents: set[str] = field(default_factory=set)
    watch: int | None = None
    held: bool = False
    foreign: bool = False
    """What it held when it was first seen may be of a time before this fleet."""


@dataclass(slots=True, eq=False)
class _Trail:
    """One attempt that is followed."""

    running: Running
    places: list[Place]
    session: str | None
    first: bool = True
    learned: bool = False
    files: dict[Path, _File] = field(default_factory=dict)
    note: str = ""


class Transcripts(Source):
    """Emits TranscriptGrew, UsageTold, ErrorShown, and SessionLearned where the CLI mints its own ids. One
    thread, begun when the first agent that has transcripts is followed; an idle file costs nothing."""

    def __init__(
        self,
        emit: Emit,
        clock: Clock,
        *,
        environ: Mapping[str, str] = os.environ,
        polling: bool = False,
        hold: float = HOLD,
        search: float = SEARCH,
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._environ = environ
        self._polling = polling
        self._hold = hold
        self._every = search
        self._current: dict[str, Running] = {}
        self._turns = Turns("hhmrs-transcripts")
        self._metering = Metering(self._turns, self._spent)
        self._closed = False
        self._inotify: Inotify | None = None
        # From here on only the thread's own.
        self._trails: dict[str, _Trail] = {}
        self._files: dict[Path, _File] = {}
        self._watches: dict[int, _File] = {}
        self._missing: set[str] = set()
        self._held = 0
        self._noting = False
        self._notes: tuple[str, ...] = ()
        self._found = "not looked for yet"

    def follow(self, running: Running) -> None:
        agent = running.spec.id
        if not running.seat.profile.transcripts:
            self.forget(agent)
            return
        self._current[agent] = running
        if not self._turns.started and not self._closed:
            self._start()
        self._turns.soon(partial(self._begin, running))

    def rest(self, agent: str) -> None:
        self.forget(agent)

    def forget(self, agent: str) -> None:
        if self._current.pop(agent, None) is not None:
            self._turns.soon(partial(self._end, agent))

    def close(self) -> None:
        self._current.clear()
        self._closed = True
        self._turns.close()
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def means(self) -> tuple[Means, ...]:
        if not self._current:
            return ()
        found, notes = self._found, self._notes
        if self._inotify is None:
            why = "no inotify here; transcripts are looked at one after the other"
            return (
                Means(
                    "transcripts", f"a look at each file in turn; {found}", False, "; ".join((why, *notes))
                ),
            )
        return (Means("transcripts", f"inotify on each file; {found}", not notes, "; ".join(notes)),)

    def _start(self) -> None:
        if not self._polling:
            with contextlib.suppress(OSError, AttributeError):
                self._inotify = Inotify()
        self._turns.start(self._inotify.fd if self._inotify else None, self._noticed)

    # -- attempts -------------------------------------------------------------------------------

    def _begin(self, running: Running) -> None:
        agent = running.spec.id
        self._end(agent)
        if self._current.get(agent) is not running:
            return
        places: list[Place] = []
        try:
            env = launch_env(running.seat, self._environ)
        except LaunchError:
            env = dict(self._environ)
        for rule in running.seat.profile.transcripts:
            with contextlib.suppress(LookupError):
                places.append(Place(rule, running.spec.workspace, env))
        trail = self._trails[agent] = _Trail(running, places, running.session)
        self._search(trail)

    def _end(self, agent: str) -> None:
        trail = self._trails.pop(agent, None)
        self._missing.discard(agent)
        for path, file in trail.files.items() if trail else ():
            file.agents.discard(agent)
            if not file.agents:
                self._files.pop(path, None)
                self._metering.forget(path)
                self._unwatch(file)
        self._note()

    def _search(self, trail: _Trail) -> None:
        """Look for what belongs to this attempt, and again later."""
        agent = trail.running.spec.id
        if self._trails.get(agent) is not trail:
            return
        before, trail.note = (trail.first, len(trail.files), trail.note), ""
        for path in [path for path, file in trail.files.items() if not file.tail.there]:
            trail.files[path].agents.discard(agent)
            self._unwatch(trail.files.pop(path))
            self._files.pop(path, None)
            self._metering.forget(path)
        # One that runs under an id of ours has one file for ever.
        if not trail.files or not trail.running.seat.profile.session_args:
            for place in trail.places:
                try:
                    self._look_for(trail, place)
                except TooMany as fault:
                    trail.note = f"{agent}: {fault}"
        trail.first = False
        if trail.files:
            self._missing.discard(agent)
            pause = max(AGAIN, len(self._trails) / SEARCHES)
        else:
            self._missing.add(agent)
            pause = max(self._every, len(self._missing) / SEARCHES)
        if (trail.first, len(trail.files), trail.note) != before:
            self._note()
        self._turns.later(pause, partial(self._search, trail))

    def _look_for(self, trail: _Trail, place: Place) -> None:
        began, agent = trail.running.who.created, trail.running.spec.id
        since = 0.0 if trail.first else began
        if not place.by_session:
            for path, _ in place.files(None):
                self._take(trail, path, place, old=trail.first)
            return
        if trail.session:
            for path, _ in place.files(trail.session, since=since):
                if path in trail.files:
                    continue
                said = place.first(path) if place.rule.session else None
                if said is None or said.session in ("", trail.session):
                    self._take(trail, path, place, old=trail.first)
        if trail.running.seat.profile.session_args:
            return  # it runs under an id of ours
        found = [new for new in place.files(None, since=began) if self._is_new(trail, place, new[0])]
        if len(found) > 1 and not place.rule.kept_open:
            trail.note = f"{agent}: {len(found)} new transcripts could be its own; none counts"
            return
        for path, session in found:
            if not place.rule.kept_open and (rival := self._rival(trail, place)):
                trail.note = f"{agent} and {rival} share a folder, and {path.name} could be either's"
                return
            self._take(trail, path, place, old=trail.first and trail.running.adopted)
            if len(found) == 1 and not trail.learned:
                self._learn(trail, session)

    def _is_new(self, trail: _Trail, place: Place, path: Path) -> bool:
        """It was begun during this attempt, by this agent as far as the file and the system can tell."""
        if path in trail.files:
            return False
        said = place.first(path)
        if said is None or said.began is None or said.began < trail.running.who.created - LATE:
            return False
        if place.rule.kept_open and os.path.isdir("/proc/self/fd"):
            return holds(trail.running.who.pid, path)
        return os.path.realpath(said.folder) == place.workspace if said.folder else False

    def _rival(self, trail: _Trail, place: Place) -> str:
        """Another agent that keeps its transcripts in the same place, and works in the same folder."""
        for agent, other in self._trails.items():
            for theirs in other.places:
                same = (theirs.root, theirs.rule.file, theirs.workspace)
                if other is not trail and same == (place.root, place.rule.file, place.workspace):
                    return agent
        return ""

    def _learn(self, trail: _Trail, session: str) -> None:
        trail.learned = True
        agent = trail.running.spec.id
        if session and session != trail.session and self._current.get(agent) is trail.running:
            trail.session = session
            self._emit(SessionLearned(agent, self._clock.now(), session))

    # -- files ----------------------------------------------------------------------------------

    def _take(self, trail: _Trail, path: Path, place: Place, *, old: bool) -> None:
        """Follow the file for this attempt. `old`: what it holds now is not news."""
        agent = trail.running.spec.id
        if path in trail.files:
            return
        file = self._files.get(path)
        fresh = file is None
        if file is None:
            errors = [re.compile(rule.pattern) for rule in place.rule.errors]
            file = self._files[path] = _File(
                Tail(path, re.compile(place.rule.counts), errors), place.rule.errors
            )
        if old:
            file.tail.skip()
            file.foreign = not place.by_session
        file.agents.add(agent)
        trail.files[path] = file
        if fresh:
            self._arm(file)
            self._metering.grew(path)

    def _arm(self, file: _File) -> None:
        """Watch it, and look whether it grew before that."""
        self._hold_off(file, False)
        if not file.agents:
            return
        if self._inotify is not None and file.watch is None:
            with contextlib.suppress(OSError):
                file.watch = self._inotify.add(file.tail.path, _CHANGED)
                self._watches[file.watch] = file
        if not self._look(file) and file.watch is None:
            self._hold_off(file, True)
            self._turns.later(max(2 * self._hold, len(self._files) / POLLS), partial(self._arm, file))

    def _look(self, file: _File) -> bool:
        """Tell whether it grew; a file that did is left alone for a moment."""
        changed = file.tail.grown()
        owner = self._owner(file)
        if changed is not None:
            self._metering.grew(file.tail.path)
            self._hold_off(file, True)
            self._turns.later(max(self._hold, self._held / TOLD), partial(self._arm, file))
            if owner:
                age = min(max(0.0, time.time() - changed), OLDEST)
                self._emit(TranscriptGrew(owner, self._clock.now() - age))
        if owner and file.tail.complaint is not None:
            self._complain(owner, file.errors[file.tail.complaint[0]], file.tail.complaint[1])
        return changed is not None

    def _owner(self, file: _File) -> str:
        """Whose file it is beyond doubt, if that agent is followed."""
        agent = next(iter(file.agents)) if len(file.agents) == 1 else ""
        return agent if agent in self._current and agent in self._trails else ""

    def _spent(self, path: Path, tokens: Tokens, context_left: float | None) -> None:
        file = self._files.get(path)
        if file is not None and (owner := self._owner(file)):
            name, now = path.name[-NAMED:], self._clock.now()
            self._emit(UsageTold(owner, now, name, tokens, context_left, file.foreign))

    def _complain(self, agent: str, rule: ErrorRule, found: re.Match[str]) -> None:
        now = self._clock.now()
        ends = re.compile(rule.resets) if rule.resets else None
        seconds = read_end(ends, found.string, local_now()) if ends else None
        until = now + seconds if seconds is not None else None
        self._emit(ErrorShown(agent, now, rule.cause, words_of(found), until, "transcript"))

    def _noticed(self) -> None:
        assert self._inotify is not None
        changed: list[_File] = []
        for notice in self._inotify.read():
            if notice.mask & IN_Q_OVERFLOW:
                changed = [file for file in self._files.values() if file.watch is not None]
                self._watches.clear()
                for each in changed:
                    each.watch = None
                    self._metering.grew(each.tail.path)
                break
            file = self._watches.pop(notice.watch, None)
            if file is not None and file.watch == notice.watch:
                file.watch = None
                self._metering.grew(file.tail.path)
                changed.append(file)
        for file in changed:
            if not file.held and not self._look(file):
                # It changed, though not by a line that counts: not at once again.
                self._hold_off(file, True)
                self._turns.later(self._hold, partial(self._arm, file))

    def _hold_off(self, file: _File, held: bool) -> None:
        self._held += held - file.held
        file.held = held

    def _unwatch(self, file: _File) -> None:
        if file.watch is not None and self._inotify is not None:
            self._watches.pop(file.watch, None)
            self._inotify.drop(file.watch)
        file.watch = None

    def _note(self) -> None:
        """What people are told is put together anew, soon and once."""
        if not self._noting:
            self._noting = True
            self._turns.later(NOTE, self._put_together)

    def _put_together(self) -> None:
        self._noting = False
        looked = [trail for trail in self._trails.values() if not trail.first]
        with_file = sum(1 for trail in looked if trail.files)
        self._found = f"found for {with_file} of {len(looked)} agents"
        notes = [trail.note for trail in self._trails.values() if trail.note]
        for path, file in self._files.items():
            if len(file.agents) > 1:
                names = ", ".join(sorted(file.agents)[:5])
                notes.append(f"{names} share {path}: it counts for none; give each a folder of its own")
        self._notes = tuple(notes[:10])
