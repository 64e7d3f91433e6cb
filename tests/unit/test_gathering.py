"""Runs of like signs become one; nothing else is touched, and no beat goes uncounted."""

from __future__ import annotations

from hhmrs.controller.daemon.gathering import gathered
from hhmrs.healing import evidence as e


def test_beats_are_one_with_their_number_and_all_that_they_said() -> None:
    found = gathered(
        [
            e.BeatReceived("a", 1.0, "planning", 0.2, "first"),
            e.BeatReceived("b", 1.5, "idle"),
            e.BeatReceived("a", 2.0, "executing", 0.4),
            e.BeatReceived("a", 3.0, "executing", None, "", 5),
        ]
    )
    assert found == [
        e.BeatReceived("b", 1.5, "idle"),
        e.BeatReceived("a", 3.0, "executing", 0.4, "first", 7),
    ]


def test_what_an_agent_did_in_between_keeps_its_place() -> None:
    batch: list[e.Evidence] = [
        e.BeatReceived("a", 1.0, "executing"),
        e.AskReceived("a", 2.0, "may I?"),
        e.BeatReceived("a", 3.0, "executing"),
        e.FileChanged("a", 4.0, "x"),
        e.FileChanged("a", 5.0, "y"),
        e.TranscriptGrew("a", 6.0),
        e.TranscriptGrew("a", 7.0),
    ]
    assert gathered(batch) == [*batch[:3], batch[4], batch[6]]


def test_output_is_joined_only_where_nobody_looked_what_it_was() -> None:
    read = e.OutputSeen("a", 3.0, ("a line",))
    batch = [e.OutputSeen("a", 1.0), e.OutputSeen("a", 2.0), read, e.OutputSeen("a", 4.0)]
    assert gathered(batch) == [batch[1], read, batch[3]]
    primed = [e.OutputSeen("a", 1.0, primed=True), e.OutputSeen("a", 2.0)]
    assert gathered(primed) == primed


def test_two_exits_or_orders_stay_two() -> None:
    batch: list[e.Evidence] = [
        e.ProcessExited("a", 1.0, 1, 0, None),
        e.ProcessExited("a", 1.0, 2, 0, None),
        e.Ordered("a", 1.0, "stop", "x"),
        e.Ordered("a", 1.0, "stop", "y"),
    ]
    assert gathered(batch) == batch
