"""Alerts to an ancestor agent: its inbox folder is its own, its pane is typed to only when nobody minds."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, Dialog, FleetSpec, Policy, Profile, ScreenRule, Seat
from hhmrs.config.paths import StateDir
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.recovery.alerts import KEPT, Alerts, in_a_line, told
from hhmrs.controller.recovery.nudging import Nudger
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.healing import evidence as e
from hhmrs.healing.actions import AlertAncestor
from hhmrs.healing.agent import AgentState, Attempt, Incident, Phase, Strategy, Task

MakeSpec = Callable[..., AgentSpec]
HOSTILE = "\x1b[31mred\u202e `rm -rf ~` $(x) " + "y" * 5000


class Desk:
    """A fleet of boss and worker on disk; boss's pane runs `cat`."""

    def __init__(
        self, tmp_path: Path, terminals: TmuxTerminals, make_spec: MakeSpec, profile: Profile
    ) -> None:
        boss = make_spec("boss", seats=(Seat(profile=profile),))
        worker = make_spec("worker", parent="boss", decider="parent", title="The Worker")
        self.fleet = FleetSpec(
            fleet="f", path=tmp_path / "f.yaml", policy=Policy(), agents={"boss": boss, "worker": worker},
            profiles={},
        )  # fmt: skip
        self.state_dir = StateDir(tmp_path / "state", "f")
        self.state_dir.create()
        self.inbox = self.state_dir.inbox_of("boss")
        self.inbox.mkdir(mode=0o700)
        self.states: dict[str, AgentState] = {"boss": AgentState("boss", phase=Phase.WORKING, alive=True)}
        self.emitted: list[e.Evidence] = []
        self.terminals = terminals
        self.workspace = tmp_path / "boss"
        self.workspace.mkdir()
        clock = SteadyClock()
        nudger = Nudger(self.state_dir, terminals, clock)
        self.alerts = Alerts(
            self.state_dir, terminals, clock, self.emitted.append, self.states.get, nudger.hands_off
        )

    @property
    def folder(self) -> Path:
        return self.inbox / "alerts"

    def start(self, *words: str) -> None:
        argv = ["sh", "-c", *words] if words else ["sh", "-c", "cat > typed.txt"]
        self.terminals.respawn("boss", argv, str(self.workspace), {"PATH": os.environ["PATH"]}, 1)

    def put(self, n: int = 1, **more: Any) -> None:
        self.alerts.put(question(n), fallen(**more), self.fleet)


def question(n: int = 1) -> AlertAncestor:
    return AlertAncestor(
        "worker", f"worker-i1/asked/{n}/boss", "boss", "worker-i1", n, 1, ("restart", "escalate"), "resume",
        time.time() + 30,
    )  # fmt: skip


def fallen(detail: str = "exit 1") -> AgentState:
    tried = tuple(Attempt(k, Strategy.RESTART, 1000.0 + k, "failure", HOSTILE) for k in range(1, 60))
    incident = Incident("worker-i1", 1000.0, "exited", "crash", detail, attempts=tried)
    return AgentState("worker", phase=Phase.EXITED, incident=incident, task=Task("worker-1", HOSTILE * 9))


@pytest.fixture
def desk(tmp_path: Path, terminals: TmuxTerminals, make_spec: MakeSpec) -> Desk:
    return Desk(tmp_path, terminals, make_spec, Profile(name="shell"))


def test_an_alert_is_one_private_file_whole_and_of_bounded_size(desk: Desk) -> None:
    desk.start()
    desk.put(detail=HOSTILE)
    (path,) = desk.folder.iterdir()
    assert path.name == "worker-i1-1.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.folder.stat().st_mode) == 0o700
    assert path.stat().st_size < 64_000
    alert = json.loads(path.read_text())
    assert (alert["to"], alert["child"], alert["title"]) == ("boss", "worker", "The Worker")
    assert (alert["symptom"], alert["cause"]) == ("exited", "crash")
    assert (alert["options"], alert["otherwise"]) == (["restart", "escalate"], "resume")
    assert alert["answer"] == {"kind": "decide", "incident": "worker-i1", "strategy": "restart | escalate"}
    for text in (alert["detail"], alert["task"], alert["attempts"][0]["why"]):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert len(text) <= 2000


