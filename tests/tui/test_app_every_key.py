"""Every key of the table is pressed in the real program: something happens, or words say why not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.keys import key_to_character
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from hhmrs.tests.tui.stages import Stage, Stages
from hhmrs.tui.keymap import KEYS, PLACES, in_bar
from hhmrs.tui.keys.key import MOVE, Key, spell
from hhmrs.tui.looks import Glyphs
from hhmrs.tui.screens.confirm import Buttons, ConfirmScreen
from hhmrs.tui.screens.help import HelpScreen
from hhmrs.tui.widgets.bars import KeyBar

SEARCH = ("3", "tab", "slash", "t", "enter")
FIRST = {
    "move.page_up": ("G",),
    "view.pane": ("2",),
    "view.next_match": SEARCH,
    "view.last_match": SEARCH,
    "view.restore": ("5",),
    "view.back": ("space",),
    "order.undo": ("x",),
    "broken.up": ("j",),
    "broken.page_up": ("space",),
    "numbers.day": ("w",),
    "settings.up": ("j",),
    "settings.page_up": ("G",),
    "settings.first": ("G",),
    "preview.up": ("down", "down"),
    "replay.on": ("home",),
    "replay.next_mark": ("home",),
    "replay.end": ("home",),
    "replay.slower": ("plus",),
    "replay.worst": ("G",),
    "replay.timeline": ("2",),
    "replay.back_out": ("enter",),
    "replay.up": ("G",),
    "replay.page_up": ("G",),
    "replay.first": ("G",),
    "replay.next_match": ("2", "tab", "slash", "o", "enter"),
    "replay.last_match": ("2", "tab", "slash", "o", "enter"),
    "confirm.up": ("down",),
    "confirm.page_up": ("pagedown",),
    "edit.take": ("x",),
    "answer.page_down": ("pageup",),
    "outcomes.up": ("down",),
    "outcomes.page_up": ("pagedown",),
    "typing.send": ("x",),
    "folder.take": ("slash", "x"),
    "help.up": ("down",),
    "help.first": ("pagedown",),
    "help.page_up": ("pagedown",),
    **{f"{place}.{name}": ("G",) for place in ("numbers", "incidents", "report")
       for name in ("up", "page_up", "first")},
}  # fmt: skip
"""What is pressed before a key so that there is something for it to do."""
FITTING = {"start": "programmer-04", "clear": "tester-01", "answer": "programmer-02"}
"""Order -> an agent in a phase that it is for; the others are for one that works."""

NOT_YET = {"submit"}
"""Orders that this version refuses, with the reason."""
ROWS = [
    pytest.param(place, key, id=key.id)
    for place, (_, keys) in PLACES.items()
    for key in keys
    if key.order is None
]


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stages:
    return Stages(tmp_path, monkeypatch)


def arrange(stages: Stages, key: Key) -> None:
    """The fleet that the key needs."""
    if key.order is not None:
        stages.agent = FITTING.get(key.order, "programmer-01")
    if key.order == "answer":
        stages.source.happen("agent_asked", stages.agent, question="Which way?", options=["left", "right"])
    if key.id == "app.daemon":
        stages.source.up = False
    if key.id in ("view.dismiss", "order.undo"):
        stages.source.happen("hhmrs_restart", "dir-code", ago=0.0, incident="dir-code-1", reason="silent")
    stages.saved()


@pytest.mark.parametrize(("place", "key"), ROWS)
async def test_every_key_does_something(stages: Stages, place: str, key: Key) -> None:
    arrange(stages, key)
    async with stages.open(place) as stage:
        await stage.press(*FIRST.get(key.id, ()))
        before = stage.look()
        await stage.pilot.press(key.keys[0])
        why = f"{key.keys[0]} in {PLACES[place][0].lower()} ({key.id}: {key.about}) does nothing"
        await stage.until(lambda: stage.look() != before, why)


@pytest.mark.parametrize("place", PLACES)
async def test_wherever_the_focus_is_a_key_of_each_row_leads_to_what_it_says(
    stages: Stages, place: str
) -> None:
    async with stages.open(place) as stage:
        screen = stage.app.screen
        parts: list[Widget | None] = [*screen.focus_chain] or [None]
        for part in parts:
            screen.set_focus(part)
            await stage.settle()
            lost = [key.id for key in PLACES[place][1] if not any(leads(stage, key, one) for one in key.keys)]
            assert lost == [], f"with the focus on {part!r}"


def leads(stage: Stage, key: Key, name: str) -> bool:
    """Whether that name of the row, pressed now, does what the row says."""
    active = stage.app.screen.active_bindings.get(name)
    typed = (key_to_character(name) or "\0").isprintable() and isinstance(stage.app.focused, Input | TextArea)
    if active is None or typed:
        return False
    # A part that scrolls does so itself, and one that is chosen from tells its screen what was chosen.
    moves = key.group == MOVE and not isinstance(active.node, Input | TextArea)
    own = active.node is stage.app.focused and (moves or name == "enter")
    return own or active.binding.action.removeprefix("app.") == key.action.removeprefix("app.")


@pytest.mark.parametrize("place", PLACES)
async def test_where_no_key_is_pressed_nothing_happens(stages: Stages, place: str) -> None:
    """Else the test above would hold of a dead key too."""
    assert "f9" not in {name for key in KEYS for name in key.keys}
    async with stages.open(place) as stage:
        before, earlier = stage.look(), None
        async with asyncio.timeout(10):
            while before != earlier:  # below a dialog the screen may still be painted for the first time
                await stage.pilot.pause(0.3)
                before, earlier = stage.look(), before
        await stage.pilot.press("f9")
        for _ in range(3):
            await stage.pilot.pause(0.2)
            assert stage.look() == before


@pytest.mark.parametrize(
    ("place", "name", "words"),
    [
        ("fleet", "x", "the orange bar shows nothing that could be dismissed"),
        ("replay", "x", "the orange bar shows nothing that could be dismissed"),
        ("replay", "w", "nobody else needs you"),
        ("incidents", "enter", "no incident is selected"),
        ("incidents", "w", "no incident is selected"),
        ("incidents", "c", "no incident is selected"),
    ],
)
async def test_a_key_that_finds_nothing_to_do_says_so(
    stages: Stages, place: str, name: str, words: str
) -> None:
    stages.incidents = 0
    async with stages.open(place) as stage:
        await stage.pilot.press(name)
        await stage.until(lambda: words in stage.told, str(stage.told))


ORDERS = [key for key in PLACES["fleet"][1] if key.order is not None]


@pytest.mark.parametrize("key", ORDERS, ids=lambda key: key.id)
async def test_every_order_is_offered_for_a_fitting_agent_and_sent(stages: Stages, key: Key) -> None:
    arrange(stages, key)
    async with stages.open("fleet") as stage:
        await stage.press(*key.keys[:1])
        assert stage.top in ("ConfirmScreen", "TypingScreen", "AnswerScreen"), stage.told
        screen = stage.app.screen
        if key.order in NOT_YET:
            assert isinstance(screen, ConfirmScreen)
            assert screen.plan.reason
            assert stage.shows(screen.plan.reason)
            return
        if isinstance(screen, ConfirmScreen):
            assert screen.plan.reason is None
            await stage.press("enter")
        elif stage.top == "AnswerScreen":
            await stage.until(lambda: stage.shows("Which way?"))
            await stage.press("tab", "g", "o", "enter")
        else:
            await stage.press("g", "o", "enter")
        await stage.until(lambda: stage.source.orders, f"{key.id} was not sent")
        order, agent, _ = stage.source.orders[0]
        assert order == ("send" if key.order == "answer" else key.order)
        assert agent == (None if key.order == "heal" else stages.agent)


@pytest.mark.parametrize("place", PLACES)
async def test_the_keys_that_a_screen_names_are_in_the_table(stages: Stages, place: str) -> None:
    async with stages.open(place) as stage:
        table = {spell(name) for key in PLACES[place][1] for name in key.keys}
        named = [part.split()[0] for part in _lines(stage, Buttons).split("   ") if part]
        assert set(named) <= table
        bars = stage.app.screen.query(KeyBar)
        assert bool(in_bar(place=place)) == bool(bars)
        if bars:
            assert in_bar(place=place)[0].shown in str(stage.text().splitlines()[-1])
        assert named or bars or place == "small", "nothing says how to leave"


def _lines(stage: Stage, kind: type[Static]) -> str:
    return "   ".join(str(part.render()) for part in stage.app.screen.query(kind))


async def test_the_help_has_every_key_of_every_place(stages: Stages) -> None:
    async with stages.open("fleet") as stage:
        for place, (_, keys) in PLACES.items():
            _ = stage.app.push_screen(HelpScreen(Glyphs(), {}, place))
            await stage.settle()
            said = " ".join(_lines(stage, Static).split())
            for key in keys:
                assert " ".join(spell(name) for name in key.keys) in said, key.id
                assert key.about in said, key.id
            _ = stage.app.pop_screen()
            await stage.settle()
