"""The orange bar on the real screen: when it comes, flashes, fades and goes, and what it costs meanwhile."""

from __future__ import annotations

import time
from typing import Any

import pytest
from rich.text import Text

from hhmrs.tests.tui.hands import Hands, hands
from hhmrs.tui.app import HhmrsApp
from hhmrs.tui.looks import Glyphs
from hhmrs.tui.themes import TRON_FADED, TRON_ORANGE, TRON_PULSE
from hhmrs.tui.tones import Tone
from hhmrs.tui.widgets.tron import PULSE, TronBar


def bar_of(h: Hands) -> TronBar:
    h.app.animation_level = "full"
    return h.screen.query_one(TronBar)


def ground(bar: TronBar) -> str:
    return bar.styles.background.hex.lower()


def top(h: Hands) -> str:
    return h.shown().splitlines()[0]


async def looked(h: Hands, source: Any, times: int = 2) -> None:
    """So many more looks have come back."""
    before = source.looks
    await h.until(lambda: source.looks > before + times)


async def test_it_flashes_half_a_second_for_a_new_event_and_again_for_the_next(scripted: Any) -> None:
    async with hands(scripted) as h:
        bar = bar_of(h)
        scripted.happen("hhmrs_timeout", "dir-code", incident="i1")
        await h.until(lambda: bar.display and bar.bright)
        began = time.monotonic()
        assert ground(bar) == TRON_PULSE
        await h.until(lambda: not bar.bright)
        assert PULSE == 0.5
        assert 0.3 < time.monotonic() - began < 2.0
        await h.until(lambda: ground(bar) == TRON_ORANGE)
        scripted.happen("hhmrs_restart", "dir-code", incident="i1")
        await h.until(lambda: bar.bright)


