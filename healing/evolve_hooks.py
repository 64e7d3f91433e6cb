"""What the agent CLI says of itself by its own hooks (docs/decisions/0019-hooks.md).

A hook knows what a screen only looks like, so its word stands against a screen rule that says otherwise,
until the next hook or until the process ends. Two things a screen may still do, both on the side of leaving
the agent alone: show a question or a limit of which no hook told, and show that a question or a limit is
over, since no CLI has a hook for that a person answered."""

from __future__ import annotations

from typing import Any

from ..config.fleet import AgentSpec
from . import evidence as e
from .agent import HELD, AgentState, Hook, Phase
from .evolve_errors import at_work_again
from .flapping import ASKS, ask
from .judge import life, progress
from .replacing import replace
from .transitions import RESTS, Change, answered, giving_way, settle

_STANDS_AGAINST = {"busy": "idle", "idle": "busy", "waiting": "idle", "limited": "idle"}
"""What a hook told -> what a screen that looks so changes nothing about."""
_WHY = {"busy": "its hook says that a turn is under way", "idle": "its hook says that its turn ended"}


def told(s: AgentState, ev: e.HookTold, spec: AgentSpec) -> Change:
    """Life, and its phase. Progress only where a tool ran to its end."""
    if not s.alive or giving_way(s) or ev.at < s.started:
        return Change(s)
    if s.phase is Phase.LIMITED and ev.phase == "idle":
        return life(s, ev.at, "beat", spec)  # it stands at its prompt until the limit's time is over
    change = at_work_again(s, ev.at) if ev.phase == "busy" else Change(s)
    s = replace(change.state, **_learned(change.state, ev))
    if ev.tool:
        moved = progress(s, ev.at, "beat", f"its tool {ev.tool} ran to its end", spec)
        kept = replace(moved.state, hook=s.hook, screen=s.screen)
        change = change.then(Change(kept, moved.happenings, moved.actions))
    else:
        change = change.then(life(s, ev.at, "beat", spec))
    s = change.state
    if not s.alive or s.phase in HELD or s.phase is Phase.UNKNOWN or giving_way(s):
        return change
    return change.then(_followed(s, ev, spec))


def _learned(s: AgentState, ev: e.HookTold) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "hook": Hook(ev.phase, ev.at, _words(s, ev)),
        "screen": ev.phase,
        "limited_until": None,
        "flip_held": False,
        "ready": True,
    }
    if ev.phase == "waiting":
        fields["message"] = _words(s, ev)
    elif s.hook is not None and s.hook.words and s.message == s.hook.words:
        fields["message"] = ""  # its question, which is answered
    # A tool that ended may be the very one by which it asked; a turn that begins is the answer.
    if ev.phase == "busy" and (s.says in RESTS or (s.says == "awaiting_approval" and not ev.tool)):
        fields["says"] = ""
    return fields


def _words(s: AgentState, ev: e.HookTold) -> str:
    """Its words, or those of the hook before that told of the same question."""
    if ev.words or ev.phase != "waiting":
        return ev.words
    known = s.hook.words if s.hook is not None and s.hook.phase == "waiting" else ""
    return known or "its hook says that it waits for a person"


def _followed(s: AgentState, ev: e.HookTold, spec: AgentSpec) -> Change:
    """Enter the phase it tells of; unlike a screen's it is no flapping."""
    if ev.phase == "waiting":
        return ask(s, Phase.WAITING, ev.at, s.message)
    why = _WHY[ev.phase]
    if s.phase is Phase.LIMITED or (s.phase is Phase.WAITING and s.says != "awaiting_approval"):
        return answered(s, ev.at, spec.policy.verify_within, why)
    if s.incident is not None or s.recovery is not None:
        return Change(s)
    return settle(s, ev.at, why)


def overruled(s: AgentState, ev: e.ScreenMatched) -> AgentState | None:
    """The state, if the screen is to change no phase: a hook told otherwise, or later than that look was."""
    hook = s.hook
    if hook is None or not (ev.at < hook.at or _STANDS_AGAINST[hook.phase] == ev.phase):
        return None
    return replace(s, hook=replace(hook, behind=ev.phase))


def taken_over(s: AgentState, ev: e.ScreenMatched) -> AgentState:
    """What a hook asked, the screen shows too, or shows to be over: from now on the screen tells of it."""
    asked = s.hook is not None and s.hook.phase in ASKS
    return replace(s, hook=None) if asked and (ev.phase in ASKS or ev.phase == "busy") else s


def after_cleared(s: AgentState) -> str:
    """What counts as shown, once no rule holds any more."""
    return s.hook.phase if s.hook is not None else ""
