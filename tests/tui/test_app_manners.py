"""The states a screen can be in beside the good one: each says what is so and what to do."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import Static

from hhmrs.config.paths import state_root
from hhmrs.healing.agent import Phase
from hhmrs.tests.tui.hands import Hands, hands
from hhmrs.tui.app import HhmrsApp
from hhmrs.tui.commands.first import problems_of, write_first
from hhmrs.tui.early import fitting_glyphs
from hhmrs.tui.feed import Snapshot
from hhmrs.tui.interventions import ICONS
from hhmrs.tui.introducing import Began
from hhmrs.tui.looks import LOOKS, Glyphs
from hhmrs.tui.remembered import Memory
from hhmrs.tui.screens.help import HelpScreen
from hhmrs.tui.screens.small import LEAST, SmallScreen
from hhmrs.tui.screens.welcome import BrokenScreen, WelcomeScreen
from hhmrs.tui.themes import THEMES
from hhmrs.tui.welcome import FrontApp
from hhmrs.tui.widgets.banner import Banner

SIZES = [(100, 30), (60, 20)]


def line_with(h: Hands, word: str) -> str:
    return next((line for line in h.shown().splitlines() if word in line), "")


# -- the daemon -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_the_banner_of_a_daemon_that_is_gone_has_a_key_that_starts_it(scripted: Any, size: Any) -> None:
    async with hands(scripted, size) as h:
        banner = h.screen.query_one(Banner)
        assert not banner.display
        scripted.up = False
        await h.until(lambda: "NO DAEMON  D starts one, or `hhmrs up`" in h.shown())
        assert "unsupervised" in h.shown().splitlines()[0]
        assert "Dir-Code" in h.shown(), "the last known state stays"
        await h.press("D")
        await h.until(lambda: scripted.up and not banner.display)
        assert "the daemon runs, pid 1" in h.toasts()


async def test_the_banner_can_be_clicked(scripted: Any) -> None:
    scripted.up = False
    async with hands(scripted) as h:
        await h.until(lambda: "NO DAEMON" in h.shown())
        await h.pilot.click(Banner, offset=(20, 0))
        await h.until(lambda: scripted.up)


async def test_a_start_that_takes_long_is_told_and_one_that_fails_says_why(scripted: Any) -> None:
    scripted.up, go = False, threading.Event()

    def slow() -> str:
        go.wait(10)
        raise OSError("no space left on device")

    scripted.start = slow
    async with hands(scripted) as h:
        await h.until(lambda: "NO DAEMON" in h.shown())
        await h.press("D")
        await h.until(lambda: "STARTING" in h.shown())
        await h.until(lambda: "being started, 1 s" in h.shown())
        await h.press("j", "D")
        assert h.agents.agent == "dir-code", "the screen stays usable"
        go.set()
        await h.until(lambda: "did not start: no space left on device" in h.toasts())
        await h.until(lambda: "NO DAEMON" in h.shown())


async def test_the_key_says_why_it_does_nothing(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("D")
        await h.until(lambda: "not now: the daemon runs" in h.toasts())


@pytest.mark.parametrize("size", SIZES)
async def test_read_only_says_why_and_sends_nothing(scripted: Any, size: Any) -> None:
    scripted.locked = "the state of this fleet belongs to user ann"
    async with hands(scripted, size) as h:
        await h.until(lambda: "READ ONLY  the state of this fleet belongs to user ann" in h.shown())
        assert h.screen.off("restart") == scripted.locked, "in the key bar and the help as well"
        await h.press("r")
        await h.until(lambda: "Not now: the state of this fleet" in h.shown())
        await h.press("enter", "escape")
        assert scripted.orders == []
        assert "Dir-Code" in h.shown()


async def test_a_broken_fleet_file_is_told_and_forgotten_when_it_is_mended(scripted: Any) -> None:
    async with hands(scripted) as h:
        scripted.flaws = ("/w/hhmrs.yaml:3:1: unknown key 'bogus'",)
        await h.until(lambda: "FLEET FILE  hhmrs.yaml:3:1: unknown key 'bogus'" in h.shown())
        assert "the last good one stays in force" in h.shown()
        scripted.flaws = ()
        await h.until(lambda: "FLEET FILE" not in h.shown())


# -- nothing to show ----------------------------------------------------------------------------------


class Slow:
    """A source whose first look lasts until the test lets it go."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.go = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def snapshot(self, focus: str | None) -> Snapshot:
        self.go.wait(10)
        seen: Snapshot = self._real.snapshot(focus)
        return seen


