"""How the lines of the list are drawn: cells, signs, marks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.style import Style

from hhmrs.healing.agent import Phase
from hhmrs.tests.unit.fleets import NOW, agent, fleet, grown
from hhmrs.tui.early_frame import cells_beside
from hhmrs.tui.listing import Listing, Sort, View
from hhmrs.tui.looks import Glyphs
from hhmrs.tui.problems import Dots, Heading
from hhmrs.tui.rows import Row
from hhmrs.tui.themes import DARK
from hhmrs.tui.tones import Tone
from hhmrs.tui.viewmodel import Lines
from hhmrs.tui.widgets.fleet_lines import (
    PHASE_CELLS,
    Columns,
    Look,
    dots_line,
    fold_cell,
    gutter,
    head_line,
    heading_line,
    row_line,
    title_cells,
    titled,
)

TEAM = fleet(
    agent("boss"),
    agent("dir", "boss", title="Vögel 鳥"),
    agent("lost", "dir", Phase.ESCALATED),
    agent("asks", "dir", Phase.WAITING),
)


def look(width: int = 80, plain: bool = False, marks: bool = False, **how: Any) -> Look:
    return Look(Glyphs(plain), DARK, Columns.fit(width, 20), Listing(**how), NOW, marks)


def rows(**how: Any) -> list[Row]:
    return [line for line in Lines().of(TEAM, Listing(**how)) if isinstance(line, Row)]


def test_an_open_parent_tells_the_worst_below_it_and_a_folded_one_tells_all() -> None:
    assert titled(rows()[1], look()).plain.endswith("Vögel 鳥 ▲1")
    folded = rows(folded=frozenset({"dir"}))[1]
    assert titled(folded, look()).plain.endswith("Vögel 鳥 +2 ▲1 ◆1")
    calm = Lines().of(fleet(agent("a"), agent("b", "a")))[0]
    assert isinstance(calm, Row)
    assert titled(calm, look()).plain.endswith("A")


@pytest.mark.parametrize(
    "how",
    [{}, {"folded": frozenset({"dir"})}, {"sort": Sort.CPU}, {"view": View.PROBLEMS}, {"needle": "lost"}],
)
def test_the_cells_of_a_title_are_known_without_drawing_it(how: dict[str, Any]) -> None:
    drawn = rows(**how)
    drawn += [line for line in Lines().of(grown(50), Listing(**how)) if isinstance(line, Row)]
    assert [title_cells(row) for row in drawn] == [titled(row, look()).cell_len for row in drawn]


@pytest.mark.parametrize("width", [20, 30, 40, 60, 100, 180])
@pytest.mark.parametrize("sort", [Sort.TREE, Sort.MEMORY])
def test_heads_and_lines_stand_in_the_same_columns(width: int, sort: Sort) -> None:
    here = look(width, sort=sort)
    for row in rows(sort=sort):
        assert row_line(row, here).cell_len <= width - here.gutter
    head, line = head_line(here), " " + row_line(rows(sort=sort)[0], here).plain
    if here.columns.phase:
        assert head.index("phase") == line.index("working")
    if sort is Sort.MEMORY and here.columns.tries:
        assert head.rindex("mem") + 3 == line.index("0M") + 2


def test_what_it_is_ordered_by_stands_over_the_names() -> None:
    assert "agent  by cpu ↓" in head_line(look(sort=Sort.CPU))
    assert " cpu" in head_line(look(sort=Sort.CPU))
    assert "×" in head_line(look())
    assert head_line(look(plain=True, sort=Sort.CPU)).isascii()


def test_the_fold_sign_stands_where_a_click_looks_for_it() -> None:
    parents = [row for row in rows() if row.parent]
    assert [titled(row, look()).plain[fold_cell(row) or 0] for row in parents] == ["▾", "▾"]
    assert fold_cell(rows()[-1]) is None


def test_a_click_on_a_column_head_means_what_stands_there() -> None:
    columns = look(100).columns
    head = head_line(look(100))
    wanted = {
        "agent": Sort.NAME,
        "phase": Sort.NEED,
        "seen": Sort.SEEN,
        "×": Sort.TRIES,
        "message": Sort.TREE,
    }
    assert {word: columns.sort_at(head.index(word) - 1) for word in wanted} == wanted


def test_marks_have_a_column_of_their_own_only_while_there_are_any() -> None:
    assert gutter(look(), here=True, marked=True).plain == "▌"
    assert gutter(look(marks=True), here=True, marked=True).plain == "▌»"
    assert gutter(look(marks=True), here=False, marked=False).plain == "  "
    assert gutter(look(marks=True, plain=True), here=True, marked=True).plain == ">*"


def test_dots_tell_phase_selection_and_mark_without_colour() -> None:
    line = Dots(("a", "b", "c"), (Phase.WORKING, Phase.IDLE, Phase.DONE))
    text = dots_line(line, look(), "b", frozenset({"c"}))
    assert text.plain.strip() == "●○✓"
    styles = {text.plain[span.start]: span.style for span in text.spans}
    assert all(isinstance(style, Style) for style in styles.values())
    assert [name for name, style in styles.items() if isinstance(style, Style) and style.reverse] == ["○"]
    assert [name for name, style in styles.items() if isinstance(style, Style) and style.underline] == ["✓"]
    assert dots_line(line, look(plain=True), None, frozenset()).plain.strip() == "*ov"


def test_a_heading_names_the_group_and_its_phases() -> None:
    heading = Lines().of(TEAM, Listing(View.PROBLEMS))[0]
    assert isinstance(heading, Heading)
    assert heading_line(heading, look()).plain == "needs you now  2   ▲ 1 escalated   ◆ 1 waiting"


def test_who_stands_there_only_for_others_is_quiet() -> None:
    above, _, match = rows(needle="name:lost")
    assert (above.context, match.context) == (True, False)
    names = [
        span.style for span in titled(above, look()).spans if titled(above, look()).plain[span.start] == "B"
    ]
    assert [style.color.name for style in names if isinstance(style, Style) and style.color] == [
        DARK[Tone.QUIET]
    ]


def test_without_a_daemon_all_is_quiet_and_none_of_it_dim() -> None:
    lines = Lines().of(replace(TEAM, up=False))
    for row in lines:
        assert isinstance(row, Row)
        text = row_line(row, look())
        assert text.spans[-1].style == Style(color=DARK[Tone.QUIET])
        assert (text.spans[-1].start, text.spans[-1].end) == (0, len(text))
        assert not [span for span in text.spans if isinstance(span.style, Style) and span.style.dim]


@pytest.mark.parametrize("screen", [110, 120, 132, 160, 180])
def test_beside_the_agent_there_is_room_for_a_message_and_for_a_pane(screen: int) -> None:
    mine = cells_beside(screen)
    columns = Columns.fit(mine, 22)
    assert columns.message >= 20, columns
    assert columns.phase == PHASE_CELLS
    assert screen - mine >= 46


def test_what_a_list_is_ordered_by_does_not_give_way() -> None:
    assert Columns.fit(60, 22).tries == 0
    ordered = Columns.fit(60, 22, figures=True)
    assert ordered.tries == 4
    assert ordered.message >= 8
