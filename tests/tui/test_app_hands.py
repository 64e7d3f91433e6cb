"""Hands: what a person is shown before an order, the words they add, many agents at once, answers, undo."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from textual.widgets import Input, TextArea

from hhmrs.tests.tui.hands import Hands, hands
from hhmrs.tui.screens.answer import AnswerScreen
from hhmrs.tui.screens.attach import hinted, way_back
from hhmrs.tui.screens.confirm import ConfirmScreen
from hhmrs.tui.screens.editing import EditScreen
from hhmrs.tui.screens.outcomes import OutcomesScreen

SMALL = (60, 20)


async def opened(h: Hands, kind: type) -> Any:
    await h.until(lambda: isinstance(h.app.screen, kind))
    return h.app.screen


async def test_before_a_restart_processes_and_handoff_are_shown(scripted: Any) -> None:
    async with hands(scripted, (100, 40)) as h:
        await h.select("programmer-01")
        await h.press("r")
        await h.until(lambda: "ends 2 processes: 4002 python3 worker.py, 4711 pytest -q" in h.shown())
        assert "The handoff it gets, as it would be now" in h.shown()
        assert "The task is yours." in h.shown()
        assert scripted.hands.asked == [("restart", "programmer-01", {})]
        assert scripted.orders == []


async def test_what_was_told_before_does_not_cover_the_dialog_that_opens(scripted: Any) -> None:
    async with hands(scripted, (100, 30)) as h:
        await h.press("f")
        await h.until(lambda: "nothing is searched for" in h.shown())
        await h.press("r")
        await opened(h, ConfirmScreen)
        await h.until(lambda: "enter restart   n note   e edit handoff   esc cancel" in h.shown())
        assert "nothing is searched for" not in h.shown()


async def test_when_nothing_can_be_looked_at_the_order_can_still_be_given(scripted: Any) -> None:
    scripted.hands.fault = "no such [red]disk[/]"
    async with hands(scripted, (100, 40)) as h:
        await h.press("r")
        await h.until(lambda: "cannot be looked at: no such [red]disk[/]" in h.shown())
        await h.press("enter")
        await h.until(lambda: scripted.orders == [("restart", "architect", {})])


async def test_a_note_goes_into_the_preview_and_into_the_letter(scripted: Any) -> None:
    async with hands(scripted, (100, 40)) as h:
        await h.press("r")
        await opened(h, ConfirmScreen)
        await h.press("n")
        editing = await opened(h, EditScreen)
        editing.query_one(TextArea).insert("use uv,\nnot pip")
        await h.press("ctrl+o")
        await h.until(lambda: "the person says: use uv," in h.shown())
        assert "with your note" in h.shown()
        await h.press("enter")
        await h.until(lambda: scripted.orders == [("restart", "architect", {"note": "use uv,\nnot pip"})])


async def test_the_handoff_can_be_changed_and_a_cancelled_change_is_none(scripted: Any) -> None:
    async with hands(scripted, (100, 40)) as h:
        await h.press("r")
        await h.until(lambda: "The task is yours." in h.shown())
        await h.press("e")
        editing = await opened(h, EditScreen)
        assert "The task is yours." in editing.query_one(TextArea).text
        editing.query_one(TextArea).text = "thrown away"
        await h.press("escape")
        await opened(h, ConfirmScreen)
        await h.press("e")
        editing = await opened(h, EditScreen)
        editing.query_one(TextArea).text = "Only mend the tests."
        await h.press("f2")
        await h.until(lambda: "in your own version" in h.shown())
        await h.press("enter")
        await h.until(
            lambda: scripted.orders == [("restart", "architect", {"handoff": "Only mend the tests."})]
        )


async def test_a_note_that_is_too_long_is_not_taken_and_says_so(scripted: Any) -> None:
    async with hands(scripted, SMALL) as h:
        await h.press("r", "n")
        editing = await opened(h, EditScreen)
        editing.query_one(TextArea).text = "x" * 4001
        await h.until(lambda: "at most 4000 are taken" in h.shown())
        await h.press("ctrl+o")
        assert h.app.screen is editing
        assert "esc" in h.shown()


async def test_any_other_profile_can_be_typed_and_a_wrong_one_says_why(scripted: Any) -> None:
    async with hands(scripted, (100, 40)) as h:
        await h.press("R")
        await opened(h, ConfirmScreen)
        await h.press("end", "enter")
        await h.press(*"nonsense", "enter")
        await h.until(lambda: "Not now: unknown profile 'nonsense'" in h.shown())
        assert scripted.orders == []
        seat = h.app.screen.query_one("#seat", Input)
        seat.value = "codex"
        await h.press("enter")
        await h.until(lambda: scripted.orders == [("reassign", "architect", {"to": "codex"})])


async def test_an_order_goes_to_all_marked_with_one_summary(scripted: Any) -> None:
    async with hands(scripted, (100, 40)) as h:
        h.screen._marks = frozenset({"programmer-01", "programmer-03", "programmer-04"})
        await h.press("p")
        await opened(h, ConfirmScreen)
        assert "Pause 2 of 3 marked agents" in h.shown()
        assert "programmer-04: it is done; there is nothing to pause" in h.shown()
        await h.press("enter")
        await h.until(lambda: len(scripted.orders) == 2)
        assert sorted(scripted.orders) == [("pause", "programmer-01", {}), ("pause", "programmer-03", {})]
        await h.until(lambda: h.screen.ordering.desk.waiting() == 2)
        for letter, agent in (("letter-1", scripted.orders[0][1]), ("letter-2", scripted.orders[1][1])):
            scripted.happen("operator_outcome", agent, letter=letter, ok=True, message="paused")
        await h.until(lambda: "pause: 2 done" in h.toasts())
        await h.press("L")
        await opened(h, OutcomesScreen)
        assert "pause: 2 done" in h.shown()
        assert "programmer-01: pause done: paused" in h.shown()


async def test_a_broadcast_reaches_all_marked_but_those_that_ask(scripted: Any) -> None:
    async with hands(scripted, (100, 40)) as h:
        h.screen._marks = frozenset({"programmer-01", "programmer-02"})
        await h.press("t")
        await h.until(lambda: "Type to 1 of 2 marked agents" in h.shown())
        assert "answer it by itself with y" in h.shown()
        await h.press(*"stop", "enter")
        await h.until(lambda: scripted.orders == [("send", "programmer-01", {"text": "stop"})])


async def test_a_whole_subtree_is_paused_with_numbers(scripted: Any) -> None:
    async with hands(scripted, (100, 40)) as h:
        await h.select("dir-docs")
        await h.press("P")
        await opened(h, ConfirmScreen)
        assert "Pause 2 of 3 agents: Dir-Docs and all below it" in h.shown()
        assert "writer-02: it is already paused" in h.shown()
        await h.press("enter")
        await h.until(lambda: len(scripted.orders) == 2)
        assert {agent for _, agent, _ in scripted.orders} == {"dir-docs", "writer-01"}


async def test_a_question_is_shown_and_answered_by_its_key(scripted: Any) -> None:
    scripted.lines = ["Do you want to proceed?", "❯ 1. Yes", "  2. Yes, always", "  3. No"]
    async with hands(scripted, (100, 40)) as h:
        await h.select("programmer-02")
        await h.until(lambda: "y answer" in h.shown())
        await h.press("y")
        await h.until(lambda: bool(h.app.screen.query("#replies")) and "2. Yes, always" in h.shown())
        assert "Do you want to proceed?" in h.shown()
        await h.press("down")
        await h.until(lambda: "enter presses the key 2, and no Enter" in h.shown())
        await h.press("enter")
        sent = ("send", "programmer-02", {"text": "2", "answer": "1", "key": "1"})
        await h.until(lambda: scripted.orders == [sent])
        scripted.answer(True, "pressed 2")
        scripted.agents[3] = ("programmer-02", "dir-code", "working", "shell", "")
        await h.until(lambda: "programmer-02 took the answer: it is working" in h.toasts())


async def test_an_answer_to_a_screen_that_changed_is_held_back(
    scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hhmrs.tui.screens.answer.EVERY", 3600.0)
    scripted.lines = ["Remove build?", "❯ 1. Yes", "  2. No"]
    async with hands(scripted, (100, 40)) as h:
        await h.select("programmer-02")
        await h.press("y")
        await h.until(lambda: "Remove build?" in h.shown())
        scripted.lines = ["Remove src?", "❯ 1. Yes", "  2. No"]
        await h.press("enter")
        await h.until(lambda: "its screen has changed: nothing was typed" in h.shown())
        assert "Remove src?" in h.shown()
        assert scripted.orders == []
        await h.press("enter")
        await h.until(lambda: len(scripted.orders) == 1)


async def test_a_letter_is_answered_by_its_options_or_in_own_words(scripted: Any) -> None:
    scripted.happen("agent_asked", "programmer-02", question="Which way?", options=["left", "right"])
    async with hands(scripted, SMALL) as h:
        await h.select("programmer-02")
        await h.press("y")
        await h.until(lambda: "right" in h.shown())
        assert "Which way?" in h.shown()
        await h.press("tab", *"up", "enter")
        await h.until(lambda: scripted.orders == [("send", "programmer-02", {"text": "up", "answer": "1"})])


async def test_who_asks_nothing_cannot_be_answered_and_says_why(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("y")
        await h.until(lambda: "nothing to answer: it asks nothing: it is working" in h.toasts())
        assert not isinstance(h.app.screen, AnswerScreen)


async def test_undo_takes_back_what_can_be_and_says_what_cannot(scripted: Any) -> None:
    async with hands(scripted, (100, 40)) as h:
        await h.select("programmer-01")
        await h.press("U")
        await h.until(lambda: "nothing was done from this screen" in h.toasts())
        for key, order in (("p", "pause"), ("r", "restart")):
            await h.press(key, "enter")
            await h.until(lambda: h.screen.ordering.desk.waiting() == 1)
            scripted.answer(True, "done")
            await h.until(lambda: h.screen.ordering.desk.waiting() == 0)
            if order == "pause":
                scripted.agents[2] = ("programmer-01", "dir-code", "paused", "shell", "")
                await h.until(lambda: "p unpause" in h.shown())
                await h.press("U")
                await h.until(lambda: scripted.orders[-1] == ("unpause", "programmer-01", {}))
                await h.until(lambda: h.screen.ordering.desk.waiting() == 1)
                scripted.answer(True, "watched again")
                await h.until(lambda: h.screen.ordering.desk.waiting() == 0)
                scripted.agents[2] = ("programmer-01", "dir-code", "working", "shell", "")
        await h.press("U")
        await h.until(lambda: "a restart cannot be undone" in h.toasts())


async def test_an_undo_that_starts_a_process_asks_first(scripted: Any) -> None:
    async with hands(scripted, (100, 40)) as h:
        await h.select("programmer-01")
        await h.press("s", "enter")
        await h.until(lambda: h.screen.ordering.desk.waiting() == 1)
        scripted.answer(True, "stopped")
        await h.until(lambda: h.screen.ordering.desk.waiting() == 0)
        scripted.agents[2] = ("programmer-01", "dir-code", "stopped", "shell", "")
        await h.until(lambda: h.screen.fleet.by_id["programmer-01"].phase.value == "stopped")
        await h.press("U")
        await opened(h, ConfirmScreen)
        assert "Undo stop of programmer-01: start" in h.shown()
        assert len(scripted.orders) == 1
        await h.press("enter")
        await h.until(lambda: scripted.orders[-1] == ("start", "programmer-01", {}))


async def test_a_dismissed_bar_comes_back(scripted: Any) -> None:
    scripted.happen("hhmrs_timeout", "dir-code", incident="i1", reason="silent")
    async with hands(scripted) as h:
        await h.until(lambda: "TRON" in h.shown())
        await h.press("x")
        await h.until(lambda: "TRON" not in h.shown())
        await h.press("U")
        await h.until(lambda: "TRON" in h.shown())


@pytest.mark.parametrize("keys", ["r", "R", "n", "s", "p", "P", "c", "t", "L"])
async def test_every_dialog_shows_its_way_out_on_a_small_screen(scripted: Any, keys: str) -> None:
    async with hands(scripted, SMALL) as h:
        await h.select("programmer-01")
        await h.press(keys)
        await h.until(lambda: h.app.screen is not h.screen)
        await h.until(lambda: "esc" in h.shown())
        assert [len(line) for line in h.shown().splitlines()] == [SMALL[0]] * SMALL[1]
        await h.press("escape")
        await h.until(lambda: h.app.screen is h.screen)
        assert scripted.orders == []


async def test_after_the_pane_was_attached_one_is_where_one_was(
    scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Any] = []

    class Suspended:
        def __enter__(self) -> None:
            ran.append("away")

        def __exit__(self, *_: object) -> None:
            ran.append("back")

    argv = [sys.executable, "-c", "import sys; sys.exit(3)"]
    monkeypatch.setattr(scripted, "attach_argv", lambda agent, *, watch=False: [*argv, agent, str(watch)])
    async with hands(scripted) as h:
        monkeypatch.setattr(h.app, "suspend", Suspended)
        await h.select("writer-01")
        await h.press("2", "A")
        await h.until(lambda: "attach to writer-01 ended with status 3" in h.toasts())
        assert ran == ["away", "back"]
        assert (h.agents.agent, h.screen.tab) == ("writer-01", "timeline")
        looks = scripted.looks
        await h.until(lambda: scripted.looks > looks + 1)


def test_the_way_back_is_said_for_a_tmux_within_a_tmux() -> None:
    assert way_back({}) == "ctrl+b d comes back"
    assert way_back({"TMUX": "/tmp/x,1,0"}).startswith("ctrl+b ctrl+b d comes back")
    assert hinted(["tmux", "attach"], "hint")[2:] == [";", "display-message", "-d", "8000", "hint"]


async def test_a_subtree_of_a_thousand_is_one_question(scripted: Any) -> None:
    scripted.agents = [(f"a{i:04}", None if i == 0 else "a0000", "idle", "shell", "") for i in range(1000)]
    async with hands(scripted) as h:
        await h.select("a0000")
        await h.press("P")
        await opened(h, ConfirmScreen)
        assert "Pause 1000 agents: a0000 and all below it" in h.shown()
        assert "and 988 more" in h.shown()
