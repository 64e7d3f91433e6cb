"""From a sign that a pane moved to what it shows: signs told at once, close looks within an allowance.

What is told carries the time at which it happened, not that of the look: everything new in a look came after
the first sign since the look before. So what stood there before some act is never taken for its effect.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ...healing.evidence import ErrorShown, OutputSeen, PaneLabelled, ScreenCleared, ScreenMatched
from ..ports import Clock, Emit, Identity
from .labels import Label, label_of
from .pace import Budget
from .screens import ScreenReader
from .tmux_control import ControlClient, ControlRefused
from .tmux_words import ROW_FORMAT, TITLE, Row, read_row
from .ttys import TtyWatch

LINES_KEPT = 100
HISTORY = 60
"""Lines above the visible ones that a look reads."""
_LINE_LIMIT = 1000
_AT_ONCE = 64
"""Panes looked at in one go: an answer for many more would hold up what waits behind it."""
_DRAWN = 0.04
"""Seconds between a sign and the look: tmux has read it by then, and the rest of it has come as well."""
_SOON = 0.25
"""Seconds until the second look at a screen that matched once."""
_ATTENTION = 60.0
"""Seconds for which one that was just started or typed to is looked at before all others."""
_GLANCES = 2.0
"""Seconds between two glances at the titles of all panes, while not all that are due can be looked at."""
_TITLES = f"#{{@hhmrs_agent}} #{{pane_id}} x{TITLE}"
_BUSY_TOLD = 100.0
"""Signs of life per second at most that many busy panes give together, once the first was told."""
_NEVER, _FAR = float("-inf"), float("inf")


@dataclass(slots=True)
class Watched:
    """One pane under watch. Times ending in `_at` are the loop's, all others engine time."""

    agent: str
    attempt: int
    who: Identity
    screens: ScreenReader
    primed: bool
    since: float
    """When the watch began."""
    raw: str = ""
    key: str | None = None
    """The change key that is accounted for; None until it was first looked at."""
    keyed: float = 0.0
    row: Row | None = None
    tty: str = ""
    heard: bool = False
    """Its terminal tells us when it is written to."""
    lines: tuple[str, ...] = ()
    label: Label = field(default_factory=Label)
    first: float | None = None
    """The first sign that no look has followed yet."""
    last: float = _NEVER
    """The last sign of all."""
    vouched: float = _NEVER
    """The last sign that was told."""
    told_at: float = _NEVER
    look_at: float | None = None
    """When to look at it; None while nothing calls for it."""
    looked_at: float = _NEVER
    urgent_at: float = _NEVER
    """Until when it is looked at before others."""
    unsettled: bool = False
    attached: bool = False
    unseen: bool = False
    missed: bool = False
    """The last listing had no pane of it, though its process lives."""
    paneless: bool = False
    """So had the one before, and that was told."""
    over: bool = False

    @property
    def due(self) -> bool:
        return self.look_at is not None

    def want(self, at: float) -> None:
        self.look_at = at if self.look_at is None else min(at, self.look_at)


