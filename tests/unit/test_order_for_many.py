"""One order for several agents: whom it touches, whom not and why; and one line of what came of it."""

from __future__ import annotations

from hhmrs.config.fleet import FleetSpec
from hhmrs.controller.ports import Event
from hhmrs.healing.agent import AgentState, Phase
from hhmrs.tests.tui.conftest import ScriptedSource, stamp
from hhmrs.tui.desk import SEES_WITHIN, Desk, Sent
from hhmrs.tui.document import Agent, Fleet
from hhmrs.tui.interventions import Dismissal
from hhmrs.tui.many import pause_or_unpause, plan_many, subtree
from hhmrs.tui.recoveries import Plan, plan, seat_why_not, why_not
from hhmrs.tui.undoing import Deed, Undoing, saved_before

NOW = 1_795_260_000.0


def world() -> tuple[Fleet, dict[str, AgentState], FleetSpec]:
    seen = ScriptedSource().snapshot(None)
    assert seen.spec is not None
    return seen.fleet, dict(seen.states), seen.spec


def many(order: str, *agents: str, text: str = "") -> Plan:
    fleet, states, spec = world()
    return plan_many(order, agents, fleet, states, spec, text)


def event(seq: int, kind: str, agent: str | None, **data: object) -> Event:
    return Event(seq, stamp(NOW), kind, agent, None, None, dict(data))


def test_who_is_touched_and_who_is_left_alone_with_the_reason() -> None:
    made = many("pause", "programmer-01", "programmer-04", "writer-02", "gone")
    assert made.agents == ("programmer-01",)
    assert made.heading == "Pause 1 of 4 marked agents"
    assert made.left == (
        "programmer-04: it is done; there is nothing to pause",
        "writer-02: it is already paused",
        "gone: it is no longer in the fleet",
    )
    assert made.reason is None


def test_a_broadcast_never_answers_a_question() -> None:
    made = many("send", "programmer-01", "programmer-02", "programmer-04", text="stop at noon")
    assert made.agents == ("programmer-01",)
    assert made.verbatim == "stop at noon"
    assert "answer it by itself with y" in made.left[0]
    assert "no live process" in made.left[1]
    assert [dict(choice.args) for choice in made.choices] == [{"text": "stop at noon"}]


def test_when_nobody_can_take_it_that_is_the_reason() -> None:
    made = many("unpause", "architect", "dir-code")
    assert made.agents == ()
    assert made.reason is not None
    assert "1: it is not paused but working" in made.reason


def test_a_restart_of_many_says_how_many_process_trees_end_and_is_grave() -> None:
    made = many("restart", "programmer-01", "programmer-03", "programmer-04")
    assert made.grave
    assert made.steps[0] == "3 agents: programmer-01, programmer-03, programmer-04"
    assert made.steps[1].startswith("2 process trees are ended: TERM, 5s, KILL")


def test_all_can_be_reassigned_in_turn_or_to_one_profile() -> None:
    made = many("reassign", "programmer-01", "dir-docs")
    offered = [(choice.label, dict(choice.args), choice.open) for choice in made.choices]
    assert offered[0] == ("each the next of its own alternates", {}, False)
    assert ("all on opencode", {"to": "opencode"}, False) in offered
    assert offered[-1][2]


def test_a_subtree_is_the_agent_and_all_below_and_one_key_pauses_or_unpauses_it() -> None:
    fleet, _, _ = world()
    inside = subtree(fleet, "dir-docs")
    assert inside == ("dir-docs", "writer-01", "writer-02")
    assert subtree(fleet, "writer-01") == ("writer-01",)
    assert pause_or_unpause(fleet, inside, fleet.agent("dir-docs")) == "pause"
    assert pause_or_unpause(fleet, ["writer-02"], fleet.agent("writer-02")) == "unpause"
    assert pause_or_unpause(fleet, ["writer-02", "programmer-04"], fleet.agent("programmer-04")) == "unpause"
    looped = Fleet("f", NOW, True, agents=(Agent("a", "a", parent="b"), Agent("b", "b", parent="a")))
    assert subtree(looped, "a") == ("a", "b")


