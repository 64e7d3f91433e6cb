"""Why an agent is in its phase: each piece of evidence with its age, the rule that fired, what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config.fleet import AgentSpec
from .agent import HELD, AgentState, Phase, Stage
from .decide import due
from .detect import limits
from .ladder import next_rung
from .transitions import spent

SOURCES = {
    "beat": "its letters in the inbox",
    "output": "tmux: its pane changed",
    "file": "its workspace",
    "transcript": "its own transcript",
    "process": "the process table",
    "cpu": "CPU time of its process tree",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """`evidence`: (kind, age in seconds or None, source, whether it counts as life)."""

    agent: str
    phase: str
    since_s: float
    rule: str
    evidence: tuple[tuple[str, float | None, str, bool], ...]
    next: str
    when_s: float | None
    facts: tuple[str, ...]

    def lines(self) -> list[str]:
        out = [f"{self.agent} is {self.phase} for {self.since_s:.1f} s: {self.rule}"]
        for kind, age, source, counts in self.evidence:
            shown = "none yet" if age is None else f"{age:.1f} s ago"
            out.append(
                f"  {kind:<10} {shown:>14}  from {source}{'' if counts else ' (does not count as life)'}"
            )
        out += [f"  {fact}" for fact in self.facts]
        when = "" if self.when_s is None else f" in {max(0.0, self.when_s):.1f} s"
        out.append(f"next: {self.next}{when}")
        return out

    def as_json(self) -> dict[str, Any]:
        return {
            "agent": self.agent,
            "phase": self.phase,
            "since_s": round(self.since_s, 3),
            "rule": self.rule,
            "evidence": [
                {"kind": k, "age_s": a, "source": src, "counts_as_life": c} for k, a, src, c in self.evidence
            ],
            "facts": list(self.facts),
            "next": self.next,
            "when_s": self.when_s,
        }


def explain(s: AgentState, spec: AgentSpec, now: float) -> Explanation:
    evidence = tuple(
        (
            kind,
            None if (at := getattr(s.trace, kind)) is None else round(max(0.0, now - at), 3),
            source,
            kind in spec.liveness or kind == "process",
        )
        for kind, source in SOURCES.items()
    )
    words, when = _next(s, spec, now)
    return Explanation(
        s.id,
        s.phase.value,
        max(0.0, now - s.since),
        _rule(s, spec),
        evidence,
        words,
        when,
        _facts(s, spec, now),
    )


def _rule(s: AgentState, spec: AgentSpec) -> str:
    policy = spec.policy
    if s.incident and s.phase not in HELD:
        return f"{s.incident.symptom}: {s.incident.detail} (cause {s.incident.cause})"
    rules = {
        Phase.STARTING: "started, and not a sign of readiness or life yet",
        Phase.WORKING: f"life within {policy.silence:g} s and progress within {policy.progress_timeout:g} s",
        Phase.IDLE: "it has no task, or says that it is idle; idle agents are never timed out",
        Phase.WAITING: f"it waits for a person: {s.message}" if s.message else "it waits for a person",
        Phase.LIMITED: "its provider said: not before a time",
        Phase.PAUSED: "a person paused it; hands off",
        Phase.STOPPED: "a person stopped it",
        Phase.DONE: "its work is done",
        Phase.ESCALATED: "every strategy is spent; a person is needed"
        + (f": {s.incident.detail}" if s.incident else ""),
        Phase.UNKNOWN: "it cannot be seen; unknown is not dead",
        Phase.EXITED: "its process ended",
    }
    return rules.get(s.phase, s.phase.value)


def _of(used: int, budget: int, what: str) -> str:
    return f"{used} of {budget} {what}"


def _facts(s: AgentState, spec: AgentSpec, now: float) -> tuple[str, ...]:
    policy = spec.policy
    process = f"process pid {s.pid}" if s.alive else "process not running"
    facts = [
        f"attempt {s.attempt} on {spec.seats[s.seat].label}, {process}"
        + (", stopped (state T)" if s.stopped else ""),
        f"budget used: {_of(s.restarts, policy.max_restarts, 'restarts')}, "
        + _of(s.reassigns, policy.max_llm_retries, "reassigns"),
        f"last progress {max(0.0, now - s.last_progress):.1f} s ago: {s.progress_kind or 'none yet'}",
    ]
    if s.task:
        facts.append(f"task {s.task.id} used {spent(s.task, now):.0f} s of {policy.task_deadline:g} s")
    if s.attached:
        facts.append("a person is attached: nothing is done by itself")
    if s.bad_letters:
        facts.append(f"{s.bad_letters} letters refused, see its inbox's bad/ folder")
    return tuple(facts)


def _next(s: AgentState, spec: AgentSpec, now: float) -> tuple[str, float | None]:
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
        return stages[recovery.stage], recovery.due - now if timed else None
    if s.phase in HELD:
        again = "nothing until `restart`" if s.alive else "nothing until `start`"
        return {Phase.ESCALATED: "nothing until `clear`", Phase.PAUSED: "nothing until `unpause`"}.get(
            s.phase, again
        ), None
    if s.incident:
        rung = next_rung(s, s.incident, spec)
        return f"{rung.strategy.value}, {rung.why}", None
    until = limits(s, spec)
    clocks = {"stalled": until.silence, "looping": until.progress, "past its deadline": until.deadline}
    pending = {word: at for word, at in clocks.items() if at is not None}
    if not pending:
        at = due(s, spec)
        return ("its limit ends" if at else "nothing is timed"), (at - now if at else None)
    word = min(pending, key=lambda w: pending[w])
    return f"{word} if nothing changes", pending[word] - now