class Looker:
    """Tells what the panes of one server show. `period`: seconds between two looks at the same pane."""

    def __init__(
        self,
        emit: Emit,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        ttys: TtyWatch,
        looks: Budget,
        period: float,
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._loop = loop
        self._ttys = ttys
        self._looks = looks
        self._period = period
        self._not_before = 0.0
        self._held: dict[str, Watched] = {}
        """Those with a sign that is to be told once it is not too soon any more."""
        self._told_next_at = _FAR
        self._glance_at = _NEVER
        self._titles: frozenset[str] = frozenset()

    # -- signs ----------------------------------------------------------------------------------

    def sign(self, watched: Watched, at: float, *, woken: bool = False) -> float:
        """It printed something, at engine time `at` (`woken`: after silence): told now, or in a while if
        that was told just now. When `round` is wanted for it, in loop time."""
        if watched.over:
            return _FAR
        watched.first = at if watched.first is None else min(at, watched.first)
        watched.last = max(at, watched.last)
        now = self._loop.time()
        watched.want(max(now + _DRAWN, watched.looked_at + self._period))
        hold = 0.0 if woken else self.hold
        if not self._vouch(watched, now, hold):
            self._held[watched.agent] = watched
            # In a few goes for all of them: there may be hundreds.
            self._told_next_at = min(self._told_next_at, max(now, watched.told_at + hold) + hold / 8)
        return min(max(watched.look_at or _FAR, self._not_before), self._told_next_at)

    def _vouch(self, watched: Watched, now: float, hold: float) -> bool:
        """Tell its last sign; False while that is too soon. Before the first look, that look tells."""
        if watched.over or watched.unseen or watched.key is None or watched.last <= watched.vouched:
            return True
        if now < watched.told_at + hold:
            return False
        watched.vouched, watched.told_at = watched.last, now
        self._emit(OutputSeen(watched.agent, watched.last))
        return True

    def _vouch_held(self, now: float) -> None:
        hold = self.hold
        for agent, watched in list(self._held.items()):
            if self._vouch(watched, now, hold):
                del self._held[agent]
        waiting = (watched.told_at for watched in self._held.values())
        self._told_next_at = min(waiting, default=_FAR) + hold * 1.125

    @property
    def hold(self) -> float:
        """Seconds between two signs of one pane that are told."""
        return max(self._period, self._ttys.busy / _BUSY_TOLD)

    def attend(self, watched: Watched) -> None:
        """What it shows matters more than what others show, from now on and for a while."""
        now = self._loop.time()
        watched.urgent_at = now + _ATTENTION
        if watched.key is not None:
            watched.want(now)

    def next_at(self, panes: Collection[Watched]) -> float:
        """When `round` has something to do again, in loop time."""
        if self._not_before > self._loop.time():
            return min(self._not_before, self._told_next_at)  # some are due, but may not be looked at yet
        looks = (w.look_at for w in panes if w.look_at is not None and _may_be_seen(w))
        return min(min(looks, default=_FAR), self._told_next_at)

    # -- looks ----------------------------------------------------------------------------------

    async def round(self, link: ControlClient, panes: Collection[Watched], late: float) -> None:
        """Look at those that are due, as many as may be: what matters first, then the longest unseen.
        Raises ControlLost."""
        now = self._loop.time()
        if now >= self._told_next_at:
            self._vouch_held(now)
        if now < self._not_before:
            return
        due = [w for w in panes if w.look_at is not None and w.look_at <= now and _may_be_seen(w)]
        if not due:
            return
        due.sort(key=lambda w: (w.urgent_at < now, w.looked_at))
        granted = self._looks.take(min(len(due), _AT_ONCE), now)
        if granted < len(due) and granted < _AT_ONCE:
            self._not_before = now + self._looks.wait
            if now >= self._glance_at:
                self._glance_at = now + _GLANCES
                await self._glance(link, {w.agent: w for w in panes}, late)
        await self._look(link, due[:granted], late)

    async def _glance(self, link: ControlClient, panes: Mapping[str, Watched], late: float) -> None:
        """What all are titled by now, those too that have to wait for a look. Raises ControlLost."""
        titles = frozenset(await link.run("list-panes", "-a", "-F", _TITLES, within=late))
        news, self._titles = titles - self._titles, titles
        for line in news:
            agent, pane, title = (*line.split(" ", 2), "", "")[:3]
            watched = panes.get(agent)
            if watched is None or watched.row is None or watched.row.view.pane != pane:
                continue
            if _may_be_seen(watched) and not watched.label.titled(title[1:]):
                self.read_label(watched, title[1:])

    async def _look(self, link: ControlClient, chosen: Sequence[Watched], late: float) -> None:
        commands: list[list[str]] = []
        for watched in chosen:
            # Before the look: whatever comes too late for it is heard.
            self._ttys.listen(watched.agent)
            commands += look_words(watched)
        marks = [watched.last for watched in chosen]
        answers = iter(await link.run_all(commands, within=late) if commands else [])
        for watched, mark in zip(chosen, marks, strict=True):
            parts = [next(answers) for _ in range(_WORDS)]
            watched.looked_at = self._loop.time()
            texts = [part for part in parts if not isinstance(part, ControlRefused)]
            row = read_row(texts[0][0]) if len(texts) == _WORDS and texts[0] else None
            if row is None or row.view.attempt != watched.attempt or not _may_be_seen(watched):
                watched.want(watched.looked_at + self._period)
                continue
            self._take(watched, row, texts, mark)

    def _take(self, watched: Watched, row: Row, texts: Sequence[Sequence[str]], mark: float) -> None:
        lines, visible = shown(row, texts)
        newest, before = watched.key is None, watched.key
        at = self._since(watched)
        # A sign that came while we looked is for the next look.
        fresh_sign = watched.last > mark
        spoke, watched.first = watched.first is not None, watched.last if fresh_sign else None
        watched.look_at = watched.looked_at + self._period if fresh_sign else None
        watched.row, watched.key, watched.keyed = row, row.view.change_key, self._clock.now()
        changed, watched.lines = lines != watched.lines, lines
        if changed or (newest and lines):
            self._tell(watched, at, lines, primed=watched.primed and newest)
        if watched.last > watched.vouched and not self._vouch(watched, watched.looked_at, self.hold):
            self._held[watched.agent] = watched
            self._told_next_at = min(self._told_next_at, watched.told_at + self.hold)
        if self._read_screen(watched, visible):
            watched.want(watched.looked_at + min(_SOON, self._period))
        self._settle(watched, row, moved=changed or before != watched.key, spoke=spoke)
        self.read_label(watched, row.view.title)

    def _since(self, watched: Watched) -> float:
        """The earliest time at which anything new in this look can have been printed."""
        if watched.first is not None and watched.key is not None:
            return watched.first
        if watched.key is None:
            return self._clock.now() if watched.primed else watched.since
        # Nobody hears it: it printed this after we saw it last, and no sign of it will ever come.
        unheard = _NEVER if watched.heard else watched.keyed
        return max(watched.last, watched.since, unheard)

    def _tell(self, watched: Watched, at: float, lines: tuple[str, ...], *, primed: bool) -> None:
        watched.vouched = max(watched.vouched, at)
        watched.told_at = self._loop.time()
        self._emit(OutputSeen(watched.agent, at, lines, primed))

    def _settle(self, watched: Watched, row: Row, *, moved: bool, spoke: bool) -> None:
        """Look once more where tmux may not have read yet what we were told of, or nobody will tell us."""
        if watched.heard:
            watched.unsettled = spoke and not moved and not watched.unsettled
        else:
            # tmux counts activity in whole seconds: more may come in this one without any key moving.
            watched.unsettled = time.time() < row.activity + 1
        if watched.unsettled:
            watched.want(watched.looked_at + self._period)

    def _read_screen(self, watched: Watched, visible: Sequence[str]) -> bool:
        """Emit what the profile's rules say; True when a second look is needed."""
        verdict, now = watched.screens.look(visible), self._clock.now()
        if verdict.matched is not None:
            rule, resets = verdict.matched.rule, verdict.matched.resets
            until = now + resets if resets is not None else None
            if rule.cause is not None:
                line = verdict.matched.line
                self._emit(ErrorShown(watched.agent, now, rule.cause, line, until))
            else:
                self._emit(ScreenMatched(watched.agent, now, rule.phase, rule.name, until))
        elif verdict.cleared:
            self._emit(ScreenCleared(watched.agent, now))
        return verdict.again

    def read_label(self, watched: Watched, title: str) -> None:
        """Tell what the pane says of itself, when that changed in more than a spinner or a clock."""
        label = label_of(title, watched.who.pid)
        if label.shape != watched.label.shape:
            watched.label = label
            now = self._clock.now()
            self._emit(PaneLabelled(watched.agent, now, label.title, label.program, label.folder))


def _may_be_seen(watched: Watched) -> bool:
    return watched.row is not None and not watched.over and not watched.unseen


_WORDS = 3


def look_words(watched: Watched) -> list[list[str]]:
    """The commands that show a pane as it is now; `shown` reads the answers."""
    assert watched.row is not None
    return words_for(watched.row.view.pane)


def words_for(pane: str) -> list[list[str]]:
    """What it is, what scrolled away, and, apart because screen rules are about it, what a person sees."""
    return [
        ["display-message", "-p", "-t", pane, ROW_FORMAT],
        ["capture-pane", "-p", "-J", "-S", f"-{HISTORY}", "-E", "-1", "-t", pane],
        ["capture-pane", "-p", "-J", "-t", pane],
    ]


def shown(row: Row, texts: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the last lines, those of them that a person would see)."""
    visible = _text(texts[2])
    # A full-screen program has no history of its own; without any, tmux answers with the first line instead.
    past = _text(texts[1]) if row.history and not row.alternate else ()
    return (*past, *visible)[-LINES_KEPT:], visible


def _text(lines: Sequence[str]) -> tuple[str, ...]:
    """Lines without padding, bounded, and without the empty ones at the end."""
    kept = [line[:_LINE_LIMIT].rstrip() for line in lines]
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)
