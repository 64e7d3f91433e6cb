"""The few ways in which an agent's state changes; evolve, obey and decide are written in these words."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..config.fleet import AgentSpec
from .actions import Action
from .agent import (
    GIVING_WAY,
    AgentState,
    Attempt,
    Briefing,
    Errand,
    Happening,
    Incident,
    Phase,
    Recovery,
    Returning,
    Stage,
    Strategy,
    Task,
)
from .replacing import replace

CLOCK_RUNS = frozenset(
    {
        Phase.STARTING,
        Phase.WORKING,
        Phase.IDLE,
        Phase.STALLED,
        Phase.LOOPING,
        Phase.EXITED,
        Phase.RECOVERING,
        Phase.UNKNOWN,
    }
)
"""Phases in which the task's deadline clock runs; it rests while waiting, limited or held."""
CLOCKS_REST = frozenset({Phase.IDLE, Phase.WAITING, Phase.LIMITED, Phase.UNKNOWN})
"""Phases in which the clocks of silence and of progress stand still, to go on where they stood."""
_INCIDENT = Incident("", 0.0, "", "", "")
_ATTEMPT = Attempt(0, Strategy.NUDGE, 0.0)


class Change(NamedTuple):
    """A new state, what is to be written down about it, and what is to be done then (in this order)."""

    state: AgentState
    happenings: tuple[Happening, ...] = ()
    actions: tuple[Action, ...] = ()

    def then(self, after: Change) -> Change:
        """This change followed by one that began from its state."""
        if not (self.happenings or self.actions):
            return after
        if after.state is self.state and not (after.happenings or after.actions):
            return self
        return Change(after.state, self.happenings + after.happenings, self.actions + after.actions)

    def noting(self, *happenings: Happening) -> Change:
        return Change(self.state, self.happenings + happenings, self.actions)


def event(s: AgentState, type: str, at: float, **fields: object) -> Happening:
    incident = s.incident.id if s.incident else None
    return Happening(type, s.id, at, incident, fields)


def counted(s: AgentState, type: str, at: float, reason: str, **fields: object) -> Happening:
    """An hhmrs_* event with the counts the contract promises. The engine adds parent and grandparent."""
    told: dict[str, object] = {
        "reason": reason,
        "restart_count": s.restarts,
        "failure_count": s.reassigns,
        "task": s.task.id if s.task else None,
        **fields,
    }
    return Happening(type, s.id, at, s.incident.id if s.incident else None, told)


def enter(s: AgentState, phase: Phase, at: float, why: str = "", **also: Any) -> Change:
    """Change the phase; the task's clock runs or rests with it. `also`: further fields that change with it,
    none of them a clock."""
    if phase == s.phase:
        return Change(replace(s, **also) if also else s)
    told: dict[str, object] = {"from": str(s.phase), "to": str(phase), "why": why}
    if s.phase in CLOCKS_REST:
        s = later(s, at - s.since, at)
    if (tending := s.tending) is not None:
        s = s if s.phase in CLOCKS_REST else later(s, at - tending.since, at)
        s = replace(s, tending=replace(tending, since=max(tending.since, at)))
    state = replace(s, phase=phase, since=at, task=tick(s.task, at, phase in CLOCK_RUNS), **also)
    incident = state.incident.id if state.incident else None
    return Change(state, (Happening("agent_phase", s.id, at, incident, told),))


def later(s: AgentState, seconds: float, now: float) -> AgentState:
    """The clocks of silence and of progress moved on by `seconds`, at most to `now`."""
    by = max(0.0, seconds)
    return replace(
        s,
        last_life=min(max(now, s.last_life), s.last_life + by),
        last_progress=min(max(now, s.last_progress), s.last_progress + by),
        last_solid=min(max(now, s.last_solid), s.last_solid + by),
        last_shown=min(max(now, s.last_shown), s.last_shown + by),
        last_apart=min(max(now, s.last_apart), s.last_apart + by),
        chores=tuple(replace(one, since=min(max(now, one.since), one.since + by)) for one in s.chores),
    )


def tended(s: AgentState, at: float) -> AgentState:
    """No child of it recovers any more: its clocks, which stood still meanwhile, go on where they stood."""
    if s.tending is None:
        return s
    if s.phase not in CLOCKS_REST:
        s = later(s, at - s.tending.since, at)
    return replace(s, tending=None)


