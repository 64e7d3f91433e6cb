"""Text of others takes the cells it is counted for: what is counted here is what a terminal draws."""

from __future__ import annotations

import ctypes
import locale
import unicodedata
from collections.abc import Callable, Iterator

import pytest
from rich.cells import cell_len
from rich.text import Text

from hhmrs.tui.inert import MOST_MARKS, in_ascii, inert
from hhmrs.tui.looks import clean
from hhmrs.tui.widgets.pane import settle, tame
from hhmrs.tui.workpages import inert as inert_line

EVERYTHING = [chr(code) for code in range(0x20, 0x110000)]
CHUNKS = ["".join(EVERYTHING[start : start + 64]) for start in range(0, len(EVERYTHING), 64)]
UNAGREED = ("Cn", "Co", "Cs")
"""Of these the C library knows no width."""


@pytest.fixture
def drawn() -> Iterator[Callable[[str], int]]:
    """How many cells the C library, and with it tmux, gives a text."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        pytest.skip("this system has no locale C.UTF-8, so that nobody tells how wide a character is")
    width: Callable[[str], int] = ctypes.CDLL(None).wcwidth
    width.argtypes = [ctypes.c_wchar]  # type: ignore[attr-defined]  # a foreign function has them
    yield lambda text: sum(width(char) for char in text)
    locale.setlocale(locale.LC_CTYPE, before)


def test_each_character_is_drawn_as_wide_as_it_is_counted(drawn: Callable[[str], int]) -> None:
    wrong = [
        (hex(ord(char)), shown)
        for char in EVERYTHING
        if unicodedata.category(char) not in UNAGREED
        and (shown := inert(char)) != "\x1b"
        and cell_len(shown) != drawn(shown)
    ]
    assert not wrong, wrong[:20]


@pytest.mark.parametrize("made", [clean, tame, inert_line], ids=["clean", "tame", "inert_line"])
def test_nothing_hides_steers_joins_or_breaks_a_line(made: Callable[[str], str]) -> None:
    for chunk in CHUNKS:
        shown = made(f"a{chunk}b")
        assert shown.startswith("a")
        kinds = {unicodedata.category(one) for one in shown}
        assert kinds.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"}), hex(ord(chunk[0]))
        assert "\ufe0f" not in shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f469\U0001f469\U0001f467"),
        ("\U0001f1e9\U0001f1ea", "DE"),
        ("\u2764\ufe0f 1\ufe0f\u20e3", "\u2764 1"),
        ("\U0001f44d\U0001f3fd", "\U0001f44d"),
        ("a\u2028b\u2029c", "a b c"),
        ("\u0939\u093f", "\u0939\ufffd"),
        ("\u202eabc\u2066", "abc"),
        ("\u6f22\u5b57 \u00fc \u2500\u2500\u2500\u2500\u2500",
         "\u6f22\u5b57 \u00fc \u2500\u2500\u2500\u2500\u2500"),
        ("\x9b31m\x9d0;t\x9c", "31m0;t"),
    ],
)  # fmt: skip
def test_what_terminals_do_not_agree_on_is_shown_by_what_they_do(said: str, shown: str) -> None:
    assert clean(said) == tame(said) == inert_line(said) == shown


@pytest.mark.parametrize("made", [clean, tame, inert_line], ids=["clean", "tame", "inert_line"])
def test_a_pile_of_accents_is_cut_to_what_a_letter_can_bear(made: Callable[[str], str]) -> None:
    marks = [char for char in EVERYTHING if unicodedata.category(char) in ("Mn", "Me")]
    for mark in marks:
        shown = made("Z" + mark * 40 + "algo")
        assert len(shown) <= len("Zalgo") + MOST_MARKS, hex(ord(mark))
    assert made("Vie\u0323\u0302t") == "Vie\u0323\u0302t"


def test_a_captured_line_stays_one_line_and_its_colours_stay() -> None:
    for line in settle(["\x1b[31mred\u2028\u2029\x85\x0b\x0cnext\x1b[0m", "x\ny"]):
        assert "\n" not in Text.from_ansi(line).plain
    assert tame("\x1b[31mred\x1b[0m") == "\x1b[31mred\x1b[0m"
    assert "9" not in Text.from_ansi(settle(["\x1b[" + "9" * 5000 + "mshown"])[0]).plain


def test_whoever_shows_all_of_unicode_fills_no_memory() -> None:
    from hhmrs.tui import inert as module

    for chunk in CHUNKS:
        inert(chunk)
    assert len(module._TABLE) <= module._MOST_KNOWN + 1
    assert inert("a\tb\nc\x1b") == "a\tb\nc\x1b"


def test_without_other_letters_a_text_keeps_its_cells() -> None:
    for said in ("ü │ 漢字 ─ …", "plain", "\U0001f469 e\u0301"):
        shown = in_ascii(said)
        assert shown.isascii()
        assert cell_len(shown) == cell_len(said)
