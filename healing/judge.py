"""What counts as life and what counts as progress (contract.md section 3, "How it is judged")."""

from __future__ import annotations

from typing import Any

from ..config.fleet import AgentSpec
from .agent import HELD, TIMED, AgentState, Phase, Returning, Stage, Trace
from .attribute import without_errors
from .evidence import ConnectionSeen, OutputSeen
from .patience import with_pause
from .repeats import hashed, learn, more_of_them, without_echo
from .replacing import replace
from .seats import seat_of
from .transitions import Change, close_incident, end_attempt, recovered, settle

REPLY = 2.0
"""What the pane shows within this many seconds of our typing is answer to our keys, not evidence: whatever
reads them prints something at once (a shell its "command not found"), at work or not."""


WRITTEN = frozenset({"file", "transcript"})
"""Evidence that stands in files, which others may write as well."""


def anybodys(s: AgentState, kind: str) -> bool:
    """Evidence of this kind can be another's as well, and is not this agent's now: its process is stopped
    (state T) or gone, so that whoever wrote the file, it was not it."""
    return (s.stopped or not s.alive) and kind in WRITTEN


def life(s: AgentState, at: float, kind: str, spec: AgentSpec, **also: Any) -> Change:
    """The agent itself showed that it lives, by evidence of `kind` (a name of its trace).

    `also`: further fields that this evidence sets. Most evidence is life and no more: one new state."""
    if not s.alive and kind != "beat":
        return Change(replace(s, **also) if also else s)
    also["trace"] = traced(also.get("trace", s.trace), kind, at)
    if kind not in spec.liveness:
        return Change(replace(s, **also))
    also["last_life"] = max(s.last_life, at)
    also["last_shown"] = max(s.last_shown, at)
    if s.alive and not s.ready and spec.ready is None:
        s = replace(s, ready=True, **also)
        if s.phase is Phase.STARTING:
            return settle(s, at, f"first {kind}")
        return Change(s)
    return Change(replace(s, **also))


def connected(s: AgentState, ev: ConnectionSeen, spec: AgentSpec) -> Change:
    """It holds a connection to its provider open: it may be waiting for a long answer. That is life, up to
    `tool_timeout` after it lived in another way, and never progress. Who is stopped (state T) waits for
    nothing; and whose process tree's CPU time is no life, its tree's connections are none either."""
    if not s.alive or s.stopped or ev.at < s.started:
        return Change(s)
    s = replace(s, trace=traced(s.trace, "connection", ev.at))
    if "cpu" not in spec.liveness or ev.at > s.last_shown + spec.policy.tool_timeout:
        return Change(s)
    return Change(replace(s, last_life=max(s.last_life, ev.at)))


def traced(trace: Trace, kind: str, at: float) -> Trace:
    """The trace with evidence of `kind` at `at`; what is told late does not make it older."""
    newest = getattr(trace, kind)
    return trace if newest is not None and newest >= at else replace(trace, **{kind: at})


def progress(
    s: AgentState, at: float, kind: str, what: str, spec: AgentSpec, *, solid: bool = True, **also: Any
) -> Change:
    """The agent got somewhere. While an attempt is being verified, this proves it."""
    if anybodys(s, kind):
        return Change(replace(s, **also) if also else s)
    if at < s.started or (s.attached and not solid):
        return life(s, at, kind, spec, **also)
    change = life(s, at, kind, spec, **also, **_got_somewhere(s, at, kind, what, spec, solid=solid))
    s = change.state
    if not solid and _words_prove_nothing(s):
        return change
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
        return change.then(settle(replace(s, says=says, screen="", hook=None, limited_until=None), at, what))
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


def _words_prove_nothing(s: AgentState) -> bool:
    """Whether only something else than output that moves is progress now."""
    if s.incident is None:
        return False
    if s.incident.cause == "looping" or s.trouble is not None:
        return True  # it was printing all along; or what it prints is that it cannot go on
    # A shell's prompt is no work of the CLI that left it.
    tried = s.recovery is not None and s.recovery.stage is Stage.VERIFYING
    return s.incident.cause == "left_agent" and not tried


def _got_somewhere(
    s: AgentState, at: float, kind: str, what: str, spec: AgentSpec, *, solid: bool
) -> dict[str, Any]:
    """The fields that say so. The pause before it is remembered, unless an act of ours may have ended it."""
    fields: dict[str, Any] = {"progress_kind": what} if at >= s.last_progress else {}
    if at > s.last_progress:
        fields |= {"last_progress": at, "quick_looked": None, "returning": Returning()}
        tried = s.recovery is not None or (s.incident is not None and s.incident.attempts)
        if s.phase in TIMED and not tried and not s.attached and s.tending is None:
            pauses = with_pause(s.pauses, at - s.last_progress, spec.policy)
            if pauses is not s.pauses:
                fields["pauses"] = pauses
    if solid and at > s.last_solid:
        fields["last_solid"] = at
    if solid and kind != "cpu" and at > s.last_apart:
        fields |= {"last_apart": at, "chores": ()}
    if solid and s.trouble is not None and at > s.trouble.at:
        fields["trouble"] = None
    return fields


def came_back(s: AgentState, at: float, what: str) -> Change:
    """Close the incident: the agent came back before an act of ours could have brought it."""
    ended = end_attempt(s, at, ok=False, why=f"not needed: {what}")
    return ended.then(close_incident(ended.state, at, "self"))


def reply_window(spec: AgentSpec) -> float:
    """Seconds after our typing, or after a start, in which output proves nothing."""
    return min(REPLY, spec.policy.verify_within / 4)


def seen_output(s: AgentState, ev: OutputSeen, spec: AgentSpec) -> Change:
    """Output is life; lines that are neither repeats nor an echo are progress, for a while."""
    ours = ev.primed or ev.at < s.typed_at + reply_window(spec)
    if not ev.lines:
        return Change(s) if ours else life(s, ev.at, "output", spec)
    lines = ev.lines if s.incident is None else without_errors(ev.lines, seat_of(s, spec).profile.exits)
    seen = hashed(without_echo(lines, s.typed))
    fresh, memory = learn(s.memory, seen, starting=not s.ready or ev.at < s.started + reply_window(spec))
    if ours:
        return Change(replace(s, memory=memory))
    alone = ev.at - s.last_solid > spec.policy.progress_timeout
    if fresh and not alone:
        what = f"{fresh} new line{'s' if fresh > 1 else ''} of output"
        return progress(s, ev.at, "output", what, spec, solid=False, memory=memory)
    if fresh or not seen:
        return life(s, ev.at, "output", spec, memory=memory)
    return life(s, ev.at, "output", spec, memory=memory, returning=_once_more(s, seen, ev.at))


def _once_more(s: AgentState, seen: tuple[int, ...], at: float) -> Returning:
    """One more look that showed nothing new. The lines of this spell are the newest of the memory."""
    before = s.returning
    more = more_of_them(s.memory, seen, before.lines)
    return Returning(before.lines + more, before.looks + 1, before.since if before.looks else at)
