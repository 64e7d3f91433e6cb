"""The phase that a screen asks for, followed no more than twice within two heartbeat intervals.

A dialog that is drawn and hidden again, or a rule that fits half of the time, must not make a phase flicker.
What is not followed at once is followed when the time is over, if the screen still asks for it; exits and
letters are never held back.
"""

from __future__ import annotations

from ..config.fleet import AgentSpec
from .agent import HELD, AgentState, Phase
from .replacing import replace
from .transitions import Change, answer, answered, enter, giving_way, settle, settled_phase

ASKS = {"waiting": Phase.WAITING, "limited": Phase.LIMITED}
"""What a screen shows -> the phase that means it, whatever else is under way."""


def follow_screen(s: AgentState, at: float, spec: AgentSpec, why: str) -> Change:
    """Enter the phase that the screen asks for, now or, when it flaps, later."""
    if not wants_flip(s):
        return Change(replace(s, flip_held=False) if s.flip_held else s)
    if not may_flip(s, at, spec):
        return Change(s if s.flip_held else replace(s, flip_held=True))
    s = flipped(s, at)
    asked = ASKS.get(s.screen)
    if asked is not None:
        return ask(s, asked, at, why)
    if s.phase in (Phase.WAITING, Phase.LIMITED):
        return answered(s, at, spec.policy.verify_within, why)
    return settle(s, at, why)


def wants_flip(s: AgentState) -> bool:
    """Its screen asks for another phase than the one it is in."""
    if not s.alive or s.phase in HELD or s.phase is Phase.UNKNOWN or giving_way(s):
        return False
    asked = ASKS.get(s.screen)
    if asked is not None:
        return s.phase is not asked
    if s.phase is Phase.LIMITED or (s.phase is Phase.WAITING and s.says != "awaiting_approval"):
        return True
    resting_or_not = s.phase in (Phase.IDLE, Phase.WORKING) and s.incident is None and s.recovery is None
    return resting_or_not and settled_phase(s) is not s.phase


def may_flip(s: AgentState, at: float, spec: AgentSpec) -> bool:
    return len(s.flips) < 2 or at >= held_until(s, spec)


def held_until(s: AgentState, spec: AgentSpec) -> float:
    """Engine time from which its screen may change its phase again, after two times."""
    return s.flips[0] + 2 * spec.policy.heartbeat_interval if s.flips else 0.0


def flipped(s: AgentState, at: float) -> AgentState:
    return replace(s, flips=(*s.flips, at)[-2:], flip_held=False)


def unheard(s: AgentState) -> bool:
    """Its screen asks or shows a limit, and only its flapping keeps it from that phase: hands off as well."""
    return s.flip_held and s.screen in ASKS and wants_flip(s)


def ask(s: AgentState, asked: Phase, at: float, why: str) -> Change:
    change = Change(s)
    if s.recovery and s.recovery.order:
        words = f"started, and now it is {asked.value}: its screen shows {why}"
        word = s.recovery.strategy.value if s.recovery.strategy else "start"
        told = answer(s, at, s.recovery.order, word, False, words)
        change = Change(replace(s, recovery=replace(s.recovery, order=None)), (told,))
    return change.then(enter(change.state, asked, at, why))
