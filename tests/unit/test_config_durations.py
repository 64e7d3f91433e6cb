from __future__ import annotations

import pytest

from hhmrs.config.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("10m", 600),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1m30s500ms", 90.5),
        ("0s", 0),
    ],
)
def test_reads_every_unit_alone_and_together(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "30", "1.5h", "-3s", "3 s", " 3s", "3S", "2d", "30m1h", "1m1m", "s", "٣s", "1e3s", "9" * 50 + "s"],
)
def test_anything_else_is_refused_and_says_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration with its unit, such as 500ms"):
        parse_duration(text)


def test_a_slip_of_the_finger_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 10000h"):
        parse_duration("36000001s")


@pytest.mark.parametrize("text", ["500ms", "30s", "2m", "1h30m", "1h1s1ms"])
def test_writing_is_the_reverse_of_reading(text: str) -> None:
    assert format_duration(parse_duration(text)) == text


def test_nothing_is_zero_seconds() -> None:
    assert format_duration(0) == format_duration(-1) == "0s"
