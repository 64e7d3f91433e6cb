"""decide: (agent state, now) -> what is to be done, and the state that says it is under way.

Pure. Called only for agents that are due (see `due`). Whatever it asks for is written to the ledger with
the new state before it is done; a step already handed out is not handed out again.
"""

from __future__ import annotations

from ..config.fleet import AgentSpec
from . import nudges
from .actions import Action, ClearGround, ClearMarker, EndTree, Escalate, StartAttempt
from .agent import (
    GIVING_WAY,
    WAITING_OUT,
    AgentState,
    Errand,
    Happening,
    Incident,
    Phase,
    Recovery,
    Stage,
    Strategy,
)
from .asking import answer_due, counsel
from .detect import awaited, deadline_awaited, noticed
from .endings import found_out, in_vain
from .evolve_usage import hold, wants_hold
from .flapping import flipped, follow_screen, held_until, may_flip, unheard, wants_flip
from .foreseen import climb
from .holding import HANDS_OFF, hold_ends
from .ladder import Rung, delay_before, next_rung
from .provider_limits import free, limit_over, spent_wait
from .replacing import replace
from .seats import in_force, seat_of, seated, timeouts
from .transitions import (
    Change,
    answered,
    attempted,
    counted,
    end_attempt,
    enter,
    event,
    open_incident,
    recovered,
    send_errand,
    settle,
)

_RECOVERY = Recovery(None, Stage.BACKOFF, "", 0)


def decide(s: AgentState, spec: AgentSpec, now: float) -> Change:
    """What is due for this agent at `now`. An incident that opens is left at that: the guards hear of it
    before anything is done about it, and it is due at once again."""
    spec = in_force(s, spec)
    change = _errand(s) if s.errand is not None else Change(s)
    if s.flip_held:
        change = change.then(_late_flip(change.state, spec, now))
    if wants_hold(change.state):
        return change.then(hold(change.state, now))
    if (found := _detect(change.state, spec, now)) is not None:
        change = change.then(found)
        if change.state.incident is not None and s.incident is None:
            return change
    change = change.then(_recovery(change.state, spec, now))
    s = change.state
    if s.nudging is not None and not s.nudging.issued:
        change = change.then(nudges.go_on(s, spec, now, resting=_hands_off(s)))
        s = change.state
    if s.incident is not None and s.limited_until is None:
        return change
    return change.then(_quiet_times(s, spec, now))


def due(s: AgentState, spec: AgentSpec) -> float | None:
    """Engine time at which `decide` may next have something to say; None: not before new evidence."""
    spec = in_force(s, spec)
    if (s.errand and not s.errand.issued) or wants_hold(s):
        return 0.0
    times = []
    if s.recovery is not None or s.incident is not None:
        times.append(_step_due(s, spec))
    if s.nudging is not None and not s.nudging.issued:
        times.append(nudges.due(s, spec, resting=_hands_off(s)))
    if s.incident is not None:
        times.append(deadline_awaited(s, spec))
    else:
        times += awaited(s, spec)
        if s.healthy_since is not None and _spent(s):
            times.append(s.healthy_since + spec.policy.stable_after)
    if s.phase is Phase.LIMITED and s.limited_until is not None:
        times.append(s.limited_until if may_flip(s, s.limited_until, spec) else held_until(s, spec))
    if s.flip_held and wants_flip(s):
        times.append(held_until(s, spec))
    return min([at for at in times if at is not None], default=None)


def _step_due(s: AgentState, spec: AgentSpec) -> float | None:
    """When what is being tried, or the next thing to try, has something to do; 0.0: now."""
    recovery = s.recovery
    if recovery is not None:
        if recovery.stage in GIVING_WAY:
            return None if recovery.issued else 0.0
        if _resting(s, recovery):
            return None
        waits = recovery.issued or recovery.stage is Stage.BACKOFF
        return max(recovery.due, _let_go_at(s, spec)) if waits else 0.0
    if s.incident is None or s.incident.observed or _hands_off(s):
        return None
    # A hold that is over by time alone stays on record: it must not hide the wait for an answer.
    return max(hold_ends(s, spec, planning=True), answer_due(s, spec))


