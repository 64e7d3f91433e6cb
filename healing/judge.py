"""What counts as life and what counts as progress (contract.md section 3, "How it is judged")."""

from __future__ import annotations

from dataclasses import replace

from ..config.fleet import AgentSpec
from .agent import HELD, AgentState, Phase, Stage
from .evidence import OutputSeen
from .repeats import learn, without_echo
from .transitions import Change, close_incident, end_attempt, recovered, settle

REPLY = 2.0
"""What the pane shows within this many seconds of our typing is answer to our keys, not evidence: whatever
reads them prints something at once (a shell its "command not found"), at work or not."""


def life(s: AgentState, at: float, kind: str, spec: AgentSpec) -> Change:
    """The agent itself showed that it lives, by evidence of `kind` (a name of its trace)."""
    if not s.alive and kind != "beat":
        return Change(s)
    s = replace(s, trace=replace(s.trace, **{kind: at}))
    if kind not in spec.liveness:
        return Change(s)
    s = replace(s, last_life=max(s.last_life, at))
    if s.alive and not s.ready and spec.ready is None:
        s = replace(s, ready=True)
        if s.phase is Phase.STARTING:
            return settle(s, at, f"first {kind}")
    return Change(s)


def progress(
    s: AgentState, at: float, kind: str, what: str, spec: AgentSpec, *, solid: bool = True
) -> Change:
    """The agent got somewhere. While an attempt is being verified, this proves it."""
    change = life(s, at, kind, spec)
    s = change.state
    if at < s.started or (s.attached and not solid):
        return change
    s = replace(
        s,
        last_progress=max(s.last_progress, at),
        progress_kind=what,
        last_solid=max(s.last_solid, at) if solid else s.last_solid,
    )
    change = change.then(Change(s))
    if not solid and s.incident and s.incident.cause == "looping":
        return change  # it was printing all along; only something else that moves ends this one
    recovery = s.recovery
    if recovery and recovery.stage is Stage.VERIFYING:
        # What was done before our act proves nothing; nor what is printed at a start, or at dying.
        if at < recovery.began + (0.0 if solid else reply_window(spec)):
            return change
        # A start ends where the program says so itself; a resumed one first prints its whole past.
        if not solid and recovery.ended and spec.ready is not None and not s.ready:
            return change
        ready = replace(s, ready=True)
        proved = recovered(ready, at, what)
        return change.then(proved).then(settle(proved.state, at, what))
    # What it did just before it asked is told a moment after.
    if s.phase in (Phase.WAITING, Phase.LIMITED) and solid and not s.incident and at > s.since + REPLY:
        says = "" if s.says == "awaiting_approval" else s.says
        return change.then(settle(replace(s, says=says, screen="", limited_until=None), at, what))
    if (
        s.incident
        and s.incident.cause != "deadline"  # time past does not come back
        and s.incident.symptom
        != "failed"  # it said itself that it cannot; what it prints on takes nothing back
        and s.alive
        and s.phase not in HELD
        and (recovery is None or recovery.stage is Stage.BACKOFF)
    ):
        back = came_back(s, at, what)
        return change.then(back).then(settle(replace(back.state, ready=True), at, what))
    return change


def came_back(s: AgentState, at: float, what: str) -> Change:
    """Close the incident: the agent came back before an act of ours could have brought it."""
    ended = end_attempt(s, at, ok=False, why=f"not needed: {what}")
    return ended.then(close_incident(ended.state, at, "self"))


def reply_window(spec: AgentSpec) -> float:
    """Seconds after our typing, or after a start, in which output proves nothing."""
    return min(REPLY, spec.policy.verify_within / 4)


def seen_output(s: AgentState, ev: OutputSeen, spec: AgentSpec) -> Change:
    """Output is life; lines that are neither repeats nor an echo are progress, for a while."""
    lines = without_echo(ev.lines, s.typed)
    fresh, memory = learn(s.memory, lines, starting=not s.ready or ev.at < s.started + reply_window(spec))
    s = replace(s, memory=memory)
    if ev.primed or ev.at < s.typed_at + reply_window(spec):
        return Change(s)
    alone = ev.at - s.last_solid > spec.policy.progress_timeout
    if not fresh or alone:
        return life(s, ev.at, "output", spec)
    return progress(
        s, ev.at, "output", f"{fresh} new line{'s' if fresh > 1 else ''} of output", spec, solid=False
    )
