"""What a person orders. The same road as the automatic recoveries: an order only fills in the state that
decide then acts on. Manual recoveries spend no budget; on an escalated agent they mean `clear` first."""

from __future__ import annotations

from ..config.fleet import AgentSpec
from . import nudges
from .agent import GIVING_WAY, HELD, AgentState, Briefing, Happening, Phase, Recovery, Stage, Strategy
from .evidence import Ordered
from .replacing import replace
from .seats import Target, target
from .transitions import (
    STRATEGY_OF,
    Change,
    anew,
    answer,
    close_incident,
    counted,
    end_attempt,
    enter,
    event,
    open_incident,
    open_task,
    plain_start,
    send_errand,
    settle,
)
from .usage import cleared

NOTED = 300
"""Characters of a person's note that the event of their order quotes."""


def obey(s: AgentState, ev: Ordered, spec: AgentSpec) -> Change:
    """The state after a person's order; a refusal says why and changes nothing else."""
    said = _told(ev)
    received = Change(
        s, (event(s, "operator_order", ev.at, letter=ev.letter, order=ev.order, by=ev.by, **said),)
    )
    if ev.order in ("nudge", "resume", "restart", "reassign"):
        return received.then(_recover(s, ev, spec))
    rule = {
        "escalate": _escalate,
        "pause": _pause,
        "unpause": _unpause,
        "stop": _stop,
        "start": _start,
        "clear": _clear,
        "retry": _retry,
        "decide": _decide,
    }.get(ev.order)
    if rule is None:
        return received.noting(_no(s, ev, f"unknown order {ev.order!r}"))
    return received.then(rule(s, ev, spec))


def refusal(s: AgentState, order: str, spec: AgentSpec, to: str | None = None) -> str | None:
    """Why this order is not possible now, in one sentence; None when it is."""
    in_flight = s.recovery is not None and s.recovery.stage in GIVING_WAY
    recovers = order in ("nudge", "resume", "restart", "reassign", "start", "retry")
    if in_flight and (recovers or order in ("clear", "pause")):
        return "a recovery is just being carried out; try again in a moment"
    if s.undead and recovers:
        return "its old process tree would not die; end it by hand, then `clear`"
    if s.spending.held and (recovers or order == "unpause"):
        return f"{s.spending.held}; raise it with `hhmrs set`, or say `clear`"
    if order == "nudge":
        return _why_not_nudge(s, spec)
    if order == "resume" and not (s.resumable or s.session):
        return "there is no checkpoint and no session to resume from; use restart"
    if order == "reassign" and isinstance(why := target(s, spec, to), str):
        return why
    if order == "unpause" and s.phase is not Phase.PAUSED:
        return f"it is not paused but {s.phase.value}"
    if order in ("pause", "stop") and s.phase.value == {"pause": "paused", "stop": "stopped"}[order]:
        return f"it is already {s.phase.value}"
    if order == "pause" and s.phase in HELD:
        return f"it is {s.phase.value}; there is nothing to pause"
    if order == "start" and s.alive and s.phase is not Phase.PAUSED:
        return "it is already running; use restart"
    if order == "escalate" and s.phase is Phase.ESCALATED:
        return "it is already escalated"
    return None


def _why_not_nudge(s: AgentState, spec: AgentSpec) -> str | None:
    if not s.alive:
        return "it is not running; use restart or start"
    return None if nudges.steps(s, spec) else nudges.NOTHING


def briefing(ev: Ordered) -> Briefing | None:
    """What the person has to say to the attempt that they order."""
    note, edited = ev.args.get("note", "").strip(), ev.args.get("handoff", "").strip()
    return Briefing(ev.by, note, edited) if note or edited else None


def _told(ev: Ordered) -> dict[str, object]:
    """What of it is written down: the words themselves, if they are few."""
    said = briefing(ev)
    if said is None:
        return {}
    told: dict[str, object] = {"handoff": "edited"} if said.edited else {}
    return told | ({"note": said.note[:NOTED]} if said.note else {})


def _no(s: AgentState, ev: Ordered, why: str) -> Happening:
    return answer(s, ev.at, ev.letter, ev.order, False, why)


def _yes(s: AgentState, ev: Ordered, message: str) -> Happening:
    return answer(s, ev.at, ev.letter, ev.order, True, message)