def _resting(s: AgentState, recovery: Recovery) -> bool:
    """While it waits, is out of sight or in a person's hand nothing is done, nor held against it."""
    if recovery.order is not None:
        return False
    return _hands_off(s)


def _hands_off(s: AgentState) -> bool:
    if s.phase is Phase.UNKNOWN and s.incident is not None and s.incident.cause == "deadline":
        return False  # a person is told; that touches nothing of an agent that nobody can see
    return s.phase in HANDS_OFF or s.attached or unheard(s)


def _let_go_at(s: AgentState, spec: AgentSpec) -> float:
    """Until when its next recovery does not begin by itself (engine time); 0.0: it is not held back."""
    if not s.held_back or (s.recovery and (s.recovery.order or s.recovery.stage is not Stage.BACKOFF)):
        return 0.0
    return hold_ends(s, spec)


def _errand(s: AgentState) -> Change:
    errand = s.errand
    if errand is None or errand.issued:
        return Change(s)
    reason = s.incident.detail if s.incident else "a person asked for it"
    incident = s.incident.id if s.incident else ""
    actions: dict[str, Action] = {
        "escalate": Escalate(s.id, errand.key, incident, reason, quiet=_told_of(s, errand)),
        "clear_marker": ClearMarker(s.id, errand.key),
        "end_tree": EndTree(s.id, errand.key, s.attempt),
    }
    return Change(replace(s, errand=replace(errand, issued=True)), (), (actions[errand.kind],))


def _told_of(s: AgentState, errand: Errand) -> bool:
    """Whether the person was told already: of the cascade that its incident is part of."""
    return errand.order is None and s.incident is not None and s.incident.shared is not None


def _late_flip(s: AgentState, spec: AgentSpec, now: float) -> Change:
    """A screen that flapped is followed when its time has come, if it still asks for another phase."""
    if not s.flip_held or not may_flip(s, now, spec):
        return Change(s)
    return follow_screen(s, now, spec, "its screen still shows it")


def _detect(s: AgentState, spec: AgentSpec, now: float) -> Change | None:
    """What the clocks of silence and of progress say now; None: nothing new."""
    found, without = noticed(s, spec, now)
    if found is None:
        return _gentle(s, spec, now, without)
    if found.name == "deadline":
        return _past_deadline(s, now, found.detail)
    opened = open_incident(s, now, found.name, found.cause, found.detail)
    note = counted(
        opened.state,
        "hhmrs_timeout",
        now,
        found.detail,
        symptom=found.name,
        cause=found.cause,
        since=found.since,
    )
    phase = Phase.STALLED if found.name == "stalled" else Phase.LOOPING
    entered = enter(opened.state, phase, now, found.detail)
    return Change(entered.state, (*opened.happenings, note, *entered.happenings))


def _gentle(s: AgentState, spec: AgentSpec, now: float, without: float | None) -> Change | None:
    """A spell without progress, `without` seconds long: the gentle look and the gentle steps of a nudge, once
    per spell. It changes no phase, opens no incident and spends nothing."""
    if without is None or s.quick_looked is not None:
        return None
    plan, observes = nudges.steps(s, spec, gentle=True), spec.policy.mode == "observe"
    note = event(
        s,
        "agent_quick_look",
        now,
        since=s.last_progress,
        seconds=round(without, 3),
        last_progress=s.progress_kind or None,
        steps=[*map(str, plan)],
        observed=observes,
    )
    s = replace(s, quick_looked=now)
    if plan and not observes and not s.spending.held:
        s = nudges.begun_gently(s, plan, f"no progress for {without:.0f} s", now)
    return Change(s, (note,))


def _past_deadline(s: AgentState, now: float, detail: str) -> Change:
    """The task is over time: whatever is being tried stops, and a person decides."""
    change = end_attempt(s, now, ok=False, why=detail)
    s = change.state
    if s.incident:
        change = change.then(
            Change(replace(s, incident=replace(s.incident, cause="deadline", detail=detail)))
        )
    else:
        change = change.then(open_incident(s, now, "deadline", "deadline", detail))
    return change.noting(
        counted(change.state, "hhmrs_timeout", now, detail, symptom="deadline", cause="deadline")
    )


