"""One fleet under supervision: the parts built, wired, adopted, run, and taken apart again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config.fleet import AgentSpec, FleetSpec
from ..config.loading import ConfigError, load_fleet
from ..config.paths import StateDir
from ..healing import evidence as e
from ..healing.agent import AgentState, Happening
from ..healing.codec import load_state
from ..healing.hierarchy import is_living
from ..healing.seats import seat_of, seats_in_use
from .adoption import match, orphans
from .alerts import Alerts
from .checkpoints import CheckpointStore
from .clock import SteadyClock
from .comms import CommsLog, comms_for
from .delivery import Deliveries
from .ending import end_fleet
from .engine import Engine
from .garbage import spare_what_is_there
from .inbox import Inbox
from .inbox_watch import InboxWatch
from .inquests import limit_ends
from .launching import read_report
from .ledger import SqliteLedger
from .ledger_errors import LedgerError
from .looks import Looks
from .mailroom import Mailroom
from .means import Means
from .outages import over, untold
from .perform import TAIL, Performer
from .ports import Identity, PaneView, Row, Running, Source, TerminalsError
from .postmortems import PostMortems
from .processes import ProcessTable
from .reception import Reception
from .rounds import Rounds
from .safekeeping import Safekeeping
from .servers import FleetTerminals
from .snapshots import Snapshots
from .sources import Ground, open_sources
from .starting import Starter
from .timestamps import to_iso
from .watchers import Watchers
from .writers import AgentTrees

log = logging.getLogger(__name__)

METRICS_EVERY = 60.0
AT_ONCE = 32
"""Threads for what may block: acts, looks at processes, snapshots."""


class _Book:
    """The ledger as the engine wants it: awaitable."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger

    def commit(self, rows: list[Row]) -> Awaitable[object]:
        return self._ledger.commit(rows)


