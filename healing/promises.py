"""The promises of contract.md section 7 as assertions over what a supervisor does, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..config.fleet import AgentSpec
from . import actions as a
from .agent import HELD, AgentState, Happening, Phase, Stage
from .transitions import spent

SLACK = 30.0
"""Seconds that starts and looks may add to a bound."""


@dataclass(slots=True)
class Watch:
    """Looks on. `broken` is the first broken promise in words."""

    broken: str | None = None
    _failures: dict[str, int] = field(default_factory=dict)
    _escalations: dict[str, int] = field(default_factory=dict)
    _pace: dict[str, float] = field(default_factory=dict)

    def say(self, words: str) -> None:
        self.broken = self.broken or words

    def happened(self, h: Happening, s: AgentState, progress_at: float) -> None:
        """`progress_at`: when the agent itself last got somewhere, as the world knows it."""
        if h.type == "hhmrs_recovered":
            by_readiness = "ready probe" in str(h.fields.get("proof")) or "alive" in str(
                h.fields.get("proof")
            )
            if progress_at < s.started and not by_readiness:
                self.say(
                    f"2 recovered means progress: {h.agent} at {h.at} without any since its start: {h.fields}"
                )
        if h.type == "hhmrs_failure" and h.incident:
            self._failures[h.incident] = self._failures.get(h.incident, 0) + 1
            if self._failures[h.incident] > 1:
                self.say(f"7 one alert per incident: {h.incident} failed {self._failures[h.incident]} times")

    def asked(self, action: a.Action, before: AgentState, s: AgentState, lives: list[int]) -> None:
        """Called for each action handed out; `lives`: attempts whose process lives in the world."""
        errand = isinstance(action, a.Escalate | a.ClearMarker | a.EndTree)
        if s.phase in HELD and not errand and not (s.recovery and s.recovery.order):
            self.say(f"5 stopped means stopped: {action} while {s.phase}")
        if before.phase is Phase.UNKNOWN and not errand and not (s.recovery and s.recovery.order):
            self.say(f"8 unknown is not dead: {action} while unknown")
        if isinstance(action, a.StartAttempt):
            older = [n for n in lives if n != action.attempt]
            if older:
                self.say(f"3 one live attempt: {action.agent} starts {action.attempt} while {older} live")
        if isinstance(action, a.Escalate):
            count = self._escalations[action.key] = self._escalations.get(action.key, 0) + 1
            if count > 2:
                self.say(f"7 one alert per incident: {action.key} handed out {count} times")

    def started(self, agent: str, attempt: int, lives: list[int]) -> None:
        if lives:
            self.say(f"3 one live attempt: {agent} attempt {attempt} begins while {lives} live")

    def stepped(self, s: AgentState, now: float, spec: AgentSpec) -> None:
        policy = spec.policy
        if s.restarts > policy.max_restarts or s.reassigns > policy.max_llm_retries:
            self.say(f"1 nothing runs forever: {s.id} has {s.restarts} restarts, {s.reassigns} reassigns")
        running = s.recovery is not None and s.recovery.stage in (Stage.CLEARING, Stage.STARTING)
        if s.task and s.task.ticking_since is not None and not running and s.phase not in HELD:
            over = spent(s.task, now) - policy.task_deadline
            if over > SLACK and not s.attached:
                self.say(f"1 nothing runs forever: {s.id} is {over:.0f} s past its deadline in {s.phase}")
