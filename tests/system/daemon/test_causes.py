"""Every cause of the contract, made by a scripted agent in real tmux: told right, and given its ladder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import CAUSES
from hhmrs.config.loading import load_fleet
from hhmrs.controller.ports import Event
from hhmrs.controller.processes.kernel_log import VARIABLE

Script = Callable[..., list[str]]
LONG = 150.0
"""Seconds for all of them together, on a machine that has other things to do."""
TRIED = 3
"""Attempts that come into trouble, of those that walk their ladder: one of each strategy and no more."""
POLICY: dict[str, Any] = {
    "max_restarts": 2,
    "max_llm_retries": 1,
    "verify_within": "4s",
    "heartbeat_interval": "20s",
    "progress_timeout": "5m",
    "backoff": {"initial": "50ms", "factor": 1, "max": "100ms", "jitter": 0},
    # What many agents in trouble at once mean is shown elsewhere.
    "cascade": {"share": "100%", "at_least": 100},
    "recoveries": {"at_least": 100},
}
CLI: dict[str, Any] = {
    "screens": {
        "login": {"phase": "error", "cause": "auth", "pattern": "^■ not logged in$", "lines": 3},
        "api": {"phase": "error", "cause": "api_error", "pattern": r"^■ API Error: \d+$", "lines": 3},
    },
    "exits": [
        {
            "cause": "rate_limited",
            "status": [1],
            "pattern": "^usage limit reached",
            "resets": r"resets in (\w+)",
        },
        {"cause": "context_exhausted", "status": [1], "pattern": "^Prompt is too long"},
        {"cause": "auth", "status": [1], "pattern": "^not logged in"},
    ],
    "transcripts": [
        {
            "roots": ["~/logs"],
            "file": "{folder}.jsonl",
            "counts": "^did",
            "errors": [{"cause": "api_error", "pattern": r"^error (?P<said>\d+ .*)"}],
        }
    ],
    "processes": ["python*"],
}


@dataclass(frozen=True)
class Case:
    """One agent. `words` for troubled.py; `detail`: what its evidence holds; `quick`: policy of its own."""

    cause: str
    words: tuple[str, ...]
    detail: str = ""
    symptom: str = "exited"
    tried: int = TRIED
    profile: str = "shell"
    quick: dict[str, Any] = field(default_factory=dict)
    under_a_shell: bool = False
    agent: str = ""

    @property
    def id(self) -> str:
        return self.agent or self.cause.replace("_", "-")


CASES = (
    Case("crash", ("3",), "exit 3"),
    Case("killed", ("KILL",), "SIGKILL"),
    Case("killed", ("TERM",), "SIGTERM", agent="terminated"),
    Case("oom", ("oom", "KERNEL_LOG"), "the kernel says: Out of memory: Killed process"),
    Case("sigint", ("INT",), "SIGINT; no person was attached"),
    Case("timeout", ("124",), "exit 124 (timed out)"),
    Case("stalled", ("silent",), "no life", "stalled", quick={"heartbeat_interval": "1s"}),
    Case("looping", ("loop",), "no progress", "looping", quick={"progress_timeout": "2s"}),
    Case("deadline", ("slow",), "task used", "deadline", 0, quick={"task_deadline": "3s"}),
    Case("permission", ("126",), "could not be run", tried=0),
    Case("auth", ("show", "■ not logged in"), "■ not logged in", "error", 0, "cli"),
    Case(
        "auth",
        ("say", "1", "not logged in"),
        "exit 1: not logged in",
        tried=0,
        profile="cli",
        agent="auth-exit",
    ),
    Case(
        "api_error", ("show", "■ API Error: 529"), "its screen says: ■ API Error: 529", "error", profile="cli"
    ),
    Case(
        "api_error",
        ("complain", "error 529 overloaded"),
        "its transcript says: 529 overloaded",
        "error",
        profile="cli",
        agent="api-error-told",
    ),
    Case(
        "rate_limited",
        ("say", "1", "usage limit reached, resets in 3s"),
        "resets in 3s",
        tried=1,
        profile="cli",
    ),
    Case("context_exhausted", ("say", "1", "Prompt is too long"), "Prompt is too long", profile="cli"),
    Case("git", ("git",), "exit 128: fatal: not a git repository"),
    Case("tests", ("tests",), "exit 1: FAILED (failures=1)"),
    Case(
        "pull_request", ("say", "1", "pull request create failed: no commits"), "pull request create failed"
    ),
    Case(
        "left_agent",
        ("leave",),
        "cli ended, and the shell above it is back",
        profile="cli",
        under_a_shell=True,
    ),
    Case("unknown", ("fail", "I cannot"), "I cannot", "failed"),
    Case("tmux_lost", ("wait",), "its terminal is gone", tried=1),
)
QUIET = ("quote", "prose", "tool")
"""Agents that are well, whatever they print and run."""


def expected(ladder: tuple[str, ...], tried: int) -> list[str]:
    """The attempts of a ladder with two restarts and one reassign, as many as there was trouble for."""
    first = [name for name in ladder if name in ("resume", "restart")]
    steps = ["nudge"] if "nudge" in ladder else []
    steps += [first[min(n, len(first) - 1)] for n in range(2 if first else 0)]
    steps += ["reassign"] if "reassign" in ladder else []
    return steps[: tried + ("nudge" in ladder)]


class Outcome:
    """What the ledger says when all is over."""

    def __init__(self, fleet: Any) -> None:
        self.events: list[Event] = fleet.events()
        self.ladders = dict(load_fleet(fleet.config).policy.recovery)

    def first(self, type: str, agent: str) -> dict[str, Any]:
        return next(x.data for x in self.events if x.type == type and x.agent == agent)

    def count(self, agent: str, *types: str) -> int:
        return sum(1 for x in self.events if x.agent == agent and x.type in types)

    def at(self, type: str, agent: str) -> datetime:
        found = next(x.at for x in self.events if x.type == type and x.agent == agent)
        return datetime.fromisoformat(found)

    def attempts(self, agent: str) -> list[str]:
        kinds = ("hhmrs_nudge", "hhmrs_resume", "hhmrs_restart", "hhmrs_reassign")
        return [x.type.removeprefix("hhmrs_") for x in self.events if x.agent == agent and x.type in kinds]

    def faults(self, case: Case) -> list[object]:
        """What is not as it should be."""
        told = self.first("agent_incident", case.id)
        ended = self.first("hhmrs_failure" if case.tried == 0 else "hhmrs_recovered", case.id)
        checks: list[tuple[object, object]] = [
            ((told["symptom"], told["cause"]), (case.symptom, case.cause)),
            (case.detail in told["detail"] or told["detail"], True),
            (ended["cause"], case.cause),
            (self.attempts(case.id), expected(self.ladders[case.cause], case.tried)),
            (self.count(case.id, "agent_incident"), 1),
            (self.count(case.id, "hhmrs_failure"), int(case.tried == 0)),
        ]
        return [found for found, wanted in checks if found != wanted]


def commands(script: Script, case: Case, log: Path) -> list[str]:
    words = [str(log) if word == "KERNEL_LOG" else word for word in case.words]
    plain = script("troubled", *words, "--attempts", str(max(1, case.tried)))
    return ["sh", "-c", '"$0" "$@"; exec sh', *plain] if case.under_a_shell else plain


def members(script: Script, log: Path) -> dict[str, Any]:
    agents = {
        case.id: {
            "profile": case.profile,
            "command": commands(script, case, log),
            "workspace": case.id,
            "prompt": "go",
            "policy": case.quick,
            "alternates": [{"env": {"SEAT": "1"}}],
        }
        for case in CASES
    }
    well = {"profile": "cli", "prompt": "go", "workspace": "well"}
    shells = '"$0" "$@" & while :; do sh -c "sleep 0.2; touch t; rm t"; done'
    return agents | {
        "quote": {**well, "workspace": "quote", "command": script("troubled", "quote")},
        "prose": {**well, "workspace": "prose", "command": script("troubled", "prose")},
        "tool": {**well, "workspace": "tool", "command": ["sh", "-c", shells, *script("troubled", "slow")]},
    }


@pytest.mark.timeout(240)
def test_every_cause_is_told_right_and_gets_the_ladder_of_the_table(
    make_fleet: Any, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One fleet, so that one daemon sees all of them at once."""
    log = tmp_path / "kern.log"
    log.touch()
    monkeypatch.setenv(VARIABLE, str(log))
    fleet = make_fleet(members(script, log), policy=POLICY, profiles={"cli": CLI})
    fleet.up()
    _take_the_terminal(fleet, "tmux-lost")
    ends = {case.id: "hhmrs_failure" if case.tried == 0 else "hhmrs_recovered" for case in CASES}
    fleet.wait(
        lambda: {(x.agent, x.type) for x in fleet.events(*ends.values())} >= set(ends.items()),
        LONG,
        "every incident ends as it should",
    )
    outcome = Outcome(fleet)
    assert {case.id: faults for case in CASES if (faults := outcome.faults(case))} == {}
    assert [x.as_json() for x in outcome.events if x.data.get("cause") == "host_lost"] == []
    for agent in QUIET:
        assert outcome.count(agent, "agent_incident", "agent_error_shown") == 0, agent
        assert fleet.phase(agent) == ("done" if agent == "prose" else "working"), agent
    _the_limit_was_waited_for(outcome)
    saved = (fleet.workspace("looping") / "saved.txt").read_text().splitlines()
    assert saved == ["attempt 1", "attempt 2", "attempt 3"], "what looped could save itself each time"
    told = fleet.run("explain", "auth").stdout
    assert "■ not logged in" in told


