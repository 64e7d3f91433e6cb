"""`checkpoints` and `restore`: what was saved comes back beside the work, never over it, without a daemon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hhmrs.controller.checkpoints.checkpoints import CheckpointStore, Make, from_letter, from_supervisor
from hhmrs.controller.checkpoints.snapshots import Snapshot, Snapshots
from hhmrs.controller.ports import Checkpoint, Letter

from .home import Home

AT = "2026-11-21T10:00:00.000Z"


def keeper(shot: Snapshot, attempt: int) -> Make:
    """Makes the supervisor's checkpoint of a snapshot."""

    def make(before: Checkpoint | None, seq: int) -> Checkpoint:
        return from_supervisor(
            "a", before, shot, task="t1", attempt=attempt, session=None, seq=seq, created_at=AT
        )

    return make


@pytest.fixture
def saved(home: Home) -> Home:
    """Two checkpoints of `a`, of an older and a newer state of its workspace, as a daemon leaves them."""
    home.write("  a: {profile: shell, command: [sleep, '600'], workspace: work}\n")
    work = home.file.parent / "work"
    work.mkdir()
    home.ledger().close()
    snapshots, store = Snapshots(home.state.snapshots), CheckpointStore(home.state)
    for number, text in enumerate(("old", "new"), 1):
        (work / "code.py").write_text(text)
        (work / "run").write_text("#!/bin/sh\n")
        (work / "run").chmod(0o755)
        shot = snapshots.take("a", work)

        store.add("a", "t1", keeper(shot, number))
    (work / "code.py").write_text("at work")
    return home


def test_the_newest_comes_back_beside_the_work(saved: Home) -> None:
    to = saved.root / "back"
    told = saved.json("restore", "a", "--to", str(to))
    assert (told["files"], told["bytes"], told["to"]) == (2, 13, str(to))
    assert told["checkpoint"]["seq"] == 2
    assert (to / "code.py").read_text() == "new"
    assert os.access(to / "run", os.X_OK)
    assert (saved.file.parent / "work" / "code.py").read_text() == "at work"


def test_any_one_comes_back_and_all_are_listed(saved: Home) -> None:
    done = saved.run("restore", "a", "1", "--to", "../back")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("restored a, checkpoint 1 of 2026-11-21T10:00:00.000Z: 2 files, 13B, in ")
    assert (saved.root / "back" / "code.py").read_text() == "old"
    listed = saved.json("checkpoints", "a")["checkpoints"]
    assert [(one["seq"], one["attempt"], one["restorable"]) for one in listed] == [(2, 2, True), (1, 1, True)]
    lines = saved.run("checkpoints", "a").stdout.splitlines()
    assert lines[0].split() == ["SEQ", "AT", "ATTEMPT", "TASK", "DONE", "CHANGED", "SNAPSHOT", "OLDER", "BY"]
    assert lines[1].split() == ["2", AT, "2", "t1", "0", "1", listed[0]["commit"][:10], "-"]


