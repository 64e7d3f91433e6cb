"""The real source of an agent's work: a real book, real checkpoints and snapshots, a real transcript."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy, Profile, Seat, TranscriptRule
from hhmrs.config.paths import StateDir
from hhmrs.controller.checkpoints.checkpoints import CheckpointStore
from hhmrs.controller.checkpoints.safekeeping import Safekeeping
from hhmrs.controller.checkpoints.snapshots import Snapshots
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.healing.agent import AgentState, Happening, Phase, Task
from hhmrs.healing.codec import dump_state
from hhmrs.tui.sources.work import DaemonWork
from hhmrs.tui.work import WorkError

SESSION = "11111111-2222-3333-4444-555555555555"
TRANSCRIPT = TranscriptRule(roots=("{workspace}/.cli",), file="{session}.jsonl", counts=".")


def happened(kind: str, at: float, fields: dict[str, object]) -> Happening:
    return Happening(kind, "worker", at, None, fields)


class AtWork:
    """One agent at work, as a daemon would have written it down."""

    def __init__(self, root: Path, make_spec: Any) -> None:
        self.state = StateDir(root / "state", "night")
        self.state.create()
        self.root, self.work = root, root / "work"
        (self.work / "src").mkdir(parents=True)
        (self.work / "src" / "a.py").write_text("one\n")
        self.book = SqliteLedger(self.state.ledger)
        seat = Seat(profile=Profile(name="cli", transcripts=(TRANSCRIPT,)), command=("sh",))
        self.spec: AgentSpec = make_spec("worker", seats=(seat,), workspace=self.work)
        self.agent = AgentState(
            id="worker", phase=Phase.WORKING, attempt=1, session=SESSION, task=Task("t-2", "now")
        )
        self.keeping = Safekeeping(
            CheckpointStore(self.state), Snapshots(self.state.snapshots), SteadyClock()
        )
        self.put(happened("task_opened", time.time(), {"task": "t-2", "text": "now"}))
        self.source = DaemonWork(self.state, self.book.reader, self.fleet)

    def fleet(self) -> FleetSpec:
        agents = {"worker": self.spec}
        return FleetSpec(
            fleet="night", path=self.root / "f.yaml", policy=Policy(), agents=agents, profiles={}
        )

    def put(self, *happenings: Happening) -> None:
        self.book.append([Row("worker", dump_state(self.agent), happenings)])

    def checkpoint(self) -> int:
        """One by the supervisor, with its event; its number."""
        (taken,) = self.keeping.take_checkpoint(self.spec, self.agent)
        seq: int = taken.seq  # type: ignore[union-attr]  # what is taken is one
        self.put(happened("checkpoint_stored", time.time(), {"checkpoint": seq, "by": "supervisor"}))
        return seq


@pytest.fixture
def at_work(tmp_path: Path, make_spec: Any) -> Iterator[AtWork]:
    made = AtWork(tmp_path, make_spec)
    yield made
    made.book.close()


def test_checkpoints_with_their_makers_and_their_files(at_work: AtWork) -> None:
    assert at_work.source.saved("worker") == ()
    first = at_work.checkpoint()
    (at_work.work / "src" / "a.py").write_text("two\n")
    second = at_work.checkpoint()

    new, old = at_work.source.saved("worker")
    assert (new.seq, old.seq) == (second, first)
    assert (new.by, new.restorable, new.changed, new.attempt, new.task) == (
        "supervisor",
        True,
        ("src/a.py",),
        1,
        "t-2",
    )
    assert new.at is not None
    assert abs(new.at - time.time()) < 60


def test_checkpoints_are_read_again_only_when_one_came(at_work: AtWork) -> None:
    at_work.checkpoint()
    known = at_work.source.saved("worker")
    assert at_work.source.saved("worker") is known
    (at_work.work / "b.py").write_text("b\n")
    at_work.checkpoint()
    assert len(at_work.source.saved("worker")) == 2


def test_the_difference_from_the_newest_from_another_and_from_none(at_work: AtWork) -> None:
    with pytest.raises(WorkError, match="no snapshot of its workspace was taken yet"):
        at_work.source.diff("worker", None)
    first = at_work.checkpoint()
    (at_work.work / "src" / "a.py").write_text("two\n")
    second = at_work.checkpoint()
    (at_work.work / "src" / "a.py").write_text("three\n")

    new, old = at_work.source.diff("worker", None), at_work.source.diff("worker", first)
    assert (new.seq, old.seq) == (second, first)
    assert [line for line in new.text if line[:1] in "+-"][-2:] == ["-two", "+three"]
    assert [line for line in old.text if line[:1] in "+-"][-2:] == ["-one", "+three"]
    with pytest.raises(WorkError, match=r"checkpoint 99 has no files \(it is gone\)"):
        at_work.source.diff("worker", 99)


def test_a_damaged_checkpoint_is_listed_as_such(at_work: AtWork) -> None:
    seq = at_work.checkpoint()
    (at_work.state.checkpoints / "worker" / f"{seq}.json").write_text("{}")

    (one,) = at_work.source.saved("worker")
    assert (one.standing, one.restorable, one.at) == ("damaged", False, None)
    with pytest.raises(WorkError, match="damaged"):
        at_work.source.restore("worker", seq, at_work.root / "back")


def test_files_are_brought_back_beside_the_work_and_never_over_anything(at_work: AtWork) -> None:
    seq = at_work.checkpoint()
    (at_work.work / "src" / "a.py").write_text("two\n")
    told = at_work.source.restore("worker", seq, at_work.root / "back")

    assert (at_work.root / "back" / "src" / "a.py").read_text() == "one\n"
    assert (at_work.work / "src" / "a.py").read_text() == "two\n"
    assert told == f"checkpoint {seq} is in {at_work.root / 'back'}: 1 file, 4B"
    for place in (at_work.root / "back", at_work.work, at_work.work / "new", at_work.state.path / "x"):
        with pytest.raises(WorkError):
            at_work.source.restore("worker", seq, place)
    assert sorted(path.name for path in at_work.work.iterdir()) == ["src"]


def test_files_by_last_change(at_work: AtWork) -> None:
    found = at_work.source.files("worker")

    assert [one.path for one in found.newest] == ["src/a.py"]
    assert found.workspace == str(at_work.work)


def test_tasks_with_what_became_of_them(at_work: AtWork) -> None:
    at_work.put(
        happened("task_opened", time.time() - 500, {"task": "t-1", "text": "before"}),
        happened("task_failed", time.time() - 400, {"task": "t-1", "why": "gave up", "seconds": 100.0}),
    )
    new, old = at_work.source.tasks("worker")

    assert (new.id, new.state, new.seconds, new.tries) == ("t-2", "open", None, 0)
    assert (old.id, old.text, old.state, old.seconds, old.why) == (
        "t-1",
        "before",
        "failed",
        100.0,
        "gave up",
    )
    assert at_work.source.tasks("nobody") == ()


def test_what_it_spent_by_its_own_transcript(at_work: AtWork) -> None:
    assert at_work.source.spent("worker") is None
    (at_work.work / ".cli").mkdir()
    path = at_work.work / ".cli" / f"{SESSION}.jsonl"
    path.write_text(
        json.dumps({"message": {"id": "m", "usage": {"input_tokens": 7, "output_tokens": 3}}}) + "\n"
    )
    other = at_work.work / ".cli" / f"{SESSION.replace('1', '9')}.jsonl"
    other.write_text(path.read_text().replace("7", "700"))

    found = at_work.source.spent("worker")
    assert found is not None
    assert found.tokens is not None
    assert (found.tokens.sent, found.tokens.received, found.tokens.cost) == (7, 3, None)
    assert (found.source, found.whole) == (str(path), True)


def test_without_a_session_no_transcript_is_taken_for_its_own(at_work: AtWork) -> None:
    (at_work.work / ".cli").mkdir()
    (at_work.work / ".cli" / f"{SESSION}.jsonl").write_text('{"tokens": {"input": 1}}\n')
    at_work.agent = replace(at_work.agent, session=None)
    at_work.put()

    assert at_work.source.spent("worker") is None


def test_an_agent_that_left_the_fleet_file_is_said_so(at_work: AtWork) -> None:
    for ask in (at_work.source.files, at_work.source.spent):
        with pytest.raises(WorkError, match="no longer in the fleet file"):
            ask("orphan")
