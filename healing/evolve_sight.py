"""Whether we see the agent at all, who else looks at it, and whether we ourselves were awake."""

from __future__ import annotations

from ..config.fleet import AgentSpec, Policy
from . import evidence as e
from .agent import HELD, TYPED_KEPT, AgentState, Phase, Stage
from .judge import REPLY
from .replacing import replace
from .transitions import Change, anew, answered, enter, event, giving_way, later, settled_phase


def person(s: AgentState, ev: e.PersonPresent, spec: AgentSpec) -> Change:
    if ev.attached == s.attached:
        return Change(s)
    note = event(s, "operator_attached" if ev.attached else "operator_detached", ev.at)
    state = replace(s, attached=ev.attached, visited=s.visited if ev.attached else ev.at)
    if ev.attached:
        return Change(state, (note,))
    # Whatever the agent did not do while a person held it is not held against it; and what is shown now is
    # the echo of the person's last keys, and the pane at its own size again.
    return Change(_given_time(replace(anew(state, ev.at), typed_at=ev.at), ev.at, spec), (note,))


def typed(s: AgentState, ev: e.Typed, spec: AgentSpec) -> Change:
    known = not ev.text or ev.text[:4000] in s.typed[-1:]
    texts = s.typed if known else (*s.typed, ev.text[:4000])[-TYPED_KEPT:]
    s = replace(s, typed=texts, typed_at=ev.at)
    if s.phase is not Phase.WAITING or not ev.answers:
        return Change(s)
    if s.says == "awaiting_approval":
        s = replace(s, says="", message="")  # its question is answered, and no longer what it has to say
    if s.screen == "waiting":
        return Change(s)  # answered is what its screen does not ask any more
    return answered(s, ev.at, spec.policy.verify_within, "answered")


def unseen(s: AgentState, ev: e.Unseen, _: AgentSpec) -> Change:
    if s.phase in HELD or s.phase is Phase.UNKNOWN or not s.alive:
        return Change(s)
    return enter(replace(s, before_unknown=s.phase), Phase.UNKNOWN, ev.at, ev.why)


def pane_lost(s: AgentState, ev: e.PaneLost, spec: AgentSpec) -> Change:
    """It runs on without a terminal: no output, and nobody can type to it. All else is seen as before."""
    if not s.alive:
        return Change(s)
    change = Change(replace(s, pane=None), (event(s, "agent_pane_lost", ev.at, why=ev.why, pane=s.pane),))
    return change.then(seen_again(change.state, e.SeenAgain(s.id, ev.at), spec))


def seen_again(s: AgentState, ev: e.SeenAgain, spec: AgentSpec) -> Change:
    if s.phase is not Phase.UNKNOWN:
        return Change(s)
    back = s.before_unknown or Phase.WORKING
    s = _given_back(replace(s, before_unknown=None), ev.at, spec)
    if s.alive and not giving_way(s) and settled_phase(s) in (Phase.WAITING, Phase.LIMITED):
        back = settled_phase(s)  # what it asked, or its screen showed, meanwhile
    change = enter(s, back, ev.at, "seen again")
    return Change(_with_a_moment(change.state, ev.at, spec.policy), change.happenings)


def _given_back(s: AgentState, at: float, spec: AgentSpec) -> AgentState:
    """The attempt under way gets the time back in which it could not be watched, and no more: else one whose
    server hangs now and then would never have failed."""
    if s.recovery is None or s.recovery.stage is not Stage.VERIFYING:
        return s
    due = min(s.recovery.due + max(0.0, at - s.since), at + spec.policy.verify_within)
    return replace(s, recovery=replace(s.recovery, due=due))


def _with_a_moment(s: AgentState, at: float, policy: Policy) -> AgentState:
    """Its clocks go on where they stood (see `later`), but what it did unseen is told a moment after."""
    return replace(
        s,
        last_life=max(s.last_life, min(at, at + REPLY - policy.silence)),
        last_progress=max(s.last_progress, min(at, at + REPLY - policy.progress_timeout)),
    )


def _given_time(s: AgentState, at: float, spec: AgentSpec) -> AgentState:
    """An attempt that could not be watched has all its time to prove itself before it, from `at` on."""
    if s.recovery is None or s.recovery.stage is not Stage.VERIFYING:
        return s
    return replace(s, recovery=replace(s.recovery, due=at + spec.policy.verify_within))


def stalled_ourselves(s: AgentState, ev: e.SupervisorStalled, _: AgentSpec) -> Change:
    """We slept: move every clock of ours on by as much, so that nobody's silence counts."""
    gap = ev.gap
    s = later(s, gap, ev.at)
    if s.task and s.task.ticking_since is not None:
        s = replace(s, task=replace(s.task, ticking_since=s.task.ticking_since + gap))
    if s.recovery and s.recovery.due:
        s = replace(s, recovery=replace(s.recovery, due=s.recovery.due + gap, began=s.recovery.began + gap))
    if s.tending:
        s = replace(s, tending=replace(s.tending, since=min(ev.at, s.tending.since + gap)))
    if s.incident and s.incident.asked:
        asked = replace(s.incident.asked, until=s.incident.asked.until + gap)
        s = replace(s, incident=replace(s.incident, asked=asked))
    return Change(s)
