"""evolve: (agent state, evidence) -> agent state. Pure and total; time comes with the evidence.

One agent is touched per evidence. What was learned is written into the state; what to do about it is
decide's business. Evidence about another attempt than the present one changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..config.fleet import AgentSpec
from . import evidence as e
from .agent import HELD, AgentState, Phase, Stage, Strategy
from .attribute import cause_of_exit
from .judge import came_back, life, progress, seen_output
from .obey import obey
from .repeats import learn
from .transitions import (
    ERRANDS,
    Change,
    anew,
    answer,
    answered,
    close_task,
    end_attempt,
    enter,
    event,
    giving_way,
    later,
    open_incident,
    open_task,
    recovered,
    settle,
    settled_phase,
)

TYPED_KEPT = 4


def evolve(s: AgentState, evidence: e.Evidence, spec: AgentSpec) -> Change:
    """The state after `evidence`, with the happenings to be written down. Never raises."""
    return _RULES[type(evidence)](s, evidence, spec)


def _started(s: AgentState, ev: e.ProcessStarted, spec: AgentSpec) -> Change:
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
            started=ev.at,
            ready=spec.liveness == ("process",) and spec.ready is None,
            says="",
            screen="",
            progress=None,
            limited_until=None,
        ),
        ev.at,
    )
    seat = spec.seats[s.seat]
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
        return change.then(_seen_again(s, e.SeenAgain(s.id, ev.at), spec))
    if recovery.strategy is None:
        done = end_attempt(s, ev.at, ok=True, why=f"started as pid {ev.pid}")
        if s.phase in HELD:
            return change.then(done)
        return change.then(done).then(enter(done.state, Phase.STARTING, ev.at))
    verifying = replace(
        recovery, stage=Stage.VERIFYING, issued=True, began=ev.at, due=ev.at + spec.policy.verify_within
    )
    seen = replace(s, recovery=verifying, before_unknown=None)
    return change.then(enter(seen, Phase.RECOVERING, ev.at, "a new attempt is seen"))


def _adopted(s: AgentState, ev: e.ProcessAdopted, spec: AgentSpec) -> Change:
    seen = replace(s, pid=ev.pid, created=ev.created, pane=ev.pane, socket=ev.socket, alive=True)
    s = anew(seen, ev.at)
    change = Change(s, (event(s, "agent_adopted", ev.at, attempt=s.attempt, pid=ev.pid),))
    recovery = s.recovery
    if recovery and recovery.stage is Stage.STARTING and ev.attempt == s.attempt:
        # The daemon died between starting the attempt and writing that it had.
        started = e.ProcessStarted(s.id, ev.at, ev.attempt, ev.pid, ev.created, ev.pane, ev.socket)
        return change.then(_started(s, started, spec))
    if recovery and recovery.stage is Stage.VERIFYING:
        again = replace(recovery, began=ev.at, due=ev.at + spec.policy.verify_within)
        change = change.then(Change(replace(s, recovery=again)))
    return change.then(_seen_again(change.state, e.SeenAgain(s.id, ev.at), spec))


def _exited(s: AgentState, ev: e.ProcessExited, spec: AgentSpec) -> Change:
    if ev.attempt != s.attempt or not s.alive:
        return Change(s)
    ours = s.recovery is not None and s.recovery.stage in (Stage.CLEARING, Stage.STARTING)
    # A program that ends, in whatever way, because its terminal went says nothing of its work.
    hung_up = ev.lost and (ev.status in (None, 0, 129) or ev.signal == 1)
    if hung_up:
        cause, detail = "tmux_lost", "its terminal is gone"
    elif ev.status == 0:
        cause, detail = "unknown", "exit 0"
    else:
        cause, detail = cause_of_exit(ev.status, ev.signal, ev.tail, spec.seats[s.seat].profile)
    # Its last words come again with the next attempt that dies of the same.
    _, memory = learn(s.memory, ev.tail, starting=True)
    s = replace(s, alive=False, stopped=False, cpu_pct=0.0, memory_mb=0.0, threads=0, memory=memory)
    note = event(
        s,
        "agent_exited",
        ev.at,
        status=ev.status,
        signal=ev.signal,
        cause="ended by us" if ours else cause,
        attempt=s.attempt,
    )
    change = Change(s, (note,))
    if ours or s.phase in HELD:
        return change
    if s.phase is Phase.UNKNOWN:
        back = s.before_unknown or Phase.EXITED
        change = change.then(enter(replace(s, before_unknown=None), back, ev.at))
    if ev.status == 0 and not hung_up and spec.restart != "permanent":
        return change.then(_finished(change.state, ev.at, "exit 0"))
    if spec.restart == "temporary":
        change = change.then(end_attempt(change.state, ev.at, ok=False, why=detail))
        change = change.then(close_task(change.state, ev.at, done=False, why=detail))
        return change.then(enter(change.state, Phase.EXITED, ev.at, detail))
    return change.then(_fell(change.state, ev.at, "exited", cause, detail, spec))


def _fell(s: AgentState, at: float, symptom: str, cause: str, detail: str, spec: AgentSpec) -> Change:
    """The agent is down: fail the attempt under way, or open an incident."""
    change = end_attempt(s, at, ok=False, why=f"{symptom} again: {detail}" if s.incident else detail)
    s = change.state
    if s.incident and not spec.policy.recovery.get(cause, ("restart",)):
        # Trouble that no retry heals outranks what the incident began with.
        s = replace(s, incident=replace(s.incident, cause=cause, detail=detail))
    change = change.then(open_incident(s, at, symptom, cause, detail))
    phase = Phase.EXITED if not change.state.alive else Phase.RECOVERING
    return change.then(enter(change.state, phase, at, detail))


def _finished(s: AgentState, at: float, why: str) -> Change:
    """The agent says, by letter or by exit 0, that its work is done: the best progress there is."""
    change = (
        recovered(s, at, f"done ({why})") if s.recovery and s.recovery.stage is Stage.VERIFYING else Change(s)
    )
    if change.state.incident:
        change = change.then(came_back(change.state, at, why))
    change = change.then(close_task(change.state, at, done=True, why=why))
    change = change.noting(event(change.state, "agent_done", at, why=why))
    return change.then(enter(change.state, Phase.DONE, at, why))


def _measured(s: AgentState, ev: e.ProcessMeasured, spec: AgentSpec) -> Change:
    trace = replace(s.trace, process=ev.at)
    s = replace(
        s, trace=trace, cpu_pct=ev.cpu_pct, memory_mb=ev.memory_mb, threads=ev.threads, stopped=ev.stopped
    )
    if not s.alive:
        return Change(s)
    grown_at = ev.at if ev.looked_before is None else max(ev.looked_before, s.started)
    change = life(s, grown_at, "cpu", spec) if ev.cpu_grew else Change(s)
    if any(age <= spec.policy.tool_timeout for age in ev.busy_children):
        change = change.then(progress(change.state, grown_at, "cpu", "a child process worked", spec))
    return change


def _output(s: AgentState, ev: e.OutputSeen, spec: AgentSpec) -> Change:
    return seen_output(s, ev, spec)


def _labelled(s: AgentState, ev: e.PaneLabelled, _: AgentSpec) -> Change:
    return Change(replace(s, title=ev.title, program=ev.program, folder=ev.folder))


def _file(s: AgentState, ev: e.FileChanged, spec: AgentSpec) -> Change:
    return progress(s, ev.at, "file", f"changed {ev.path}", spec)


def _transcript(s: AgentState, ev: e.TranscriptGrew, spec: AgentSpec) -> Change:
    return progress(s, ev.at, "transcript", "its transcript grew", spec)


def _beat(s: AgentState, ev: e.BeatReceived, spec: AgentSpec) -> Change:
    s = replace(
        s,
        says=ev.state,
        message=ev.message or s.message,
        progress=ev.progress if ev.progress is not None else s.progress,
    )
    change = life(s, ev.at, "beat", spec)
    s = change.state
    if s.recovery or s.incident or not s.alive or s.phase in HELD or s.phase is Phase.UNKNOWN:
        return change
    return change.then(settle(s, ev.at, f"says {ev.state}"))


def _checkpoint(s: AgentState, ev: e.CheckpointReceived, spec: AgentSpec) -> Change:
    s = replace(s, checkpoint=ev.seq, resumable=True)
    change = Change(
        s,
        (
            event(
                s,
                "checkpoint_stored",
                ev.at,
                checkpoint=ev.seq,
                by="agent",
                completed=ev.completed,
                files=ev.files,
            ),
        ),
    )
    if ev.new:
        return change.then(
            progress(s, ev.at, "beat", f"checkpoint {ev.seq} with {ev.completed} completed", spec)
        )
    return change.then(life(s, ev.at, "beat", spec))


def _own_checkpoint(s: AgentState, ev: e.CheckpointTaken, _: AgentSpec) -> Change:
    s = replace(s, checkpoint=ev.seq, resumable=s.resumable or ev.resumable)
    return Change(s, (event(s, "checkpoint_stored", ev.at, checkpoint=ev.seq, by="supervisor"),))


def _session(s: AgentState, ev: e.SessionLearned, _: AgentSpec) -> Change:
    return Change(replace(s, session=ev.session))


def _done(s: AgentState, ev: e.DoneReceived, spec: AgentSpec) -> Change:
    if s.phase in HELD:
        return close_task(s, ev.at, done=True, why=ev.summary)
    if giving_way(s) and s.recovery and (s.recovery.order or s.recovery.stage is Stage.STARTING):
        return Change(s)  # the attempt before, with its last breath; a person wants it run again
    if giving_way(s) and spec.restart == "permanent":
        return Change(s)
    change = life(s, ev.at, "beat", spec)
    if spec.restart != "permanent":
        return change.then(_finished(change.state, ev.at, ev.summary or "done letter"))
    change = change.then(progress(change.state, ev.at, "beat", "done letter", spec))
    change = change.then(close_task(change.state, ev.at, done=True, why=ev.summary))
    return change.then(settle(replace(change.state, says="idle"), ev.at))


def _fail(s: AgentState, ev: e.FailReceived, spec: AgentSpec) -> Change:
    if s.phase in HELD or giving_way(s):
        return Change(s)
    cause, detail = "unknown", ev.summary or "fail letter"
    if ev.exit_code:
        cause, words = cause_of_exit(ev.exit_code, None, (), spec.seats[s.seat].profile)
        detail = f"{detail} ({words})"
    return _fell(s, ev.at, "failed", cause, detail, spec)


def _ask(s: AgentState, ev: e.AskReceived, spec: AgentSpec) -> Change:
    note = event(s, "agent_asked", ev.at, question=ev.question, options=list(ev.options))
    if not s.alive or giving_way(s):
        return Change(s, (note,))  # whoever asked is no more
    s = replace(s, says="awaiting_approval", message=ev.question)
    change = Change(s, (note,)).then(life(s, ev.at, "beat", spec))
    if s.phase in HELD or s.phase is Phase.UNKNOWN:
        return change
    if s.incident:
        change = change.then(progress(change.state, ev.at, "beat", "it asked a question", spec))
    return change.then(enter(replace(change.state, ready=True), Phase.WAITING, ev.at, ev.question))


def _screen(s: AgentState, ev: e.ScreenMatched, spec: AgentSpec) -> Change:
    if ev.phase == "ready":
        return _probed(s, e.ReadyProbed(s.id, ev.at, True), spec)
    if not s.alive or giving_way(s):
        return Change(s)
    phase = Phase.LIMITED if ev.phase == "limited" else Phase.WAITING
    s = replace(s, screen=ev.phase, limited_until=ev.until if phase is Phase.LIMITED else None, ready=True)
    if s.phase in HELD or s.phase is Phase.UNKNOWN:
        return Change(s)
    change = Change(s)
    if s.recovery and s.recovery.order:
        why = f"started, and now it is {phase.value}: its screen shows {ev.rule}"
        word = s.recovery.strategy.value if s.recovery.strategy else "start"
        told = answer(s, ev.at, s.recovery.order, word, False, why)
        change = Change(replace(s, recovery=replace(s.recovery, order=None)), (told,))
    return change.then(enter(change.state, phase, ev.at, ev.rule))


def _screen_cleared(s: AgentState, ev: e.ScreenCleared, spec: AgentSpec) -> Change:
    s = replace(s, screen="", limited_until=None)
    if s.phase is Phase.LIMITED or (s.phase is Phase.WAITING and s.says != "awaiting_approval"):
        return answered(s, ev.at, spec.policy.verify_within, "the screen shows it no more")
    return Change(s)


def _probed(s: AgentState, ev: e.ReadyProbed, _: AgentSpec) -> Change:
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


def _refused(s: AgentState, ev: e.LetterRefused, _: AgentSpec) -> Change:
    s = replace(s, bad_letters=s.bad_letters + 1)
    return Change(s, (event(s, "agent_letter_refused", ev.at, reason=ev.reason, count=s.bad_letters),))


def _person(s: AgentState, ev: e.PersonPresent, spec: AgentSpec) -> Change:
    if ev.attached == s.attached:
        return Change(s)
    note = event(s, "operator_attached" if ev.attached else "operator_detached", ev.at)
    state = replace(s, attached=ev.attached)
    if ev.attached:
        return Change(state, (note,))
    # Whatever the agent did not do while a person held it is not held against it; and what is shown now is
    # the echo of the person's last keys, and the pane at its own size again.
    return Change(_given_time(replace(anew(state, ev.at), typed_at=ev.at), ev.at, spec), (note,))


def _typed(s: AgentState, ev: e.Typed, spec: AgentSpec) -> Change:
    s = replace(s, typed=(*s.typed, ev.text[:4000])[-TYPED_KEPT:], typed_at=ev.at)
    if s.phase is not Phase.WAITING:
        return Change(s)
    s = replace(s, says="" if s.says == "awaiting_approval" else s.says)
    if s.screen == "waiting":
        return Change(s)  # answered is what its screen does not ask any more
    return answered(s, ev.at, spec.policy.verify_within, "answered")


def _task(s: AgentState, ev: e.TaskGiven, _: AgentSpec) -> Change:
    return open_task(s, ev.text, ev.at, ev.task)


def _unseen(s: AgentState, ev: e.Unseen, _: AgentSpec) -> Change:
    if s.phase in HELD or s.phase is Phase.UNKNOWN or not s.alive:
        return Change(s)
    return enter(replace(s, before_unknown=s.phase), Phase.UNKNOWN, ev.at, ev.why)


def _seen_again(s: AgentState, ev: e.SeenAgain, spec: AgentSpec) -> Change:
    if s.phase is not Phase.UNKNOWN:
        return Change(s)
    back = s.before_unknown or Phase.WORKING
    s = _given_time(anew(replace(s, before_unknown=None), ev.at), ev.at, spec)
    if s.alive and not giving_way(s) and settled_phase(s) in (Phase.WAITING, Phase.LIMITED):
        back = settled_phase(s)  # what it asked, or its screen showed, meanwhile
    return enter(s, back, ev.at, "seen again")


def _given_time(s: AgentState, at: float, spec: AgentSpec) -> AgentState:
    """An attempt that could not be watched has all its time to prove itself before it, from `at` on."""
    if s.recovery is None or s.recovery.stage is not Stage.VERIFYING:
        return s
    return replace(s, recovery=replace(s.recovery, due=at + spec.policy.verify_within))


def _stalled_ourselves(s: AgentState, ev: e.SupervisorStalled, _: AgentSpec) -> Change:
    """We slept: move every clock of ours on by as much, so that nobody's silence counts."""
    gap = ev.gap
    s = later(s, gap, ev.at)
    if s.task and s.task.ticking_since is not None:
        s = replace(s, task=replace(s.task, ticking_since=s.task.ticking_since + gap))
    if s.recovery and s.recovery.due:
        s = replace(s, recovery=replace(s.recovery, due=s.recovery.due + gap, began=s.recovery.began + gap))
    return Change(s)


