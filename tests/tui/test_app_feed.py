"""The feed tells what is new, and costs next to nothing while nothing is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from textual.message import Message

import hhmrs.tui.feed as feed_module
from hhmrs.tui.feed import Feed, FleetSeen, PaneSeen, Snapshot


class StillSource:
    """A scripted fleet about which something is written only when `write` is called."""

    def __init__(self, scripted: Any) -> None:
        self._scripted = scripted
        self.written = 0
        self.fleet_looks = 0
        self.pane_looks = 0
        self.printed = 0.0
        self.lines = ["$"]

    def write(self) -> None:
        self.written += 1

    def pulse(self) -> object:
        return self.written

    def snapshot(self, focus: str | None) -> Snapshot:
        self.fleet_looks += 1
        seen: Snapshot = self._scripted.snapshot(focus)
        first, *rest = seen.fleet.agents
        first = replace(first, trace={**first.trace, "output": self.printed})
        return replace(seen, fleet=replace(seen.fleet, agents=(first, *rest)))

    def pane(self, agent: str) -> list[str]:
        self.pane_looks += 1
        return [agent, *self.lines]


class Told:
    """What the feed posted, in order."""

    def __init__(self) -> None:
        self._all: list[Message] = []
        self._news = threading.Condition()

    def post(self, message: Message) -> None:
        with self._news:
            self._all.append(message)
            self._news.notify_all()

    def of(self, kind: type[Message]) -> list[Any]:
        return [message for message in self._all if isinstance(message, kind)]

    def until_seen(self, kind: type[Message], count: int) -> None:
        self.until(lambda: len(self.of(kind)) == count)

    def until(self, holds: Callable[[], bool], within: float = 10.0) -> None:
        with self._news:
            assert self._news.wait_for(holds, within)


@pytest.fixture
def still(scripted: Any) -> StillSource:
    return StillSource(scripted)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def feed(still: Any, told: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    """It looks every hundredth of a second, so that what it leaves out would come many times."""
    monkeypatch.setattr(feed_module, "EVERY", 0.01)
    monkeypatch.setattr(feed_module, "PANE_EVERY", 0.01)
    feed = Feed(still, told.post)
    feed.slow(False)
    yield feed
    feed.stop()


def test_while_nothing_is_written_the_fleet_is_told_of_by_the_clock_alone(
    feed: Feed, still: StillSource, told: Told
) -> None:
    began = time.monotonic()
    feed.start()
    told.until(lambda: len(told.of(FleetSeen)) == 3)
    assert time.monotonic() - began >= 2 * feed_module.CLOCK - 0.1
    assert still.fleet_looks == 3


def test_what_is_written_is_told_at_once(
    feed: Feed, still: StillSource, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "CLOCK", 3600.0)
    feed.start()
    told.until(lambda: len(told.of(FleetSeen)) == 1)
    for count in (2, 3):
        still.write()
        told.until_seen(FleetSeen, count)
    feed.focus("programmer-01")
    told.until(lambda: told.of(FleetSeen)[-1].snapshot.focus == "programmer-01")
    before = len(told.of(FleetSeen))
    feed.look()
    told.until(lambda: len(told.of(FleetSeen)) > before)


def test_what_was_written_while_another_agent_was_chosen_is_told_too(
    feed: Feed, still: StillSource, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source may answer for another focus with the fleet of a moment ago: then it is asked once more."""
    monkeypatch.setattr(feed_module, "CLOCK", 3600.0)
    feed.start()
    told.until(lambda: len(told.of(FleetSeen)) == 1)
    still.write()
    feed.focus("programmer-01")
    looks = still.fleet_looks
    told.until(lambda: len(told.of(FleetSeen)) >= 3)
    assert still.fleet_looks - looks <= 2


def test_a_pane_that_stays_the_same_is_told_once_and_looked_at_less_and_less(
    feed: Feed, still: StillSource, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "PANE_STILL", 3600.0)
    feed.watch("architect")
    feed.start()
    told.until(lambda: len(told.of(PaneSeen)) == 1)
    told.until(lambda: len(told.of(FleetSeen)) == 3)
    assert len(told.of(PaneSeen)) == 1
    assert still.pane_looks < 12, "the pauses double: 10 ms, 20 ms, 40 ms and so on"


def test_a_pane_at_rest_is_looked_at_when_its_agent_prints(
    feed: Feed, still: StillSource, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "PANE_EVERY", 3600.0)
    feed.watch("architect")
    feed.start()
    told.until(lambda: len(told.of(PaneSeen)) == 1 and len(told.of(FleetSeen)) == 2)
    still.lines, still.printed = ["$ make"], 5.0
    still.write()
    told.until(lambda: len(told.of(PaneSeen)) == 2)
    assert told.of(PaneSeen)[-1].lines == ("architect", "$ make")


def test_who_comes_back_to_a_pane_is_shown_it_again(feed: Feed, still: StillSource, told: Told) -> None:
    feed.watch("architect")
    feed.start()
    told.until(lambda: len(told.of(PaneSeen)) == 1)
    feed.watch("programmer-01")
    feed.watch("architect")  # its view is blank by now, and the pane is what it was
    told.until(lambda: len(told.of(PaneSeen)) >= 2)
    assert told.of(PaneSeen)[-1].agent == "architect"
    assert still.pane_looks >= 2


def test_nobodys_pane_is_not_looked_at(feed: Feed, still: StillSource, told: Told) -> None:
    feed.start()
    told.until(lambda: len(told.of(FleetSeen)) == 2)
    assert still.pane_looks == 0


def test_who_runs_through_the_agents_has_the_pane_read_where_the_run_ends(
    feed: Feed, still: StillSource, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "PANE_AT_REST", 3600.0)
    feed.start()
    feed.watch("architect")
    told.until(lambda: len(told.of(PaneSeen)) == 1)  # a single key: at once
    for agent in ("programmer-01", "programmer-02"):
        feed.watch(agent)
        for _ in range(3):  # time enough for the thread that reads panes
            still.write()
            told.until_seen(FleetSeen, len(told.of(FleetSeen)) + 1)
    monkeypatch.setattr(feed_module, "PANE_AT_REST", 0.01)
    feed.watch("programmer-03")
    told.until(lambda: told.of(PaneSeen)[-1].agent == "programmer-03")
    assert [seen.agent for seen in told.of(PaneSeen)] == ["architect", "programmer-03"]