@pytest.mark.parametrize("size", SIZES)
async def test_before_the_first_look_it_says_so_and_for_how_long(scripted: Any, size: Any) -> None:
    source: Any = Slow(scripted)
    app = HhmrsApp(source, Glyphs())
    async with app.run_test(size=size) as pilot:
        h = Hands(app, pilot)
        await h.until(lambda: h.shown().count("reading the fleet ...") == 2)
        await h.until(lambda: "LOADING" in h.shown())
        assert "for 1 s" in line_with(h, "LOADING")
        await h.press("r", "j", "w", "D", "enter", "2", "1")
        source.go.set()
        await h.until(lambda: "Dir-Code" in h.shown() and "LOADING" not in h.shown())
        assert h.screen._wait_clock is None or not h.screen.query_one(Banner).display


async def test_a_fleet_without_agents_says_what_to_do(scripted: Any) -> None:
    scripted.agents = []
    app = HhmrsApp(scripted, Glyphs())
    async with app.run_test(size=(60, 20)) as pilot:
        h = Hands(app, pilot)
        await h.until(lambda: "this fleet has no agents" in h.shown())
        assert "write some under `agents:` in /tmp/hhmrs.yaml" in h.shown()
        await h.press("j", "enter", "r", "escape", "w", "space", "v", "v")
        scripted.agents = [("newcomer", None, "working", "shell", "")]
        await h.until(lambda: "newcomer" in h.shown() and "no agents" not in h.shown())


# -- room -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(LEAST.width - 1, 20), (60, LEAST.height - 1), (3, 2)])
async def test_a_terminal_with_no_room_gets_one_sentence(scripted: Any, size: tuple[int, int]) -> None:
    async with hands(scripted) as h:
        await h.select("tester-02")
        await h.pilot.resize_terminal(*size)
        await h.until(lambda: isinstance(h.app.screen, SmallScreen))
        said = " ".join(str(h.app.screen.query_one("#small", Static).render()).split())
        assert said.startswith(f"This terminal is {size[0]}x{size[1]}; hhmrs needs 40x10.")
        await h.press("j", "r", "enter", "question_mark", "2", "escape")
        assert isinstance(h.app.screen, SmallScreen)
        assert scripted.orders == []
        await h.pilot.resize_terminal(60, 20)
        await h.until(lambda: h.app.screen is h.screen)
        await h.until(lambda: "tester-02" in h.shown())
        assert h.agents.agent == "tester-02"