def _recovery(s: AgentState, spec: AgentSpec, now: float) -> Change:
    recovery = s.recovery
    if recovery is None:
        return _next(s, spec, now)
    if recovery.issued and recovery.stage in GIVING_WAY:
        return Change(s)
    if recovery.stage in WAITING_OUT and _resting(s, recovery):
        return Change(s)
    if recovery.stage is Stage.BACKOFF:
        if now < max(recovery.due, _let_go_at(s, spec)):
            return Change(s)
        if spec.policy.mode == "observe" and recovery.order is None:
            # The file was changed while it waited: from now on nothing is done.
            return _next(replace(s, recovery=None), spec, now)
        return _begin(s, recovery, spec, now)
    if recovery.stage is Stage.CLEARING:
        return _clear(s, recovery)
    if recovery.stage is Stage.STARTING:
        return _start(s, recovery, spec, now)
    if not recovery.issued:
        return Change(replace(s, recovery=replace(recovery, issued=True)))
    if now >= recovery.due:
        return _unproved(s, recovery, spec, now)
    return Change(s)


def _next(s: AgentState, spec: AgentSpec, now: float) -> Change:
    """An open incident with nothing under way: take the next rung."""
    incident = s.incident
    if incident is None or _hands_off(s) or incident.observed or now < hold_ends(s, spec, planning=True):
        return Change(s)
    rung = next_rung(s, incident, spec)
    if spec.policy.mode == "observe":
        nudge = rung.strategy is Strategy.NUDGE
        more: dict[str, object] = {"steps": [*map(str, nudges.steps(s, spec))]} if nudge else {}
        more["ladder"] = [[step.strategy, step.level, step.after] for step in climb(s, incident, spec)]
        note = event(
            s, "agent_observed", now, strategy=rung.strategy.value, level=rung.level, reason=rung.why, **more
        )
        return Change(replace(s, incident=replace(incident, observed=True)), (note,))
    asked = counsel(s, incident, rung, spec, now)
    change, s = asked.change, asked.change.state
    if asked.rung is None or s.incident is None:
        return change
    rung, incident = asked.rung, s.incident
    if rung.level > incident.level:
        change = change.then(_risen(s, incident, rung, now))
    if rung.strategy is Strategy.ESCALATE:
        return change.then(give_up(change.state, now, rung.why))
    wait = 0.0
    if rung.strategy is not Strategy.NUDGE:
        wait = delay_before(incident, spec.policy.backoff, incident.id)
    key = f"{s.id}/{s.attempt}/{incident.id}/{len(incident.attempts) + 1}"
    hand = None if rung.strategy is Strategy.REASSIGN else s.hand
    recovery = replace(
        _RECOVERY,
        strategy=rung.strategy,
        key=key,
        seat=rung.seat,
        due=now + wait,
        level=rung.level,
        hand=hand,
        by=asked.by,
    )
    if wait == 0.0 and now >= hold_ends(change.state, spec):
        return change.then(_begin(change.state, recovery, spec, now))
    return change.then(Change(replace(change.state, recovery=recovery)))


def _risen(s: AgentState, incident: Incident, rung: Rung, now: float) -> Change:
    """Responsibility moves up a level: parent -> grandparent -> person."""
    note = counted(
        s,
        "hhmrs_escalation",
        now,
        rung.why,
        level_from=incident.level,
        level_to=rung.level,
        cause=incident.cause,
    )
    return Change(replace(s, incident=replace(incident, level=rung.level)), (note,))


def give_up(s: AgentState, now: float, why: str, order: str | None = None) -> Change:
    """The last level is spent: mark it, say so once, and leave the agent alone until `clear`."""
    incident = s.incident
    sent = send_errand(replace(s, recovery=None), now, "escalate", order)
    state = sent.state
    reason = f"{incident.detail}; {why}" if incident else why
    note = counted(state, "hhmrs_failure", now, reason, cause=incident.cause if incident else "unknown")
    change = sent.noting(note)
    if state.task:
        failed = event(state, "task_failed", now, task=state.task.id, why=reason)
        change = change.noting(failed)
    entered = enter(change.state, Phase.ESCALATED, now, why)
    return change.then(entered).then(_errand(entered.state))


