"""comms.log: five fields on one line, whatever an agent calls itself or says."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy
from hhmrs.controller.reports.comms import TEXT_LIMIT, CommsLog, comms_for, comms_line
from hhmrs.controller.reports.correspondence import Correspondence
from hhmrs.healing.agent import AgentState, Happening

T0 = 1_795_255_200.123
TITLES = {"arch": "Architect", "dir-code": "Dir-Code", "prog": "Prog-1"}
PARENTS = {"arch": None, "dir-code": "arch", "prog": "dir-code"}


def lines(kind: str, agent: str = "prog", **fields: Any) -> list[tuple[str, str, str, str]]:
    return comms_for(Happening(kind, agent, T0, None, fields), TITLES, PARENTS)


def test_the_form_of_a_line() -> None:
    line = comms_line(T0, "TRON", "Architect", "STATUS", "Child timeout: Dir-Code")
    assert line == "2026-11-21T10:00:00.123|TRON|Architect|STATUS|Child timeout: Dir-Code"


@pytest.mark.parametrize(
    "hostile", ["a|b", "a\nb", "a\r\nb", "\x1b[31mred\x07", "a\u202eb", "a\u2028b", "a\0b", "\ud800"]
)
def test_hostile_text_stays_one_inert_line_of_five_fields(hostile: str) -> None:
    line = comms_line(T0, hostile, hostile, "CMD", hostile)
    assert len(line.split("|")) == 5
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    line.encode()


def test_two_texts_never_look_alike() -> None:
    assert comms_line(T0, "a", "b", "CMD", "x\n") != comms_line(T0, "a", "b", "CMD", "x\\n")
    assert comms_line(T0, "a", "b", "CMD", "x|") != comms_line(T0, "a", "b", "CMD", "x\\x7c")


def test_long_text_is_cut_and_an_unknown_type_refused() -> None:
    assert len(comms_line(T0, "a", "b", "CMD", "x" * 100_000)) < TEXT_LIMIT + 60
    with pytest.raises(ValueError, match="CMD, HEARTBEAT, RESPONSE, STATUS"):
        comms_line(T0, "a", "b", "SHOUT", "x")


def test_more_time_on_another_seat_is_told_by_whom_it_is_given() -> None:
    assert lines("agent_timeouts_raised", reason="on another seat it may take 2 times as long") == [
        ("Architect", "Prog-1", "CMD", "More time for Prog-1: on another seat it may take 2 times as long")
    ]


def test_another_model_is_told_in_these_words() -> None:
    told = lines(
        "hhmrs_reassign",
        "dir-code",
        old_profile="claude",
        old_model="sonnet",
        new_profile="codex",
        new_model=None,
    )
    assert told == [
        ("TRON", "Dir-Code", "CMD", "Retrying Dir-Code with different LLM: claude:sonnet -> codex")
    ]
    assert lines("hhmrs_reassign", "prog")[0][0] == "Architect"


def test_the_grandparent_is_told_in_these_words() -> None:
    told = lines("hhmrs_escalation", "dir-code", level_from=1, level_to=2, failure_count=0)
    assert told == [("Architect", "OPERATOR", "CMD", "Grandchild escalation: Dir-Code (failure_count=0)")]
    assert lines("hhmrs_escalation", "prog", level_from=1, level_to=2, failure_count=0)[0][:2] == (
        "Dir-Code",
        "Architect",
    )
    (line,) = lines("hhmrs_escalation", "prog", level_from=2, level_to=3, reason="spent")
    assert line == ("Architect", "OPERATOR", "CMD", "Escalation to a person: Prog-1 (spent)")


def test_alerts_strategies_proofs_and_orders() -> None:
    assert lines("hhmrs_timeout", reason="silent", restart_count=1) == [
        ("TRON", "Dir-Code", "STATUS", "Child timeout: Prog-1 (silent; restart_count=1)")
    ]
    assert lines("hhmrs_restart", n=2, reason="silent") == [
        ("Dir-Code", "Prog-1", "CMD", "Restarting Prog-1 (attempt 2): silent")
    ]
    (nudge,) = lines("hhmrs_nudge", "arch", n=1, reason="silent", steps=["auto_reset", "rescue"])
    assert nudge[0] == "TRON"
    assert nudge[3] == "Nudging Architect (attempt 1): silent; steps: auto_reset, rescue"
    assert lines("agent_nudge_step", step="rescue", ok=False, why="tmux is gone", gentle=False) == [
        ("TRON", "Prog-1", "CMD", "Nudge Prog-1, rescue not done: tmux is gone")
    ]
    (gentle,) = lines("agent_nudge_step", step="force_update", ok=True, why="refreshed", gentle=True)
    assert gentle[3] == "Nudge Prog-1 at the quick look, force_update done: refreshed"
    assert lines("hhmrs_recovered", strategy="restart", seconds=12.5, proof="changed a.py") == [
        ("Prog-1", "Dir-Code", "RESPONSE", "Recovered by restart in 12.5 s: changed a.py")
    ]
    assert lines("hhmrs_failure", reason="spent") == [
        ("TRON", "OPERATOR", "STATUS", "Permanent failure: Prog-1 (spent)")
    ]
    assert lines("operator_order", by="ann@host", order="nudge") == [
        ("ann@host", "Prog-1", "CMD", "Order: nudge")
    ]
    assert lines("operator_outcome", order="nudge", ok=False, message="it is not running") == [
        ("TRON", "OPERATOR", "RESPONSE", "Order nudge for Prog-1 refused or failed: it is not running")
    ]
    assert lines("operator_outcome", "", order="heal", ok=True, message="a is idle\n  beat\nb is done") == [
        (
            "TRON",
            "OPERATOR",
            "RESPONSE",
            "Order heal for fleet done: a is idle (and 2 more lines, see its event)",
        )
    ]
    assert lines("hhmrs_cascade", "", agents=["a", "b"], cause="api_error") == [
        ("TRON", "OPERATOR", "STATUS", "Cascade: 2 agents, cause api_error")
    ]


def told_without(gone: set[str], kind: str, **fields: Any) -> list[tuple[str, str, str, str]]:
    parents = PARENTS | {"top": None, "arch": "top"}
    happening = Happening(kind, "prog", T0, None, fields)
    return comms_for(happening, TITLES | {"top": "Top"}, parents, lambda agent: agent not in gone)


def test_the_nearest_living_ancestor_stands_for_who_is_gone() -> None:
    (alert,) = told_without({"dir-code"}, "agent_incident", symptom="exited", cause="crash", detail="exit 1")
    assert alert == (
        "TRON",
        "Architect",
        "STATUS",
        "Alert: Prog-1 exited, cause crash: exit 1 (in place of Dir-Code, gone)",
    )
    (order,) = told_without({"dir-code", "arch"}, "hhmrs_restart", n=1, reason="exit 1")
    assert order == (
        "Top",
        "Prog-1",
        "CMD",
        "Restarting Prog-1 (attempt 1): exit 1 (in place of Dir-Code, Architect, gone)",
    )
    (risen,) = told_without({"arch"}, "hhmrs_escalation", level_to=2, failure_count=0)
    assert risen[:2] == ("Dir-Code", "Top")
    assert risen[3] == "Grandchild escalation: Prog-1 (failure_count=0) (in place of Architect, gone)"
    (risen,) = told_without({"dir-code"}, "hhmrs_escalation", level_to=2, failure_count=0)
    assert risen == ("TRON", "Architect", "CMD", "Grandchild escalation: Prog-1 (failure_count=0)"), (
        "nobody hands a child over to itself"
    )
    (lost,) = told_without({"dir-code", "arch", "top"}, "hhmrs_timeout", reason="silent", restart_count=0)
    assert lost[:2] == ("TRON", "OPERATOR")


def test_questions_and_answers() -> None:
    asked = lines("agent_decider_asked", decider="dir-code", symptom="exited", cause="crash",
                  options=["restart", "escalate"], otherwise="resume", within=30.0)  # fmt: skip
    words = "Decide for Prog-1: exited, cause crash; restart, escalate; otherwise resume in 30.0 s"
    assert asked == [("TRON", "Dir-Code", "CMD", words)]
    assert lines("agent_decided", by="arch", strategy="restart") == [
        ("Architect", "TRON", "RESPONSE", "Decided for Prog-1: restart")
    ]
    assert lines("agent_decision_refused", by="dir-code", strategy="nudge", why="it is not running") == [
        ("TRON", "Dir-Code", "RESPONSE", "Refused: nudge for Prog-1: it is not running")
    ]
    assert lines("agent_decider_silent", decider=None, why="nobody can answer") == [
        ("TRON", "OPERATOR", "STATUS", "The policy decides for Prog-1: nobody can answer")
    ]


def test_one_alert_per_incident() -> None:
    assert lines("agent_incident", symptom="stalled", cause="stalled", detail="silent") == []
    assert lines("agent_incident", symptom="exited", cause="killed", detail="SIGKILL") == [
        ("TRON", "Dir-Code", "STATUS", "Alert: Prog-1 exited, cause killed: SIGKILL")
    ]


def test_a_phase_is_no_communication_and_an_unknown_agent_no_error() -> None:
    assert lines("agent_phase", to="working") == []
    assert lines("hhmrs_recovered", "stranger") == [
        ("stranger", "OPERATOR", "RESPONSE", "Recovered by start in ? s: ")
    ]


def test_the_file_is_private_appended_and_turned_over_once_full(tmp_path: Path) -> None:
    path = tmp_path / "comms.log"
    log = CommsLog(path, max_bytes=400)
    for n in range(20):
        log.write(T0, "TRON", "Architect", "STATUS", f"line {n}")
    kept = path.with_name("comms.log.1").read_text().splitlines() + path.read_text().splitlines()
    assert kept == [
        f"2026-11-21T10:00:00.123|TRON|Architect|STATUS|line {n}" for n in range(20 - len(kept), 20)
    ]
    assert path.stat().st_size <= 400
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {p.name for p in tmp_path.iterdir()} == {"comms.log", "comms.log.1"}


def test_a_link_is_not_followed_and_stops_nothing(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path = tmp_path / "comms.log"
    path.symlink_to(victim)
    CommsLog(path).write(T0, "a", "b", "CMD", "x")
    assert victim.read_text() == "mine"


def test_titles_and_parents_are_those_of_the_fleet_file_in_force(
    make_spec: Callable[..., AgentSpec], tmp_path: Path
) -> None:
    def fleet(title: str, boss: str) -> FleetSpec:
        specs = [make_spec(boss), make_spec("prog", title=title, parent=boss)]
        return FleetSpec(fleet="f", path=Path("/f"), policy=Policy(), profiles={},
                         agents={spec.id: spec for spec in specs})  # fmt: skip

    told = Happening("hhmrs_restart", "prog", T0, "i1", {"reason": "it exited"})
    log = CommsLog(tmp_path / "comms.log")
    correspondence = Correspondence(log, fleet("Old", "arch"), {"arch": AgentState("arch", alive=True)})
    correspondence.write([told])
    correspondence.go_by(fleet("New", "chief"))
    correspondence.write([told])
    before, after = (tmp_path / "comms.log").read_text(encoding="utf-8").splitlines()
    assert ("ARCH" in before, "Old" in before) == (True, True)
    assert ("CHIEF" in after, "New" in after) == (True, True)
