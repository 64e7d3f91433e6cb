"""What the agent says itself, by letter."""

from __future__ import annotations

from ..config.fleet import AgentSpec
from . import evidence as e
from .agent import HELD, AgentState, Happening, Phase, Stage
from .attribute import Death, cause_of
from .endings import fell, finished
from .judge import life, progress
from .masking import mask_secrets
from .replacing import replace
from .seats import seat_of
from .transitions import RESTS, Change, close_task, enter, event, giving_way, settle


def beat(s: AgentState, ev: e.BeatReceived, spec: AgentSpec) -> Change:
    if ev.by_file and s.stopped:
        return Change(s)  # its process stands still: whoever writes its status file, it is not it
    change = life(
        s,
        ev.at,
        "beat",
        spec,
        says=ev.state,
        beats=s.beats + ev.count,
        message=ev.message or s.message,
        progress=ev.progress if ev.progress is not None else s.progress,
        # A prompt seen before it said that it works is of the past.
        screen="" if s.screen == "idle" and ev.state not in RESTS else s.screen,
    )
    s = change.state
    if s.recovery or s.incident or not s.alive or s.phase in HELD or s.phase is Phase.UNKNOWN:
        return change
    return change.then(settle(s, ev.at, f"says {ev.state}"))


def checkpoint(s: AgentState, ev: e.CheckpointReceived, spec: AgentSpec) -> Change:
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


def own_checkpoint(s: AgentState, ev: e.CheckpointTaken, _: AgentSpec) -> Change:
    told = event(s, "checkpoint_stored", ev.at, checkpoint=ev.seq, by="supervisor")
    notes: tuple[Happening, ...] = (told,)
    if ev.unsaved and ev.unsaved != s.unsaved:  # once, not with each checkpoint
        notes = (told, event(s, "checkpoint_incomplete", ev.at, checkpoint=ev.seq, reason=ev.unsaved))
    s = replace(s, checkpoint=ev.seq, resumable=s.resumable or ev.resumable, unsaved=ev.unsaved)
    return Change(s, notes)


def session(s: AgentState, ev: e.SessionLearned, _: AgentSpec) -> Change:
    return Change(replace(s, session=ev.session))


def done(s: AgentState, ev: e.DoneReceived, spec: AgentSpec) -> Change:
    if s.phase in HELD:
        return close_task(s, ev.at, done=True, why=ev.summary)
    if giving_way(s) and s.recovery and (s.recovery.order or s.recovery.stage is Stage.STARTING):
        return Change(s)  # the attempt before, with its last breath; a person wants it run again
    if giving_way(s) and spec.restart == "permanent":
        return Change(s)
    change = life(s, ev.at, "beat", spec)
    if spec.restart != "permanent":
        return change.then(finished(change.state, ev.at, ev.summary or "done letter"))
    change = change.then(progress(change.state, ev.at, "beat", "done letter", spec))
    change = change.then(close_task(change.state, ev.at, done=True, why=ev.summary))
    return change.then(settle(replace(change.state, says="idle"), ev.at))


def fail(s: AgentState, ev: e.FailReceived, spec: AgentSpec) -> Change:
    if s.phase in HELD or giving_way(s):
        return Change(s)
    cause, detail = "unknown", mask_secrets(ev.summary) or "fail letter"
    if ev.exit_code:
        death = Death(ev.exit_code, None, tuple(ev.summary.splitlines()))
        found = cause_of(death, seat_of(s, spec).profile)
        cause, detail = found.name, f"{detail} ({found.detail})"
    return fell(s, ev.at, "failed", cause, detail, spec)


def ask(s: AgentState, ev: e.AskReceived, spec: AgentSpec) -> Change:
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


def refused(s: AgentState, ev: e.LetterRefused, _: AgentSpec) -> Change:
    s = replace(s, bad_letters=s.bad_letters + 1)
    return Change(s, (event(s, "agent_letter_refused", ev.at, reason=ev.reason, count=s.bad_letters),))
