"""Times are told by the person's own clock, and where that is; what is written to files stays UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hhmrs.tui.localtime import local, localised, zone_name
from hhmrs.tui.pages import page_lines

EAST = timezone(timedelta(hours=5, minutes=30), "IST")
AT = datetime(2026, 11, 21, 22, 54, 1, tzinfo=UTC).timestamp()
PAGE = """# Post-mortem: at 2026-11-21T22:54:01.000Z

| opened | 2026-11-21T22:54:01.000Z |
|---|---|

| when | at (UTC) | event | what |
|---:|---|---|---|
| +0.0 s | 2026-11-21T22:54:01.000Z | agent_incident | exit 1 at 2026-99-99T22:54:01Z |
"""


def test_a_moment_is_told_by_the_clock_of_here() -> None:
    assert local(AT, zone=EAST) == "04:24:01"
    assert zone_name(AT, EAST) == "IST"
    assert zone_name(AT, timezone(timedelta(hours=3))) == "UTC+03:00"
    assert local(1e300, zone=EAST) == "-"


def test_the_page_is_read_by_the_clock_of_here_and_says_so_once() -> None:
    here = localised(PAGE, EAST)
    assert "| opened | 2026-11-22 04:24:01 |" in here
    assert "| when | at (IST) | event | what |" in here
    assert "exit 1 at 2026-99-99T22:54:01Z" in here, "no day that there is"
    assert here.startswith("# Post-mortem: at 2026-11-21T22:54:01.000Z"), "only the tables are ours"
    assert here.count("IST") == 1
    shown = ["".join(text for text, _ in line) for line in page_lines(here, 80)]
    assert "+0.0 s  04:24:01  agent_incident  exit 1 at 2026-99-99T22:54:01Z" in shown


def test_a_page_without_times_stays_as_it_is() -> None:
    assert localised("| at (UTC) |", EAST) == "| at (UTC) |"
