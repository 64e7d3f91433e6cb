"""What is put away of an agent's work, with real snapshots: nothing that could not be saved passes unsaid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hhmrs.config.fleet import AgentSpec, Keep, Policy
from hhmrs.config.paths import StateDir
from hhmrs.controller.checkpoints.checkpoints import CheckpointStore
from hhmrs.controller.checkpoints.safekeeping import Safekeeping
from hhmrs.controller.checkpoints.snapshots import Snapshots
from hhmrs.controller.clock import SteadyClock
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Task
from hhmrs.healing.evolve import evolve
from hhmrs.healing.explain import explain

MakeSpec = Callable[..., AgentSpec]
STATE = AgentState("a1", attempt=2, task=Task("t1", "build it"))


@pytest.fixture
def safe(tmp_path: Path) -> Safekeeping:
    state = StateDir(tmp_path / "state", "f")
    state.create()
    return Safekeeping(CheckpointStore(state), Snapshots(state.snapshots), SteadyClock())


@pytest.fixture
def spec(make_spec: MakeSpec, tmp_path: Path) -> AgentSpec:
    (tmp_path / "work").mkdir()
    keep = Keep(file_size=1000, total_size=100_000, snapshots=3, checkpoints=4)
    return make_spec("a1", workspace=tmp_path / "work", policy=Policy(keep=keep))


def taken(told: list[e.Evidence]) -> e.CheckpointTaken:
    (one,) = told
    assert isinstance(one, e.CheckpointTaken)
    return one


def test_what_was_left_out_is_in_the_checkpoint_the_event_and_the_explanation(
    safe: Safekeeping, spec: AgentSpec
) -> None:
    (spec.workspace / "code.py").write_text("x")
    (spec.workspace / "model.bin").write_bytes(b"x" * 5000)
    one = taken(safe.take_checkpoint(spec, STATE))
    said = "not in the snapshot: 1 larger than keep.file_size (1KB): model.bin"
    assert one.unsaved == said
    stored = safe.checkpoints.load("a1", one.seq).snapshot
    assert stored is not None
    assert stored["unsaved"] == said
    change = evolve(STATE, one, spec)
    assert [(h.type, h.fields.get("reason")) for h in change.happenings] == [
        ("checkpoint_stored", None),
        ("checkpoint_incomplete", said),
    ]
    again = evolve(change.state, taken(safe.take_checkpoint(spec, STATE)), spec)
    assert [h.type for h in again.happenings] == ["checkpoint_stored"], "told once"
    assert any(said in fact for fact in explain(again.state, spec, one.at + 1).facts)
    (spec.workspace / "model.bin").unlink()
    well = evolve(again.state, taken(safe.take_checkpoint(spec, STATE)), spec)
    assert well.state.unsaved == ""
    assert not any("not whole" in fact for fact in explain(well.state, spec, one.at + 1).facts)


def test_a_snapshot_that_fails_is_told_and_the_checkpoint_goes_on(
    safe: Safekeeping, spec: AgentSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (spec.workspace / "code.py").write_text("x")
    first = taken(safe.take_checkpoint(spec, STATE))
    monkeypatch.setenv("PATH", str(tmp_path))
    second = taken(safe.take_checkpoint(spec, STATE))
    assert second.unsaved.startswith("no snapshot: git cannot be started")
    before, after = (safe.checkpoints.load("a1", one.seq) for one in (first, second))
    assert before.snapshot is not None and after.snapshot is not None
    assert after.snapshot["commit"] == before.snapshot["commit"]


def test_the_first_failure_is_told_as_well(
    safe: Safekeeping, spec: AgentSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    one = taken(safe.take_checkpoint(spec, STATE))
    assert one.unsaved.startswith("no snapshot: git cannot be started")
    assert not one.resumable


def test_no_workspace_is_nothing_to_tell(safe: Safekeeping, spec: AgentSpec) -> None:
    spec.workspace.rmdir()
    assert safe.take_checkpoint(spec, STATE) == []


def test_a_workspace_that_became_a_link_is_refused_and_told(
    safe: Safekeeping, spec: AgentSpec, tmp_path: Path
) -> None:
    spec.workspace.rmdir()
    (tmp_path / "elsewhere").mkdir()
    spec.workspace.symlink_to(tmp_path / "elsewhere")
    assert "no snapshot:" in taken(safe.take_checkpoint(spec, STATE)).unsaved


def test_what_an_attempt_began_with_is_marked_once(safe: Safekeeping, spec: AgentSpec) -> None:
    (spec.workspace / "a").write_text("1")
    safe.begin(spec, 1)
    first = safe.snapshots.newest("a1")
    (spec.workspace / "a").write_text("2")
    safe.begin(spec, 1)  # by a daemon that hands the same start out again
    second = safe.snapshots.newest("a1")
    safe.began("a1", 2)
    assert first != second
    assert safe.snapshots.begun("a1") == {1: first, 2: second}


def test_what_is_old_goes_by_the_agents_own_caps(safe: Safekeeping, spec: AgentSpec) -> None:
    keep = spec.policy.keep
    safe.checkpoints.bound("a1", keep.checkpoints, keep.age)
    for number in range(9):
        (spec.workspace / "a").write_text(str(number))
        safe.take_checkpoint(spec, STATE)
    safe.trim(spec)
    shelf = safe.checkpoints.shelf("a1")
    assert [seq for seq, _ in shelf] == [9, 8, 7, 6]
    held = {commit for commit, _ in safe.snapshots.listing("a1")}
    assert held == safe.checkpoints.commits("a1"), "each checkpoint that is kept can be restored"
    assert len(held) == 4