def _recover(s: AgentState, ev: Ordered, spec: AgentSpec) -> Change:
    to = ev.args.get("to")
    if why := refusal(s, ev.order, spec, to):
        return Change(s, (_no(s, ev, why),))
    change = _forgive(s, ev.at) if s.phase is Phase.ESCALATED else Change(s)
    change = change.then(end_attempt(change.state, ev.at, ok=False, why=f"replaced by an order of {ev.by}"))
    s = change.state
    if s.task is None and s.phase is Phase.DONE and spec.prompt:
        change = change.then(open_task(s, spec.prompt, ev.at))
    detail = f"{ev.order} ordered by {ev.by}"
    change = change.then(open_incident(change.state, ev.at, "ordered", "unknown", detail))
    s = change.state
    strategy = STRATEGY_OF[ev.order]
    place = target(s, spec, to) if strategy is Strategy.REASSIGN else None
    seat = place if isinstance(place, Target) else Target(s.seat, s.hand)
    number = len(s.incident.attempts) + 1 if s.incident else 1
    key = f"{s.id}/{s.attempt}/{s.incident.id if s.incident else ''}/{number}/{ev.letter}"
    level = 2 if strategy is Strategy.REASSIGN else 1
    recovery = Recovery(
        strategy,
        Stage.BACKOFF,
        key,
        seat.number,
        due=ev.at,
        level=level,
        order=ev.letter,
        hand=seat.hand,
        briefing=briefing(ev) if strategy is not Strategy.NUDGE else None,
    )
    change = change.then(Change(replace(s, recovery=recovery)))
    return change.then(enter(change.state, Phase.RECOVERING, ev.at, detail))


def _decide(s: AgentState, ev: Ordered, spec: AgentSpec) -> Change:
    """A person's answer to an incident is the order of that name, for as long as the incident is open."""
    incident, strategy = ev.args.get("incident", ""), ev.args.get("strategy", "")
    if s.incident is None or s.incident.id != incident:
        return Change(s, (_no(s, ev, f"{s.id} has no open incident {incident!r}"),))
    if strategy not in STRATEGY_OF:
        return Change(s, (_no(s, ev, f"{strategy!r} is none of {', '.join(STRATEGY_OF)}"),))
    chosen = Ordered(ev.agent, ev.at, strategy, ev.letter, ev.by)
    return _escalate(s, chosen, spec) if strategy == "escalate" else _recover(s, chosen, spec)


def _forgive(s: AgentState, at: float) -> Change:
    """Forget the incident, refill the budgets, take the marker away."""
    s = replace(s, restarts=0, reassigns=0, nudges=0, waits=0, undead=False)
    if s.task:
        s = replace(s, task=replace(s.task, spent=0.0))
    change = close_incident(s, at, "cleared")
    return change.then(send_errand(change.state, at, "clear_marker")) if marked(s) else change


def _retry(s: AgentState, ev: Ordered, spec: AgentSpec) -> Change:
    """A failed task once more: as `clear`, then a restart with that task, which must be proved."""
    task, why = ev.args.get("task", ""), refusal(s, "retry", spec)
    if why is None and s.task is not None and s.task.id != task:
        why = f"it is at work on {s.task.id}"
    elif why is None and s.task is not None and s.phase is not Phase.ESCALATED and not marked(s):
        why = f"task {task} is not given up; it is {s.phase.value}"
    elif why is None and s.task is None and not (task and spec.prompt):
        why = "the fleet file has no prompt for it any more"
    if why is not None:
        return Change(s, (_no(s, ev, why),))
    change = end_attempt(s, ev.at, ok=False, why=f"retried by {ev.by}")
    change = change.then(_forgive(change.state, ev.at))
    if change.state.task is None and spec.prompt:
        change = change.then(open_task(change.state, spec.prompt, ev.at, task))
    restart = Ordered(ev.agent, ev.at, "restart", ev.letter, ev.by, ev.args)
    return change.then(_recover(change.state, restart, spec))


def marked(s: AgentState) -> bool:
    """Its marker stands: it was given up, though a person may have stopped it since."""
    return s.phase is Phase.ESCALATED or (s.incident is not None and s.incident.level >= 3)


def _escalate(s: AgentState, ev: Ordered, spec: AgentSpec) -> Change:
    if why := refusal(s, "escalate", spec):
        return Change(s, (_no(s, ev, why),))
    reason = f"escalated by {ev.by}"
    change = end_attempt(s, ev.at, ok=False, why=reason)
    change = change.then(open_incident(change.state, ev.at, "ordered", "unknown", reason))
    s = change.state
    incident = s.incident
    if incident and incident.level < 3:
        note = counted(
            s, "hhmrs_escalation", ev.at, reason, level_from=incident.level, level_to=3, cause=incident.cause
        )
        change = change.noting(note).then(Change(replace(s, incident=replace(incident, level=3))))
    change = change.then(send_errand(replace(change.state, recovery=None), ev.at, "escalate", ev.letter))
    change = change.noting(counted(change.state, "hhmrs_failure", ev.at, reason, cause="unknown"))
    if change.state.task:
        failed = event(change.state, "task_failed", ev.at, task=change.state.task.id, why=reason)
        change = change.noting(failed)
    return change.then(enter(change.state, Phase.ESCALATED, ev.at, reason))