def _step(s: AgentState, ev: e.StepFinished, spec: AgentSpec) -> Change:
    if s.errand and ev.key == s.errand.key:
        return _errand_over(s, ev)
    recovery = s.recovery
    if recovery is None or ev.key != recovery.key:
        return Change(s)
    if recovery.stage is Stage.CLEARING:
        return _cleared(s, ev)
    if recovery.stage is Stage.STARTING and not ev.ok:
        return _fell(s, ev.at, "exited", "permission" if ev.denied else "crash", ev.why, spec)
    if recovery.stage is Stage.VERIFYING and not ev.ok:
        return end_attempt(s, ev.at, ok=False, why=ev.why)
    # Typing takes its time; what comes in reply to the keys comes after the last of them.
    return Change(replace(s, typed_at=ev.at) if recovery.strategy is Strategy.NUDGE else s)


def _cleared(s: AgentState, ev: e.StepFinished) -> Change:
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
        resumable=ev.resumable,
        recovery=replace(recovery, stage=Stage.STARTING, issued=False),
    )
    return Change(state)


def _errand_over(s: AgentState, ev: e.StepFinished) -> Change:
    errand = s.errand
    assert errand is not None
    change = Change(replace(s, errand=None))
    if errand.order:
        change = change.noting(answer(s, ev.at, errand.order, ERRANDS[errand.kind], ev.ok, ev.why or "done"))
    elif not ev.ok:
        change = change.noting(event(s, "agent_errand_failed", ev.at, errand=errand.kind, why=ev.why))
    return change


_RULES: dict[type, Callable[[AgentState, Any, AgentSpec], Change]] = {
    e.ProcessStarted: _started,
    e.ProcessAdopted: _adopted,
    e.ProcessExited: _exited,
    e.ProcessMeasured: _measured,
    e.OutputSeen: _output,
    e.PaneLabelled: _labelled,
    e.FileChanged: _file,
    e.TranscriptGrew: _transcript,
    e.ScreenMatched: _screen,
    e.ScreenCleared: _screen_cleared,
    e.ReadyProbed: _probed,
    e.BeatReceived: _beat,
    e.CheckpointReceived: _checkpoint,
    e.CheckpointTaken: _own_checkpoint,
    e.SessionLearned: _session,
    e.DoneReceived: _done,
    e.FailReceived: _fail,
    e.AskReceived: _ask,
    e.LetterRefused: _refused,
    e.PersonPresent: _person,
    e.Typed: _typed,
    e.TaskGiven: _task,
    e.Unseen: _unseen,
    e.SeenAgain: _seen_again,
    e.SupervisorStalled: _stalled_ourselves,
    e.Ordered: obey,
    e.StepFinished: _step,
}
