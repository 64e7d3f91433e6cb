"""Which stretch of time a word means: nights and days are those of the person's own clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hhmrs.controller.reports.spans import MOST, NAMES, span_of

BERLIN = ZoneInfo("Europe/Berlin")


def at(*moment: int) -> float:
    return datetime(*moment, tzinfo=BERLIN).timestamp()  # type: ignore[arg-type, misc]  # year, month, day, ...


def wall(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, BERLIN).strftime("%d %H:%M")


@pytest.mark.parametrize(
    ("now", "words", "until"),
    [
        ((2026, 11, 21, 9, 30), "last night", "21 09:00"),
        ((2026, 11, 21, 23, 59), "last night", "21 09:00"),
        ((2026, 11, 21, 9, 0), "last night", "21 09:00"),
        ((2026, 11, 21, 2, 10), "this night so far", "21 03:00"),
    ],
)
def test_last_night_is_yesterday_evening_to_this_morning(
    now: tuple[int, ...], words: str, until: str
) -> None:
    span = span_of("night", at(*now), zone=BERLIN)
    assert (span.words, wall(span.edges[0]), wall(span.edges[-1])) == (words, "20 18:00", until)
    assert (span.since, span.until) == (span.edges[0], span.edges[-1])


def test_a_night_in_which_the_clock_is_changed_has_an_hour_more() -> None:
    span = span_of("night", at(2026, 10, 25, 10, 0), zone=BERLIN)
    assert len(span.edges) - 1 == 16
    assert (wall(span.edges[0]), wall(span.edges[-1])) == ("24 18:00", "25 09:00")


def test_a_day_and_a_week_end_with_the_hour_that_runs() -> None:
    now = at(2026, 11, 21, 14, 20)
    day, week = span_of("day", now, zone=BERLIN), span_of("week", now, zone=BERLIN)
    assert (wall(day.edges[0]), wall(day.edges[-1]), len(day.edges) - 1) == ("20 15:00", "21 15:00", 24)
    assert (wall(week.edges[0]), wall(week.edges[-1])) == ("15 00:00", "21 15:00")
    assert day.holds(now)
    assert not day.holds(now - 86_400)


def test_asked_twice_within_an_hour_it_is_the_same_span() -> None:
    for name in ("night", "day", "week"):
        assert span_of(name, at(2026, 11, 21, 9, 5), zone=BERLIN) == span_of(
            name, at(2026, 11, 21, 9, 55), zone=BERLIN
        )


def test_all_goes_from_the_oldest_to_the_newest_and_bounds_nothing() -> None:
    first, last = at(2026, 1, 1, 10, 0), at(2026, 11, 21, 9, 0)
    span = span_of("all", last, first, last, BERLIN)
    assert (span.since, span.until) == (None, None)
    assert span.holds(0.0)
    assert span.edges[0] <= first < last < span.edges[-1]
    assert len(span.edges) <= MOST + 2
    assert all(wall(edge).endswith("00:00") for edge in span.edges), "slices of whole days"
    assert len(span_of("all", last, None, None, BERLIN).edges) == 2, "nothing to bound: one slice"


@pytest.mark.parametrize(
    ("name", "slices"), [("30m", 7), ("2h", 25), ("8h", 9), ("8d", 193), ("30d", 31), ("400d", 134)]
)
def test_a_length_of_one_s_own_holds_all_of_it_in_few_slices(name: str, slices: int) -> None:
    now = at(2026, 11, 21, 9, 4)
    span = span_of(name, now, zone=BERLIN)
    assert len(span.edges) - 1 == slices
    assert span.holds(now)
    assert all(one < other for one, other in zip(span.edges, span.edges[1:], strict=False))


@pytest.mark.parametrize("name", ["", "nights", "8", "-3h", "0h", "30s", "417d", "Night"])
def test_what_is_no_span_is_told_what_would_be(name: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        span_of(name, at(2026, 11, 21, 9, 0), zone=BERLIN)


def test_without_a_zone_it_is_this_machine_s_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC).timestamp()
    here = datetime.fromtimestamp(now).astimezone()
    span = span_of("night", now)
    begin = datetime.fromtimestamp(span.edges[0]).astimezone()
    assert (begin.hour, begin.date()) == (18, here.date() - timedelta(days=1))
    assert NAMES == ("night", "day", "week", "all")
