"""The one place that says what an agent is doing and whether a clock has fired: stalled, looping, late.

`judge` fuses what was seen into one Finding; `explain`, `heal` and `status` show it and decide acts on it,
so that nobody reckons a limit twice. (An exit or a `fail` letter needs no clock; evolve sees to those.) A
missing beat alone never means dead, and a beat alone never means progress: what counts is in judge.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ..config.fleet import AgentSpec
from .agent import GIVING_WAY, HELD, TIMED, AgentState, Phase, Stage, Trace
from .asking import open_question
from .flapping import held_until, unheard, wants_flip
from .patience import MANY_LOOKS, circles, progress_due
from .seats import in_force
from .transitions import CLOCK_RUNS, RESTS, spent

KINDS = ("beat", "output", "file", "transcript", "process", "cpu")
"""The kinds of evidence, as `agent.Trace` names them."""
SCREENFUL = 100
"""Lines coming back in more varieties than this are no circle that anybody could be shown."""


class Limits(NamedTuple):
    """When each clock will fire, in engine time; None: that clock does not run.

    `quick` is the gentle look of a spell without progress: no symptom, and not yet taken in this spell."""

    silence: float | None
    progress: float | None
    deadline: float | None
    quick: float | None = None


class Rule(StrEnum):
    """Which rule gave the phase; explain.py has its words."""

    INCIDENT = "incident"
    HELD = "held"
    UNSEEN = "unseen"
    ENDED = "ended"
    RECOVERING = "recovering"
    NOT_READY = "not_ready"
    ASKED = "asked"
    SCREEN_ASKS = "screen_asks"
    LIMITED = "limited"
    SAYS_IDLE = "says_idle"
    AT_ITS_PROMPT = "at_its_prompt"
    NO_TASK = "no_task"
    PROMPT_WITH_TASK = "prompt_with_task"
    SCREEN_BUSY = "screen_busy"
    NO_PROGRESS = "no_progress"
    AT_WORK = "at_work"
    TROUBLE = "trouble"
    TENDING = "tending"


@dataclass(frozen=True, slots=True)
class Sign:
    """The newest evidence of one kind: its age in seconds (None: none yet) and whether it counts as life."""

    kind: str
    age: float | None
    life: bool


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock that runs. `left`: seconds until it fires (negative: it has); `length`: what it was set to;
    `name`: stalled, quick_look, looping, deadline, limit, backoff, proof, answer, screen."""

    name: str
    left: float
    length: float


@dataclass(frozen=True, slots=True)
class Symptom:
    """`name` and `cause` are words of contract.md section 5; `since`: when the clock that fired began."""

    name: str
    cause: str
    detail: str
    since: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one agent at one moment, and what would change it.

    `clocks`: those that run, the next to fire first. `symptom`: a clock that has fired and that nobody has
    acted upon yet. `quick`: seconds of a spell without progress that the gentle look has noticed."""

    agent: str
    at: float
    phase: Phase
    since: float
    rule: Rule
    signs: tuple[Sign, ...]
    clocks: tuple[Clock, ...]
    symptom: Symptom | None
    quick: float | None


def judge(s: AgentState, spec: AgentSpec, now: float) -> Finding:
    """What `s` means at `now` (engine time). Pure and total."""
    spec = in_force(s, spec)
    until = limits(s, spec)
    symptom, quick = _fired(s, spec, now, _awaited(s, until)), _spell(s, now, until)
    return Finding(
        agent=s.id,
        at=now,
        phase=s.phase,
        since=s.since,
        rule=_rule(s),
        signs=signs(s, spec, now),
        clocks=tuple(sorted(_clocks(s, spec, now, until), key=lambda clock: clock.left)),
        symptom=symptom,
        quick=quick,
    )


def noticed(s: AgentState, spec: AgentSpec, now: float) -> tuple[Symptom | None, float | None]:
    """`symptom` and `quick` of the finding alone: what decide needs of the thousands that are due."""
    if s.incident is not None:
        at = deadline_awaited(s, spec)
        return (None if at is None or now < at else _past(s, spec, now)), None
    until = limits(s, spec)
    return _fired(s, spec, now, _awaited(s, until)), _spell(s, now, until)


def limits(s: AgentState, spec: AgentSpec) -> Limits:
    """When each of the agent's clocks will fire, whether or not anything would be done then."""
    policy, deadline = spec.policy, _deadline(s, spec)
    # Without a task and a probe there is nothing to start with or to become: it may be idle for ever. But a
    # frozen process (state T) is not idle by its own choice.
    resting = s.phase is Phase.IDLE or (s.phase is Phase.STARTING and not s.task and spec.ready is None)
    resting = resting or (not s.task and s.hook is not None and s.hook.may_have_missed_an_end)
    watched = s.stopped if resting else s.phase in TIMED
    if not watched or not s.alive or s.attached or "process" in spec.liveness or unheard(s):
        return Limits(None, None, deadline)
    if s.tending is not None or (s.recovery is not None and s.recovery.stage is Stage.VERIFYING):
        return Limits(None, None, deadline)
    progress = progress_due(s, policy)
    quick = None
    if s.quick_looked is None and s.incident is None and not resting:
        quick = s.last_progress + policy.quick_look
    return Limits(
        s.last_life + policy.silence,
        progress,
        deadline,
        quick if quick is not None and quick < progress else None,
    )


