"""The promises of contract.md section 7 as assertions over what a supervisor does, step by step.

A Watch sees what is written down and done, turn by turn, and what the world knows beside it: when an agent
itself last lived and got somewhere. Every assertion costs the same however long the run is. Times are of the
world unless they are named `clock`: the supervisor's own, which a new daemon sets anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..config.fleet import AgentSpec
from . import actions as a
from . import evidence as e
from .agent import GIVING_WAY, HELD, TIMED, AgentState, Happening, Phase, Recovery, Stage
from .bounds import worst_case
from .guards import vital
from .holding import HANDS_OFF, tries
from .pacing import longest_delay
from .provider_limits import BACKS_OFF
from .replacing import replace
from .transitions import spent
from .turn import Turn

SLACK = 30.0
"""Seconds that starts and looks may add to a bound."""
CLAUSES: Mapping[str, str] = {
    "0 total": "the brain makes sense of whatever it is told",
    "1 settles": "at one moment there is not always more to decide",
    "1 budgets": "no agent is recovered more often than its budgets say",
    "1 deadline": "no task runs on past its deadline",
    "1 bound": "no incident stays open, while something could be done, longer than `check` prints",
    "1 noticed": "who is silent, or gets nowhere, is found within the time that `check` prints",
    "1 limbo": "an agent that does not run is being recovered, or is a person's",
    "2 progress": "an incident is recovered only by progress of the agent itself since the attempt began",
    "2 itself": "an incident ends by itself only by progress since it began, and else only by an order",
    "3 one": "no attempt starts while an older one lives",
    "3 rising": "attempts are numbered one by one",
    "3 stale": "what comes of an older attempt changes nothing",
    "4 kept": "what was written down is still known by the next daemon",
    "4 letters": "what a letter said that was acknowledged is still known by the next daemon",
    "4 ground": "nothing is started before the workspace of the attempt before was saved",
    "4 orders": "every order gets exactly one outcome",
    "5 held": "who is held is left alone",
    "5 left": "who is held stays so until somebody says otherwise",
    "5 waiting": "nobody acts by itself on an agent that waits, or at which a person sits",
    "6 typing": "keys are sent only by a nudge that is written down first",
    "6 observe": "who only observes does nothing",
    "7 failure": "a person is called once for each incident",
    "7 alert": "one incident is notified once by each daemon",
    "7 shared": "what many agents fail of together is one call, not one for each",
    "7 edge": "a symptom is told when it begins, and not again",
    "8 acted": "nobody acts on an agent that cannot be seen",
    "8 believed": "a look that fails opens no incident and ends no attempt",
}
"""Every promise's clauses in words; each has a test in which it is broken."""
SEEING = (e.SeenAgain, e.ProcessExited, e.ProcessStarted, e.ProcessAdopted, e.Ordered)
"""Evidence that says more than that nothing can be seen."""
RESTARTS_CLOCKS = (
    e.ProcessStarted,
    e.ProcessAdopted,
    e.SeenAgain,
    e.SupervisorStalled,
    e.PersonPresent,
    e.Ordered,
    e.Typed,
    e.ErrorShown,
)


class Known(Protocol):
    """What the world knows of an agent: when it itself last lived, got somewhere, printed something new."""

    life_at: float
    progress_at: float
    news_at: float


@dataclass(slots=True)
class Seen:
    """What the watch remembers of one agent."""

    spec: AgentSpec
    body: Known
    state: AgentState | None = None
    incident: str = ""
    opened: float = 0.0
    active: float = 0.0
    """Seconds of its incident in which something could have been done."""
    longest: float = 0.0
    """The most of these seconds that any incident took until it was recovered, or a person called."""
    allowance: float = 0.0
    marked: float = 0.0
    failures: int = 0
    timeouts: list[str] = field(default_factory=list)
    alerts: dict[str, int] = field(default_factory=dict)
    verifying: float = 0.0
    steps: tuple[str, ...] = ()
    """What the last nudge that was written down is made of."""
    given_back: int = 0
    """Attempts of its incident that cost no budget, because what they failed of is no fault of its own."""
    held: float = 0.0
    """Seconds for which its incident was held back for the sake of others."""
    clocks: float = 0.0
    """When its clocks began anew."""
    orders: dict[str, float] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    limbo: float | None = None
    bounds: dict[str, float] = field(default_factory=dict)
    """By cause, what `check` prints."""


