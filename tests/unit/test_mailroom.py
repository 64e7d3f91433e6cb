"""Whose letters are read when: everyone in turn, no more than can be written down, and none forgotten."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

import hhmrs.controller.daemon.engine as engine_module
import hhmrs.controller.daemon.mailroom as mailroom_module
from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy
from hhmrs.config.paths import StateDir
from hhmrs.controller.checkpoints.checkpoints import CheckpointStore
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.daemon.engine import Engine
from hhmrs.controller.daemon.mailroom import Mailroom
from hhmrs.controller.daemon.reception import Reception
from hhmrs.controller.ledger.errors import LedgerFull
from hhmrs.controller.letters.delivery import Deliveries
from hhmrs.controller.letters.inbox import Inbox
from hhmrs.controller.letters.inbox_watch import InboxWatch
from hhmrs.controller.ports import Row
from hhmrs.controller.recovery.perform import Outcome
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Phase
from hhmrs.healing.replacing import replace
from hhmrs.healing.transitions import anew

NUMBERS = count(1)


class Book:
    """Takes everything, unless it is full."""

    def __init__(self) -> None:
        self.full = False
        self.rows: list[Row] = []

    async def commit(self, rows: list[Row]) -> None:
        if self.full:
            raise LedgerFull("full")
        self.rows += rows


class Hands:
    def perform(self, action: a.Action, state: AgentState) -> Outcome:
        if isinstance(action, a.StartAttempt):
            return Outcome([e.ProcessStarted(action.agent, 1000.0, action.attempt, 7, 1.0, "%1")])
        return Outcome([e.StepFinished(action.agent, 1000.0, action.key, ok=True)])


class NobodyOrders:
    def read(self) -> None:
        return


class Post:
    """A mailroom with real inboxes and threads, and an engine that writes into no file."""

    def __init__(self, root: Path, specs: list[AgentSpec]) -> None:
        self.state = StateDir(root, "f")
        self.state.create()
        clock, watch = SteadyClock(), InboxWatch()
        fleet = FleetSpec(fleet="f", path=Path("/f"), policy=Policy(), agents={s.id: s for s in specs},
                          profiles={})  # fmt: skip
        self.book = Book()
        self.inbox = Inbox(self.state, self._emit, clock, watch)
        self.store = CheckpointStore(self.state)
        self.deliveries = Deliveries(self.inbox, self.store, clock)
        self.engine = Engine(fleet, clock, self.book, Hands(), self.deliveries.acknowledge)
        reception = cast("Reception", NobodyOrders())
        self.mailroom = Mailroom(self.engine, self.deliveries, reception, watch)
        for spec in specs:
            self.inbox.make(spec.id)
            self.engine.begin(spec)

    def _emit(self, evidence: e.Evidence) -> None:
        self.engine.emit(evidence)

    def write(self, agent: str, kind: str = "beat", **fields: Any) -> None:
        folder, name = self.state.inbox_of(agent), f"{next(NUMBERS):06d}"
        letter = {"kind": kind, "agent": agent, "attempt": 1, "at": "2026-11-21T10:00:00.000Z"} | fields
        (folder / "tmp" / name).write_text(json.dumps(letter))
        os.rename(folder / "tmp" / name, folder / "new" / name)  # noqa: PTH104 - as agents do it

    def waiting(self, agent: str) -> int:
        return len(list((self.state.inbox_of(agent) / "new").iterdir()))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        running = asyncio.create_task(self.engine.run())
        self.mailroom.open()
        try:
            await self.until(lambda: all(s.alive for s in self.engine.states.values()))
            yield
        finally:
            self.engine.stop()
            await asyncio.wait_for(running, 10)
            self.mailroom.close()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - what is waited for is made by threads
                await asyncio.sleep(0.005)


@pytest.fixture
def post(tmp_path: Path, make_spec: Callable[..., AgentSpec]) -> Post:
    return Post(tmp_path / "state", [make_spec("a1"), make_spec("a2")])


async def test_no_more_is_read_than_the_ledger_can_be_told(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "RETRY", 0.01)
    monkeypatch.setattr(mailroom_module, "UNREAD", 30)
    monkeypatch.setattr(mailroom_module, "MOST", 10)
    async with post.open():
        post.book.full = True
        for number in range(1000):
            post.write("a1", "ask", question=f"may I? {number}")
        await post.until(lambda: post.inbox.unread("a1") >= 30)
        for _ in range(20):  # however often somebody asks for it
            post.mailroom.read("a1")
            await asyncio.sleep(0.005)
        assert post.inbox.unread("a1") < 1000, "what nobody can write down stays in the inbox"
        post.book.full = False
        await post.until(lambda: post.waiting("a1") == 0)
    asked = [h for row in post.book.rows for h in row.happenings if h.type == "agent_asked"]
    assert len(asked) == 1000


async def test_beats_share_commits_and_are_all_counted(post: Post) -> None:
    async with post.open():
        before = len(post.book.rows)
        for number in range(500):
            post.write("a1", state="executing", message=str(number))
        await post.until(lambda: post.waiting("a1") == 0)
        state = post.engine.states["a1"]
        assert (state.beats, state.message) == (500, "499")
    rows = [row for row in post.book.rows[before:] if row.agent == "a1"]
    assert len(rows) < 50
    assert sum(len(row.letters or ()) for row in rows) >= 500


async def test_a_letter_of_which_nobody_told_is_found(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailroom_module, "LOOK_EVERY", 0.02)
    async with post.open():
        monkeypatch.setattr(post.mailroom, "_letters_came", lambda: None)
        asyncio.get_running_loop().remove_reader(post.mailroom._watch.fileno())
        post.write("a2", "ask", question="is anybody there?")
        await post.until(lambda: post.engine.states["a2"].message == "is anybody there?")


async def test_a_full_disk_is_told_once_and_its_letter_taken_later(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mailroom_module, "LOOK_EVERY", 0.02)
    tried: list[int] = []

    def full(*_: object, **__: object) -> Path:
        tried.append(1)
        raise OSError(28, "No space left on device")

    async with post.open():
        with monkeypatch.context() as patch:
            patch.setattr(post.store, "_write", full)
            post.write("a1", "checkpoint", completed=["one"])
            await post.until(lambda: len(tried) >= 3)
        await post.until(lambda: post.engine.states["a1"].checkpoint == 1)
    assert sum("No space left" in record.message for record in caplog.records) == 1


async def test_what_waited_is_read_before_anything_is_decided(post: Post) -> None:
    """Found by the simulator: a letter of the time before the daemon proved the nudge that it began with."""
    spec = post.engine.fleet.agents["a1"]
    now = SteadyClock().now()
    working = replace(post.engine.states["a1"], recovery=None, alive=True, ready=True, phase=Phase.WORKING)
    post.engine.restore(replace(anew(working, now - 3600), incident=None))
    post.write("a1", "checkpoint", completed=["one"])
    post.mailroom.open()
    await post.mailroom.catch_up()
    running = asyncio.create_task(post.engine.run())
    try:
        await post.until(lambda: post.waiting("a1") == 0)
        happened = [h.type for row in post.book.rows for h in row.happenings if h.agent == spec.id]
    finally:
        post.engine.stop()
        await asyncio.wait_for(running, 10)
        post.mailroom.close()
    assert "checkpoint_stored" in happened
    assert not {"agent_incident", "hhmrs_nudge", "hhmrs_recovered"} & set(happened)
