"""The loop itself: nothing is done that is not in the ledger, and nobody's defect ends the supervision."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import hhmrs.controller.daemon.brain as brain_module
import hhmrs.controller.daemon.engine as engine_module
from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy
from hhmrs.controller.daemon.engine import Engine
from hhmrs.controller.ledger.errors import LedgerFull
from hhmrs.controller.ports import Letter, Row
from hhmrs.controller.recovery.perform import Outcome
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Happening, Phase
from hhmrs.healing.decide import decide
from hhmrs.healing.evolve import evolve
from hhmrs.healing.transitions import Change

MakeSpec = Callable[..., AgentSpec]


class Time:
    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at


class Book:
    """Keeps the rows; `trouble` is raised instead, as often as it says."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.trouble: list[Exception] = []
        self.asked = 0
        self.during: Callable[[], None] = lambda: None

    async def commit(self, rows: list[Row]) -> None:
        self.asked += 1
        self.during()
        await asyncio.sleep(0)
        if self.trouble:
            raise self.trouble.pop(0)
        self.rows += rows

    def happened(self, kind: str) -> list[Happening]:
        return [h for row in self.rows for h in row.happenings if h.type == kind]


class Hands:
    """Does everything at once and well."""

    def __init__(self) -> None:
        self.did: list[a.Action] = []

    def perform(self, action: a.Action, state: AgentState) -> Outcome:
        self.did.append(action)
        if isinstance(action, a.StartAttempt):
            return Outcome([e.ProcessStarted(action.agent, 1000.0, action.attempt, 7, 1.0, "%1")])
        return Outcome([e.StepFinished(action.agent, 1000.0, action.key, True)])


class Room:
    def __init__(self, specs: Sequence[AgentSpec]) -> None:
        self.time, self.book, self.hands = Time(), Book(), Hands()
        self.taken: list[Letter] = []
        fleet = FleetSpec(fleet="f", path=Path("/f"), policy=Policy(), agents={s.id: s for s in specs},
                          profiles={})  # fmt: skip
        self.engine = Engine(fleet, self.time, self.book, self.hands, self.taken.extend)
        for spec in specs:
            self.engine.begin(spec)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        running = asyncio.create_task(self.engine.run())
        try:
            yield
        finally:
            self.engine.stop()
            await asyncio.wait_for(running, 5)

    async def starts(self, count: int) -> None:
        await self.until(lambda: len(self.book.happened("agent_started")) == count)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - what is waited for is made by threads and by fakes
                await asyncio.sleep(0.005)


@pytest.fixture
def room(make_spec: MakeSpec) -> Room:
    return Room([make_spec("a1"), make_spec("a2")])


async def test_a_full_ledger_stops_every_act_but_not_the_daemon(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_module, "RETRY", 0.01)
    room.book.trouble = [LedgerFull("no room for the ledger"), LedgerFull("no room for the ledger")]
    room.book.during = lambda: asserted.append(room.book.rows == [] and room.hands.did != [])
    asserted: list[bool] = []
    with caplog.at_level(logging.ERROR):
        async with room.open():
            await room.until(lambda: room.book.happened("agent_started"))
    assert not asserted[0] and not asserted[1]
    assert room.book.asked > 2
    assert [r.message for r in caplog.records if "no room" in r.message].count(
        "nothing is done until the ledger takes this: no room for the ledger"
    ) == 1


async def test_stopping_does_not_wait_for_a_full_ledger_and_does_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "RETRY", 0.01)
    room.book.trouble = [LedgerFull("full")] * 100_000
    async with room.open():
        await room.until(lambda: room.book.asked > 3)
    assert room.hands.did == []


async def test_one_row_that_no_ledger_takes_does_not_take_the_others_along(room: Room) -> None:
    room.book.trouble = [ValueError("not JSON"), ValueError("not JSON")]
    async with room.open():
        await room.until(lambda: room.book.happened("agent_started"))
    assert {row.agent for row in room.book.rows} == {"a1", "a2"}


