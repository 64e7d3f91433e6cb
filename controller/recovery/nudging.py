"""Carries out one step of a nudge: closes a dialog, edits status files, leaves or types the rescue words."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.fleet import AgentSpec, Profile
from ...config.paths import StateDir
from ...config.problems import inert
from ...config.workspaces import WorkspaceError
from ...healing.actions import Nudge
from ...healing.agent import AgentState, NudgeStep
from ...healing.nudges import RESCUE
from ...healing.seats import seat_of
from ..ports import Clock, Terminals
from ..terminals.screens import asks, shows
from ..workspaces.status_patterns import files, fits
from ..workspaces.status_words import names_in
from .rescue_notes import leave_note
from .status_edits import Edit, NotEdited, Wrote, edit

log = logging.getLogger(__name__)

MOST_EDITED = 5
"""Status files of one agent that one step edits."""
CLOSES_WITHIN = 2.0
LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a step. `idle`: there was nothing for it to do. `why`: what was done, or why not."""

    ok: bool
    why: str
    idle: bool = False


@dataclass(slots=True)
class Nudger:
    """Blocking; one step of an agent at a time. `wrote` is told of each write before it is made."""

    state_dir: StateDir
    terminals: Terminals
    clock: Clock
    wrote: Wrote = lambda _path, _content: None

    def take(
        self, action: Nudge, state: AgentState, spec: AgentSpec, fleet: Mapping[str, AgentSpec]
    ) -> Taken:
        """Take the step. Raises OSError and TerminalsError."""
        if action.step is NudgeStep.RESCUE:
            return self._rescue(action, state, spec)
        if action.step is NudgeStep.CLOSE_DIALOG:
            return self._close_dialog(action, state, spec)
        return self._edit(action, state, spec, fleet)

    def hands_off(self, spec: AgentSpec, state: AgentState) -> str:
        """Why no key may be pressed by itself at this moment; empty when it may. Raises TerminalsError."""
        pane = self.terminals.pane_of(spec.id)
        if pane is not None and pane.attached:
            return "a person is attached"
        rules = seat_of(state, spec).profile.screens
        rule = asks(rules, self.terminals.capture(spec.id)) if rules else ""
        return f"its screen waits for a person ({rule})" if rule else ""

    # -- what is typed --------------------------------------------------------------------------

    def _close_dialog(self, action: Nudge, state: AgentState, spec: AgentSpec) -> Taken:
        """The rule held in two equal looks before; it must hold in one more, now."""
        profile = seat_of(state, spec).profile
        if action.again:
            return Taken(True, "not pressed again: the daemon before may have done so", idle=True)
        if why := self.hands_off(spec, state):
            return Taken(True, f"not closed: {why}")
        name = self._dialog(spec, profile)
        dialog = next((each for each in profile.dialogs if each.name == name), None)
        if dialog is None:
            return Taken(True, "it shows no dialog any more", idle=True)
        self.terminals.keys(spec.id, dialog.keys)
        end = time.monotonic() + CLOSES_WITHIN
        while self._dialog(spec, profile) == name:
            if time.monotonic() > end:
                return Taken(False, f"dialog {name} still shows after {' '.join(dialog.keys)}")
            time.sleep(LOOK_EVERY)
        return Taken(True, f"dialog {name} closed by {' '.join(dialog.keys)}")

    def _dialog(self, spec: AgentSpec, profile: Profile) -> str:
        """The dialog of its profile that its screen shows at this moment, or empty."""
        return shows(profile.looked_for, self.terminals.capture(spec.id), "dialog") if profile.dialogs else ""

    def _rescue(self, action: Nudge, state: AgentState, spec: AgentSpec) -> Taken:
        """The letter may be there already and is left once; what is typed is typed once."""
        profile = seat_of(state, spec).profile
        left = self._leave(action, profile, spec)
        if action.again:
            return Taken(True, f"{left}; not typed again: the daemon before may have done so")
        if why := self.hands_off(spec, state):
            # Between the decision and the keys. What is seen there will be told; here nothing has failed.
            return Taken(True, f"{left}; not typed: {why}")
        if name := self._dialog(spec, profile):
            return Taken(True, f"{left}; not typed: dialog {name} would take it for its answer")
        if profile.nudge_keys:
            self.terminals.keys(spec.id, profile.nudge_keys)
        self.terminals.paste(spec.id, action.text)
        return Taken(True, f"{left}; typed into its pane")

    def _leave(self, action: Nudge, profile: Profile, spec: AgentSpec) -> str:
        inbox = self.state_dir.inbox_of(spec.id)
        try:
            return leave_note(spec, profile, inbox, action.key, RESCUE, action.reason, self.wrote)
        except OSError as error:
            log.warning("agent %s: no rescue letter: %s", spec.id, error)
            return f"no letter ({error.strerror or error})"

    # -- what is written ------------------------------------------------------------------------

    def _edit(
        self, action: Nudge, state: AgentState, spec: AgentSpec, fleet: Mapping[str, AgentSpec]
    ) -> Taken:
        done: list[str] = []
        left: list[str] = []
        paths = status_files(spec, seat_of(state, spec).profile)
        for path in paths:
            shown = inert(os.path.relpath(path, spec.workspace), 100)
            what = Edit(
                action.step,
                spec.id,
                action.reason,
                self.clock.now(),
                action.stale_after,
                _owner(spec, fleet, path),
                action.again,
            )
            try:
                if said := edit(spec.workspace, path, what, self.wrote):
                    done.append(f"{shown}: {said}")
            except (NotEdited, WorkspaceError) as why:
                left.append(f"{shown}: left alone, {why}")
            except OSError as error:
                left.append(f"{shown}: left alone, {error.strerror or error}")
        told = "; ".join([*done, *left])
        if done:
            return Taken(True, told)
        return Taken(not left, told or ("nothing to do" if paths else "it has no status file"), idle=True)


def status_files(spec: AgentSpec, profile: Profile) -> Sequence[Path]:
    """The agent's status files, a few at most: plain files that fit a rule of its profile."""
    found = dict.fromkeys(
        path
        for rule in profile.status_files
        if rule.kind == "status"
        for path, _ in files(spec.workspace, rule, spec.id)
    )
    return list(found)[:MOST_EDITED]


def _owner(spec: AgentSpec, fleet: Mapping[str, AgentSpec], path: Path) -> Callable[[dict[str, Any]], bool]:
    """Whether a document at `path` is this agent's: it is where no other could keep one, or it says so."""
    others = [one for one in fleet.values() if one.id != spec.id and _may_keep(one, path)]
    known = {spec.id.casefold(), spec.title.casefold()}
    return lambda said: not others or bool(names_in(said) & known)


def _may_keep(spec: AgentSpec, path: Path) -> bool:
    if spec.workspace not in path.parents:
        return False
    rules = (rule for seat in spec.seats for rule in seat.profile.status_files if rule.kind == "status")
    return any(fits(spec.workspace, rule, spec.id, path) for rule in rules)
