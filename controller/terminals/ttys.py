"""Which terminals are written to: one-shot inotify on each pane's tty, told in a tenth of a millisecond.

A terminal that spoke is left alone for `pace` seconds and then listened to again, so that a flood costs as
much as a line now and then. With many that speak the pace grows: at most so many are listened to anew each
second. One that speaks out of silence is listened to again in a moment, whatever the others do: what comes
right behind the first word is no flood.

Not heard are writes through `/dev/tty` and the kernel's echo of typed keys.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from ..inotify import IN_DELETE_SELF, IN_MODIFY, IN_ONESHOT, IN_Q_OVERFLOW, Inotify

QUICKEST = 0.2
"""Seconds after which a terminal that spoke is listened to again, as long as few speak."""
REARMS = 160.0
"""Terminals listened to anew per second at most: about 0.3 % of a core."""
MANY = 500
"""With more that speak each is heard less often: what it says is told every few seconds only (looking.py)."""
CALM = 1.5
"""Seconds of silence, while we listened, after which a terminal speaks out of silence."""
SOON = 0.01
"""Seconds after which one that spoke out of silence is listened to again."""
EAGER = 50.0
"""Times per second at most that one is listened to again soon for having spoken out of silence."""
CROWD = 100
"""With more that speak, what they say is taken in a few times a second, for all of them together."""
TOGETHER = 0.1
"""Seconds between two such times; what is heard may be told later by as much."""
BUSY_FOR = 10.0
"""Seconds for which a terminal counts as one that speaks."""
_MASK = IN_MODIFY | IN_DELETE_SELF | IN_ONESHOT
_NO_ROOM = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_MEND = "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances (see `hhmrs doctor`)"


@dataclass(slots=True)
class _Tty:
    name: str
    path: Path
    birth: tuple[int, int]
    spoke: Callable[[bool], None]
    gone: Callable[[], None]
    watch: int = -1
    """The kernel's number while we listen, -1 while it rests."""
    armed_at: float = 0.0


