"""What its screen shows, by the profile's rules, and whether its `ready` probe passes."""

from __future__ import annotations

from typing import Any

from ..config.fleet import AgentSpec
from . import evidence as e
from .agent import AgentState, Phase, Stage, Trouble
from .evolve_errors import at_work_again
from .evolve_hooks import after_cleared, overruled, taken_over
from .flapping import ASKS, follow_screen
from .replacing import replace
from .transitions import RESTS, Change, giving_way, recovered, settle


def screen(s: AgentState, ev: e.ScreenMatched, spec: AgentSpec) -> Change:
    if ev.phase == "ready":
        return probed(s, e.ReadyProbed(s.id, ev.at, True), spec)
    if not s.alive or giving_way(s):
        return Change(s)
    if (told := overruled(s, ev)) is not None:
        return Change(told)
    s = taken_over(s, ev)
    if ev.phase == "busy":
        change = at_work_again(s, ev.at)
        return change.then(_shown(change.state, ev, spec))
    return _shown(s, ev, spec)


def _shown(s: AgentState, ev: e.ScreenMatched, spec: AgentSpec) -> Change:
    screen = f"dialog {ev.rule}" if ev.phase == "dialog" else ev.phase
    shown: dict[str, Any] = {
        "screen": screen,
        "limited_until": _ends(s, ev) if ev.phase == "limited" else None,
    }
    shown["trouble"] = _but_of_screen(s)
    if ev.phase in ASKS:
        shown["ready"] = True
    if ev.phase == "busy" and s.says in RESTS:
        shown["says"] = ""  # said before it began to work again
    return follow_screen(replace(s, **shown), ev.at, spec, ev.rule)


def _ends(s: AgentState, ev: e.ScreenMatched) -> float | None:
    """When the limit ends that it shows; where it names no time, as another source told it."""
    known = s.limited_until if s.phase is Phase.LIMITED else None
    return known if ev.until is None and known is not None and known > ev.at else ev.until


def cleared(s: AgentState, ev: e.ScreenCleared, spec: AgentSpec) -> Change:
    if s.hook is not None and s.screen == s.hook.phase:
        return Change(replace(s, hook=replace(s.hook, behind="")))  # it was not the screen that told of it
    s = replace(s, screen=after_cleared(s), limited_until=None, trouble=_but_of_screen(s))
    return follow_screen(s, ev.at, spec, "the screen shows it no more")


def _but_of_screen(s: AgentState) -> Trouble | None:
    """The error that its transcript told of; one that its screen showed is not shown any more."""
    return s.trouble if s.trouble is not None and s.trouble.source != "screen" else None


def probed(s: AgentState, ev: e.ReadyProbed, _: AgentSpec) -> Change:
    if not ev.ok or not s.alive:
        return Change(s)
    s = replace(s, ready=True)
    recovery = s.recovery
    if recovery and recovery.stage is Stage.VERIFYING:
        # Up is not the same as at work: with a task open only progress proves the attempt.
        if recovery.ended and s.task is None:
            change = recovered(s, ev.at, "its ready probe passes")
            return change.then(settle(change.state, ev.at))
        return Change(s)
    return settle(s, ev.at, "ready") if s.phase is Phase.STARTING else Change(s)
