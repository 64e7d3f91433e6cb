"""The threads that look: who rests stays at rest, and leaving waits for none of them in turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hhmrs.tui import workfeed
from hhmrs.tui.feed import Beat, Feed
from hhmrs.tui.workfeed import Wanted, WorkFeed


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    """What a look waits for that hangs."""
    event = threading.Event()
    yield event
    event.set()


def test_looks_that_hang_are_waited_for_side_by_side(scripted: Any, hung: threading.Event) -> None:
    feed = Feed(scripted, lambda _: None)
    hanging = threading.Barrier(4)

    def look() -> None:
        if not hung.is_set():
            hanging.wait(10)
        hung.wait(30)

    for name in ("one", "two", "three"):
        feed.join(Beat(look, name))
    feed.start()
    hanging.wait(10)
    began = time.monotonic()
    feed.stop()
    assert time.monotonic() - began < 2.0, "one after another they would take three seconds"


def test_with_nothing_wanted_a_beat_that_was_let_go_rests_again(
    scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workfeed, "EVERY", 0.01)
    seen = threading.Event()
    work = WorkFeed(lambda: scripted.work, lambda _: seen.set())
    rested = threading.Event()
    hold = work.beat.hold

    def noted(held: bool) -> None:
        hold(held)
        if held:
            rested.set()

    monkeypatch.setattr(work.beat, "hold", noted)
    work.beat.start()
    try:
        work.beat.hold(False)  # as after a pane was attached
        assert rested.wait(10), "it goes round for nobody"
        work.want(Wanted("files", "architect"))
        assert seen.wait(10), "and it goes on when something is wanted"
    finally:
        work.beat.stop()
