"""One fleet under supervision: the parts built, wired, adopted, run, and taken apart again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...config.fleet import AgentSpec, FleetSpec
from ...config.loading import ConfigError, load_fleet
from ...config.paths import StateDir
from ...healing import evidence as e
from ...healing.agent import Happening
from ...healing.seats import seat_of, seats_in_use
from ..checkpoints.checkpoints import CheckpointStore
from ..checkpoints.safekeeping import Safekeeping
from ..checkpoints.snapshots import Snapshots
from ..clock import SteadyClock
from ..ledger.errors import LedgerError
from ..ledger.writer import SqliteLedger
from ..letters.delivery import Deliveries
from ..letters.inbox import Inbox
from ..letters.inbox_watch import InboxWatch
from ..looks import Looks
from ..means import Means
from ..ports import Identity, Row, Running, Source, TerminalsError
from ..processes.processes import ProcessTable
from ..recovery.adoption import Adoption, Findings, orphans
from ..recovery.alerts import Alerts
from ..recovery.ending import end_fleet
from ..recovery.perform import TAIL, Performer
from ..recovery.starting import Starter
from ..reports.comms import CommsLog
from ..reports.correspondence import Correspondence
from ..reports.outages import over, untold
from ..reports.postmortems import PostMortems
from ..terminals.launching import read_report
from ..terminals.servers import FleetTerminals
from ..terminals.watchers import Watchers
from ..timestamps import to_iso
from ..workspaces.writers import AgentTrees
from .crew import AT_ONCE
from .engine import Engine
from .garbage import spare_what_is_there
from .mailroom import Mailroom
from .reception import Reception
from .rounds import Rounds
from .sources import Ground, open_sources

log = logging.getLogger(__name__)

METRICS_EVERY = 60.0
LOOKS = 8
"""Threads beside those that carry out actions: looks at processes, snapshots, probes never wait for them."""


class _Book:
    """The ledger as the engine wants it: awaitable."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger

    def commit(self, rows: list[Row]) -> Awaitable[object]:
        return self._ledger.commit(rows)


class _Renamed(Exception):
    """The file is of another fleet by now."""


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
        self.deliveries.cli_of = self._cli_of
        self.sources: tuple[Source, ...] = ()
        self.correspondence = Correspondence(CommsLog(state_dir.comms_log), fleet, self.engine.states)
        self.adoption = Adoption(state_dir, ledger, self.terminals, self.table, self.clock)
        self.rounds = Rounds(self.engine, self.performer, self.table, self.clock, ledger.beat)
        self.reception = Reception(
            self.engine, self.deliveries, self.terminals, self.clock, self, self._in_thread
        )
        self.mailroom = Mailroom(self.engine, self.deliveries, self.reception, watch)
        self.engine.observers.append(self.correspondence.write)
        self.engine.evidence_seen.append(self._follow)
        self._observer: Watchers | None = None
        self._background: set[asyncio.Future[None]] = set()
        self._reloads: set[asyncio.Task[None]] = set()
        self._one_reload = asyncio.Lock()
        self.went_by: Callable[[FleetSpec], None] = lambda _: None
        """Told of each fleet file that came into force by a reload."""

    # -- life -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Supervise until `go_down`. Raises TerminalsError when tmux cannot be started at all."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(AT_ONCE + LOOKS))
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
        self._adopt_all(await asyncio.to_thread(self.adoption.look, self.fleet.agents.values()))
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
            for task in (*rounds, *self._reloads):
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
                spare_what_is_there(searched=False)
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

    def _adopt_all(self, there: Findings) -> None:
        self._adopt(self.fleet.agents.values(), there)
        for name in orphans(set(self.fleet.agents), there.panes):
            log.warning("pane %s is ours but not in the fleet file; it is left running", name)

    def _adopt(self, specs: Iterable[AgentSpec], there: Findings) -> None:
        """Take on agents as the ledger and tmux know them; one that the ledger does not know begins."""
        for spec in specs:
            self._take_on(spec)
            remains = there.remains[spec.id]
            self.inbox.was_taken(spec.id, remains.taken)
            if remains.known:
                self.engine.restore(remains.state)
                if remains.state.hand or remains.state.recovery:
                    self._enrol(spec)
            if spec.id not in self.engine.states:
                running = remains.found.running is not None
                self.engine.begin(spec, after=remains.state.attempt, running=running)
            for evidence in remains.found.evidence:
                # It is news from now on; when somebody looked for it is nobody's concern.
                self.engine.emit(replace(evidence, at=self.clock.now()))

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

    def _obeyed(self) -> frozenset[str]:
        """Orders of the last hour; they expire much earlier."""
        since = to_iso(time.time() - 3600)
        return frozenset(
            str(x.data.get("letter")) for x in self._ledger.reader.period(since, "~", ["operator_order"])
        )

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

    def reload(self, then: Callable[[str], None] = lambda _: None) -> None:
        """Read the fleet file again; `then` is told the problem in words, or nothing when it is in force. An
        invalid file changes nothing. One at a time; the loop goes on meanwhile."""
        task = asyncio.get_running_loop().create_task(self._reload(then))
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload(self, then: Callable[[str], None]) -> None:
        async with self._one_reload:
            try:
                fleet, come, there = await asyncio.to_thread(self._read_again)
                if fleet.fleet != self.fleet.fleet:
                    raise _Renamed(f"a running fleet cannot be renamed to {fleet.fleet!r}")
                self._go_by(fleet, come, there)
            except (ConfigError, OSError, TerminalsError, LedgerError, _Renamed) as error:
                problem = str(error)
            except Exception as error:
                log.exception("the fleet file could not be taken")
                problem = repr(error)
            else:
                problem = ""
            if problem:
                log.error("the fleet file was not taken: %s", problem)
                refused = {"reason": problem}
                self.engine.note(
                    Happening("operator_reload_refused", "", self.clock.now(), None, dict(refused))
                )
                problem = f"the old file stays in force: {problem}"
        then(problem)

    def _read_again(self) -> tuple[FleetSpec, list[AgentSpec], Findings]:
        """In a thread: the fleet file, its agents that nobody supervises yet, and what is there of them. One
        that was named before may still run: its attempts go on where they were."""
        fleet = self._looks.applied(load_fleet(self.fleet.path))
        come = [spec for spec in fleet.agents.values() if spec.id not in self.engine.states]
        return fleet, come, self.adoption.look(come) if come else Findings({}, ())

    def _go_by(self, fleet: FleetSpec, come: list[AgentSpec], there: Findings) -> None:
        self._ledger.parents = {a.id: a.parent for a in fleet.agents.values()}
        self.fleet = self.performer.fleet = self.performer.starter.fleet = fleet
        self.correspondence.go_by(fleet)
        for agent in self.engine.change_fleet(fleet):
            log.warning("agent %s is no longer in the fleet file; it is left running", agent)
            for source in self.sources:
                source.forget(agent)
        for spec in fleet.agents.values():
            self._take_on(spec)
        self._adopt(come, there)
        self.went_by(fleet)
        self.engine.reschedule_all()
        self.engine.note(
            Happening("operator_reloaded", "", self.clock.now(), None, {"agents": len(fleet.agents)})
        )

    # -- words ----------------------------------------------------------------------------------

    def _ancestors(self, agent: str) -> tuple[str, ...]:
        return self.fleet.ancestors(agent)

    def _cli_of(self, agent: str) -> str:
        state, spec = self.engine.states.get(agent), self.engine.fleet.agents.get(agent)
        return seat_of(state, spec).profile.hooks if state and spec else ""
