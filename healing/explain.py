"""A finding in words: each piece of evidence with its age, the rule that fired, what comes next and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config.fleet import AgentSpec, Policy
from . import nudges
from .agent import HELD, WAITING_OUT, AgentState, Phase, Stage, Strategy
from .asking import open_question
from .decide import due
from .detect import Clock, Finding, Rule, judge
from .holding import hold_ends
from .holding import in_words as in_words_of_holds
from .ladder import next_rung
from .patience import MARGIN
from .seats import in_force, seat_of
from .transitions import spent
from .usage import in_words as words_of_usage

SOURCES = {
    "beat": "its letters in the inbox",
    "output": "tmux: its pane changed",
    "file": "its workspace",
    "transcript": "its own transcript",
    "process": "the process table",
    "cpu": "CPU time of its process tree",
    "connection": "open connections of its process tree to its provider",
}
LAST_WORDS = "its last words: "
LONG = 600.0
"""Seconds from which on a length of time is told in minutes and hours."""
PROGRESS = "a changed file, a grown transcript, a new checkpoint, a working child, new output"


def lasting(seconds: float) -> str:
    """`12.3 s`, `12 min 5 s`, `7 h 2 min`: what a person reads at night."""
    if abs(seconds) < LONG:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(abs(seconds)), 60)
    hours, left = divmod(minutes, 60)
    sign = "-" if seconds < 0 else ""
    return f"{sign}{hours} h {left} min" if hours else f"{sign}{minutes} min {rest} s"


@dataclass(frozen=True, slots=True)
class ClockTold:
    """A clock that runs: what happens in `left_s` seconds, and what would reset it (empty: nothing does)."""

    name: str
    left_s: float
    then: str
    resets: str

    def line(self) -> str:
        when = f"in {lasting(self.left_s)}" if self.left_s >= 0 else f"since {lasting(-self.left_s)}"
        return f"clock {self.name}: {self.then} {when}" + (f"; reset by {self.resets}" if self.resets else "")


@dataclass(frozen=True, slots=True)
class Explanation:
    """`evidence`: (kind, age in seconds or None, source, whether it counts as life). `symptom`: what a clock
    that has fired says, None as long as none has. `quick_look_s`: seconds of a spell without progress that
    the gentle look has noticed. `next` with `when_s` is what comes first if nothing changes."""

    agent: str
    phase: str
    since_s: float
    rule: str
    evidence: tuple[tuple[str, float | None, str, bool], ...]
    clocks: tuple[ClockTold, ...]
    symptom: str | None
    quick_look_s: float | None
    next: str
    when_s: float | None
    facts: tuple[str, ...]

    def lines(self) -> list[str]:
        first = [fact for fact in self.facts if fact.startswith(LAST_WORDS)]  # they mostly say why
        out = [self.head(), *(f"  {fact}" for fact in first)]
        for kind, age, source, counts in self.evidence:
            shown = "none yet" if age is None else f"{lasting(age)} ago"
            out.append(
                f"  {kind:<10} {shown:>14}  from {source}{'' if counts else ' (does not count as life)'}"
            )
        out += [f"  {fact}" for fact in self.facts if fact not in first]
        out += [f"  {clock.line()}" for clock in self.clocks]
        return [*out, self.tail()]

    def head(self) -> str:
        return f"{self.agent} is {self.phase} for {lasting(self.since_s)}: {self.rule}"

    def tail(self) -> str:
        return f"next: {self.next}" + ("" if self.when_s is None else f" in {lasting(max(0.0, self.when_s))}")

    def as_json(self) -> dict[str, Any]:
        return {
            "agent": self.agent,
            "phase": self.phase,
            "since_s": round(self.since_s, 3),
            "rule": self.rule,
            "evidence": [
                {"kind": k, "age_s": a, "source": src, "counts_as_life": c} for k, a, src, c in self.evidence
            ],
            "clocks": [
                {"name": c.name, "left_s": round(c.left_s, 3), "then": c.then, "reset_by": c.resets}
                for c in self.clocks
            ],
            "symptom": self.symptom,
            "quick_look_s": self.quick_look_s,
            "facts": list(self.facts),
            "next": self.next,
            "when_s": self.when_s,
        }


def explain(s: AgentState, spec: AgentSpec, now: float) -> Explanation:
    spec = in_force(s, spec)
    return in_words(judge(s, spec, now), s, spec)


def in_words(found: Finding, s: AgentState, spec: AgentSpec) -> Explanation:
    """The finding that `judge` made of `s`, for people."""
    evidence = tuple(
        (sign.kind, None if sign.age is None else round(sign.age, 3), SOURCES[sign.kind], sign.life)
        for sign in found.signs
    )
    words, when = _next(found, s, spec)
    return Explanation(
        found.agent,
        found.phase.value,
        max(0.0, found.at - found.since),
        rule_words(found, s, spec),
        evidence,
        tuple(_clock(clock, s, spec) for clock in found.clocks),
        found.symptom.detail if found.symptom else None,
        None if found.quick is None else round(found.quick, 3),
        words,
        when,
        _facts(found, s, spec),
    )


def rule_words(found: Finding, s: AgentState, spec: AgentSpec) -> str:
    """The rule that gave the phase, in one sentence."""
    policy, incident = in_force(s, spec).policy, s.incident
    if found.rule is Rule.INCIDENT and incident is not None:
        return f"{incident.symptom}: {incident.detail} (cause {incident.cause})"
    if found.rule is Rule.HELD:
        return _held(s, in_force(s, spec))
    if found.rule is Rule.ASKED:
        return f"it waits for a person: {s.message}" if s.message else "it waits for a person"
    if found.rule is Rule.SCREEN_ASKS and s.hook is not None and s.hook.phase == "waiting":
        return f"it waits for a person: {s.hook.words}"
    if found.rule is Rule.NO_PROGRESS:
        spell = found.at - s.last_progress if found.quick is None else found.quick
        return f"no progress for {spell:.1f} s, though it lives: {_gentle(s, spec)}"
    if found.rule is Rule.AT_WORK:
        return f"life within {policy.silence:g} s and progress within {policy.progress_timeout:g} s"
    return _RULES.get(found.rule, found.phase.value)


_RULES = {
    Rule.UNSEEN: "it cannot be seen; unknown is not dead",
    Rule.ENDED: "its process ended",
    Rule.RECOVERING: "what was tried must still prove itself",
    Rule.NOT_READY: "started, and not a sign of readiness or life yet",
    Rule.SCREEN_ASKS: "it waits for a person: its screen asks",
    Rule.LIMITED: "its provider said: not before a time",
    Rule.SAYS_IDLE: "it says that it is idle; idle agents are never timed out",
    Rule.AT_ITS_PROMPT: "its screen shows its prompt, and it has no task; idle is never timed out",
    Rule.NO_TASK: "it has no task; idle agents are never timed out",
    Rule.PROMPT_WITH_TASK: "its screen shows its prompt, with a task open: it is timed like work",
    Rule.SCREEN_BUSY: "its screen shows that it is at work",
    Rule.TROUBLE: "a clock has fired",
    Rule.TENDING: "children of it recover: meanwhile its own silence is no stall",
}


def _gentle(s: AgentState, spec: AgentSpec) -> str:
    """The quick look, with what is done for it."""
    words = nudges.in_words(s, spec, gentle=True)
    if not words:
        return "the quick look, for which alone nothing is done"
    would = "would be" if spec.policy.mode == "observe" else "is"
    return f"the quick look, for which this {would} done: {'; '.join(words)}"


def _nudge(s: AgentState, spec: AgentSpec) -> tuple[str, ...]:
    """What a nudge would be made of, or what is left of the one under way."""
    if not s.alive:
        return ()
    if s.nudging:
        return (f"a nudge is under way; left of it: {', '.join(s.nudging.left)}",)
    words = nudges.in_words(s, spec)
    return (f"a nudge would {'; '.join(words)}" if words else f"no nudge: {nudges.NOTHING}",)


def _held(s: AgentState, spec: AgentSpec) -> str:
    if s.phase is Phase.ESCALATED:
        return _given_up(s, spec)
    if s.phase is Phase.PAUSED and s.spending.paused:
        return f"{s.spending.held}; it is given nothing more to do"
    return {
        Phase.PAUSED: "a person paused it; hands off",
        Phase.STOPPED: "a person stopped it",
        Phase.DONE: "its work is done",
    }.get(s.phase, s.phase.value)


def _given_up(s: AgentState, spec: AgentSpec) -> str:
    """Why it was given up: the ladder ended, had no rung for the cause, or a person said so."""
    incident = s.incident
    if incident is None:
        return "a person is needed"
    if incident.symptom == "ordered" and not incident.attempts:
        return f"{incident.detail}; a person is needed"
    rung = next_rung(s, incident, spec)
    why = f"{rung.why}; " if rung.strategy is Strategy.ESCALATE else ""
    return f"{why}a person is needed: {incident.detail}"


def _clock(clock: Clock, s: AgentState, spec: AgentSpec) -> ClockTold:
    then, resets = {
        "stalled": ("stalled", "life: " + ", ".join(spec.liveness)),
        "quick_look": (f"{_gentle(s, spec)},", PROGRESS),
        "looping": (f"looping{_raised(clock, s, spec)}", PROGRESS),
        "deadline": ("past its deadline", "nothing; it rests while waiting, limited or paused"),
        "limit": ("its limit ends", "a screen that shows it no more"),
        "backoff": ("the next attempt", ""),
        "proof": ("the attempt counts as failed", "fresh progress, which proves it"),
        "answer": ("the policy decides", _answer(s)),
        "screen": ("its screen, which flaps, is followed", ""),
    }[clock.name]
    return ClockTold(clock.name, clock.left, then, resets)


def _answer(s: AgentState) -> str:
    asked = open_question(s)
    return f"nothing; {asked.ancestor} may decide before" if asked else ""


def _raised(clock: Clock, s: AgentState, spec: AgentSpec) -> str:
    """Why it is given more time than the policy says."""
    more = clock.length - spec.policy.progress_timeout
    if more < 1e-6:
        return ""
    count = len(s.pauses.newest)
    quantile = f"{MARGIN:g} x {s.pauses.p99:g} s, the 99th percentile of its own {count} pauses"
    return f" ({clock.length:.0f} s instead of {spec.policy.progress_timeout:g}: {quantile})"


def _of(used: int, budget: int, what: str) -> str:
    return f"{used} of {budget} {what}"


def _facts(found: Finding, s: AgentState, spec: AgentSpec) -> tuple[str, ...]:
    policy, now = spec.policy, found.at
    process = f"process pid {s.pid}" if s.alive else "process not running"
    facts = [
        f"attempt {s.attempt} on {seat_of(s, spec).label}, {process}"
        + (", stopped (state T)" if s.stopped else "")
        + (f", its child {s.stopped_child} is stopped (state T)" if s.stopped_child else ""),
        f"budget used: {_of(s.restarts, policy.max_restarts, 'restarts')}, "
        + _of(s.reassigns, policy.max_llm_retries, "reassigns"),
        _newest_progress(s, now),
    ]
    if s.task:
        used, limit = spent(s.task, now), policy.task_deadline
        facts.append(f"task {s.task.id} used {lasting(used)} of {lasting(limit)}")
    if found.quick is not None and found.rule is not Rule.NO_PROGRESS:
        facts.append(f"no progress for {found.quick:.1f} s: {_gentle(s, spec)}")
    facts += _seen(s, now)
    if s.trouble is not None and s.alive:
        source, cause, line = s.trouble.source, s.trouble.cause, s.trouble.line
        facts.append(f"its {source} says that it cannot go on ({cause}): {line}")
    if s.last_words and not s.alive:
        facts.append(LAST_WORDS + s.last_words[-1])
    facts += _short_of_more(s, policy, now)
    if s.moved is not None and s.alive:
        facts.append(f"its processes have read and written {s.moved / 1e6:.1f} MB")
    if s.tending:
        names = ", ".join(s.tending.children)
        facts.append(f"its children recover: {names}; its clocks rest for {now - s.tending.since:.1f} s now")
    facts += _nudge(s, spec)
    facts += _spending(s)
    facts += in_words_of_holds(s, now)
    if s.incident and s.incident.shared:
        shared = s.incident.shared
        facts.append(f"its incident is part of a cascade: {shared.cause}, {shared.scope}")
    if s.unsaved:
        facts.append(f"its newest checkpoint is not whole: {s.unsaved}")
    if s.attached:
        facts.append("a person is attached: nothing is done by itself")
    if s.bad_letters:
        facts.append(f"{s.bad_letters} letters refused, see its inbox's bad/ folder")
    return tuple(facts)


def _seen(s: AgentState, now: float) -> list[str]:
    """What it looks like, and what it says of that itself."""
    facts, hook = list[str](), s.hook
    if s.screen and (hook is None or s.screen != hook.phase):
        facts.append(f"its screen shows: {s.screen}" + (", and flaps" if s.flip_held else ""))
    if hook is not None and s.alive:
        words = f" ({hook.words})" if hook.words else ""
        facts.append(f"its own hook told {lasting(max(0.0, now - hook.at))} ago: {hook.phase}{words}")
    return facts


def _spending(s: AgentState) -> list[str]:
    """What its transcripts tell of tokens and cost, and whether it may go on spending."""
    facts = [f"its transcripts tell {sums}"] if (sums := words_of_usage(s.spending)) else []
    if s.spending.held:
        what = "" if s.spending.paused else "; it may finish its turn"
        facts.append(f"it is given nothing more to do: {s.spending.held}{what}")
    return facts


def _newest_progress(s: AgentState, now: float) -> str:
    if not s.progress_kind or (s.alive and s.last_progress <= s.started):
        # The clocks of an attempt begin with it, which is no progress of its own.
        return "no progress of this attempt yet" if s.attempt > 1 else "no progress yet"
    return f"last progress {lasting(max(0.0, now - s.last_progress))} ago: {s.progress_kind}"


def _short_of_more(s: AgentState, policy: Policy, now: float) -> list[str]:
    """What counts for a limited time only."""
    facts = []
    if s.alive and s.last_life > s.last_shown and s.trace.connection is not None:
        alone = f"for {now - s.last_shown:.0f} s it lives by an open connection to its provider alone"
        facts.append(f"{alone}, which counts for {policy.tool_timeout:g} s")
    if s.alive and s.overlong:
        began = f"the first of that command line began {now - s.overlong:.0f} s ago"
        facts.append(f"its children at work are progress no more: {began}, limit {policy.tool_timeout:g} s")
    return facts


def _when_let_go(s: AgentState) -> str:
    """Empty when it is not held back; a person's orders never are."""
    manual = s.recovery is not None and s.recovery.order is not None
    return "" if manual or not s.held_back else f"when it is let go: {s.held_back[-1].why}"