async def test_whoever_listens_and_raises_ends_nothing(room: Room) -> None:
    def raises(_: object) -> None:
        raise RuntimeError("a defect")

    room.engine.evidence_seen.append(raises)
    room.engine.observers.append(raises)
    room.engine._tray.remove = raises
    async with room.open():
        room.engine.deliver([], [Letter("beat", "a1", 1, "", "x", {})])
        await room.starts(2)


async def test_what_cannot_be_understood_is_passed_over_and_its_order_answered(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(s: AgentState, evidence: e.Evidence, spec: AgentSpec) -> Change:
        if isinstance(evidence, e.Ordered):
            raise IndexError(evidence)
        return evolve(s, evidence, spec)

    monkeypatch.setattr(brain_module, "evolve", broken)
    async with room.open():
        room.engine.emit(e.Ordered("a1", 1000.0, "restart", "o1", "me"))
        await room.until(lambda: room.book.happened("operator_outcome"))
        room.engine.emit(e.LetterRefused("a2", 1000.0, "still there"))
        await room.until(lambda: room.book.happened("agent_letter_refused"))
    assert room.book.happened("operator_outcome")[0].fields["ok"] is False


async def test_deciding_about_one_agent_may_fail_without_the_others(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = decide

    def broken(s: AgentState, spec: AgentSpec, now: float) -> Change:
        if s.id == "a1":
            raise KeyError("a1")
        return real(s, spec, now)

    monkeypatch.setattr(brain_module, "decide", broken)
    async with room.open():
        await room.until(lambda: room.book.happened("agent_started"))
    assert [h.agent for h in room.book.happened("agent_started")] == ["a2"]


async def test_an_order_for_an_agent_that_has_just_gone_is_answered(room: Room) -> None:
    async with room.open():
        room.engine.emit(e.Ordered("gone", 1000.0, "restart", "o1", "me"))
        await room.until(lambda: room.book.happened("operator_outcome"))


async def test_an_order_under_way_is_answered_when_its_agent_leaves_the_file(room: Room) -> None:
    async with room.open():
        await room.starts(2)
        room.engine.emit(e.Ordered("a2", 1000.0, "restart", "o1", "me"))
        await room.starts(3)
        agents = {"a1": room.engine.fleet.agents["a1"]}
        assert room.engine.change_fleet(room.engine.fleet.model_copy(update={"agents": agents})) == ["a2"]
        await room.until(lambda: room.book.happened("operator_outcome"))


async def test_a_file_with_fewer_alternates_leaves_no_agent_on_a_seat_that_is_gone(
    make_spec: MakeSpec,
) -> None:
    room = Room([make_spec("a1", alternates=2)])
    async with room.open():
        await room.until(lambda: room.book.happened("agent_started"))
        for attempt in (2, 3):
            room.engine.emit(e.Ordered("a1", 1000.0, "reassign", f"o{attempt}", "me"))
            await room.starts(attempt)
        assert room.engine.states["a1"].seat == 2
        spec = make_spec("a1", alternates=0)
        room.engine.change_fleet(room.engine.fleet.model_copy(update={"agents": {"a1": spec}}))
        room.engine.emit(e.ProcessExited("a1", 1000.0, 3, 1, None))
        room.engine.emit(e.Ordered("a1", 1000.0, "restart", "o4", "me"))
        await room.starts(4)
    assert room.engine.states["a1"].seat == 0


async def test_evidence_without_end_keeps_nobody_from_deciding_or_stopping(room: Room) -> None:
    def again(_: e.Evidence) -> None:
        room.engine.emit(e.LetterRefused("a1", 1000.0, "and again"))

    room.engine.evidence_seen.append(again)
    async with room.open():
        room.engine.emit(e.LetterRefused("a1", 1000.0, "the first"))
        await room.starts(2)


async def test_a_sleep_of_ours_counts_against_nobody_wherever_it_strikes(room: Room) -> None:
    def sleep_once() -> None:
        room.time.at += 500.0
        room.book.during = lambda: None

    async with room.open():
        await room.starts(2)
        room.book.during = sleep_once
        room.engine.emit(e.LetterRefused("a1", 1000.0, "anything that is written"))
        await room.until(lambda: room.book.happened("agent_letter_refused"))
        # One more turn of the loop, in which a sleep that counted would have shown.
        room.engine.emit(e.LetterRefused("a1", 1500.0, "a second one"))
        await room.until(lambda: len(room.book.happened("agent_letter_refused")) == 2)
    assert room.book.happened("hhmrs_timeout") == []
    assert all(s.phase is Phase.STARTING for s in room.engine.states.values())


async def test_what_an_ancestor_decided_is_committed_together_with_its_letter(make_spec: MakeSpec) -> None:
    """Else a daemon killed between the two would read the answer once more, to its next question."""
    room = Room([make_spec("boss"), make_spec("worker", parent="boss", decider="parent")])
    async with room.open():
        await room.starts(2)
        for agent in ("boss", "worker"):
            room.engine.emit(e.BeatReceived(agent, 1000.0, "executing"))
        room.engine.emit(e.ProcessExited("worker", 1000.0, 1, 1, None))
        await room.until(lambda: room.book.happened("agent_decider_asked"))
        letter = Letter("decide", "boss", 1, "2026-11-21T10:00:00.000Z", "the-letter", {})
        at_once: list[list[Row]] = []
        commit = room.book.commit

        async def keep(rows: list[Row]) -> None:
            at_once.append(rows)
            await commit(rows)

        room.book.commit = keep  # type: ignore[method-assign]  # the real one is called
        room.engine.deliver([e.Decided("worker", 1000.0, "worker-i1", "restart", "boss")], [letter])
        await room.until(lambda: room.taken == [letter])
    kinds = [[h.type for row in rows for h in row.happenings] for rows in at_once]
    (together,) = [rows for rows, told in zip(at_once, kinds, strict=True) if "agent_decided" in told]
    assert {row.agent: row.letters for row in together if row.letters} == {"boss": ("the-letter",)}


async def test_notes_from_other_threads_are_never_lost(room: Room) -> None:
    def tell(start: int) -> None:
        for n in range(start, start + 2000):
            room.engine.note(Happening("operator_outcome", "", 1000.0, None, {"letter": n}))

    async with room.open():
        await asyncio.gather(*(asyncio.to_thread(tell, n) for n in (0, 2000, 4000)))
        await room.until(lambda: len(room.book.happened("operator_outcome")) == 6000)


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_read_in_one_turn_is_believed_in_one_order(room: Room, seed: int) -> None:
    """Sources are woken in any order; of the same moment each tells of its own."""
    batch: list[e.Evidence] = [
        e.OutputSeen("a1", 1000.0, ("a line",)),
        e.ProcessMeasured("a1", 1000.0, True, (), False, 1.0, 2.0, 3),
        e.FileChanged("a1", 1000.0, "x"),
        e.BeatReceived("a1", 1000.0, "executing", 0.5),
        e.ScreenMatched("a1", 1000.0, "waiting", "trust"),
        e.ProcessExited("a1", 1000.0, 1, 3, None),
    ]
    first = await _state_after(room, batch)
    random.Random(seed).shuffle(batch)
    assert await _state_after(Room(list(room.engine.fleet.agents.values())), batch) == first


async def _state_after(room: Room, batch: list[e.Evidence]) -> AgentState:
    async with room.open():
        await room.starts(2)
        room.hands.perform = lambda *_: Outcome([])  # type: ignore[method-assign] # what is begun stays so
        room.engine.deliver(batch, [])
        await room.until(lambda: room.book.happened("agent_exited"))
    return room.engine.states["a1"]
