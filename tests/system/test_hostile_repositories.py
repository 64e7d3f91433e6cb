"""What an agent puts into its repository, or where git is looked for, neither runs nor spoils a snapshot."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hhmrs.controller.checkpoints import listing
from hhmrs.controller.checkpoints.snapshots import Snapshots
from hhmrs.controller.git import git


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    subprocess.run(["git", "init", "-q", str(tmp_path / "work")], check=True)
    return tmp_path / "work"


@pytest.mark.parametrize("place", ["bin", "./bin", ".", ""])
def test_git_is_never_looked_for_in_the_workspace(
    tmp_path: Path, work: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`PATH=node_modules/.bin:$PATH` is what some people have."""
    for folder in (work, work / "bin"):
        folder.mkdir(exist_ok=True)
        (folder / "git").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([place, os.environ["PATH"]]))
    taken = Snapshots(tmp_path / "snapshots").take("worker", work)
    assert not (tmp_path / "ran").exists()
    assert taken.commit


def _index(*names: bytes) -> bytes:
    """A git index (version 2) that names these files, whatever they are."""
    body = b""
    for name in sorted(names):
        entry = struct.pack(">10I", *[0] * 6, 0o100644, 0, 0, 0) + bytes(20)
        entry += struct.pack(">H", len(name)) + name + b"\0"
        body += entry + b"\0" * (-len(entry) % 8)
    body = b"DIRC" + struct.pack(">II", 2, len(names)) + body
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


@pytest.mark.parametrize(
    "name", [b"../outside", b"sub/../../outside", b".git/config", b"sub/.git/x", b"./a", b"sub//a", b"sub/."]
)
def test_a_name_that_leads_outside_spoils_no_snapshot(tmp_path: Path, work: Path, name: bytes) -> None:
    (tmp_path / "outside").write_text("a secret")
    (work / "sub" / ".git").mkdir(parents=True)
    (work / "sub" / ".git" / "x").write_text("x")
    (work / "a").write_text("mine")
    (work / ".git" / "index").write_bytes(_index(name))
    snaps = Snapshots(tmp_path / "snapshots")
    taken = snaps.take("worker", work)
    snaps.restore("worker", taken.commit, tmp_path / "back")
    found = [path for path in (tmp_path / "back").rglob("*") if path.is_file()]
    assert (tmp_path / "back" / "a").read_text() == "mine"
    assert "a secret" not in [path.read_text() for path in found]
    (work / "b").write_text("more")
    assert snaps.take("worker", work).changed == ("b",)


@pytest.mark.parametrize("repository", [True, False])
@pytest.mark.parametrize("place", [".", "deep/er"])
def test_a_pipe_in_place_of_rules_keeps_nothing_from_being_saved(
    tmp_path: Path, place: str, repository: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hasty(args: list[str], **more: Any) -> bytes:
        more.setdefault("timeout", 1.5)
        return git(args, **more)

    monkeypatch.setattr(listing, "git", hasty)
    work = tmp_path / "plain"
    (work / place).mkdir(parents=True)
    if repository:
        git(["init", "-q", str(work)], home=tmp_path)
    (work / "a").write_text("mine")
    os.mkfifo(work / place / ".gitignore")
    snaps = Snapshots(tmp_path / "snapshots")
    snaps.restore("worker", snaps.take("worker", work).commit, tmp_path / "back")
    assert (tmp_path / "back" / "a").read_text() == "mine"
    assert not (tmp_path / "back" / ".git").exists()