class TtyWatch:
    """Listens to terminals on `loop`; one descriptor for all, whichever tmux server they belong to."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, quickest: float = QUICKEST, rearms: float = REARMS
    ) -> None:
        self._loop = loop
        self._quickest = quickest
        self._rearms = rearms
        self._ttys: dict[str, _Tty] = {}
        self._armed: dict[int, _Tty] = {}
        self._resting: dict[str, float] = {}
        self._dozing: dict[str, float] = {}
        """Those that spoke out of silence: they rest for a moment only."""
        self._eager, self._eager_at = EAGER, loop.time()
        self._spoke: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._deaf: dict[str, str] = {}
        self._inotify: Inotify | None = None
        self._none = ""
        try:
            self._inotify = Inotify()
            loop.add_reader(self._inotify.fd, self._ready)
        except OSError as e:
            self._none = f"no inotify: {e.strerror or e}; {_MEND}"

    @property
    def why(self) -> str:
        """What keeps us from listening to all of them, and how to mend it; empty when nothing does."""
        return self._none or next(iter(self._deaf.values()), "")

    @property
    def busy(self) -> int:
        """How many terminals spoke of late."""
        long_ago = self._loop.time() - BUSY_FOR
        for name, _ in list(takewhile(lambda item: item[1] <= long_ago, self._spoke.items())):
            del self._spoke[name]
        return len(self._spoke)

    @property
    def pace(self) -> float:
        """Seconds for which a terminal that spoke is left alone."""
        busy = self.busy
        return max(self._quickest, busy / self._rearms * max(1.0, busy / MANY))

    def watch(self, name: str, tty: str, spoke: Callable[[bool], None], gone: Callable[[], None]) -> bool:
        """Call `spoke` when the terminal at `tty` is written to (True: out of silence), `gone` once when it
        is no more. False when it cannot be listened to: then nobody is called. What was watched as `name`
        before is forgotten."""
        self.forget(name)
        try:
            found = _Tty(name, Path(tty), _birth(tty), spoke, gone)
        except OSError as e:
            self._deaf[name] = f"{tty}: {e.strerror}"
            return False
        if not self._arm(found):
            return False
        self._ttys[name] = found
        return True

    def listen(self, name: str) -> None:
        """Listen again, at once: what is written from now on will be heard."""
        tty = self._ttys.get(name)
        if tty is not None and tty.watch < 0:
            self._again(tty)

    def forget(self, name: str) -> None:
        tty = self._ttys.pop(name, None)
        self._resting.pop(name, None)
        self._dozing.pop(name, None)
        self._spoke.pop(name, None)
        self._deaf.pop(name, None)
        if tty is not None and tty.watch >= 0 and self._inotify is not None:
            self._armed.pop(tty.watch, None)
            self._inotify.drop(tty.watch)

    def close(self) -> None:
        """Stop listening. Nobody is called afterwards."""
        for timer in (self._timer, self._pause):
            if timer is not None:
                timer.cancel()
        self._ttys.clear()
        self._armed.clear()
        if self._inotify is not None:
            self._loop.remove_reader(self._inotify.fd)
            self._inotify.close()
            self._inotify = None

    def _arm(self, tty: _Tty) -> bool:
        if self._inotify is None:
            self._deaf[tty.name] = self._none
            return False
        try:
            # Numbers of terminals are used again: by the name alone we might listen to somebody else's.
            if _birth(str(tty.path)) != tty.birth:
                return False
            tty.watch = self._inotify.add(tty.path, _MASK)
        except OSError as e:
            mend = f"; {_MEND}" if e.errno in _NO_ROOM else ""
            self._deaf[tty.name] = f"inotify on {tty.path}: {e.strerror}{mend}"
            return False
        self._armed[tty.watch] = tty
        tty.armed_at = self._loop.time()
        return True

    def _again(self, tty: _Tty) -> None:
        self._resting.pop(tty.name, None)
        self._dozing.pop(tty.name, None)
        if not self._arm(tty):
            self._lose(tty)

    def _lose(self, tty: _Tty) -> None:
        if self._ttys.get(tty.name) is tty:
            self._armed.pop(tty.watch, None)
            tty.watch = -1
            self.forget(tty.name)
            tty.gone()

    def _ready(self) -> None:
        self._read()
        if self._inotify is not None and self.busy > CROWD:
            # Else the loop would wake for each of them.
            self._loop.remove_reader(self._inotify.fd)
            self._pause = self._loop.call_later(TOGETHER, self._resume)

    def _resume(self) -> None:
        self._pause = None
        if self._inotify is not None:
            self._loop.add_reader(self._inotify.fd, self._ready)

    def _read(self) -> None:
        if self._inotify is None:
            return
        for notice in self._inotify.read():
            if notice.mask & IN_Q_OVERFLOW:
                # Nobody knows who spoke: whoever asked for them looks after all.
                for tty in list(self._ttys.values()):
                    self._lose(tty)
                return
            heard = self._armed.pop(notice.watch, None)
            if heard is None:
                continue  # the IN_IGNORED behind each one-shot notice
            heard.watch = -1
            if notice.mask & IN_MODIFY:
                self._hear(heard)
            else:
                self._lose(heard)

    def _hear(self, tty: _Tty) -> None:
        now = self._loop.time()
        self._spoke.pop(tty.name, None)
        self._spoke[tty.name] = now
        woken = now >= tty.armed_at + CALM and self._may_be_eager(now)
        (self._dozing if woken else self._resting)[tty.name] = now
        self._wake_in(SOON if woken else self._quickest)
        tty.spoke(woken)

    def _wake_in(self, seconds: float) -> None:
        """See in so many seconds at most who has rested."""
        if self._timer is not None:
            if self._timer.when() <= self._loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._wake_rested)

    def _may_be_eager(self, now: float) -> bool:
        self._eager = min(EAGER, self._eager + (now - self._eager_at) * EAGER)
        self._eager_at = now
        if self._eager < 1.0:
            return False
        self._eager -= 1.0
        return True

    def _wake_rested(self) -> None:
        self._timer = None
        now, pace = self._loop.time(), self.pace
        dozing, resting = self._wake(self._dozing, SOON, now), self._wake(self._resting, pace, now)
        if self._dozing:
            self._wake_in(max(SOON / 2, dozing))
        if self._resting:
            # Together with those that will have rested soon after: there may be hundreds.
            self._wake_in(max(self._quickest / 2, resting, pace / 8))

    def _wake(self, resting: dict[str, float], pace: float, now: float) -> float:
        """Listen to those again that rested for `pace` seconds; how long until the next one has."""
        # They stand in the order in which they spoke.
        rested = takewhile(lambda item: item[1] <= now - pace + min(0.01, pace / 4), resting.items())
        for name, _ in list(rested):
            self.listen(name)
        return next(iter(resting.values())) + pace - now if resting else float("inf")


def _birth(path: str) -> tuple[int, int]:
    """Which terminal this is: its number, and when it came to be (writing does not change that time)."""
    found = os.stat(path)
    return found.st_ino, found.st_ctime_ns
