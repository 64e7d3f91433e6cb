"""Who is due, and only who is due; a deadline that is put off costs no entry."""

from __future__ import annotations

import random

from hhmrs.controller.daemon.deadlines import Deadlines


def _all(deadlines: Deadlines, now: float) -> list[str]:
    found: list[str] = []
    while (agent := deadlines.take(now)) is not None:
        found.append(agent)
    return found


def test_each_is_taken_once_when_its_newest_time_has_come() -> None:
    deadlines = Deadlines()
    deadlines.set("later", 5.0)
    deadlines.set("sooner", 5.0)
    deadlines.set("never", 5.0)
    deadlines.set("later", 9.0)
    deadlines.set("sooner", 2.0)
    deadlines.set("never", None)
    assert deadlines.next() == 2.0
    assert _all(deadlines, 5.0) == ["sooner"]
    assert deadlines.next() == 9.0
    assert _all(deadlines, 8.9) == []
    assert _all(deadlines, 9.0) == ["later"]
    assert deadlines.next() is None


def test_a_time_that_is_taken_back_and_given_again_counts_once() -> None:
    deadlines = Deadlines()
    for when in (3.0, None, 3.0, 1.0, 3.0, None, 2.0):
        deadlines.set("a", when)
    assert _all(deadlines, 10.0) == ["a"]
    assert _all(deadlines, 10.0) == []


def test_evidence_without_end_fills_no_heap() -> None:
    deadlines, chance = Deadlines(), random.Random(3)
    for step in range(50_000):
        deadlines.set(f"agent-{step % 100}", step + chance.choice((60.0, 600.0, 0.5, -3.0)))
    assert len(deadlines) <= 2 * 100 + 65
    for step in range(50_000):
        deadlines.set("agent-1", 1e6 + step)
    assert len(deadlines) <= 2 * 100 + 65


def test_whatever_happens_it_names_the_same_agents_as_asking_each_of_them() -> None:
    deadlines, chance = Deadlines(), random.Random(7)
    due: dict[str, float] = {}
    now = 0.0
    for _ in range(3_000):
        now += chance.random()
        agent = f"a{chance.randrange(30)}"
        if chance.random() < 0.15:
            due.pop(agent, None)
            deadlines.set(agent, None)
        else:
            due[agent] = now + chance.uniform(-1.0, 8.0)
            deadlines.set(agent, due[agent])
        if chance.random() < 0.3:
            expected = sorted(name for name, when in due.items() if when <= now)
            assert sorted(_all(deadlines, now)) == expected
            for name in expected:
                del due[name]
        assert deadlines.next() == min(due.values(), default=None)
