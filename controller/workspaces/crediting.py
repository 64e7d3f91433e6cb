"""Whose a changed file is: sorts what was heard, asks git, tells each agent's newest change now and then."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .folders import SLACK
from .ignoring import RULES, GitIgnores, trivial
from .intake import Dated, Heard, Intake, dated

log = logging.getLogger(__name__)

EmitFile = Callable[[str, str, float], None]
"""Called with an agent, a path relative to its workspace, and when it changed (seconds since 1970)."""

MOST_PENDING = 2_000
AT_ONCE = 500
"""Paths that git is asked about in one call."""
BUSY_FOR = 10.0
PER_SECOND = 200
"""Changes told in a second, all agents together: with more of them busy, each is told of less often."""
LONGEST = 5.0
SHARED_EVERY = 1.0
"""Between two words about a shared workspace: to tell whose a change is, processes are looked at."""


class Writers(Protocol):
    def who(self, agents: Collection[str], written: Sequence[str]) -> Mapping[str, str]:
        """For each agent that wrote to one of these files, newest last, for certain: the newest such file."""
        ...

    def by_others(self, agents: Collection[str], path: str, every: float) -> bool:
        """Whether one of these agents wrote to that file of late, for certain."""
        ...


class Watching(Protocol):
    """What watches the folders."""

    def add(self, root: str, ignored: set[str], asked: int) -> None:
        """Watch that root, telling what changes after `asked` (ns since 1970)."""

    def drop(self, root: str) -> None: ...

    def pass_over(self, root: str, folders: Iterable[str], since: int | None = None) -> None:
        """Do not watch these folders of that root either. With `since` (ns since 1970): but again all others
        that it has, and tell of what changed in them after it."""


@dataclass(slots=True, eq=False)
class Shared:
    """One workspace. `agents`: whose it is. `pending`: what was heard of it, last heard last. `kept`: of what
    was judged the newest that count, newest last. `news`: since when other rules of ignoring hold in it, ns
    since 1970; None when they are applied."""

    path: str
    agents: set[str] = field(default_factory=set)
    asked: int = 0
    pending: dict[str, Heard] = field(default_factory=dict)
    kept: dict[str, Dated] = field(default_factory=dict)
    news: int | None = None
    told: float = float("-inf")


class Crediting:
    """One thread that turns what is heard of all workspaces into words about agents.

    After a change it waits `settle` seconds, so that a burst is told once; the next word of the same
    workspace comes the later the more workspaces are busy. Thread-safe."""

    def __init__(
        self,
        emit: EmitFile,
        watching: Watching,
        writers: Writers | None,
        settle: float,
        counts: Callable[[str, str], bool],
    ) -> None:
        self._emit = emit
        self._counts = counts
        self._watching = watching
        self._writers = writers
        self._settle = settle
        self._lock = threading.RLock()
        self._shared: dict[str, Shared] = {}
        self._ours: set[str] = set()
        self._ignores = GitIgnores()
        self._intake = Intake()
        self._arrivals: deque[Shared] = deque()
        self._over = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hhmrs-workspaces", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._news.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # -- from any thread ----------------------------------------------------------------------------------

    def join(self, agent: str, place: str) -> None:
        """`place` is this agent's workspace from now on; it may be others' too."""
        with self._lock:
            shared = self._shared.get(place)
            if shared is not None and agent in shared.agents:
                return
            self.leave(agent)
            if shared is None or not shared.agents:
                shared = self._shared[place] = Shared(place, asked=time.time_ns())
                self._arrivals.append(shared)
                self._news.set()
            shared.agents.add(agent)

    def leave(self, agent: str) -> None:
        """It has no workspace any more."""
        with self._lock:
            left = [shared for shared in self._shared.values() if agent in shared.agents]
            for shared in left:
                shared.agents.discard(agent)
                if not shared.agents:
                    del self._shared[shared.path]
                    self._watching.drop(shared.path)

    def agents_of(self, place: str) -> list[str]:
        with self._lock:
            shared = self._shared.get(place)
            return sorted(shared.agents) if shared else []

    def ours(self, paths: Iterable[str]) -> None:
        with self._lock:
            self._ours = {*self._ours, *paths}

    def is_ours(self, path: str) -> bool:
        """Whether that very path is one of ours."""
        return path in self._ours

    def heard(self, root: str, path: str, *, written: bool) -> None:
        """Something changed. `written`: bytes of a file, by a write."""
        self._intake.hear(root, path, written=written)
        self._news.set()

    @property
    def at_rest(self) -> bool:
        return not self._arrivals

    # -- on our own thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        wait: float | None = None
        while not self._over.is_set():
            if self._news.wait(wait):
                self._news.clear()
                self._welcome()
                if self._intake and self._over.wait(self._settle):
                    return
            try:
                wait = self._turn()
            except Exception:
                log.exception("changed files could not be credited")
                wait = LONGEST

    def _welcome(self) -> None:
        """Have new workspaces watched, without what their rules ignore."""
        while self._arrivals:
            ready: list[tuple[Shared, set[str]]] = []
            # First all of them: two threads that read folders take the interpreter from each other.
            for shared in list(self._arrivals):
                if self._over.is_set():
                    return
                ready.append((shared, self._ignores.folders(shared.path)))
            for shared, ignored in ready:
                with self._lock:
                    if self._shared.get(shared.path) is shared:
                        self._watching.add(shared.path, ignored, shared.asked)
                self._arrivals.popleft()

    def _turn(self) -> float | None:
        """Sort, judge, tell; seconds until there is more to tell, None if nothing waits."""
        for root, news in self._intake.empty().items():
            for path, heard in news.items():
                self._sort(root, path, heard)
        now = time.monotonic()
        with self._lock:
            everyone = list(self._shared.values())
        waiting = [shared for shared in everyone if shared.pending or shared.kept or shared.news is not None]
        busy = len(waiting) + sum(now - shared.told < BUSY_FOR for shared in everyone)
        hold = min(LONGEST, max(self._settle, busy / PER_SECOND))
        later: list[float] = []
        for shared in waiting:
            due = shared.told + (hold if len(shared.agents) < 2 else max(hold, SHARED_EVERY))
            if due > now:
                later.append(due - now)
                continue
            self._apply_rules(shared)
            self._judge(shared)
            self._tell(shared, now)
        return min(later, default=None)

    def _sort(self, root: str, path: str, heard: Heard) -> None:
        shared = self._shared.get(root)
        if shared is None or len(path) <= len(root):
            return
        name = os.path.basename(path)
        if name in RULES:
            self._ignores.forget(path)
            changed = int(dated(path, heard).when * 1e9) - SLACK
            shared.news = changed if shared.news is None else min(changed, shared.news)
        if trivial(path[len(root) + 1 :].split("/")) or self._below_ours(root, path):
            return
        if self._innermost(path) is not shared:
            return
        before = shared.pending.pop(path, None)
        shared.pending[path] = Heard(heard.written or (before is not None and before.written), heard.at)
        if len(shared.pending) >= MOST_PENDING:
            self._judge(shared)

    def _below_ours(self, root: str, path: str) -> bool:
        while self._ours and len(path) > len(root):
            if path in self._ours:
                return True
            path = os.path.dirname(path)
        return False

    def _innermost(self, path: str) -> Shared | None:
        while True:
            found = self._shared.get(path)
            above = os.path.dirname(path)
            if found is not None or above == path:
                return found
            path = above

    def _apply_rules(self, shared: Shared) -> None:
        """The rules changed: what they ignore by now is no longer watched, what they no longer ignore is."""
        if (since := shared.news) is not None:
            shared.news = None
            self._watching.pass_over(shared.path, self._ignores.folders(shared.path), since)

    def _judge(self, shared: Shared) -> None:
        """Of what is pending keep the newest that count, asking git about no more than it takes."""
        # A look tells of what it finds late, and in no order of time.
        times = {path: dated(path, heard) for path, heard in shared.pending.items()}
        paths = sorted(times, key=lambda path: times[path].rank)
        wanted = 1 if len(shared.agents) <= 1 else AT_ONCE
        kept: list[str] = []
        while paths and len(kept) < wanted:
            asked, paths = paths[-AT_ONCE:], paths[:-AT_ONCE]
            # A workspace is its agent's, whatever the repository around it says of it.
            folders = set(map(os.path.dirname, asked)) - {shared.path}
            ignored = self._ignores.ignored([*asked, *folders], shared.path)
            kept = [path for path in asked if self._is_work(shared, path, ignored)] + kept
            folders = {path for path in ignored if os.path.isdir(path) and not os.path.islink(path)}
            if folders:
                self._watching.pass_over(shared.path, folders)
        newer = {path: times[path] for path in kept}
        both = [one for one in shared.kept.items() if one[0] not in newer] + list(newer.items())
        shared.kept = dict(sorted(both, key=lambda one: one[1].rank)[-AT_ONCE:])
        shared.pending.clear()

    def _is_work(self, shared: Shared, path: str, ignored: set[str]) -> bool:
        if ignored.intersection((path, os.path.dirname(path))):
            return False
        below = path[len(shared.path) + 1 :]
        return any(self._counts(agent, below) for agent in shared.agents.copy())

    def _tell(self, shared: Shared, now: float) -> None:
        kept, shared.kept = shared.kept, {}
        with self._lock:
            agents = sorted(shared.agents)
        if not kept or not agents or self._over.is_set():
            return
        shared.told = now
        outer = self._outer(shared)
        if len(agents) == 1:
            # An agent's own folder is its own, but for what one that works further out provably put there.
            own = (path for path in reversed(kept) if not (kept[path].written and self._theirs(path, outer)))
            if (newest := next(own, None)) is not None:
                self._say(shared.path, agents[0], newest, kept[newest])
        elif self._writers is not None:
            written = [path for path in kept if kept[path].written and not self._theirs(path, outer)]
            for agent, path in self._writers.who(agents, written).items():
                self._say(shared.path, agent, path, kept[path])

    def _outer(self, shared: Shared) -> list[str]:
        """The agents of all workspaces around this one."""
        found: set[str] = set()
        path = shared.path
        with self._lock:
            while (above := os.path.dirname(path)) != path:
                path = above
                found |= self._shared[path].agents if path in self._shared else set()
        return sorted(found)

    def _theirs(self, path: str, outer: Sequence[str]) -> bool:
        return self._writers is not None and self._writers.by_others(outer, path, SHARED_EVERY)

    def _say(self, root: str, agent: str, path: str, change: Dated) -> None:
        try:
            self._emit(agent, path[len(root) + 1 :], change.when)
        except Exception:
            log.exception("agent %s: a change of %r could not be passed on", agent, path)
