"""Carries out one action through the ports and says what came of it. Blocking; one action per agent at a
time. Every step may be repeated: a daemon that died halfway hands the same action out again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..config.fleet import AgentSpec, FleetSpec
from ..config.paths import StateDir
from ..config.profiles import LaunchError
from ..config.workspaces import WorkspaceError, refuse_link
from ..healing import actions as a
from ..healing import evidence as e
from ..healing.agent import AgentState
from . import notify
from .checkpoints import CheckpointStore, from_supervisor
from .delivery import Deliveries
from .launching import read_report
from .marker import clear_marker, write_marker
from .ports import Checkpoint, Clock, Identity, Letter, Processes, Terminals, TerminalsError
from .screens import asks
from .snapshots import Snapshot, SnapshotError, Snapshots
from .starting import Starter
from .timestamps import to_iso

TAIL = 60
TRIM_EVERY = 25


@dataclass(frozen=True, slots=True)
class Outcome:
    """`evidence` for the engine; `letters` to acknowledge once it is committed."""

    evidence: list[e.Evidence] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)


@dataclass(slots=True)
class Performer:
    fleet: FleetSpec
    state_dir: StateDir
    terminals: Terminals
    processes: Processes
    deliveries: Deliveries
    checkpoints: CheckpointStore
    snapshots: Snapshots
    clock: Clock
    starter: Starter

    def perform(self, action: a.Action, state: AgentState) -> Outcome:
        """Never raises: what went wrong is in StepFinished(ok=False)."""
        rules: dict[type, Callable[[Any, AgentState, AgentSpec], Outcome]] = {
            a.ClearGround: self._clear_ground,
            a.StartAttempt: self._start,
            a.Nudge: self._nudge,
            a.Escalate: self._escalate,
            a.ClearMarker: self._clear_marker,
            a.EndTree: self._end_tree,
        }
        spec = self.fleet.agents[action.agent]
        try:
            return rules[type(action)](action, state, spec)
        except (OSError, TerminalsError, LaunchError, SnapshotError, ValueError) as error:
            return self._over(action, ok=False, why=str(error), denied=isinstance(error, PermissionError))

    def _over(self, action: a.Action, *, ok: bool = True, why: str = "", **more: bool) -> Outcome:
        return Outcome([e.StepFinished(action.agent, self.clock.now(), action.key, ok, why, **more)])

    # -- the ground -----------------------------------------------------------------------------

    def _clear_ground(self, action: a.ClearGround, state: AgentState, spec: AgentSpec) -> Outcome:
        task = state.task.id if state.task else None
        if state.alive or not self.starter.tails.get(spec.id):
            self.starter.tails[spec.id] = self._tail(spec.id)
        snapshot = self._snapshot(spec)
        survivors = self._end(spec, state)
        if survivors:
            pids = ", ".join(str(s.pid) for s in survivors)
            return self._over(
                action, ok=False, why=f"pids {pids} would not die, even by SIGKILL", undead=True
            )
        delivery = self.deliveries.collect(spec, lambda: state.attempt, task, most=None)
        if delivery.stuck:
            failed = self._over(action, ok=False, why=delivery.stuck)
            return Outcome([*delivery.evidence, *failed.evidence], delivery.letters)
        taken = self._own_checkpoint(spec, state, task, snapshot)
        best = self.checkpoints.last_good(spec.id, task)
        resumable = best is not None and best.resumable
        over = e.StepFinished(spec.id, self.clock.now(), action.key, True, resumable=resumable)
        return Outcome([*delivery.evidence, *taken, over], delivery.letters)

    def take_checkpoint(self, spec: AgentSpec, state: AgentState) -> list[e.Evidence]:
        """The supervisor's own checkpoint after a quiet moment; empty when nothing could be taken."""
        try:
            return self._own_checkpoint(
                spec, state, state.task.id if state.task else None, self._snapshot(spec)
            )
        except (OSError, SnapshotError, ValueError):
            return []

    def _own_checkpoint(
        self, spec: AgentSpec, state: AgentState, task: str | None, snapshot: Snapshot | None
    ) -> list[e.Evidence]:
        if snapshot is None and self.checkpoints.last_good(spec.id, task) is None:
            return []
        session = (
            {"profile": spec.seats[state.seat].profile.name, "id": state.session} if state.session else None
        )
        at = to_iso(self.clock.now())

        def make(before: Checkpoint | None, seq: int) -> Checkpoint:
            return from_supervisor(
                spec.id, before, snapshot, task=task, attempt=state.attempt, session=session, seq=seq,
                created_at=at,
            )  # fmt: skip

        new = self.checkpoints.add(spec.id, task, make)
        if new.seq % TRIM_EVERY == 0:
            self.snapshots.trim(spec.id)
        return [e.CheckpointTaken(spec.id, self.clock.now(), new.seq, new.resumable)]

    def _snapshot(self, spec: AgentSpec) -> Snapshot | None:
        try:
            refuse_link(spec.workspace)
            return self.snapshots.take(spec.id, spec.workspace) if spec.workspace.is_dir() else None
        except (SnapshotError, WorkspaceError):
            return None

    def _tail(self, agent: str) -> list[str]:
        try:
            return self.terminals.capture(agent, history=TAIL)[-TAIL:]
        except TerminalsError:
            return []

    def save(self, spec: AgentSpec, state: AgentState) -> list[Identity]:
        """`down --kill`: save the workspace. Returns the roots of what is to be ended of the agent."""
        self._snapshot(spec)
        return self._roots(spec, state)

    def end_many(self, roots: list[Identity], agents: Iterable[str], grace: float) -> list[Identity]:
        """End these trees and whatever carries the tokens of these agents. Returns survivors."""
        tokens = {self.starter.token(agent) for agent in agents}
        return self.processes.end_many(roots, grace=grace, tags=tokens)

    def _end(self, spec: AgentSpec, state: AgentState) -> list[Identity]:
        """End every process of the agent we can find: the pane's, the one we know, the tagged ones."""
        return self.processes.end_many(
            self._roots(spec, state), grace=spec.policy.kill_grace, tags={self.starter.token(spec.id)}
        )

    def _roots(self, spec: AgentSpec, state: AgentState) -> list[Identity]:
        roots: dict[int, Identity] = {}
        if state.pid is not None and state.created is not None:
            roots[state.pid] = Identity(state.pid, state.created)
        report = read_report(self.state_dir, spec.id)
        if report and (who := report.who(self.processes.identify)):
            roots[who.pid] = who
        return list(roots.values())

    # -- the smaller acts -----------------------------------------------------------------------

    def _start(self, action: a.StartAttempt, state: AgentState, spec: AgentSpec) -> Outcome:
        if action.strategy == "start":
            self._snapshot(spec)  # what there was before: later snapshots tell what the agent changed
        return Outcome(self.starter.start(action, state, spec))

    def _nudge(self, action: a.Nudge, state: AgentState, spec: AgentSpec) -> Outcome:
        if why := self.hands_off(spec, state):
            # Between the decision and the keys. What is seen there will be told; here nothing has failed.
            return self._over(action, why=f"not typed: {why}")
        profile = spec.seats[state.seat].profile
        if profile.nudge_keys:
            self.terminals.keys(spec.id, profile.nudge_keys)
        self.terminals.paste(spec.id, action.text)
        return self._over(action)

    def hands_off(self, spec: AgentSpec, state: AgentState) -> str:
        """Why no key may be pressed by itself at this moment; empty when it may. Raises TerminalsError."""
        pane = self.terminals.pane_of(spec.id)
        if pane is not None and pane.attached:
            return "a person is attached"
        rules = spec.seats[state.seat].profile.screens
        rule = asks(rules, self.terminals.capture(spec.id)) if rules else ""
        return f"its screen waits for a person ({rule})" if rule else ""

    def _escalate(self, action: a.Escalate, _: AgentState, spec: AgentSpec) -> Outcome:
        faults: list[str] = []
        try:
            write_marker(spec.workspace, spec.id, action.incident, action.reason, to_iso(self.clock.now()))
        except (OSError, ValueError) as error:
            faults.append(f"not marked: {error}")  # the person must hear of it all the same
        title = f"{self.fleet.fleet}: {spec.title} needs a person"
        todo = f"look: hhmrs explain {spec.id}\nthen: hhmrs clear {spec.id}"
        body = f"{action.reason}\nincident {action.incident}\n{todo}"
        try:
            notify.send(self.fleet.notify, title, body)
        except notify.NotifyError as error:
            faults.append(f"not notified: {error}")
        if faults:
            return self._over(action, ok=False, why=f"escalated, but {'; '.join(faults)}")
        return self._over(action, why="escalated")

    def _clear_marker(self, action: a.ClearMarker, _: AgentState, spec: AgentSpec) -> Outcome:
        clear_marker(spec.workspace, spec.id)
        return self._over(action, why="cleared")

    def _end_tree(self, action: a.EndTree, state: AgentState, spec: AgentSpec) -> Outcome:
        self._snapshot(spec)
        survivors = self._end(spec, state)
        if survivors:
            return self._over(
                action, ok=False, why=f"pids {', '.join(str(s.pid) for s in survivors)} would not die"
            )
        if state.incident is None:
            clear_marker(spec.workspace, spec.id)  # an order to clear it may have been overtaken by this one
        return self._over(action, why="stopped; its process tree is gone")
