"""Snapshots with real git: every byte, every name, and nothing of the user's touched."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hhmrs.controller.checkpoints import blobs, snapshots
from hhmrs.controller.checkpoints.snapshots import SnapshotError, Snapshots
from hhmrs.controller.git import GitError, git

Git = Callable[..., str]


@pytest.fixture
def snaps(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "snapshots", most_file=100_000, most_total=1_000_000)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def user_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """git as the user runs it, with a home and a global configuration of their own."""
    home = tmp_path / "user-home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / ".gitconfig").write_text("[user]\nname=u\nemail=u@example.org\n[init]\ndefaultBranch=main\n")

    def run(folder: Path, *args: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *args], check=True, capture_output=True, text=True)
        return done.stdout

    return run


def held(snaps: Snapshots, commit: str, to: Path) -> dict[bytes, tuple[str, bytes]]:
    """What a snapshot gives back: path -> (kind, content)."""
    snaps.restore("worker", commit, to)
    return content(to)


def content(root: Path) -> dict[bytes, tuple[str, bytes]]:
    found: dict[bytes, tuple[str, bytes]] = {}
    for folder, folders, names in os.walk(os.fsencode(root)):
        if b".git" in folders:
            folders.remove(b".git")
        for name in [*names, *(f for f in folders if os.path.islink(os.path.join(folder, f)))]:
            path = os.path.join(folder, name)
            key = os.path.relpath(path, os.fsencode(root))
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                found[key] = ("link", os.readlink(path))
            elif stat.S_ISREG(mode) and name != b".git":
                kind = "exec" if mode & stat.S_IXUSR else "file"
                with open(path, "rb") as file:
                    found[key] = (kind, file.read())
    return found


def test_a_plain_folder_comes_back_byte_for_byte(snaps: Snapshots, work: Path, tmp_path: Path) -> None:
    (work / "crlf.txt").write_bytes(b"a\r\nb\n\x00\xff$Id$\n")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "deep" / "er").mkdir(parents=True)
    (work / "deep" / "er" / "empty").touch()
    (work / "link").symlink_to("/etc/passwd")
    (work / "loop").symlink_to(".")
    (work / ".gitattributes").write_text("* text eol=crlf ident filter=evil export-subst\n")
    assert held(snaps, snaps.take("worker", work).commit, tmp_path / "back") == content(work)


def test_any_name_is_kept(snaps: Snapshots, work: Path, tmp_path: Path) -> None:
    names = [
        b"new\nline",
        b'quo"te',
        b"-rf",
        b"back\\slash",
        b"tab\t",
        " Grüße 日本".encode(),
        b"bad\xff\xfe",
        b"git~1",
        b":(glob)x",
        b"*",
        b"a b",
        b"\x01\x7f",
        b"#x",
        b"!y",
        b"con",
        b"x.",
        b"M 100644 inline",
    ]
    for name in names:
        (Path(os.fsdecode(os.fsencode(work) + b"/" + name))).write_bytes(name)
    first = snaps.take("worker", work)
    assert held(snaps, first.commit, tmp_path / "back") == content(work)
    assert set(content(work)) == set(names)
    (Path(os.fsdecode(os.fsencode(work) + b"/bad\xff\xfe"))).write_bytes(b"changed")
    assert snaps.take("worker", work).changed == (os.fsdecode(b"bad\xff\xfe"),)


def test_unchanged_is_the_same_commit_and_changes_are_named(snaps: Snapshots, work: Path) -> None:
    (work / "a").write_text("1")
    first = snaps.take("worker", work)
    assert snaps.take("worker", work) == first
    (work / "a").write_text("2")
    (work / "b").write_text("new")
    second = snaps.take("worker", work)
    assert second.changed == ("a", "b")
    assert snaps.changed("worker", first.commit) == ("a", "b")
    (work / "a").unlink()
    assert snaps.take("worker", work).changed == ("a",)


def test_a_change_that_keeps_size_and_time_is_seen(
    snaps: Snapshots, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "SETTLED", -(10**12))  # even the youngest file is remembered
    path = work / "a"
    path.write_text("1")
    os.utime(path, ns=(10**18, 10**18))
    snaps.take("worker", work)
    snaps.take("worker", work)
    path.write_text("2")
    os.utime(path, ns=(10**18, 10**18))
    assert snaps.take("worker", work).changed == ("a",)


def picture(folder: Path) -> dict[str, bytes]:
    """Every file below `.git`, byte for byte."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in (folder / ".git").rglob("*") if p.is_file()}