def _pause(s: AgentState, ev: Ordered, spec: AgentSpec) -> Change:
    if why := refusal(s, "pause", spec):
        return Change(s, (_no(s, ev, why),))
    change = end_attempt(s, ev.at, ok=False, why=f"paused by {ev.by}")
    entered = enter(replace(change.state, before_unknown=None), Phase.PAUSED, ev.at, f"by {ev.by}")
    return change.then(entered).noting(_yes(entered.state, ev, "paused; its process runs on"))


def _unpause(s: AgentState, ev: Ordered, spec: AgentSpec) -> Change:
    if why := refusal(s, "unpause", spec):
        return Change(s, (_no(s, ev, why),))
    s = anew(s, ev.at)
    if s.alive:
        # What was wrong before has been in a person's hand since; its clocks begin anew.
        change = close_incident(s, ev.at, "cleared")
        change = change.then(settle(change.state, ev.at, f"unpaused by {ev.by}"))
    else:
        change = enter(s, Phase.EXITED, ev.at, f"unpaused by {ev.by}; it ended meanwhile")
        change = change.then(
            open_incident(change.state, ev.at, "exited", "unknown", "ended while it was paused")
        )
    return change.noting(_yes(change.state, ev, "supervised again"))


def _stop(s: AgentState, ev: Ordered, spec: AgentSpec) -> Change:
    if why := refusal(s, "stop", spec):
        return Change(s, (_no(s, ev, why),))
    change = end_attempt(s, ev.at, ok=False, why=f"stopped by {ev.by}")
    if s.phase is not Phase.ESCALATED:
        change = change.then(close_incident(change.state, ev.at, "cleared"))
    change = change.then(send_errand(replace(change.state, recovery=None), ev.at, "end_tree", ev.letter))
    return change.then(enter(change.state, Phase.STOPPED, ev.at, f"by {ev.by}"))


def _start(s: AgentState, ev: Ordered, spec: AgentSpec) -> Change:
    if why := refusal(s, "start", spec):
        return Change(s, (_no(s, ev, why),))
    change = end_attempt(s, ev.at, ok=False, why=f"started by {ev.by}")
    change = change.then(_forgive(change.state, ev.at))
    s = change.state
    if s.task is None and spec.prompt:
        change = change.then(open_task(s, spec.prompt, ev.at))
    state = plain_start(change.state, ev.letter, briefing(ev))
    return change.then(enter(state, Phase.STARTING, ev.at, f"started by {ev.by}"))


def _clear(s: AgentState, ev: Ordered, spec: AgentSpec) -> Change:
    """Forget what happened and supervise again; an agent that is not running is started."""
    if why := refusal(s, "clear", spec):
        return Change(s, (_no(s, ev, why),))
    change = end_attempt(s, ev.at, ok=False, why=f"cleared by {ev.by}")
    change = change.then(_forgive(change.state, ev.at))
    s = anew(change.state, ev.at)
    spends, held = s.spending.paused, s.spending.held
    s = replace(s, spending=cleared(s.spending))
    if s.phase is Phase.PAUSED and spends:
        said = f"what it has spent counts no more; it goes on unless more than that holds it ({held})"
        return change.then(Change(s)).noting(_yes(s, ev, said))
    if s.phase in (Phase.PAUSED, Phase.STOPPED, Phase.DONE):
        return change.then(Change(s, (_yes(s, ev, f"budgets refilled; it stays {s.phase.value}"),)))
    if s.alive:
        settled = settle(s, ev.at, f"cleared by {ev.by}")
        if s.errand is not None and s.errand.order is None and s.errand.kind == "clear_marker":
            # Answered when the marker is seen gone.
            errand = replace(s.errand, order=ev.letter)
            return change.then(settled).then(Change(replace(settled.state, errand=errand)))
        return change.then(settled).noting(_yes(settled.state, ev, "supervised again, budgets refilled"))
    started = enter(plain_start(s, ev.letter), Phase.STARTING, ev.at, f"cleared by {ev.by}")
    return change.then(started)
