"""`.ESCALATION_REQUIRED`: every agent's line, and nothing but the marker is ever written."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from hhmrs.controller.workspaces import marker
from hhmrs.controller.workspaces.marker import NAME, clear_marker, write_marker


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return (tmp_path / "work").resolve()


def agents(work: Path) -> list[str]:
    return sorted(json.loads(line)["agent"] for line in (work / NAME).read_text().splitlines())


def test_each_agent_of_a_workspace_has_its_line(work: Path) -> None:
    for agent in ("a", "b", "a"):
        write_marker(work, agent, "i1", "because\n\x1b[31m", "now")
    assert agents(work) == ["a", "b"]
    clear_marker(work, "a")
    assert agents(work) == ["b"]
    clear_marker(work, "b")
    clear_marker(work, "b")
    assert list(work.iterdir()) == []


def test_two_that_are_given_up_together_are_both_named(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, both = marker._read, threading.Barrier(2)

    def together(workspace: Path) -> list[dict[str, str]]:
        found = read(workspace)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(1)  # were both let in, both would have read by now
        return found

    monkeypatch.setattr(marker, "_read", together)
    threads = [threading.Thread(target=write_marker, args=(work, a, "i1", "why", "now")) for a in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert agents(work) == ["a", "b"]


@pytest.mark.parametrize("name", [NAME, f"{NAME}.hhmrs~"])
def test_a_second_name_of_another_file_is_not_written_through(tmp_path: Path, work: Path, name: str) -> None:
    (tmp_path / "precious").write_text("mine")
    os.link(tmp_path / "precious", work / name)
    write_marker(work, "a", "i1", "why", "now")
    assert (tmp_path / "precious").read_text() == "mine"
    assert agents(work) == ["a"]


@pytest.mark.parametrize("name", [NAME, f"{NAME}.hhmrs~"])
def test_a_link_is_never_followed(tmp_path: Path, work: Path, name: str) -> None:
    (tmp_path / "precious").write_text("mine")
    (work / name).symlink_to(tmp_path / "precious")
    with contextlib.suppress(OSError):
        write_marker(work, "a", "i1", "why", "now")
    assert (tmp_path / "precious").read_text() == "mine"


def test_what_stands_in_its_place_is_said_and_holds_nothing_open(work: Path) -> None:
    (work / NAME).mkdir()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(OSError, match="directory"):
            write_marker(work, "a", "i1", "why", "now")
    assert len(os.listdir("/proc/self/fd")) == before
    assert [path.name for path in work.iterdir()] == [NAME]


def test_a_pipe_in_its_place_gives_way(work: Path) -> None:
    os.mkfifo(work / NAME)
    write_marker(work, "a", "i1", "why", "now")
    assert stat.S_ISREG((work / NAME).lstat().st_mode)
    assert agents(work) == ["a"]


def test_a_full_disk_leaves_the_others_lines(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_marker(work, "a", "i1", "why", "now")
    os.chmod(work / NAME, 0o600)

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="No space"):
        write_marker(work, "b", "i1", "why", "now")
    monkeypatch.undo()
    assert agents(work) == ["a"]
    assert [path.name for path in work.iterdir()] == [NAME]
