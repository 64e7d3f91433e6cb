"""The picture is sound XML that fetches and runs nothing, with every word at its place."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from hhmrs.tui.drawing import CELL, EDGE, ROW, svg
from hhmrs.tui.prose import Line
from hhmrs.tui.themes import DARK, LIGHT
from hhmrs.tui.tones import Tone

NAME = "{http://www.w3.org/2000/svg}"


def parsed(lines: list[Line], title: str = "t", dark: bool = True) -> ET.Element:
    return ET.fromstring(svg(lines, title, 80, dark))  # noqa: S314  # made by us a moment ago


def test_words_and_blocks_stand_where_the_screen_has_them() -> None:
    root = parsed([(("crash  ", Tone.TEXT), ("▇▇▇", Tone.SICK), ("  3", Tone.TEXT))])
    title, word, number = root.iter(f"{NAME}text")
    assert (title.text, word.text, number.text) == ("t", "crash", "3")
    assert float(word.attrib["x"]) == EDGE
    assert float(number.attrib["x"]) == round(EDGE + 12 * CELL, 1)
    _ground, bar = root.iter(f"{NAME}rect")
    assert (float(bar.attrib["x"]), float(bar.attrib["width"])) == (
        round(EDGE + 7 * CELL, 1),
        round(3 * CELL, 1),
    )
    assert float(bar.attrib["height"]) < ROW, "seven eighths, so that bars do not run together"
    assert bar.attrib["fill"] == DARK[Tone.SICK]


def test_a_light_theme_is_light() -> None:
    assert LIGHT[Tone.BAD] in svg([(("x", Tone.BAD),)], "t", 10, dark=False)


@given(
    st.lists(st.tuples(st.text(max_size=60), st.sampled_from(list(Tone))), max_size=4), st.text(max_size=60)
)
def test_whatever_is_written_it_is_sound_and_inert(pieces: list[tuple[str, Tone]], title: str) -> None:
    root = parsed([tuple(pieces)], title)
    assert {one.tag for one in root.iter()} <= {NAME + tag for tag in ("svg", "title", "rect", "g", "text")}
    names = {name for one in root.iter() for name in one.attrib}
    assert not [name for name in names if name.startswith("on") or "href" in name]


def test_markup_of_others_is_text() -> None:
    root = parsed([(('<script>alert("1")</script>&amp;', Tone.TEXT),)])
    assert [one.text for one in root.iter(f"{NAME}text")][1] == '<script>alert("1")</script>&amp;'
