"""Lines that are kept as they were painted look as Textual would paint them anew."""

from __future__ import annotations

from typing import Any

import pytest
from rich.style import Style
from rich.text import Text
from textual._styles_cache import StylesCache
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.geometry import Region
from textual.strip import Strip

from hhmrs.tui.widgets.lines import LineView
from hhmrs.tui.widgets.painted import PaintedLines, PlainLines, keep_painted, runs


class Numbers(LineView):
    """Draws its keys, and counts how often it does."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.drawn: list[int] = []

    def draw(self, index: int) -> Text:
        self.drawn.append(index)
        return Text(str(self._keys[index]), Style(color="red", bold=True))


class Sheet(App[None]):
    CSS = """
    #plain { height: 8; padding: 0 1; background: #102030; scrollbar-size: 0 0; }
    #framed { height: 8; border: solid #ff0000; tint: #00ff00 20%; scrollbar-size: 0 0; }
    """

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Numbers(id="plain")
            yield Numbers(id="framed")


def cells(strips: list[Strip]) -> list[list[tuple[str, Any]]]:
    """What each cell shows and how, however a line is cut into pieces; where a piece stands left out."""
    return [
        [(character, _seen(character, segment.style)) for segment in strip for character in segment.text]
        for strip in strips
    ]


def _seen(character: str, style: Style | None) -> tuple[Any, ...]:
    style = style or Style()
    ink = None if character == " " else (style.color, style.bold or False)
    return (ink, style.bgcolor, style.dim or False, style.reverse or False)


@pytest.mark.parametrize("name", ["plain", "framed"])
async def test_kept_lines_look_like_new_ones(name: str) -> None:
    async with Sheet().run_test(size=(30, 20)) as pilot:
        view = pilot.app.query_one(f"#{name}", Numbers)
        region = Region(0, 0, *view.outer_size)
        long = [str(number) for number in range(30)]
        for keys in (["one", "two", "three"], ["one", "2", "three"], [], long, ["end"]):
            view.show(keys)
            await pilot.pause()
            kept = view.render_lines(region)
            assert cells(kept) == cells(StylesCache().render_widget(view, region))
        view.styles.background, view.styles.tint = "#400000", "#00ff00 20%"
        await pilot.pause()
        assert cells(view.render_lines(region)) == cells(StylesCache().render_widget(view, region))


async def test_only_the_line_that_changed_is_drawn_again() -> None:
    async with Sheet().run_test(size=(30, 20)) as pilot:
        view = pilot.app.query_one("#plain", Numbers)
        view.show(["one", "two", "three"])
        await pilot.pause()
        view.drawn.clear()
        view.show(["one", "2", "three"])
        await pilot.pause()
        assert view.drawn == [1]
        view.drawn.clear()
        pilot.app.query_one("#framed", Numbers).show(["something", "else"])
        await pilot.pause()
        assert view.drawn == [], "what is painted beside it costs it nothing"


async def test_everything_on_a_screen_keeps_its_lines() -> None:
    async with Sheet().run_test(size=(30, 20)) as pilot:
        keep_painted(pilot.app.screen)
        caches = [type(widget._styles_cache) for widget in (pilot.app.screen, *pilot.app.screen.query("*"))]
        assert set(caches) <= {PaintedLines, PlainLines}
        assert len(caches) >= 4
        view = pilot.app.query_one("#plain", Numbers)
        view.show(["seen"])
        await pilot.pause()
        assert "seen" in "".join(strip.text for strip in view.render_lines(Region(0, 0, *view.outer_size)))


@pytest.mark.parametrize(
    ("lines", "found"),
    [([3], [(3, 1)]), ([0, 1, 2], [(0, 3)]), ([1, 2, 5, 7, 8], [(1, 2), (5, 1), (7, 2)])],
)
def test_runs(lines: list[int], found: list[tuple[int, int]]) -> None:
    assert list(runs(lines)) == found
