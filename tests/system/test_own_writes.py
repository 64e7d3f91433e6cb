"""What we write into a workspace, seen by the real sources: nobody's life, progress or work."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from hhmrs.config.fleet import AgentSpec, Profile, Seat, StatusRule
from hhmrs.config.paths import StateDir
from hhmrs.controller.checkpoints.checkpoints import CheckpointStore
from hhmrs.controller.checkpoints.safekeeping import Safekeeping
from hhmrs.controller.checkpoints.snapshots import Snapshots
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.daemon.sources import Folders, Ground
from hhmrs.controller.ports import Identity, Running, Source
from hhmrs.controller.recovery.nudging import Nudger
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.controller.terminals.watchers import Watchers
from hhmrs.controller.workspaces.marker import write_marker
from hhmrs.controller.workspaces.statusfiles import StatusFiles
from hhmrs.healing.actions import Nudge
from hhmrs.healing.agent import AgentState, NudgeStep
from hhmrs.healing.evidence import BeatReceived, CheckpointTaken, Evidence, FileChanged

WaitUntil = Callable[..., None]
PROFILE = Profile(
    name="old",
    status_files=(
        StatusRule(pattern="agents/*/status.json", kind="status"),
        StatusRule(pattern="inbox/*", kind="inbox"),
        StatusRule(pattern="**/*.md", kind="devlog"),
    ),
)
"""A devlog may be any Markdown file, also where our letters lie."""


class Room:
    """Real sources over real folders, and our hands at work in them."""

    def __init__(
        self, root: Path, make_spec: Callable[..., AgentSpec], wait: WaitUntil, terminals: TmuxTerminals
    ) -> None:
        self.wait = wait
        self.seen: list[Evidence] = []
        clock = SteadyClock()
        self.seat = Seat(profile=PROFILE)
        self.work = root / "work"
        for folder in ("agents/a1", "inbox"):
            (self.work / folder).mkdir(parents=True)
        self.file = self.work / "agents" / "a1" / "status.json"
        self.spec = make_spec("a1", seats=(self.seat,), workspace=self.work)
        self.guest = make_spec("guest", workspace=self.work)
        ground = Ground(self.seen.append, clock, cast(Watchers, None), lambda _: {}, ())
        folders = Folders(ground)
        self.worked: set[str] = set()
        crediting = cast(Any, folders)._workspaces._crediting
        really = crediting._counts

        def counts(agent: str, path: str) -> bool:
            """Of one turn only the newest file is told; here is heard of all that count."""
            counted = bool(really(agent, path))
            self.worked |= {path} if counted else set()
            return counted

        crediting._counts = counts
        # It looks when we say so, so that no step goes by between two looks.
        self.status = StatusFiles(self.seen.append, clock, every=3600.0)
        self.sources: tuple[Source, ...] = (folders, self.status)
        self.state_dir = StateDir(root / "state", "f")
        self.state_dir.create()
        self.state_dir.inbox_of("a1").mkdir()
        self.nudger = Nudger(self.state_dir, terminals, clock, self.wrote)
        self.probes = 0
        terminals.respawn(
            "a1", ["sh", "-c", "cat > /dev/null"], str(self.work), {"PATH": os.environ["PATH"]}, 1
        )

    def begin(self, *, shared: bool) -> None:
        self.write({"agent_id": "a1", "status": "BLOCKED", "current_tasks": ["x"], "last_updated": 1})
        for spec in (self.spec, self.guest) if shared else (self.spec,):
            for source in self.sources:
                source.enrol(spec)
        for source in self.sources:
            source.follow(Running(self.spec, self.seat, 1, Identity(os.getpid(), 0.0)))
        folders = cast(Any, self.sources[0])
        assert folders._workspaces.ready()
        self.look()
        if not shared:
            self.settle()
        self.seen.clear()

    def wrote(self, path: Path, content: bytes) -> None:
        for source in self.sources:
            source.wrote(path, content)

    def write(self, said: dict[str, Any]) -> None:
        new = self.file.with_name("new~")
        new.write_text(json.dumps(said))
        new.rename(self.file)

    def step(self, step: NudgeStep, number: int = 0) -> str:
        action = Nudge("a1", f"k{number}/{step}", 1, "go on", step, "no progress", 0.0)
        agents = {"a1": self.spec, "guest": self.guest}
        self.look()
        taken = self.nudger.take(action, AgentState("a1"), self.spec, agents)
        self.look()
        return taken.why

    def look(self) -> None:
        status = cast(Any, self.status)
        status._look("a1", status._followed["a1"])

    def settle(self) -> None:
        """What stands on the disk by now was looked at: the agent's own words after it are seen."""
        self.probes += 1
        before, words = len(self.seen), f"probe {self.probes}"
        (self.work / "probe.py").write_text(str(self.probes))
        said = {"agent_id": "a1", "status": "BLOCKED", "current_tasks": [words], "message": words}
        self.write(said)
        self.look()
        assert any(isinstance(e, BeatReceived) and e.message == words for e in self.seen[before:])
        self.wait(lambda: any(isinstance(e, FileChanged) for e in self.seen[before:]), what="the file")

    def others(self) -> list[Evidence]:
        """All that was seen but the probes. Each of those it said once; we do not touch its message."""
        said: set[str] = set()
        found: list[Evidence] = []
        for one in self.seen:
            own = isinstance(one, FileChanged) and one.path == "probe.py"
            if isinstance(one, BeatReceived) and one.message.startswith("probe"):
                own = one.message not in said
                said.add(one.message)
            found += [] if own else [one]
        return found

    def close(self) -> None:
        for source in self.sources:
            source.close()