@dataclass(slots=True)
class Watch:
    """Looks on. `broken` is the first broken promise: its clause of CLAUSES, and words."""

    broken: str | None = None
    checks: int = 0
    """How often a turn, a look or a start was held against the promises."""
    _agents: dict[str, Seen] = field(default_factory=dict)
    _told: dict[str, int] = field(default_factory=dict)
    _daemon: float | None = None
    """Since when a daemon looks on; None: nobody does."""

    def meet(self, spec: AgentSpec, body: Known) -> None:
        self._agents[spec.id] = Seen(spec, body)

    def longest(self, agent: str) -> float:
        """The most seconds in which something could be done that an incident of the agent took, to its proof
        or to the call for a person; starts aside."""
        return self._agents[agent].longest

    def say(self, clause: str, words: str) -> None:
        assert clause in CLAUSES
        self.broken = self.broken or f"{clause}: {CLAUSES[clause]}; but {words}"

    # -- daemons come and go ----------------------------------------------------------------------

    def reborn(self, s: AgentState, acknowledged: int) -> None:
        """A daemon takes on an agent as its book has it."""
        seen = self._agents[s.id]
        before = seen.state
        if s.checkpoint < acknowledged:
            self.say(
                "4 letters", f"{s.id} has checkpoint {s.checkpoint}, and {acknowledged} was acknowledged"
            )
        if before is not None and _written(before) != _written(s):
            self.say("4 kept", f"{s.id} was {_written(before)} and is read as {_written(s)}")
        seen.alerts.clear()

    def orphaned(self, now: float) -> None:
        """The daemon is gone, or did not run for a while: nobody is held to anything meanwhile."""
        for seen in self._agents.values():
            self._mark(seen, now)
        self._daemon = None

    def attended(self, now: float) -> None:
        """A daemon runs, anew or again."""
        self._daemon = now
        for seen in self._agents.values():
            seen.orders = dict.fromkeys(seen.orders, now)
            self._interrupted(seen, now)

    def _interrupted(self, seen: Seen, now: float) -> None:
        """Proofs and waits may begin anew."""
        policy = seen.spec.policy
        seen.marked = seen.clocks = now
        seen.allowance += policy.verify_within + policy.kill_grace + SLACK

    # -- what is done -----------------------------------------------------------------------------

    def turned(
        self, turn: Turn, states: Mapping[str, AgentState], told: Sequence[e.Evidence], now: float
    ) -> None:
        """A turn was written down. `told`: the evidence that was taken in."""
        self.checks += 1
        for agent in turn.happenings.keys() | turn.changed:
            seen, after = self._agents.get(agent), states.get(agent)
            if seen is None or after is None:
                continue
            mine = [one for one in told if one.agent == agent]
            before = seen.state
            self._mark(seen, now)
            if before is not None:
                self._compare(before, after, mine)
            for happening in turn.happenings.get(agent, ()):
                self._happened(seen, happening, mine, now)
            self._remember(seen, before, after, mine, now)
        for action in turn.actions:
            seen = self._agents.get(action.agent)
            if seen is not None:
                mine = [one for one in told if one.agent == action.agent]
                self._asked(seen, action, states[action.agent], mine, _came_from(turn, action.agent))
            elif isinstance(action, a.Announce):
                self._announced(action)
        for agent in turn.happenings.keys() | turn.changed | {action.agent for action in turn.actions}:
            if agent in self._agents and agent in states:
                self._agents[agent].state = states[agent]

    def _compare(self, before: AgentState, after: AgentState, mine: Sequence[e.Evidence]) -> None:
        agent = after.id
        freed = before.spending.paused and not after.spending.held
        if before.phase in HELD and after.phase is not before.phase and not (_ordered(mine) or freed):
            self.say("5 left", f"{agent} went from {before.phase} to {after.phase} after {mine}")
        if after.attempt not in (before.attempt, before.attempt + 1):
            self.say("3 rising", f"{agent} went from attempt {before.attempt} to {after.attempt}")
        if after.checkpoint < before.checkpoint:
            self.say("4 kept", f"{agent} went from checkpoint {before.checkpoint} to {after.checkpoint}")
        if mine and all(_stale(one, before) for one in mine) and vital(before) != vital(after):
            self.say("3 stale", f"{agent} was changed by {mine}")
        opened = after.incident is not None and before.incident is None
        if mine and all(isinstance(one, e.Unseen) for one in mine):
            if opened or before.alive != after.alive or before.attempt != after.attempt:
                self.say("8 believed", f"{agent} was believed to have {after.incident} after {mine}")
        elif opened and not mine and before.phase is after.phase is Phase.UNKNOWN and not _late(after):
            self.say("8 believed", f"{agent} has {after.incident} while nobody sees it")

    def _happened(self, seen: Seen, h: Happening, mine: Sequence[e.Evidence], now: float) -> None:
        if h.type == "agent_incident":
            seen.incident, seen.opened = h.incident or "", now
            seen.active = seen.allowance = seen.held = 0.0
            seen.given_back = 0
            seen.failures, seen.timeouts = 0, []
        elif h.type == "hhmrs_recovered":
            seen.longest = max(seen.longest, seen.active)
            proof = str(h.fields.get("proof"))
            fresh = max(seen.body.progress_at, seen.body.news_at)
            if fresh < seen.verifying and "ready probe" not in proof and not proof.startswith("alive"):
                self.say("2 progress", f"{h.agent} was last at work {now - fresh:.1f} s ago: {h.fields}")
        elif h.type == "agent_incident_closed":
            self._closed(seen, h, mine)
        elif h.type == "hhmrs_failure":
            seen.longest = max(seen.longest, seen.active)
            seen.failures += 1
            if seen.failures > 1 and h.incident == seen.incident:
                self.say("7 failure", f"for {h.incident} {seen.failures} times")
        elif h.type == "hhmrs_timeout":
            symptom = str(h.fields.get("symptom"))
            if symptom in seen.timeouts and h.incident == seen.incident:
                self.say("7 edge", f"{symptom} of {h.incident} again")
            seen.timeouts.append(symptom)
        elif h.type in ("hhmrs_nudge", "agent_quick_look"):
            steps = h.fields.get("steps")
            seen.steps = tuple(map(str, steps)) if isinstance(steps, list) else ()
        elif h.type == "agent_cause_shared":
            seen.given_back += int(str(h.fields.get("given_back") or 0))
        elif h.type in ("operator_order", "operator_outcome"):
            self._order(seen, h, now)

    def _closed(self, seen: Seen, h: Happening, mine: Sequence[e.Evidence]) -> None:
        outcome = h.fields.get("outcome")
        fresh = max(seen.body.progress_at, seen.body.news_at)
        if outcome == "self" and fresh < seen.opened:
            self.say("2 itself", f"{h.incident} is closed, and its agent was last at work at {fresh:.1f}")
        if outcome == "cleared" and not _ordered(mine):
            self.say("2 itself", f"{h.incident} is cleared, and nobody ordered it")

    def _order(self, seen: Seen, h: Happening, now: float) -> None:
        letter = str(h.fields.get("letter"))
        if h.type == "operator_order":
            seen.orders[letter] = now
        elif letter in seen.answered:
            self.say("4 orders", f"{letter} to {h.agent} is answered again: {h.fields}")
        else:
            seen.answered.add(letter)
            seen.orders.pop(letter, None)

    def _remember(
        self, seen: Seen, before: AgentState | None, s: AgentState, mine: Sequence[e.Evidence], now: float
    ) -> None:
        verifying = s.recovery is not None and s.recovery.stage is Stage.VERIFYING
        was = before is not None and before.recovery is not None and before.recovery.stage is Stage.VERIFYING
        if verifying and not was:
            seen.verifying = now
        if before is None or before.phase is not s.phase:
            seen.clocks = now
            if before is not None and (before.phase in HANDS_OFF or s.phase in HANDS_OFF):
                self._interrupted(seen, now)
        if before is not None and (before.tending is None) != (s.tending is None):
            seen.clocks = now  # its clocks stood still while its children recovered
        if before is not None and _cascade(before) != _cascade(s):
            seen.held = 0.0  # each cascade may hold it for so long
        if before is not None and before.held_back and not s.held_back:
            self._interrupted(seen, now)  # it is its turn to try, and that may cost nothing
        if any(isinstance(one, RESTARTS_CLOCKS) for one in mine):
            self._interrupted(seen, now)
        policy = seen.spec.policy
        if s.restarts > policy.max_restarts or s.reassigns > policy.max_llm_retries:
            self.say("1 budgets", f"{s.id} has {s.restarts} restarts and {s.reassigns} reassigns")

    def _asked(
        self, seen: Seen, action: a.Action, s: AgentState, mine: Sequence[e.Evidence], came_from: Phase | None
    ) -> None:
        """An action is handed out. `came_from`: the phase in which it was decided upon, if it left that."""
        if isinstance(action, a.Escalate):
            count = seen.alerts[action.key] = seen.alerts.get(action.key, 0) + 1
            if count > 1:
                self.say("7 alert", f"{action.key} is handed out {count} times")
            by_itself = s.errand is None or s.errand.order is None
            if s.incident is not None and s.incident.shared and by_itself and not action.quiet:
                self.say("7 shared", f"{action.key} is told beside {s.incident.shared.id}")
        if isinstance(action, a.Nudge) and action.step not in seen.steps:
            self.say("6 typing", f"{action} is not written down; only {seen.steps}")
        ordered = _ordered(mine) or (s.recovery is not None and s.recovery.order)
        if not ordered and not isinstance(action, a.Escalate | a.ClearMarker | a.EndTree | a.AlertAncestor):
            self._by_itself(seen, action, s, mine, came_from)

    def _announced(self, action: a.Announce) -> None:
        """The person is told of what concerns many agents."""
        self._told[action.key] = self._told.get(action.key, 0) + 1
        if self._told[action.key] > 1:
            self.say("7 alert", f"{action.key} is announced {self._told[action.key]} times")

    def _by_itself(
        self, seen: Seen, action: a.Action, s: AgentState, mine: Sequence[e.Evidence], came_from: Phase | None
    ) -> None:
        """An action that nobody ordered."""
        recovery, before = s.recovery, seen.state
        if s.phase in HELD:
            self.say("5 held", f"{action} while {s.phase}")
        if recovery is None or recovery.strategy is None:
            if not isinstance(action, a.StartAttempt | a.ClearGround | a.Nudge):
                self.say("5 held", f"{action} belongs to no recovery")
            if not isinstance(action, a.Nudge):
                return
        elif _in_flight(before, recovery):
            return
        if seen.spec.policy.mode == "observe":
            self.say("6 observe", f"{action} is asked for")
        if before is None:
            return
        if before.phase is Phase.UNKNOWN and not any(isinstance(one, SEEING) for one in mine):
            self.say("8 acted", f"{action} after {mine}")
        phase = came_from or before.phase
        if phase in (Phase.WAITING, Phase.LIMITED) or (before.attached and s.attached):
            self.say("5 waiting", f"{action} while {phase}, attached: {s.attached}")

    def started(self, action: a.StartAttempt, lives: Sequence[int], ground: int) -> None:
        """A process begins. `lives`: attempts that live; `ground`: the attempt that was last cleared away."""
        self.checks += 1
        if lives:
            self.say("3 one", f"{action.agent} begins attempt {action.attempt} while {list(lives)} live")
        if action.attempt > 1 and ground < action.attempt - 1:
            self.say("4 ground", f"{action.agent} begins attempt {action.attempt} on that of {ground}")

    # -- what time alone should have brought ------------------------------------------------------

    def inspect(self, s: AgentState, now: float, clock: float) -> None:
        """Look at one agent between turns, now and then, while a daemon is awake."""
        seen = self._agents[s.id]
        self.checks += 1
        self._mark(seen, now)
        if self._daemon is None:
            return
        self._in_time(seen, s, clock)
        self._noticed(seen, s, now)
        for letter, asked in seen.orders.items():
            policy = seen.spec.policy
            if now - asked > 3 * (policy.verify_within + policy.kill_grace) + 10 * SLACK:
                self.say("4 orders", f"{letter} to {s.id} has no outcome after {now - asked:.0f} s")
        looked_after = s.alive or s.recovery or s.incident or s.phase in HELD or s.errand
        temporary = seen.spec.restart == "temporary" and s.phase is Phase.EXITED
        if looked_after or temporary:
            seen.limbo = None
        elif seen.limbo is None:
            seen.limbo = now
        elif now - seen.limbo > SLACK:
            self.say("1 limbo", f"{s.id} is {s.phase} since {now - seen.limbo:.0f} s, and nobody sees to it")

    def _in_time(self, seen: Seen, s: AgentState, clock: float) -> None:
        policy, observed = seen.spec.policy, s.incident is not None and s.incident.observed
        hands_off = s.phase in HANDS_OFF or s.attached or s.flip_held or observed
        in_flight = s.recovery is not None and s.recovery.stage in GIVING_WAY
        if s.task and s.task.ticking_since is not None and not in_flight and not hands_off:
            over = spent(s.task, clock) - policy.task_deadline
            if over > SLACK:
                self.say("1 deadline", f"{s.id} is {over:.0f} s past its deadline in {s.phase}")
        if s.incident is None or hands_off:
            return
        cause = s.incident.cause
        if cause not in seen.bounds:
            seen.bounds[cause] = _bound(seen.spec, cause)
        each = longest_delay(policy.backoff) + policy.kill_grace + policy.verify_within
        bound = seen.bounds[cause] + seen.allowance + seen.given_back * each
        if seen.active > bound:
            words = f"{s.incident.id} ({s.incident.cause}) has taken {seen.active:.0f} s of {bound:.0f} s"
            self.say("1 bound", f"{words}; {s.recovery}")
        if seen.held > 2 * policy.task_deadline + SLACK:
            self.say("1 bound", f"{s.incident.id} is held back since {seen.held:.0f} s: {s.held_back}")

    def _noticed(self, seen: Seen, s: AgentState, now: float) -> None:
        spec = seen.spec
        resting = s.phase is Phase.STARTING and not s.task and spec.ready is None
        if s.tending is not None:
            seen.clocks = now  # its children recover
        if s.phase not in TIMED or not s.alive or s.attached or s.flip_held or resting:
            return
        if s.incident is not None or s.recovery is not None or "process" in spec.liveness:
            return
        silent = now - max(seen.body.life_at, seen.clocks)
        if silent > spec.policy.silence + SLACK:
            self.say("1 noticed", f"{s.id} is silent since {silent:.0f} s and counts as {s.phase}")
        nowhere = now - max(seen.body.progress_at, seen.clocks)
        if nowhere > 2 * spec.policy.progress_timeout + SLACK:
            self.say("1 noticed", f"{s.id} gets nowhere since {nowhere:.0f} s and counts as {s.phase}")

    def _mark(self, seen: Seen, now: float) -> None:
        """Count the time since the last look, if something could have been done in it."""
        s, since = seen.state, now - seen.marked
        seen.marked = now
        if s is None or s.incident is None or self._daemon is None:
            return
        starting = s.recovery is not None and s.recovery.stage is Stage.STARTING
        if s.phase in HANDS_OFF or s.attached or s.flip_held or starting:
            return
        if s.held_back and not tries(s):
            seen.held += since
        else:
            seen.active += since