def test_the_users_repository_is_not_touched(
    snaps: Snapshots, work: Path, user_git: Git, tmp_path: Path
) -> None:
    user_git(work, "init", "-q")
    (work / ".gitignore").write_text("*.log\n")
    (work / "tracked").write_text("1")
    (work / "kept.log").write_text("tracked although ignored")
    user_git(work, "add", "-f", ".")
    user_git(work, "commit", "-qm", "one")
    (work / "tracked").write_text("stashed")
    user_git(work, "stash")
    (work / "tracked").write_text("dirty")
    (work / "staged").write_text("s")
    user_git(work, "add", "staged")
    (work / "untracked").write_text("u")
    (work / "noise.log").write_text("ignored")
    (work / "staged").unlink()
    before = picture(work)
    snap = snaps.take("worker", work)
    assert picture(work) == before
    assert user_git(work, "stash", "list").count("\n") == 1
    assert {name.decode() for name in held(snaps, snap.commit, tmp_path / "back")} == {
        ".gitignore",
        "tracked",
        "kept.log",
        "untracked",
    }
    assert (tmp_path / "back" / "tracked").read_text() == "dirty"


def test_nested_repositories_and_submodules_are_held_as_files(
    snaps: Snapshots, work: Path, user_git: Git, tmp_path: Path
) -> None:
    user_git(work, "init", "-q")
    for name in ("inner", "inner/deeper", "fresh", "sub"):
        (work / name).mkdir(parents=True)
        user_git(work / name, "init", "-q")
        (work / name / "code.py").write_text(name)
    (work / "inner" / ".gitignore").write_text("*.tmp\n")
    (work / "inner" / "x.tmp").touch()
    user_git(work / "sub", "add", ".")
    user_git(work / "sub", "commit", "-qm", "s")
    user_git(work, "add", "sub")
    (work / "sub" / "dirty.py").write_text("d")
    names = {name.decode() for name in held(snaps, snaps.take("worker", work).commit, tmp_path / "back")}
    assert names == {
        "inner/code.py",
        "inner/deeper/code.py",
        "inner/.gitignore",
        "fresh/code.py",
        "sub/code.py",
        "sub/dirty.py",
    }


def test_a_workspace_inside_a_repository_holds_only_itself(
    snaps: Snapshots, work: Path, user_git: Git, tmp_path: Path
) -> None:
    user_git(work, "init", "-q")
    (work / "outside").write_text("o")
    (work / ".gitignore").write_text("*.log\n")
    (work / "part").mkdir()
    (work / "part" / "in").write_text("i")
    (work / "part" / "x.log").write_text("i")
    assert set(held(snaps, snaps.take("worker", work / "part").commit, tmp_path / "back")) == {b"in"}


def test_a_worktree_and_a_broken_repository(
    snaps: Snapshots, work: Path, user_git: Git, tmp_path: Path
) -> None:
    user_git(work, "init", "-q")
    user_git(work, "commit", "-q", "--allow-empty", "-m", "x")
    user_git(work, "worktree", "add", "-q", str(tmp_path / "tree"))
    (tmp_path / "tree" / "f").write_text("1")
    assert set(held(snaps, snaps.take("worker", tmp_path / "tree").commit, tmp_path / "b1")) == {b"f"}
    (tmp_path / "broken" / ".git").mkdir(parents=True)
    (tmp_path / "broken" / "f").write_text("1")
    assert set(held(snaps, snaps.take("worker", tmp_path / "broken").commit, tmp_path / "b2")) == {b"f"}


