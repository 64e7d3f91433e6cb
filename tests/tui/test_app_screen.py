"""The screen as a person meets it: what is shown, what keys do, what is never lost."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from rich.text import Text
from textual.widgets import Input, OptionList

from hhmrs.healing.nudges import RESCUE
from hhmrs.tests.tui.hands import hands
from hhmrs.tui.app import export_svg, farewell
from hhmrs.tui.rows import Row
from hhmrs.tui.screens.confirm import ConfirmScreen
from hhmrs.tui.screens.help import HelpScreen
from hhmrs.tui.screens.typing import TypingScreen
from hhmrs.tui.widgets.bars import Headline, KeyBar, OneLine
from hhmrs.tui.widgets.fleet_lines import Columns
from hhmrs.tui.widgets.fleet_list import FleetList
from hhmrs.tui.widgets.pane import PaneView, StillView
from hhmrs.tui.widgets.tron import TronBar

FIRST_KEYS = ["j", "enter", "escape", "2", "3", "1", "r", "escape", "t", "escape"]
LATER_KEYS = ["question_mark", "escape", "slash", "x", "escape", "G"]


async def test_the_tree_shows_glyph_word_age_and_tries(scripted: Any) -> None:
    async with hands(scripted) as h:
        text = h.shown()
        for word in (
            "● Architect",
            "recovering",
            "◆ programmer-02 waiting",
            "▲ tester-01",
            "escalated",
            "×6",
            "limited",
        ):
            assert word in text
        assert "nightly" in text
        assert "armed" in text


async def test_the_pane_of_the_selected_agent_is_live(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.until(lambda: "Reading SPEC.md" in h.shown())
        scripted.lines.append("\x1b[32ma new line\x1b[0m")
        await h.until(lambda: "a new line" in h.shown())
        await h.press("j")
        await h.until(lambda: scripted.panes_read[-1] == "dir-code")


async def test_a_pane_is_read_only_while_it_is_in_sight(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.until(lambda: scripted.panes_read)
        await h.press("2")
        await h.pilot.pause(0.3)
        before, looks = len(scripted.panes_read), scripted.looks
        await h.until(lambda: scripted.looks > looks + 3)
        assert len(scripted.panes_read) == before


async def test_hostile_pane_text_stays_inert(scripted: Any) -> None:
    scripted.lines = [
        "[bold red]markup[/] [@click=app.quit]x[/]",
        "\x1b]0;owned\x07\x1b[2Jclear",
        "\x1b[5;5Hmoved",
    ]
    async with hands(scripted) as h:
        await h.until(lambda: "moved" in h.shown())
        text = h.shown()
        assert "[bold red]markup[/] [@click=app.quit]x[/]" in text
        assert "owned" not in text
        assert not set(text) & {"\x1b", "\x07"}


async def test_hostile_titles_and_messages_stay_inert(scripted: Any) -> None:
    scripted.agents = [("[red]a[/]", None, "working", "shell", "[red]x[/] \x1b[2J [@click=app.bell]y[/]")]
    async with hands(scripted) as h:
        assert "[red]x[/]" in h.shown()
        await h.press("ctrl+p")
        await h.press(*"go to")
        await h.until(lambda: "Go to [red]a[/]" in h.shown())


async def test_moving_and_folding(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("j", "down")
        assert h.agents.agent == "programmer-01"
        await h.press("h")
        assert h.agents.agent == "dir-code"
        await h.press("z")
        assert "programmer-01" not in h.shown()
        assert "+4 ◆1" in h.shown()
        await h.press("l", "l")
        assert h.agents.agent == "programmer-01"
        await h.press("G")
        assert h.agents.agent == "tester-02"
        await h.press("g")
        assert h.agents.agent == "architect"
        await h.press("w")
        assert h.agents.agent == "tester-01"


async def test_the_selection_stays_with_its_agent(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.select("writer-01")
        scripted.agents.insert(2, ("newcomer", "dir-code", "working", "shell", ""))
        await h.until(lambda: "newcomer" in h.shown())
        assert h.agents.agent == "writer-01"
        scripted.agents = [a for a in scripted.agents if a[0] != "writer-01"]
        await h.until(lambda: h.agents.agent == "writer-02")


async def test_the_filter_keeps_ancestors_and_escape_leaves(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("slash", *"tester")
        await h.until(lambda: "Dir-Docs" not in h.shown())
        assert "Architect" in h.shown()
        assert "Dir-Test" in h.shown()
        await h.press("enter")
        assert h.agents.has_focus
        assert h.screen.listing.needle == "tester"
        await h.press("escape")
        await h.until(lambda: "Dir-Docs" in h.shown())
        assert not h.screen.query_one("#filter", Input).has_class("-open")


async def test_the_bar_shows_interventions_pulses_and_can_be_dismissed(scripted: Any) -> None:
    async with hands(scripted) as h:
        bar = h.screen.query_one(TronBar)
        assert not bar.display
        scripted.happen("hhmrs_timeout", "dir-code", incident="i1", reason="silent")
        await h.until(lambda: bar.display)
        await h.until(lambda: h.shown().splitlines()[0].startswith(" ⚡ TRON  ⏱ Dir-Code timeout · "))
        await h.until(lambda: not bar.bright)
        assert bar.styles.background.hex.lower() == "#ff6c00"
        await h.press("x")
        await h.until(lambda: not bar.display)
        scripted.happen("hhmrs_restart", "dir-code", incident="i1")
        looks = scripted.looks
        await h.until(lambda: scripted.looks > looks + 2)
        assert not bar.display
        scripted.happen("hhmrs_timeout", "tester-01", incident="i2")
        await h.until(lambda: bar.display)


async def test_the_timeline_and_the_explanation(scripted: Any) -> None:
    scripted.happen("hhmrs_restart", "architect", ago=12, incident="i1", reason="attempt 1 of 3")
    async with hands(scripted) as h:
        await h.press("2")
        await h.until(lambda: "attempt 1 of 3" in h.shown())
        assert "12s" in h.shown() or "13s" in h.shown()
        await h.press("right_square_bracket")
        await h.until(lambda: "next: nothing" in h.shown())
        await h.press("1")
        await h.until(lambda: "Reading SPEC.md" in h.shown())


async def test_a_recovery_is_confirmed_then_sent_then_answered(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.select("programmer-01")
        await h.press("r")
        await h.until(lambda: isinstance(h.app.screen, ConfirmScreen))
        text = h.shown()
        assert "Restart programmer-01" in text
        assert "end pid 4002 and its children: TERM, 5s, KILL" in text
        assert scripted.orders == []
        await h.press("escape")
        assert scripted.orders == []
        await h.press("r", "enter")
        await h.until(lambda: scripted.orders == [("restart", "programmer-01", {})])
        scripted.answer(False, "a recovery is just being carried out")
        await h.until(lambda: "restart failed: a recovery is just being" in h.toasts())


async def test_a_nudge_shows_the_very_text(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("n")
        await h.until(lambda: isinstance(h.app.screen, ConfirmScreen))
        assert RESCUE[:40] in h.shown()


async def test_reassign_names_the_next_seat_and_offers_the_others(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("R")
        await h.until(lambda: bool(h.app.screen.query(OptionList)))
        assert "opencode  (next in turn)" in h.shown()
        await h.press("down", "enter")
        await h.until(lambda: scripted.orders == [("reassign", "architect", {"to": "codex"})])


async def test_pause_and_unpause_share_a_key(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.select("writer-02")
        await h.until(lambda: "p unpause" in h.shown())
        await h.press("p", "enter")
        await h.until(lambda: scripted.orders == [("unpause", "writer-02", {})])


async def test_typing_previews_what_is_sent_and_answers_a_question(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.select("programmer-02")
        await h.press("t")
        await h.until(lambda: isinstance(h.app.screen, TypingScreen))
        assert "as the answer" in h.shown()
        await h.press(*"yes")
        await h.press("enter")
        await h.until(lambda: scripted.orders == [("send", "programmer-02", {"text": "yes", "answer": "1"})])


async def test_a_stopped_daemon_is_told_in_the_head_line(scripted: Any) -> None:
    async with hands(scripted) as h:
        assert "DAEMON STOPPED" not in h.shown()
        scripted.frozen = True
        await h.until(lambda: "DAEMON STOPPED" in h.shown())
        assert "kill -CONT 1" in h.shown()
        scripted.frozen = False
        await h.until(lambda: "DAEMON STOPPED" not in h.shown())


async def test_without_a_daemon_all_is_shown_and_nothing_is_sent(scripted: Any) -> None:
    scripted.up = False
    async with hands(scripted) as h:
        assert "NO DAEMON" in h.shown()
        assert "hhmrs up" in h.shown()
        assert "Dir-Code" in h.shown()
        await h.press("r")
        await h.until(lambda: isinstance(h.app.screen, ConfirmScreen))
        assert "Not now: no daemon is running" in h.shown()
        await h.press("enter")
        await h.until(lambda: h.app.screen is h.screen)
        assert scripted.orders == []
        assert "No daemon" in farewell(h.screen.fleet)


async def test_a_fault_of_the_source_is_shown_and_survived(scripted: Any) -> None:
    async with hands(scripted) as h:
        scripted.fault = "disk on fire"
        await h.until(lambda: "disk on fire" in h.shown())
        assert "Dir-Code" in h.shown()
        scripted.fault = ""
        await h.until(lambda: "disk on fire" not in h.shown())


async def test_help_lists_every_key_and_why_some_are_off(scripted: Any) -> None:
    async with hands(scripted, (100, 100)) as h:
        await h.press("question_mark")
        await h.until(lambda: isinstance(h.app.screen, HelpScreen))
        assert "off: nothing to clear" in h.shown()
        assert "the agent's live pane" in h.shown()
        await h.press("escape")
        assert h.app.screen is h.screen


async def test_the_palette_finds_orders_and_agents(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("ctrl+p")
        await h.press(*"goto tester-02")
        await h.until(lambda: "Go to tester-02" in h.shown())
        await h.press("enter")
        await h.until(lambda: h.agents.agent == "tester-02")


async def test_enter_gives_the_agent_the_screen_and_escape_comes_back(scripted: Any) -> None:
    async with hands(scripted, (80, 24)) as h:
        await h.press("enter")
        await h.until(lambda: not h.agents.display)
        assert h.screen.query_one(PaneView).has_focus
        await h.press("escape")
        await h.until(lambda: h.agents.display)
        assert h.agents.has_focus


async def test_tab_goes_between_the_tree_and_the_agent(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("tab")
        assert h.screen.query_one(PaneView).has_focus
        await h.press("3")
        assert h.screen.query_one("#explain", StillView).has_focus
        await h.press("tab")
        assert h.agents.has_focus


async def test_attaching_where_it_cannot_be_says_what_to_run(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("a")
        await h.until(lambda: "tmux -L hhmrs-test-none attach" in h.toasts())


@pytest.mark.parametrize("size", [(132, 36), (80, 24), (60, 20), (40, 10)])
async def test_every_size_works(scripted: Any, size: tuple[int, int]) -> None:
    scripted.happen("hhmrs_restart", "dir-code", incident="i1", reason="x" * 300)
    async with hands(scripted, size) as h:
        for key in FIRST_KEYS + LATER_KEYS:
            await h.press(key)
        assert h.agents.agent == "tester-02"
        lines = h.shown().splitlines()
        assert len(lines) == size[1]


async def test_it_can_be_made_smaller_and_larger_while_it_runs(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("G")
        for size in ((80, 24), (40, 10), (132, 36)):
            await h.pilot.resize_terminal(*size)
            await h.until(partial(h.fills, *size))
            assert "tester-0" in h.shown()
            assert h.agents.agent == "tester-02"


async def test_the_two_layouts(scripted: Any) -> None:
    async with hands(scripted, (80, 24)) as h:
        agent = h.screen.query_one("#agent")
        assert agent.region.y > h.agents.region.y
        await h.pilot.resize_terminal(120, 30)
        await h.until(lambda: agent.region.x > h.agents.region.x and agent.region.y == h.agents.region.y)


async def test_plain_glyphs_use_no_letter_beyond_ascii(scripted: Any) -> None:
    scripted.happen("hhmrs_restart", "dir-code", incident="i1")
    async with hands(scripted, plain=True) as h:
        await h.until(lambda: "TRON" in h.shown())
        listed = [h.agents.draw(i).plain for i in range(len(scripted.agents))]
        bars = [str(h.screen.query_one(kind).render()) for kind in (TronBar, Headline, KeyBar)]
        text = "\n".join(listed + bars).replace("×", "x").replace("…", ".").replace("·", "-")
        assert text.isascii(), [ch for ch in text if not ch.isascii()]
        assert "> @ Dir-Code" not in text
        assert "+ Dir-Code" in text


async def test_without_colour_nothing_is_lost(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with hands(scripted) as h:
        assert h.app.no_color
        assert "↻ Dir-Code" in h.shown()
        assert "▌" in h.shown()


async def test_a_thousand_agents_paint_only_the_lines_that_changed(scripted: Any) -> None:
    scripted.agents = [(f"a{i:04}", None, "idle", "shell", "") for i in range(1000)]
    async with hands(scripted) as h:
        painted: list[int] = []
        real = h.agents.draw

        def counted(index: int) -> Text:
            painted.append(index)
            return real(index)

        h.agents.draw = counted  # type: ignore[method-assign]  # counts what is painted
        await h.until(lambda: h.screen.seen.fleet.agents)
        h.screen.paint()
        await h.pilot.pause()
        painted.clear()
        rows = list(h.agents._rows)
        assert isinstance(rows[3], Row)
        rows[3] = replace(rows[3], message="new")
        h.agents.put(tuple(rows), h.screen.fleet.at)
        await h.until(lambda: 3 in painted)
        assert len(set(painted)) <= h.agents.size.height


async def test_quitting_says_that_everything_goes_on(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("q")
        await h.until(lambda: h.app._exit)
        assert h.app.return_value == 0
        said = farewell(h.screen.fleet)
        assert "keep running" in said
        assert "hhmrs down" in said


def test_columns_always_fit() -> None:
    for width in range(1, 200):
        for wanted in (1, 10, 40, 100):
            c = Columns.fit(width, wanted)
            used = 1 + c.name + sum(part + 1 for part in (c.phase, c.seen, c.tries, c.bar, c.message) if part)
            assert used <= max(width, 5), (width, wanted, c)


def test_a_picture_of_the_real_screen(scripted: Any, tmp_path: Any) -> None:
    scripted.happen("hhmrs_restart", "dir-code", incident="i1", reason="attempt 1 of 3")
    export_svg(scripted, tmp_path / "shot.svg", (110, 30))
    svg = (tmp_path / "shot.svg").read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    assert "Dir-Code" in svg.replace("&#160;", " ")
    assert "#ff6c00" in svg


async def test_no_part_of_ours_parses_markup(scripted: Any) -> None:
    async with hands(scripted) as h:
        parts = list(h.screen.query(OneLine))
        assert parts
        assert not [part for part in parts if part._render_markup]


async def test_the_key_bar_and_the_tabs_can_be_clicked(scripted: Any) -> None:
    async with hands(scripted) as h:
        text = str(h.screen.query_one(KeyBar).render())
        await h.pilot.click(KeyBar, offset=(text.index("nudge") + 1, 0))
        await h.until(lambda: isinstance(h.app.screen, ConfirmScreen))
        await h.press("escape")
        await h.pilot.click(FleetList, offset=(5, 3))
        assert h.agents.agent == "programmer-01"
        await h.pilot.click(FleetList, offset=(5, 2), times=2)
        await h.until(lambda: not h.agents.display)
        assert h.agents.agent == "dir-code"


async def test_long_reasons_go_on_below(scripted: Any) -> None:
    scripted.happen("hhmrs_restart", "architect", ago=12, incident="i1", reason="word " * 40 + "the end")
    async with hands(scripted, (80, 24)) as h:
        await h.press("2")
        await h.until(lambda: "the end" in h.shown())


async def test_text_can_be_selected(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.until(lambda: "Reading SPEC.md" in h.shown())
        await h.pilot.mouse_down(PaneView, offset=(1, 2))
        await h.pilot.hover(PaneView, offset=(12, 2))
        await h.pilot.mouse_up(PaneView, offset=(12, 2))
        assert "Reading" in (h.screen.get_selected_text() or "")