def _take_the_terminal(fleet: Any, agent: str) -> None:
    fleet.wait((fleet.workspace(agent) / "begun.txt").exists, 30, f"{agent} begins")
    fleet.wait_event("agent_started", agent=agent)
    fleet.tmux("kill-session", "-t", f"={agent}")


def _the_limit_was_waited_for(outcome: Outcome) -> None:
    ended, begun = (outcome.at(kind, "rate-limited") for kind in ("agent_exited", "hhmrs_resume"))
    assert (begun - ended).total_seconds() > 2.5
    phases = [x.data["to"] for x in outcome.events if (x.agent, x.type) == ("rate-limited", "agent_phase")]
    assert "limited" in phases
    assert outcome.first("hhmrs_recovered", "rate-limited")["restart_count"] == 0, "it spent no budget"


def test_every_cause_of_the_contract_is_here_but_one() -> None:
    """No host is lost as long as there is one: the daemon runs on it, and never says so of itself."""
    assert {case.cause for case in CASES} == set(CAUSES) - {"host_lost"}


def test_no_interrupt_goes_to_a_pane_with_a_person_at_it(make_fleet: Any, script: Script) -> None:
    """Both loop; the one that nobody looks at shows how long it would have taken."""
    loops = {"profile": "shell", "command": script("troubled", "loop"), "prompt": "go"}
    quick = {"progress_timeout": "2s", "recovery": {"looping": ["restart"]}}
    agents = {name: {**loops, "workspace": name, "policy": quick} for name in ("alone", "visited")}
    fleet = make_fleet(agents, policy=POLICY)
    fleet.up()
    fleet.wait_event("agent_started", agent="visited")
    with fleet.visitor("visited"):
        fleet.wait_event("operator_attached", agent="visited")
        fleet.wait_event("hhmrs_recovered", agent="alone", deadline=60)
        assert not (fleet.workspace("visited") / "saved.txt").exists()
        assert fleet.events("agent_exited", agent="visited") == []
    fleet.wait_event("hhmrs_recovered", agent="visited", deadline=60)
    assert (fleet.workspace("visited") / "saved.txt").read_text() == "attempt 1\n"


def test_an_interrupt_by_a_person_is_said_to_be_a_persons(make_fleet: Any, script: Script) -> None:
    slow = {"profile": "shell", "command": script("troubled", "slow"), "workspace": "slow", "prompt": "go"}
    fleet = make_fleet({"slow": slow}, policy=POLICY)
    fleet.up()
    fleet.wait_event("agent_started", agent="slow")
    with fleet.visitor("slow") as keyboard:
        fleet.wait_event("operator_attached", agent="slow")
        os.write(keyboard, b"\x03")
        told = fleet.wait_event("agent_incident", agent="slow")[0].data
        assert (told["cause"], told["detail"]) == ("sigint", "SIGINT; a person was attached")
        assert fleet.events("hhmrs_resume", "hhmrs_restart") == [], "the pane is theirs"
    fleet.wait_event("hhmrs_recovered", agent="slow", deadline=60)
