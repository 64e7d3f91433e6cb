"""Edits of real status files, and the rescue letter: whole or not at all; what is not understood stays."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, Profile, StatusRule
from hhmrs.config.workspaces import WorkspaceError
from hhmrs.controller.recovery.rescue_notes import MOST_NOTES, MOST_UNREAD, leave_note
from hhmrs.controller.recovery.status_edits import MOST_SIGNED, Edit, NotEdited, edit
from hhmrs.controller.workspaces.status_patterns import DRAFT
from hhmrs.controller.workspaces.status_words import MOST_BYTES
from hhmrs.healing.agent import NudgeStep

NOW = 1_763_700_000.0
CLEAR = Edit(NudgeStep.CLEAR_STUCK_TASKS, "a1", "no progress for 120 s", NOW, 60.0)
UPDATE = replace(CLEAR, step=NudgeStep.FORCE_UPDATE)
RESET = replace(CLEAR, step=NudgeStep.AUTO_RESET)
TOLD: list[tuple[Path, bytes]] = []


def do(path: Path, what: Edit) -> str:
    return edit(path.parent, path, what, lambda where, content: TOLD.append((where, content)))


def make(path: Path, said: Any, *, age: float = 3600.0, **form: Any) -> Path:
    path.write_text(said if isinstance(said, str) else json.dumps(said, **form), encoding="utf-8")
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def read(path: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(path.read_bytes())
    return said


@pytest.fixture
def file(tmp_path: Path) -> Path:
    TOLD.clear()
    (tmp_path / "work").mkdir()
    return tmp_path / "work" / "status.json"


OLD = {
    "agent_id": "Agent-1",
    "status": "BLOCKED",
    "last_updated": "2025-11-28 10:00:00",
    "current_tasks": ["wait for approval", {"id": 7}],
    "über": {"nested": [1, 2.5, None, True]},
    "lone": "\ud800",
}


def test_a_stale_file_is_refreshed_and_all_it_says_stays(file: Path) -> None:
    make(file, OLD)
    assert "refreshed, it was 36" in do(file, UPDATE)
    said = read(file)
    assert said.pop("healing_applied") == [
        {"timestamp": "2025-11-21T04:40:00.000Z", "action": "force_update", "reason": CLEAR.reason}
    ]
    assert said == OLD | {"last_updated": "2025-11-21 04:40:00"}
    assert list(said)[:6] == list(OLD), "in its order"


def test_a_fresh_file_is_left_alone(file: Path) -> None:
    before = make(file, OLD, age=59).stat()
    assert do(file, UPDATE) == ""
    assert (file.stat().st_ino, TOLD) == (before.st_ino, [])


def test_stuck_tasks_are_cleared_and_kept_beside(file: Path) -> None:
    make(file, OLD)
    assert do(file, CLEAR).startswith("2 tasks cleared")
    said = read(file)
    assert (said["current_tasks"], said["cleared_tasks"]) == ([], OLD["current_tasks"])
    assert said["status"] == "BLOCKED"
    assert said["healing_applied"][0]["action"] == "clear_stuck_tasks"


def test_a_reset_says_that_it_works_in_the_files_own_words(file: Path) -> None:
    make(file, OLD | {"current_phase": "WAITING"})
    assert do(file, RESET) == "reset: status, current_phase, current_tasks"
    said = read(file)
    assert (said["status"], said["current_phase"]) == ("ACTIVE_AGENT_MODE", "TASK_EXECUTION")
    make(file, {"state": "idle", "agent": "x"})
    assert do(file, RESET) == "reset: state"
    assert read(file)["state"] == "executing"
    assert "status" not in read(file)
    make(file, {})
    assert do(file, RESET) == "reset: status, current_phase, agent_id"
    assert read(file)["agent_id"] == "a1"


@pytest.mark.parametrize("what", [UPDATE, CLEAR, RESET], ids=lambda one: one.step.value)
def test_done_again_it_finds_nothing_left_to_do(file: Path, what: Edit) -> None:
    make(file, OLD)
    assert do(file, what)
    done = file.read_bytes()
    assert do(file, what) == ""
    assert file.read_bytes() == done


def test_a_refresh_of_a_daemon_that_died_is_known_by_its_signature(file: Path) -> None:
    make(file, OLD)
    assert do(file, UPDATE)
    os.utime(file, (1, 1))
    assert do(file, replace(UPDATE, again=True)) == ""
    assert do(file, replace(UPDATE, again=True, reason="another time"))
    os.utime(file, (1, 1))
    assert do(file, UPDATE)


def test_what_is_written_was_told_before(file: Path) -> None:
    make(file, OLD)

    def before(where: Path, content: bytes) -> None:
        assert b"BLOCKED" in file.read_bytes()
        TOLD.append((where, content))

    edit(file.parent, file, RESET, before)
    assert [(file, file.read_bytes())] == TOLD


def test_the_history_of_edits_is_bounded(file: Path) -> None:
    make(file, {"current_tasks": [], "healing_applied": [{"timestamp": "then", "action": "theirs"}]})
    for number in range(MOST_SIGNED + 5):
        make(file, read(file) | {"current_tasks": [number]})
        assert do(file, replace(CLEAR, reason="x" * 5000))
        if number == 0:
            assert read(file)["healing_applied"][0] == {"timestamp": "then", "action": "theirs"}
    said = read(file)
    assert len(said["healing_applied"]) == MOST_SIGNED
    assert len(said["healing_applied"][-1]["reason"]) == 200


@pytest.mark.parametrize(
    "said",
    [
        '{"current_tasks":["x"],"last_updated":1}\n',
        '{\n  "current_tasks": [\n    "x"\n  ],\n  "last_updated": 1\n}\n',
        '{\n\t"current_tasks": [\n\t\t"ü"\n\t],\n\t"last_updated": 1\n}',
        '{"current_tasks": ["x"], "last_updated": 1}',
    ],
)
def test_it_keeps_the_form_it_had(file: Path, said: str) -> None:
    make(file, said)
    do(file, CLEAR)
    now = json.loads(file.read_text(encoding="utf-8"))
    before = json.loads(said)
    now["current_tasks"], now["last_updated"] = before["current_tasks"], 1
    now.pop("cleared_tasks")
    now.pop("healing_applied")
    form: dict[str, Any] = {"indent": "\t" if "\t" in said else "  " if "\n  " in said else None}
    form["separators"] = (",", ":") if '":[' in said else None
    end = "\n" if said.endswith("\n") else ""
    assert json.dumps(now, ensure_ascii=False, **form) + end == said
    assert file.read_text(encoding="utf-8").endswith("}" + end)


def test_times_are_written_as_they_were(file: Path) -> None:
    for before, after in (
        (1, int(NOW)),
        (1.5, NOW),
        (1_700_000_000_000, int(NOW * 1000)),
        ("2025-11-28T10:00:00Z", "2025-11-21T04:40:00.000Z"),
        (None, "2025-11-21T04:40:00.000Z"),
    ):
        make(file, {"timestamp": before})
        do(file, UPDATE)
        assert read(file)["timestamp"] == after


# -- what is not edited ----------------------------------------------------------------------------

ODD: dict[str, str | bytes] = {
    "no json": "status: fine\n",
    "cut off": '{"current_tasks": ["x"',
    "a list": '["current_tasks"]',
    "empty": "",
    "not utf-8": b'{"current_tasks": ["\xff"]}',
    "utf-16": '{"current_tasks": ["x"]}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"current_tasks": ["x"]}',
    "not a number": '{"current_tasks": [NaN]}',
    "infinite": '{"current_tasks": [1e999]}',
    "a key twice": '{"current_tasks": ["x"], "current_tasks": ["y"]}',
    "too deep": "[" * 60_000,
    "huge": json.dumps({"current_tasks": ["x" * MOST_BYTES]}),
    "would grow too large": json.dumps({"current_tasks": ["x"], "y": "z" * (MOST_BYTES - 60)}),
    "an odd history": '{"current_tasks": ["x"], "healing_applied": "by hand"}',
    "odd cleared ones": '{"current_tasks": ["x"], "cleared_tasks": {"a": 1}}',
}


@pytest.mark.parametrize("kind", ODD)
def test_what_cannot_be_read_and_written_back_is_left_as_it_is(file: Path, kind: str) -> None:
    content = ODD[kind]
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = (file.read_bytes(), file.stat().st_ino, file.stat().st_mtime_ns)
    with pytest.raises(NotEdited):
        do(file, CLEAR)
    assert (file.read_bytes(), file.stat().st_ino, file.stat().st_mtime_ns) == before
    assert os.listdir(file.parent) == [file.name], "no draft is left"


@pytest.mark.parametrize(
    "kind", ["link", "hard link", "fifo", "folder", "read-only", "linked folder", "gone"]
)
def test_what_is_no_plain_file_of_ours_is_left_alone(tmp_path: Path, kind: str) -> None:
    work, outside = tmp_path / "work", tmp_path / "outside"
    work.mkdir()
    outside.mkdir()
    secret = make(outside / "status.json", OLD)
    kept, path = secret.read_bytes(), work / "status.json"
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "hard link":
        os.link(secret, path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "read-only":
        make(path, OLD).chmod(0o444)
    elif kind == "linked folder":
        (work / "sub").symlink_to(outside)
        path = work / "sub" / "status.json"
    for what in (UPDATE, CLEAR, RESET):
        with pytest.raises((NotEdited, OSError)):
            edit(work, path, what, lambda *_: None)
    assert secret.read_bytes() == kept
    if kind == "read-only":
        assert read(path) == OLD


def test_a_workspace_that_is_a_link_by_now_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    make(tmp_path / "elsewhere" / "status.json", OLD)
    (tmp_path / "work").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WorkspaceError):
        edit(tmp_path / "work", tmp_path / "work" / "status.json", CLEAR, lambda *_: None)


def test_another_agents_file_is_not_touched(file: Path) -> None:
    make(file, OLD)
    with pytest.raises(NotEdited, match="whose"):
        do(file, replace(CLEAR, mine=lambda said: said.get("agent_id") == "a1"))
    assert read(file) == OLD


def test_its_mode_stays_and_a_draft_of_a_daemon_that_died_is_no_hindrance(file: Path) -> None:
    make(file, OLD).chmod(0o640)
    (file.parent / f".{file.name}{DRAFT}").write_text("half")
    assert do(file, CLEAR)
    assert file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(file.parent) == [file.name]


def test_a_draft_that_is_a_link_is_not_written_through(file: Path, tmp_path: Path) -> None:
    make(file, OLD)
    (tmp_path / "victim").write_text("keep")
    (file.parent / f".{file.name}{DRAFT}").symlink_to(tmp_path / "victim")
    with pytest.raises(NotEdited):
        do(file, CLEAR)
    assert (tmp_path / "victim").read_text() == "keep"
    assert read(file) == OLD


def test_what_the_agent_writes_meanwhile_is_never_overwritten_with_older(file: Path) -> None:
    """It changes between our reading and our writing: its word stands, ours is put on top of it."""
    make(file, OLD)
    late = OLD | {"mission": "written meanwhile"}
    calls: list[int] = []

    def meanwhile(_path: Path, _content: bytes) -> None:
        if not calls:
            file.write_text(json.dumps(late))
        calls.append(1)

    assert edit(file.parent, file, CLEAR, meanwhile)
    assert (read(file)["mission"], len(calls)) == ("written meanwhile", 2)

    def always(_path: Path, _content: bytes) -> None:
        file.write_text(json.dumps(late | {"current_tasks": [time.monotonic_ns()]}))

    make(file, late)
    with pytest.raises(NotEdited, match="all the time"):
        edit(file.parent, file, CLEAR, always)
    assert "healing_applied" not in read(file)


def test_whoever_reads_finds_a_whole_document(file: Path) -> None:
    make(file, OLD)
    over, torn = threading.Event(), []

    def reader() -> None:
        while not over.is_set():
            try:
                read(file)
            except (ValueError, OSError) as error:
                torn.append(error)

    thread = threading.Thread(target=reader)
    thread.start()
    try:
        for number in range(200):
            if number % 2:
                make(new := file.with_name("new"), OLD)
                new.rename(file)
            else:
                do(file, CLEAR)
    finally:
        over.set()
        thread.join()
    assert torn == []


# -- the rescue letter -----------------------------------------------------------------------------


def rule(pattern: str) -> Profile:
    return Profile(name="old", status_files=(StatusRule(pattern=pattern, kind="inbox"),))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "inbox").mkdir()
    return tmp_path


def leave(home: Path, make_spec: Callable[..., AgentSpec], profile: Profile, key: str = "k1") -> str:
    spec = make_spec("a1", workspace=home / "work")
    return leave_note(spec, profile, home / "inbox", key, "go on", "silent\x1b[31m\n# for 61 s", note_told)


def note_told(path: Path, content: bytes) -> None:
    TOLD.append((path, content))


def test_a_note_beside_its_own_inbox_when_its_profile_has_none(
    home: Path, make_spec: Callable[..., AgentSpec]
) -> None:
    assert leave(home, make_spec, Profile(name="new")) == "a note in notes/ of its inbox"
    (note,) = (home / "inbox" / "notes").iterdir()
    assert note.read_text() == "# To A1\n\ngo on\n\nWhy: silent [31m # for 61 s\n"
    assert (note.stat().st_mode & 0o777, note.suffix) == (0o600, ".md")
    leave(home, make_spec, Profile(name="new"))
    assert list((home / "inbox" / "notes").iterdir()) == [note], "one nudge leaves one"
    for number in range(MOST_NOTES + 5):
        leave(home, make_spec, Profile(name="new"), f"k{number}")
    assert len(list((home / "inbox" / "notes").iterdir())) == MOST_NOTES


@pytest.mark.parametrize("pattern", ["inbox/*", "inbox/*.md", "mail/{agent}/msg-*.txt"])
def test_a_letter_where_the_older_system_has_its_inbox(
    home: Path, make_spec: Callable[..., AgentSpec], pattern: str
) -> None:
    folder = (home / "work" / pattern.replace("{agent}", "a1")).parent
    folder.mkdir(parents=True)
    assert leave(home, make_spec, rule(pattern)) == f"a letter in {folder.name}/"
    (letter,) = folder.iterdir()
    assert (letter, letter.read_bytes()) in TOLD
    assert letter.match(pattern.replace("{agent}", "a1"))
    assert not (home / "inbox" / "notes").exists()
    told = [leave(home, make_spec, rule(pattern), f"k{number}") for number in range(MOST_UNREAD + 5)]
    assert "lie unread" in told[-1]
    assert len(list(folder.iterdir())) == MOST_UNREAD


@pytest.mark.parametrize("kind", ["missing", "a link", "a file"])
def test_an_inbox_folder_that_cannot_be_used_is_passed_over(
    home: Path, make_spec: Callable[..., AgentSpec], kind: str
) -> None:
    folder = home / "work" / "inbox"
    if kind == "a link":
        (home / "elsewhere").mkdir()
        folder.symlink_to(home / "elsewhere")
    elif kind == "a file":
        folder.write_text("x")
    assert leave(home, make_spec, rule("inbox/*")) == "a note in notes/ of its inbox"
    if kind == "a link":
        assert list((home / "elsewhere").iterdir()) == []


def test_notes_that_are_a_link_are_refused(home: Path, make_spec: Callable[..., AgentSpec]) -> None:
    (home / "elsewhere").mkdir()
    (home / "inbox" / "notes").symlink_to(home / "elsewhere")
    with pytest.raises(OSError, match="notes"):
        leave(home, make_spec, Profile(name="new"))
    assert list((home / "elsewhere").iterdir()) == []
