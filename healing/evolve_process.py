"""What the process table and our own steps say: an attempt began, was found again, works, ended."""

from __future__ import annotations

from typing import Any

from ..config.fleet import AgentSpec
from . import evidence as e
from . import nudges
from .agent import GIVING_WAY, HELD, AgentState, Phase, Stage
from .asking import alert_key, open_question
from .attribute import Cause, Death, cause_of, last_words
from .chores import at_work
from .endings import fell, finished
from .evolve_errors import cli_looked_after
from .evolve_sight import seen_again
from .interrupters import interrupter
from .judge import life, progress, traced
from .repeats import hashed, learn
from .replacing import replace
from .seats import in_force, seat_of
from .transitions import (
    ERRANDS,
    Change,
    anew,
    answer,
    close_task,
    end_attempt,
    enter,
    event,
    open_incident,
    settled_phase,
)


def started(s: AgentState, ev: e.ProcessStarted, spec: AgentSpec) -> Change:
    if ev.attempt != s.attempt:
        return Change(s)
    s = anew(
        replace(
            s,
            pid=ev.pid,
            created=ev.created,
            pane=ev.pane,
            socket=ev.socket,
            alive=True,
            stopped=False,
            stopped_child="",
            moved=None,
            last_words=(),
            started=ev.at,
            ready=spec.liveness == ("process",) and spec.ready is None,
            says="",
            screen="",
            hook=None,
            flips=(),
            flip_held=False,
            progress=None,
            limited_until=None,
            trouble=None,
            cli="",
            nudging=None,
        ),
        ev.at,
    )
    seat = seat_of(s, spec)
    change = Change(
        s,
        (
            event(
                s,
                "agent_started",
                ev.at,
                attempt=s.attempt,
                pid=ev.pid,
                profile=seat.profile.name,
                model=seat.model,
            ),
        ),
    )
    recovery = s.recovery
    if recovery is None or recovery.stage is not Stage.STARTING:
        return change.then(seen_again(s, e.SeenAgain(s.id, ev.at), spec))
    if recovery.strategy is None:
        done = end_attempt(s, ev.at, ok=True, why=f"started as pid {ev.pid}")
        if s.phase in HELD:
            return change.then(done)
        # Whose life is its process alone is up with it; anybody else shows first that it lives.
        return change.then(done).then(enter(done.state, settled_phase(done.state), ev.at))
    due = ev.at + spec.policy.verify_within
    verifying = replace(recovery, stage=Stage.VERIFYING, issued=True, began=ev.at, due=due, briefing=None)
    seen = replace(s, recovery=verifying, before_unknown=None)
    return change.then(enter(seen, Phase.RECOVERING, ev.at, "a new attempt is seen"))


def adopted(s: AgentState, ev: e.ProcessAdopted, spec: AgentSpec) -> Change:
    seen = replace(s, pid=ev.pid, created=ev.created, pane=ev.pane, socket=ev.socket, alive=True)
    s = nudges.found_again(anew(seen, ev.at), ev.at)
    change = Change(s, (event(s, "agent_adopted", ev.at, attempt=s.attempt, pid=ev.pid),))
    recovery = s.recovery
    if recovery and recovery.stage is Stage.STARTING and ev.attempt == s.attempt:
        # The daemon died between starting the attempt and writing that it had.
        begun = e.ProcessStarted(s.id, ev.at, ev.attempt, ev.pid, ev.created, ev.pane, ev.socket)
        return change.then(started(s, begun, spec))
    if recovery and recovery.stage is Stage.VERIFYING:
        again = replace(recovery, began=ev.at, due=ev.at + spec.policy.verify_within)
        change = change.then(Change(replace(s, recovery=again)))
    return change.then(seen_again(change.state, e.SeenAgain(s.id, ev.at), spec))


def exited(s: AgentState, ev: e.ProcessExited, spec: AgentSpec) -> Change:
    if ev.attempt != s.attempt or not s.alive:
        return Change(s)
    ours = s.recovery is not None and s.recovery.stage in GIVING_WAY
    # A program that ends, in whatever way, because its terminal went says nothing of its work.
    hung_up = ev.lost and (ev.status in (None, 0, 129) or ev.signal == 1)
    found = _cause(s, ev, spec, hung_up=hung_up)
    cause, detail = found.name, found.detail
    # Its last words come again with the next attempt that dies of the same.
    _, memory = learn(s.memory, hashed(ev.tail), starting=True)
    said = () if ours or ev.status == 0 else last_words(ev.tail)
    gone: dict[str, Any] = {"alive": False, "stopped": False, "stopped_child": "", "moved": None}
    if not ours:
        gone["last_words"] = said
    s = replace(s, cpu_pct=0.0, memory_mb=0.0, threads=0, memory=memory, **gone)
    note = event(
        s,
        "agent_exited",
        ev.at,
        status=ev.status,
        signal=ev.signal,
        cause="ended by us" if ours else cause,
        detail=detail,
        attempt=s.attempt,
        **({"said": list(said)} if said else {}),
    )
    change = Change(s, (note,))
    if ours or s.phase in HELD:
        return change
    if s.phase is Phase.UNKNOWN:
        back = s.before_unknown or Phase.EXITED
        change = change.then(enter(replace(s, before_unknown=None), back, ev.at))
    if ev.status == 0 and not hung_up and spec.restart != "permanent":
        return change.then(finished(change.state, ev.at, "exit 0"))
    if spec.restart == "temporary":
        change = change.then(end_attempt(change.state, ev.at, ok=False, why=detail))
        change = change.then(close_task(change.state, ev.at, done=False, why=detail))
        return change.then(enter(change.state, Phase.EXITED, ev.at, detail))
    return change.then(fell(change.state, ev.at, "exited", cause, detail, spec, ev.until))


