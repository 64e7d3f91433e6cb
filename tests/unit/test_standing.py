"""What the banner says of the screen's own footing, and when the daemon can be started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hhmrs.config.fleet import FleetSpec, Policy
from hhmrs.tui.document import Agent, Fleet
from hhmrs.tui.feed import Snapshot
from hhmrs.tui.keys.fleet import KEYS
from hhmrs.tui.standing import KEY, empty_lines, is_loading, notices, start_why_not

UP = Snapshot(Fleet("nightly", 100.0, up=True, agents=(Agent(id="a", title="A"),)))
DOWN = replace(UP, fleet=replace(UP.fleet, up=False))
FROZEN = replace(UP, fleet=replace(UP.fleet, frozen=4711))
BEFORE = Snapshot(Fleet("", 0.0, up=True))
SPEC = FleetSpec(fleet="nightly", path=Path("/w/hhmrs.yaml"), policy=Policy(), agents={}, profiles={})
FLAW = "/w/hhmrs.yaml:3:1: unknown key 'bogus'"


def badges(seen: Snapshot, starting: float | None = None, waited: float = 9.0) -> list[str]:
    return [one.badge for one in notices(seen, starting, waited)]


def test_a_healthy_screen_has_no_banner() -> None:
    assert notices(UP) == ()


def test_a_wait_is_told_once_it_is_over_a_second() -> None:
    assert is_loading(BEFORE)
    assert badges(BEFORE, waited=0.9) == []
    assert "for 3 s" in notices(BEFORE, waited=3.2)[0].words
    assert not is_loading(replace(BEFORE, fault="disk on fire"))


def test_without_a_daemon_the_banner_says_what_to_do_first_and_can_be_clicked() -> None:
    (one,) = notices(DOWN)
    assert (one.badge, one.key) == ("NO DAEMON", True)
    assert one.words.startswith(f"{KEY} starts one, or `hhmrs up`")
    (one,) = notices(FROZEN)
    assert one.words.startswith(f"{KEY} lets it go on, or `kill -CONT 4711`")
    assert badges(DOWN, starting=2.0) == ["STARTING"]
    assert [key.keys for key in KEYS if key.id == "app.daemon"] == [(KEY,)]


def test_why_it_is_read_only_and_what_is_wrong_with_the_file() -> None:
    seen = replace(DOWN, locked="it belongs to user ann", flaws=(FLAW, "second"), spec=SPEC)
    assert badges(seen) == ["NO DAEMON", "READ ONLY", "FLEET FILE"]
    words = notices(seen)[-1].words
    assert words == (
        "hhmrs.yaml:3:1: unknown key 'bogus' (and 1 more: `hhmrs check`); the last good one stays in force"
    )
    assert "knows less" in notices(replace(seen, spec=None))[-1].words


def test_a_fault_comes_first_and_says_where_to_look() -> None:
    assert badges(replace(DOWN, fault="the ledger is damaged")) == ["FAULT", "NO DAEMON"]
    assert "`hhmrs doctor`" in notices(replace(UP, fault="the ledger is damaged"))[0].words


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (DOWN, None),
        (FROZEN, None),
        (UP, "the daemon runs"),
        (BEFORE, "the fleet is not known yet"),
        (replace(DOWN, locked="it belongs to user ann"), "it belongs to user ann"),
        (replace(DOWN, flaws=(FLAW,)), f"no daemon starts by a broken fleet file: {FLAW}"),
        (replace(FROZEN, flaws=(FLAW,)), None),
    ],
)
def test_when_the_daemon_can_be_started(seen: Snapshot, why: str | None) -> None:
    assert start_why_not(seen) == why


def test_an_empty_list_says_why_it_is_empty() -> None:
    assert empty_lines(BEFORE) == ("reading the fleet ...",)
    empty = replace(UP, fleet=replace(UP.fleet, agents=()), spec=SPEC)
    assert empty_lines(empty)[0] == "this fleet has no agents"
    assert "/w/hhmrs.yaml" in empty_lines(empty)[1]
    assert "line above" in empty_lines(replace(BEFORE, fault="x"))[0]
