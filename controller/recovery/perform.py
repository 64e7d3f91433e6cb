"""Carries out one action through the ports and says what came of it. Blocking; one action per agent at a
time. Every step may be repeated: a daemon that died halfway hands the same action out again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...config.fleet import AgentSpec, FleetSpec
from ...config.paths import StateDir
from ...config.profiles import LaunchError
from ...healing import actions as a
from ...healing import evidence as e
from ...healing.agent import AgentState
from ...healing.seats import seat_of
from ..checkpoints.checkpoints import CheckpointStore
from ..checkpoints.safekeeping import Safekeeping
from ..ledger.errors import LedgerError
from ..letters.delivery import Deliveries
from ..ports import Clock, Identity, Letter, Processes, Terminals, TerminalsError
from ..terminals.launching import read_report
from ..timestamps import to_iso
from ..workspaces.marker import clear_marker, write_marker
from . import notify
from .alerts import Alerts
from .nudging import Nudger
from .starting import Starter

log = logging.getLogger(__name__)

TAIL = 60
LOOKS_FOR_STRAYS = 3
"""How often it is looked for what an agent's processes let go while they were ended."""
SAVES_WITHIN, LOOKS_EVERY = 2.0, 0.05
"""Seconds that one which was interrupted has to save itself, and between the looks whether it ended."""


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
    safe: Safekeeping
    clock: Clock
    starter: Starter
    alerts: Alerts | None = None
    nudger: Nudger = field(init=False)
    post_mortem: Callable[[str, AgentSpec, float], Path | None] = lambda *_: None
    """Writes the page of an incident that is given up; where it lies. Raises OSError, LedgerError."""

    def __post_init__(self) -> None:
        self.nudger = Nudger(self.state_dir, self.terminals, self.clock)

    def perform(self, action: a.Action, state: AgentState) -> Outcome:
        """Never raises: what went wrong is in StepFinished(ok=False)."""
        rules: dict[type, Callable[[Any, AgentState, AgentSpec], Outcome]] = {
            a.ClearGround: self._clear_ground,
            a.StartAttempt: self._start,
            a.Nudge: self._nudge,
            a.Escalate: self._escalate,
            a.ClearMarker: self._clear_marker,
            a.EndTree: self._end_tree,
            a.AlertAncestor: self._alert,
        }
        if isinstance(action, a.Announce):
            return self._announce(action)
        spec = self.fleet.agents[action.agent]
        try:
            return rules[type(action)](action, state, spec)
        except (OSError, TerminalsError, LaunchError, ValueError) as error:
            return self._over(action, ok=False, why=str(error), denied=isinstance(error, PermissionError))

    def _over(self, action: a.Action, *, ok: bool = True, why: str = "", **more: bool) -> Outcome:
        return Outcome([e.StepFinished(action.agent, self.clock.now(), action.key, ok, why, **more)])

    # -- the ground -----------------------------------------------------------------------------

    def _clear_ground(self, action: a.ClearGround, state: AgentState, spec: AgentSpec) -> Outcome:
        task = state.task.id if state.task else None
        if state.alive or not self.starter.tails.get(spec.id):
            self.starter.tails[spec.id] = self._tail(spec.id)
        if action.cause == "looping" and state.alive:
            self.safe.save(spec)
            self._interrupt(state, spec)
        saved = self.safe.save(spec)
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
        taken = self.safe.checkpoint(spec, state, saved)
        best = self.checkpoints.last_good(spec.id, task)
        resumable = best is not None and best.resumable
        over = e.StepFinished(spec.id, self.clock.now(), action.key, True, resumable=resumable)
        return Outcome([*delivery.evidence, *taken, over], delivery.letters)

    def _interrupt(self, state: AgentState, spec: AgentSpec) -> None:
        """What runs in circles is stopped by its own keys first, and has a moment to save itself."""
        keys = seat_of(state, spec).profile.interrupt_keys
        try:
            if not keys or self.hands_off(spec, state):
                return
            log.info("agent %s: interrupted by %s before it is ended", spec.id, " ".join(keys))
            self.terminals.keys(spec.id, keys)
        except TerminalsError as error:
            log.warning("agent %s: it could not be interrupted: %s", spec.id, error)
            return
        who = Identity(state.pid or 0, state.created or 0.0)
        end = time.monotonic() + min(SAVES_WITHIN, spec.policy.kill_grace)
        while time.monotonic() < end and self.processes.alive(who):
            time.sleep(LOOKS_EVERY)

    def take_checkpoint(self, spec: AgentSpec, state: AgentState) -> list[e.Evidence]:
        """The supervisor's own checkpoint while the agent works; empty when nothing could be taken."""
        return self.safe.take_checkpoint(spec, state)

    def _tail(self, agent: str) -> list[str]:
        try:
            return self.terminals.capture(agent, history=TAIL)[-TAIL:]
        except TerminalsError:
            return []

    def save(self, spec: AgentSpec, state: AgentState) -> list[Identity]:
        """`down --kill`: save the workspace. Returns the roots of what is to be ended of the agent."""
        self.safe.take_checkpoint(spec, state)
        return roots_of(self.state_dir, state, self.processes.identify)

    def end_many(self, roots: list[Identity], agents: Iterable[str], grace: float) -> list[Identity]:
        """End these trees and whatever carries the tokens of these agents. Returns survivors."""
        tokens = {self.starter.token(agent) for agent in agents}
        return self.processes.end_many(roots, grace=grace, tags=tokens)

    def _end(self, spec: AgentSpec, state: AgentState) -> list[Identity]:
        """End every process of the agent we can find: the pane's, the one we know, the tagged ones, and those
        that it let go, of which its launcher knows."""
        tags, grace = {self.starter.token(spec.id)}, spec.policy.kill_grace
        roots = roots_of(self.state_dir, state, self.processes.identify)
        survivors = self.processes.end_many(roots, grace=grace, tags=tags)
        for _ in range(LOOKS_FOR_STRAYS):
            if survivors or not (strays := self._strays(spec)):
                break
            # They have had their time, with those that let them go.
            survivors = self.processes.end_many(strays, grace=0.0, tags=tags)
        return survivors or self._strays(spec)

    def _strays(self, spec: AgentSpec) -> list[Identity]:
        report = read_report(self.state_dir, spec.id)
        return report.strays(self.processes.identify) if report else []

    # -- the smaller acts -----------------------------------------------------------------------

    def _start(self, action: a.StartAttempt, state: AgentState, spec: AgentSpec) -> Outcome:
        if action.strategy == "start":
            self.safe.begin(spec, action.attempt)
        else:
            self.safe.began(spec.id, action.attempt)  # with what was saved when its ground was cleared
        return Outcome(self.starter.start(action, state, spec))

    def _nudge(self, action: a.Nudge, state: AgentState, spec: AgentSpec) -> Outcome:
        taken = self.nudger.take(action, state, spec, self.fleet.agents)
        return self._over(action, ok=taken.ok, why=taken.why, idle=taken.idle)

    def hands_off(self, spec: AgentSpec, state: AgentState) -> str:
        """Why no key may be pressed by itself at this moment; empty when it may. Raises TerminalsError."""
        return self.nudger.hands_off(spec, state)

    def _report(self, action: a.Escalate, state: AgentState, spec: AgentSpec) -> str:
        """Put the post-mortem away; the words of the notification that say where. Never keeps it waiting."""
        try:
            page = self.post_mortem(action.incident, spec, state.pauses.p99)
        except (OSError, LedgerError, ValueError) as error:
            log.error("agent %s: no post-mortem of %s: %s", spec.id, action.incident, error)
            return ""
        return f"\npost-mortem: {page}" if page else ""

    def _escalate(self, action: a.Escalate, state: AgentState, spec: AgentSpec) -> Outcome:
        faults: list[str] = []
        try:
            write_marker(spec.workspace, spec.id, action.incident, action.reason, to_iso(self.clock.now()))
        except (OSError, ValueError) as error:
            faults.append(f"not marked: {error}")  # the person must hear of it all the same
        title = f"{self.fleet.fleet}: {spec.title} needs a person"
        todo = f"look: hhmrs explain {spec.id}\nthen: hhmrs clear {spec.id}"
        words = f"\nits last words: {state.last_words[-1]}" if state.last_words and not state.alive else ""
        body = f"{action.reason}{words}\nincident {action.incident}\n{todo}"
        body += self._report(action, state, spec)
        try:
            notify.send(() if action.quiet else self.fleet.notify, title, body)
        except notify.NotifyError as error:
            faults.append(f"not notified: {error}")
        if faults:
            return self._over(action, ok=False, why=f"escalated, but {'; '.join(faults)}")
        return self._over(action, why="escalated")

    def _announce(self, action: a.Announce) -> Outcome:
        try:
            sent = notify.send(self.fleet.notify, f"{self.fleet.fleet}: {action.title}", action.text)
        except notify.NotifyError as error:
            return self._over(action, ok=False, why=f"not notified: {error}")
        return self._over(action, why=f"sent to {sent} of {len(self.fleet.notify)} notify entries")

    def _alert(self, action: a.AlertAncestor, state: AgentState, _: AgentSpec) -> Outcome:
        if self.alerts is None:
            return self._over(action, ok=False, why="no alerts can be delivered here")
        self.alerts.put(action, state, self.fleet)
        return self._over(action)

    def _clear_marker(self, action: a.ClearMarker, _: AgentState, spec: AgentSpec) -> Outcome:
        clear_marker(spec.workspace, spec.id)
        return self._over(action, why="cleared")

    def _end_tree(self, action: a.EndTree, state: AgentState, spec: AgentSpec) -> Outcome:
        taken = self.safe.take_checkpoint(spec, state)
        survivors = self._end(spec, state)
        if survivors:
            pids = ", ".join(str(s.pid) for s in survivors)
            over = self._over(action, ok=False, why=f"pids {pids} would not die")
            return Outcome([*taken, *over.evidence])
        if state.incident is None:
            clear_marker(spec.workspace, spec.id)  # an order to clear it may have been overtaken by this one
        over = self._over(action, why="stopped; its process tree is gone")
        return Outcome([*taken, *over.evidence])


def roots_of(
    state_dir: StateDir, state: AgentState, identify: Callable[[int], Identity | None]
) -> list[Identity]:
    """What is to be ended of an agent, with all that stands below: the process we know, the one its launcher
    tells of, and those that it let go."""
    roots: dict[int, Identity] = {}
    if state.pid is not None and state.created is not None:
        roots[state.pid] = Identity(state.pid, state.created)
    report = read_report(state_dir, state.id)
    if report and (who := report.who(identify)):
        roots[who.pid] = who
    strays = report.strays(identify) if report else []
    return [*roots.values(), *(who for who in strays if who.pid not in roots)]