async def test_what_is_open_survives_a_terminal_that_was_too_small(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.press("question_mark")
        await h.until(lambda: isinstance(h.app.screen, HelpScreen))
        for size in ((20, 5), (10, 3), (60, 20)):
            await h.pilot.resize_terminal(*size)
            await h.pilot.pause()
        await h.until(lambda: isinstance(h.app.screen, HelpScreen))
        await h.press("escape")
        assert h.app.screen is h.screen


async def test_it_can_be_left_when_it_is_too_small(scripted: Any) -> None:
    async with hands(scripted) as h:
        await h.pilot.resize_terminal(20, 5)
        await h.until(lambda: isinstance(h.app.screen, SmallScreen))
        await h.press("q")
        await h.until(lambda: h.app._exit)


# -- themes ---------------------------------------------------------------------------------------


async def test_only_themes_whose_contrast_is_known_are_offered_and_the_choice_stays(scripted: Any) -> None:
    async with hands(scripted) as h:
        assert h.app.theme == "hhmrs-dark"
        assert set(h.app.available_themes) == {theme.name for theme in THEMES}
        assert "hhmrs-contrast" in h.app.available_themes
        await h.press("ctrl+p")
        await h.press(*"theme")
        await h.until(lambda: "choose other colours" in h.shown())
        await h.press("enter")
        await h.until(lambda: "hhmrs-light" in h.shown())
        await h.press(*"contrast")
        await h.until(lambda: "hhmrs-contrast" in h.shown() and "hhmrs-light" not in h.shown())
        await h.press("enter")
        await h.until(lambda: h.app.theme == "hhmrs-contrast")
        await h.until(lambda: Memory().theme() == "hhmrs-contrast")
    async with hands(scripted) as h:
        assert h.app.theme == "hhmrs-contrast"
        assert "Dir-Code" in h.shown()
    assert (state_root() / "screen.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"theme": 7}', '{"theme": "gone"}', "[" * 3000, "\xff"])
def test_a_damaged_memory_is_forgotten(content: str, scripted: Any) -> None:
    state_root().mkdir(parents=True)
    (state_root() / "screen.json").write_bytes(content.encode("latin-1"))
    assert HhmrsApp(scripted, Glyphs()).theme == "hhmrs-dark"


def test_a_link_in_the_place_of_the_memory_is_not_followed(tmp_path: Path, scripted: Any) -> None:
    state_root().mkdir(parents=True)
    other = tmp_path / "other.json"
    other.write_text('{"theme": "hhmrs-light"}')
    Memory().path.symlink_to(other)
    assert HhmrsApp(scripted, Glyphs()).theme == "hhmrs-dark"
    Memory().keep_theme("hhmrs-contrast")
    assert json.loads(other.read_text()) == {"theme": "hhmrs-light"}
    assert Memory().theme() == "hhmrs-contrast"


def test_a_wish_in_the_environment_counts_if_there_is_such_a_theme(scripted: Any, monkeypatch: Any) -> None:
    Memory().keep_theme("hhmrs-contrast")
    monkeypatch.setenv("TEXTUAL_THEME", "hhmrs-light")
    assert HhmrsApp(scripted, Glyphs()).theme == "hhmrs-light"
    monkeypatch.setenv("TEXTUAL_THEME", "dracula")
    assert HhmrsApp(scripted, Glyphs()).theme == "hhmrs-contrast"


async def test_a_memory_that_cannot_be_kept_is_told_once_and_is_no_trouble(scripted: Any) -> None:
    state_root().parent.mkdir(parents=True, exist_ok=True)
    state_root().write_text("a file in the folder's place")
    async with hands(scripted) as h:
        h.app.theme = "hhmrs-light"
        await h.until(lambda: "the theme cannot be remembered" in h.toasts())
        assert "Dir-Code" in h.shown()


# -- without colour and without signs ---------------------------------------------------------------


def show_everything(scripted: Any) -> None:
    scripted.up = False
    scripted.locked = "it belongs to user ann"
    scripted.flaws = ("/w/hhmrs.yaml:3:1: unknown key",)
    for n, kind in enumerate(ICONS):
        scripted.happen(kind, "dir-code", incident=f"i{n}")


async def test_every_state_is_told_without_colour(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    show_everything(scripted)
    async with hands(scripted) as h:
        await h.until(lambda: "FLEET FILE" in h.shown())
        for word in ("TRON", "cascade", "NO DAEMON", "READ ONLY", "unsupervised", "▌"):
            assert word in h.shown(), word
        colours = {
            colour.get_truecolor()
            for strip in h.app.screen._compositor.render_strips()
            for segment in strip.apply_filter(h.app._filters[0], h.app.screen.background_colors[1])
            if segment.style and (colour := segment.style.color)
        }
        assert all(max(c) - min(c) <= 1 for c in colours), "only greys are left"


async def test_plain_glyphs_need_no_letter_beyond_ascii_in_any_state(scripted: Any) -> None:
    show_everything(scripted)
    async with hands(scripted, (100, 30), plain=True) as h:
        await h.until(lambda: "FLEET FILE" in h.shown())
        head = "\n".join(h.shown().splitlines()[:5]).replace("…", "...")
        assert head.isascii(), [ch for ch in head if not ch.isascii()]


@pytest.mark.parametrize("plain", [False, True])
async def test_the_help_is_a_legend_of_words_glyphs_and_colours(scripted: Any, plain: bool) -> None:
    async with hands(scripted, (100, 130), plain=plain) as h:
        await h.press("question_mark")
        await h.until(lambda: isinstance(h.app.screen, HelpScreen))
        for phase in Phase:
            look = LOOKS[phase]
            assert f"{look.ascii if plain else look.glyph} {phase.value}" in h.shown()
        for icon, ascii_icon, word in ICONS.values():
            assert f"{ascii_icon if plain else icon} {word}" in h.shown()


@pytest.mark.parametrize(("term", "tmux", "system"), [
    ("screen", "/tmp/tmux-0/default,1,0", "truecolor"),
    ("tmux-256color", "/tmp/tmux-0/default,1,0", "truecolor"),
    ("xterm-256color", "", "256"),
    ("xterm", "", "standard"),
])  # fmt: skip
def test_inside_tmux_colours_are_true_and_nobody_else_is_told(
    scripted: Any, monkeypatch: pytest.MonkeyPatch, term: str, tmux: str, system: str
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("TMUX", tmux)
    monkeypatch.delenv("COLORTERM", raising=False)
    assert HhmrsApp(scripted, Glyphs()).console.color_system == system
    assert "COLORTERM" not in os.environ


@pytest.mark.parametrize(
    ("environ", "plain"),
    [({"TERM": "linux"}, True), ({"HHMRS_ASCII": "1"}, True), ({"HHMRS_ASCII": "0"}, False)],
)
def test_fonts_without_signs_get_letters(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], plain: bool
) -> None:
    for name, value in ({"TERM": "xterm", "HHMRS_ASCII": ""} | environ).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    assert fitting_glyphs().plain is plain


# -- the first run ------------------------------------------------------------------------------------


class Front:
    """Somebody at the screen that stands before the fleet's."""

    def __init__(self, app: FrontApp, pilot: Pilot[int]) -> None:
        self.app, self.pilot = app, pilot

    def shown(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(s.text for s in strip) for strip in strips)

    def has(self, word: str) -> bool:
        return word in self.shown()

    def left(self) -> bool:
        return self.app._exit

    async def until(self, holds: Callable[[], Any]) -> None:
        for _ in range(300):
            if holds():
                return
            await self.pilot.pause(0.02)
        raise AssertionError(self.shown())


@pytest.mark.parametrize("size", SIZES)
async def test_the_first_run_says_what_this_is_and_writes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    screen = WelcomeScreen(Glyphs(), tmp_path, write_first)
    app = FrontApp(screen, Glyphs())
    async with app.run_test(size=size, notifications=True) as pilot:
        front = Front(app, pilot)
        await front.until(lambda: "A supervisor for AI coding agents" in front.shown())
        assert "There is no hhmrs.yaml in" in front.shown()
        await pilot.press("enter")
        assert screen.wish == "", "there is nothing to open yet"
        await pilot.press("i")
        await front.until(lambda: "wrote" in front.shown())
        assert problems_of(tmp_path / "hhmrs.yaml") == []
        await pilot.press("enter")
        await front.until(lambda: screen.wish == "open")


def _nothing() -> Began:
    return Began(True, ())


async def test_the_first_run_offers_the_demo_by_key_and_by_mouse(tmp_path: Path) -> None:
    for press in (False, True):
        screen = WelcomeScreen(Glyphs(), tmp_path, _nothing)
        app = FrontApp(screen, Glyphs())
        async with app.run_test(size=(100, 30)) as pilot:
            front = Front(app, pilot)
            await front.until(partial(front.has, "  d  "))
            if press:
                await pilot.press("d")
            else:
                row = next(y for y, line in enumerate(front.shown().splitlines()) if "  d  " in line)
                await pilot.click(offset=(20, row))
            await front.until(front.left)
            assert screen.wish == "demo"


async def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    def refused() -> Began:
        raise PermissionError(13, "Permission denied", str(tmp_path / "hhmrs.yaml"))

    app = FrontApp(WelcomeScreen(Glyphs(), tmp_path, refused), Glyphs())
    async with app.run_test(size=(60, 20)) as pilot:
        front = Front(app, pilot)
        await pilot.press("i")
        await front.until(lambda: "could not be written" in front.shown() and "denied" in front.shown())
        assert "  d  " in front.shown(), "the rest is still offered"


async def test_init_where_a_file_came_meanwhile_leaves_it_as_it_is(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hhmrs.yaml").write_text("mine")
    began = write_first()
    assert not began.ok
    assert "already there" in began.lines[0]
    assert (tmp_path / "hhmrs.yaml").read_text() == "mine"


async def test_a_broken_file_shows_all_problems_and_goes_on_when_it_is_mended() -> None:
    found: list[Sequence[str] | None] = [None]
    problems = [f"/w/hhmrs.yaml:{n}:1: unknown key \x1b[2J[red]" for n in range(1, 40)]
    screen = BrokenScreen(Glyphs(), problems, lambda _: found[0])
    app = FrontApp(screen, Glyphs())
    async with app.run_test(size=(60, 20)) as pilot:
        front = Front(app, pilot)
        await front.until(lambda: "The fleet file has 39 problems." in front.shown())
        assert "unknown key [red]" in front.shown()
        await pilot.press("space", "space", "space", "space", "space")
        await front.until(lambda: "hhmrs.yaml:39:1" in front.shown())
        found[0] = problems[:1]
        await pilot.press("pageup", "pageup", "pageup", "pageup", "pageup", "pageup")
        await front.until(lambda: "The fleet file has 1 problem." in front.shown())
        found[0] = []
        await front.until(lambda: screen.wish == "open")


def at_end(h: Any) -> bool:
    page = h.app.screen.query_one(VerticalScroll)
    return bool(page.max_scroll_y > 0 and page.scroll_y == page.max_scroll_y)


async def test_the_help_goes_to_its_end_and_back(scripted: Any) -> None:
    async with hands(scripted, (100, 30)) as h:
        await h.press("question_mark")
        await h.until(lambda: "wake the agent" in h.shown())
        await h.press("G")
        await h.until(lambda: "wake the agent" not in h.shown() and at_end(h))
        await h.press("g")
        await h.until(lambda: "wake the agent" in h.shown())