@pytest.fixture
def room(
    tmp_path: Path, make_spec: Callable[..., AgentSpec], wait_until: WaitUntil, terminals: TmuxTerminals
) -> Iterator[Room]:
    made = Room(tmp_path, make_spec, wait_until, terminals)
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(3))
def test_no_row_of_steps_is_ever_seen_as_the_agents_doing(room: Room, seed: int) -> None:
    room.begin(shared=False)
    dice = random.Random(seed)
    for number in range(15):
        step = dice.choice([NudgeStep.FORCE_UPDATE, NudgeStep.CLEAR_STUCK_TASKS, NudgeStep.AUTO_RESET,
                            NudgeStep.RESCUE])  # fmt: skip
        if dice.random() < 0.3:
            room.settle()  # it writes something of its own, and more is there to clear and to reset
        room.step(step, number)
        if dice.random() < 0.2:
            write_marker(room.work, "a1", "i1", "because", "now")
    room.settle()
    assert room.others() == []
    assert room.worked == {"probe.py"}


def test_taking_our_letter_away_is_no_progress_either(room: Room) -> None:
    room.begin(shared=False)
    assert room.step(NudgeStep.RESCUE) == "a letter in inbox/; typed into its pane"
    room.settle()
    (letter,) = (room.work / "inbox").iterdir()
    letter.unlink()
    room.look()
    room.settle()
    assert room.others() == []


def test_what_we_write_for_one_is_not_credited_to_who_shares_the_folder(room: Room) -> None:
    """The guest's profile knows nothing of status files; in a shared folder it could look like its work."""
    room.begin(shared=True)
    room.step(NudgeStep.AUTO_RESET)
    room.step(NudgeStep.RESCUE)
    (room.work / "probe.py").write_text("x")
    room.wait(lambda: "probe.py" in room.worked)
    assert room.worked == {"probe.py"}


def test_our_writes_make_no_checkpoint_worth_resuming_from(room: Room, tmp_path: Path) -> None:
    room.begin(shared=False)
    room.write({"agent_id": "a1", "status": "BLOCKED", "current_tasks": ["x"]})
    snapshots, store = Snapshots(tmp_path / "snapshots"), CheckpointStore(room.state_dir)
    keeping = Safekeeping(store, snapshots, SteadyClock())
    first = keeping.save(room.spec).snapshot
    assert first is not None
    room.step(NudgeStep.AUTO_RESET)
    room.step(NudgeStep.RESCUE)
    write_marker(room.work, "a1", "i1", "because", "now")
    (taken,) = keeping.take_checkpoint(room.spec, AgentState("a1", attempt=1))
    assert isinstance(taken, CheckpointTaken)
    assert not taken.resumable
    newest = snapshots.newest("a1")
    assert newest not in (None, first.commit), "saved it is, all the same"
    (room.work / "work.py").write_text("x = 1\n")
    (taken,) = keeping.take_checkpoint(room.spec, AgentState("a1", attempt=1))
    assert isinstance(taken, CheckpointTaken)
    assert taken.resumable
