"""What a reader of the book knows of each agent: the newest of state and live values, read once."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hhmrs.controller.ledger.rows as rows_module
import hhmrs.controller.reports.known as known_module
from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.writer import LedgerReader, SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.controller.reports.known import KnownStates, current, state_now
from hhmrs.controller.timestamps import to_iso
from hhmrs.healing.agent import AgentState, Phase, Returning, Trace
from hhmrs.healing.codec import dump_state
from hhmrs.healing.repeats import Memory

T0 = 1_763_719_200.0


class CountingReader(LedgerReader):
    """Counts the states and the live values that are fetched."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.states_read = 0
        self.beats_read = 0

    def state_texts(self, agents: Collection[str]) -> dict[str, str]:
        found = super().state_texts(agents)
        self.states_read += len(found)
        return found

    def states(self, agents: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
        found = super().states(agents)
        self.states_read += len(found)
        return found

    def beat_texts(self, agents: Collection[str]) -> dict[str, str]:
        found = super().beat_texts(agents)
        self.beats_read += len(found)
        return found


@pytest.fixture
def book(tmp_path: Path) -> Iterator[SqliteLedger]:
    state_dir = StateDir(tmp_path / "state", "nightly")
    state_dir.create()
    ledger = SqliteLedger(state_dir.ledger)
    yield ledger
    ledger.close()


@pytest.fixture
def reader(book: SqliteLedger) -> Iterator[CountingReader]:
    reader = CountingReader(book.path)
    yield reader
    reader.close()


def put(book: SqliteLedger, *states: AgentState) -> None:
    book.append([Row(s.id, dump_state(s)) for s in states])


def test_only_what_was_written_since_is_read_again(
    book: SqliteLedger, reader: CountingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_module, "SURE_AFTER", -1.0)
    known = KnownStates()
    put(book, *(AgentState(f"a{i}", Phase.WORKING) for i in range(5)))
    for _ in range(3):
        assert len(known.read(reader, reader.agents())) == 5
    assert reader.states_read == 5
    put(book, AgentState("a3", Phase.LOOPING))
    assert known.read(reader, reader.agents())["a3"].phase is Phase.LOOPING
    assert reader.states_read == 6


def test_a_row_of_this_very_moment_is_fetched_again_until_its_time_is_over(
    book: SqliteLedger, reader: CountingReader
) -> None:
    known = KnownStates()
    put(book, AgentState("a", Phase.WORKING))
    first = known.read(reader, reader.agents())
    again = known.read(reader, reader.agents())
    assert reader.states_read == 2
    assert again["a"] is first["a"], "the same text is not made a state a second time"


def test_a_second_write_at_the_same_time_is_seen(
    book: SqliteLedger, reader: CountingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = to_iso(time.time())
    monkeypatch.setattr(rows_module, "to_iso", lambda _: moment)
    known = KnownStates()
    for phase in (Phase.WORKING, Phase.LOOPING, Phase.IDLE):
        put(book, AgentState("a", phase))
        assert reader.agents()[0]["updated_at"] == moment
        assert known.read(reader, reader.agents())["a"].phase is phase


def test_live_values_told_after_the_state_are_newer_and_ages_are_always_the_newest() -> None:
    state = AgentState(
        "a", says="idle", last_progress=T0 - 9, cpu_pct=1.0, trace=Trace(output=T0 - 9, beat=T0 - 5)
    )
    live = {"says": "executing", "cpu_pct": 9, "output": T0 - 2, "beat": T0 - 60, "last_progress": T0 - 3}
    now = current(state, live, newer=True)
    assert (now.says, now.cpu_pct, now.last_progress) == ("executing", 9.0, T0 - 3)
    assert (now.trace.output, now.trace.beat) == (T0 - 2, T0 - 5)
    then = current(state, live, newer=False)
    assert (then.says, then.cpu_pct, then.last_progress) == ("idle", 1.0, T0 - 3)


def test_progress_told_live_ends_the_spell_of_which_the_state_tells() -> None:
    state = AgentState("a", last_progress=T0 - 200, quick_looked=T0 - 80, returning=Returning(2, 9, T0 - 90))
    assert current(state, {"last_progress": T0 - 200}, newer=True).quick_looked == T0 - 80
    after = current(state, {"last_progress": T0 - 1}, newer=True)
    assert (after.quick_looked, after.returning) == (None, Returning())


@pytest.mark.parametrize("value", ["x", None, True, float("nan"), [1], {"a": 1}])
def test_live_values_of_a_wrong_shape_change_nothing(value: object) -> None:
    state = AgentState("a", says="idle", progress=0.5, threads=3)
    names = (
        "progress",
        "threads",
        "last_life",
        "output",
        "stopped_child",
        "no_such_field",
        "phase",
        "memory",
    )
    assert current(state, dict.fromkeys(names, value), newer=True) == (
        replace(state, stopped_child="x") if value == "x" else state
    )


def test_one_agent_is_read_alone_and_without_its_memory(book: SqliteLedger, reader: CountingReader) -> None:
    remembers = AgentState("a", Phase.WORKING, memory=Memory((1, 2), (3,)))
    put(book, remembers, AgentState("b"))
    found = state_now(reader, "a")
    assert found == replace(remembers, memory=Memory())
    assert reader.states_read == 1
    assert state_now(reader, "nobody") is None
