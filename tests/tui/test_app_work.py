"""The views of one agent's work on the real screen: what is fetched, what enter opens, how one comes back."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hhmrs.controller.checkpoints.present import Files, FileSeen
from hhmrs.healing.usage import Tokens
from hhmrs.tests.tui.hands import Hands, hands
from hhmrs.tui.screens.folder import FolderScreen
from hhmrs.tui.widgets.agent_head import AgentHead
from hhmrs.tui.widgets.still import PickView
from hhmrs.tui.work import Diff, PastTask, Saved, Spent

SIZES = [(132, 36), (80, 24), (60, 20)]


@pytest.fixture
def working(scripted: Any) -> Any:
    """Every agent has these files, checkpoints and tasks."""
    now, work = time.time(), scripted.work
    seen = [FileSeen("src/parser.py", now - 5, 900), FileSeen("README", now - 4000, 70)]
    work.found = Files("/work/nightly", tuple(seen), 2)
    work.shelf = tuple(
        Saved(
            seq,
            now - 600 * (9 - seq),
            "agent",
            2,
            "t-1",
            (f"step {seq}",),
            ("more",),
            ("a",),
            "abc",
            True,
            0,
            "",
        )
        for seq in (8, 7, 6)
    )
    text = ("diff --git a/src/parser.py b/src/parser.py", "--- a/src/parser.py", "+++ b/src/parser.py",
            "@@ -1 +1 @@", "-old line", "+new line")  # fmt: skip
    work.difference = Diff(8, now - 600, (" src/parser.py | 2 +-",), text, ())
    work.past = (PastTask("t-0", "the task before", "done", now - 99, 60.0, 3, "", 1),)
    work.spending = Spent(Tokens(1200, 34, None, None), "/home/u/session.jsonl", whole=True)
    return scripted


def shows(h: Hands, words: str) -> bool:
    return words in h.shown()


def looked(source: Any, count: int) -> bool:
    """More often than that."""
    return bool(source.looks > count)


async def read(h: Hands, tab: str) -> None:
    """The tab on the whole screen, with the focus in it."""
    await h.press("enter", tab)
    await h.until(lambda: h.screen.view.has_focus and "reading its" not in h.shown())


@pytest.mark.parametrize("size", SIZES)
async def test_each_tab_shows_its_own(working: Any, size: tuple[int, int]) -> None:
    async with hands(working, size) as h:
        await h.press("enter")
        for key, words in [
            ("4", "src/parser.py"), ("5", "step 8"), ("6", "the task before"), ("7", "1.2k sent"),
            ("3", "next: nothing"), ("1", "Reading SPEC.md"),
        ]:  # fmt: skip
            await h.press(key)
            await h.until(partial(shows, h, words), f"tab {key} without {words}")


async def test_nothing_is_fetched_but_for_the_tab_in_sight(working: Any) -> None:
    asked = working.work.asked
    async with hands(working) as h:
        looks = working.looks
        await h.until(lambda: working.looks > looks + 2)
        assert asked == []
        await h.press("4")
        await h.until(lambda: len({what for what, _ in asked}) == 2)
        assert {what for what, _ in asked} == {"files", "saved"}
        await h.press("6")
        await h.until(lambda: ("tasks", "architect") in asked)
        await h.press("1")
        before, looks = len(asked), working.looks
        await h.until(lambda: working.looks > looks + 8)
        assert len(asked) == before
        await h.press("6", "j")
        await h.until(lambda: ("tasks", "dir-code") in asked)


async def test_a_file_opens_the_difference_at_its_place_and_escape_comes_back(working: Any) -> None:
    async with hands(working, (80, 24)) as h:
        await read(h, "4")
        await h.until(lambda: "1 newer than checkpoint 8" in h.shown())
        await h.press("enter")
        await h.until(lambda: "+new line" in h.shown())
        assert ("diff", "architect") in working.work.asked
        await h.press("escape")
        await h.until(lambda: "src/parser.py" in h.shown() and "+new line" not in h.shown())
        assert h.screen.view.has_focus
        await h.press("j", "enter")
        await h.until(lambda: "README has not changed since" in h.toasts())
        await h.press("escape", "escape")
        await h.until(lambda: h.agents.has_focus)


async def test_a_checkpoint_opens_in_full_and_is_then_what_tab_4_compares_with(working: Any) -> None:
    async with hands(working, (100, 30)) as h:
        await read(h, "5")
        await h.press("j", "j", "j", "enter")
        await h.until(lambda: "against checkpoint 7 " in h.shown() and "step 7" in h.shown())
        assert "hhmrs restore architect 7 --to FOLDER" in " ".join(h.shown().split())
        assert "step 8" not in h.shown()
        await h.press("4")
        await h.until(
            lambda: "2 newer than checkpoint 7" in h.shown() or "1 newer than checkpoint 7" in h.shown()
        )
        await h.press("escape")
        await h.until(lambda: h.agents.has_focus)
        await h.press("j")
        await h.until(lambda: h.agents.agent == "dir-code")
        await h.until(lambda: "newer than checkpoint 8" in h.shown())


async def test_a_checkpoint_is_brought_back_into_a_folder_that_the_person_names(working: Any) -> None:
    async with hands(working, (100, 30)) as h:
        await h.press("b")
        await h.until(lambda: "choose a checkpoint in tab 5 first" in h.toasts())
        await read(h, "5")
        await h.press("b")
        await h.until(lambda: isinstance(h.app.screen, FolderScreen))
        assert "checkpoint 8" in h.shown()
        await h.press(*"not/full", "enter")
        await h.until(lambda: "not/full is no full path" in h.toasts())
        assert working.work.restored == []
        await h.press("b", *"/tmp/back", "enter")
        await h.until(lambda: working.work.restored == [("architect", 8, Path("/tmp/back"))])
        await h.until(lambda: "3 files are in /tmp/back" in h.toasts())
        await h.press("b")
        await h.until(lambda: "~/restored-architect-8" in h.shown())
        await h.press("enter")  # what is offered is taken as it stands
        offered = ("architect", 8, Path.home() / "restored-architect-8")
        await h.until(lambda: working.work.restored[1:] == [offered])


async def test_why_something_cannot_be_shown_is_said(scripted: Any) -> None:
    async with hands(scripted, (80, 24)) as h:
        await read(h, "5")
        assert "it has no checkpoints yet" in h.shown()
        await h.press("4")
        await h.until(lambda: "no files, or git ignores them all" in h.shown())
        scripted.work.found = Files("/w", (FileSeen("only", time.time(), 1),), 1)
        await h.until(lambda: "only" in h.shown())
        await h.press("j", "enter")
        await h.until(lambda: "no snapshot of its workspace was taken yet" in h.shown())
        await h.press("7")
        await h.until(lambda: "keeps no transcript that could be read" in h.shown())


async def test_the_timeline_folds_its_incidents(scripted: Any) -> None:
    for ago, incident in ((500, "i1"), (50, "i2")):
        scripted.happen(
            "hhmrs_timeout",
            "architect",
            ago=ago,
            incident=incident,
            symptom="stalled",
            reason=f"of {incident}",
        )
        scripted.happen(
            "hhmrs_recovered", "architect", ago=ago - 20, incident=incident, proof=f"proof {incident}"
        )
    async with hands(scripted, (100, 30)) as h:
        await read(h, "2")
        await h.until(lambda: "proof i2" in h.shown())
        assert h.shown().count("stalled: recovered after 20s") == 2
        assert "proof i1" not in h.shown()
        await h.press("enter")
        await h.until(lambda: "proof i2" not in h.shown())
        await h.press("j", "j", "enter")
        await h.until(lambda: "proof i1" in h.shown())
        view = h.screen.query_one("#timeline", PickView)
        assert view.chosen == "i1"


async def test_the_cursor_stays_with_its_file_when_another_changes(working: Any) -> None:
    async with hands(working, (100, 30)) as h:
        await read(h, "4")
        view = h.screen.query_one("#work", PickView)
        await h.press("j")
        assert view.chosen == "README"
        now = time.time()
        working.work.found = Files("/w", (FileSeen("brand-new", now, 1), *working.work.found.newest), 3)
        await h.until(lambda: "brand-new" in h.shown())
        assert view.chosen == "README"
        await h.press("g")
        assert view.cursor == 0
        await h.press("G")
        assert view.chosen == "README"


@pytest.mark.parametrize("size", SIZES)
async def test_the_tabs_fit_their_line(working: Any, size: tuple[int, int]) -> None:
    async with hands(working, size) as h:
        for number, name in enumerate(AgentHead.TABS, 1):
            await h.press(str(number))
            head = str(h.screen.query_one(AgentHead).render()).splitlines()[-1]
            tabs = head[: h.screen.query_one(AgentHead).size.width]
            assert f"{number} {name}" in tabs
            assert all(str(other) in tabs for other in range(1, 8))


async def test_the_tabs_go_round_and_can_be_clicked(working: Any) -> None:
    async with hands(working) as h:
        await h.press("left_square_bracket")
        assert h.screen.tab == "usage"
        await h.press("right_square_bracket")
        assert h.screen.tab == "pane"
        head = str(h.screen.query_one(AgentHead).render()).splitlines()[-1]
        await h.pilot.click(AgentHead, offset=(head.index("4"), 2))
        await h.until(lambda: h.screen.tab == "work")
        await h.until(lambda: "src/parser.py" in h.shown())
        view = h.screen.query_one("#work", PickView)
        line = next(n for n, what in view._picks.items() if what == "README")
        await h.pilot.click("#work", offset=(5, line), times=2)
        await h.until(lambda: "+new line" in h.shown())


async def test_usage_is_drawn_from_the_looks_of_this_screen(working: Any) -> None:
    async with hands(working, (100, 30)) as h:
        for _ in range(3):
            h.screen.samples._next = 0.0
            await h.until(partial(looked, working, working.looks + 1))
        await read(h, "7")
        await h.until(lambda: "one sample in 5 s" in h.shown())
        assert "/home/u/session.jsonl" in h.shown()
        assert "cost     -" in h.shown()