def tick(task: Task | None, at: float, running: bool) -> Task | None:
    """The task with its clock brought up to `at`, running or at rest from then on."""
    if task is None or running == (task.ticking_since is not None):
        return task
    spent = task.spent
    if task.ticking_since is not None:
        spent += max(0.0, at - task.ticking_since)
    return replace(task, spent=spent, ticking_since=at if running else None)


def spent(task: Task, now: float) -> float:
    """Seconds of its deadline that the task has used."""
    return task.spent + (max(0.0, now - task.ticking_since) if task.ticking_since is not None else 0.0)


def open_task(s: AgentState, text: str, at: float, id: str | None = None) -> Change:
    serial = s.tasks + 1
    task = Task(id or f"{s.id}-{serial}", text)
    state = replace(s, task=tick(task, at, s.phase in CLOCK_RUNS), tasks=serial)
    return Change(state, (event(state, "task_opened", at, task=task.id, text=text),))


def close_task(s: AgentState, at: float, *, done: bool, why: str) -> Change:
    if s.task is None:
        return Change(s)
    happening = event(
        s,
        "task_done" if done else "task_failed",
        at,
        task=s.task.id,
        why=why,
        seconds=round(spent(s.task, at), 3),
    )
    return Change(replace(s, task=None), (happening,))


def anew(s: AgentState, at: float) -> AgentState:
    """All silence and progress clocks start again at `at`."""
    return replace(
        s,
        last_life=at,
        last_progress=at,
        last_solid=at,
        last_shown=at,
        last_apart=at,
        chores=(),
        overlong=0.0,
        quick_looked=None,
        returning=Returning(),
    )


RESTS = frozenset({"idle", "hibernated", "completed"})
"""What an agent says of itself when it has nothing to do."""


def settled_phase(s: AgentState) -> Phase:
    """The phase of a healthy agent: what it says of itself, else whether it has work.

    A prompt on its screen is rest only for who has no task: with one open it should not stand there."""
    if not s.ready:
        return Phase.STARTING
    if s.screen == "limited":
        return Phase.LIMITED
    if s.screen == "waiting" or s.says == "awaiting_approval":
        return Phase.WAITING
    if s.says in RESTS:
        return Phase.IDLE
    if s.task or s.screen == "busy":
        return Phase.WORKING
    return Phase.WORKING if s.says and s.screen != "idle" else Phase.IDLE


def settle(s: AgentState, at: float, why: str = "") -> Change:
    return enter(s, settled_phase(s), at, why)


def answered(s: AgentState, at: float, within: float, why: str) -> Change:
    """It waits no more: its clocks begin anew, and what was being tried gets `within` seconds from now."""
    s, recovery = anew(s, at), s.recovery
    if giving_way(s):
        return Change(s)
    if recovery is None:
        return settle(s, at, why)
    due = at + within if recovery.stage is Stage.VERIFYING else max(recovery.due, at + within)
    return enter(replace(s, recovery=replace(recovery, due=due)), Phase.RECOVERING, at, why)


def giving_way(s: AgentState) -> bool:
    """One attempt is just being ended, or the next one started: letters that come now are of the old one."""
    return s.recovery is not None and s.recovery.stage in GIVING_WAY


def open_incident(s: AgentState, at: float, symptom: str, cause: str, detail: str) -> Change:
    """Open an incident, or keep the one that is open."""
    if s.incident is not None:
        return Change(s)
    serial = s.incidents + 1
    incident = replace(
        _INCIDENT, id=f"{s.id}-i{serial}", opened=at, symptom=symptom, cause=cause, detail=detail
    )
    state = replace(s, incident=incident, incidents=serial, healthy_since=None)
    return Change(state, (event(state, "agent_incident", at, symptom=symptom, cause=cause, detail=detail),))


def agent_of(incident: str) -> str:
    """Whose incident this is, by its name; empty when it is no incident's."""
    return incident.rpartition("-i")[0]


def close_incident(s: AgentState, at: float, outcome: str) -> Change:
    """Close the open incident as recovered, self, or cleared."""
    if s.incident is None:
        return Change(s)
    happening = event(
        s,
        "agent_incident_closed",
        at,
        outcome=outcome,
        opened=s.incident.opened,
        cause=s.incident.cause,
        seconds=round(at - s.incident.opened, 3),
    )
    return Change(replace(s, incident=None, recovery=None, healthy_since=at, held_back=()), (happening,))


