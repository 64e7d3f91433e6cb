"""A repository around a workspace that ignores all of it: what agents do in there is work all the same."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hhmrs.controller.checkpoints.snapshots import Snapshots
from hhmrs.controller.workspaces.workspaces import Workspaces

Wait = Callable[..., None]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A workspace in a repository that ignores it, as a project does with the folders it gives to agents."""
    subprocess.run(["git", "init", "-q", str(tmp_path / "project")], check=True)
    (tmp_path / "project" / ".gitignore").write_text("work/\n*.log\n")
    found = tmp_path / "project" / "work" / "code"
    found.mkdir(parents=True)
    return found


def test_its_snapshots_hold_the_work(tmp_path: Path, work: Path) -> None:
    snaps = Snapshots(tmp_path / "snapshots")
    (work / "src").mkdir()
    (work / "src" / "a.py").write_text("1")
    (work / ".gitignore").write_text("out/\n")
    (work / "out").mkdir()
    (work / "out" / "big").write_text("x")
    first = snaps.take("worker", work)
    (work / "src" / "a.py").write_text("2")
    assert snaps.take("worker", work).changed == ("src/a.py",)
    snaps.restore("worker", first.commit, tmp_path / "back")
    assert (tmp_path / "back" / "src" / "a.py").read_text() == "1"
    assert not (tmp_path / "back" / "out").exists()  # its own rules hold


def test_a_workspace_that_is_only_around_ignored_things_keeps_the_rules(tmp_path: Path, work: Path) -> None:
    seen = work.parents[1] / "seen"
    seen.mkdir()
    (seen / "a.py").write_text("1")
    (seen / "a.log").write_text("1")
    snaps = Snapshots(tmp_path / "snapshots")
    snaps.restore("worker", snaps.take("worker", seen).commit, tmp_path / "back")
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["a.py"]


def test_its_changes_are_progress(
    watched: Workspaces, told: list[tuple[str, str]], work: Path, wait_until: Wait
) -> None:
    (work / "there").mkdir()
    watched.watch("outer", work.parents[1])
    watched.watch("worker", work)
    assert watched.ready()
    (work / "a.py").write_text("1")
    wait_until(lambda: ("worker", "a.py") in told)
    (work / "there" / "b.py").write_text("1")
    wait_until(lambda: ("worker", "there/b.py") in told, what="in a folder that was there before")
    (work / "new" / "deep").mkdir(parents=True)
    (work / "new" / "deep" / "c.py").write_text("1")
    wait_until(lambda: ("worker", "new/deep/c.py") in told, what="in a folder that came later")
    (work.parents[1] / "work" / "nobodys").write_text("x")
    (work.parents[1] / "mine").write_text("x")
    wait_until(lambda: ("outer", "mine") in told)
    assert ("outer", "work/nobodys") not in told


def test_the_rules_hold_again_once_they_spare_it(
    watched: Workspaces, told: list[tuple[str, str]], work: Path, wait_until: Wait
) -> None:
    watched.watch("worker", work)
    assert watched.ready()
    (work / "a.py").write_text("1")
    wait_until(lambda: ("worker", "a.py") in told)
    project = work.parents[1]
    (project / ".gitignore").write_text("*.log\n")
    # Nobody watches the rules of the repository around it: they are believed for a minute.
    ignores = watched._crediting._ignores
    ignores._answers = {key: (said, time.monotonic()) for key, (said, _) in ignores._answers.items()}
    (work / "b.log").write_text("1")
    (work / "b.py").write_text("1")
    wait_until(lambda: ("worker", "b.py") in told)
    assert ("worker", "b.log") not in told
