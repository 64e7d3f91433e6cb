"""The timeline gathered by incident: what is told of each, in which order, folded or not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hhmrs.controller.ports import Event
from hhmrs.tui.episodes import episodes, timeline_page
from hhmrs.tui.prose import Page
from hhmrs.tui.tones import Tone

NOW = 50_000.0


def event(seq: int, kind: str, incident: str | None = None, ago: float = 0.0, **data: Any) -> Event:
    at = datetime.fromtimestamp(NOW - ago, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Event(seq, at, kind, "a", None, incident, data)


NIGHT = [
    event(1, "task_opened", ago=900, text="build"),
    event(2, "hhmrs_timeout", "i1", 800, symptom="stalled", cause="stalled", detail="silent 60 s"),
    event(3, "hhmrs_nudge", "i1", 790, reason="wake it"),
    event(4, "checkpoint_stored", None, 785, by="supervisor"),
    event(5, "hhmrs_restart", "i1", 780, reason="attempt 1 of 3"),
    event(6, "hhmrs_restart", "i1", 770, reason="attempt 2 of 3"),
    event(7, "hhmrs_recovered", "i1", 740, proof="progress"),
    event(8, "agent_incident_closed", "i1", 740, outcome="recovered"),
    event(9, "agent_phase", None, 700),
    event(10, "agent_incident", "i2", 100, symptom="exited", cause="unknown"),
    event(11, "agent_cause_found", "i2", 90, cause="oom", detail="the kernel killed it"),
]  # fmt: skip


def texts(page: Page) -> list[str]:
    return ["".join(piece for piece, _ in line) for line in page.lines]


def test_an_incident_tells_outcome_attempts_and_time_to_recovery() -> None:
    new, _, old, *_ = episodes(NIGHT)

    assert (new.incident, new.symptom, new.cause, new.is_open) == ("i2", "exited", "oom", True)
    assert (old.incident, old.outcome, old.lasted) == ("i1", "recovered", 60.0)
    assert old.tries == (("nudge", 1), ("restart", 2))


def test_every_event_is_told_once() -> None:
    assert sorted(e.seq for one in episodes(NIGHT) for e in one.events) == list(range(1, 12))


def test_the_newest_and_the_open_are_unfolded_the_others_one_head() -> None:
    page = timeline_page(NIGHT, NOW, 100)
    lines = texts(page)

    assert lines[0].startswith("▾ ")
    assert "exited: under way" in lines[0]
    assert "no attempt; cause oom; the kernel killed it" in lines[1]
    head = next(line for line in lines if "stalled: recovered after 60s" in line)
    assert head.startswith("▸ ")
    assert "3 attempts: nudge, 2 restart; silent 60 s" in lines[lines.index(head) + 1]
    assert not any("attempt 1 of 3" in line for line in lines)
    assert any("task opened" in line for line in lines)


def test_a_flip_unfolds_it_with_its_reasons_and_another_folds_it() -> None:
    page = timeline_page(NIGHT, NOW, 100, flipped=frozenset({"i1", "i2"}))
    lines = texts(page)

    assert any("attempt 1 of 3" in line for line in lines)
    assert lines[0].startswith("▸ ")
    assert {page.picks[number] for number in page.picks if "attempt" in lines[number]} >= {"i1"}


def test_all_lines_of_an_incident_choose_it_and_others_nothing() -> None:
    page = timeline_page(NIGHT, NOW, 100)
    lines = texts(page)

    assert {page.picks.get(n) for n, line in enumerate(lines) if "agent cause found" in line} == {"i2"}
    assert page.picks.get(next(n for n, line in enumerate(lines) if "agent phase" in line)) is None


def test_one_that_needs_a_person_says_so_and_one_under_way_is_orange() -> None:
    given_up = [*NIGHT[9:], event(12, "hhmrs_failure", "i2", 50, reason="every strategy is spent")]
    (one,) = episodes(given_up)
    assert (one.outcome, one.tone, one.is_open) == ("a person is needed", Tone.BAD, True)

    (one,) = episodes(NIGHT[9:])
    assert one.tone is Tone.TRON


def test_hostile_words_are_inert_and_nothing_is_a_line_of_its_own() -> None:
    bad = "x\x1b[2J\x07[red]"
    lines = "\n".join(
        texts(timeline_page([event(1, "agent_incident", "i", 5, symptom=bad, detail=bad)], NOW, 60, True))
    )

    assert not set(lines) & {"\x1b", "\x07"}
    assert "[red]" in lines
    assert lines.isascii()
    assert texts(timeline_page([], NOW, 60)) == ["nothing has happened to it yet"]