def _cause(s: AgentState, ev: e.ProcessExited, spec: AgentSpec, *, hung_up: bool) -> Cause:
    if hung_up:
        return Cause("tmux_lost", "its terminal is gone")
    if ev.status == 0:
        return Cause("unknown", "exit 0")
    death = Death(ev.status, ev.signal, ev.tail, ev.oom, interrupter(s, ev.at, ev.pressure))
    return cause_of(death, seat_of(s, spec).profile)


def measured(s: AgentState, ev: e.ProcessMeasured, spec: AgentSpec) -> Change:
    if ev.at < s.started:
        return Change(s)  # it was of the process before
    seen: dict[str, Any] = {
        "trace": traced(s.trace, "process", ev.at),
        "cpu_pct": ev.cpu_pct,
        "memory_mb": ev.memory_mb,
        "threads": ev.threads,
        "stopped": ev.stopped,
        "stopped_child": ev.stopped_child,
        "moved": ev.moved,
    }
    if not s.alive:
        return Change(replace(s, **seen))
    if ev.cli or s.cli:
        change = cli_looked_after(s, ev, spec)
        return change.then(_work(change.state, ev, spec, seen))
    return _work(s, ev, spec, seen)


def _work(s: AgentState, ev: e.ProcessMeasured, spec: AgentSpec, seen: dict[str, Any]) -> Change:
    grown_at = ev.at if ev.looked_before is None else max(ev.looked_before, s.started)
    chores, overlong = at_work(s, ev, spec.policy.tool_timeout)
    seen |= {"chores": chores, "overlong": overlong}
    if ev.busy_children and not overlong:
        return progress(s, grown_at, "cpu", "a child process worked", spec, **seen)
    return life(s, grown_at, "cpu", spec, **seen) if ev.cpu_grew else Change(replace(s, **seen))


def step(s: AgentState, ev: e.StepFinished, spec: AgentSpec) -> Change:
    if s.errand and ev.key == s.errand.key:
        return _errand_over(s, ev)
    if nudges.is_step(s, ev):
        return nudges.stepped(s, ev, spec)
    recovery = s.recovery
    if recovery is None or ev.key != recovery.key:
        return _alerted(s, ev)
    if recovery.stage is Stage.CLEARING:
        return _cleared(s, ev, spec)
    if recovery.stage is Stage.STARTING and not ev.ok:
        return fell(s, ev.at, "exited", "permission" if ev.denied else "crash", ev.why, spec)
    return Change(s)


def _cleared(s: AgentState, ev: e.StepFinished, spec: AgentSpec) -> Change:
    """The old tree is seen dead and its inbox drained: the next attempt may begin."""
    recovery = s.recovery
    assert recovery is not None
    if not ev.ok:
        s = replace(s, undead=s.undead or ev.undead)
        change = end_attempt(s, ev.at, ok=False, why=ev.why)
        return change.then(open_incident(change.state, ev.at, "exited", "unknown", ev.why))
    state = replace(
        s,
        alive=False,
        pid=None,
        attempt=s.attempt + 1,
        seat=recovery.seat,
        hand=recovery.hand,
        resumable=ev.resumable,
        recovery=replace(recovery, stage=Stage.STARTING, issued=False),
    )
    if seat_of(state, spec).profile.name != seat_of(s, spec).profile.name:
        state = replace(state, session=None)  # another CLI cannot bring that session back
    if state.recovery is not None and in_force(state, spec).policy is not spec.policy:
        longer = replace(state.recovery, longer=spec.policy.reassign_timeout_factor)
        state = replace(state, recovery=longer)
    return Change(state)


def _alerted(s: AgentState, ev: e.StepFinished) -> Change:
    """Who cannot be told cannot answer: then the policy decides at once."""
    asked, incident = open_question(s), s.incident
    if ev.ok or asked is None or incident is None or ev.key != alert_key(incident, asked):
        return Change(s)
    over = replace(asked, over=f"{asked.ancestor} could not be told: {ev.why}")
    note = event(s, "agent_decider_silent", ev.at, decider=asked.ancestor, n=asked.n, why=over.over)
    return Change(replace(s, incident=replace(incident, asked=over)), (note,))


def _errand_over(s: AgentState, ev: e.StepFinished) -> Change:
    errand = s.errand
    assert errand is not None
    change = Change(replace(s, errand=None))
    if errand.order:
        change = change.noting(answer(s, ev.at, errand.order, ERRANDS[errand.kind], ev.ok, ev.why or "done"))
    elif not ev.ok:
        change = change.noting(event(s, "agent_errand_failed", ev.at, errand=errand.kind, why=ev.why))
    return change