def test_that_the_files_are_older_than_what_the_agent_says_is_done_is_told(saved: Home) -> None:
    letter = Letter("checkpoint", "a", 2, "2026-11-21T10:00:40.400Z", "l1", {"completed": ["lexer"]})
    store = CheckpointStore(saved.state)
    store.add("a", "t1", lambda before, seq: from_letter(letter, before, task="t1", seq=seq))
    listed = saved.json("checkpoints", "a")["checkpoints"]
    assert [(one["seq"], one["older_by_s"]) for one in listed] == [(3, 40), (2, 0), (1, 0)]
    assert saved.run("checkpoints", "a").stdout.splitlines()[1].endswith("  40 s")
    told = saved.run("restore", "a", "--to", str(saved.root / "back")).stdout.splitlines()
    assert told[1] == "the files are 40 s older than the checkpoint: they were saved last then"
    told = saved.run("restore", "a", "2", "--to", str(saved.root / "other")).stdout.splitlines()
    assert len(told) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a", "--to", "work"], "is not beside the workspace of a"),
        (["a", "--to", "work/back"], "is not beside the workspace of a"),
        (["a", "--to", "work/../work/x"], "is not beside the workspace of a"),
        (["a", "--to", "."], "is not beside the workspace of a"),
        (["a", "--to", "sly/back"], "is not beside the workspace of a"),
        (["a", "--to", "sly"], "is a link"),
        (["a", "--to", "full"], "is not empty"),
        (["a", "--to", "hhmrs.yaml"], "is not a folder"),
        (["a", "--to", "../state/x"], "hhmrs keeps its own state"),
        (["a"], "restore needs --to DIR"),
        (["a", "7", "--to", "../back"], "a has no checkpoint 7; restorable are 2, 1, see"),
        (["a", "x", "--to", "../back"], "'x' is no checkpoint's number"),
        (["b", "--to", "../back"], "no agent 'b' in fleet"),
    ],
)
def test_it_is_never_written_over_or_into_the_work(saved: Home, words: list[str], said: str) -> None:
    project = saved.file.parent
    (project / "sly").symlink_to(project / "work")
    (project / "full").mkdir()
    (project / "full" / "mine").write_text("mine")
    if words[2:] == ["../state/x"]:
        words = [*words[:2], f"{saved.state.path}/x"]
    done = saved.run("restore", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert {p.name for p in (project / "work").iterdir()} == {"code.py", "run"}
    assert (project / "full" / "mine").read_text() == "mine"
    assert not (saved.root / "back").exists()


def test_of_a_damaged_checkpoint_the_one_before_it_is_offered(saved: Home) -> None:
    path = saved.state.checkpoints / "a" / "2.json"
    path.write_text(path.read_text().replace('"attempt": 2', '"attempt": 3'))
    done = saved.run("restore", "a", "2", "--to", "../back")
    assert done.returncode == 1
    assert (
        "checkpoint 2 of a cannot be restored (damaged); the one before it that can be restored is 1"
        in done.stderr
    )
    path.rename(f"{path}.damaged")  # as the daemon sets it aside
    assert saved.run("restore", "a", "2", "--to", "../back").stderr == done.stderr
    assert saved.json("restore", "a", "--to", "../back")["checkpoint"]["seq"] == 1


def test_of_a_snapshot_that_was_let_go_it_is_said(saved: Home) -> None:
    first = CheckpointStore(saved.state).load("a", 1).snapshot
    assert first is not None
    Snapshots(saved.state.snapshots).trim("a", keep=1)
    done = saved.run("restore", "a", "1", "--to", "../back")
    assert done.returncode == 1
    assert "checkpoint 1 of a cannot be restored (snapshot gone)" in done.stderr
    assert not (saved.root / "back").exists()


def test_what_was_left_out_is_told(saved: Home) -> None:
    work = saved.file.parent / "work"
    (work / "large\x1b[31m.bin").write_bytes(b"x" * 2000)
    shot = Snapshots(saved.state.snapshots, most_file=1000).take("a", work)

    CheckpointStore(saved.state).add("a", "t1", keeper(shot, 2))
    done = saved.run("restore", "a", "--to", "../back")
    assert done.returncode == 0
    assert "not in the snapshot: 1 larger than keep.file_size (1KB): large" in done.stdout
    assert "\x1b" not in done.stdout
    assert saved.json("checkpoints", "a")["checkpoints"][0]["unsaved"]


def test_an_agent_with_nothing_saved(home: Home) -> None:
    assert home.run("checkpoints", "a").stdout == "a has no checkpoints yet\n"
    done = home.run("restore", "a", "--to", str(home.root / "back"))
    assert (done.returncode, "no snapshot was ever taken" in done.stderr) == (1, True)
    assert not Path(home.root / "back").exists()
    assert not home.state.snapshots.exists(), "looking makes nothing"
