"""The promises, asserted after each step of seeded simulated hours; each seen red."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import pytest

import hhmrs.healing.decide as decide_module
import hhmrs.healing.evolve as evolve_module
import hhmrs.healing.evolve_letters as letters_module
import hhmrs.healing.evolve_process as process_module
from hhmrs.config.fleet import AgentSpec
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Phase, Stage
from hhmrs.healing.bounds import worst_case
from hhmrs.healing.ladder import next_rung
from hhmrs.healing.simulate import Simulation
from hhmrs.healing.transitions import Change, enter, recovered

SEEDS = int(os.environ.get("HHMRS_SEEDS", "12"))
"""`script/soak` asks for more."""

MakeSpec = Callable[..., AgentSpec]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_promise_is_broken_in_six_simulated_hours(make_spec: MakeSpec, seed: int) -> None:
    specs = [make_spec(f"a{i}", alternates=i % 3, stable_after=600.0) for i in range(8)]
    report = Simulation(specs, f"seed-{seed}").run(6)
    assert report.broken is None
    assert report.events["agent_incident"] > 0, "a run without any trouble asserts nothing"


def test_the_same_seed_gives_the_same_run(make_spec: MakeSpec) -> None:
    runs = [Simulation([make_spec("a1"), make_spec("a2")], "again").run(3) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0] != Simulation([make_spec("a1"), make_spec("a2")], "other").run(3)


@pytest.mark.parametrize("behaviour", ["frozen", "deaf", "crash", "bad start"])
def test_the_ladder_is_walked_whole_and_within_its_bound(make_spec: MakeSpec, behaviour: str) -> None:
    spec = make_spec("worker", alternates=1)
    run = Simulation([spec], "ladder", behaviour=behaviour, persons=False)
    report = run.run(24, until="hhmrs_failure")
    assert report.broken is None
    assert (report.events["hhmrs_restart"], report.events["hhmrs_reassign"]) == (3, 3)
    assert report.events["hhmrs_escalation"] == 2
    assert report.seconds <= worst_case(spec).seconds + 5
    after = run.run(24)
    assert (after.events["hhmrs_failure"], after.events["hhmrs_restart"]) == (1, 3), "then silence"
    assert report.bodies["worker"].phase is Phase.ESCALATED


def test_runaway_9c2c9284_ends_in_under_five_minutes_at_the_defaults(make_spec: MakeSpec) -> None:
    """A child whose end its parent never hears of, on a task that never closes."""
    run = Simulation([make_spec("director", alternates=1)], "9c2c9284", behaviour="deaf", persons=False)
    # A silent process dies of TERM at once: the kill grace is not used.
    run.bodies["director"].spec = run.bodies["director"].spec.model_copy(
        update={"policy": run.bodies["director"].spec.policy.model_copy(update={"kill_grace": 0.1})}
    )
    report = run.run(24, until="hhmrs_failure")
    assert report.events["task_failed"] == 1
    assert report.seconds < 300


def test_loops_end_too(make_spec: MakeSpec) -> None:
    spec = make_spec("looper")
    report = Simulation([spec], "loop", behaviour="loop", persons=False).run(24, until="hhmrs_failure")
    assert report.events["hhmrs_failure"] == 1
    assert report.seconds <= worst_case(spec, "looping").seconds + 5


def test_a_tree_that_will_not_die_is_escalated_and_nothing_is_started(make_spec: MakeSpec) -> None:
    run = Simulation([make_spec("zombie")], "undead", behaviour="undead", persons=False)
    report = run.run(24, until="hhmrs_failure")
    assert report.events["agent_started"] == 1
    assert run.run(24).events["agent_started"] == 1


# -- each promise's assertion seen red ------------------------------------------------------------


def _broken(make_spec: MakeSpec, **options: Any) -> str:
    for seed in range(6):
        specs = [make_spec(f"a{i}", alternates=1, stable_after=600.0) for i in range(4)]
        found = Simulation(specs, f"red-{seed}", **options).run(12).broken
        if found:
            return found
    return ""


def test_red_budgets_that_are_never_spent(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    real = next_rung

    def endless(s: AgentState, incident: Any, spec: AgentSpec) -> Any:
        return real(dataclasses.replace(s, restarts=0), incident, spec)

    monkeypatch.setattr(decide_module, "next_rung", endless)
    assert _broken(make_spec, behaviour="crash", persons=False).startswith("1 ")


def test_red_a_deadline_nobody_watches(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide_module, "_past_deadline", lambda s, now, detail: Change(s))
    found = _broken(make_spec, behaviour="work", persons=False)
    assert found.startswith("1 ") or "does not settle" in found


def test_red_recovered_without_progress(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def believing(s: AgentState, recovery: Any, spec: AgentSpec, now: float) -> Change:
        return recovered(s, now, "it was told to")

    monkeypatch.setattr(decide_module, "_unproved", believing)
    assert _broken(make_spec, behaviour="deaf", persons=False).startswith("2 ")


def test_red_a_start_before_the_old_tree_is_dead(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hasty(s: AgentState, recovery: Any) -> Change:
        stage = dataclasses.replace(recovery, stage=Stage.STARTING, issued=False)
        return Change(dataclasses.replace(s, attempt=s.attempt + 1, recovery=stage))

    monkeypatch.setattr(decide_module, "_clear", hasty)
    assert _broken(make_spec, behaviour="deaf", persons=False).startswith("3 ")


def test_red_acting_on_a_held_agent(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (decide_module, process_module, letters_module):
        monkeypatch.setattr(module, "HELD", frozenset())
    assert _broken(make_spec)[:1] in ("5", "7")


def test_red_acting_while_unknown(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    real = evolve_module._RULES[e.Unseen]

    def panic(s: AgentState, ev: e.Unseen, spec: AgentSpec) -> Change:
        change = real(s, ev, spec)
        nudge = a.Nudge(s.id, "x", s.attempt, "hello?")
        blind = dataclasses.replace(change.state, phase=Phase.UNKNOWN)
        return dataclasses.replace(change, state=blind, actions=(nudge,)) if change.happenings else change

    def from_unknown(s: AgentState, ev: e.BeatReceived, spec: AgentSpec) -> Change:
        return (
            Change(s, (), (a.Nudge(s.id, "x", s.attempt, "hello?"),))
            if s.phase is Phase.UNKNOWN
            else enter(s, s.phase, ev.at)
        )

    monkeypatch.setitem(evolve_module._RULES, e.Unseen, panic)
    monkeypatch.setitem(evolve_module._RULES, e.CheckpointReceived, from_unknown)
    assert _broken(make_spec).startswith("8 ")


def test_red_a_second_alert(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    real = decide_module.give_up

    def twice(s: AgentState, now: float, why: str, order: str | None = None) -> Change:
        change = real(s, now, why, order)
        failure = next(h for h in change.happenings if h.type == "hhmrs_failure")
        return change.noting(failure)

    monkeypatch.setattr(decide_module, "give_up", twice)
    assert _broken(make_spec, behaviour="crash", persons=False).startswith("7 ")
