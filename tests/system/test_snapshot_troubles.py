"""Snapshots in bad times: killed on the way, a full disk, two at once, what a dead git left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from hhmrs.controller.checkpoints import blobs, snapshots
from hhmrs.controller.checkpoints.blobs import Limits
from hhmrs.controller.checkpoints.refs import PREFIX
from hhmrs.controller.checkpoints.snapshots import SnapshotError, Snapshots
from hhmrs.controller.git import git

TAKE = """
import itertools, os, resource, signal, sys
from pathlib import Path
from hhmrs.controller.checkpoints import snapshots
from hhmrs.controller.checkpoints.snapshots import Snapshots

root, work, dies_at, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
real = snapshots.commit_onto

def mortal(*args):
    for number, chunk in enumerate(real(*args)):
        if number == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        yield chunk

snapshots.commit_onto = mortal
if most:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
print(Snapshots(root).take("worker", work).commit)
"""


@pytest.fixture
def snaps(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "snapshots")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The repository of the agent `worker`."""
    return tmp_path / "snapshots" / "worker.git"


def take_elsewhere(
    snaps: Path, work: Path, *, dies_at: int = -1, most: int = 0
) -> subprocess.CompletedProcess[str]:
    """A snapshot taken by another process. `most`: bytes that any file of its may have."""
    words = [sys.executable, "-c", TAKE, str(snaps), str(work), str(dies_at), str(most)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


def until_no_git(home: Path) -> None:
    """Wait for the git of a process that was killed: it lives on until it has read all there was."""
    deadline = time.monotonic() + 60
    while any(str(home) in " ".join(words) for words in command_lines()):
        assert time.monotonic() < deadline, "a git lives on"
        time.sleep(0.02)


def command_lines() -> list[list[str]]:
    found: list[list[str]] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.append(process.cmdline())
    return found


def read_back(snaps: Snapshots, commit: str, to: Path) -> dict[str, bytes]:
    snaps.restore("worker", commit, to)
    return {str(p.relative_to(to)): p.read_bytes() for p in to.rglob("*") if p.is_file()}


def there(work: Path) -> dict[str, bytes]:
    return {str(p.relative_to(work)): p.read_bytes() for p in work.rglob("*") if p.is_file()}


def fine(home: Path) -> None:
    git([f"--git-dir={home}", "fsck", "--full", "--strict"], home=home)


@pytest.mark.parametrize("dies_at", [0, 1, 2, 3, 5, 8])
def test_one_that_is_killed_on_the_way_leaves_no_half_snapshot(
    snaps: Snapshots, work: Path, home: Path, tmp_path: Path, dies_at: int
) -> None:
    for number in range(6):
        (work / f"f{number}").write_bytes(b"one" * number)
    first = snaps.take("worker", work)
    for number in range(6):
        (work / f"f{number}").write_bytes(os.urandom(300_000))
    died = take_elsewhere(tmp_path / "snapshots", work, dies_at=dies_at)
    assert died.returncode == -signal.SIGKILL
    until_no_git(home)
    assert snaps.newest("worker") == first.commit
    after = Snapshots(tmp_path / "snapshots").take("worker", work)
    assert len(after.changed) == 6
    assert read_back(snaps, after.commit, tmp_path / "back") == there(work)
    fine(home)


def test_the_first_one_killed_at_any_point_leaves_a_usable_place(
    snaps: Snapshots, work: Path, home: Path, tmp_path: Path
) -> None:
    (work / "a").write_text("1")
    assert take_elsewhere(tmp_path / "snapshots", work, dies_at=2).returncode == -signal.SIGKILL
    (home / "info" / "attributes").unlink()  # as if it had died before that was written
    (home / "config").unlink()
    taken = snaps.take("worker", work)
    assert read_back(snaps, taken.commit, tmp_path / "back") == {"a": b"1"}


def test_a_full_disk_fails_the_snapshot_and_harms_nothing(
    snaps: Snapshots, work: Path, home: Path, tmp_path: Path
) -> None:
    (work / "a").write_bytes(b"1")
    first = snaps.take("worker", work)
    (work / "big").write_bytes(os.urandom(400_000))
    full = take_elsewhere(tmp_path / "snapshots", work, most=100_000)
    assert full.returncode != 0
    assert "SnapshotError" in full.stderr
    assert snaps.newest("worker") == first.commit
    assert read_back(snaps, first.commit, tmp_path / "b1") == {"a": b"1"}
    assert there(work).keys() == {"a", "big"}
    second = snaps.take("worker", work)
    assert second.changed == ("big",)
    assert read_back(snaps, second.commit, tmp_path / "b2") == there(work)
    fine(home)


def test_two_at_once_are_both_whole(snaps: Snapshots, work: Path, home: Path, tmp_path: Path) -> None:
    for number in range(30):
        (work / f"f{number:02d}").write_text("0")
    snaps.take("worker", work)
    taken: list[str] = []
    failed: list[BaseException] = []

    def several(number: int) -> None:
        try:
            for turn in range(5):
                (work / f"mine{number}").write_text(str(turn))
                taken.append(snaps.take("worker", work).commit)
        except BaseException as why:  # noqa: BLE001 - told by the thread that waits for this one
            failed.append(why)

    threads = [threading.Thread(target=several, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failed
    assert len(taken) == 15
    last = snaps.take("worker", work)
    assert read_back(snaps, last.commit, tmp_path / "back") == there(work)
    for number, commit in enumerate(dict.fromkeys(taken)):
        held = read_back(snaps, commit, tmp_path / f"back{number}")
        assert {f"f{n:02d}" for n in range(30)} <= held.keys()
    fine(home)


def test_two_processes_at_once_do_not_harm_each_other(
    snaps: Snapshots, work: Path, home: Path, tmp_path: Path
) -> None:
    (work / "a").write_bytes(os.urandom(2_000_000))
    words = [sys.executable, "-c", TAKE, str(tmp_path / "snapshots"), str(work), "-1", "0"]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    ends = [process.communicate(timeout=120) for process in running]
    assert any(process.returncode == 0 for process in running), ends
    last = snaps.take("worker", work)
    assert read_back(snaps, last.commit, tmp_path / "back") == there(work)
    fine(home)


def test_what_a_dead_git_left_locked_is_gone_around_and_swept(
    snaps: Snapshots, work: Path, home: Path
) -> None:
    (work / "a").write_text("1")
    snaps.take("worker", work)
    lock = home / PREFIX / "00000002.lock"
    lock.touch()
    crash = home / "fast_import_crash_1"
    crash.touch()
    (work / "a").write_text("2")
    assert snaps.take("worker", work).changed == ("a",)
    assert lock.exists(), "too young: somebody may hold it"
    for path in (lock, crash):
        os.utime(path, (1.0, 1.0))
    snaps.trim("worker")
    assert not lock.exists()
    assert not crash.exists()


@pytest.mark.parametrize("harm", ["cut", "garbage", "gone", "empty", "flipped", "renamed"])
def test_a_record_that_was_harmed_is_not_believed(
    snaps: Snapshots, work: Path, home: Path, tmp_path: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "SETTLED", -(10**12))
    for name in ("a", "b"):
        (work / name).write_text("1")
    snaps.take("worker", work)
    seen = (home / "seen").read_bytes()
    harmed = {
        "cut": seen[:-7],
        "garbage": os.urandom(300),
        "empty": b"",
        "flipped": seen[:-3] + bytes([seen[-3] ^ 1]) + seen[-2:],
        "renamed": seen.replace(b"\na\0b", b"\na\0c"),
    }
    (home / "seen").unlink()
    if harm in harmed:
        (home / "seen").write_bytes(harmed[harm])
    (work / "b").write_text("2")
    taken = Snapshots(tmp_path / "snapshots").take("worker", work)
    assert taken.changed == ("b",)
    assert read_back(snaps, taken.commit, tmp_path / "back") == {"a": b"1", "b": b"2"}


def test_caps_that_change_hold_from_the_next_snapshot_on(
    snaps: Snapshots, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "SETTLED", -(10**12))
    for name, size in (("a", 10), ("b", 200), ("c", 50)):
        (work / name).write_bytes(b"x" * size)

    def take(file: int, total: int) -> tuple[set[str], tuple[str, ...], str]:
        taken = snaps.take("worker", work, Limits(file, total))
        return (
            set(read_back(snaps, taken.commit, tmp_path / os.urandom(4).hex())),
            taken.skipped,
            taken.unsaved,
        )

    large = "not in the snapshot: 1 larger than keep.file_size (100B): b"
    assert take(100, 1000) == ({"a", "c"}, ("b",), large)
    assert take(300, 1000) == ({"a", "b", "c"}, (), "")
    no_room = "not in the snapshot: 1 for which keep.total_size (220B) has no room: c"
    assert take(300, 220) == ({"a", "b"}, ("c",), no_room)
    assert take(300, 220)[1] == ("c",)
    (work / "b").unlink()
    assert take(300, 220) == ({"a", "c"}, (), "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(snaps: Snapshots, work: Path) -> None:
    (work / "secret").write_text("x")
    (work / "secret").chmod(0)
    assert snaps.take("worker", work).unsaved == "not in the snapshot: 1 unreadable: secret"


def test_names_in_what_is_said_are_inert_and_few(snaps: Snapshots, work: Path) -> None:
    for number in range(9):
        (work / f"n{number}\x1b[2J\n\u202e").write_bytes(b"xx")
    said = snaps.take("worker", work, Limits(1, 100)).unsaved
    assert said.isprintable()
    assert said.count("n") < 40
    assert said.endswith(", ...")


@pytest.fixture
def five(snaps: Snapshots, work: Path) -> list[str]:
    """Five snapshots, oldest first, each of other incompressible bytes."""
    commits = []
    for _ in range(5):
        (work / "a").write_bytes(os.urandom(100_000))
        commits.append(snaps.take("worker", work).commit)
    return commits


def kept(snaps: Snapshots) -> list[str]:
    return [commit for commit, _ in reversed(snaps.listing("worker"))]


def test_what_a_checkpoint_or_an_attempt_names_is_not_let_go(snaps: Snapshots, five: list[str]) -> None:
    snaps.mark_begin("worker", 3, five[1])
    assert snaps.trim("worker", keep=1, held={five[0]}) == 2
    assert kept(snaps) == [five[0], five[1], five[4]]


def test_the_old_go_by_age_but_for_the_newest(snaps: Snapshots, five: list[str]) -> None:
    assert snaps.trim("worker", age=3600) == 0
    assert snaps.trim("worker", age=-10) == 4
    assert kept(snaps) == [five[4]]


def test_all_together_take_no_more_than_they_may(
    snaps: Snapshots, five: list[str], home: Path, tmp_path: Path
) -> None:
    assert snaps.trim("worker", disk=350_000) > 0
    left = kept(snaps)
    assert left[-1] == five[4]
    assert 1 < len(left) < 5
    assert sum(p.stat().st_size for p in (home / "objects").rglob("*") if p.is_file()) <= 350_000
    assert snaps.trim("worker", disk=1) == len(left) - 1
    assert kept(snaps) == [five[4]], "the newest stays, whatever it takes"
    assert len(read_back(snaps, five[4], tmp_path / "back")["a"]) == 100_000


def test_a_repository_that_lost_something_is_filled_anew(
    snaps: Snapshots, work: Path, home: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (work / name).write_bytes(os.urandom(1000))
        os.utime(work / name, (1.0, 1.0))
    snaps.take("worker", work)
    (work / "b").write_text("2")
    snaps.take("worker", work)
    packs = sorted((home / "objects" / "pack").glob("*.pack"), key=lambda p: p.stat().st_size)
    packs[-1].unlink()
    packs[-1].with_suffix(".idx").unlink()
    snaps.trim("worker", keep=1)
    (work / "b").write_text("4")
    taken = snaps.take("worker", work)
    assert read_back(snaps, taken.commit, tmp_path / "back") == there(work)


def test_of_a_lost_file_it_is_said_and_nothing_is_made_up(
    snaps: Snapshots, work: Path, home: Path, tmp_path: Path
) -> None:
    (work / "a").write_bytes(os.urandom(1000))
    os.utime(work / "a", (1.0, 1.0))
    snaps.take("worker", work)
    (work / "b").write_text("2")
    second = snaps.take("worker", work)
    packs = sorted((home / "objects" / "pack").glob("*.pack"), key=lambda path: path.stat().st_size)
    for path in (packs[-1], packs[-1].with_suffix(".idx")):
        path.unlink()
    with pytest.raises(SnapshotError, match="lacks"):
        snaps.restore("worker", second.commit, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_few_changes_among_many_files_cost_two_gits_and_their_own_bytes(
    snaps: Snapshots, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "SETTLED", -(10**12))
    for number in range(300):
        (work / f"d{number % 7}").mkdir(exist_ok=True)
        (work / f"d{number % 7}" / f"f{number}").write_text(str(number))
    snaps.take("worker", work)
    changed = [work / "d0" / "f0", work / "d3" / "f10", work / "d6" / "new"]
    for path in changed:
        path.write_text("changed")
    calls, reads = list[str](), list[bytes]()
    real_git, real_read = git, blobs._content

    def counted_git(args: list[str], **more: object) -> bytes:
        calls.append(next(word for word in args if not word.startswith("-") and "=" not in word))
        return real_git(args, **more)  # type: ignore[arg-type]  # passed on as it came

    def counted_read(folder: int, name: bytes, mode: bytes, most: int) -> bytes:
        reads.append(name)
        return real_read(folder, name, mode, most)

    monkeypatch.setattr(snapshots, "git", counted_git)
    monkeypatch.setattr("hhmrs.controller.checkpoints.listing.git", counted_git)
    monkeypatch.setattr(blobs, "_content", counted_read)
    assert snaps.take("worker", work).changed == ("d0/f0", "d3/f10", "d6/new")
    assert sorted(reads) == [b"f0", b"f10", b"new"]
    assert calls == ["ls-files", "fast-import"]


def test_a_large_workspace_gets_the_time_it_takes(
    snaps: Snapshots, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it is never saved: what was begun is cut off, and begun anew the next time."""
    given: list[float] = []

    def timed(args: list[str], *, timeout: float, **more: Any) -> bytes:
        if "fast-import" in args:
            given.append(timeout)
        return git(args, timeout=timeout, **more)

    monkeypatch.setattr(snapshots, "git", lambda args, **more: timed(args, **({"timeout": 30.0} | more)))
    monkeypatch.setattr(snapshots, "PACE", 100_000)
    (work / "small").write_text("x")
    snaps.take("worker", work)
    (work / "large").write_bytes(bytes(3_000_000))
    with (work / "beyond").open("wb") as file:
        file.truncate(1 << 40)
    snaps.take("worker", work, Limits(4_000_000, 10_000_000))
    assert given[0] == pytest.approx(60, abs=1)
    assert given[1] == pytest.approx(90, abs=1), "and none for what is left out"
