"""Files, differences, checkpoints and tasks as lines: what is said, that it fits, that it is inert."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hhmrs.config.fleet import AgentSpec, Policy, Profile, Seat
from hhmrs.controller.checkpoints.present import Files, FileSeen
from hhmrs.healing.agent import AgentState, Task
from hhmrs.tui.prose import Page
from hhmrs.tui.taskpage import tasks_page
from hhmrs.tui.tones import Tone
from hhmrs.tui.work import Diff, PastTask, Saved
from hhmrs.tui.workpages import diff_page, files_page, opened_page, saved_page

NOW = 10_000.0
HOSTILE = "a\x1b]52;c;eA==\x07b\x1b[2J\u202e[red]c[/]"


def saved(seq: int, **fields: object) -> Saved:
    known: dict[str, object] = {
        "at": NOW - 60, "by": "agent", "attempt": 2, "task": "t-1", "completed": ("lexer",),
        "next": ("parser",), "changed": ("a.py", "b.py"), "standing": "0123456789", "restorable": True,
        "older_by": 0, "unsaved": "",
    }  # fmt: skip
    return Saved(seq, **(known | fields))  # type: ignore[arg-type]  # the fields of one dataclass


def texts(page: Page) -> list[str]:
    return ["".join(piece for piece, _ in line) for line in page.lines]


def pages(width: int) -> Iterator[Page]:
    files = Files("/work/" + "deep/" * 30, (FileSeen("x" * 300, NOW - 5, 10**9), FileSeen("b", 0, 1)), 2)
    shelf = [saved(2, unsaved="w " * 200, completed=("done " * 40,) * 9), saved(1, standing="damaged")]
    diff = Diff(2, NOW - 9, (" a | 2 +-",), ("diff --git a/a b/a", "@@ -1 +1 @@"), ("huge",) * 9)
    past = (PastTask("t" * 80, "text " * 80, "failed", NOW - 90, 4.0, 3, "why " * 90, 2),)
    yield files_page(files, shelf[0], NOW, width)
    yield saved_page(shelf, NOW, width)
    yield diff_page(diff, NOW, width)
    yield opened_page(shelf[0], "nightly", "worker", None, NOW, width)
    yield tasks_page(past, AgentState("a", task=Task("a-1", "text " * 80, 60.0)), None, NOW, width)


@pytest.mark.parametrize("width", [40, 58, 98])
def test_all_but_rows_of_columns_is_broken_to_the_width(width: int) -> None:
    for page in pages(width):
        prose = [line for line in texts(page) if " attempt " not in line and " took " not in line]
        assert [line for line in prose if len(line) > width] == []


def test_files_say_what_is_newer_than_the_checkpoint() -> None:
    files = Files("/w", (FileSeen("new.py", NOW - 30, 900), FileSeen("old.py", NOW - 300, 12)), 99, 5)
    page = files_page(files, saved(7, older_by=10), NOW, 80)
    lines = texts(page)

    assert lines[0] == "99 files in /w; the newest 2 of them; 5 more are not looked at"
    assert lines[1] == "● 1 newer than checkpoint 7 of 70s ago; enter: the diff"
    assert lines[2].split() == ["●", "30s", "900B", "new.py"]
    assert lines[3].split() == ["5m", "12B", "old.py"]
    assert page.picks == {2: "new.py", 3: "old.py"}


def test_without_a_checkpoint_nothing_is_called_newer() -> None:
    lines = texts(files_page(Files("/w", (FileSeen("a", NOW, 1),), 1), None, NOW, 80, plain=True))

    assert "nothing can be compared" in lines[1]
    assert "*" not in "".join(lines)


def test_a_long_path_keeps_its_end() -> None:
    page = files_page(Files("/w", (FileSeen("a/" * 60 + "end.py", NOW, 1),), 1), None, NOW, 60, plain=True)

    assert texts(page)[-1].endswith("a/end.py")
    assert "~" in texts(page)[-1]


def test_hostile_names_and_contents_are_inert() -> None:
    files = files_page(Files(HOSTILE, (FileSeen(HOSTILE, NOW, 1),), 1), None, NOW, 200)
    shelf = [saved(1, completed=(HOSTILE,), next=(HOSTILE,), task=HOSTILE, standing=HOSTILE, unsaved=HOSTILE)]
    diff = diff_page(Diff(1, NOW, (HOSTILE,), ("+" + HOSTILE,), (HOSTILE,)), NOW, 200)
    past = tasks_page((PastTask(HOSTILE, HOSTILE, "done", NOW, 1, 1, HOSTILE, 0),), None, None, NOW, 200)
    opened = opened_page(shelf[0], HOSTILE, HOSTILE, diff, NOW, 200)
    for page in (files, saved_page(shelf, NOW, 200), diff, past, opened):
        told = "\n".join(texts(page))
        assert "[red]c[/]" in told
        assert not set(told) & {"\x1b", "\x07", "\u202e"}


def test_a_diff_has_a_place_for_each_file_and_lines_of_files_make_none() -> None:
    text = (
        "diff --git a/one b/one", "--- a/one", "+++ b/one", "@@ -1,2 +1,1 @@", "--- a/forged", "+++ b/forged",
        " \tkept", "diff --git a/two b/two", "new file mode 100644", "--- /dev/null", "+++ b/two",
        "@@ -0,0 +1 @@", "+x",
    )  # fmt: skip
    page = diff_page(Diff(3, NOW - 5, (" 2 files changed",), text, ()), NOW, 80)
    lines = texts(page)

    assert {name: lines[at] for name, at in page.places.items()} == {
        "one": "diff --git a/one b/one",
        "two": "diff --git a/two b/two",
    }
    assert page.lines[lines.index("--- a/forged")][0][1] is Tone.SICK
    assert page.lines[lines.index("+x")][0][1] is Tone.GOOD
    assert "    kept" in lines


def test_no_difference_is_said() -> None:
    assert "nothing has changed" in texts(diff_page(Diff(3, None, (), (), ()), NOW, 80))


def test_checkpoints_say_only_what_is_new_in_each() -> None:
    shelf = [
        saved(3, by="supervisor"),
        saved(2, completed=("lexer",), older_by=120),
        saved(1, completed=(), next=(), standing="damaged", restorable=False, by="", at=None, attempt=None),
    ]
    lines = texts(saved_page(shelf, NOW, 90))

    assert lines[1].split() == [
        "3", "60s", "0123456789", "2", "files", "changed,", "attempt", "2,", "by", "the", "supervisor",
    ]  # fmt: skip
    assert lines[2].strip().startswith("2 ")
    assert "done: lexer" in lines[3]
    assert "next: parser" in lines[4]
    assert "its files are 2m older" in lines[5]
    assert lines[6].split()[:3] == ["1", "-", "damaged"]


def test_a_checkpoint_in_full_says_how_to_bring_it_back() -> None:
    told = "\n".join(texts(opened_page(saved(4), "nightly", "worker", None, NOW, 200)))

    assert "hhmrs restore worker 4 --to FOLDER --fleet nightly" in told
    gone = opened_page(
        saved(4, restorable=False, standing="snapshot gone"), "nightly", "worker", None, NOW, 200
    )
    assert "cannot be brought back: snapshot gone" in "\n".join(texts(gone))


def test_the_places_of_a_diff_move_with_it() -> None:
    diff = diff_page(Diff(3, NOW, (), ("diff --git a/one b/one", "+++ b/one"), ()), NOW, 80)
    page = opened_page(saved(3), "nightly", "worker", diff, NOW, 80)

    assert texts(page)[page.places["one"]] == "diff --git a/one b/one"


def spec() -> AgentSpec:
    seat = Seat(profile=Profile(name="shell"), command=("true",))
    return AgentSpec(
        id="a", parent=None, seats=(seat,), liveness=("output",), policy=Policy(task_deadline=600.0),
        workspace=Path("/tmp"), title="a",
    )  # fmt: skip


def test_the_present_task_tells_its_deadline_and_is_not_listed_again() -> None:
    state = AgentState("a", task=Task("a-2", "build it", spent=100.0, ticking_since=NOW - 200))
    past = (
        PastTask("a-2", "build it", "open", NOW - 300, None, None, "", 0),
        PastTask("a-1", "plan it", "failed", NOW - 900, 120.0, 4, "out of retries", 3),
    )
    lines = texts(tasks_page(past, state, spec(), NOW, 80))

    assert lines[0] == "now: build it"
    assert "50% of its deadline" in lines[1]
    assert lines[2] == "a-2: 5m used of 10m"
    assert [line for line in lines if "build it" in line] == [lines[0]]
    assert "took 2m, 3 recoveries, 4 files" in lines[4]
    assert "out of retries" in lines[6]


def test_a_clock_that_rests_is_said_and_an_idle_agent_has_no_task() -> None:
    rests = AgentState("a", task=Task("a-2", "build it", spent=100.0))

    assert "its clock rests" in "\n".join(texts(tasks_page((), rests, spec(), NOW, 80)))
    assert "no task now" in texts(tasks_page(None, AgentState("a"), spec(), NOW, 80))[0]
    assert "reading its past tasks ..." in texts(tasks_page(None, None, None, NOW, 80))