def _begin(s: AgentState, recovery: Recovery, spec: AgentSpec, now: float) -> Change:
    """The attempt begins: it is written into the incident and its budget is spent."""
    manual = recovery.order is not None
    strategy = recovery.strategy
    if strategy is Strategy.NUDGE and s.incident:
        return _begin_nudge(s, s.incident, recovery, spec, now)
    stage = replace(
        recovery,
        stage=Stage.CLEARING,
        issued=False,
        due=0.0,
        ended=True,
        from_seat=s.seat,
        from_hand=s.hand,
    )
    incident = s.incident
    if incident is not None and strategy is not None:
        stage = replace(stage, n=len(incident.attempts) + 1)
        incident = attempted(incident, stage, now, manual=manual, nudged=False)
    s = replace(s, incident=incident, recovery=stage)
    if not manual:
        if s.incident and free(s, s.incident, spec) and strategy is not Strategy.REASSIGN:
            s = spent_wait(s)
        elif strategy is Strategy.REASSIGN:
            s = replace(s, reassigns=s.reassigns + 1)
        else:
            s = replace(s, restarts=s.restarts + 1)
    change = enter(s, Phase.RECOVERING, now, strategy.value if strategy else "start")
    assert change.state.recovery is not None
    return change.then(_clear(change.state, change.state.recovery))


def _begin_nudge(
    s: AgentState, incident: Incident, recovery: Recovery, spec: AgentSpec, now: float
) -> Change:
    """Nothing is ended for it and no budget is spent; what it is made of is decided now."""
    manual, plan = recovery.order is not None, nudges.steps(s, spec)
    proof_due = now + spec.policy.verify_within
    n, spent = len(incident.attempts) + 1, s.nudges + (not manual)
    stage = replace(recovery, stage=Stage.VERIFYING, due=proof_due, began=now, issued=True, n=n)
    nudged = attempted(incident, stage, now, manual=manual, nudged=True)
    if not plan:
        s = replace(s, incident=nudged, recovery=stage, nudges=spent)
        return end_attempt(s, now, ok=False, why=nudges.NOTHING)
    reason = _reason(s, recovery)
    note = counted(
        s,
        "hhmrs_nudge",
        now,
        reason,
        n=n,
        strategy="nudge",
        attempt=s.attempt,
        seat=s.seat,
        cause=incident.cause,
        steps=[*map(str, plan)],
    )
    entered = enter(
        s,
        Phase.RECOVERING,
        now,
        "nudge",
        incident=nudged,
        recovery=stage,
        nudges=spent,
        nudging=nudges.begun(plan, recovery.key, reason, now),
    )
    return Change(entered.state, (note, *entered.happenings))


def _clear(s: AgentState, recovery: Recovery) -> Change:
    strategy = recovery.strategy.value if recovery.strategy else "start"
    why = s.incident.detail if s.incident else "start"
    cause = s.incident.cause if s.incident else ""
    action = ClearGround(s.id, recovery.key, s.attempt, strategy, why, cause)
    return Change(replace(s, recovery=replace(recovery, issued=True)), (), (action,))


def _start(s: AgentState, recovery: Recovery, spec: AgentSpec, now: float) -> Change:
    """The ground is clear. Whether level one resumes or restarts is known only now: the inbox is drained."""
    strategy = recovery.strategy
    incident = s.incident
    if strategy is Strategy.RESUME and not (s.resumable or s.session):
        ladder = spec.policy.recovery.get(incident.cause if incident else "", ())
        if "restart" not in ladder and recovery.order is None:
            return end_attempt(s, now, ok=False, why="there is nothing to resume from")
        strategy = Strategy.RESTART
    told = recovery.told
    recovery = replace(recovery, strategy=strategy, issued=True, told=True)
    if incident and strategy:
        attempts = tuple(replace(a, strategy=strategy) if a.n == recovery.n else a for a in incident.attempts)
        s = replace(s, incident=replace(incident, attempts=attempts))
    s = replace(s, recovery=recovery)
    word = strategy.value if strategy else "start"
    why = incident.detail if incident else "start"
    action = StartAttempt(s.id, recovery.key, s.attempt, s.seat, word, why, s.hand, recovery.briefing)
    if strategy is None or told:
        return Change(s, (), (action,))  # a daemon that came after hands it out again: no other attempt
    note = _retry_note(s, spec, now, recovery, _reason(s, recovery))
    return Change(s, (note, *_more_time(s, spec, now, recovery)), (action,))