def end_attempt(s: AgentState, at: float, *, ok: bool, why: str, lived: float | None = None) -> Change:
    """Write the outcome of the attempt under way, answer the order that asked for it, drop the recovery.
    `lived`: how long its process did (s), if that is how it failed."""
    recovery, incident = s.recovery, s.incident
    if recovery is None:
        return Change(s)
    notes: list[Happening] = []
    if incident is not None and recovery.n:
        outcome = "success" if ok else "failure"
        attempts = tuple(
            replace(a, outcome=outcome, why=why, lived=lived) if a.n == recovery.n else a
            for a in incident.attempts
        )
        incident = replace(incident, attempts=attempts)
        if not ok:
            strategy = recovery.strategy.value if recovery.strategy else "start"
            notes.append(event(s, "agent_attempt_failed", at, n=recovery.n, strategy=strategy, why=why))
    if recovery.order:
        word = recovery.strategy.value if recovery.strategy else "start"
        notes.append(answer(s, at, recovery.order, word, ok, why))
    return Change(replace(s, recovery=None, incident=incident), tuple(notes))


def answer(s: AgentState, at: float, letter: str, order: str, ok: bool, message: str) -> Happening:
    return event(s, "operator_outcome", at, letter=letter, order=order, ok=ok, message=message)


def recovered(s: AgentState, at: float, proof: str) -> Change:
    """The attempt under way is proved: close the incident."""
    recovery, incident = s.recovery, s.incident
    if recovery is None:
        return Change(s)
    change = end_attempt(s, at, ok=True, why=proof)
    if incident is None:
        return change
    state = change.state
    note = counted(
        state,
        "hhmrs_recovered",
        at,
        f"progress by {s.id} itself: {proof}",
        proof=proof,
        n=recovery.n,
        strategy=recovery.strategy.value if recovery.strategy else "start",
        cause=incident.cause,
        seconds=round(at - incident.opened, 3),
    )
    return change.noting(note).then(close_incident(state, at, "recovered"))


def attempted(incident: Incident, recovery: Recovery, at: float, *, manual: bool, nudged: bool) -> Incident:
    """The incident with the attempt that `recovery` is, under its number."""
    assert recovery.strategy is not None
    attempt = replace(
        _ATTEMPT,
        n=recovery.n,
        strategy=recovery.strategy,
        at=at,
        seat=recovery.seat,
        manual=manual,
        level=recovery.level,
    )
    attempts = (*incident.attempts, attempt)
    return replace(incident, attempts=attempts, asked=None, nudged=incident.nudged or nudged)


def plain_start(s: AgentState, order: str | None = None, briefing: Briefing | None = None) -> AgentState:
    """Ask for a start that is nobody's recovery: the first one, or one a person ordered."""
    key = f"{s.id}/{s.attempt + 1}/start"
    recovery = Recovery(None, Stage.CLEARING, key, s.seat, order=order, hand=s.hand, briefing=briefing)
    return replace(s, recovery=recovery)


def send_errand(s: AgentState, at: float, kind: str, order: str | None = None) -> Change:
    """Have an errand run; whoever waits for the one before is told that it was overtaken."""
    before, notes = s.errand, tuple[Happening, ...]()
    if before and before.order:
        notes = (answer(s, at, before.order, ERRANDS[before.kind], False, f"overtaken by {ERRANDS[kind]}"),)
    errand = Errand(kind, f"{s.id}/{s.attempt}/{s.incidents}/{kind}", order=order)
    return Change(replace(s, errand=errand), notes)


ERRANDS = {"end_tree": "stop", "clear_marker": "clear", "escalate": "escalate"}
"""Errand -> the order that means it."""


def first_state(spec: AgentSpec, at: float) -> Change:
    """An agent nobody has ever started: its first start is asked for, with the task of its `prompt`."""
    state = plain_start(anew(AgentState(spec.id, since=at), at))
    state = (
        replace(state, recovery=replace(state.recovery, stage=Stage.STARTING)) if state.recovery else state
    )
    change = Change(replace(state, attempt=1))
    return change.then(open_task(change.state, spec.prompt, at)) if spec.prompt else change


STRATEGY_OF = {s.value: s for s in Strategy}
