"""What every part relies on when it hands something to the book, tried on the real SQLite file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hhmrs.controller.ledger.errors import (
    LedgerCorrupt,
    LedgerFull,
    LedgerOwned,
    LedgerTooNew,
    LedgerUnavailable,
)
from hhmrs.controller.ledger.file import set_aside
from hhmrs.controller.ledger.sql import Beats
from hhmrs.controller.ledger.writer import LedgerReader, SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.healing.agent import Happening
from hhmrs.tests.contracts.rows import T0, happened, row


def until(condition: Callable[[], object], deadline: float = 10.0) -> None:
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.005)


# -- what was acknowledged is there ---------------------------------------------------------------


def test_append_returns_numbers_of_what_any_reader_sees(ledger: SqliteLedger, reader: LedgerReader) -> None:
    seqs = ledger.append([row(happened("agent_phase", to="working"), happened("agent_done"))])
    assert seqs == [1, 2]
    found = reader.events()
    assert [(e.seq, e.type, e.agent, e.parent, e.at) for e in found] == [
        (1, "agent_phase", "code", "arch", "2026-11-21T10:00:00.000Z"),
        (2, "agent_done", "code", "arch", "2026-11-21T10:00:00.000Z"),
    ]
    assert found[0].data == {"to": "working"}
    assert reader.states() == {"code": {"id": "code", "phase": "working"}}
    assert ledger.states() == reader.states()


async def test_commit_is_awaitable_and_stored(ledger: SqliteLedger, reader: LedgerReader) -> None:
    first, second = await asyncio.gather(
        ledger.commit([row(happened("a"))]), ledger.commit([row(happened("b"))])
    )
    assert sorted(first + second) == [1, 2]
    assert len(reader.events()) == 2


def test_numbers_have_no_gaps_whoever_writes(ledger: SqliteLedger, reader: LedgerReader) -> None:
    per_thread: dict[int, list[int]] = {}

    def write(worker: int) -> None:
        futures = [ledger.submit([row(happened("agent_phase", n=n, worker=worker))]) for n in range(200)]
        per_thread[worker] = [seq for f in futures for seq in f.result(30)]

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seq for seqs in per_thread.values() for seq in seqs) == list(range(1, 801))
    events = reader.events()
    for worker, seqs in per_thread.items():
        assert seqs == sorted(seqs)
        assert [e.data["n"] for e in events if e.data["worker"] == worker] == list(range(200))


def test_a_refused_row_leaves_no_gap_and_sinks_no_neighbour(
    ledger: SqliteLedger, reader: LedgerReader
) -> None:
    with pytest.raises(ValueError, match="time"):
        ledger.append([Row("code", None, (Happening("agent_phase", "code", 1e300, None, {}),))])
    assert ledger.append([row(happened("agent_phase"))]) == [1]
    assert [e.seq for e in reader.events()] == [1]


def test_a_known_key_changes_nothing_and_gives_the_same_numbers(
    ledger: SqliteLedger, reader: LedgerReader
) -> None:
    first = ledger.append([row(happened("agent_phase"), happened("agent_done"), key="code/1", n=1)])
    again = ledger.append([row(happened("agent_phase"), happened("agent_done"), key="code/1", n=2)])
    assert again == first == [1, 2]
    assert len(reader.events()) == 2
    assert reader.states()["code"]["n"] == 1
    assert ledger.append([row(happened("agent_done"), key="code/2")]) == [3]


def test_history_pages_through_everything(ledger: SqliteLedger) -> None:
    ledger.append([row(*(happened("agent_phase", n=n) for n in range(2500)))])
    ledger.append([row(happened("other", agent="prog", incident="prog-i1"), agent="prog")])
    assert [e.seq for e in ledger.history()] == list(range(1, 2502))
    assert [e.seq for e in ledger.history(since=2499)] == [2500, 2501]
    assert [e.type for e in ledger.history(agent="prog")] == ["other"]
    assert [e.type for e in ledger.history(incident="prog-i1")] == ["other"]


def test_what_cannot_be_stored_as_it_is_comes_back_bounded(
    ledger: SqliteLedger, reader: LedgerReader
) -> None:
    nasty: dict[str, object] = {
        "text": "a\ud800\0b",
        "long": "x" * 50_000,
        "nan": float("nan"),
        "seq": 99,
        "agent": "liar",
        "deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}},
        "many": list(range(1000)),
    }
    ledger.append([row(Happening("agent_phase", "code", T0, None, nasty))])
    event = reader.events()[0].as_json()
    assert (event["seq"], event["agent"], event["text"], event["nan"]) == (1, "code", "a?b", None)
    assert len(event["long"]) == 16_384
    assert len(event["many"]) == 200


# -- readers --------------------------------------------------------------------------------------


def test_no_file_is_an_empty_book_and_is_not_made(path: Path) -> None:
    reader = LedgerReader(path)
    assert (reader.meta(), reader.states(), reader.events(), reader.beats()) == ({}, {}, [], {})
    assert (reader.incidents(), reader.cascade(), reader.rows("tasks")) == ([], None, [])
    with reader.at_once():
        assert reader.agents() == []
    assert not path.exists()
    before = reader.version()
    book = SqliteLedger(path)
    book.append([row(happened("agent_phase"))])
    assert reader.version() != before
    assert len(reader.events()) == 1
    reader.close()
    book.close()


def test_a_reader_sees_only_whole_transactions_while_the_daemon_writes(
    ledger: SqliteLedger, path: Path
) -> None:
    over = threading.Event()
    seen: list[int] = []
    wrong: list[int] = []

    def look() -> None:
        with_own = LedgerReader(path)
        while not over.is_set():
            count = len(with_own.events())
            seen.append(count)
            if count % 5:
                wrong.append(count)
        with_own.close()

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(150):
        ledger.append([row(*(happened("agent_phase") for _ in range(5)))])
    over.set()
    watcher.join()
    assert wrong == []
    assert len(set(seen)) > 1, "the reader never ran beside the writer"


def test_version_moves_with_every_commit_and_only_then(ledger: SqliteLedger, reader: LedgerReader) -> None:
    versions = [reader.version()]
    assert reader.version() == versions[0]
    for _ in range(3):
        ledger.append([row(happened("agent_phase"))])
        versions.append(reader.version())
    assert len(set(versions)) == 4


def test_a_reader_cannot_write(ledger: SqliteLedger, reader: LedgerReader) -> None:
    ledger.append([row(happened("agent_phase"))])
    with pytest.raises(LedgerUnavailable, match="readonly"):
        reader._rows("DELETE FROM events")
    assert len(reader.events()) == 1


def test_a_closed_book_is_read_and_the_next_daemon_carries_on(path: Path, reader: LedgerReader) -> None:
    book = SqliteLedger(path)
    book.append([row(happened("agent_phase"))])
    book.close()
    assert len(reader.events()) == 1
    with pytest.raises(LedgerUnavailable, match="closed"):
        book.append([row(happened("agent_phase"))])
    again = SqliteLedger(path)
    assert again.note is None
    assert again.append([row(happened("agent_phase"))]) == [2]
    again.close()


# -- live values ----------------------------------------------------------------------------------


def test_beats_are_shown_newest_first_and_are_no_events(ledger: SqliteLedger, reader: LedgerReader) -> None:
    for step in range(20):
        ledger.beat(
            {
                "code": {
                    "beat": T0 + step,
                    "progress": step / 20,
                    "cpu_pct": 1.5,
                    "memory_mb": 80.0,
                    "threads": 4,
                    "status": "working",
                    "message": f"step {step}",
                }
            }
        )
    until(lambda: reader.beats().get("code", {}).get("message") == "step 19")
    (status,) = reader.rows("heartbeat_status")
    assert list(status) == [
        "id",
        "agent_id",
        "parent_agent_id",
        "run_id",
        "last_heartbeat_timestamp",
        "status",
        "progress_pct",
        "current_subtask",
        "health_cpu_pct",
        "health_memory_mb",
        "health_active_threads",
        "missed_heartbeat_count",
        "created_at",
        "updated_at",
    ]
    assert (status["agent_id"], status["parent_agent_id"], status["run_id"]) == ("code", "arch", "run-1")
    assert status["last_heartbeat_timestamp"] == "2026-11-21T10:00:19.000Z"
    assert status["progress_pct"] == pytest.approx(95.0)
    assert reader.events() == []


def test_a_status_row_that_says_what_it_said_is_left_alone_for_a_while(
    ledger: SqliteLedger, reader: LedgerReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(output: float, progress: float) -> str:
        ledger.beat({"code": {"output": output, "progress": progress, "status": "working"}})
        until(lambda: reader.beats().get("code", {}).get("output") == output)
        (status,) = reader.rows("heartbeat_status")
        assert status["progress_pct"] == pytest.approx(progress * 100)
        return str(status["updated_at"])

    first = told(T0, 0.1)
    assert told(T0 + 1, 0.1) == first, "only what does not stand in it has changed"
    changed = told(T0 + 2, 0.2)
    assert changed > first
    monkeypatch.setattr(Beats, "AGAIN", 0.0)
    assert told(T0 + 3, 0.2) > changed, "it is written again in the end"


def test_beats_that_wait_are_written_at_close_and_nonsense_does_no_harm(path: Path) -> None:
    book = SqliteLedger(path)
    book.beat({"code": {"beat": "yesterday"}})
    until(lambda: not book._beats)
    book.beat({"code": {"message": "last words"}})
    book.close()
    assert LedgerReader(path).beats()["code"]["message"] == "last words"


def test_durability_is_full_again_after_live_values(ledger: SqliteLedger, reader: LedgerReader) -> None:
    ledger.beat({"code": {"message": "x"}})
    until(reader.beats)
    level = ledger._writer.submit(lambda conn: conn.execute("PRAGMA synchronous").fetchone()[0]).result()
    assert level == 2


# -- whose book it is -----------------------------------------------------------------------------


def test_a_second_fleet_file_of_the_same_name_is_refused_by_both_names(path: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text("fleet: nightly")
    other.write_text("fleet: nightly")
    book = SqliteLedger(path)
    book.claim("nightly", one)
    book.claim("nightly", one)
    with pytest.raises(LedgerOwned) as refused:
        book.claim("nightly", other)
    assert str(one) in str(refused.value)
    assert str(other) in str(refused.value)
    assert book.reader.meta()["config"] == str(one)
    link = tmp_path / "link.yaml"
    link.symlink_to(one)
    book.claim("nightly", link)
    one.rename(tmp_path / "moved.yaml")
    book.claim("nightly", tmp_path / "moved.yaml")
    assert book.reader.meta()["config"] == str(tmp_path / "moved.yaml")
    book.close()


def test_a_newer_schema_is_refused_and_left_as_it_is(path: Path) -> None:
    SqliteLedger(path).close()
    with sqlite3.connect(path) as conn:
        conn.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    conn.close()
    with pytest.raises(LedgerTooNew, match=r"newer hhmrs \(schema 99"):
        SqliteLedger(path)
    with pytest.raises(LedgerTooNew):
        LedgerReader(path).events()
    assert [p.name for p in path.parent.iterdir() if "damaged" in p.name] == []


@pytest.mark.parametrize("damage", ["text", "foreign", "page"])
def test_a_damaged_file_is_set_aside_and_said_aloud(path: Path, damage: str) -> None:
    if damage == "text":
        path.write_text("this is no ledger\n" * 400)
    elif damage == "foreign":
        with sqlite3.connect(path) as conn:
            conn.execute("CREATE TABLE other(x)")
        conn.close()
    else:
        book = SqliteLedger(path)
        book.append([row(*(happened("agent_phase", n=n, text="x" * 200) for n in range(500)))])
        book.close()
        with path.open("r+b") as file:
            file.seek(4096 * 3)
            file.write(os.urandom(4096 * 20))
    before = path.read_bytes()
    book = SqliteLedger(path)
    (aside,) = [p for p in path.parent.iterdir() if p.name.startswith("ledger.db.damaged-")]
    assert aside.read_bytes() == before
    assert book.note is not None
    assert str(aside) in book.note
    assert book.append([row(happened("agent_phase"))]) == [1]
    book.close()


def test_a_reader_says_that_the_file_is_damaged(path: Path) -> None:
    path.write_text("this is no ledger\n" * 400)
    with pytest.raises(LedgerCorrupt, match="is damaged"):
        LedgerReader(path).events()


def test_a_reader_follows_a_file_that_was_replaced(path: Path, reader: LedgerReader) -> None:
    book = SqliteLedger(path)
    book.append([row(happened("old"))])
    assert [e.type for e in reader.events()] == ["old"]
    before = reader.version()
    book.close()
    set_aside(path)
    again = SqliteLedger(path)
    again.append([row(happened("new"))])
    assert reader.version() != before
    assert [e.type for e in reader.events()] == ["new"]
    again.close()


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_only_a_regular_file_is_taken(path: Path, kind: str) -> None:
    if kind == "link":
        path.symlink_to(path.parent / "victim")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(LedgerUnavailable, match="not a regular file"):
        SqliteLedger(path)
    assert not (path.parent / "victim").exists()


def test_every_file_is_private_whatever_the_umask(path: Path) -> None:
    old = os.umask(0)
    try:
        book = SqliteLedger(path)
        book.append([row(happened("agent_phase"))])
        reader = LedgerReader(path)
        reader.events()
        files = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
        book.close()
        path.chmod(0o666)
        SqliteLedger(path).close()
        reader.close()
    finally:
        os.umask(old)
    assert files == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# -- when there is no room ------------------------------------------------------------------------


def test_a_full_ledger_says_so_keeps_what_it_acknowledged_and_recovers(path: Path) -> None:
    book = SqliteLedger(path, max_bytes=400_000)
    large = row(happened("agent_phase", text="x" * 5000))
    stored = 0
    try:
        while stored < 1000:
            (stored,) = book.append([large])
    except LedgerFull as full:
        assert "free some disk space" in str(full)
    assert 10 < stored < 1000
    with pytest.raises(LedgerFull):
        book.append([large])
    assert [e.seq for e in book.history()] == list(range(1, stored + 1))
    book.beat({"code": {"message": "x" * 9000}})
    book.close()
    roomier = SqliteLedger(path)
    assert roomier.note is None
    assert roomier.append([row(happened("agent_phase"))]) == [stored + 1]
    roomier.close()


def test_a_row_too_large_does_not_sink_the_one_beside_it(path: Path) -> None:
    book = SqliteLedger(path, max_bytes=300_000)
    held = threading.Event()
    gate = book._writer.submit(lambda _: held.wait(10))
    large = book.submit([row(*(happened("agent_phase", text="x" * 16_000) for _ in range(50)))])
    small = book.submit([row(happened("agent_done"))])
    held.set()
    gate.result(10)
    with pytest.raises(LedgerFull):
        large.result(10)
    assert small.result(10) == [1]
    book.close()
