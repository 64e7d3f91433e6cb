"""Charts of letters: nothing that is there goes unseen, nothing is wider than its room."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hhmrs.tui.charts import (
    Bar,
    Grid,
    Kind,
    axis,
    bar,
    bars,
    beside,
    cut,
    gauge,
    grid,
    legend,
    margin_of,
    sparkline,
    stacks,
    tallies,
    trimmed,
    unit,
)
from hhmrs.tui.prose import Line
from hhmrs.tui.tones import Tone

KINDS = (Kind("good", "█", "#", Tone.GOOD), Kind("odd", "▒", "+", Tone.HOLD), Kind("bad", "✗", "x", Tone.BAD))


def plain(line: Line) -> str:
    return "".join(text for text, _ in line)


def test_whatever_is_more_than_nothing_is_seen() -> None:
    assert bar(0, 10, 20) == ""
    assert bar(1, 1_000_000, 20) == "▇"
    assert bar(10, 10, 20) == "▇" * 20
    assert bar(99, 10, 20) == "▇" * 20, "never wider than its room"
    assert bar(5, 10, 20, plain=True) == "#" * 10
    assert bar(1, 0, 20) == bar(1, 2, 0) == ""


def test_bars_are_on_one_scale_and_their_figures_stand_in_columns() -> None:
    rows = [Bar("crash", 8, ("8", "80 %"), "a, b"), Bar("a long cause", 2, ("2", "20 %"))]
    first, second = (plain(line) for line in bars(rows, 60))
    assert (first.count("▇"), second.count("▇")) == (31, 8)
    assert first.index("80 %") == second.index("20 %")
    assert first.endswith("a, b")
    assert bars([], 60) == []


@given(
    st.lists(
        st.tuples(st.text(max_size=30), st.integers(0, 10**6), st.text(max_size=40)), min_size=1, max_size=6
    ),
    st.integers(30, 140),
    st.booleans(),
)
def test_no_bar_is_wider_than_its_room(
    rows: list[tuple[str, int, str]], width: int, ascii_only: bool
) -> None:
    made = bars([Bar(name, value, (str(value),), note) for name, value, note in rows], width, ascii_only)
    assert all(cell_len(plain(line)) <= width for line in made)


def test_what_missed_its_target_ends_before_the_mark() -> None:
    assert plain(gauge(89.9, 90.0, 20)) == "▇" * 18 + "┃▁"
    assert plain(gauge(90.0, 90.0, 20)) == "▇" * 18 + "┃▁"
    assert plain(gauge(100.0, 90.0, 20)) == "▇" * 18 + "┃▇"
    assert plain(gauge(50.0, 90.0, 20, plain=True)) == "#" * 10 + "." * 8 + "|."
    assert gauge(89.9, 90.0, 20)[0][1] is Tone.SICK
    assert gauge(90.0, 90.0, 20)[0][1] is Tone.GOOD
    assert plain(gauge(50.0, None, 4)) == "▇▇▁▁"


@given(st.floats(0, 100), st.floats(0, 100), st.integers(2, 60))
def test_a_gauge_fills_its_cells_and_never_flatters(value: float, target: float, cells: int) -> None:
    drawn = plain(gauge(value, target, cells))
    assert len(drawn) == cells
    assert drawn.count("┃") == 1
    if value < target:
        assert "▇" not in drawn[drawn.index("┃") :]


def test_a_sparkline_tells_nought_from_nothing_measured() -> None:
    assert sparkline([0, None, 5, 10]) == "▁ ▅█"
    assert sparkline([0, None, 5, 10], plain=True) == "_ -#" or sparkline([0, 5], plain=True)[0] == "_"
    assert sparkline([None, None]) == "  "
    assert sparkline([0.0, 0.0]) == "▁▁"


@pytest.mark.parametrize(
    ("count", "room", "expected"),
    [
        (15, 72, Grid(1, 4, 15)),
        (24, 72, Grid(1, 3, 24)),
        (168, 72, Grid(3, 1, 56)),
        (168, 52, Grid(4, 1, 42)),
        (168, 124, Grid(2, 1, 84)),
        (1, 72, Grid(1, 4, 1)),
        (1000, 30, Grid(34, 1, 30)),
    ],
)
def test_hours_are_put_together_until_they_fit(count: int, room: int, expected: Grid) -> None:
    assert grid(count, room) == expected


def test_one_cell_stands_for_a_round_number() -> None:
    assert [unit(most, 6) for most in (0, 1, 6, 7, 13, 31, 61, 217)] == [1, 1, 1, 2, 3, 6, 20, 40]


def test_a_stack_is_as_high_as_its_sum_and_in_the_order_of_its_kinds() -> None:
    shape = Grid(1, 1, 3)
    columns = [(2, 1, 1), (0, 0, 0), (1, 0, 0)]
    lines = [plain(line) for line in stacks(columns, KINDS, shape, 6)]
    assert lines == ["4 ┤✗  ", "  │▒  ", "  │█  ", "  │█ █", "0 └───"]
    assert plain(stacks(columns, KINDS, shape, 6, plain=True)[0]) == "4 +x  "
    assert margin_of(columns, 6) == 3


def test_a_cell_for_many_shows_parts_of_itself() -> None:
    lines = [plain(line) for line in stacks([(12, 0, 0), (18, 0, 0)], KINDS, Grid(1, 1, 2), 2)]
    assert lines == ["20 ┤▂▆", "   │██", " 0 └──"]
    assert plain(stacks([(9, 0, 1)], KINDS, Grid(1, 1, 1), 1)[0]) == "10 ┤█", "too rare for a cell of its own"
    assert tallies([0, 1, 12, 0], Grid(1, 4, 4)) == "     1   +", "but told below"


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=30
    ),
    st.integers(1, 8),
)
def test_stacks_keep_their_height_and_their_order(columns: list[tuple[int, int, int]], height: int) -> None:
    shape = Grid(1, 1, len(columns))
    *rows, _floor = stacks(columns, KINDS, shape, height, plain=True)
    step, margin = unit(max(map(sum, columns)), height), margin_of(columns, height)
    assert len(rows) <= height or len(rows) == 1
    letters = [plain(row)[margin:].ljust(len(columns)) for row in rows]
    for number, column in enumerate(columns):
        pile = "".join(row[number] for row in reversed(letters)).rstrip()
        assert len(pile) == -(-sum(column) // step)
        order = ["#+x".index(letter) for letter in pile]
        assert all(low <= high for low, high in pairwise(order))


def test_labels_never_touch_and_never_leave_the_room() -> None:
    shape = Grid(1, 1, 20)
    text = plain(axis([f"{hour:02} " for hour in range(20)], shape, 3, 23))
    assert text.split() == ["00", "03", "06", "09", "12", "15"]
    assert text.index("03") == 3 + 3
    assert plain(axis(["", "", "Tue 17 "], Grid(1, 4, 3), 3, 40)).strip() == "Tue 17"
    assert len(text) <= 23


def test_two_charts_stand_side_by_side() -> None:
    left: list[Line] = [(("one", Tone.TEXT),), (("two", Tone.TEXT),)]
    right: list[Line] = [(("three", Tone.TEXT),)]
    assert [plain(line) for line in beside(left, right, 6)] == ["one   three", "two"]
    assert [plain(line) for line in beside(right, left, 6)] == ["three one", "      two"]


def test_what_is_too_long_is_cut_with_a_sign_and_lines_are_trimmed() -> None:
    assert cut("programmer", 5) == "prog…"
    assert cut("programmer", 5, plain=True) == "prog~"
    assert cut("宽宽宽", 4) == "宽…", "counted in cells"
    assert trimmed((("ab", Tone.TEXT), ("cdef", Tone.BAD)), 3) == (("ab", Tone.TEXT), ("c", Tone.BAD))
    assert trimmed((("ab", Tone.TEXT), ("   ", Tone.BAD)), 9) == (("ab", Tone.TEXT),)


def test_the_legend_names_what_the_letters_mean() -> None:
    assert plain(legend([3, 0], KINDS[:2])) == "█ good 3   ▒ odd 0   "
