"""What a new daemon makes of what it finds: nothing that lives is touched, no stranger taken for ours."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from hhmrs.controller.ports import Identity, PaneView
from hhmrs.controller.recovery.adoption import match
from hhmrs.controller.terminals.launching import Report
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Phase, Recovery, Stage, Strategy


class Table:
    """Processes that live, by pid."""

    def __init__(self, *alive: Identity) -> None:
        self._alive = {who.pid: who for who in alive}

    def identify(self, pid: int) -> Identity | None:
        return self._alive.get(pid)

    def alive(self, who: Identity) -> bool:
        return self._alive.get(who.pid) == who

    def tree(self, who: Identity, *, tag: str | None = None) -> list[Identity]:
        return []

    def end_tree(self, who: Identity, *, grace: float, tag: str | None = None) -> list[Identity]:
        return []

    def end_tagged(self, tag: str, *, grace: float) -> list[Identity]:
        return []

    def end_many(self, roots: Collection[Identity], *, grace: float, tags: Collection[str]) -> list[Identity]:
        return []


class Clock:
    def now(self) -> float:
        return 5000.0


WHO = Identity(70, 900.0)
PANE = PaneView("a1", "%1", 60, "/dev/pts/1", False, None, None, 3, False, "", "")
ALIVE = AgentState("a1", Phase.WORKING, attempt=3, pid=70, created=900.0, alive=True)
STARTING = AgentState("a1", Phase.RECOVERING, attempt=3,
                      recovery=Recovery(Strategy.RESTART, Stage.STARTING, "k", 0))  # fmt: skip


def _kinds(state: AgentState, pane: PaneView | None, report: Report | None, *alive: Identity) -> list[str]:
    return [type(x).__name__ for x in match(state, pane, report, Table(*alive), Clock()).evidence]


def test_a_running_attempt_is_adopted() -> None:
    assert _kinds(ALIVE, PANE, Report(3, 70, written=900.0), WHO) == ["ProcessAdopted"]


def test_a_start_that_was_cut_off_before_its_launcher_spoke_is_no_death() -> None:
    assert _kinds(STARTING, PANE, None) == []
    assert _kinds(STARTING, PANE, Report(2, 50, written=800.0)) == [], "what is there is of the one before"


def test_a_lost_report_is_no_death_either() -> None:
    assert _kinds(ALIVE, PANE, None, WHO) == ["ProcessAdopted"]


def test_a_process_without_its_pane_lives_and_cannot_be_seen() -> None:
    assert _kinds(ALIVE, None, Report(3, 70, written=900.0), WHO) == ["ProcessAdopted"]


@pytest.mark.parametrize("report", [None, Report(3, 70, written=900.0), Report(3, 70, 0, written=4000.0)])
def test_whoever_is_gone_with_its_terminal_is_not_done(report: Report | None) -> None:
    found = match(ALIVE, None, report, Table(), Clock()).evidence
    assert found == (e.ProcessExited("a1", 5000.0, 3, None, None, lost=True),)


def test_the_exit_status_outlives_the_daemon() -> None:
    pane = replace(PANE, dead=True)
    report = Report(3, 70, None, 9, written=4000.0)
    found = match(ALIVE, pane, report, Table(), Clock()).evidence
    assert found == (e.ProcessExited("a1", 5000.0, 3, None, 9),)


def test_who_has_the_number_of_a_dead_agent_now_is_a_stranger() -> None:
    """After the host was started anew the last report names a pid, and somebody has it."""
    stranger = Identity(70, 4900.0)
    report = Report(3, 70, written=900.0)
    assert report.who(Table(stranger).identify) is None
    assert report.who(Table(WHO).identify) == WHO
    assert _kinds(ALIVE, PANE, report, stranger) == ["ProcessExited"]


def test_whoever_could_not_be_seen_by_the_daemon_before_is_seen_now() -> None:
    dead = AgentState("a1", Phase.UNKNOWN, attempt=3, before_unknown=Phase.EXITED)
    assert _kinds(dead, None, None) == ["SeenAgain"]
