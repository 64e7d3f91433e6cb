"""What lies between agents: guards hear of every change that matters, and are heeded in the same turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

import hhmrs.controller.daemon.brain as brain_module
from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy
from hhmrs.controller.daemon.brain import Brain
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Happening, Phase
from hhmrs.healing.guards import Guards, Told
from hhmrs.healing.turn import Turn

MakeSpec = Callable[..., AgentSpec]
NOW = 1_000_000.0


class Tells:
    """Pauses the sibling of whoever gets into trouble, by an order; speaks once of itself when `at` comes."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str | None, str]] = []
        self.known: list[str] = []
        self.at: float | None = None
        self.endless = False

    def fit(self, agents: Mapping[str, AgentSpec], policy: Policy) -> None:
        self.known = list(agents)

    def changed(
        self, before: AgentState | None, after: AgentState, happened: Sequence[Happening], now: float
    ) -> Told:
        self.heard.append((after.id, before.phase.value if before else None, after.phase.value))
        if not (self.endless or any(h.type == "agent_incident" for h in happened)):
            return Told()
        sibling = "a2" if after.id == "a1" else "a1"
        return Told([e.Ordered(sibling, now, "pause" if after.id == "a1" else "unpause", "x", "a guard")])

    def due(self) -> float | None:
        return self.at

    def tick(self, now: float) -> Told:
        self.at = None
        return Told([], [Happening("hhmrs_cascade", "", now, None, {})])


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Tells:
    made = Tells()
    monkeypatch.setattr(brain_module, "guards_for", lambda agents, policy: Guards([made], agents, policy))
    return made


@pytest.fixture
def brain(make_spec: MakeSpec, guard: Tells) -> Brain:
    specs = [make_spec("a1"), make_spec("a2")]
    made = Brain(FleetSpec(fleet="f", path=Path("/f"), policy=Policy(), agents={s.id: s for s in specs},
                           profiles={}))  # fmt: skip
    for spec in specs:
        made.begin(spec, NOW, after=0, running=False)
        made.take(e.ProcessStarted(spec.id, NOW, 1, 7, 1.0, "%1"), Turn())
    return made


def test_a_guard_knows_the_fleet_and_hears_of_every_agent_that_is_taken_on(
    brain: Brain, guard: Tells
) -> None:
    assert guard.known == ["a1", "a2"]
    assert [(agent, before) for agent, before, _ in guard.heard if before is None] == [
        ("a1", None),
        ("a2", None),
    ]


def test_what_changes_nothing_is_not_told(brain: Brain, guard: Tells) -> None:
    brain.take(e.OutputSeen("a1", NOW + 1, ("one",)), Turn())
    known = len(guard.heard)
    brain.take(e.OutputSeen("a1", NOW + 2, ("two",)), Turn())
    assert len(guard.heard) == known


def test_a_word_of_a_guard_is_heeded_before_the_agent_it_is_about_is_decided_upon(
    brain: Brain, guard: Tells
) -> None:
    """Both fell; the second must not be recovered, because the guard took it out of our hands in time."""
    turn = Turn()
    for agent in ("a1", "a2"):
        brain.take(e.BeatReceived(agent, NOW + 1, "executing"), turn)
    brain.take(e.ProcessExited("a1", NOW + 2, 1, 1, None), turn)
    brain.decide_due(turn, NOW + 2)
    assert brain.states["a2"].phase is Phase.PAUSED
    assert {action.agent for action in turn.actions} == {"a1"}


def test_an_incident_that_opens_by_the_clock_is_told_before_anything_is_done_about_it(
    brain: Brain, guard: Tells
) -> None:
    turn = Turn()
    for agent in ("a1", "a2"):
        brain.take(e.BeatReceived(agent, NOW + 1, "executing"), turn)
    silent = NOW + 1 + Policy().silence
    guard.heard.clear()
    brain.decide_due(turn, silent)
    assert ("a1", "working", "stalled") in guard.heard
    assert [action.agent for action in turn.actions] == ["a1"], "a2 was paused before its turn came"


def test_what_time_alone_brings_is_asked_for_and_written_down(brain: Brain, guard: Tells) -> None:
    guard.at = NOW + 3
    assert brain.next_due() is not None
    turn = Turn()
    brain.decide_due(turn, NOW + 2)
    assert "" not in turn.happenings
    brain.decide_due(turn, NOW + 3)
    assert [h.type for h in turn.happenings[""]] == ["hhmrs_cascade"]


def test_guards_that_never_come_to_an_end_are_stopped(
    brain: Brain, guard: Tells, caplog: pytest.LogCaptureFixture
) -> None:
    guard.endless = True
    turn = Turn()
    brain.take(e.ProcessExited("a1", NOW + 2, 1, 1, None), turn)
    brain.decide_due(turn, NOW + 2)
    assert "do not come to an end" in caplog.text
