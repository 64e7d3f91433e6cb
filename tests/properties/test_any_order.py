"""Whatever is seen, ordered or answered, in any order: the brain never raises, settles, keeps its word."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hhmrs.config.fleet import AgentSpec, Profile
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import HELD, AgentState, Happening, Phase, Stage
from hhmrs.healing.codec import dump_state, load_state
from hhmrs.healing.decide import decide, due
from hhmrs.healing.evolve import evolve
from hhmrs.healing.explain import explain
from hhmrs.healing.seats import seat_of
from hhmrs.healing.transitions import Change, first_state
from hhmrs.healing.usage import Tokens

MakeSpec = Callable[..., AgentSpec]
SETTLES_IN = 8
HANDS_OFF = HELD | {Phase.WAITING, Phase.LIMITED, Phase.UNKNOWN}
MEANS_PROGRESS = (
    e.FileChanged,
    e.TranscriptGrew,
    e.CheckpointReceived,
    e.OutputSeen,
    e.ProcessMeasured,
    e.ReadyProbed,
    e.ScreenMatched,
    e.DoneReceived,
    e.AskReceived,
    e.ProcessExited,
    e.Ordered,
    e.HookTold,
)
"""Evidence of no other kind may ever close an incident."""
MANUAL = ("nudge", "resume", "restart", "reassign", "escalate", "pause", "unpause", "stop", "start", "clear",
          "retry")  # fmt: skip
SPARE = Profile(name="spare", command=("spare",), model_args=("--model", "{model}"))
LIMITED = 75
"""The exit status by which its provider's limit is known."""
OUTPUT = ("a line", "step 1", "Error: x", "\x1b[31mred", "news", "more news")


