"""Whatever a workspace holds and however it changes: what a snapshot gives back is what was there."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hhmrs.controller.checkpoints import blobs
from hhmrs.controller.checkpoints.blobs import Limits
from hhmrs.controller.checkpoints.snapshots import Snapshots

Tree = dict[bytes, tuple[str, bytes]]
"""Path -> what it is (file, exec, link) and what it holds."""

LARGE = 400
NAMES = st.sampled_from(
    [b"a", b"b", b"c.log", b"-x", b"sp ace", b'q"uo\\te', b"n\nl", b"\xff\xfe", b"\xc3\xa4"]
)
HELD = st.tuples(
    st.sampled_from(["file", "file", "exec", "link"]),
    st.one_of(st.binary(max_size=40), st.sampled_from([b"\r\n$Id$\n", b"x" * (LARGE + 1), b"y" * LARGE])),
)
TREES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map(b"/".join), HELD, max_size=8)


def fitting(tree: Tree) -> Tree:
    """Without paths below another path of the tree, and without targets that no link can have."""
    kept: Tree = {}
    for path, (kind, content) in sorted(tree.items()):
        parts = path.split(b"/")
        if any(b"/".join(parts[:n]) in kept for n in range(1, len(parts))):
            continue
        if kind == "link":
            content = content.replace(b"\0", b"")[:LARGE] or b"nowhere"
        kept[path] = (kind, content)
    return kept


def build(root: bytes, tree: Tree) -> None:
    """Make the workspace hold the tree and nothing else; what stays the same is not touched."""
    there = content_of(root)
    for path in there.keys() - tree.keys():
        os.unlink(os.path.join(root, path))
    for folder, _, _ in os.walk(root, topdown=False):
        if folder != root and b".git" not in folder.split(b"/") and not os.listdir(folder):
            os.rmdir(folder)
    for path, (kind, content) in tree.items():
        if there.get(path) == (kind, content):
            continue
        place = os.path.join(root, path)
        if os.path.lexists(place):
            os.unlink(place)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if kind == "link":
            os.symlink(content, place)
        else:
            with open(place, "wb") as file:
                file.write(content)
            os.chmod(place, 0o755 if kind == "exec" else 0o644)


def content_of(root: bytes) -> Tree:
    found: Tree = {}
    for folder, folders, names in os.walk(root):
        if b".git" in folders:
            folders.remove(b".git")
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in [*names, *links]:
            place = os.path.join(folder, name)
            mode = os.lstat(place).st_mode
            if stat.S_ISLNK(mode):
                held = ("link", os.readlink(place))
            else:
                with open(place, "rb") as file:
                    held = ("exec" if mode & stat.S_IXUSR else "file", file.read())
            found[os.path.relpath(place, root)] = held
    return found


@contextmanager
def workshop(*, repository: bool) -> Generator[tuple[Path, Path, Snapshots]]:
    folder = Path(tempfile.mkdtemp(prefix="hhmrs-snap-"))
    try:
        work = folder / "work"
        work.mkdir()
        if repository:
            subprocess.run(["git", "init", "-q", str(work)], check=True)
            (work / ".git" / "info").mkdir(exist_ok=True)
            (work / ".git" / "info" / "exclude").write_text("*.log\n")
        yield folder, work, Snapshots(folder / "snapshots")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("repository", [False, True])
@pytest.mark.parametrize("settled", [False, True])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees=st.lists(TREES, min_size=1, max_size=4))
def test_each_snapshot_gives_back_what_was_there(trees: list[Tree], repository: bool, settled: bool) -> None:
    before, blobs.SETTLED = blobs.SETTLED, -(10**12) if settled else blobs.SETTLED
    try:
        with workshop(repository=repository) as (folder, work, snapshots):
            held: Tree = {}
            for number, raw in enumerate(trees):
                tree = fitting(raw)
                build(os.fsencode(work), tree)
                taken = snapshots.take("a", work, Limits(LARGE, 10**6))
                fit = {p: v for p, v in tree.items() if len(v[1]) <= LARGE}
                due = {p: v for p, v in fit.items() if not (repository and p.endswith(b".log"))}
                # A folder whose name is ignored is ignored with all that is in it.
                due = {p: v for p, v in due.items() if not (repository and b".log/" in p)}
                back = folder / f"back{number}"
                assert snapshots.restore("a", taken.commit, back)[0] == len(due)
                assert content_of(os.fsencode(back)) == due
                changed = {os.fsencode(path) for path in taken.changed}
                if number:
                    assert changed == {p for p in held.keys() | due.keys() if held.get(p) != due.get(p)}
                large = {p for p in tree.keys() - fit.keys() if not (repository and b".log" in p)}
                assert {os.fsencode(path) for path in taken.skipped} == large
                held = due
    finally:
        blobs.SETTLED = before
