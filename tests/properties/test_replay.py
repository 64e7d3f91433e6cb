"""A replay is the night as it was: what the brain knew at any moment, as far as events tell; and a moment
looks the same however one came there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hhmrs.config.fleet import AgentSpec
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.healing.agent import AgentState, Happening
from hhmrs.healing.simulate import Simulation
from hhmrs.tui.document import Agent, Trouble
from hhmrs.tui.feed import Snapshot
from hhmrs.tui.player import SPEEDS, Player
from hhmrs.tui.sources import recording as index
from hhmrs.tui.sources.recording import Recording, open_recording
from hhmrs.tui.sources.replay import ReplaySource

Simulate = Callable[..., Simulation]
Hierarchy = Callable[[int], list[AgentSpec]]
PAGE = 20
"""Small, so that a short recording has many frames."""


@contextmanager
def recorded(log: Sequence[Happening], parents: dict[str, str | None]) -> Generator[Recording]:
    """The happenings as a ledger, opened anew."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        book = SqliteLedger(path, parents=parents)
        book.append([Row(h.agent, None, (h,)) for h in log])
        book.close()
        opened = open_recording(path)
        yield opened
        opened.close()


def known(state: AgentState) -> dict[str, Any]:
    """What of an agent's state events tell."""
    incident = state.incident
    tries = [(a.n, a.strategy.value, a.outcome) for a in incident.attempts] if incident else []
    return {
        "phase": state.phase,
        "alive": state.alive,
        "attempt": state.attempt if state.alive else None,  # of one that cannot be started none is told
        "task": state.task.text if state.task else "",
        "attached": state.attached,
        "incident": (incident.id, incident.symptom, incident.cause) if incident else None,
        "tries": tries,
    }


def told(agent: Agent, trouble: Trouble | None) -> dict[str, Any]:
    return {
        "phase": agent.phase,
        "alive": agent.alive,
        "attempt": agent.attempt if agent.alive else None,
        "task": agent.task,
        "attached": agent.attached,
        "incident": (trouble.id, trouble.symptom, trouble.cause) if trouble else None,
        "tries": [(t.n, t.strategy, t.outcome) for t in trouble.tries] if trouble else [],
    }


@pytest.mark.parametrize("seed", range(6))
def test_every_moment_is_what_the_brain_knew(hierarchy: Hierarchy, simulate: Simulate, seed: int) -> None:
    specs = hierarchy(12)
    run = simulate(specs, f"replay-{seed}", keep=True)
    looks: list[tuple[int, dict[str, AgentState]]] = []
    for _ in range(40):
        run.run(0.05)
        looks.append((len(run.log), {spec.id: run.supervisor.state(spec.id) for spec in specs}))
    with recorded(run.log, {spec.id: spec.parent for spec in specs}) as recording:
        compared = 0
        for position, states in reversed(looks):
            then = recording.seek(position)
            for name, agent in then.agents.items():
                if agent.since is not None:
                    assert told(agent, then.troubles.get(name)) == known(states[name]), (position, name)
                    compared += 1
        assert compared > 200
        assert len(recording) > 200


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0.0, 40.0)),
        st.tuples(st.just("seek"), st.floats(-0.1, 1.1)),
        st.tuples(st.just("faster"), st.integers(-3, 3)),
        st.tuples(st.just("toggle"), st.none()),
        st.tuples(st.just("mark"), st.sampled_from((-1, 1))),
    ),
    max_size=25,
)


def walk(source: ReplaySource, clock: Clock, steps: Sequence[tuple[str, Any]]) -> None:
    """Go about in the recording as a person would, and look after each step."""
    player, recording = source.player, source.recording
    for what, much in steps:
        if what == "wait":
            clock.now += much
        elif what == "seek":
            player.seek(recording.begin + much * (recording.end - recording.begin))
        elif what == "faster":
            player.faster(much)
        elif what == "toggle":
            player.toggle()
        else:
            find = recording.mark_after if much > 0 else recording.mark_before
            player.seek(find(player.now) or recording.begin)
        _ = source.snapshot("a1")
        assert recording.begin <= player.now <= recording.end


@pytest.fixture
def night(hierarchy: Hierarchy, simulate: Simulate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    monkeypatch.setattr(index, "PAGE", PAGE)
    specs = hierarchy(8)
    run = simulate(specs, "night", keep=True)
    run.run(3)
    with recorded(run.log, {spec.id: spec.parent for spec in specs}) as recording:
        assert len(recording) > 10 * PAGE
        yield recording


def test_a_moment_looks_the_same_however_one_came_there(night: Recording) -> None:
    @settings(max_examples=60, deadline=None)
    @given(STEPS, st.floats(0.0, 1.0))
    def one(steps: list[tuple[str, Any]], share: float) -> None:
        clock = Clock()
        source = ReplaySource(night, Player(night.begin, night.end, clock=clock))
        walk(source, clock, steps)
        at = night.begin + share * (night.end - night.begin)
        source.player.seek(at)
        if source.player.playing:
            source.player.toggle()
        there = source.snapshot("a1")
        assert there == fresh(night, at)
        assert [e.seq for e in there.events] == sorted(e.seq for e in there.events)

    one()


def fresh(night: Recording, at: float) -> Snapshot:
    """The moment in a recording that was never looked at before."""
    opened = open_recording(night.path)
    try:
        return ReplaySource(opened, Player(opened.begin, opened.end)).at(at, "a1")
    finally:
        opened.close()


def test_playing_through_shows_every_event_once_and_in_order(night: Recording) -> None:
    clock = Clock()
    source = ReplaySource(night, Player(night.begin, night.end, speed=SPEEDS[4], clock=clock))
    seen: list[int] = []
    while source.player.playing:
        clock.now += 0.25
        seen += [e.seq for e in source.snapshot(None).events if not seen or e.seq > seen[-1]]
    seen += [e.seq for e in source.snapshot(None).events if e.seq > seen[-1]]
    assert seen == list(range(1, len(night) + 1))
