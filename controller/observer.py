"""The eyes: one control connection, one listing per period, a closer look at the panes that moved.

Looking only: it presses no key and changes no size. A look that fails says nothing about any agent: they are
`Unseen` until it works again. Only the kernel's word (pidfd) is a death.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..config.fleet import ScreenRule
from ..healing.evidence import (
    OutputSeen,
    PersonPresent,
    ProcessExited,
    ScreenCleared,
    ScreenMatched,
    SeenAgain,
    Unseen,
)
from .deaths import DeathWatch, Ending, ending_of
from .launching import Report
from .ports import Clock, Emit, Identity, Terminals
from .processes import alive, identify
from .screens import ScreenReader
from .tmux_control import ControlClient, ControlLost, ControlRefused
from .tmux_words import ROW_FORMAT, Row, read_rows

log = logging.getLogger(__name__)

LINES_KEPT = 100
_HISTORY = 60
_LINE_LIMIT = 1000
_LOOKS_PER_SWEEP = 64
"""Panes captured in one sweep; in a burst the others are looked at in the next, longest unseen first."""
_SOON = 0.25
"""Seconds until the second look at a screen that matched once."""
_RETRY_FIRST, _RETRY_MOST = 0.05, 2.0


@dataclass(slots=True)
class _Watched:
    agent: str
    attempt: int
    who: Identity
    screens: ScreenReader
    primed: bool
    raw: str = ""
    key: str | None = None
    row: Row | None = None
    lines: tuple[str, ...] = ()
    moved: bool = False
    again: bool = False
    """Its screen matched once; look again soon."""
    settling: bool = False
    """It moved within this second; look again at the next sweep."""
    looked: float = 0.0
    attached: bool = False
    unseen: bool = False
    over: bool = False

    @property
    def due(self) -> bool:
        return self.moved or self.again or self.settling


class Observer:
    """Turns looks at the fleet's tmux server into evidence, on `loop`.

    `period`: seconds between sweeps. `late`: an answer that takes longer counts as none.
    `report`: what an agent's launcher says of it, which is known before tmux knows.
    `on_server_lost`: called once each time the tmux server itself is found gone."""

    def __init__(
        self,
        terminals: Terminals,
        emit: Emit,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        *,
        period: float = 1.0,
        late: float = 5.0,
        report: Callable[[str], Report | None] = lambda _: None,
        tmux: str = "tmux",
        on_server_lost: Callable[[], None] | None = None,
    ) -> None:
        self._socket = terminals.socket
        self._tmux = tmux
        self._emit = emit
        self._clock = clock
        self._loop = loop
        self._period = period
        self._late = late
        self._report = report
        self._on_server_lost = on_server_lost
        self._watched: dict[str, _Watched] = {}
        self._deaths = DeathWatch(loop, self._ended)
        self._wake = asyncio.Event()
        self._linked = asyncio.Event()
        self._tried = asyncio.Event()
        self._link: ControlClient | None = None
        self._blind = ""
        self._server: Identity | None = None
        self._task: asyncio.Task[None] | None = None
        self._endings: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to look; returns after the first try to connect, whether it worked or not."""
        self._task = self._loop.create_task(self._run())
        await self._tried.wait()

    async def stop(self) -> None:
        """Stop looking. Nothing is emitted afterwards."""
        self._deaths.close()
        self._watched.clear()
        tasks = [*self._endings, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None

    def watch(
        self,
        agent: str,
        attempt: int,
        who: Identity,
        *,
        screens: Sequence[ScreenRule] = (),
        primed: bool = False,
    ) -> None:
        """Follow the process `who` of this attempt. `primed`: what its pane shows now was there before us."""
        watched = _Watched(agent, attempt, who, ScreenReader(screens, unsure=primed), primed)
        before = self._watched.get(agent)
        if before is not None:
            # Somebody who sits at the pane does not leave because the program in it was restarted.
            watched.attached = before.attached
        self._watched[agent] = watched
        self._deaths.watch(agent, who)
        if self._blind:
            self._lose_sight(watched, self._blind)
        self._wake.set()

    def unwatch(self, agent: str) -> None:
        self._deaths.forget(agent)
        self._watched.pop(agent, None)

    # -- the connection -------------------------------------------------------------------------

    async def _run(self) -> None:
        pause = _RETRY_FIRST
        while True:
            link = ControlClient(self._socket, tmux=self._tmux, on_lost=lambda _: self._wake.set())
            try:
                await link.connect(self._late)
                self._link = link
                while True:
                    await self._sweep(link)
                    self._linked.set()
                    self._tried.set()
                    pause = _RETRY_FIRST
                    await self._rest(self._period)
            except (ControlLost, ControlRefused) as lost:
                self._go_blind(str(lost))
            except Exception as fault:
                log.exception("cannot look at tmux -L %s", self._socket)
                self._go_blind(repr(fault))
            finally:
                self._link = None
                self._linked.clear()
                await asyncio.shield(link.close())
            self._tried.set()
            self._wake.clear()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_MOST)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    def _go_blind(self, why: str) -> None:
        self._blind = f"tmux -L {self._socket}: {why}"
        for watched in list(self._watched.values()):
            self._lose_sight(watched, self._blind)
        if self._server is not None and not alive(self._server):
            self._server = None
            if self._on_server_lost is not None:
                self._on_server_lost()

    def _lose_sight(self, watched: _Watched, why: str) -> None:
        if not watched.unseen and not watched.over:
            watched.unseen = True
            self._emit(Unseen(watched.agent, self._clock.now(), why))

    async def _ask(self, *words: str) -> list[str]:
        if self._link is None:
            raise ControlLost("not connected to tmux")
        return await self._link.run(*words, within=self._late)

    # -- the sweep ------------------------------------------------------------------------------

    async def _sweep(self, link: ControlClient) -> None:
        listed = await link.run("list-panes", "-a", "-F", ROW_FORMAT, within=self._late)
        if not listed:
            raise ControlLost("it listed no panes at all, not even its own hub")
        self._blind = ""
        self._remember_server(listed[0])
        self._notice(listed)
        self._deaths.poll()
        due = sorted((w for w in self._watched.values() if w.due), key=lambda w: w.looked)
        if due:
            await self._look_closer(link, due[:_LOOKS_PER_SWEEP])
        if any(w.again for w in self._watched.values()):
            self._loop.call_later(min(_SOON, self._period), self._wake.set)

    def _remember_server(self, line: str) -> None:
        # The hub's own line has no agent, so it is not a row; its server's pid stands at the same place.
        pid = "".join(line.split(" ", 16)[15:16])
        if pid.isdecimal() and (self._server is None or self._server.pid != int(pid)):
            self._server = identify(int(pid))

    def _notice(self, listed: Iterable[str]) -> None:
        """Which panes moved, came, went, or have a visitor."""
        raws: dict[str, str] = {}
        for line in listed:
            agent = line.partition(" ")[0]
            if agent in self._watched:
                raws[agent] = f"{raws[agent]}\n{line}" if agent in raws else line
        for watched in list(self._watched.values()):
            raw = raws.get(watched.agent, "")
            if raw and raw == watched.raw and not watched.unseen:
                continue
            row = next(iter(read_rows(raw.split("\n"))), None) if raw else None
            if row is None:
                if alive(watched.who):
                    self._lose_sight(watched, f"its pane is gone from tmux -L {self._socket}")
                continue
            self._update(watched, raw, row)

    def _update(self, watched: _Watched, raw: str, row: Row) -> None:
        watched.raw, watched.row = raw, row
        if watched.unseen:
            watched.unseen = False
            self._emit(SeenAgain(watched.agent, self._clock.now()))
        if row.view.attached != watched.attached:
            watched.attached = row.view.attached
            self._emit(PersonPresent(watched.agent, self._clock.now(), watched.attached))
        if row.view.attempt != watched.attempt:
            return
        if row.view.change_key != watched.key:
            watched.moved = True
        if row.view.dead and not watched.over and alive(watched.who):
            # Its launcher was killed over its head: no terminal is left to it.
            self._deaths.forget(watched.agent)
            self._ended(watched.agent)

    async def _look_closer(self, link: ControlClient, due: Sequence[_Watched]) -> None:
        commands: list[list[str]] = []
        for watched in due:
            commands += _capture(watched.row)
        answers = iter(await link.run_all(commands, within=self._late))
        for watched in due:
            parts = [next(answers) for _ in _capture(watched.row)]
            texts = [part for part in parts if not isinstance(part, ControlRefused)]
            if len(texts) == len(parts) and self._watched.get(watched.agent) is watched:
                self._seen(watched, texts)

    def _seen(self, watched: _Watched, texts: Sequence[Sequence[str]]) -> None:
        row = watched.row
        if row is None or watched.over:
            return
        visible = _text(texts[-1])
        lines = (*(_text(texts[0]) if len(texts) > 1 else ()), *visible)[-LINES_KEPT:]
        first, moved = watched.key is None, watched.moved
        fresh = bool(lines) if first else (moved or lines != watched.lines)
        watched.key, watched.moved, watched.lines = row.view.change_key, False, lines
        watched.looked = self._loop.time()
        if fresh:
            self._emit(OutputSeen(watched.agent, self._clock.now(), lines, watched.primed and first))
        watched.again = self._read_screen(watched, visible)
        # tmux counts activity in whole seconds: more may come in this one without any key moving.
        watched.settling = time.time() < row.activity + 1

    def _read_screen(self, watched: _Watched, visible: Sequence[str]) -> bool:
        """Emit what the profile's rules say; True when a second look is needed."""
        verdict, now = watched.screens.look(visible), self._clock.now()
        if verdict.matched is not None:
            rule, resets = verdict.matched.rule, verdict.matched.resets
            until = now + resets if resets is not None else None
            self._emit(ScreenMatched(watched.agent, now, rule.phase, rule.name, until))
        elif verdict.cleared:
            self._emit(ScreenCleared(watched.agent, now))
        return verdict.again

    # -- deaths ---------------------------------------------------------------------------------

    def _ended(self, agent: str) -> None:
        watched = self._watched.get(agent)
        if watched is not None:
            task = self._loop.create_task(self._tell_end(watched))
            self._endings.add(task)
            task.add_done_callback(self._endings.discard)

    async def _tell_end(self, watched: _Watched) -> None:
        ending, tail = Ending(None, None, None), watched.lines
        try:
            if not self._linked.is_set():
                # The death is certain; how it came about is worth a short wait.
                async with asyncio.timeout(1.0):
                    await self._linked.wait()
            ending = await ending_of(self._ask, self._report, watched.agent, watched.attempt)
            if ending.row is not None:
                parts = [await self._ask(*words) for words in _capture(ending.row)]
                tail = tuple(line for part in parts for line in _text(part))[-LINES_KEPT:]
        except (ControlLost, ControlRefused, TimeoutError):
            # What its launcher said is true whether tmux answers or not.
            said = self._report(watched.agent)
            if said is not None and said.attempt == watched.attempt:
                ending = Ending(said.status, said.signal, ending.row)
        if self._watched.get(watched.agent) is watched:
            watched.over = True
            now, lost = self._clock.now(), ending.row is None
            self._emit(
                ProcessExited(
                    watched.agent, now, watched.attempt, ending.status, ending.signal, tail, lost=lost
                )
            )


def _capture(row: Row | None) -> list[list[str]]:
    """The commands that show a pane: what scrolled away (unless a full-screen program runs), then the rest.

    Apart, because screen rules are about what a person would see."""
    if row is None:
        return []
    pane = row.view.pane
    visible = ["capture-pane", "-p", "-J", "-t", pane]
    if row.alternate or row.history == 0:
        return [visible]
    return [["capture-pane", "-p", "-J", "-S", f"-{_HISTORY}", "-E", "-1", "-t", pane], visible]


def _text(lines: Sequence[str]) -> tuple[str, ...]:
    """Lines without padding, bounded, and without the empty ones at the end."""
    kept = [line[:_LINE_LIMIT].rstrip() for line in lines]
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)