def _reason(s: AgentState, recovery: Recovery) -> str:
    """Why this is tried, with whoever chose it."""
    detail = s.incident.detail if s.incident else "start"
    return f"{detail}; chosen by {recovery.by}" if recovery.by else detail


def _retry_note(s: AgentState, spec: AgentSpec, now: float, recovery: Recovery, why: str) -> Happening:
    strategy = recovery.strategy.value if recovery.strategy else "start"
    fields: dict[str, object] = {
        "n": recovery.n,
        "strategy": strategy,
        "attempt": s.attempt,
        "seat": s.seat,
        "cause": s.incident.cause if s.incident else "unknown",
        "manual": recovery.order is not None,
        "decided_by": recovery.by or None,
    }
    if recovery.strategy is Strategy.REASSIGN:
        old, new = seated(spec, recovery.from_seat, recovery.from_hand), seat_of(s, spec)
        fields |= {
            "old_profile": old.profile.name,
            "old_model": old.model,
            "new_profile": new.profile.name,
            "new_model": new.model,
        }
    return counted(s, f"hhmrs_{strategy}", now, why, **fields)


def _more_time(s: AgentState, spec: AgentSpec, now: float, recovery: Recovery) -> tuple[Happening, ...]:
    """Told after the reassign that led to it, so that both are settled by the same outcome."""
    if recovery.longer == 1.0 or recovery.strategy is not Strategy.REASSIGN:
        return ()
    new = timeouts(spec.policy)
    old = {name: round(seconds / recovery.longer, 6) for name, seconds in new.items()}
    why = f"on another seat it may take {recovery.longer:g} times as long"
    return (counted(s, "agent_timeouts_raised", now, why, n=recovery.n, old=old, new=new),)


def _unproved(s: AgentState, recovery: Recovery, spec: AgentSpec, now: float) -> Change:
    """The time to prove the attempt is over. Being alive proves it only for `liveness: [process]`."""
    if "process" in spec.liveness and s.alive and recovery.strategy is not Strategy.NUDGE:
        proved = recovered(
            replace(s, ready=True), now, f"alive {spec.policy.verify_within:.0f} s after its start"
        )
        return proved.then(settle(proved.state, now))
    why, trouble = f"no fresh progress within {spec.policy.verify_within:g} s", s.trouble
    if trouble is None:
        change = end_attempt(s, now, ok=False, why=why)
        return change.then(in_vain(change.state, now, why))
    said = f"its {trouble.source} says: {trouble.line}"
    change = end_attempt(s, now, ok=False, why=f"{why}; {said}")
    return change.then(found_out(change.state, now, trouble.cause, said, spec))


def _quiet_times(s: AgentState, spec: AgentSpec, now: float) -> Change:
    """Health refills the budgets; a limit ends when its time comes."""
    change = Change(s)
    ends = s.limited_until is not None and now >= s.limited_until and may_flip(s, now, spec)
    if s.phase is Phase.LIMITED and ends and not s.alive:
        change = limit_over(s, now)
        s = change.state
    elif s.phase is Phase.LIMITED and ends:
        shown = "" if s.screen == "limited" else s.screen
        over = flipped(replace(s, limited_until=None, screen=shown, hook=None), now)
        change = answered(over, now, spec.policy.verify_within, "the limit's time is over")
        s = change.state
    healthy = s.healthy_since is not None and s.incident is None and _spent(s)
    if healthy and s.healthy_since is not None and now >= s.healthy_since + spec.policy.stable_after:
        note = event(s, "agent_budgets_refilled", now, restarts=s.restarts, reassigns=s.reassigns)
        change = change.then(Change(replace(s, restarts=0, reassigns=0, nudges=0, waits=0), (note,)))
    return change


def _spent(s: AgentState) -> bool:
    """It has used of its budgets."""
    return bool(s.restarts or s.reassigns or s.nudges or s.waits)
