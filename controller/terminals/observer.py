"""The eyes on one tmux server: told by the kernel when a terminal is written to or a process ends, by tmux
when panes come and go; one listing every few seconds finds what nobody told.

Looking only: it presses no key and changes no size. A look that fails says nothing about any agent: they are
`Unseen` until it works again. Only the kernel's word (pidfd) is a death.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from ...config.fleet import ExitRule, ScreenRule
from ...healing.evidence import PaneLost, PersonPresent, ProcessExited, SeenAgain, Unseen
from ..means import Means
from ..ports import Clock, Emit, Identity, TerminalsError
from ..processes.processes import alive, identify
from .agenda import GAP, Agenda
from .deaths import DeathWatch, Ending, ending_of
from .inquests import Inquests
from .launching import Report
from .leftovers import end_leftovers
from .looking import LINES_KEPT, Looker, Watched, shown, words_for
from .pace import Budget
from .screens import ScreenReader
from .tmux import TmuxTerminals
from .tmux_control import NO_SESSION, ControlClient, ControlLate, ControlLost, ControlRefused
from .tmux_words import ROW_FORMAT, Row, read_rows
from .ttys import TtyWatch
from .visitors import Visitors

__all__ = ["LINES_KEPT", "Observer"]

log = logging.getLogger(__name__)

_NEWS_SETTLES = 0.02
"""Seconds from a notice of tmux to the listing: notices come in swarms."""
_RETRY_FIRST, _RETRY_MOST = 0.05, 2.0
_TOPOLOGY = frozenset(
    {
        "%sessions-changed", "%session-renamed", "%client-session-changed", "%client-detached",
        "%window-pane-changed", "%window-add", "%window-close", "%unlinked-window-add",
        "%unlinked-window-close",
    }
)  # fmt: skip


class Observer:
    """Turns what happens on the fleet's tmux server into evidence, on `loop`.

    `sweep`: seconds between listings while every pane's terminal is heard. `period`: seconds between two
    looks at the same pane, and between listings where terminals cannot be heard. `late`: an answer that takes
    longer counts as none. `report`: what an agent's launcher says of it, which is known before tmux knows.
    `ttys`, `looks`, `inquests`: shared with the observers of other servers; its own if not given.
    `on_server_lost`: called once each time the tmux server itself is found gone."""

    def __init__(
        self,
        terminals: TmuxTerminals,
        emit: Emit,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        *,
        period: float = 1.0,
        sweep: float = 8.0,
        late: float = 5.0,
        report: Callable[[str], Report | None] = lambda _: None,
        tmux: str = "tmux",
        ttys: TtyWatch | None = None,
        looks: Budget | None = None,
        inquests: Inquests | None = None,
        on_server_lost: Callable[[], None] | None = None,
    ) -> None:
        self._terminals = terminals
        self._socket = terminals.socket
        self._still = terminals.still
        self._tmux = tmux
        self._emit = emit
        self._clock = clock
        self._loop = loop
        self._period = period
        self._late = late
        self._report = report
        self._own_inquests = Inquests(clock) if inquests is None else None
        self._inquests = inquests or self._own_inquests or Inquests(clock)
        self._on_server_lost = on_server_lost
        self._watched: dict[str, Watched] = {}
        self._visitors = Visitors(emit, clock)
        self._deaths = DeathWatch(loop, self._ended)
        self._own_ttys = TtyWatch(loop, quickest=min(0.2, period)) if ttys is None else None
        self._ttys = ttys or self._own_ttys or TtyWatch(loop)
        ears = self._ttys
        self._looks = looks or Budget(lambda: ears.busy)
        self._looks.join()
        self._looker = Looker(emit, clock, loop, self._ttys, self._looks, period)
        self._agenda = Agenda(loop, max(period, sweep), min(GAP, period))
        self._deaf = 0
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
        for agent in list(self._watched):
            self.unwatch(agent)
        self._deaths.close()
        tasks = [*self._endings, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None
        self._agenda.close()
        self._looks.leave()
        if self._own_ttys is not None:
            self._own_ttys.close()
        if self._own_inquests is not None:
            self._own_inquests.close()

    def watch(
        self,
        agent: str,
        attempt: int,
        who: Identity,
        *,
        screens: Sequence[ScreenRule] = (),
        exits: Sequence[ExitRule] = (),
        primed: bool = False,
    ) -> None:
        """Follow the process `who` of this attempt. `exits`: how its last words are read. `primed`: what its
        pane shows now was there before us."""
        reader = ScreenReader(screens, unsure=primed)
        watched = Watched(agent, attempt, who, reader, primed, self._clock.now())
        before = self._watched.get(agent)
        # Somebody who sits at the pane does not leave because the program in it was restarted.
        watched.attached = self._visitors.rise(agent)
        if before is not None:
            before.over = True
            watched.attached = before.attached
        self._ttys.forget(agent)
        self._watched[agent] = watched
        self._inquests.begin(agent, who, exits)
        self._deaths.watch(agent, who)
        if self._blind:
            self._lose_sight(watched, self._blind)
        if not primed:
            self._looker.attend(watched)
        self._agenda.list_soon(0.0)

    def rest(self, agent: str) -> None:
        """Its process is over; who sits at its pane is told all the same."""
        watched = self._watched.get(agent)
        attached = watched is not None and watched.attached
        self._end(agent)
        self._visitors.rest(agent, attached=attached)
        self._agenda.list_soon(_NEWS_SETTLES)

    def unwatch(self, agent: str) -> None:
        self._end(agent)
        self._visitors.rise(agent)

    def _end(self, agent: str) -> None:
        self._deaths.forget(agent)
        self._inquests.forget(agent)
        self._ttys.forget(agent)
        watched = self._watched.pop(agent, None)
        if watched is not None:
            watched.over = True

    def attend(self, agent: str) -> None:
        """What this agent shows is to be known promptly for the next minute: something was done to it."""
        watched = self._watched.get(agent)
        if watched is not None:
            self._looker.attend(watched)
            self._agenda.wake()

    def means(self) -> tuple[Means, ...]:
        """By what it sees output and deaths just now."""
        return self._means_of_output(), self._means_of_deaths()

    def _means_of_output(self) -> Means:
        if self._blind:
            return Means("output", "nothing: it is tried again until tmux answers", False, self._blind)
        if self._deaf or (self._ttys.why and not self._watched):
            how = f"tmux asked every {self._period:g} s what moved"
            why = self._ttys.why or f"{self._deaf} terminals cannot be listened to"
            return Means("output", how, False, why)
        return Means("output", f"inotify on each terminal, and tmux asked every {self._agenda.every:g} s")

    def _means_of_deaths(self) -> Means:
        why = self._deaths.why
        how = f"each process looked after every {self._period:g} s" if why else "a pidfd on each process"
        return Means("deaths", how, not why, why)

    # -- the connection -------------------------------------------------------------------------

    async def _run(self) -> None:
        pause = _RETRY_FIRST
        while True:
            link = ControlClient(
                self._socket, tmux=self._tmux, on_lost=lambda _: self._agenda.wake(), on_notice=self._noticed
            )
            try:
                self._link = link
                await self._connect(link)
                while True:
                    await self._look_around(link)
                    pause = _RETRY_FIRST
                    await self._rest()
            except (ControlLost, ControlRefused) as lost:
                self._go_blind(str(lost))
                if NO_SESSION in str(lost):
                    await self._make_hub()
            except Exception as fault:
                log.exception("cannot look at tmux -L %s", self._socket)
                self._go_blind(repr(fault))
            finally:
                self._link = None
                self._linked.clear()
                await asyncio.shield(link.close())
            self._tried.set()
            self._agenda.awake()
            self._deaths.poll()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_MOST)

    async def _connect(self, link: ControlClient) -> None:
        try:
            await self._attach(link)
        except ControlLate as late:
            await self._sit_out(link, late)
        self._agenda.begin()

    async def _attach(self, link: ControlClient) -> None:
        """Connect while no session comes or goes: TmuxTerminals.still."""
        waiting = self._loop.run_in_executor(None, self._still.acquire)
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError:
            waiting.add_done_callback(lambda _: self._still.release())
            raise
        try:
            await link.connect(self._late)
        finally:
            self._still.release()

    async def _make_hub(self) -> None:
        """Somebody ended the session that we attach to: nobody else would ever make it anew."""
        with contextlib.suppress(TerminalsError):
            await self._loop.run_in_executor(None, self._terminals.ensure)

    async def _look_around(self, link: ControlClient) -> None:
        if link.why_lost:
            raise ControlLost(link.why_lost)
        try:
            self._deaths.poll()
            if self._agenda.list_now:
                await self._sweep(link)
            await self._looker.round(link, self._watched.values(), self._late)
            if not self._linked.is_set():
                self._linked.set()
                await self._end_leftovers()
            self._tried.set()
        except ControlLate as late:
            await self._sit_out(link, late)

    async def _sit_out(self, link: ControlClient, late: ControlLate) -> None:
        """Wait for a server that stands still, out of sight, for as long as it takes."""
        self._linked.clear()
        self._go_blind(str(late))
        self._tried.set()
        while not await link.caught_up(self._period):
            self._deaths.poll()
        self._agenda.begin()

    async def _end_leftovers(self) -> None:
        ended = await end_leftovers(self._ask)
        if ended:
            log.warning("tmux -L %s: %d control clients of an earlier daemon ended", self._socket, ended)

    async def _rest(self) -> None:
        """Until something is due, or somebody wakes us."""
        until = self._looker.next_at(self._watched.values())
        if self._deaths.why:
            until = min(until, self._loop.time() + self._period)
        await self._agenda.rest(until)

    def _noticed(self, kind: str) -> None:
        if kind in _TOPOLOGY:
            self._agenda.list_soon(_NEWS_SETTLES)

    def _go_blind(self, why: str) -> None:
        self._blind = f"tmux -L {self._socket}: {why}"
        for watched in list(self._watched.values()):
            self._lose_sight(watched, self._blind)
        if self._server is not None and not alive(self._server):
            self._server = None
            if self._on_server_lost is not None:
                self._on_server_lost()

    def _lose_sight(self, watched: Watched, why: str) -> None:
        if not watched.unseen and not watched.over:
            watched.unseen = True
            self._emit(Unseen(watched.agent, self._clock.now(), why))

    async def _ask(self, *words: str) -> list[str]:
        if self._link is None:
            raise ControlLost("not connected to tmux")
        return await self._link.run(*words, within=self._late)

    # -- the sweep ------------------------------------------------------------------------------

    async def _sweep(self, link: ControlClient) -> None:
        # Before the question: what is asked for while it is under way is about something later.
        self._agenda.listing()
        listed = await link.run("list-panes", "-a", "-F", ROW_FORMAT, within=self._late)
        if not listed:
            raise ControlLost("it listed no panes at all, not even its own hub")
        self._blind = ""
        self._remember_server(listed[0])
        self._notice(listed)
        self._deaf = sum(not (w.heard or w.over or w.unseen or w.row is None) for w in self._watched.values())
        if self._deaf:
            self._agenda.list_within(self._period)

    def _remember_server(self, line: str) -> None:
        # The hub's own line has no agent, so it is not a row; its server's pid stands at the same place.
        pid = "".join(line.split(" ", 16)[15:16])
        if pid.isdecimal() and (self._server is None or self._server.pid != int(pid)):
            self._server = identify(int(pid))

    def _notice(self, listed: Iterable[str]) -> None:
        """Which panes moved unheard, came, went, or have a visitor."""
        raws: dict[str, str] = {}
        for line in listed:
            agent = line.partition(" ")[0]
            if agent in self._watched or agent in self._visitors.agents:
                raws[agent] = f"{raws[agent]}\n{line}" if agent in raws else line
        self._visitors.notice(raws)
        for watched in list(self._watched.values()):
            raw = raws.get(watched.agent, "")
            if raw and raw == watched.raw and not watched.unseen and watched.heard:
                continue
            row = next(iter(read_rows(raw.split("\n"))), None) if raw else None
            if row is None:
                if alive(watched.who):
                    self._miss(watched)
                continue
            self._update(watched, raw, row)

    def _miss(self, watched: Watched) -> None:
        """tmux answered, and has no pane of it. Once may be a matter of the moment; twice it is so."""
        why = f"its pane is gone from tmux -L {self._socket}"
        if not watched.missed:
            watched.missed = True
            self._lose_sight(watched, why)
            self._agenda.list_soon(self._period)
        elif watched.unseen:
            now = self._clock.now()
            watched.unseen, watched.row = False, None
            known = watched.paneless
            self._emit(SeenAgain(watched.agent, now) if known else PaneLost(watched.agent, now, why))
            watched.paneless = True

    def _update(self, watched: Watched, raw: str, row: Row) -> None:
        watched.raw, watched.missed, watched.paneless = raw, False, False
        if watched.unseen:
            watched.unseen = False
            self._emit(SeenAgain(watched.agent, self._clock.now()))
        if row.view.attached != watched.attached:
            watched.attached = row.view.attached
            self._emit(PersonPresent(watched.agent, self._clock.now(), watched.attached))
        if row.view.attempt != watched.attempt or watched.over:
            return
        if row.view.dead and alive(watched.who):
            # Its launcher was killed over its head: no terminal is left to it.
            self._deaths.forget(watched.agent)
            self._ended(watched.agent)
            return
        before, watched.row = watched.row, row
        self._listen(watched, row)
        if watched.key is None:
            watched.want(self._loop.time())
        elif row.view.change_key != watched.key:
            self._account_for(watched, row)
        if before is not None and before.view.title != row.view.title:
            self._looker.read_label(watched, row.view.title)

    def _listen(self, watched: Watched, row: Row) -> None:
        """A respawned pane has another terminal, and a number given back becomes another pane's."""
        if row.view.dead or (watched.heard and watched.tty == row.view.tty):
            return
        watched.tty = row.view.tty
        watched.heard = self._ttys.watch(
            watched.agent,
            watched.tty,
            lambda woken: self._spoke(watched, woken),
            lambda: self._deafened(watched),
        )

    def _spoke(self, watched: Watched, woken: bool) -> None:
        self._agenda.wake_at(self._looker.sign(watched, self._clock.now(), woken=woken))

    def _deafened(self, watched: Watched) -> None:
        watched.heard = False
        self._agenda.list_soon(_NEWS_SETTLES)

    def _account_for(self, watched: Watched, row: Row) -> None:
        """tmux saw the pane move: by what its terminal told us already, or by something unheard."""
        now = self._clock.now()
        # Its own word for when, in whole seconds of the other clock, which somebody may have set meanwhile.
        moved = min(now, max(watched.keyed, now - (time.time() - row.activity)))
        watched.key, watched.keyed = row.view.change_key, now
        if not watched.heard:
            self._looker.sign(watched, now)
        elif moved > max(watched.last, watched.since) + 1.0:
            self._looker.sign(watched, moved)
        else:
            watched.want(self._loop.time())

    # -- deaths ---------------------------------------------------------------------------------

    def _ended(self, agent: str) -> None:
        watched = self._watched.get(agent)
        if watched is not None:
            self._ttys.forget(agent)
            task = self._loop.create_task(self._tell_end(watched))
            self._endings.add(task)
            task.add_done_callback(self._endings.discard)

    async def _tell_end(self, watched: Watched) -> None:
        ending, tail = Ending(None, None, None), watched.lines
        try:
            if not self._linked.is_set():
                # The death is certain; how it came about is worth a short wait.
                async with asyncio.timeout(1.0):
                    await self._linked.wait()
            ending = await ending_of(self._ask, self._report, watched.agent, watched.attempt)
            if ending.row is not None:
                tail = await self._last_words(ending.row) or tail
        except (ControlLost, ControlRefused, TimeoutError):
            # What its launcher said is true whether tmux answers or not.
            said = self._report(watched.agent)
            if said is not None and said.attempt == watched.attempt:
                ending = Ending(said.status, said.signal, ending.row)
        if self._watched.get(watched.agent) is watched:
            watched.over = True
            now, lost = self._clock.now(), ending.lost
            found = self._inquests.end(watched.agent, ending.status, ending.signal, tail)
            self._emit(
                ProcessExited(
                    watched.agent, now, watched.attempt, ending.status, ending.signal, tail, lost=lost,
                    oom=found.oom, pressure=found.pressure, until=found.until,
                )
            )  # fmt: skip

    async def _last_words(self, row: Row) -> tuple[str, ...]:
        if self._link is None:
            raise ControlLost("not connected to tmux")
        answers = await self._link.run_all(words_for(row.view.pane), within=self._late)
        texts = [answer for answer in answers if not isinstance(answer, ControlRefused)]
        return shown(row, texts)[0] if len(texts) == len(answers) else ()
