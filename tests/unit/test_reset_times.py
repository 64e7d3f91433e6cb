from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from hhmrs.controller.terminals.reset_times import seconds_until

WARSAW = ZoneInfo("Europe/Warsaw")
NOW = datetime(2026, 11, 21, 14, 39, 30, tzinfo=WARSAW)
HOUR = 3600.0


def wait(text: str, zone: str | None = None, now: datetime = NOW) -> float | None:
    return seconds_until(text, now, zone)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("17", 17), ("0", 0), ("4.5", 4.5), ("17s", 17), ("2h 5m", 7500), ("in 2h 5m", 7500), ("90 sec", 90),
        ("1 hour 3 minutes", 3780), ("3 days, 2 hours", 74 * HOUR), ("1h", HOUR), ("5min", 300),
    ],
)  # fmt: skip
def test_lengths(text: str, seconds: float) -> None:
    assert wait(text) == seconds


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("3pm", (21, 15)), ("4:39 PM", (21, 16, 39)), ("16:20", (21, 16, 20)), ("4:20am", (22, 4, 20)),
        ("08:03", (22, 8, 3)), ("12am", (22, 0)), ("11:59:59 p.m.", (21, 23, 59, 59)), ("at 3pm", (21, 15)),
        ("Nov 23 at 4pm", (23, 16)), ("Nov 23rd, 2026 8:03 AM", (23, 8, 3)), ("November 23, 4pm", (23, 16)),
    ],
)  # fmt: skip
def test_moments_in_the_local_time(text: str, at: tuple[int, ...]) -> None:
    day, hour, minute, second = (*at, 0, 0)[:4]
    assert wait(text) == (datetime(2026, 11, day, hour, minute, second, 0, WARSAW) - NOW).total_seconds()


def test_moments_in_a_time_zone_of_their_own() -> None:
    noon = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    assert wait("4:20am", "Europe/Warsaw", noon) == 15 * HOUR + 1200
    assert wait("3pm (America/Recife)", None, noon) == 6 * HOUR
    assert wait("4:00 PM UTC", None, noon) == 4 * HOUR
    assert wait("4:00 PM GMT+2", None, noon) == 2 * HOUR
    assert wait("4pm CET", None, NOW) == wait("4pm"), "the local zone's own short name"


def test_a_number_of_seconds_since_the_epoch() -> None:
    assert wait(f"{NOW.timestamp() + 60:.0f}") == 60
    assert wait(f"{NOW.timestamp() - 60:.0f}") is None


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "tomorrow", "8:03 of something", "13pm", "0am", "25:00", "16:61", "4pm PST", "4pm IST",
        "4pm Mars/Olympus", "4pm ../../etc/passwd", "Foo 3 at 4pm", "Feb 30 at 4pm", "Nov 20 at 4pm",
        "Nov 23", "Nov 20, 2026 4pm", "9" * 400, "1" * 11, "-5", "2pm GMT+99", "in", "nan", "inf",
    ],
)  # fmt: skip
def test_what_does_not_say_it_for_certain_is_not_read(text: str) -> None:
    assert wait(text) is None


def test_half_past_eight_is_in_the_morning_and_in_the_evening() -> None:
    assert wait("8:30") is None
    assert wait("8:30 pm") == 5 * HOUR + 50 * 60 + 30


def test_a_time_that_may_just_have_passed_is_not_tomorrow() -> None:
    assert wait("2:30pm") is None
    assert wait("10am") == 19 * HOUR + 20 * 60 + 30


def test_an_hour_that_the_clocks_show_twice_or_never_is_not_read() -> None:
    autumn = datetime(2026, 10, 24, 22, 0, tzinfo=WARSAW)
    assert wait("2:30am", None, autumn) is None
    assert wait("3:30am", None, autumn) == 6.5 * HOUR
    spring = datetime(2027, 3, 27, 22, 0, tzinfo=WARSAW)
    assert wait("2:30am", None, spring) is None


def test_the_moment_itself_is_now() -> None:
    fixed = datetime(2026, 11, 21, 15, 0, tzinfo=timezone(timedelta(hours=-3)))
    assert wait("3pm", None, fixed) == 0


def test_a_day_without_a_year_is_the_next_one() -> None:
    december = datetime(2026, 12, 30, 12, 0, tzinfo=UTC)
    assert wait("Jan 2 at 12pm", None, december) == 3 * 24 * HOUR
