"""A workspace as it is now, for those who only look: real git and files, nothing of the daemon's touched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hhmrs.controller.checkpoints import blobs, present
from hhmrs.controller.checkpoints.blobs import Limits
from hhmrs.controller.checkpoints.present import compare_with, newest_files
from hhmrs.controller.checkpoints.snapshots import SnapshotError, Snapshots

LIMITS = Limits(10_000_000, 100_000_000)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    (work / "src").mkdir(parents=True)
    (work / "src" / "parser.py").write_text("one\ntwo\n")
    (work / "README").write_text("read me\n")
    (work / ".gitignore").write_text("*.log\n")
    (work / "noise.log").write_text("ignored\n")
    return work


@pytest.fixture
def snaps(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "state" / "fleet" / "snapshots")


def tree_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder: time of change and content."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_newest_files_come_first_and_ignored_ones_are_left_out(work: Path, tmp_path: Path) -> None:
    for number, name in enumerate([".gitignore", "README", "src/parser.py"]):
        os.utime(work / name, (1000.0 + number, 1000.0 + number))
    os.utime(work / "noise.log", (9000.0, 9000.0))

    found = newest_files(work, tmp_path / "state", 2)

    assert [(one.path, one.at, one.size) for one in found.newest] == [
        ("src/parser.py", 1002.0, 8),
        ("README", 1001.0, 8),
    ]
    assert (found.total, found.beyond, found.workspace) == (3, 0, str(work))


def test_our_own_state_in_a_workspace_is_not_listed(work: Path) -> None:
    (work / "state" / "fleet").mkdir(parents=True)
    (work / "state" / "fleet" / "ledger.db").write_text("ours")

    assert all("ledger" not in one.path for one in newest_files(work, work / "state", 10).newest)


def test_files_behind_links_are_not_looked_at(work: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("x")
    (work / "way").symlink_to(tmp_path / "outside")

    assert all("secret" not in one.path for one in newest_files(work, tmp_path / "state", 10).newest)


def test_a_missing_workspace_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="cannot be listed"):
        newest_files(tmp_path / "gone", tmp_path / "state", 10)


def test_the_work_is_compared_with_any_snapshot(work: Path, snaps: Snapshots, tmp_path: Path) -> None:
    first = snaps.take("worker", work).commit
    (work / "src" / "parser.py").write_text("one\nthree\n")
    second = snaps.take("worker", work).commit
    (work / "new.py").write_text("new\n")
    (work / "README").unlink()
    home, state = tmp_path / "state" / "fleet" / "snapshots" / "worker.git", tmp_path / "state"

    new = compare_with(home, second, work, state, LIMITS)
    old = compare_with(home, first, work, state, LIMITS)

    assert "+new" in new.text
    assert "-read me" in new.text
    assert "three" not in new.text
    assert "-two\n+three" in old.text
    assert "+new" in old.text
    assert "3 files changed" in old.stat
    assert "noise.log" not in old.text


def test_looking_changes_nothing_of_the_snapshots_or_the_work(
    work: Path, snaps: Snapshots, tmp_path: Path
) -> None:
    commit = snaps.take("worker", work).commit
    (work / "README").write_text("changed\n")
    before = tree_of(tmp_path)

    compare_with(tmp_path / "state/fleet/snapshots/worker.git", commit, work, tmp_path / "state", LIMITS)
    newest_files(work, tmp_path / "state", 10)

    assert tree_of(tmp_path) == before


def test_what_has_not_changed_is_not_read(
    work: Path, snaps: Snapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "SETTLED", -(10**18))  # else only files some seconds old are trusted
    commit = snaps.take("worker", work).commit
    (work / "README").write_text("changed\n")
    read: list[bytes] = []
    real = blobs._content

    def counted(folder: int, name: bytes, mode: bytes, most: int) -> bytes:
        read.append(name)
        return real(folder, name, mode, most)

    monkeypatch.setattr(blobs, "_content", counted)
    home = tmp_path / "state/fleet/snapshots/worker.git"

    assert "+changed" in compare_with(home, commit, work, tmp_path / "state", LIMITS).text
    assert read == [b"README"]


def test_too_much_to_read_is_said_and_not_begun(
    work: Path, snaps: Snapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = snaps.take("worker", work).commit
    monkeypatch.setattr(present, "MOST_READ", 3)
    (work / "README").write_text("changed\n")

    with pytest.raises(SnapshotError, match="too much here"):
        compare_with(tmp_path / "state/fleet/snapshots/worker.git", commit, work, tmp_path / "state", LIMITS)


def test_a_lost_record_is_made_good_by_reading_all(work: Path, snaps: Snapshots, tmp_path: Path) -> None:
    commit = snaps.take("worker", work).commit
    home = tmp_path / "state/fleet/snapshots/worker.git"
    (home / "seen").unlink()
    (work / "README").write_text("changed\n")

    found = compare_with(home, commit, work, tmp_path / "state", LIMITS)

    assert "+changed" in found.text
    assert "parser.py" not in found.text


def test_what_no_snapshot_would_hold_is_named(work: Path, snaps: Snapshots, tmp_path: Path) -> None:
    commit = snaps.take("worker", work).commit
    (work / "huge").write_bytes(b"y" * 2000)

    found = compare_with(
        tmp_path / "state/fleet/snapshots/worker.git", commit, work, tmp_path / "state", Limits(1000, 100_000)
    )

    assert found.skipped == ("huge",)
    assert "huge" not in found.text


def test_nothing_planted_in_the_work_runs(work: Path, snaps: Snapshots, tmp_path: Path) -> None:
    subprocess.run(
        ["git", "init", "-q", str(work)], check=True, env={"PATH": os.environ["PATH"], "HOME": "/"}
    )
    trap = tmp_path / "sprung"
    (work / ".git" / "config").write_text(
        f'[core]\n\tfsmonitor = "touch {trap}"\n[diff "x"]\n\ttextconv = touch {trap};cat\n'
    )
    (work / ".gitattributes").write_text("* diff=x filter=x\n")
    commit = snaps.take("worker", work).commit
    (work / "README").write_text("changed\n")

    found = compare_with(
        tmp_path / "state/fleet/snapshots/worker.git", commit, work, tmp_path / "state", LIMITS
    )

    assert "+changed" in found.text
    assert not trap.exists()


def test_a_state_folder_with_a_strange_name_can_be_borrowed_from(work: Path, tmp_path: Path) -> None:
    snaps = Snapshots(tmp_path / 'sta:te "x"' / "fleet" / "snapshots")
    commit = snaps.take("worker", work).commit
    (work / "README").write_text("changed\n")
    home = tmp_path / 'sta:te "x"' / "fleet" / "snapshots" / "worker.git"

    assert "+changed" in compare_with(home, commit, work, tmp_path / "other", LIMITS).text
