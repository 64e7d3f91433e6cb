"""What reaches the terminal: inert, aligned, coloured only where colour is wanted."""

from __future__ import annotations

import io
import json

import pytest

from hhmrs.tui.commands.output import Screen, inert, padded, width


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def __init__(self, *, tty: bool = True, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding)
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty

    def text(self) -> str:
        self.flush()
        return self.bytes.getvalue().decode()


HOSTILE = "a\x1b]0;title\x07b\x9b31mc\r\nd\u202ee\u200bf\x00"


def test_hostile_text_becomes_one_line_that_steers_nothing() -> None:
    shown = inert(HOSTILE)
    assert shown.isprintable()
    assert "\\x1b" in shown


def test_long_text_is_bounded() -> None:
    assert len(inert("x" * 10_000, 50)) <= 50


def test_a_json_document_steers_nothing_either_and_says_the_same() -> None:
    stream = Terminal()
    Screen(stream).document({"text": HOSTILE})
    said = stream.text()
    assert said.replace("\n", "").isprintable()
    assert json.loads(said) == {"text": HOSTILE}


@pytest.mark.parametrize(
    ("tty", "environ", "coloured"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": ""}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(tty: bool, environ: dict[str, str], coloured: bool) -> None:
    screen = Screen(Terminal(tty=tty), environ)
    assert ("\x1b[" in screen.style("word", "bad")) is coloured
    assert screen.style("", "bad") == ""


def test_columns_are_aligned_in_terminal_cells() -> None:
    lines = Screen(Terminal()).columns([["a", "1"], ["日本", "2"], ["longer", "3"]])
    assert [width(line[: line.index(digit)]) for line, digit in zip(lines, "123", strict=True)] == [8, 8, 8]
    assert padded("é", 3) == "é  "


def test_a_tree_has_ascii_rails_where_there_is_no_unicode() -> None:
    assert Screen(Terminal()).rails((True, False)) == "│  └─ "
    assert Screen(Terminal(encoding="ascii")).rails((True, False)) == "|  `- "
    assert Screen(Terminal()).rails(()) == ""
