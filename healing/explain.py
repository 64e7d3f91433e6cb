"""A finding in words: each piece of evidence with its age, the rule that fired, what comes next and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config.fleet import AgentSpec
from .agent import HELD, AgentState, Phase, Stage
from .decide import due
from .detect import Clock, Finding, Rule, judge
from .ladder import next_rung
from .patience import MARGIN
from .transitions import spent

GENTLE = "the quick look, for which alone nothing is done"
SOURCES = {
    "beat": "its letters in the inbox",
    "output": "tmux: its pane changed",
    "file": "its workspace",
    "transcript": "its own transcript",
    "process": "the process table",
    "cpu": "CPU time of its process tree",
}
PROGRESS = "a changed file, a grown transcript, a new checkpoint, a working child, new output"


@dataclass(frozen=True, slots=True)
class ClockTold:
    """A clock that runs: what happens in `left_s` seconds, and what would reset it (empty: nothing does)."""

    name: str
    left_s: float
    then: str
    resets: str

    def line(self) -> str:
        when = f"in {self.left_s:.1f} s" if self.left_s >= 0 else f"since {-self.left_s:.1f} s"
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
        out = [self.head()]
        for kind, age, source, counts in self.evidence:
            shown = "none yet" if age is None else f"{age:.1f} s ago"
            out.append(
                f"  {kind:<10} {shown:>14}  from {source}{'' if counts else ' (does not count as life)'}"
            )
        out += [f"  {fact}" for fact in self.facts]
        out += [f"  {clock.line()}" for clock in self.clocks]
        return [*out, self.tail()]

    def head(self) -> str:
        return f"{self.agent} is {self.phase} for {self.since_s:.1f} s: {self.rule}"

    def tail(self) -> str:
        return f"next: {self.next}" + ("" if self.when_s is None else f" in {max(0.0, self.when_s):.1f} s")

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
    policy, incident = spec.policy, s.incident
    if found.rule is Rule.INCIDENT and incident is not None:
        return f"{incident.symptom}: {incident.detail} (cause {incident.cause})"
    if found.rule is Rule.HELD:
        return _held(s)
    if found.rule is Rule.ASKED:
        return f"it waits for a person: {s.message}" if s.message else "it waits for a person"
    if found.rule is Rule.NO_PROGRESS:
        spell = found.at - s.last_progress if found.quick is None else found.quick
        return f"no progress for {spell:.1f} s, though it lives: {GENTLE}"
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
}


def _held(s: AgentState) -> str:
    return {
        Phase.PAUSED: "a person paused it; hands off",
        Phase.STOPPED: "a person stopped it",
        Phase.DONE: "its work is done",
        Phase.ESCALATED: "every strategy is spent; a person is needed"
        + (f": {s.incident.detail}" if s.incident else ""),
    }.get(s.phase, s.phase.value)


def _clock(clock: Clock, s: AgentState, spec: AgentSpec) -> ClockTold:
    then, resets = {
        "stalled": ("stalled", "life: " + ", ".join(spec.liveness)),
        "quick_look": ("the quick look, which does nothing by itself,", PROGRESS),
        "looping": (f"looping{_raised(clock, s, spec)}", PROGRESS),
        "deadline": ("past its deadline", "nothing; it rests while waiting, limited or paused"),
        "limit": ("its limit ends", "a screen that shows it no more"),
        "backoff": ("the next attempt", ""),
        "proof": ("the attempt counts as failed", "fresh progress, which proves it"),
        "screen": ("its screen, which flaps, is followed", ""),
    }[clock.name]
    return ClockTold(clock.name, clock.left, then, resets)


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
        f"attempt {s.attempt} on {spec.seats[s.seat].label}, {process}"
        + (", stopped (state T)" if s.stopped else "")
        + (f", its child {s.stopped_child} is stopped (state T)" if s.stopped_child else ""),
        f"budget used: {_of(s.restarts, policy.max_restarts, 'restarts')}, "
        + _of(s.reassigns, policy.max_llm_retries, "reassigns"),
        f"last progress {max(0.0, now - s.last_progress):.1f} s ago: {s.progress_kind or 'none yet'}",
    ]
    if s.task:
        facts.append(f"task {s.task.id} used {spent(s.task, now):.0f} s of {policy.task_deadline:g} s")
    if found.quick is not None and found.rule is not Rule.NO_PROGRESS:
        facts.append(f"no progress for {found.quick:.1f} s: {GENTLE}")
    if s.screen:
        facts.append(f"its screen shows: {s.screen}" + (", and flaps" if s.flip_held else ""))
    if s.moved is not None and s.alive:
        facts.append(f"its processes have read and written {s.moved / 1e6:.1f} MB")
    if s.attached:
        facts.append("a person is attached: nothing is done by itself")
    if s.bad_letters:
        facts.append(f"{s.bad_letters} letters refused, see its inbox's bad/ folder")
    return tuple(facts)


def _next(found: Finding, s: AgentState, spec: AgentSpec) -> tuple[str, float | None]:
    recovery = s.recovery
    if recovery:
        word = recovery.strategy.value if recovery.strategy else "start"
        stages = {
            Stage.BACKOFF: f"{word} after its backoff",
            Stage.CLEARING: f"{word}: the old process tree is being ended",
            Stage.STARTING: f"{word}: the new attempt is being started",
            Stage.VERIFYING: f"{word} counts as failed without fresh progress",
        }
        timed = recovery.stage in (Stage.BACKOFF, Stage.VERIFYING)
        return stages[recovery.stage], recovery.due - found.at if timed else None
    if s.phase in HELD:
        again = "nothing until `restart`" if s.alive else "nothing until `start`"
        return {Phase.ESCALATED: "nothing until `clear`", Phase.PAUSED: "nothing until `unpause`"}.get(
            s.phase, again
        ), None
    if s.incident:
        rung = next_rung(s, s.incident, spec)
        return f"{rung.strategy.value}, {rung.why}", None
    symptoms = {"stalled": "stalled", "looping": "looping", "deadline": "past its deadline"}
    for clock in found.clocks:
        if clock.name in symptoms:
            return f"{symptoms[clock.name]} if nothing changes", clock.left
    at = due(s, spec)
    return ("its limit ends" if at else "nothing is timed"), (at - found.at if at else None)