class World:
    """One agent, the brain, and a world that answers late, badly or never."""

    def __init__(self, spec: AgentSpec) -> None:
        self.spec = spec
        self.now = 1000.0
        self.state: AgentState = first_state(spec, self.now).state
        self.pending: list[a.Action] = []
        self.ordered: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.serial = 0
        self.look()

    def see(self, kind: Callable[..., e.Evidence], *args: Any, **named: Any) -> None:
        evidence = kind(self.spec.id, self.now, *args, **named)
        before = self.state
        change = evolve(before, evidence, self.spec)
        if before.incident is not None and change.state.incident is None:
            assert isinstance(evidence, MEANS_PROGRESS), f"{evidence} closed an incident"
            if isinstance(evidence, e.CheckpointReceived):
                assert evidence.new
            if isinstance(evidence, e.ProcessMeasured):
                back = before.incident.cause == "left_agent" and evidence.cli == "there"
                assert evidence.busy_children or back
            if isinstance(evidence, e.ScreenMatched):
                # It showed an error, nothing was tried, and now it shows that it works.
                untried = before.incident.symptom == "error" and not before.incident.attempts
                assert evidence.phase == "ready" or (evidence.phase == "busy" and untried)
            if isinstance(evidence, e.HookTold):
                # A tool ran to its end; or it had failed, nothing was tried, and a turn is under way again.
                untried = before.incident.symptom == "error" and not before.incident.attempts
                assert evidence.tool or (evidence.phase == "busy" and untried)
            if isinstance(evidence, e.ProcessExited):
                assert evidence.status == 0
        if any(h.type == "hhmrs_recovered" for h in change.happenings):
            assert not isinstance(evidence, e.Ordered), "an order is no progress"
        self._take(change)
        self.look()

    def look(self) -> None:
        for _ in range(SETTLES_IN):
            at = due(self.state, self.spec)
            if at is None or at > self.now:
                break
            before = self.state
            change = decide(before, self.spec, self.now)
            if before.incident is not None and change.state.incident is None:
                assert "process" in self.spec.liveness, "time alone closed an incident"
            for action in change.actions:
                self._allowed(action, before, change.state)
            self._take(change)
        else:
            pytest.fail(f"decide does not settle: {self.state}")
        self._sound()

    def _allowed(self, action: a.Action, before: AgentState, after: AgentState) -> None:
        if isinstance(action, a.Nudge | a.ClearGround) and after.recovery and after.recovery.order is None:
            plain = after.recovery.strategy is None
            again = before.recovery is not None and before.recovery.stage is Stage.CLEARING
            assert plain or again or not before.attached, f"{action} while a person is attached"
            assert plain or again or before.phase not in HANDS_OFF, f"{action} while {before.phase}"

    def _take(self, change: Change) -> None:
        assert change.state.attempt >= self.state.attempt
        self.state = change.state
        self.pending += change.actions
        self._count(change.happenings)

    def _count(self, happenings: tuple[Happening, ...]) -> None:
        for h in happenings:
            if h.type == "operator_outcome":
                self.outcomes[str(h.fields["letter"])] += 1

    def _sound(self) -> None:
        s, policy = self.state, self.spec.policy
        assert s.recovery is None or s.recovery.strategy is None or s.incident is not None
        assert s.phase not in HELD or s.recovery is None, f"{s.recovery} while {s.phase}"
        assert s.restarts <= policy.max_restarts
        assert s.reassigns <= policy.max_llm_retries
        assert 0 <= s.seat < len(self.spec.seats)
        assert seat_of(s, self.spec).profile.name == (s.hand.profile if s.hand else "shell")
        looked_after = s.alive or s.recovery or s.incident or s.phase in HELD
        assert looked_after or (s.phase is Phase.EXITED and self.spec.restart == "temporary"), "in limbo"
        assert load_state(dump_state(s)) == s
        explain(s, self.spec, self.now)
        assert max(self.outcomes.values(), default=0) <= 1, "an order was answered twice"

    # -- what may happen ------------------------------------------------------------------------

    def order(self, order: str, to: str | None = None) -> None:
        self.serial += 1
        letter = f"o{self.serial}"
        self.ordered.append(letter)
        task = self.state.task.id if self.state.task else f"{self.spec.id}-{self.state.tasks}"
        self.see(e.Ordered, order, letter, "me", {"to": to} if to else {"task": task})

    def together(self, first: str, second: str) -> None:
        """Two orders that are read at once: no decision lies between them."""
        for order in (first, second):
            self.serial += 1
            self.ordered.append(f"o{self.serial}")
            self._take(evolve(self.state, e.Ordered(self.spec.id, self.now, order, f"o{self.serial}", "me"),
                              self.spec))  # fmt: skip
        self.look()

    def answer(self, how: str) -> None:
        if not self.pending:
            return
        action = self.pending.pop(0)
        ok = how == "ok"
        if isinstance(action, a.StartAttempt) and ok:
            self.see(e.ProcessStarted, action.attempt, 100 + action.attempt, 1.0, "%1")
        elif isinstance(action, a.ClearGround):
            self.see(e.StepFinished, action.key, ok, "no", undead=how == "undead", resumable=True)
        elif isinstance(action, a.EndTree) and ok:
            self.see(e.ProcessExited, self.state.attempt, None, 15)
            self.see(e.StepFinished, action.key, True)
        else:
            self.see(e.StepFinished, action.key, ok, "" if ok else "it went wrong")

    def new_daemon(self) -> None:
        s = load_state(dump_state(self.state))
        recovery, errand = s.recovery, s.errand
        if recovery and recovery.stage in (Stage.CLEARING, Stage.STARTING):
            recovery = replace(recovery, issued=False)
        errand = replace(errand, issued=False) if errand else None
        self.pending.clear()
        self.state = replace(s, recovery=recovery, errand=errand, attached=False)
        self.look()
        if self.state.alive:
            self.see(e.ProcessAdopted, self.state.attempt, 5, 1.0, "%1")

    def rest(self) -> None:
        """The world answers everything and nobody does anything any more."""
        self.see(e.PersonPresent, False)
        self.see(e.SeenAgain)
        for _ in range(400):
            while self.pending:
                self.answer("ok")
            at = due(self.state, self.spec)
            if at is None:
                return
            self.now = max(self.now, at)
            self.look()
        pytest.fail(f"it never comes to rest: {self.state}")


