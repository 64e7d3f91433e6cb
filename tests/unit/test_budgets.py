"""Budgets of tokens and money: one warning, then a hold that ends nobody, until there is more to spend."""

from __future__ import annotations

import random

import pytest

from hhmrs.config.fleet import FleetSpec, Limits
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import Happening, Phase
from hhmrs.healing.codec import dump_state, load_state
from hhmrs.healing.explain import explain
from hhmrs.healing.usage import MOST_TRANSCRIPTS, NOTHING, Spending, Tokens, cleared, told
from hhmrs.tests.properties.small_world import World, begun, crash, fleet_of, patient

ACTS = (a.ClearGround, a.StartAttempt, a.Nudge)


class Acts(World):
    """Remembers for whom something was done."""

    def __init__(self, fleet: FleetSpec) -> None:
        self.acts: list[a.Action] = []
        super().__init__(fleet)

    def _carry_out(self, action: a.Action) -> None:
        if isinstance(action, ACTS):
            self.acts.append(action)
        super()._carry_out(action)


def spends(world: World, agent: str, tokens: int, cost: float | None = None, of: str = "t") -> None:
    world.tell(e.UsageTold(agent, world.now, f"{of}-{agent}", Tokens(tokens, 0, None, cost)))


def phase(world: World, agent: str) -> str:
    return world.states[agent].phase.value


def idle(world: World, agent: str) -> None:
    """Its turn is over: its prompt stands there."""
    world.tell(e.ScreenMatched(agent, world.now, "idle", "prompt"))


def budgets(world: World) -> list[tuple[str, str, object]]:
    return [
        (h.type, str(h.fields["scope"]), h.fields["reason"]) for h in world.events if "_budget_" in h.type
    ]


def changed(world: World, **limits: float) -> None:
    """As `hhmrs set`: the file in force has other limits."""
    policy = world.fleet.policy.model_copy(update={"spending": Limits.model_validate(limits)})
    agents = {name: spec.model_copy(update={"policy": policy}) for name, spec in world.fleet.agents.items()}
    world.fleet = world.fleet.model_copy(update={"policy": policy, "agents": agents})
    world.brain.change_fleet(world.fleet, world.now)
    world.brain.look_at_all()
    world.run(0.0)


# -- what was spent ------------------------------------------------------------------------------------------


def test_what_each_transcript_tells_is_added_up_once() -> None:
    s = told(Spending(), "one", Tokens(10, 1, None, 0.5), 0.9, old=False)
    s = told(s, "two", Tokens(100, 2, 7, None), None, old=False)
    s = told(s, "one", Tokens(20, 3, None, 0.75), 0.8, old=False)
    assert s.total == Tokens(120, 5, 7, 0.75)
    assert s.context_left == 0.8
    assert told(s, "one", Tokens(20, 3, None, 0.75), 0.8, old=False) is s


def test_what_was_there_before_is_nobodys_debt() -> None:
    s = told(Spending(), "history", Tokens(5000, 700, None, 3.0), None, old=True)
    assert s.total == Tokens(0, 0, None, 0.0)
    s = told(s, "history", Tokens(5100, 710, None, 3.25), None, old=True)
    assert s.total == Tokens(100, 10, None, 0.25)
    assert told(s, "history", Tokens(40, 4, None, 0.5), None, old=True).total == Tokens(40, 4, None, 0.5)


def test_many_transcripts_are_one_sum_and_few_entries() -> None:
    s = Spending()
    for n in range(3 * MOST_TRANSCRIPTS):
        s = told(s, f"t{n}", Tokens(1, 2, None, 0.5), None, old=False)
    assert len(s.known) == MOST_TRANSCRIPTS
    assert s.total == Tokens(48, 96, None, 24.0)
    assert cleared(s).counting.counted == 0
    assert cleared(s).total == s.total


def test_nobody_tells_and_nothing_counts() -> None:
    assert Spending().total == NOTHING
    assert Spending().counting.counted == 0
    assert cleared(Spending()) == Spending()


# -- one agent -----------------------------------------------------------------------------------------------


