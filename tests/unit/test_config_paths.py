from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hhmrs.config.paths import StateDir, StateDirError, state_root


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    monkeypatch.setenv("HHMRS_STATE_DIR", str(tmp_path / "deep" / "state"))
    return StateDir(state_root(), "nightly")


def test_the_environment_names_the_root(state: StateDir, tmp_path: Path) -> None:
    assert state.path == tmp_path / "deep" / "state" / "nightly"
    assert state.inbox_of("a") == state.path / "inbox" / "a"
    assert state.operator_inbox == state.path / "inbox" / "_operator"


def test_without_it_the_platform_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HHMRS_STATE_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_root().name == "hhmrs"


def test_folders_are_private_also_when_they_were_not(state: StateDir) -> None:
    state.path.mkdir(parents=True)
    state.path.chmod(0o755)
    state.create()
    state.create()
    for folder in (
        state.path,
        state.inbox,
        state.operator_inbox,
        state.checkpoints,
        state.snapshots,
        state.handoffs,
    ):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder


@pytest.mark.parametrize("where", ["path", "inbox", "operator_inbox", "snapshots"])
def test_a_link_is_refused(state: StateDir, tmp_path: Path, where: str) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    place: Path = getattr(state, where)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateDirError, match="it is a link"):
        state.create()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_in_the_way_is_named(state: StateDir) -> None:
    state.root.mkdir(parents=True)
    state.path.write_text("")
    with pytest.raises(
        StateDirError, match=r"nightly: it is not a folder; move it away or set HHMRS_STATE_DIR"
    ):
        state.create()


def test_what_agents_call_often_is_cheap_to_import() -> None:
    code = (
        "import sys, hhmrs.config.paths, hhmrs.config.durations, hhmrs.config.template\n"
        "print(sorted({'pydantic', 'yaml', 'difflib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
