"""Real status files of older systems: what is a beat, what the agent's doing, and what nobody's."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, Profile, Seat, StatusRule
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.ports import Identity, Running
from hhmrs.controller.workspaces.status_patterns import MOST_FILES, files, fits, plain_place
from hhmrs.controller.workspaces.status_words import MOST_BYTES, read_status
from hhmrs.controller.workspaces.statusfiles import StatusFiles
from hhmrs.healing.evidence import BeatReceived, Evidence, TranscriptGrew

WaitUntil = Callable[..., None]
RULES = (
    StatusRule(pattern="status.json", kind="status"),
    StatusRule(pattern="devlogs/**/*.md", kind="devlog"),
    StatusRule(pattern="inbox/*", kind="inbox"),
    StatusRule(pattern="agents/{agent}/*.json", kind="status"),
)


class Desk:
    def __init__(self, root: Path, make_spec: Callable[..., AgentSpec], wait: WaitUntil) -> None:
        self.root = root
        self.make_spec = make_spec
        self.wait = wait
        self.seen: list[Evidence] = []
        self.looks = 0
        self.source = StatusFiles(self.seen.append, SteadyClock(), every=0.02)

    def follow(self, agent: str = "a1", work: str = "work", rules: tuple[StatusRule, ...] = RULES) -> Path:
        folder = self.root / work
        folder.mkdir(exist_ok=True)
        seat = Seat(profile=Profile(name="old", status_files=rules))
        spec = self.make_spec(agent, seats=(seat,), workspace=folder)
        self.source.follow(Running(spec, seat, 1, Identity(os.getpid(), 0.0)))
        self.settle()
        return folder

    def settle(self) -> None:
        """Whatever stands on the disk now was looked at: files of another agent, changed after it, were."""
        self.looks += 1
        probe = self.root / "probe"
        probe.mkdir(exist_ok=True)
        if self.looks == 1:
            seat = Seat(profile=Profile(name="old", status_files=RULES[:1]))
            spec = self.make_spec("probe", seats=(seat,), workspace=probe)
            self.source.follow(Running(spec, seat, 1, Identity(os.getpid(), 0.0)))
        count = 0

        def told() -> bool:
            nonlocal count
            count += 1
            put(probe / "status.json", {"state": "executing", "message": f"{self.looks} {count}"})
            told = [e for e in self.seen if isinstance(e, BeatReceived) and e.agent == "probe"]
            return len([e for e in told if e.message.startswith(f"{self.looks} ")]) >= 2

        self.wait(told)

    def beats(self, agent: str = "a1") -> list[BeatReceived]:
        return [e for e in self.seen if isinstance(e, BeatReceived) and e.agent == agent]

    def grew(self, agent: str = "a1") -> int:
        return sum(isinstance(e, TranscriptGrew) and e.agent == agent for e in self.seen)


def put(path: Path, content: dict[str, Any] | str | bytes) -> None:
    """Write it as programs do: beside it, then renamed over it."""
    raw = json.dumps(content).encode() if isinstance(content, dict) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(".new")
    new.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    new.rename(path)


@pytest.fixture
def desk(tmp_path: Path, make_spec: Callable[..., AgentSpec], wait_until: WaitUntil) -> Iterator[Desk]:
    desk = Desk(tmp_path, make_spec, wait_until)
    yield desk
    desk.source.close()


def test_a_status_that_changed_is_a_beat(desk: Desk) -> None:
    work = desk.follow()
    said = {"agent_id": "Agent-1", "status": "ACTIVE_AGENT_MODE", "current_mission": "Parse"}
    put(work / "status.json", said | {"progress_pct": 40, "last_updated": "2025-11-28 10:00:00"})
    desk.wait(desk.beats)
    beat = desk.beats()[0]
    assert (beat.state, beat.progress, beat.message) == ("executing", 0.4, "Parse")
    assert SteadyClock().now() - beat.at < 10
    put(
        work / "agents" / "a1" / "state.json", {"state": "validating", "progress": 0.5, "message": "Step 3/5"}
    )
    desk.wait(lambda: desk.beats()[1:])
    assert (desk.beats()[1].state, desk.beats()[1].message) == ("validating", "Step 3/5")
    assert desk.grew() == 0


def test_what_stood_there_before_a_touch_and_the_same_again_say_nothing(desk: Desk) -> None:
    said = {"state": "executing"}
    put(desk.root / "work" / "status.json", said)
    work = desk.follow()
    os.utime(work / "status.json")
    desk.settle()
    put(work / "status.json", said)
    desk.settle()
    assert desk.beats() == []


def test_what_a_supervisor_wrote_says_nothing(desk: Desk) -> None:
    work = desk.follow()
    ours = json.dumps({"state": "executing", "message": "reset"}).encode()
    desk.source.wrote(work / "status.json", ours)
    put(work / "status.json", ours)
    desk.settle()
    assert desk.beats() == []
    put(work / "status.json", {"state": "executing", "message": "mine"})
    desk.wait(desk.beats)


def test_a_devlog_that_grows_is_its_doing(desk: Desk) -> None:
    log = desk.root / "work" / "devlogs" / "nov" / "21.md"
    put(log, "# before\n")
    work = desk.follow()
    assert desk.grew() == 0
    with log.open("a") as file:
        file.write("- wrote the parser\n")
    desk.wait(lambda: desk.grew() == 1)
    put(work / "devlogs" / "new.md", "# new\n")
    desk.wait(lambda: desk.grew() == 2)
    assert desk.beats() == []


def test_a_letter_in_its_inbox_is_its_doing_only_when_it_takes_it(desk: Desk) -> None:
    work = desk.follow()
    put(work / "inbox" / "from-captain.md", "do this")
    desk.settle()
    put(work / "inbox" / "from-captain.md", "do that")
    desk.settle()
    assert desk.grew() == 0
    (work / "inbox" / "from-captain.md").unlink()
    desk.wait(lambda: desk.grew() == 1)


def test_two_in_one_folder_count_for_whom_the_file_names(desk: Desk) -> None:
    work = desk.follow("a1")
    desk.follow("a2")
    put(work / "status.json", {"state": "executing", "message": "who?"})
    put(work / "devlogs" / "x.md", "hm\n")
    desk.settle()
    assert desk.beats("a1") == desk.beats("a2") == []
    assert desk.grew("a1") == desk.grew("a2") == 0
    assert "share" in desk.source.means()[0].why
    put(work / "status.json", {"state": "executing", "agent": "A2"})
    desk.wait(lambda: desk.beats("a2"))
    assert desk.beats("a1") == []


@pytest.mark.parametrize("kind", ["link", "fifo", "huge", "deep", "folder", "linked folder"])
def test_hostile_files_are_nothing(desk: Desk, kind: str) -> None:
    work = desk.follow()
    secret = desk.root / "secret.json"
    put(secret, {"state": "executing"})
    path = work / "status.json"
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "huge":
        put(path, json.dumps({"state": "executing", "x": "y" * MOST_BYTES}))
    elif kind == "deep":
        put(path, "[" * 60_000)
    elif kind == "folder":
        path.mkdir()
    else:
        (desk.root / "private" / "a1").mkdir(parents=True)
        (work / "agents").symlink_to(desk.root / "private")
        put(desk.root / "private" / "a1" / "s.json", {"state": "executing"})
    desk.settle()
    assert desk.beats() == []


def test_forgotten_and_followed_anew(desk: Desk) -> None:
    work = desk.follow()
    desk.source.forget("a1")
    put(work / "status.json", {"state": "executing", "message": "late"})
    desk.settle()
    assert desk.beats() == []
    desk.follow()
    assert desk.beats() == [], "of the attempt before"
    put(work / "status.json", {"state": "executing", "message": "now"})
    desk.wait(desk.beats)


def test_a_fleet_without_such_files_has_no_thread(desk: Desk) -> None:
    seat = Seat(profile=Profile(name="new"))
    desk.source.follow(Running(desk.make_spec(), seat, 1, Identity(os.getpid(), 0.0)))
    assert desk.source.means() == ()
    assert not any(thread.name == "hhmrs-statusfiles" for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"state": "Awaiting Approval"}, "awaiting_approval"),
        ({"status": "waiting_approval"}, "awaiting_approval"),
        ({"status": "unheard of", "current_phase": "TASK_EXECUTION"}, "executing"),
        ({"status": "COMPLETE"}, "completed"),
        ({"status": "paused"}, "hibernated"),
        ({"status": "blocked"}, "executing"),
        ({"status": "error"}, "failed"),
        ({"status": "unheard of"}, None),
        ({"status": 7}, None),
        ({}, None),
    ],
)
def test_other_words_for_a_beat_s_states(said: dict[str, Any], state: str | None) -> None:
    read = read_status(json.dumps(said).encode())
    assert (read.state if read else None) == state


def test_what_else_it_says_is_bounded_and_inert() -> None:
    read = read_status(
        json.dumps({"state": "idle", "progress": 7, "message": "\x1b[31m" + "x" * 9000}).encode()
    )
    assert read is not None
    assert read.progress is None
    assert len(read.message) == 300
    assert "\x1b" not in read.message
    for raw in (b"", b"[]", b"null", b"\xff", b"{", b'{"state": "idle", "progress": NaN}'):
        found = read_status(raw)
        assert found is None or found.progress is None


def test_patterns_find_no_more_than_a_bound(tmp_path: Path) -> None:
    for n in range(MOST_FILES + 50):
        (tmp_path / f"{n}.md").write_text("")
    assert len(files(tmp_path, StatusRule(pattern="*.md", kind="devlog"), "a1")) == MOST_FILES
    assert files(tmp_path, StatusRule(pattern="7.md", kind="devlog"), "a1")[0][0] == tmp_path / "7.md"


@pytest.mark.parametrize(
    ("pattern", "path", "fit"),
    [
        ("status.json", "status.json", True), ("status.json", "x/status.json", False),
        ("**/*.md", "a/b/c.md", True), ("**/*.md", "c.md", True), ("*/*.md", "a/b/c.md", False),
        ("devlogs/**", "devlogs/a/b", True), ("agents/{agent}/s.json", "agents/a1/s.json", True),
        ("a.b", "aXb", False),
    ],
)  # fmt: skip
def test_what_fits_is_what_is_found(tmp_path: Path, pattern: str, path: str, fit: bool) -> None:
    rule = StatusRule(pattern=pattern, kind="status")
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("")
    assert fits(tmp_path, rule, "a1", tmp_path / path) is fit
    assert bool(files(tmp_path, rule, "a1")) is fit


def test_only_one_place_is_named() -> None:
    work = Path("/w")
    assert plain_place(work, RULES[0], "a1") == work / "status.json"
    assert plain_place(work, RULES[2], "a1") == work / "inbox"
    assert plain_place(work, RULES[3], "a1") is None
    assert plain_place(work, StatusRule(pattern="*", kind="inbox"), "a1") is None
