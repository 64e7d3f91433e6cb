"""The steps of a nudge on real panes and files: what is pressed, what is not, and whose file is edited."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, Dialog, Profile, ScreenRule, Seat, StatusRule
from hhmrs.config.paths import StateDir
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.recovery.nudging import MOST_EDITED, Nudger, Taken
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.healing.actions import Nudge
from hhmrs.healing.agent import AgentState, NudgeStep
from hhmrs.healing.nudges import RESCUE

MakeSpec = Callable[..., AgentSpec]
WaitUntil = Callable[..., None]
NEWS = Dialog(name="news", pattern="^What is new", keys=("Escape", "q"), lines=30)
ASK = ScreenRule(name="ask", phase="waiting", pattern="^Proceed", lines=30)
STATUS = StatusRule(pattern="status.json", kind="status")
PROFILE = Profile(name="old", screens=(ASK,), dialogs=(NEWS,), status_files=(STATUS,))


class Bedside:
    """An agent in a pane that shows `screen`, ignores its keys and writes them down."""

    def __init__(self, root: Path, make_spec: MakeSpec, terminals: TmuxTerminals, wait: WaitUntil) -> None:
        self.work, self.terminals, self.wait = root / "work", terminals, wait
        self.work.mkdir()
        state_dir = StateDir(root / "state", "f")
        state_dir.create()
        state_dir.inbox_of("a1").mkdir()
        self.notes = state_dir.inbox_of("a1") / "notes"
        self.make_spec = make_spec
        self.spec = make_spec("a1", seats=(Seat(profile=PROFILE),), workspace=self.work)
        self.agents = {"a1": self.spec}
        self.nudger = Nudger(state_dir, terminals, SteadyClock())

    def show(self, screen: str, *, then: str = "cat > keys.txt") -> None:
        words = ["sh", "-c", f"stty raw -echo; printf '{screen}\\r\\n> '; {then}"]
        self.terminals.respawn("a1", words, str(self.work), {"PATH": os.environ["PATH"]}, 1)
        first = screen.partition("\\")[0]
        self.wait(lambda: first in "\n".join(self.terminals.capture("a1")), what="its screen")

    def take(self, step: NudgeStep, *, again: bool = False, key: str = "k") -> Taken:
        text = RESCUE if step is NudgeStep.RESCUE else ""
        action = Nudge("a1", key, 1, text, step, "no life for 60 s", 0.0, again)
        return self.nudger.take(action, AgentState("a1"), self.spec, self.agents)

    def pressed(self) -> str:
        return (self.work / "keys.txt").read_bytes().decode()


@pytest.fixture
def bed(tmp_path: Path, make_spec: MakeSpec, terminals: TmuxTerminals, wait_until: WaitUntil) -> Bedside:
    return Bedside(tmp_path, make_spec, terminals, wait_until)


# -- keys ------------------------------------------------------------------------------------------


def test_a_dialog_that_stays_is_a_step_that_failed_and_nothing_is_typed_into_it(bed: Bedside) -> None:
    bed.show("What is new")
    taken = bed.take(NudgeStep.CLOSE_DIALOG)
    assert (taken.ok, taken.why) == (False, "dialog news still shows after Escape q")
    taken = bed.take(NudgeStep.RESCUE)
    assert taken.ok
    assert taken.why.endswith("not typed: dialog news would take it for its answer")
    bed.wait(lambda: bed.pressed() == "\x1bq", what="its keys, once")
    assert len(list(bed.notes.iterdir())) == 1, "the letter is there all the same"


def test_a_dialog_that_goes_is_closed(bed: Bedside) -> None:
    bed.show("What is new", then="head -c 2 > keys.txt; printf '\\033[2J\\033[H> '; cat > /dev/null")
    assert bed.take(NudgeStep.CLOSE_DIALOG) == Taken(True, "dialog news closed by Escape q")
    assert bed.take(NudgeStep.CLOSE_DIALOG) == Taken(True, "it shows no dialog any more", idle=True)
    assert bed.pressed() == "\x1bq"


@pytest.mark.parametrize("screen", ["Proceed? (y/n)", "What is new\\r\\nProceed? (y/n)"])
def test_no_key_is_pressed_where_a_person_is_asked(bed: Bedside, screen: str) -> None:
    bed.show(screen)
    for step in (NudgeStep.CLOSE_DIALOG, NudgeStep.RESCUE):
        taken = bed.take(step)
        assert (taken.ok, taken.idle) == (True, False), "here nothing has failed"
        assert "its screen waits for a person (ask)" in taken.why
    bed.terminals.paste("a1", "ours", enter=False)
    bed.wait(lambda: "ours" in bed.pressed())
    assert bed.pressed().startswith(("ours", "\x1b[200~ours"))


def test_the_message_is_typed_once_and_another_daemon_types_nothing(bed: Bedside) -> None:
    bed.show("at work")
    assert bed.take(NudgeStep.RESCUE).why == "a note in notes/ of its inbox; typed into its pane"
    again = bed.take(NudgeStep.RESCUE, again=True)
    assert again.why.startswith("a note in notes/ of its inbox; not typed again")
    assert bed.take(NudgeStep.CLOSE_DIALOG, again=True).idle
    bed.terminals.paste("a1", "the end", enter=False)
    bed.wait(lambda: "the end" in bed.pressed())
    assert bed.pressed().count(RESCUE) == 1
    assert len(list(bed.notes.iterdir())) == 1


def test_a_message_that_cannot_be_left_is_typed_all_the_same(bed: Bedside) -> None:
    bed.show("at work")
    bed.notes.write_text("a file in the way")
    assert bed.take(NudgeStep.RESCUE).why == "no letter (Not a directory); typed into its pane"
    bed.wait(lambda: RESCUE in bed.pressed())


# -- whose file ------------------------------------------------------------------------------------


def put(path: Path, **said: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"current_tasks": ["x"]} | said))


def share(bed: Bedside) -> None:
    """Another agent keeps its status in the same folder, by the same pattern."""
    bed.agents["a2"] = bed.make_spec("a2", seats=(Seat(profile=PROFILE),), workspace=bed.work)


def test_a_status_file_that_two_could_have_written_is_edited_for_whom_it_names(bed: Bedside) -> None:
    share(bed)
    path = bed.work / "status.json"
    for said in ({}, {"agent_id": "a2"}, {"agent": 7}):
        put(path, **said)
        taken = bed.take(NudgeStep.CLEAR_STUCK_TASKS)
        assert (taken.ok, taken.idle) == (False, True)
        assert "it does not say whose it is" in taken.why
        assert json.loads(path.read_bytes())["current_tasks"] == ["x"]
    put(path, agent_id="A1")
    assert bed.take(NudgeStep.CLEAR_STUCK_TASKS).why.startswith("status.json: 1 tasks cleared")


def test_an_agent_alone_in_its_folder_needs_no_name_there(bed: Bedside) -> None:
    put(bed.work / "status.json")
    taken = bed.take(NudgeStep.CLEAR_STUCK_TASKS)
    assert (taken.ok, taken.idle) == (True, False)
    assert bed.take(NudgeStep.CLEAR_STUCK_TASKS) == Taken(True, "nothing to do", idle=True)


def test_without_a_status_file_there_is_nothing_to_do(bed: Bedside) -> None:
    taken = bed.take(NudgeStep.AUTO_RESET)
    assert taken == Taken(True, "it has no status file", idle=True)
    assert list(bed.work.iterdir()) == [], "none is made"


def test_of_many_files_a_few_are_edited_and_odd_names_are_shown_inert(bed: Bedside) -> None:
    many = PROFILE.model_copy(update={"status_files": (StatusRule(pattern="*/s.json", kind="status"),)})
    bed.spec = bed.make_spec("a1", seats=(Seat(profile=many),), workspace=bed.work)
    for number in range(MOST_EDITED + 3):
        put(bed.work / f"\x1b[31m{number}" / "s.json")
    taken = bed.take(NudgeStep.CLEAR_STUCK_TASKS)
    assert taken.why.count("tasks cleared") == MOST_EDITED
    assert "\x1b" not in taken.why


def test_one_file_that_cannot_be_edited_keeps_no_other_from_it(bed: Bedside) -> None:
    many = PROFILE.model_copy(update={"status_files": (StatusRule(pattern="*.json", kind="status"),)})
    bed.spec = bed.make_spec("a1", seats=(Seat(profile=many),), workspace=bed.work)
    (bed.work / "a.json").write_text("no json")
    put(bed.work / "b.json")
    taken = bed.take(NudgeStep.CLEAR_STUCK_TASKS)
    assert taken.ok
    assert "b.json: 1 tasks cleared" in taken.why
    assert "a.json: left alone, it cannot be read" in taken.why