def _written(s: AgentState) -> tuple[object, ...]:
    """What of a state no daemon may forget."""
    recovery = s.recovery and (s.recovery.key, s.recovery.stage, s.recovery.order)
    errand = s.errand and s.errand.key
    task = s.task and s.task.id
    incident = s.incident and replace(s.incident, asked=None)
    return s.phase, s.attempt, s.alive, incident, recovery, errand, task, s.restarts, s.reassigns, s.nudges


def _cascade(s: AgentState) -> str:
    return s.incident.shared.id if s.incident is not None and s.incident.shared is not None else ""


def _came_from(turn: Turn, agent: str) -> Phase | None:
    """From which phase it was taken into recovery in this turn."""
    for happening in turn.happenings.get(agent, ()):
        if happening.type == "agent_phase" and happening.fields.get("to") == "recovering":
            return Phase(str(happening.fields.get("from")))
    return None


def _ordered(mine: Sequence[e.Evidence]) -> bool:
    return any(isinstance(one, e.Ordered | e.Decided) for one in mine)


def _stale(one: e.Evidence, s: AgentState) -> bool:
    if isinstance(one, e.ProcessExited | e.ProcessStarted):
        return one.attempt < s.attempt
    return isinstance(one, e.LetterRefused)


def _in_flight(before: AgentState | None, recovery: Recovery) -> bool:
    """Its steps are under way already: they are finished whatever is seen meanwhile."""
    under_way = before.recovery if before is not None else None
    return under_way is not None and under_way.key == recovery.key and under_way.stage is not Stage.BACKOFF


def _bound(spec: AgentSpec, cause: str) -> float:
    """Seconds from an incident's opening to its end, starts aside, by what `check` prints; the ladder of a
    cause that came later in it may be another, and so may the longest."""
    policy = spec.policy
    ladders = {cause, "stalled", "crash"} & set(policy.recovery)
    bound = max((worst_case(spec, one).seconds for one in ladders), default=0.0)
    if cause in BACKS_OFF:
        # What was tried before the cause was known to be the provider's makes the waits longer.
        bound += (policy.max_restarts + policy.max_llm_retries) * longest_delay(policy.backoff)
    return bound + SLACK


def _late(s: AgentState) -> bool:
    """Its task is over time, which needs no look at the agent."""
    return s.incident is not None and s.incident.cause == "deadline"
