"""Parents and children: who could answer, whose silence rests, and who owns a level when a parent is gone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, Cascade, FleetSpec, Policy, Recoveries
from hhmrs.controller.daemon.brain import Brain
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Incident, Phase
from hhmrs.healing.bounds import bounds
from hhmrs.healing.explain import explain
from hhmrs.healing.hierarchy import NAMED, Above, Hierarchy, above, is_able, is_living
from hhmrs.healing.turn import Turn

MakeSpec = Callable[..., AgentSpec]
NOW = 1_000_000.0
SILENCE = Policy().silence


class Family:
    """chief over boss over the workers, each at work, under one brain."""

    def __init__(self, make_spec: MakeSpec, workers: int = 2, **fields: Any) -> None:
        names = [f"w{n}" for n in range(1, workers + 1)]
        specs = [
            make_spec("chief"),
            make_spec("boss", parent="chief"),
            *(make_spec(name, parent="boss", decider="parent", **fields) for name in names),
        ]
        # Who is held back for another reason does not count as recovering.
        apart = Policy(cascade=Cascade(at_least=1000), recoveries=Recoveries(at_least=1000))
        self.fleet = FleetSpec(
            fleet="f", path=Path("/f"), policy=apart, agents={s.id: s for s in specs}, profiles={}
        )
        self.brain = Brain(self.fleet)
        self.now = NOW
        self.turn = Turn()
        for spec in specs:
            self.brain.begin(spec, NOW, after=0, running=False)
        self.look()
        for spec in specs:
            self.see(e.ProcessStarted, spec.id, 1, 7, 1.0, "%1")
            self.see(e.BeatReceived, spec.id, "executing")
        self.look()

    def see(self, kind: Callable[..., e.Evidence], agent: str, *args: Any) -> None:
        self.brain.take(kind(agent, self.now, *args), self.turn)

    def look(self, after: float = 0.0, *, alive: tuple[str, ...] = ()) -> None:
        """Let `after` seconds pass, in which the `alive` ones go on working."""
        until = self.now + after
        while self.now < until:
            self.now = min(until, self.now + 5)
            for agent in alive:
                self.see(e.FileChanged, agent, "a.txt")
            self.brain.decide_due(self.turn, self.now)
        self.brain.decide_due(self.turn, self.now)

    def state(self, agent: str) -> AgentState:
        return self.brain.states[agent]

    def crash(self, agent: str) -> None:
        self.see(e.ProcessExited, agent, self.state(agent).attempt, 1, None)
        self.look()

    def timeouts(self, agent: str) -> list[float]:
        return [h.at for h in self.turn.happenings.get(agent, []) if h.type == "hhmrs_timeout"]


@pytest.fixture
def family(make_spec: MakeSpec) -> Family:
    return Family(make_spec)


def test_who_could_answer_is_known_from_the_start(family: Family) -> None:
    assert family.state("w1").deciders == ("boss", "chief")
    assert family.state("boss").deciders == (), "the policy decides for it: nobody need be known"


def test_who_falls_is_passed_over_and_comes_back(family: Family) -> None:
    family.crash("boss")
    assert family.state("w1").deciders == ("chief",)
    family.crash("w1")
    asked = [h for h in family.turn.happenings["w1"] if h.type == "agent_decider_asked"]
    assert [h.fields["decider"] for h in asked] == ["chief"]
    recovery = family.state("boss").recovery
    assert recovery is not None
    family.see(e.StepFinished, "boss", recovery.key, True)
    family.look()
    family.see(e.ProcessStarted, "boss", family.state("boss").attempt, 9, 1.0, "%1")
    family.now += 5
    family.see(e.FileChanged, "boss", "b.txt")
    family.look()
    assert family.state("boss").incident is None
    assert family.state("w1").deciders == ("boss", "chief")


@pytest.mark.parametrize("order", ["pause", "stop", "escalate"])
def test_who_is_taken_out_by_a_person_is_not_asked(family: Family, order: str) -> None:
    family.see(e.Ordered, "boss", order, "o1", "me")
    family.look()
    assert family.state("w1").deciders == ("chief",)


def test_while_a_child_recovers_its_parents_silence_is_no_stall(family: Family) -> None:
    family.look(SILENCE - 10, alive=("chief", "w2"))
    family.crash("w1")
    assert family.state("boss").tending is not None
    family.look(SILENCE - 5, alive=("chief", "w2"))
    assert family.timeouts("boss") == []
    told = explain(family.state("boss"), family.fleet.agents["boss"], family.now)
    assert told.rule == "children of it recover: meanwhile its own silence is no stall"
    assert [fact for fact in told.facts if "w1" in fact]


def test_then_its_clock_goes_on_where_it_stood(family: Family) -> None:
    family.look(SILENCE - 10, alive=("chief", "w2"))
    family.crash("w1")
    family.look(30, alive=("chief", "w2"))
    family.see(e.Ordered, "w1", "stop", "o1", "me")
    family.look()
    assert family.state("boss").tending is None
    family.look(5, alive=("chief", "w2"))
    assert family.timeouts("boss") == []
    family.look(10, alive=("chief", "w2"))
    assert len(family.timeouts("boss")) == 1, "it was silent for 50 s before, and for 10 s after"


def test_its_task_goes_on_ticking_meanwhile(make_spec: MakeSpec) -> None:
    family = Family(make_spec)
    deadline = Policy().task_deadline
    state = family.state("boss")
    assert state.task is not None
    family.crash("w1")
    family.brain.take(e.ChildrenRecovering("boss", family.now, ("w1",)), family.turn)
    family.now += deadline + 1
    family.brain.decide_due(family.turn, family.now)
    incident = family.state("boss").incident
    assert incident is not None
    assert incident.cause == "deadline"


def test_the_rest_is_bounded_by_the_childrens_own_recoveries(make_spec: MakeSpec) -> None:
    guard = Hierarchy()
    specs = {s.id: s for s in (make_spec("boss"), make_spec("w1", parent="boss"))}
    guard.fit(specs, Policy())
    well = AgentState("boss", phase=Phase.WORKING, alive=True)
    guard.changed(None, well, (), NOW)
    fallen = AgentState("w1", phase=Phase.EXITED, incident=Incident("w1-i1", NOW, "exited", "crash", ""))
    assert guard.changed(None, fallen, (), NOW).evidence == [e.ChildrenRecovering("boss", NOW, ("w1",))]
    longest = max(bound.seconds for bound in bounds(specs["w1"]))
    assert guard.due() == NOW + longest
    assert guard.tick(NOW + longest - 1).evidence == []
    assert guard.tick(NOW + longest).evidence == [e.ChildrenWell("boss", NOW + longest)]
    assert guard.due() is None
    later = AgentState("w1", phase=Phase.STALLED, alive=True, incident=fallen.incident)
    assert guard.changed(fallen, later, (), NOW + longest + 1).evidence == [], "its time is used up"


def test_a_child_in_a_persons_hand_or_that_waits_does_not_count(family: Family) -> None:
    family.crash("w1")
    assert family.state("boss").tending is not None
    family.see(e.PersonPresent, "w1", True)
    family.look()
    assert family.state("boss").tending is None


def test_a_crowd_of_fallen_children_is_told_in_a_few_words(make_spec: MakeSpec) -> None:
    family = Family(make_spec, workers=40)
    for n in range(1, 41):
        family.see(e.ProcessExited, f"w{n}", 1, 1, None)
    family.look()
    tending = family.state("boss").tending
    assert tending is not None
    assert tending.children == tuple(f"w{n}" for n in range(1, NAMED + 1))
    for n in range(1, 41):
        family.see(e.Ordered, f"w{n}", "stop", f"o{n}", "me")
    family.look()
    assert family.state("boss").tending is None


def test_a_new_daemon_learns_anew_what_lies_between_agents(family: Family) -> None:
    older = family.state("w2")
    family.crash("boss")
    family.crash("w1")
    fresh = Brain(family.fleet)
    for agent in family.fleet.agents:
        fresh.restore(older if agent == "w2" else family.state(agent), family.now)
    turn = Turn()
    fresh.look_at_all()
    fresh.decide_due(turn, family.now)
    assert fresh.states["w2"].deciders == ("chief",), "its own state was written when boss was well"
    assert fresh.states["boss"].tending is not None
    again = [x for x in turn.actions if isinstance(x, a.AlertAncestor)]
    assert [(x.agent, x.ancestor, x.n) for x in again] == [("w1", "chief", 1)]


def test_a_new_daemon_forgets_whom_it_could_ask_when_nobody_is_left(family: Family) -> None:
    older = family.state("w2")
    family.crash("chief")
    family.see(e.Ordered, "boss", "pause", "o1", "me")
    fresh = Brain(family.fleet)
    for agent in family.fleet.agents:
        fresh.restore(older if agent == "w2" else family.state(agent), family.now)
    fresh.decide_due(Turn(), family.now)
    assert older.deciders == ("boss", "chief")
    assert fresh.states["w2"].deciders == ()


def test_a_changed_fleet_file_moves_a_child_to_another_parent(family: Family) -> None:
    family.crash("w1")
    agents = dict(family.fleet.agents)
    agents["w1"] = agents["w1"].model_copy(update={"parent": "chief"})
    family.brain.change_fleet(family.fleet.model_copy(update={"agents": agents}), family.now)
    family.look()
    assert family.state("boss").tending is None
    assert family.state("chief").tending is not None
    assert family.state("w1").deciders == ("chief",)
    del agents["w1"]
    family.brain.change_fleet(family.fleet.model_copy(update={"agents": agents}), family.now)
    family.look()
    assert family.state("chief").tending is None


def test_a_recovered_parent_leaves_its_children_untouched(family: Family) -> None:
    family.crash("boss")
    assert {action.agent for action in family.turn.actions[-1:]} == {"boss"}
    family.look(30, alive=("chief", "w1", "w2"))
    for name in ("w1", "w2"):
        assert family.state(name).phase is Phase.WORKING
        assert family.state(name).attempt == 1


@pytest.mark.parametrize(
    ("gone", "found"),
    [
        ((), Above("boss", "chief")),
        (("boss",), Above("chief", "chief", ("boss",))),
        (("chief",), Above("boss", "top", (), ("chief",))),
        (("boss", "chief"), Above("top", "top", ("boss", "chief"), ("chief",))),
        (("boss", "chief", "top"), Above(None, None, ("boss", "chief", "top"), ("chief", "top"))),
    ],
)
def test_the_nearest_living_one_answers_in_place_of_who_is_gone(gone: tuple[str, ...], found: Above) -> None:
    parents = {"w1": "boss", "boss": "chief", "chief": "top", "top": None}
    assert above("w1", parents, lambda agent: agent not in gone) == found
    assert above("top", parents, lambda _: True) == Above(None, None)


def test_unknown_is_not_gone() -> None:
    unseen = AgentState("boss", phase=Phase.UNKNOWN, alive=True)
    assert is_living(unseen)
    assert not is_able(unseen)
    starting = AgentState("boss", phase=Phase.STARTING, alive=True)
    assert not is_able(starting)
    assert is_able(dataclasses.replace(starting, ready=True)), "liveness: [process] never leaves that phase"
    ended = AgentState("boss", phase=Phase.EXITED)
    assert not is_living(ended)
    healed = AgentState("boss", phase=Phase.EXITED, incident=Incident("i", NOW, "exited", "crash", ""))
    assert is_living(healed)