STEPS: dict[str, tuple[Any, ...]] = {
    "answer": ("ok",) * 6 + ("failed", "undead"),
    "order": tuple((order, to) for order in MANUAL for to in (None, None, "shell", "nonsense"))
    + (("reassign", "spare"), ("reassign", "spare:m2")) * 4,
    "together": tuple((first, second) for first in MANUAL for second in MANUAL),
    "wait": (0.0, 0.4, 1.0, 3.0, 9.0, 31.0, 61.0, 605.0, 7300.0),
    "exit": ((0, None), (1, None), (126, None), (None, 9), (None, None)),
    "stale exit": (None,),
    "measure": tuple(
        (cpu, busy, busy == (5.0,)) for cpu in (True, False) for busy in ((), (5.0,), (5000.0,))
    ),
    "output": tuple((text, primed) for text in OUTPUT for primed in (False, False, True)),
    "file": (0.0, 0.3, 40.0),
    "chore": ((2.0, 7), (2.0, 8), (1300.0, 7)),
    "connection": (None,),
    "transcript": (None,),
    "screen": tuple(
        (phase, until)
        for phase in ("waiting", "limited", "ready", "busy", "idle")
        for until in (None, -5.0, 90.0)
    ),
    "cleared": (None,),
    "error": tuple(
        (cause, until, source)
        for cause in ("auth", "api_error", "rate_limited", "context_exhausted")
        for until in (None, 90.0)
        for source in ("screen", "transcript", "hook")
    ),
    "hook": (("busy", "", ""), ("busy", "", "Bash"), ("idle", "", ""), ("waiting", "may it?", "")),
    "cli": ("there", "gone", "gone", ""),
    "limit": (-5.0, 0.5, 90.0, 1e9, None),
    "probe": (True, False),
    "beat": ("idle", "executing", "completed", "awaiting_approval", "failed", "hibernated"),
    "checkpoint": (True, False),
    "own checkpoint": (True, False),
    "done": (None,),
    "fail": (None, 1, 126),
    "ask": (None,),
    "refused": (None,),
    "person": (True, False),
    "typed": ("hello", "yes"),
    "task": ("t1", "t2"),
    "unseen": (None,),
    "seen": (None,),
    "slept": (6.0, 600.0),
    "adopted": (None,),
    "daemon": (None,),
    "deciders": (("boss", "chief"), ("chief",), ()),
    "decided": tuple(
        (one, by) for one in ("nudge", "restart", "reassign", "escalate") for by in ("boss", "chief")
    ),
    "children": (("c1",), ("c1", "c2"), ()),
    "spent": (1, 10, 1000),
    "budget": ("its budget is spent", "its budget is spent", ""),
}


def _happen(world: World, what: str, how: Any) -> None:
    s, see = world.state, world.see
    acts: dict[str, Callable[[], None]] = {
        "answer": lambda: world.answer(how),
        "order": lambda: world.order(*how),
        "together": lambda: world.together(*how),
        "exit": lambda: see(e.ProcessExited, s.attempt, *how),
        "stale exit": lambda: see(e.ProcessExited, s.attempt - 1, 1, None),
        "measure": lambda: see(e.ProcessMeasured, how[0], how[1], how[2], 1.0, 1.0, 1),
        "chore": lambda: see(e.ProcessMeasured, True, (how[0],), False, 1.0, 1.0, 1, busy_kinds=(how[1],)),
        "connection": lambda: see(e.ConnectionSeen, 443),
        "output": lambda: see(e.OutputSeen, (how[0],), how[1]),
        "transcript": lambda: see(e.TranscriptGrew),
        "screen": lambda: see(e.ScreenMatched, how[0], "rule", how[1] and world.now + how[1]),
        "cleared": lambda: see(e.ScreenCleared),
        "error": lambda: see(e.ErrorShown, how[0], "so it says", how[1] and world.now + how[1], how[2]),
        "hook": lambda: see(e.HookTold, *how),
        "cli": lambda: see(e.ProcessMeasured, False, (), False, 1.0, 1.0, 1, cli=how),
        "limit": lambda: see(e.ProcessExited, s.attempt, LIMITED, None, until=how and world.now + how),
        "probe": lambda: see(e.ReadyProbed, how),
        "beat": lambda: see(e.BeatReceived, how),
        "checkpoint": lambda: see(e.CheckpointReceived, s.checkpoint + 1, how, 1),
        "own checkpoint": lambda: see(e.CheckpointTaken, s.checkpoint + 1, how),
        "done": lambda: see(e.DoneReceived, "fine"),
        "fail": lambda: see(e.FailReceived, "bad", how),
        "ask": lambda: see(e.AskReceived, "which?"),
        "refused": lambda: see(e.LetterRefused, "hostile"),
        "person": lambda: see(e.PersonPresent, how),
        "typed": lambda: see(e.Typed, how),
        "task": lambda: see(e.TaskGiven, how, "do it"),
        "unseen": lambda: see(e.Unseen, "tmux"),
        "seen": lambda: see(e.SeenAgain),
        "adopted": lambda: see(e.ProcessAdopted, s.attempt, 5, 1.0, "%1") if s.alive else None,
        "daemon": world.new_daemon,
        "deciders": lambda: see(e.DecidersKnown, how),
        "decided": lambda: see(e.Decided, s.incident.id if s.incident else "a1-i9", *how),
        "children": lambda: see(e.ChildrenRecovering, how) if how else see(e.ChildrenWell),
        "spent": lambda: see(e.UsageTold, "t", Tokens(how, how)),
        "budget": lambda: see(e.BudgetJudged, how),
    }  # fmt: skip
    if what == "wait":
        _wait(world, how)
    elif what == "slept":
        world.now += how
        see(e.SupervisorStalled, how)
    elif what == "file":
        late = replace(e.FileChanged(world.spec.id, world.now, "x"), at=world.now - how)
        see(lambda *_: late)
    else:
        acts[what]()