def _next(found: Finding, s: AgentState, spec: AgentSpec) -> tuple[str, float | None]:
    recovery = s.recovery
    if recovery:
        word = recovery.strategy.value if recovery.strategy else "start"
        stages = {
            Stage.BACKOFF: f"{word} {_when_let_go(s) or 'after its backoff'}",
            Stage.CLEARING: f"{word}: the old process tree is being ended",
            Stage.STARTING: f"{word}: the new attempt is being started",
            Stage.VERIFYING: f"{word} counts as failed without fresh progress",
        }
        timed = recovery.stage in WAITING_OUT
        return stages[recovery.stage], recovery.due - found.at if timed else None
    if s.phase is Phase.PAUSED and s.spending.paused:
        return "nothing until its budget is raised (`hhmrs set spending.KEY VALUE`) or `clear`", None
    if s.phase in HELD:
        again = "nothing until `restart`" if s.alive else "nothing until `start`"
        return {Phase.ESCALATED: "nothing until `clear`", Phase.PAUSED: "nothing until `unpause`"}.get(
            s.phase, again
        ), None
    if s.incident:
        rung = next_rung(s, s.incident, spec)
        if spec.policy.mode == "observe":
            return f"nothing, it is only observed; armed, it would be {rung.strategy.value}, {rung.why}", None
        if hold_ends(s, spec, planning=True) > found.at:
            return f"{rung.strategy.value} {_when_let_go(s)}", None
        if (asked := open_question(s)) is not None:
            words = f"{asked.ancestor} is asked to decide; without an answer the policy does"
            return f"{words} {rung.strategy.value}", asked.until - found.at
        wait = s.limited_until - found.at if s.phase is Phase.LIMITED and s.limited_until else None
        return f"{rung.strategy.value}, {rung.why}", wait
    symptoms = {"stalled": "stalled", "looping": "looping", "deadline": "past its deadline"}
    for clock in found.clocks:
        if clock.name in symptoms:
            return f"{symptoms[clock.name]} if nothing changes", clock.left
    at = due(s, spec)
    return ("its limit ends" if at else "nothing is timed"), (at - found.at if at else None)