def test_nothing_planted_in_a_workspace_runs(
    snaps: Snapshots, work: Path, user_git: Git, tmp_path: Path
) -> None:
    evil = tmp_path / "evil.sh"
    evil.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/owned\ncat\n')
    evil.chmod(0o755)
    user_git(work, "init", "-q")
    for key in (
        "core.fsmonitor",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.textconv",
        "diff.evil.command",
        "diff.external",
        "core.pager",
        "core.sshCommand",
        "core.editor",
        "gpg.program",
        "core.askPass",
        "credential.helper",
        "core.gitProxy",
        "uploadpack.packObjectsHook",
    ):
        user_git(work, "config", key, str(evil))
    user_git(work, "config", "core.hooksPath", str(tmp_path / "hooks"))
    for folder in (tmp_path / "hooks", work / ".git" / "hooks"):
        folder.mkdir(exist_ok=True)
        for hook in (
            "reference-transaction",
            "post-index-change",
            "pre-commit",
            "post-commit",
            "update",
            "post-checkout",
        ):
            shutil.copy(evil, folder / hook)
    (work / ".gitattributes").write_text("* filter=evil diff=evil\n")
    (work / "a").write_text("1")
    one = snaps.take("worker", work).commit
    (work / "a").write_text("2")
    two = snaps.take("worker", work).commit
    assert "+2" in snaps.diff("worker", one, two)
    snaps.restore("worker", two, tmp_path / "back")
    snaps.trim("worker", keep=1)
    assert not (tmp_path / "owned").exists()
    assert (tmp_path / "back" / "a").read_text() == "2"


def test_what_cannot_be_kept_is_skipped_and_named(snaps: Snapshots, work: Path, tmp_path: Path) -> None:
    (work / "big").write_bytes(b"x" * 100_001)
    (work / "fits").write_bytes(b"x" * 100_000)
    os.mkfifo(work / "fifo")
    snap = snaps.take("worker", work)
    assert snap.skipped == ("big",)
    assert set(held(snaps, snap.commit, tmp_path / "back")) == {b"fits"}


def test_the_whole_is_bounded(tmp_path: Path, work: Path) -> None:
    snaps = Snapshots(tmp_path / "snapshots", most_total=250)
    for name in "abc":
        (work / name).write_bytes(b"x" * 100)
    assert snaps.take("worker", work).skipped == ("c",)


def test_a_folder_replaced_by_a_link_is_not_followed(
    snaps: Snapshots, work: Path, user_git: Git, tmp_path: Path
) -> None:
    user_git(work, "init", "-q")
    (work / "d").mkdir()
    (work / "d" / "secret").write_text("mine")
    user_git(work, "add", ".")
    shutil.rmtree(work / "d")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("theirs")
    (work / "d").symlink_to(tmp_path / "elsewhere")
    assert set(held(snaps, snaps.take("worker", work).commit, tmp_path / "back")) == {b"d"}


def test_restore_writes_only_into_an_empty_place(snaps: Snapshots, work: Path) -> None:
    (work / "a").write_text("1")
    commit = snaps.take("worker", work).commit
    (work / "a").write_text("2")
    with pytest.raises(SnapshotError, match="not empty"):
        snaps.restore("worker", commit, work)
    assert (work / "a").read_text() == "2"


def test_diffs_are_bounded_and_names_of_commits_checked(snaps: Snapshots, work: Path) -> None:
    (work / "a").write_text("1\n" * 1000)
    one = snaps.take("worker", work).commit
    (work / "a").write_text("2\n" * 1000)
    two = snaps.take("worker", work).commit
    assert "cut after 300 bytes" in snaps.diff("worker", one, two, max_bytes=300)
    assert "a | 2000" in snaps.diff_stat("worker", one, two)
    with pytest.raises(SnapshotError, match="not the name"):
        snaps.diff("worker", "--output=/tmp/x", two)
    with pytest.raises(SnapshotError, match="not the name"):
        snaps.take("../worker", work)


def test_trim_keeps_the_newest(snaps: Snapshots, work: Path, tmp_path: Path) -> None:
    commits = []
    for number in range(4):
        (work / "a").write_text(str(number))
        commits.append(snaps.take("worker", work).commit)
    assert snaps.trim("worker", keep=2) == 2
    assert snaps.newest("worker") == commits[-1]
    assert held(snaps, commits[2], tmp_path / "back") == {b"a": ("file", b"2")}
    (work / "a").write_text("more")
    assert snaps.take("worker", work).changed == ("a",)


