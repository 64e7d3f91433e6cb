"""However alerts, answers, deadlines and deaths of ancestors fall together: each question leads to one step,
in time, and the whole ladder ends within the bound that `check` prints."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hhmrs.config.fleet import AgentSpec, Cascade, FleetSpec, Policy
from hhmrs.controller.daemon.brain import Brain
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Happening, Phase
from hhmrs.healing.asking import open_question
from hhmrs.healing.bounds import worst_case
from hhmrs.healing.hierarchy import is_able
from hhmrs.healing.turn import Turn

MakeSpec = Callable[..., AgentSpec]
NOW = 1_000_000.0
WITHIN = 20.0
ANCESTORS = ("boss", "chief", "top")
STEPS = frozenset({"agent_attempt", "hhmrs_failure"})


class House:
    """top over chief over boss over one worker whose every attempt dies at once."""

    def __init__(self, make_spec: MakeSpec, **fields: Any) -> None:
        specs = [
            make_spec("top", prompt=None),
            make_spec("chief", parent="top", prompt=None),
            make_spec("boss", parent="chief", prompt=None),
            make_spec("worker", parent="boss", decider="parent", decide_within=WITHIN, **fields),
        ]
        self.spec = specs[-1]
        alone = Policy(cascade=Cascade(at_least=100_000))  # a shared cause would hold the worker back
        self.fleet = FleetSpec(
            fleet="f", path=Path("/f"), policy=alone, agents={s.id: s for s in specs}, profiles={}
        )
        self.now = NOW
        self.brain = Brain(self.fleet)
        self.happened: list[Happening] = []
        self.opened: float | None = None
        self.over: float | None = None
        self.pending: list[a.Action] = []
        turn = Turn()
        for spec in specs:
            self.brain.begin(spec, NOW, after=0, running=False)
        self.brain.look_at_all()
        self._end(turn)

    @property
    def worker(self) -> AgentState:
        return self.brain.states["worker"]

    def see(self, kind: Callable[..., e.Evidence], agent: str, *args: Any) -> None:
        turn = Turn()
        self.brain.take(kind(agent, self.now, *args), turn)
        self._end(turn)

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(200):
            at = self.brain.next_due()
            if at is None or at > until:
                break
            self.now = max(self.now, at)
            self._end(Turn())
            self.answer()
        self.now = until

    def answer(self) -> None:
        """The world carries out what waits; an attempt of the worker dies at once."""
        while self.pending:
            action = self.pending.pop(0)
            if isinstance(action, a.StartAttempt):
                self.see(e.ProcessStarted, action.agent, action.attempt, action.attempt, 1.0, "%1")
                self.see(e.BeatReceived, action.agent, "executing")
                if action.agent == "worker":
                    self.see(e.ProcessExited, "worker", action.attempt, 1, None)
            else:
                self.see(e.StepFinished, action.agent, action.key, True)

    def crash(self, agent: str) -> None:
        state = self.brain.states[agent]
        if state.alive:
            self.see(e.ProcessExited, agent, state.attempt, 1, None)

    def revive(self, agent: str) -> None:
        self.see(e.FileChanged, agent, f"work-{self.now}.txt")

    def new_daemon(self) -> None:
        states, self.brain = self.brain.states, Brain(self.fleet)
        self.pending.clear()
        for agent in self.fleet.agents:
            self.brain.restore(states[agent], self.now)
        self.brain.look_at_all()
        for agent, state in states.items():
            if state.alive:
                self.see(e.ProcessAdopted, agent, state.attempt, state.attempt, 1.0, "%1")
        self._end(Turn())

    def decide(self, strategy: str, by: str) -> None:
        incident = self.worker.incident
        self.see(e.Decided, "worker", incident.id if incident else "worker-i1", strategy, by)

    def _end(self, turn: Turn) -> None:
        """Let the brain decide, and hold it to its word."""
        before = self.worker if "worker" in self.brain.states else None
        asked = open_question(before) if before else None
        self.brain.decide_due(turn, self.now)
        after = self.worker
        self.pending += turn.actions
        for alert in (x for x in turn.actions if isinstance(x, a.AlertAncestor)):
            # Without a checkpoint the policy's resume is a restart; else its way may be chosen as well.
            assert alert.otherwise in (*alert.options, "resume"), alert
        told = turn.happenings.get("worker", [])
        self.happened += told
        steps = _steps(after) - (_steps(before) if before else 0)
        assert 0 <= steps <= 1, f"{steps} steps at once: {told}"
        still = open_question(after)
        if still is not None:
            assert self.now < still.until <= self.now + WITHIN, "a question stands past its time"
            assert steps == 0, "a step was taken, and yet it is asked"
        elif asked is not None and asked.issued:
            assert steps == 1 or after.incident is None, f"a question came to nothing: {told}"
        if after.incident is not None and self.opened is None:
            self.opened = self.now
        if after.phase is Phase.ESCALATED and self.over is None:
            self.over = self.now
        for agent, state in self.brain.states.items():
            assert state.deciders == () or agent == "worker"
        able = tuple(x for x in ANCESTORS if is_able(self.brain.states[x]))
        assert after.deciders == able, "the worker knows who could answer"


def _steps(s: AgentState) -> int:
    """How many steps were taken in its incident; a recovery that waits for its backoff is one already."""
    incident = s.incident
    if incident is None:
        return 0
    waits = s.recovery is not None and s.recovery.n == 0
    return len(incident.attempts) + waits + (s.phase is Phase.ESCALATED)


ACTS: dict[str, tuple[Any, ...]] = {
    "wait": (0.5, 3.0, WITHIN - 1, WITHIN, 3 * WITHIN),
    "crash": ANCESTORS,
    "revive": ANCESTORS,
    "pause": ANCESTORS,
    "unpause": ANCESTORS,
    "answer": (None,),
    "daemon": (None,),
    "decide": tuple(
        (strategy, by)
        for strategy in ("nudge", "resume", "restart", "reassign", "escalate")
        for by in ANCESTORS
        for _ in range(3 if strategy in ("restart", "reassign") else 1)
    ),
}
ACT = st.sampled_from([(name, how) for name, choices in ACTS.items() for how in choices])


def _live(house: House, acts: list[tuple[str, Any]]) -> None:
    house.answer()
    house.crash("worker")
    for name, how in acts:
        if name == "wait":
            house.wait(how)
        elif name in ("crash", "revive"):
            (house.crash if name == "crash" else house.revive)(how)
        elif name in ("pause", "unpause"):
            house.see(e.Ordered, how, name, "o1", "me")
        elif name == "decide":
            house.decide(*how)
        elif name == "answer":
            house.answer()
        else:
            house.new_daemon()
    house.answer()
    for _ in range(60):
        if house.over is not None:
            break
        house.wait(WITHIN)
    assert house.opened is not None
    assert house.over is not None, "it never comes to an end"


def _asked(house: House) -> list[object]:
    return [h.fields["n"] for h in house.happened if h.type == "agent_decider_asked"]


KIND = st.fixed_dictionaries(
    {
        "alternates": st.sampled_from((0, 1)),
        "max_restarts": st.sampled_from((0, 1, 3)),
        "max_llm_retries": st.sampled_from((1, 2)),
    }
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=KIND, acts=st.lists(ACT, max_size=25))
def test_each_question_leads_to_one_step_in_time(
    make_spec: MakeSpec, kind: dict[str, int], acts: list[tuple[str, Any]]
) -> None:
    house = House(make_spec, **kind)
    _live(house, acts)
    incident = house.worker.incident
    assert incident is not None
    policy = house.spec.policy
    assert len(incident.attempts) <= policy.max_restarts + policy.max_llm_retries
    assert incident.questions <= len(incident.attempts) + 1, "each question was about a step of its own"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=KIND, acts=st.lists(ACT.filter(lambda act: act[0] != "daemon"), max_size=25))
def test_the_ladder_ends_within_the_bound(
    make_spec: MakeSpec, kind: dict[str, int], acts: list[tuple[str, Any]]
) -> None:
    """Actions are carried out at once here: kills, starts and proofs take no time, so that what is left of
    the bound is asking and waiting."""
    house = House(make_spec, **kind)
    _live(house, [act for pair in acts for act in (pair, ("answer", None))])
    assert house.opened is not None
    assert house.over is not None
    bound = worst_case(house.spec, "crash").seconds
    policy = house.spec.policy
    tries = policy.max_restarts + (policy.max_llm_retries if kind["alternates"] else 0)
    assert house.over - house.opened <= bound - tries * (policy.kill_grace + policy.verify_within) + 0.1


@pytest.mark.parametrize("seed", range(0, 200, 50))
def test_long_lives(make_spec: MakeSpec, seed: int) -> None:
    asked = 0
    for number in range(seed, seed + 50):
        dice = random.Random(number)
        house = House(make_spec, alternates=number % 2, max_restarts=3, max_llm_retries=2)
        names = dice.choices(sorted(ACTS), k=40)
        _live(house, [(name, dice.choice(ACTS[name])) for name in names])
        asked += len(_asked(house))
    assert asked > 50, "lives in which nobody is asked assert nothing"