def test_a_person_is_warned_once_and_then_it_finishes_its_turn() -> None:
    world = begun((None,) * 2, spending=Limits(tokens=1000))
    spends(world, "a00", 799)
    assert budgets(world) == []
    for tokens in (800, 850, 990):
        spends(world, "a00", tokens)
    warning = ("agent_budget_warned", "agent", "80 % of its budget of 1,000 tokens is spent")
    assert budgets(world) == [warning]
    for tokens in (1000, 1200, 1300):
        spends(world, "a00", tokens)
    assert budgets(world) == [
        warning,
        ("agent_budget_spent", "agent", "its budget of 1,000 tokens is spent"),
    ]
    assert [announced.title for announced in world.announced] == [words for _, _, words in budgets(world)]
    assert "hhmrs set spending.tokens VALUE --agent a00" in world.announced[1].text
    assert world.states["a00"].phase is Phase.WORKING, "it is at work and may finish"

    idle(world, "a00")
    state = world.states["a00"]
    assert (state.phase, state.alive, state.incident) == (Phase.PAUSED, True, None)
    assert world.states["a01"].phase is Phase.WORKING
    found = explain(state, world.fleet.agents["a00"], world.now)
    assert "its budget of 1,000 tokens is spent" in found.head()
    assert "hhmrs set spending.KEY VALUE" in found.next


def test_nothing_is_done_for_who_is_held() -> None:
    world = Acts(fleet_of((None,), spending=Limits(tokens=1000), **patient()))
    world.run(5)
    spends(world, "a00", 1000)
    world.acts.clear()
    crash(world, ["a00"])
    world.run(600)
    state = world.states["a00"]
    assert (state.phase, state.alive) == (Phase.PAUSED, False)
    assert state.incident is not None
    assert world.acts == []
    assert world.escalated == [], "nobody is given up for money"
    for order in ("nudge", "resume", "restart", "reassign", "start", "unpause"):
        world.tell(e.Ordered("a00", world.now, order, f"letter-{order}", "me"))
    answers = [h.fields for h in world.events if h.type == "operator_outcome"]
    assert [answer["ok"] for answer in answers] == [False] * 6
    assert all("its budget of 1,000 tokens is spent; raise it" in str(one["message"]) for one in answers)
    assert world.acts == []

    changed(world, tokens=5000)
    world.run(10)
    assert world.states["a00"].phase is Phase.WORKING
    assert world.states["a00"].incident is None
    assert [type(act) for act in world.acts] == [a.ClearGround, a.StartAttempt]


def test_an_agent_that_is_silent_is_not_recovered_while_it_is_held() -> None:
    quick = {"heartbeat_interval": 30.0, "quick_look": 20.0}
    world = Acts(fleet_of((None,), spending=Limits(tokens=10), **(patient() | quick)))
    world.run(5)
    spends(world, "a00", 10)
    world.acts.clear()
    world.run(4000)
    assert world.acts == [], "no nudge, not even a gentle one"
    assert world.states["a00"].phase is Phase.PAUSED


def test_clear_begins_to_count_anew_and_what_was_spent_stays_known() -> None:
    world = begun((None,), spending=Limits(cost=2.5))
    spends(world, "a00", 10, cost=2.5)
    idle(world, "a00")
    assert world.states["a00"].phase is Phase.PAUSED
    world.tell(e.Ordered("a00", world.now, "clear", "l1", "me"))
    state = world.states["a00"]
    assert (state.phase, state.spending.held) == (Phase.WORKING, "")
    assert state.spending.total == Tokens(10, 0, None, 2.5)
    (outcome,) = world.of("operator_outcome")
    assert outcome.fields["ok"] is True
    spends(world, "a00", 10, cost=4.5)
    assert [type for type, _, _ in budgets(world)] == ["agent_budget_spent", "agent_budget_warned"]
    spends(world, "a00", 10, cost=5.0)
    assert budgets(world)[-1] == ("agent_budget_spent", "agent", "its budget of $2.50 is spent")


def test_who_a_person_paused_stays_paused_when_the_limit_is_raised() -> None:
    world = begun((None,), spending=Limits(tokens=100))
    world.tell(e.Ordered("a00", world.now, "pause", "l1", "me"))
    spends(world, "a00", 100)
    changed(world, tokens=1000)
    assert world.states["a00"].phase is Phase.PAUSED
    assert world.states["a00"].spending.held == ""


def test_a_question_is_still_shown_and_answered() -> None:
    world = begun((None,), spending=Limits(tokens=100))
    world.tell(e.AskReceived("a00", world.now, "which?"))
    spends(world, "a00", 100)
    assert world.states["a00"].phase is Phase.WAITING