def awaited(s: AgentState, spec: AgentSpec) -> Limits:
    """Of the limits those whose end would still change something: one incident at a time, one deadline."""
    if s.incident is not None:
        return Limits(None, None, deadline_awaited(s, spec))
    return _awaited(s, limits(s, spec))


def deadline_awaited(s: AgentState, spec: AgentSpec) -> float | None:
    """The deadline of `awaited`: all that is left of it while an incident is open, as thousands may be."""
    return _unless_known(s, _deadline(s, spec))


def _deadline(s: AgentState, spec: AgentSpec) -> float | None:
    task = s.task
    if task is None or task.ticking_since is None or s.phase not in CLOCK_RUNS:
        return None
    return task.ticking_since + spec.policy.task_deadline - task.spent


def _awaited(s: AgentState, until: Limits) -> Limits:
    deadline = _unless_known(s, until.deadline)
    if s.incident is not None:
        return Limits(None, None, deadline)
    return until if deadline == until.deadline else until._replace(deadline=deadline)


def _unless_known(s: AgentState, deadline: float | None) -> float | None:
    """None as well when its end would change nothing: it was told already, or one attempt just gives way."""
    if deadline is None or (s.recovery is not None and s.recovery.stage in GIVING_WAY):
        return None
    known = s.incident is not None and (s.incident.cause == "deadline" or s.incident.observed)
    return None if known else deadline


def signs(s: AgentState, spec: AgentSpec, now: float) -> tuple[Sign, ...]:
    """The age of each kind of evidence. That its process is there counts as life only where it is asked."""
    found = tuple(Sign(kind, age, kind in spec.liveness) for kind, age in ages(s.trace, now).items())
    held = s.trace.connection
    if held is None:
        return found  # nobody had to look
    counts = "cpu" in spec.liveness and held <= s.last_shown + spec.policy.tool_timeout
    return (*found, Sign("connection", max(0.0, now - held), counts))


def ages(trace: Trace, now: float) -> dict[str, float | None]:
    """Seconds since the newest evidence of each kind; None: none yet."""
    return {kind: None if (at := getattr(trace, kind)) is None else max(0.0, now - at) for kind in KINDS}