class Supervision:
    """Everything a daemon does for one fleet, on one asyncio loop."""

    def __init__(
        self,
        fleet: FleetSpec,
        state_dir: StateDir,
        ledger: SqliteLedger,
        ready: Callable[[], None],
        looks: Looks = Looks(),  # noqa: B008 - frozen
    ) -> None:
        self.fleet = fleet
        self._looks = looks
        self.state_dir = state_dir
        self._ledger = ledger
        self._ready = ready
        self._kill_all = False
        self.clock = SteadyClock()
        self.terminals = FleetTerminals(fleet.fleet, state_dir.tmux_conf)
        self.table = ProcessTable()
        watch = self._inbox_watch = InboxWatch()
        self.inbox = Inbox(state_dir, self._emit, self.clock, watch)
        store = self.store = CheckpointStore(state_dir)
        self.deliveries = Deliveries(self.inbox, store, self.clock)
        snapshots = Snapshots(state_dir.snapshots)
        safe = Safekeeping(store, snapshots, self.clock)
        starter = Starter(
            fleet, state_dir, self.terminals, self.table, store, self.clock, snapshots=snapshots
        )  # fmt: skip
        self.performer = Performer(
            fleet,
            state_dir,
            self.terminals,
            self.table,
            self.deliveries,
            store,
            safe,
            self.clock,
            starter,
        )
        self.performer.post_mortem = PostMortems(state_dir, ledger.reader, safe.snapshots).write
        self.engine = Engine(fleet, self.clock, _Book(ledger), self.performer, self.deliveries.acknowledge)
        known, hands_off = self.engine.states.get, self.performer.hands_off
        self.performer.alerts = Alerts(state_dir, self.terminals, self.clock, self._emit, known, hands_off)
        self.deliveries.ancestors = self._ancestors
        self.sources: tuple[Source, ...] = ()
        self.comms = CommsLog(state_dir.comms_log)
        self.rounds = Rounds(self.engine, self.performer, self.table, self.clock, ledger.beat)
        self.reception = Reception(
            self.engine, self.deliveries, self.terminals, self.clock, self, self._in_thread
        )
        self.mailroom = Mailroom(self.engine, self.deliveries, self.reception, watch)
        self.engine.observers.append(self._write_comms)
        self.engine.evidence_seen.append(self._follow)
        self._observer: Watchers | None = None
        self._background: set[asyncio.Future[None]] = set()

    # -- life -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Supervise until `go_down`. Raises TerminalsError when tmux cannot be started at all."""
        loop = asyncio.get_running_loop()
        # Ending a tree may take its whole grace: one stubborn agent must not keep the others waiting.
        loop.set_default_executor(ThreadPoolExecutor(AT_ONCE))
        await asyncio.to_thread(self._open_servers)
        fastest = min((a.policy.heartbeat_interval for a in self.fleet.agents.values()), default=30.0)
        self._observer = Watchers(
            self.terminals,
            self._emit,
            self.clock,
            loop,
            period=min(1.0, max(0.1, fastest / 4)),
            on_server_lost=self._server_lost,
            report=lambda agent: read_report(self.state_dir, agent),
        )
        await self._observer.start()
        trees = AgentTrees(self._roots, self.performer.starter.token)
        ours = (self.state_dir.path.parent,)
        self.sources = open_sources(Ground(self._emit, self.clock, self._observer, trees, ours))
        self.performer.nudger.wrote = self._wrote
        self.inbox.make_operator()
        self._adopt_all(await asyncio.to_thread(self.terminals.panes))
        self._carry_on_cascades()
        spare_what_is_there()
        self._ready()
        async with asyncio.TaskGroup() as group:
            rounds = [group.create_task(c) for c in self._rounds(fastest)]
            rounds.append(group.create_task(self._metrics()))
            if self._looks.interval is not None:
                rounds.append(group.create_task(self._look_at_all(self._looks.interval)))
            self.reception.obeyed = self._obeyed()
            self.mailroom.open()
            await self.mailroom.catch_up()
            await self.engine.run()
            for task in rounds:
                task.cancel()
        self.mailroom.close()
        await self._observer.stop()
        for source in self.sources:
            source.close()
        if self._kill_all:
            await asyncio.to_thread(
                end_fleet,
                self.fleet,
                self.engine.states,
                self.performer,
                self._ledger,
                self.terminals,
                self.clock,
            )

    def _rounds(self, fastest: float) -> list[Coroutine[Any, Any, None]]:
        return self.rounds.tasks(fastest, means=self.means, means_file=self.state_dir.means)

    def means(self) -> tuple[Means, ...]:
        """By which means the fleet is seen now, each source for itself."""
        own = (self._inbox_watch.means(), self.table.means())
        return tuple(one for group in (*(s.means() for s in self.sources), *own) for one in group)

    async def _look_at_all(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            self.engine.reschedule_all()

    async def _metrics(self) -> None:
        first = True
        while True:
            await asyncio.sleep(METRICS_EVERY)
            if first:
                first = False
                spare_what_is_there()
            try:
                await asyncio.to_thread(self._ledger.refresh_metrics, self.clock.now())
            except LedgerError as error:
                log.error("cannot refresh the metrics: %s", error)
            except Exception:
                log.exception("cannot refresh the metrics")

    def _emit(self, evidence: e.Evidence) -> None:
        if isinstance(evidence, e.LetterRefused) and evidence.order:
            self.engine.refuse(evidence.order, "", f"refused: {evidence.reason}")
        self.engine.emit(evidence)

    def _wrote(self, path: Path, content: bytes) -> None:
        """A write of ours is about to land there; for any thread."""
        for source in self.sources:
            source.wrote(path, content)

    def _roots(self) -> dict[str, int]:
        """The pid of each agent's process; for any thread."""
        return {agent: state.pid for agent, state in self.engine.states.copy().items() if state.pid}

    def _in_thread(self, work: Callable[[], None]) -> None:
        future = asyncio.get_running_loop().run_in_executor(None, work)
        self._background.add(future)
        future.add_done_callback(self._background.discard)

    # -- adoption -------------------------------------------------------------------------------

    def _adopt_all(self, panes: list[PaneView]) -> None:
        self._adopt(self.fleet.agents.values(), panes)
        for name in orphans(set(self.fleet.agents), panes):
            log.warning("pane %s is ours but not in the fleet file; it is left running", name)

    def _adopt(self, specs: Iterable[AgentSpec], panes: list[PaneView]) -> None:
        """Take on agents as the ledger and tmux know them; one that the ledger does not know begins."""
        by_agent = {p.agent: p for p in panes}
        known, taken = self._ledger.states(), self._ledger.reader.taken()
        for spec in specs:
            self._take_on(spec)
            self.inbox.was_taken(spec.id, taken.get(spec.id, ()))
            pane, report = by_agent.get(spec.id), read_report(self.state_dir, spec.id)
            state = self._remembered(spec, known)
            if state is not None:
                self.engine.restore(state)
                if state.hand or state.recovery:
                    self._enrol(spec)
            else:
                # The ledger may be a new one; what runs in tmux does not know that.
                last = max(pane.attempt if pane else 0, report.attempt if report else 0)
                state = AgentState(spec.id, attempt=last)
            found = match(state, pane, report, self.table, self.clock)
            if spec.id not in self.engine.states:
                self.engine.begin(spec, after=state.attempt, running=found.running is not None)
            for evidence in found.evidence:
                self.engine.emit(self._with_last_words(evidence, pane))

    def _carry_on_cascades(self) -> None:
        """What many agents failed of before this daemon began: it is over, or a person knows of it."""
        try:
            cascades = self._ledger.reader.cascades()
            ended = over(cascades, self.engine.states.values(), self.clock.now())
            for happening in ended:
                self.engine.note(happening)
            if self.fleet.policy.mode == "armed":
                for action in untold(self._ledger.reader, cascades, [h.fields.get("cascade") for h in ended]):
                    self.engine.announce(action)
        except LedgerError as error:
            log.error("cannot read what many agents failed of: %s", error)

    def _remembered(self, spec: AgentSpec, known: Mapping[str, dict[str, Any]]) -> AgentState | None:
        try:
            return load_state(known[spec.id]) if spec.id in known else None
        except (TypeError, ValueError) as error:
            log.error("agent %s: its state in the ledger cannot be read (%s); it begins anew", spec.id, error)
            return None

    def _obeyed(self) -> frozenset[str]:
        """Orders of the last hour; they expire much earlier."""
        since = to_iso(time.time() - 3600)
        return frozenset(
            str(x.data.get("letter")) for x in self._ledger.reader.period(since, "~", ["operator_order"])
        )

    def _with_last_words(self, evidence: e.Evidence, pane: PaneView | None) -> e.Evidence:
        """How it died may stand on its pane only."""
        if not isinstance(evidence, e.ProcessExited) or pane is None:
            return evidence
        try:
            tail = tuple(self.terminals.capture(evidence.agent, history=TAIL))
        except TerminalsError:
            return evidence
        state, spec = self.engine.states[evidence.agent], self.fleet.agents[evidence.agent]
        exits = seat_of(state, spec).profile.exits
        return replace(evidence, tail=tail, until=limit_ends(tail, exits, self.clock))

    def _take_on(self, spec: AgentSpec) -> None:
        with contextlib.suppress(OSError):  # one agent's start says why; the others are supervised
            spec.workspace.mkdir(parents=True, exist_ok=True)
        try:
            self.inbox.make(spec.id, spec.workspace)
        except OSError as error:
            log.error("agent %s: its letters cannot be read: %s", spec.id, error)
        self.store.bound(spec.id, spec.policy.keep.checkpoints, spec.policy.keep.age)
        self._enrol(spec)

    def _enrol(self, spec: AgentSpec) -> None:
        seats = seats_in_use(self.engine.states.get(spec.id), spec)
        for source in self.sources:
            source.enrol(spec if seats == spec.seats else spec.model_copy(update={"seats": seats}))

    def _follow(self, evidence: e.Evidence) -> None:
        """Watch the processes that the engine has just learned of; forget those that are over."""
        if isinstance(evidence, e.ProcessStarted | e.ProcessAdopted):
            state, spec = self.engine.states[evidence.agent], self.fleet.agents[evidence.agent]
            if evidence.attempt == state.attempt and state.alive:
                running = Running(
                    spec,
                    seat_of(state, spec),
                    evidence.attempt,
                    Identity(evidence.pid, evidence.created),
                    session=state.session,
                    adopted=isinstance(evidence, e.ProcessAdopted),
                    socket=evidence.socket,
                )
                for source in self.sources:
                    source.follow(running)
        elif isinstance(evidence, e.ProcessExited) and not self.engine.states[evidence.agent].alive:
            for source in self.sources:
                source.rest(evidence.agent)
            self.performer.starter.tails[evidence.agent] = list(evidence.tail[-TAIL:])
        elif isinstance(evidence, e.Typed) and self._observer is not None:
            self._observer.attend(evidence.agent)
        elif isinstance(evidence, e.Ordered) and evidence.order == "reassign":
            # What a CLI notes down of what it was told is no work: known before that CLI is started.
            self._enrol(self.fleet.agents[evidence.agent])

    def _open_servers(self) -> None:
        """The first server runs, and where agents were is known. Raises TerminalsError."""
        self.terminals.ensure()
        self.terminals.check_room(len(self.fleet.agents))
        known = self._ledger.states().items()
        self.terminals.remember({agent: str(s.get("socket") or "") for agent, s in known if s.get("alive")})

    def _server_lost(self, socket: str) -> None:
        log.error("the tmux server %s is gone; it is started anew, and its agents with it", socket)
        self._in_thread(lambda: self.terminals.revive(socket))

    # -- what an order may ask ------------------------------------------------------------------

    def go_down(self, *, kill: bool) -> None:
        """Stop supervising; with `kill`, every agent's process tree ends too."""
        self._kill_all = self._kill_all or kill
        self.engine.stop()

    def task(self, task: str) -> dict[str, Any] | None:
        """A task as the book has it."""
        return self._ledger.reader.task(task)

    def reload(self) -> str:
        """Read the fleet file again; the problem in words, or empty. An invalid file changes nothing."""
        try:
            fleet = self._looks.applied(load_fleet(self.fleet.path))
            # One that was named before may still run: its attempts go on where they were.
            come = [spec for spec in fleet.agents.values() if spec.id not in self.engine.states]
            panes = self.terminals.panes() if come else []
        except (ConfigError, OSError, TerminalsError) as error:
            log.error("the fleet file was not taken: %s", error)
            note = Happening("operator_reload_refused", "", self.clock.now(), None, {"reason": str(error)})
            self.engine.note(note)
            return f"the old file stays in force: {error}"
        if fleet.fleet != self.fleet.fleet:
            return f"the old file stays in force: a running fleet cannot be renamed to {fleet.fleet!r}"
        self._ledger.parents = {a.id: a.parent for a in fleet.agents.values()}
        self.fleet = self.performer.fleet = self.performer.starter.fleet = fleet
        for agent in self.engine.change_fleet(fleet):
            log.warning("agent %s is no longer in the fleet file; it is left running", agent)
            for source in self.sources:
                source.forget(agent)
        for spec in fleet.agents.values():
            self._take_on(spec)
        self._adopt(come, panes)
        self.engine.reschedule_all()
        self.engine.note(
            Happening("operator_reloaded", "", self.clock.now(), None, {"agents": len(fleet.agents)})
        )
        return ""

    # -- words ----------------------------------------------------------------------------------

    def _ancestors(self, agent: str) -> tuple[str, ...]:
        return self.fleet.ancestors(agent)

    def _is_living(self, agent: str) -> bool:
        state = self.engine.states.get(agent)
        return state is not None and is_living(state)

    def _write_comms(self, happenings: list[Happening]) -> None:
        titles = {a.id: a.title for a in self.fleet.agents.values()}
        parents = {a.id: a.parent for a in self.fleet.agents.values()}
        for happening in happenings:
            for sender, to, kind, text in comms_for(happening, titles, parents, self._is_living):
                self.comms.write(happening.at, sender, to, kind, text)