def _wait(world: World, seconds: float) -> None:
    until = world.now + seconds
    for _ in range(500):
        at = due(world.state, world.spec)
        if at is None or at > until:
            break
        world.now = max(world.now, at)
        world.look()
    world.now = until


STEP = st.sampled_from([(name, how) for name, choices in STEPS.items() for how in choices])
KINDS: dict[str, tuple[Any, ...]] = {
    "alternates": (0, 1, 2),
    "restart": ("transient", "transient", "permanent", "temporary"),
    "mode": ("armed", "armed", "armed", "observe"),
    "liveness": (("beat", "output", "file", "transcript", "cpu"), ("process",)),
    "prompt": ("do the work", None),
    "max_restarts": (0, 1, 3),
    "profiles": ({"spare": SPARE},),
    "reassign_timeout_factor": (1.0, 1.0, 3.0),
    "decider": ("policy", "parent"),
    "parent": ("boss",),
}
KIND = st.fixed_dictionaries({name: st.sampled_from(choices) for name, choices in KINDS.items()})


def _live(spec: AgentSpec, what: Iterable[tuple[str, Any]], *, at_once: bool) -> None:
    limited = Profile(name="shell", exit_codes={LIMITED: "rate_limited"})
    seats = tuple(seat.model_copy(update={"profile": limited}) for seat in spec.seats)
    world = World(spec.model_copy(update={"seats": seats}))
    for name, how in what:
        while at_once and world.pending:
            world.answer("ok")
        _happen(world, name, how)
    world.rest()
    unanswered = [letter for letter in world.ordered if not world.outcomes[letter]]
    assert not unanswered, "every order gets an outcome"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=KIND, what=st.lists(STEP, max_size=30), at_once=st.booleans())
def test_any_few_things(
    make_spec: MakeSpec, kind: dict[str, Any], what: list[tuple[str, Any]], at_once: bool
) -> None:
    _live(make_spec(**kind), what, at_once=at_once)


@pytest.mark.parametrize("seed", range(0, 600, 100))
def test_long_lives(make_spec: MakeSpec, seed: int) -> None:
    """Some kinds of things over and over get deeper than a few of all kinds."""
    for number in range(seed, seed + 100):
        dice = random.Random(number)
        kind = {name: dice.choice(choices) for name, choices in KINDS.items()}
        names = dice.sample(sorted(STEPS), dice.randint(4, len(STEPS)))
        often = [dice.random() for _ in names]
        drawn = dice.choices(names, often, k=60)
        try:
            _live(make_spec(**kind), [(x, dice.choice(STEPS[x])) for x in drawn], at_once=number % 3 > 0)
        except AssertionError as broken:
            raise AssertionError(f"life {number} of {kind}") from broken