def test_letters_that_went_together_have_one_summary_and_each_stays_readable() -> None:
    fleet, _, _ = world()
    desk = Desk()
    for letter, agent in (("l1", "architect"), ("l2", "dir-code"), ("l3", "dir-docs")):
        desk.sent(Sent(letter, "restart", agent, NOW, "g"))
    come = [
        event(1, "operator_outcome", "architect", letter="l1", ok=True, message="up"),
        event(2, "operator_outcome", "dir-code", letter="l2", ok=False, message="busy"),
    ]
    assert desk.answers(come, fleet, NOW) == []
    come.append(event(3, "operator_outcome", "dir-docs", letter="l3", ok=True, message="up"))
    (answer,) = desk.answers(come, fleet, NOW)
    assert answer.ok is False
    assert answer.line == "restart: 2 done, 1 failed (Dir-Code: busy)"
    assert [one.agent for one in answer.done] == ["architect", "dir-docs"]
    assert [one.line for one in desk.outcomes][:2] == [
        "Architect: restart done: up",
        "Dir-Code: restart failed: busy",
    ]


def test_whether_an_answered_agent_went_on_is_told() -> None:
    fleet, _, _ = world()
    desk = Desk()
    desk.sent(Sent("l1", "send", "programmer-02", NOW, answers=True))
    come = [event(1, "operator_outcome", "programmer-02", letter="l1", ok=True, message="typed 3 characters")]
    assert len(desk.answers(come, fleet, NOW)) == 1
    assert desk.answers(come, fleet, NOW + 1) == []
    went_on = Fleet("f", NOW, True, agents=(Agent("programmer-02", "P2", phase=Phase.WORKING),))
    assert [a.line for a in desk.answers(come, went_on, NOW + 2)] == ["P2 took the answer: it is working"]
    desk.sent(Sent("l2", "send", "programmer-02", NOW, answers=True))
    again = [event(2, "operator_outcome", "programmer-02", letter="l2", ok=True, message="typed")]
    desk.answers(again, fleet, NOW)
    (late,) = desk.answers(again, fleet, NOW + SEES_WITHIN + 1)
    assert late.ok is None
    assert "still waits" in late.line


def test_the_last_thing_is_undone_first_and_what_cannot_be_says_why() -> None:
    undoing = Undoing()
    before = Dismissal(7)
    undoing.did(Deed("dismiss", titles=("the bar",), dismissal=before))
    undoing.did(Deed("pause", ("a", "b"), ("A", "B")))
    undoing.did(Deed("stop", ("a",), ("A",)))
    undoing.did(Deed("restart", ("a",), ("A",)))
    saved = [
        event(1, "checkpoint_stored", "a", checkpoint=8),
        event(2, "checkpoint_stored", "b", checkpoint=30),
        event(3, "agent_started", "a"),
        event(4, "checkpoint_stored", "a", checkpoint=9),
    ]
    never = undoing.take(saved)
    assert never.order == ""
    assert "a restart cannot be undone. Checkpoint 8 holds the state before it" in never.says
    assert "`hhmrs restore a 8 --to DIR`" in never.says
    assert never.says.endswith("Before it: stop of A, press again")
    stopped = undoing.take(())
    assert (stopped.order, stopped.agents, stopped.grave) == ("start", ("a",), True)
    paused = undoing.take(())
    assert (paused.order, paused.agents, paused.grave) == ("unpause", ("a", "b"), False)
    assert undoing.take(()).dismissal is before
    assert "nothing was done" in undoing.take(()).says
    assert saved_before(saved[3:], "a") is None


def test_without_alternates_any_other_profile_can_be_typed() -> None:
    fleet, states, spec = world()
    one = spec.agents["architect"]
    alone = one.model_copy(update={"seats": one.seats[:1], "profiles": {}})
    made = plan(
        "reassign", fleet.agent("architect"), fleet, states["architect"],
        spec.model_copy(update={"agents": {"architect": alone}}),
    )  # fmt: skip
    assert made.reason is None
    assert made.choices[-1].open
    assert "unknown profile 'nonsense'" in str(seat_why_not("nonsense", states["architect"], alone))
    assert seat_why_not("claude", states["architect"], alone) is None


def test_no_order_is_offered_that_no_daemon_would_read() -> None:
    fleet, states, spec = world()
    stopped = Fleet(fleet.name, fleet.at, True, agents=fleet.agents, frozen=77)
    assert "kill -CONT 77" in str(why_not("restart", stopped.agent("architect"), stopped))
    orphan = Agent("x", "X", orphan=True)
    assert "no longer in the fleet file" in str(why_not("pause", orphan, fleet, states.get("x")))
    assert (
        why_not("restart", fleet.agent("architect"), fleet, states["architect"], spec.agents["architect"])
        is None
    )
