"""Checkpoints on disk: durable, proved by their sum, and never lost to a damaged neighbour."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from hhmrs.config.paths import StateDir
from hhmrs.controller.checkpoints.checkpoints import (
    CheckpointDamaged,
    CheckpointStore,
    from_letter,
    from_supervisor,
)
from hhmrs.controller.checkpoints.snapshots import Snapshot
from hhmrs.controller.ports import Checkpoint, Letter

AT = "2026-11-21T10:00:00.123Z"
COMMIT = "a" * 40


@pytest.fixture
def store(state: StateDir) -> CheckpointStore:
    return CheckpointStore(state)


def said(seq: int, *completed: str, task: str | None = "t1") -> Checkpoint:
    return Checkpoint(
        agent="worker",
        seq=seq,
        task=task,
        attempt=1,
        created_at=AT,
        completed=completed,
        files=("Grüße.py",),
        next=("n",),
        data={"row": 7, "x": [1.5, None]},
    )


def test_the_file_holds_what_the_contract_names(store: CheckpointStore, state: StateDir) -> None:
    path = store.store(replace(said(1, "a"), snapshot={"commit": COMMIT, "changed": ["f"]}))
    assert path == state.checkpoints / "worker" / "1.json" == store.path_of("worker", 1)
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(json.loads(path.read_text())) == {
        "version",
        "agent",
        "task",
        "attempt",
        "seq",
        "created_at",
        "completed",
        "files",
        "next",
        "data",
        "session",
        "snapshot",
        "sha256",
    }


def test_what_is_stored_is_what_is_loaded(store: CheckpointStore) -> None:
    store.store(said(1, "a", "b"))
    assert store.load("worker", 1) == said(1, "a", "b")


def test_numbers_are_never_used_again(store: CheckpointStore) -> None:
    assert store.next_seq("worker") == 1
    store.store(said(1))
    store.store(said(2))
    store.path_of("worker", 2).write_text("{")
    assert store.last_good("worker", "t1") == said(1)
    assert store.next_seq("worker") == 3


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b"\xff", b'{"sha256": 1}', b"[" * 100_000])
def test_a_damaged_one_is_set_aside_and_the_one_before_serves(store: CheckpointStore, damage: bytes) -> None:
    store.store(said(1, "a"))
    path = store.store(said(2, "a", "b"))
    path.write_bytes(damage)
    assert store.last_good("worker", "t1") == said(1, "a")
    assert not path.exists()
    assert path.with_name("2.json.damaged").read_bytes() == damage


def test_one_changed_word_is_damage(store: CheckpointStore) -> None:
    path = store.store(said(1, "honest"))
    path.write_text(path.read_text().replace("honest", "forged"))
    with pytest.raises(CheckpointDamaged, match="sha256"):
        store.load("worker", 1)


def test_another_agents_checkpoint_is_not_taken(store: CheckpointStore) -> None:
    path = store.store(replace(said(1), agent="other"))
    (path.parent.parent / "worker").mkdir()
    path.rename(store.path_of("worker", 1))
    assert store.last_good("worker", "t1") is None


def test_links_are_not_followed(store: CheckpointStore) -> None:
    path = store.store(said(1))
    (path.parent / "2.json").symlink_to(path)
    assert store.last_good("worker", "t1") == said(1)


def test_only_the_tasks_own_checkpoints_serve(store: CheckpointStore) -> None:
    store.store(said(1, "old", task="t1"))
    store.store(said(2, "new", task="t2"))
    assert store.last_good("worker", "t1") == said(1, "old", task="t1")
    assert store.last_good("worker", None) is None
    assert store.last_good("nobody", "t1") is None


def test_the_newest_are_kept(state: StateDir) -> None:
    store = CheckpointStore(state, keep=3)
    for seq in range(1, 8):
        store.store(said(seq))
    assert sorted(p.name for p in (state.checkpoints / "worker").iterdir()) == ["5.json", "6.json", "7.json"]


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden"])
def test_unsafe_names_are_refused(store: CheckpointStore, name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        store.path_of(name, 1)


def test_a_letter_replaces_what_was_said_and_keeps_what_was_seen() -> None:
    seen = {"commit": COMMIT, "changed": ["f"]}
    before = replace(said(1, "a"), snapshot=seen, session={"profile": "claude", "id": "s"})
    letter = Letter(
        "checkpoint", "worker", 2, AT, "x", {"completed": ["a", "b"], "files": [], "next": [], "data": {}}
    )
    after = from_letter(letter, before, task="t1", seq=2)
    assert (after.completed, after.files, after.attempt, after.seq) == (("a", "b"), (), 2, 2)
    assert (after.snapshot, after.session) == (seen, before.session)
    assert from_letter(letter, before, task="t2", seq=2).snapshot is None


def supervisor(prev: Checkpoint | None, shot: Snapshot | None, task: str = "t1") -> Checkpoint:
    return from_supervisor("worker", prev, shot, task=task, attempt=2, session=None, seq=9, created_at=AT)


def test_the_supervisor_carries_forward_what_the_agent_said() -> None:
    after = supervisor(said(1, "a"), Snapshot(COMMIT, ("g",)))
    assert (after.completed, after.files, after.next, after.data["row"]) == (("a",), ("Grüße.py",), ("n",), 7)
    assert after.snapshot == {"commit": COMMIT, "changed": ["g"], "taken_at": AT}
    assert after.resumable
    assert not supervisor(said(1, "a"), Snapshot(COMMIT), task="t2").resumable


def test_changes_add_up_over_a_task() -> None:
    first = supervisor(None, Snapshot(COMMIT, ("b", "a")))
    second = supervisor(first, Snapshot("b" * 40, ("c",)))
    third = supervisor(second, Snapshot("b" * 40, ()))
    assert third.snapshot == {"commit": "b" * 40, "changed": ["a", "b", "c"], "taken_at": AT}
    assert supervisor(third, None).snapshot == third.snapshot


def test_each_agent_has_caps_of_its_own(store: CheckpointStore, state: StateDir) -> None:
    store.bound("worker", 3, 3600.0)
    for seq in range(1, 7):
        store.store(said(seq))
    assert [seq for seq, _ in store.shelf("worker")] == [6, 5, 4]
    for seq in (4, 5, 6):
        os.utime(store.path_of("worker", seq), (1.0, 1.0))
    store.trim("worker")
    assert [seq for seq, _ in store.shelf("worker")] == [6, 5], "the newest two stay, however old"


def test_the_shelf_shows_damaged_ones_and_leaves_them(store: CheckpointStore) -> None:
    for seq in (1, 2, 3):
        store.store(replace(said(seq), snapshot={"commit": f"{seq}" * 40, "changed": []}))
    store.path_of("worker", 2).write_text("{}")
    store.path_of("worker", 3).rename(f"{store.path_of('worker', 3)}.damaged")
    shelf = store.shelf("worker")
    assert [(seq, saved is not None) for seq, saved in shelf] == [(3, False), (2, False), (1, True)]
    assert store.path_of("worker", 2).exists()
    assert store.commits("worker") == {"1" * 40}
    assert store.shelf("nobody") == []


def test_what_was_left_out_is_kept_with_the_snapshot() -> None:
    def taken(unsaved: str, before: Checkpoint | None) -> Checkpoint:
        shot = Snapshot(COMMIT, (), (), unsaved)
        return from_supervisor(
            "worker", before, shot, task="t1", attempt=1, session=None, seq=1, created_at=AT
        )

    told = taken("not in the snapshot: 1 unreadable: a", None)
    assert told.snapshot is not None
    assert told.snapshot["unsaved"] == "not in the snapshot: 1 unreadable: a"
    well = taken("", told)
    assert well.snapshot == {"commit": COMMIT, "changed": [], "taken_at": AT}