def test_who_only_observes_is_told_and_nobody_is_held() -> None:
    world = begun((None,), spending=Limits(tokens=100), mode="observe")
    spends(world, "a00", 100)
    idle(world, "a00")
    assert [type for type, _, _ in budgets(world)] == ["agent_budget_spent"]
    assert world.announced == []
    assert world.states["a00"].phase is not Phase.PAUSED


# -- all of them ---------------------------------------------------------------------------------------------


def test_the_fleets_limit_holds_all_with_one_warning_and_one_call() -> None:
    world = begun((None,) * 12, spending=Limits(fleet_tokens=12_000))
    for agent in world.states:
        spends(world, agent, 900)
    for agent in world.states:
        spends(world, agent, 1000)
    for agent in world.states:
        spends(world, agent, 1100)
    whose = "the fleet's budget of 12,000 tokens is spent"
    assert budgets(world) == [
        ("agent_budget_warned", "fleet", f"82 % of {whose.replace(' is spent', '')} is spent"),
        ("agent_budget_spent", "fleet", whose),
    ]
    assert len(world.announced) == 2
    for agent in world.states:
        idle(world, agent)
    assert {s.phase for s in world.states.values()} == {Phase.PAUSED}

    world.events.clear()
    world.reborn()
    world.run(60)
    assert budgets(world) == [], "the next daemon says it no second time"
    assert {s.phase for s in world.states.values()} == {Phase.PAUSED}

    changed(world, fleet_tokens=100_000)
    world.run(1)
    assert {s.spending.held for s in world.states.values()} == {""}
    assert Phase.PAUSED not in {s.phase for s in world.states.values()}


def test_one_that_is_cleared_may_free_all_others() -> None:
    world = begun((None,) * 3, spending=Limits(fleet_tokens=1000))
    spends(world, "a00", 900)
    spends(world, "a01", 200)
    assert all(s.spending.held for s in world.states.values())
    world.tell(e.Ordered("a00", world.now, "clear", "l1", "me"))
    assert not any(s.spending.held for s in world.states.values())


def test_who_was_never_started_is_not_when_there_is_nothing_left() -> None:
    world = Acts(fleet_of((None,) * 2, spending=Limits(fleet_tokens=100), **patient()))
    world.run(5)
    spends(world, "a00", 100)
    world.acts.clear()
    world.fleet = fleet_of((None,) * 3, spending=Limits(fleet_tokens=100), **patient())
    brain = world.brain
    brain.change_fleet(world.fleet, world.now)
    brain.begin(world.fleet.agents["a02"], world.now, after=0, running=False)
    brain.look_at_all()
    world.run(30)
    assert world.acts == []
    assert phase(world, "a02") == "paused"
    world.tell(e.Ordered("a00", world.now, "clear", "l1", "me"))
    world.run(5)
    assert phase(world, "a02") == "working"


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_nothing_is_done_for_who_is_held(seed: int) -> None:
    """Crashes, prompts, spending, orders, new limits and new daemons, in any order."""
    dice = random.Random(seed)
    world = Acts(fleet_of((None, 0, 0, 1), spending=Limits(tokens=400, fleet_tokens=1200), **patient()))
    world.run(5)
    spent = dict.fromkeys(world.states, 0)
    for step in range(150):
        agent = dice.choice(list(world.states))
        before, world.acts[:] = {n: s.spending.held for n, s in world.states.items()}, []
        under_way = {n for n, s in world.states.items() if s.recovery is not None}
        ordered = ""
        match dice.randrange(8):
            case 0 | 1:
                spent[agent] += dice.randrange(150)
                spends(world, agent, spent[agent])
            case 2:
                if world.states[agent].alive:
                    crash(world, [agent])
            case 3:
                idle(world, agent)
            case 4:
                ordered = agent
                order = dice.choice(["clear", "restart", "pause", "unpause", "start"])
                world.tell(e.Ordered(agent, world.now, order, f"l{step}", "me"))
            case 5:
                world.reborn()
            case 6:
                changed(world, tokens=dice.choice([300, 400, 2000]), fleet_tokens=1200)
                before = {}
            case _:
                world.run(dice.choice([1, 40]))
        if not ordered:
            done_for = {act.agent for act in world.acts} - under_way
            held = {n for n, why in before.items() if why and world.states[n].spending.held}
            assert not done_for & held, (step, world.acts)
        world.run(1)
    for seen in world.states.values():
        assert load_state(dump_state(seen)) == seen
    told_of: list[Happening] = world.of("agent_budget_spent")
    assert told_of, "the budgets were spent at all"
