"""`hhmrs rehearse`: quick, the same each time, nothing written; a broken promise is named, and exits 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hhmrs.healing.decide as decide_module
from hhmrs.healing.promises import CLAUSES
from hhmrs.healing.transitions import Change
from hhmrs.tui.cli import main

FLEET = """\
fleet: rehearsed
agents:
  top: {profile: claude}
  director: {parent: top, profile: claude, alternates: [{profile: codex}], prompt: build it, decider: parent}
  worker: {parent: director, profile: shell, command: [python3, w.py], count: 4, prompt: build it}
"""


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HHMRS_STATE_DIR", str(tmp_path / "state"))
    file = tmp_path / "hhmrs.yaml"
    file.write_text(FLEET, encoding="utf-8")
    return file


def rehearse(fleet: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    code = main(["rehearse", "--config", str(fleet), *more])
    return code, capsys.readouterr().out


def test_it_tells_of_every_agent_and_starts_nothing(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = rehearse(fleet, capsys, "--hours", "3")
    assert code == 0
    for agent in ("top", "director", "worker-01", "worker-04"):
        assert f"\n{agent}" in out
    assert f"promises: {len(CLAUSES)} clauses" in out
    assert "none broken" in out
    assert sorted(path.name for path in fleet.parent.iterdir()) == ["hhmrs.yaml"]


def test_a_seed_says_the_same_for_ever_and_another_one_something_else(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [rehearse(fleet, capsys, "--seed", seed, "--hours", "2")[1] for seed in ("7", "7", "8")]
    assert runs[0] == runs[1]
    assert runs[0].replace("seed 7", "seed 8") != runs[2]


def test_the_document_has_what_the_lines_say(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = rehearse(fleet, capsys, "--json", "--hours", "3")
    document = json.loads(out)
    assert code == 0
    assert (document["ok"], document["hours"], document["seconds"]) == (True, 3, 10_800)
    agents = {agent["id"]: agent for agent in document["agents"]}
    assert len(agents) == 6
    assert sum(sum(agent["incidents"].values()) for agent in agents.values()) > 0
    assert all(agent["active_s"] >= 0 for agent in agents.values())
    assert agents["worker-01"]["bound_s"] > 60
    assert document["promises"]["clauses"] == list(CLAUSES)


def test_a_broken_promise_is_named_with_how_to_see_it_again(
    fleet: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = decide_module.give_up

    def twice(*args: Any) -> Change:
        change = real(*args)
        return change.noting(next(h for h in change.happenings if h.type == "hhmrs_failure"))

    monkeypatch.setattr(decide_module, "give_up", twice)
    code, out = rehearse(fleet, capsys, "--seed", "3", "--hours", "24")
    assert code == 1
    assert "a promise is broken: 7 failure" in out
    assert f"hhmrs rehearse --config {fleet} --seed 3 --hours 24" in out
    code, out = rehearse(fleet, capsys, "--seed", "3", "--hours", "24", "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)


def test_quick_policies_are_rehearsed_for_less_time(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = "policy: {testing: true, heartbeat_interval: 1s, progress_timeout: 6s, quick_look: 2s}\n"
    fleet.write_text(FLEET.replace("agents:", f"{quick}agents:"), encoding="utf-8")
    code, out = rehearse(fleet, capsys, "--json")
    document = json.loads(out)
    assert code == 0, document["promises"]
    assert document["hours"] == 0.2


@pytest.mark.parametrize("wrong", [["--hours", "0"], ["--hours", "nan"], ["--seed", "-1"], ["--seed", "x"]])
def test_nonsense_is_bad_usage(fleet: Path, wrong: list[str]) -> None:
    assert main(["rehearse", "--config", str(fleet), *wrong]) == 2
