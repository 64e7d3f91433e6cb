"""The orange bar's words: which events, how old, how many, what is waved away and what comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hhmrs.controller.ports import Event
from hhmrs.healing.agent import Phase
from hhmrs.tui.document import Agent, Fleet
from hhmrs.tui.interventions import ICONS, QUIET_AFTER, Dismissal, Intervention, intervention

NOW = 1_795_260_000.0
FLEET = Fleet(
    name="f", at=NOW, up=True, agents=tuple(Agent(id=n, title=n.title(), phase=Phase.WORKING) for n in "abcd")
)


def event(
    seq: int, kind: str, ago: float, who: str | None = "a", incident: str | None = "i1", **data: object
) -> Event:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW - ago))
    return Event(seq, f"{whole}.000Z", kind, who, None, incident, dict(data))


TROUBLE = [
    event(1, "agent_phase", 9),
    event(2, "hhmrs_timeout", 7),
    event(3, "hhmrs_nudge", 6),
    event(4, "hhmrs_restart", 5, reason="attempt 1 of 3"),
]


def bar(events: list[Event], now: float = NOW, away: Dismissal | None = None) -> Intervention | None:
    return intervention(events, FLEET, now, away or Dismissal())


def shown(events: list[Event], now: float = NOW, away: Dismissal | None = None) -> Intervention:
    line = bar(events, now, away)
    assert line is not None
    return line


def test_the_bar_shows_interventions_only() -> None:
    line = shown([*TROUBLE, event(5, "agent_started", 1)])
    assert (line.seq, line.count, line.seconds(NOW)) == (4, 3, 5)
    assert line.text(NOW) == "A restart · 3 events · 5s"
    assert line.text(NOW, brief=True) == "A restart · 5s"
    assert line.told[0].icon == "↻"
    assert line.told[0].reason == "attempt 1 of 3"
    assert bar([event(1, "agent_started", 1)]) is None
    assert bar([]) is None


@pytest.mark.parametrize("kind", sorted(ICONS))
def test_every_intervention_has_its_glyph_word_and_age(kind: str) -> None:
    line = shown([event(1, kind, 3)])
    assert line.told[0].icon == ICONS[kind][0]
    assert line.text(NOW) == f"A {kind.removeprefix('hhmrs_')} · 3s"
    assert line.text(NOW + 9) == f"A {kind.removeprefix('hhmrs_')} · 12s", "the line itself does not age"


def test_the_last_events_of_other_agents_stand_beside_it_with_their_ages() -> None:
    line = shown(
        [
            event(1, "hhmrs_timeout", 20, "b", "i2"),
            event(2, "hhmrs_failure", 12, "c", "i3"),
            event(3, "hhmrs_timeout", 9),
            event(4, "hhmrs_restart", 5),
        ]
    )
    assert [one.who for one in line.told] == ["A", "C", "B"], "the newest event of each agent"
    crowd = [event(1, "hhmrs_failure", 29, "b", "i2"), event(2, "hhmrs_restart", 9, "c", "i3"), *TROUBLE[2:]]
    assert [one.who for one in shown(crowd).told] == ["A", "B", "C"], "who needs a person is not hidden"
    assert line.others(NOW, 80) == "   ✗ C failure 12s   ⏱ B timeout 20s"
    assert line.others(NOW, 30) == "   ✗ C failure 12s   +1 more", "what has no room is counted"
    assert line.others(NOW, 18) == "   +2 more"
    assert line.others(NOW, 6) == "   +2", "for the word there is no room"
    assert line.others(NOW, 3) == ""


def test_it_goes_after_thirty_quiet_seconds_and_a_burst_ends_there() -> None:
    assert QUIET_AFTER == 30
    assert bar(TROUBLE, NOW + 24) is not None
    assert bar(TROUBLE, NOW + 26) is None
    assert shown([event(1, "hhmrs_timeout", 300), *TROUBLE[1:]]).count == 3


def test_in_quiet_times_only_the_newest_event_is_looked_at() -> None:
    class Guarded(list[Event]):
        def __reversed__(self) -> Iterator[Event]:
            raise AssertionError("went through all of them")

    assert bar(Guarded(TROUBLE), NOW + 60) is None


def test_what_is_dismissed_stays_away_but_a_new_incident_or_a_failure_shows() -> None:
    away = Dismissal(4, frozenset({"i1"}))
    assert bar(TROUBLE, away=away) is None
    assert bar([*TROUBLE, event(5, "hhmrs_restart", 1)], away=away) is None
    again = shown([*TROUBLE, event(5, "hhmrs_timeout", 1, incident="i2")], away=away)
    assert again.count == 1
    assert again.incidents == {"i2"}
    assert bar([*TROUBLE, event(5, "hhmrs_failure", 1)], away=away) is not None
    assert bar([*TROUBLE, event(5, "hhmrs_cascade", 1, None, None)], away=away) is not None


def test_a_ledger_that_began_anew_is_not_dismissed_with_the_old_one() -> None:
    away = Dismissal(900, frozenset({"i1"}))
    assert shown(TROUBLE, away=away).seq == 4


def test_hostile_titles_and_reasons_are_inert() -> None:
    evil = "\x1b]52;c;aGk=\x07\x1b[2J[red]\u202e"
    line = shown([event(1, "hhmrs_restart", 1, evil, reason=evil)])
    text = line.text(NOW) + line.told[0].reason
    assert "[red]" in text
    assert text.isprintable()
