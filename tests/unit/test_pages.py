"""A page of ours is readable at any width, and nothing that somebody else wrote on it does anything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hhmrs.healing.markdown import cell, fenced
from hhmrs.tui.pages import page_lines
from hhmrs.tui.tones import Tone

PAGE = """# Post-mortem: incident a-i1

| | |
|---|---|
| agent | a (parent b) |
| outcome | recovered after 3.0 s, by its own progress and then some more words than fit |

## Timeline

| when | at (UTC) | event | what |
|---:|---|---|---|
| +0.0 s | 2026-11-21T10:00:00.123Z | agent_incident | no life \\| at all |

- a lesson in `code` and more words that do not fit into forty cells

```text
+++ b/file
+added \\`kept\\`
-removed
    indented
```
"""


def shown(markdown: str, width: int = 60, plain: bool = False) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in page_lines(markdown, width, plain)]


def test_headings_tables_lists_and_quotations() -> None:
    lines = shown(PAGE)
    assert lines[:2] == ["Post-mortem: incident a-i1", "═" * 26]
    assert "agent    a (parent b)" in lines
    assert "when    at (UTC)  event           what" in lines
    assert "+0.0 s  10:00:00  agent_incident  no life | at all" in lines
    assert "• a lesson in code and more words that do not fit into forty" in lines
    assert "▏ +added \\`kept\\`" in lines, "what is quoted is shown as it is"
    assert "▏     indented" in lines
    assert not any("---" in line and "|" in line for line in lines), "no rules of tables"


def test_a_table_of_nothing_and_a_row_of_dashes() -> None:
    assert shown("|---|---|") == []
    assert shown("| a | b |\n|---|---|\n| - | - |") == ["a  b", "-  -"]


def test_a_long_cell_goes_on_in_its_own_column() -> None:
    lines = shown(PAGE, 40)
    first = next(number for number, line in enumerate(lines) if line.startswith("outcome"))
    assert lines[first + 1].startswith(" " * 9)
    assert lines[first + 1].strip()


def test_a_diff_has_its_colours_and_a_heading_its_own() -> None:
    tones = {text: tone for line in page_lines(PAGE, 60) for text, tone in line}
    assert tones["+added \\`kept\\`"] is Tone.GOOD
    assert tones["-removed"] is Tone.SICK
    assert tones["+++ b/file"] is Tone.QUIET
    assert tones["Timeline"] is Tone.BUSY


def test_plain_glyphs_are_ascii() -> None:
    assert "\n".join(shown(PAGE, 60, plain=True)).isascii()


def test_a_fence_is_closed_only_by_one_as_long() -> None:
    lines = shown("````text\n```\n# no heading\n````\n# a heading")
    assert lines == ["▏ ```", "▏ # no heading", "a heading", "═════════"]


def test_hostile_words_stay_words() -> None:
    said = "[red]x[/] \x1b]0;owned\x07\x1b[2J\u202e | # no\n| heading"
    page = f"| a | b |\n|---|---|\n| {cell(said)} | x |\n\n{fenced(said, 400)}\n{said}"
    text = "\n".join(shown(page))
    assert "[red]x[/]" in text
    assert "owned" not in text
    assert not set(text) & set("\x1b\x07\u202e")


@given(st.text(max_size=400), st.integers(8, 120), st.booleans())
def test_no_line_is_wider_than_its_room_whatever_the_page(page: str, width: int, plain: bool) -> None:
    for line in page_lines(page, width, plain):
        text = "".join(piece for piece, _ in line)
        assert cell_len(text) <= width
        assert not set(text) & {"\x1b", "\x07", "\n", "\r", "\u202e"}


@given(
    st.lists(st.lists(st.text("ab |\\`#-宽", max_size=30), min_size=1, max_size=6), max_size=6),
    st.integers(8, 100),
)
def test_no_table_is_wider_than_its_room(rows: list[list[str]], width: int) -> None:
    markdown = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    assert all(cell_len("".join(text for text, _ in line)) <= width for line in page_lines(markdown, width))