def test_the_line_that_is_typed_holds_no_word_of_the_child(desk: Desk) -> None:
    document = told(question(), fallen(HOSTILE), desk.fleet, time.time())
    line = in_a_line(document)
    assert "red" not in line
    assert not set(line) & set("$`;<>()|&\"'\\*\n\x1b")
    assert len(line) < 500


def test_asked_again_it_is_neither_written_nor_typed_again(
    desk: Desk, wait_until: Callable[..., None]
) -> None:
    desk.start()
    for _ in range(2):
        desk.put()
    typed = desk.workspace / "typed.txt"
    wait_until(lambda: typed.exists() and typed.read_text().endswith("\n"), 15, "the line in its pane")
    assert [type(x) for x in desk.emitted] == [e.Typed]
    assert desk.emitted[0] == e.Typed(
        "boss", desk.emitted[0].at, typed.read_text().rstrip("\n"), answers=False
    )


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.PAUSED, Phase.UNKNOWN, Phase.STALLED])
def test_to_who_is_not_at_work_nothing_is_typed(desk: Desk, phase: Phase) -> None:
    desk.start()
    desk.states["boss"] = AgentState("boss", phase=phase, alive=True)
    desk.put()
    assert desk.emitted == []
    assert desk.terminals.capture("boss")[0] == ""
    assert len(list(desk.folder.iterdir())) == 1


@pytest.mark.parametrize("kind", ["screen", "dialog"])
def test_while_its_screen_asks_nothing_is_typed(
    tmp_path: Path,
    terminals: TmuxTerminals,
    make_spec: MakeSpec,
    wait_until: Callable[..., None],
    kind: str,
) -> None:
    profile = Profile(
        name="cli",
        screens=(ScreenRule(name="asks", phase="waiting", pattern="Proceed"),) if kind == "screen" else (),
        dialogs=(Dialog(name="tip", pattern="Proceed", keys=("Escape",)),) if kind == "dialog" else (),
    )
    desk = Desk(tmp_path, terminals, make_spec, profile)
    desk.start("echo Proceed; cat > typed.txt")
    wait_until(lambda: desk.terminals.capture("boss")[0] == "Proceed", 15, "its question")
    desk.put()
    assert desk.emitted == []
    assert (desk.workspace / "typed.txt").read_text() == ""
    assert len(list(desk.folder.iterdir())) == 1


def test_a_pane_that_is_gone_is_no_fault(desk: Desk) -> None:
    desk.put()
    assert len(list(desk.folder.iterdir())) == 1


def test_old_alerts_go(desk: Desk) -> None:
    desk.states.clear()
    for n in range(1, KEPT + 8):
        desk.put(n)
        stamp = 1_000_000 + n
        os.utime(desk.folder / f"worker-i1-{n}.json", (stamp, stamp))
    kept = {path.name for path in desk.folder.iterdir()}
    assert len(kept) == KEPT
    assert f"worker-i1-{KEPT + 7}.json" in kept
    assert "worker-i1-1.json" not in kept


def test_a_link_in_place_of_the_folder_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    desk.folder.symlink_to(elsewhere)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        desk.put()
    assert list(elsewhere.iterdir()) == []


def test_what_the_agent_put_in_the_place_of_an_alert_is_replaced(desk: Desk, tmp_path: Path) -> None:
    desk.states.clear()
    treasure = tmp_path / "treasure"
    treasure.write_text("mine")
    desk.folder.mkdir()
    (desk.folder / "worker-i1-1.json").symlink_to(treasure)
    os.mkfifo(desk.folder / "worker-i1-2.json")
    for n in (1, 2):
        desk.put(n)
        assert json.loads((desk.folder / f"worker-i1-{n}.json").read_text())["n"] == n
    assert treasure.read_text() == "mine"


def test_a_disk_that_takes_nothing_leaves_nothing_half_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        desk.put()
    assert list(desk.folder.iterdir()) == []
    assert desk.emitted == []