def missed_beats(s: AgentState, spec: AgentSpec, now: float) -> int:
    """Heartbeat intervals without any life, for agents whose silence counts; else 0."""
    spec = in_force(s, spec)
    if limits(s, spec).silence is None:
        return 0
    return int(max(0.0, now - s.last_life) // spec.policy.heartbeat_interval)


def _fired(s: AgentState, spec: AgentSpec, now: float, until: Limits) -> Symptom | None:
    """What the clocks that are awaited say at `now`; the worst first."""
    silence, progress, deadline, _ = until
    if deadline is not None and now >= deadline:
        return _past(s, spec, now)
    if silence is not None and now >= silence:
        detail = f"no life for {now - s.last_life:.1f} s{_frozen(s)}"
        return Symptom("stalled", "stalled", detail, s.last_life)
    if progress is not None and now >= progress:
        detail = f"alive, but no progress for {now - s.last_progress:.1f} s{_frozen(s)}{_circle(s, now)}"
        return Symptom("looping", "looping", detail, s.last_progress)
    return None


def _past(s: AgentState, spec: AgentSpec, now: float) -> Symptom:
    used = spent(s.task, now) if s.task is not None else 0.0
    detail = f"task used {used:.0f} s of its {spec.policy.task_deadline:.0f} s"
    return Symptom("deadline", "deadline", detail, now)


def _frozen(s: AgentState) -> str:
    if s.stopped:
        return ", process stopped (state T)"
    return f", its child {s.stopped_child} is stopped (state T)" if s.stopped_child else ""


def _circle(s: AgentState, now: float) -> str:
    back = s.returning
    if back.looks < MANY_LOOKS or not 0 < back.lines <= SCREENFUL:
        return ""
    lines = "line" if back.lines == 1 else f"{back.lines} lines"
    return f"; the same {lines} came back {back.looks} times in {now - back.since:.0f} s"


def _spell(s: AgentState, now: float, until: Limits) -> float | None:
    """Seconds without progress, from the quick look on, while they count."""
    noticed = s.quick_looked is not None or (until.quick is not None and now >= until.quick)
    return max(0.0, now - s.last_progress) if noticed and until.progress is not None else None


def _clocks(s: AgentState, spec: AgentSpec, now: float, until: Limits) -> list[Clock]:
    policy = spec.policy
    running = _awaited(s, until)
    clocks: list[Clock] = []

    def add(name: str, at: float | None, length: float) -> None:
        if at is not None:
            clocks.append(Clock(name, at - now, length))

    add("stalled", running.silence, policy.silence)
    add("quick_look", running.quick, policy.quick_look)
    if running.progress is not None:
        add("looping", running.progress, running.progress - s.last_progress)
    add("deadline", running.deadline, policy.task_deadline)
    if s.phase is Phase.LIMITED and s.limited_until is not None:
        add("limit", s.limited_until, s.limited_until - s.since)
    recovery = s.recovery
    if recovery is not None and recovery.stage is Stage.BACKOFF:
        add("backoff", recovery.due, policy.backoff.max)
    elif recovery is not None and recovery.stage is Stage.VERIFYING:
        add("proof", recovery.due, policy.verify_within)
    if (asked := open_question(s)) is not None:
        add("answer", asked.until, policy.decide_within)
    if s.flip_held and len(s.flips) == 2 and wants_flip(s):
        add("screen", held_until(s, spec), 2 * policy.heartbeat_interval)
    return clocks


_BY_PHASE = {
    Phase.EXITED: Rule.ENDED,
    Phase.RECOVERING: Rule.RECOVERING,
    Phase.STARTING: Rule.NOT_READY,
    Phase.LIMITED: Rule.LIMITED,
    Phase.STALLED: Rule.TROUBLE,
    Phase.LOOPING: Rule.TROUBLE,
}


def _rule(s: AgentState) -> Rule:
    """The rule by which it is in its phase."""
    if s.phase in HELD:
        return Rule.HELD
    if s.phase is Phase.UNKNOWN:
        return Rule.UNSEEN
    if s.incident is not None:
        return Rule.INCIDENT
    if s.phase is Phase.WAITING:
        return Rule.SCREEN_ASKS if s.screen == "waiting" else Rule.ASKED
    if s.phase is Phase.IDLE:
        if s.says in RESTS:
            return Rule.SAYS_IDLE
        return Rule.AT_ITS_PROMPT if s.screen == "idle" else Rule.NO_TASK
    if s.phase is not Phase.WORKING:
        return _BY_PHASE[s.phase]
    if s.tending is not None:
        return Rule.TENDING
    if s.quick_looked is not None or circles(s):
        return Rule.NO_PROGRESS
    if s.screen == "idle" and s.task is not None:
        return Rule.PROMPT_WITH_TASK
    return Rule.SCREEN_BUSY if s.screen == "busy" else Rule.AT_WORK
