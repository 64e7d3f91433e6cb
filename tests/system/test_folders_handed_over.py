"""Folders that become somebody's to watch: by other rules, by another's leaving, by coming back from a move.

What changed in them between that moment and the first look at them is told all the same."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from hhmrs.controller.inotify import IN_MOVED_FROM
from hhmrs.controller.workspaces.folders import Change
from hhmrs.controller.workspaces.trees import FolderTrees
from hhmrs.controller.workspaces.workspaces import Workspaces

Wait = Callable[..., None]


def trees_of(watched: Workspaces) -> FolderTrees:
    trees = watched._watching.trees  # type: ignore[attr-defined]  # the Linux one
    assert isinstance(trees, FolderTrees)
    return trees


@contextmanager
def held(watched: Workspaces) -> Generator[None]:
    """The thread that reads and looks stands still meanwhile."""
    go_on, stands = threading.Event(), threading.Event()

    def hold() -> None:
        stands.set()
        go_on.wait(60)

    trees_of(watched)._order(hold)
    assert stands.wait(30)
    try:
        yield
    finally:
        go_on.set()


def test_what_was_written_right_after_the_rules_let_it_is_told(
    watched: Workspaces, told: list[tuple[str, str]], tmp_path: Path, wait_until: Wait
) -> None:
    work = tmp_path / "work"
    (work / "out" / "deep").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    (work / ".gitignore").write_text("out/\n")
    (work / "out" / "deep" / "old").write_text("x")
    watched.watch("worker", work)
    assert watched.ready()
    wait_until(lambda: not trees_of(watched)._survey._later, 30.0)
    (work / "out" / "deep" / "ignored").write_text("x")
    ignored = time.time()
    wait_until(lambda: time.time() > ignored + 0.05, what="later than the kernel's tick")
    (work / ".gitignore").write_text("none/\n")
    (work / "out" / "deep" / "a").write_text("x")
    wait_until(lambda: ("worker", "out/deep/a") in told, 30.0)
    assert {path for _, path in told} <= {".gitignore", "out/deep/a"}


def test_what_is_written_right_after_an_inner_agent_left_is_the_outer_ones(
    watched: Workspaces, told: list[tuple[str, str]], tmp_path: Path, wait_until: Wait
) -> None:
    inner = tmp_path / "outer" / "inner"
    (inner / "src").mkdir(parents=True)
    watched.watch("outer", tmp_path / "outer")
    watched.watch("inner", inner)
    assert watched.ready()
    (inner / "src" / "old").write_text("x")
    wait_until(lambda: ("inner", "src/old") in told)
    with held(watched):
        watched.unwatch("inner")
        left = time.time()
        wait_until(lambda: time.time() > left + 0.05, what="later than the kernel's tick")
        (inner / "src" / "a").write_text("x")
    wait_until(lambda: ("outer", "inner/src/a") in told, 30.0)
    assert ("outer", "inner/src/old") not in told


def settle(trees: FolderTrees) -> None:
    while not trees.at_rest or trees._survey._later:
        trees.turn()


def test_a_folder_that_is_moved_while_all_is_compared_is_compared_where_it_came_to(tmp_path: Path) -> None:
    top = Path(os.path.realpath(tmp_path))
    (top / "one" / "deep").mkdir(parents=True)
    told: list[Change] = []
    trees = FolderTrees(
        skipped=lambda _: False, noise=lambda _: False, ours=lambda _: False, sweep_every=60.0
    )
    try:
        trees.add(os.fsencode(top), told.append, (), time.time_ns())
        settle(trees)
        (top / "one" / "deep" / "file").write_text("x")
        trees.watches.read()  # and so nobody will ever hear of it
        trees._lose_since(trees.drained_at())
        trees._review(time.monotonic())
        next(trees._survey.urgent[0])
        (top / "one").rename(top / "two")
        for notice in trees.watches.read():
            trees._take(notice)
            if notice.mask & IN_MOVED_FROM:
                trees._survey.work(10.0)
        settle(trees)
        assert Change("made", os.fsencode(top / "two" / "deep" / "file"), is_folder=False) in told
    finally:
        trees.close()
