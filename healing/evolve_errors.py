"""Trouble of an agent that lives: an error that its hook, transcript or screen tells of, or a CLI that left.

Only what the CLI itself says in its own place counts, never prose: see TranscriptRule.errors and screen rules
of phase `error` in config/fleet.py. One that waits, is held, or is just being replaced is left alone."""

from __future__ import annotations

from ..config.fleet import AgentSpec
from . import evidence as e
from .agent import HELD, AgentState, Hook, Phase, Stage, Trouble
from .endings import fell, found_out
from .judge import came_back
from .provider_limits import waits_until
from .replacing import replace
from .seats import seat_of
from .transitions import Change, answered, enter, event, giving_way, settle

ALONE = HELD | {Phase.UNKNOWN, Phase.WAITING, Phase.LIMITED}
"""Phases in which an error changes nothing but what is shown."""


def error(s: AgentState, ev: e.ErrorShown, spec: AgentSpec) -> Change:
    if not s.alive or giving_way(s) or ev.at < s.started:
        return Change(s)
    s = replace(s, trouble=Trouble(ev.cause, ev.line, ev.at, ev.source))
    hooked = s.hook is not None and s.hook.phase == "busy"
    if ev.source != "hook":
        s = turn_failed(s, shown="error" if ev.source == "screen" else "")
    elif s.phase is not Phase.LIMITED:
        s = replace(s, screen="idle", hook=Hook("idle", ev.at))  # its turn is over
    note = event(s, "agent_error_shown", ev.at, cause=ev.cause, line=ev.line, source=ev.source)
    change = Change(s, (note,))
    if ev.source == "hook" and s.phase is Phase.WAITING and s.says != "awaiting_approval":
        change = change.then(answered(s, ev.at, spec.policy.verify_within, "its turn is over"))
        s = change.state
    if s.phase in ALONE:
        return change
    if s.recovery is not None and s.recovery.stage is Stage.VERIFYING:
        return change  # a session that was brought back shows its past first; its time to prove itself judges
    if (until := waits_until(ev.cause, ev.at, ev.until)) is not None:
        return change.then(_limited(s, ev, until))
    detail = f"its {ev.source} says: {ev.line}"
    if s.incident is not None:
        return change.then(found_out(s, ev.at, ev.cause, detail, spec))
    if s.task is None and spec.policy.recovery.get(ev.cause, ("restart",)):
        # Whoever asked it something looks at it; nobody but a person logs it in.
        return change.then(settle(s, ev.at, detail)) if hooked or ev.source == "hook" else change
    return change.then(fell(s, ev.at, "error", ev.cause, detail, spec))


def turn_failed(s: AgentState, *, shown: str) -> AgentState:
    """Another source than a hook tells of an error that ended its turn, for which not every CLI has a hook:
    what the screen shows counts again."""
    if s.hook is None or s.hook.phase != "busy":
        return replace(s, screen=shown) if shown else s
    return replace(s, hook=None, screen=shown or s.hook.behind)


def _limited(s: AgentState, ev: e.ErrorShown, until: float) -> Change:
    """Its provider named a time; it lives, and waits as it does when its screen says so."""
    hook = Hook("limited", ev.at) if ev.source == "hook" else s.hook
    return enter(replace(s, screen="limited", limited_until=until, hook=hook), Phase.LIMITED, ev.at, ev.line)


def at_work_again(s: AgentState, at: float) -> Change:
    """Its screen shows that it works: an error of which nothing has been tried yet was not its last word."""
    s = replace(s, trouble=None)
    incident = s.incident
    waits = s.recovery is None or s.recovery.stage is Stage.BACKOFF
    if incident is None or incident.symptom != "error" or incident.attempts or s.phase in ALONE or not waits:
        return Change(s)
    back = came_back(s, at, "its screen shows that it works again")
    return back.then(enter(back.state, Phase.WORKING, at, "it works again"))


def cli_looked_after(s: AgentState, ev: e.ProcessMeasured, spec: AgentSpec) -> Change:
    """Whether the CLI is where it should be, under the shell that the agent's command is."""
    before, s = s.cli, replace(s, cli=ev.cli)
    name = seat_of(s, spec).profile.name
    incident, recovery = s.incident, s.recovery
    if ev.cli == "there":
        waits = recovery is None or recovery.stage is Stage.BACKOFF
        if incident is None or incident.cause != "left_agent" or not waits or s.phase in ALONE:
            return Change(s)
        back = came_back(s, ev.at, f"{name} runs again")
        return back.then(enter(back.state, Phase.WORKING, ev.at, f"{name} runs again"))
    if ev.cli != "gone" or giving_way(s) or s.phase in HELD or s.phase is Phase.UNKNOWN:
        return Change(s)
    if before == "gone" and incident is not None:
        return Change(s)
    return fell(s, ev.at, "exited", "left_agent", f"{name} ended, and the shell above it is back", spec)