async def test_a_second_event_within_the_flash_gets_its_whole_time(
    scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hands(scripted) as h:
        bar = bar_of(h)
        scripted.happen("hhmrs_timeout", "dir-code", incident="i1")
        await h.until(lambda: bar.bright)
        first, stopped = bar._pulse, []
        monkeypatch.setattr(first, "stop", lambda: stopped.append(first))
        scripted.happen("hhmrs_nudge", "dir-code", incident="i1")
        await h.until(lambda: bar._pulse is not first)
        assert stopped == [first], "the end of the first flash must not cut the second"


async def test_nothing_flashes_for_what_is_old_or_where_animations_are_off(scripted: Any) -> None:
    async with hands(scripted) as h:
        bar = bar_of(h)
        scripted.happen("hhmrs_timeout", "dir-code", incident="i1", ago=12)
        await h.until(lambda: bar.display)
        assert not bar.bright
        h.app.animation_level = "none"
        scripted.happen("hhmrs_restart", "dir-code", incident="i1")
        await h.until(lambda: "restart" in top(h))
        assert not bar.bright


async def test_it_tells_the_last_events_of_others_with_glyph_and_age(scripted: Any) -> None:
    scripted.happen("hhmrs_failure", "tester-01", incident="i0", ago=14)
    scripted.happen("hhmrs_timeout", "dir-code", incident="i1", ago=4, reason="silent for 60 s")
    async with hands(scripted) as h:
        await h.until(lambda: "TRON" in h.shown())
        words = top(h)
        assert words.startswith(" ⚡ TRON  ⏱ Dir-Code timeout · 2 events · ")
        assert "✗ tester-01 failure 1" in words
        assert "silent for 60 s" in words
        assert words.endswith("x dismiss ")


async def test_at_sixty_cells_the_newest_is_whole_and_the_rest_is_counted(scripted: Any) -> None:
    for n, who in enumerate(["tester-01", "tester-02", "writer-01", "dir-code"]):
        scripted.happen("hhmrs_timeout", who, incident=f"i{n}", ago=4, reason="silent for 60 s")
    async with hands(scripted, (60, 20)) as h:
        await h.until(lambda: "TRON" in h.shown())
        assert "⏱ Dir-Code timeout · " in top(h)
        assert "+3 more" in top(h)
        assert "x dismiss" in top(h)


async def test_it_fades_and_goes_by_its_own_clock_even_if_nobody_looks_any_more(scripted: Any) -> None:
    async with hands(scripted) as h:
        bar = bar_of(h)
        scripted.happen("hhmrs_timeout", "dir-code", incident="i1", ago=21)
        await h.until(lambda: bar.display and ground(bar) == TRON_ORANGE)
        h.screen.feed.hold(True)
        await h.until(lambda: ground(bar) == TRON_FADED)
        await h.until(lambda: not bar.display, "30 s after its event it goes")
        assert bar._clock is None


async def test_while_nothing_happens_it_has_no_clock_and_paints_nothing(
    scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.happen("agent_started", "dir-code")
    async with hands(scripted) as h:
        bar = bar_of(h)
        painted: list[Any] = []

        def counted(*args: Any) -> Text:
            painted.append(args)
            return Text()

        monkeypatch.setattr(bar, "_text", counted)
        await looked(h, scripted, 4)
        assert not bar.display
        assert painted == []
        assert (bar._clock, bar._pulse) == (None, None)
        scripted.happen("hhmrs_timeout", "dir-code", incident="i1")
        await h.until(lambda: painted)
        assert bar._clock is not None


async def test_it_is_painted_again_only_when_what_it_says_differs(
    scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.happen("hhmrs_timeout", "dir-code", incident="i1", ago=5)
    async with hands(scripted) as h:
        bar = bar_of(h)
        await h.until(lambda: bar.display)
        said: list[str] = []
        real = bar._text

        def counted(*args: Any) -> Text:
            text = real(*args)
            said.append(text.plain)
            return text

        monkeypatch.setattr(bar, "_text", counted)
        await looked(h, scripted, 8)
        assert said, "its age goes on"
        assert len(said) == len(set(said))


async def test_x_and_a_click_dismiss_and_a_new_incident_always_shows_again(scripted: Any) -> None:
    async with hands(scripted) as h:
        bar = bar_of(h)
        scripted.happen("hhmrs_timeout", "dir-code", incident="i1")
        await h.until(lambda: bar.display)
        await h.press("x")
        await h.until(lambda: not bar.display)
        scripted.happen("hhmrs_restart", "dir-code", incident="i1")
        await looked(h, scripted)
        assert not bar.display
        scripted.happen("hhmrs_timeout", "tester-01", incident="i2")
        await h.until(lambda: bar.display and "tester-01 timeout · 1" in top(h))
        await h.pilot.click(TronBar, offset=(top(h).index("dismiss"), 0))
        await h.until(lambda: not bar.display)
        scripted.happen("hhmrs_failure", "dir-code", incident="i1")
        await h.until(lambda: bar.display and "failure" in top(h))


async def test_orange_is_on_the_bar_the_agent_and_the_line_to_its_parent_only(scripted: Any) -> None:
    """Every cell of the screen that is orange belongs to one of the three."""
    scripted.happen("hhmrs_restart", "dir-code", incident="i1")
    async with hands(scripted) as h:
        await h.until(lambda: "TRON" in h.shown())
        await h.select("writer-02")
        await h.pilot.pause()
        orange = {TRON_ORANGE, h.agents.colours[Tone.TRON]}
        strips = h.app.screen._compositor.render_strips()
        lit: dict[int, str] = {}
        for y, strip in enumerate(strips):
            words = [
                s.text for s in strip if s.style and {_hex(s.style.color), _hex(s.style.bgcolor)} & orange
            ]
            if words:
                lit[y] = "".join(words).strip()
        rows = {y: line for y, line in enumerate(h.shown().splitlines()) if y in lit}
        assert 0 in lit
        del lit[0], rows[0]
        agents = {y: words for y, words in lit.items() if "Dir-Code" in rows[y] or "Architect" in rows[y]}
        rest = {y: words for y, words in lit.items() if y not in agents}
        assert [words for y, words in agents.items() if "Architect" in rows[y]] == ["▾"], (
            "where the line ends"
        )
        assert any(words.startswith("├─") and "recovering" in words for words in agents.values())
        assert set(rest.values()) <= {"↻ 1 recovering"}, "the count in the headline"


def _hex(colour: Any) -> str:
    return colour.triplet.hex if colour is not None and colour.triplet is not None else ""


async def test_what_is_new_is_called_for_once_through_the_driver(scripted: Any, monkeypatch: Any) -> None:
    """The app in its terminal; only the terminal is not one, so what the driver writes is kept."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("VTE_VERSION", raising=False)
    scripted.happen("hhmrs_timeout", "tester-01", incident="old")
    app = HhmrsApp(scripted, Glyphs())
    async with app.run_test(size=(100, 30)) as pilot:
        written = _written(app, monkeypatch)
        h = Hands(app, pilot)
        await h.until(lambda: bool(app.fleet_screen.fleet.agents))
        await looked(h, scripted)
        assert written == []
        scripted.happen("hhmrs_restart", "dir-code", incident="i1")
        await looked(h, scripted)
        assert written == []
        scripted.happen("hhmrs_failure", "dir-docs", incident="i2", reason="3 restarts, 3 reassigns")
        await h.until(lambda: written)
        assert written == ["\x07\x1b]9;hhmrs nightly: Dir-Docs failure: 3 restarts, 3 reassigns\x1b\\"]
        await looked(h, scripted, 12)
        assert len(written) == 1


def _written(app: HhmrsApp, monkeypatch: Any) -> list[str]:
    written: list[str] = []
    assert app._driver is not None
    monkeypatch.setattr(type(app), "is_headless", property(lambda _: False))
    monkeypatch.setattr(app._driver, "write", lambda data: written.append(data) if "\x1b]9" in data else None)
    return written