def test_a_file_too_young_to_be_remembered_is_missed_when_it_goes(
    snaps: Snapshots, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "SETTLED", -(10**12))
    (work / "old").write_text("1")
    (work / "young").write_text("2")
    os.utime(work / "young", ns=(4 * 10**18, 4 * 10**18))  # younger than now, by far
    snaps.take("worker", work)
    (work / "young").unlink()
    assert snaps.take("worker", work).changed == ("young",)


def test_an_unchanged_workspace_is_only_listed(
    snaps: Snapshots, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "SETTLED", -(10**12))
    (work / "a").write_text("1")
    (work / "b").symlink_to("a")
    first = snaps.take("worker", work)
    with monkeypatch.context() as barred:
        barred.setattr(snaps, "_import", None)
        assert snaps.take("worker", work) == first
    (work / "b").unlink()
    (work / "b").symlink_to("c")
    assert snaps.take("worker", work).changed == ("b",)
    (work / "b").unlink()
    assert snaps.take("worker", work).changed == ("b",)
    (work / "a").chmod(0o755)
    assert snaps.take("worker", work).changed == ("a",)


def test_what_was_too_large_is_told_each_time(
    snaps: Snapshots, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "SETTLED", -(10**12))
    (work / "large").write_bytes(b"x" * 200_000)
    (work / "a").write_text("1")
    assert snaps.take("worker", work).skipped == ("large",)
    (work / "a").unlink()
    assert [snaps.take("worker", work).skipped for _ in range(3)] == [("large",)] * 3


def test_packs_do_not_pile_up(
    snaps: Snapshots, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "MOST_PACKS", 3)
    commits = []
    for number in range(5):
        (work / "a").write_text(str(number))
        commits.append(snaps.take("worker", work).commit)
    packs = tmp_path / "snapshots" / "worker.git" / "objects" / "pack"
    assert len(list(packs.glob("*.pack"))) == 5
    assert snaps.trim("worker") == 0
    assert len(list(packs.glob("*.pack"))) == 1
    assert held(snaps, commits[0], tmp_path / "back") == {b"a": ("file", b"0")}


def test_packed_refs_are_read_by_git(snaps: Snapshots, work: Path, tmp_path: Path) -> None:
    (work / "a").write_text("1")
    first = snaps.take("worker", work)
    (work / "a").write_text("2")
    second = snaps.take("worker", work)
    home = tmp_path / "snapshots" / "worker.git"
    git(["pack-refs", "--all"], home=tmp_path, cwd=home)
    git(["update-ref", "refs/snapshots/00000000", first.commit], home=tmp_path, cwd=home)
    assert snaps.newest("worker") == second.commit
    (work / "a").write_text("3")
    assert snaps.take("worker", work).changed == ("a",)
    assert len(snaps.changed("worker", second.commit)) == 1


def test_a_lost_blob_is_read_again(snaps: Snapshots, work: Path, tmp_path: Path) -> None:
    (work / "a").write_text("1")
    os.utime(work / "a", ns=(10**18, 10**18))
    snaps.take("worker", work)
    shutil.rmtree(tmp_path / "snapshots" / "worker.git")
    assert set(held(snaps, snaps.take("worker", work).commit, tmp_path / "back")) == {b"a"}


def test_the_repository_is_private(snaps: Snapshots, work: Path, tmp_path: Path) -> None:
    (work / "a").write_text("1")
    snaps.take("worker", work)
    modes = {p.stat().st_mode & 0o077 for p in (tmp_path / "snapshots" / "worker.git").rglob("*")}
    assert modes == {0}


def test_git_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nsleep 600 &\nsleep 600\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with pytest.raises(GitError, match=r"longer than 0\.3 s"):
        git(["status"], home=tmp_path, timeout=0.3)


def test_a_missing_git_is_said(tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SnapshotError, match="hhmrs doctor"):
        Snapshots(tmp_path / "snapshots").take("worker", work)
