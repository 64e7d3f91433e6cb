"""The settings screen on a real fleet file: what is shown, what is written, what is refused and why."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, OptionList

from hhmrs.config.editing import Value
from hhmrs.config.loading import load_fleet
from hhmrs.config.paths import StateDir
from hhmrs.config.settings import settings
from hhmrs.tests.tui.hands import Hands, hands
from hhmrs.tui.screens.changing import PreviewScreen, ValueScreen
from hhmrs.tui.screens.help import HelpScreen
from hhmrs.tui.screens.settings import SettingsScreen
from hhmrs.tui.settings import Change, Sheet, rows
from hhmrs.tui.sources.settings import FleetFile

FILE = """\
# What runs here.
fleet: nightly
policy:                 # for all
  mode: armed           # or observe
  task_deadline: 4h     # long

agents:
  architect: {command: [x]}
  dir-code:
    parent: architect
    command: [x]
    policy: {task_deadline: 6h}
  programmer: {parent: dir-code, command: [x], count: 3}
"""


def text_of(file: Path) -> str:
    return file.read_bytes().decode("utf-8")


def put(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8"))


def take_away(file: Path) -> None:
    file.unlink()


@pytest.fixture
def file(tmp_path: Path, scripted: Any) -> Path:
    path = tmp_path / "hhmrs.yaml"
    put(path, FILE)
    scripted.settings = FleetFile(StateDir(tmp_path / "state", "nightly"), path)
    return path


@asynccontextmanager
async def opened(source: Any, size: tuple[int, int] = (100, 30)) -> AsyncGenerator[Hands]:
    async with hands(source, size) as h:
        await h.press("comma")
        await h.until(lambda: isinstance(h.app.screen, SettingsScreen) and h.app.screen.sheet is not None)
        yield h


def screen(h: Hands) -> SettingsScreen:
    here = h.app.screen
    assert isinstance(here, SettingsScreen)
    return here


async def go_to(h: Hands, key: str) -> None:
    """The cursor on a key."""
    here = screen(h)
    here.table.move_to([row.setting.key for row in here.table._rows].index(key))
    await h.until(lambda: f"{key} =" in h.shown() or here.has_class("-low"))


async def type_value(h: Hands, text: str) -> None:
    await h.press("enter")
    await h.until(lambda: isinstance(h.app.screen, ValueScreen))
    line = h.app.screen.query_one(Input)
    line.value = text
    await h.press("enter")


async def preview(h: Hands) -> PreviewScreen:
    await h.until(lambda: isinstance(h.app.screen, PreviewScreen))
    here = h.app.screen
    assert isinstance(here, PreviewScreen)
    return here


async def write(h: Hands) -> None:
    await preview(h)
    await h.press("y")
    await h.until(lambda: isinstance(h.app.screen, SettingsScreen) and not screen(h)._busy)
    await h.until(lambda: sheet(h).raw == sheet(h).path.read_bytes())


def sheet(h: Hands) -> Sheet:
    found = screen(h).sheet
    assert found is not None
    return found


def value(h: Hands) -> Value:
    """What the selected line says."""
    row = screen(h).table.row
    assert row is not None
    return row.value


async def test_every_setting_is_there_with_value_default_and_origin(scripted: Any, file: Path) -> None:
    async with opened(scripted) as h:
        assert [row.setting.key for row in screen(h).table._rows] == list(settings())
        text = h.shown()
        assert "task_deadline" in text
        assert "fleet file, line 5" in text
        await go_to(h, "task_deadline")
        await h.until(lambda: "with a value of their own: dir-code" in h.shown())
        assert "default: 2h" in h.shown()
        assert "no daemon runs: in force at its next start" in h.shown()


async def test_a_value_is_changed_and_every_other_byte_stays(scripted: Any, file: Path) -> None:
    async with opened(scripted) as h:
        await go_to(h, "task_deadline")
        await type_value(h, "5h")
        await preview(h)
        shown = h.shown()
        assert "-  task_deadline: 4h     # long" in shown
        assert "+  task_deadline: 5h     # long" in shown
        assert "dir-code has a value of its own and keeps it" in shown
        assert text_of(file) == FILE, "nothing is written before the person says so"
        await write(h)
        assert text_of(file) == FILE.replace("4h", "5h")
        await h.until(lambda: "written" in h.toasts())
        assert value(h) == "5h"


async def test_a_value_out_of_range_says_why_and_the_range(scripted: Any, file: Path) -> None:
    async with opened(scripted) as h:
        await go_to(h, "max_restarts")
        await type_value(h, "-3")
        assert isinstance(h.app.screen, ValueScreen), "it is not taken"
        assert "found '-3', expected a whole number from 0 to 1000" in " ".join(h.shown().split())
        await h.press("escape")
        await go_to(h, "heartbeat_interval")
        await type_value(h, "5s")
        here = await preview(h)
        assert "hhmrs.yaml:6:23: policy.heartbeat_interval: 5s is out of bounds" in here.preview.problems[0]
        assert "10s to 2m" in here.preview.problems[0]
        await h.press("enter")
        await h.until(lambda: isinstance(h.app.screen, SettingsScreen))
        assert text_of(file) == FILE


async def test_one_of_few_is_chosen_and_a_list_is_typed(scripted: Any, file: Path) -> None:
    async with opened(scripted) as h:
        await go_to(h, "mode")
        await h.press("enter")
        await h.until(lambda: isinstance(h.app.screen, ValueScreen))
        assert h.app.screen.query_one(OptionList).highlighted == 1, "the other one is offered"
        await h.press("enter")
        await write(h)
        assert "  mode: observe           # or observe\n" in text_of(file)
        await go_to(h, "recovery.crash")
        await type_value(h, "restart, reassign")
        await write(h)
        assert load_fleet(file).policy.recovery["crash"] == ("restart", "reassign")


async def test_the_cursor_moves_by_the_keys_of_every_screen(scripted: Any, file: Path) -> None:
    async with opened(scripted) as h:
        keys = list(settings())
        for key, there in [("j", 1), ("down", 2), ("k", 1), ("G", len(keys) - 1), ("g", 0), ("pagedown", 18)]:
            await h.press(key)
            assert screen(h).table.key == keys[there], key


async def test_an_agents_own_value_and_back_to_the_fleets(scripted: Any, file: Path) -> None:
    async with opened(scripted) as h:
        h.screen.reveal("programmer-02")
        await h.press("tab")
        await h.until(lambda: screen(h).entry == "architect")
        await h.press("right_square_bracket", "right_square_bracket")
        await h.until(lambda: screen(h).entry == "programmer")
        await go_to(h, "task_deadline")
        await type_value(h, "30m")
        await write(h)
        assert load_fleet(file).agents["programmer-02"].policy.task_deadline == 1800
        await h.until(lambda: "its own block, line 13" in h.shown())
        await h.press("d")
        await write(h)
        assert text_of(file) == FILE


async def test_undo_writes_what_was_there_and_only_that(scripted: Any, file: Path) -> None:
    async with opened(scripted) as h:
        await h.press("U")
        await h.until(lambda: "nothing was changed from here yet" in h.toasts())
        await go_to(h, "task_deadline")
        await h.press("d")
        await write(h)
        assert "task_deadline: 4h" not in text_of(file)
        await h.press("U")
        await write(h)
        assert text_of(file) == FILE
        await type_value(h, "5h")
        await write(h)
        put(file, FILE + "# by hand\n")
        await h.until(lambda: sheet(h).raw.endswith(b"by hand\n"))
        await h.press("U")
        await h.until(lambda: "changed since by somebody else" in h.toasts())
        assert text_of(file) == FILE + "# by hand\n"


async def test_a_change_by_somebody_else_meanwhile_is_not_written_over(scripted: Any, file: Path) -> None:
    async with opened(scripted) as h:
        await go_to(h, "task_deadline")
        await type_value(h, "5h")
        await preview(h)
        put(file, FILE + "# by hand\n")
        await h.press("y")
        await h.until(lambda: "changed meanwhile" in h.toasts())
        assert text_of(file) == FILE + "# by hand\n"


async def test_a_broken_file_is_shown_with_its_problems(scripted: Any, file: Path) -> None:
    put(file, FILE.replace("mode: armed", "mode: [red]armed"))
    async with opened(scripted, (100, 40)) as h:
        assert "the fleet file is not valid now" in h.shown()
        assert "hhmrs.yaml:4" in "".join(h.shown().split())
        take_away(file)
        await h.until(lambda: "the fleet file cannot be read" in h.shown())
        await h.press("enter")
        await h.until(lambda: "the fleet file cannot be read" in h.toasts())


async def test_a_broken_value_can_be_mended(scripted: Any, file: Path) -> None:
    put(file, FILE.replace("mode: armed", "mode: armd"))
    async with opened(scripted) as h:
        await go_to(h, "mode")
        await h.press("enter")
        await h.until(lambda: isinstance(h.app.screen, ValueScreen))
        h.app.screen.query_one(OptionList).highlighted = 0
        await h.press("enter")
        await write(h)
        assert text_of(file) == FILE


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (100, 30)])
async def test_it_fits(scripted: Any, file: Path, size: tuple[int, int]) -> None:
    async with opened(scripted, size) as h:
        await go_to(h, "recoveries.at_least")
        await h.until(lambda: "recoveries.at_least = 8" in h.shown())
        assert h.fills(*size)
        await h.press("enter")
        await h.until(lambda: isinstance(h.app.screen, ValueScreen))
        assert "esc" in h.shown(), "how to leave is in sight"
        await h.press("escape", "question_mark")
        await h.until(lambda: isinstance(h.app.screen, HelpScreen))
        await h.press("escape", "escape")
        await h.until(lambda: h.app.screen is h.screen)


async def test_a_filter_finds_by_key_and_by_meaning(scripted: Any, file: Path) -> None:
    async with opened(scripted) as h:
        await h.press("slash", *"grandparent")
        await h.until(
            lambda: {row.setting.key for row in screen(h).table._rows} == {"max_llm_retries", "decide_within"}
        )
        await h.press("enter", "escape")
        await h.until(lambda: len(screen(h).table._rows) == len(settings()))


async def test_a_filter_stands_first_on_a_key_of_that_name(scripted: Any, file: Path) -> None:
    async with opened(scripted) as h:
        await h.press("slash", *"verify")
        # reassign_timeout_factor, which tells of it in its meaning, is above
        await h.until(lambda: len(screen(h).table._rows) == 2)
        await h.until(lambda: screen(h).table.key == "verify_within")


async def test_what_is_of_the_fleet_is_off_for_an_agent_with_its_reason(scripted: Any, file: Path) -> None:
    async with opened(scripted) as h:
        await h.press("tab")
        await go_to(h, "recoveries.share")
        await h.press("enter")
        await h.until(lambda: "of the fleet as a whole" in h.toasts())
        assert isinstance(h.app.screen, SettingsScreen)


async def test_a_read_only_file_is_told(scripted: Any, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, who may write anything
    async with opened(scripted) as h:
        await go_to(h, "task_deadline")
        await type_value(h, "5h")
        await preview(h)
        await h.press("y")
        await h.until(lambda: "cannot be written" in h.toasts())
        assert text_of(file) == FILE


LEGAL: dict[str, Value] = {
    "notify": ("json://localhost",),
    "alerts.bell": ("failure",),
    "alerts.desktop": ("cascade",),
}


@pytest.mark.parametrize("agent", [None, "dir-code"])
def test_every_setting_can_be_written_for_the_fleet_and_for_an_agent(
    file: Path, tmp_path: Path, agent: str | None
) -> None:
    """The whole table goes through the real file: set, read by the loader, taken away again."""
    desk = FleetFile(StateDir(tmp_path / "state", "nightly"), file)
    for row in rows(desk.read(), agent):
        if row.off:
            continue
        setting, before = row.setting, file.read_bytes()
        new: Value = LEGAL.get(setting.key, setting.default)
        if setting.kind == "choice":
            new = next(choice for choice in setting.choices if choice != row.value)
        for wanted in (new, None):
            if wanted is None and row.own:
                break
            shown = desk.preview(desk.read(), Change(setting.key, setting.path(agent), wanted))
            assert shown.problems == (), setting.key
            assert desk.apply(shown).written
            now = next(one for one in rows(desk.read(), agent) if one.setting is setting)
            assert now.own is (wanted is not None)
            assert now.value == (wanted if wanted is not None else row.value)
        if not row.own:
            assert file.read_bytes().replace(b"{}", b"") in (before, before.replace(b"{}", b""))
