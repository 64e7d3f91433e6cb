"""The demo's fleet file, the words of its verdicts, and the door for its notifications."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from hhmrs.config.loading import load_fleet
from hhmrs.tui.demo.fleet import CAST, EXPECTED, fleet_name, write_fleet
from hhmrs.tui.demo.proof import Verdict
from hhmrs.tui.demo.room import Receiver
from hhmrs.tui.demo.runner import line_of
from hhmrs.tui.demo.scripted import ROLES, TROUBLES


def test_the_fleet_file_loads_and_has_the_whole_cast(tmp_path: Path) -> None:
    name = fleet_name()
    fleet = load_fleet(write_fleet(tmp_path, name, notify=("json://127.0.0.1:9/",)))
    assert fleet.fleet == name
    assert {a: agent.title for a, agent in fleet.agents.items()} == {part.id: part.title for part in CAST}
    assert {a: agent.parent for a, agent in fleet.agents.items()} == {part.id: part.parent for part in CAST}
    assert fleet.policy.testing
    assert fleet.policy.verify_within == 4.0


def test_every_agent_has_a_workspace_of_its_own_so_that_a_file_says_whose_work_it_is(tmp_path: Path) -> None:
    fleet = load_fleet(write_fleet(tmp_path, "demo-x"))
    assert len({agent.workspace for agent in fleet.agents.values()}) == len(CAST)


def test_only_another_seat_can_save_those_whose_model_fails(tmp_path: Path) -> None:
    fleet = load_fleet(write_fleet(tmp_path, "demo-x"))
    seats = {part.trouble: len(fleet.agents[part.id].seats) for part in CAST}
    assert (seats["reassign"], seats["escalate"], seats["resume"]) == (2, 2, 1)


def test_the_limit_is_read_from_the_screen(tmp_path: Path) -> None:
    rules = load_fleet(write_fleet(tmp_path, "demo-x")).profiles["scripted"].screens
    assert [(rule.name, rule.phase) for rule in rules] == [("limited", "limited")]


def test_every_trouble_and_role_is_played() -> None:
    assert {part.trouble for part in CAST} == set(TROUBLES)
    assert {part.role for part in CAST} == set(ROLES)
    assert set(EXPECTED) == set(TROUBLES) - {"none", "limit", "ask"}


def test_the_cast_has_four_levels_and_no_stranger() -> None:
    parents = {part.id: part.parent for part in CAST}

    def depth(agent: str) -> int:
        above = parents[agent]
        return 1 if above is None else 1 + depth(above)

    assert sorted({depth(part.id) for part in CAST}) == [1, 2, 3, 4]


def test_a_verdict_is_one_line() -> None:
    proved = Verdict(
        "a", "Prog-Parser", "nudge", "stalled", "nudge", "changed field_04.py", 3.25, "10 subtasks, each once"
    )
    assert " ".join(line_of(proved).split()) == (
        "proved Prog-Parser nudge stalled nudge 3.2 s changed field_04.py; 10 subtasks, each once"
    )
    failed = Verdict("a", "Prog-Sums", "limit", faults=("it was not left alone: hhmrs_nudge",))
    assert " ".join(line_of(failed).split()) == "FAILED Prog-Sums limit it was not left alone: hhmrs_nudge"


def test_notifications_are_counted_by_the_agent_they_name() -> None:
    receiver = Receiver()
    try:
        for body in (
            json.dumps({"title": "demo-x: Prog-Deploy needs a person", "message": "every strategy is spent"}),
            json.dumps({"title": "demo-x: nobody needs a person"}),
            "no JSON",
            "[]",
        ):
            url = receiver.url.replace("json://", "http://")
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                url, body.encode(), 5
            ) as answer:
                assert answer.status == 204
        assert receiver.by_title == {"Prog-Deploy": 1}
    finally:
        receiver.close()
