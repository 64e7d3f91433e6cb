"""evolve: (agent state, evidence) -> agent state. Pure and total; time comes with the evidence.

One agent is touched per evidence. What was learned is written into the state; what to do about it is
decide's business. Evidence about another attempt than the present one changes nothing. The rules are sorted
by who tells: evolve_process, evolve_letters, evolve_hooks, evolve_screens, evolve_sight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..config.fleet import AgentSpec
from . import evidence as e
from . import evolve_bounds as fleet_bounds
from . import evolve_errors as errors
from . import evolve_family as family
from . import evolve_hooks as hooks
from . import evolve_letters as letters
from . import evolve_process as process
from . import evolve_screens as screens
from . import evolve_sight as sight
from . import evolve_usage as spending
from .agent import AgentState
from .judge import connected, progress, seen_output
from .obey import obey
from .replacing import replace
from .seats import in_force
from .transitions import Change, open_task


def evolve(s: AgentState, evidence: e.Evidence, spec: AgentSpec) -> Change:
    """The state after `evidence`, with the happenings to be written down. Never raises."""
    return _RULES[type(evidence)](s, evidence, in_force(s, spec))


def _labelled(s: AgentState, ev: e.PaneLabelled, _: AgentSpec) -> Change:
    return Change(replace(s, title=ev.title, program=ev.program, folder=ev.folder))


def _file(s: AgentState, ev: e.FileChanged, spec: AgentSpec) -> Change:
    return progress(s, ev.at, "file", f"changed {ev.path}", spec)


def _transcript(s: AgentState, ev: e.TranscriptGrew, spec: AgentSpec) -> Change:
    return progress(s, ev.at, "transcript", "its transcript grew", spec)


def _task(s: AgentState, ev: e.TaskGiven, _: AgentSpec) -> Change:
    return open_task(s, ev.text, ev.at, ev.task)


_RULES: dict[type, Callable[[AgentState, Any, AgentSpec], Change]] = {
    e.ProcessStarted: process.started,
    e.ProcessAdopted: process.adopted,
    e.ProcessExited: process.exited,
    e.ProcessMeasured: process.measured,
    e.ConnectionSeen: connected,
    e.OutputSeen: seen_output,
    e.PaneLabelled: _labelled,
    e.FileChanged: _file,
    e.TranscriptGrew: _transcript,
    e.ScreenMatched: screens.screen,
    e.ScreenCleared: screens.cleared,
    e.ErrorShown: errors.error,
    e.HookTold: hooks.told,
    e.ReadyProbed: screens.probed,
    e.BeatReceived: letters.beat,
    e.CheckpointReceived: letters.checkpoint,
    e.CheckpointTaken: letters.own_checkpoint,
    e.SessionLearned: letters.session,
    e.DoneReceived: letters.done,
    e.FailReceived: letters.fail,
    e.AskReceived: letters.ask,
    e.LetterRefused: letters.refused,
    e.PersonPresent: sight.person,
    e.Typed: sight.typed,
    e.TaskGiven: _task,
    e.Unseen: sight.unseen,
    e.PaneLost: sight.pane_lost,
    e.SeenAgain: sight.seen_again,
    e.SupervisorStalled: sight.stalled_ourselves,
    e.Ordered: obey,
    e.StepFinished: process.step,
    e.DecidersKnown: family.deciders,
    e.Decided: family.decided,
    e.ChildrenRecovering: family.recovering,
    e.ChildrenWell: family.well,
    e.HeldBack: fleet_bounds.held_back,
    e.LetGo: fleet_bounds.let_go,
    e.CauseShared: fleet_bounds.cause_shared,
    e.UsageTold: spending.usage,
    e.BudgetJudged: spending.judged,
}
