"""`settings`, `set` and `init --from`, typed as a person types them; no daemon runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

AGENTS = "  a: {command: [x]}\n  pool: {parent: a, command: [x], count: 2}\n"


def test_set_changes_one_value_and_settings_shows_it(home: Any) -> None:
    home.write(AGENTS, policy="policy: {mode: armed}   # mine\n")
    before = home.file.read_text()
    assert home.run("set", "task_deadline", "4h", "--dry-run").stdout.count("task_deadline: 4h") == 1
    assert home.file.read_text() == before
    done = home.run("set", "task_deadline", "4h")
    assert done.returncode == 0
    assert "2h -> 4h: written; no daemon runs" in done.stdout
    assert home.file.read_text() == before.replace("armed}", "armed, task_deadline: 4h}")
    assert home.run("set", "task_deadline", "30m", "--agent", "pool-02").returncode == 0
    told = home.json("settings", "--agent", "pool-01")["settings"]["task_deadline"]
    assert (told["value"], told["default"], told["from"]) == ("30m", "2h", "its own block, line 5")
    assert home.run("set", "task_deadline", "--default", "--agent", "pool").returncode == 0
    assert "4h already" in home.run("set", "task_deadline", "4h").stdout
    assert home.run("set", "task_deadline", "--default").returncode == 0
    assert home.file.read_text() == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["task_deadlin", "4h"], "did you mean 'task_deadline'?"),
        (["task_deadline", "4"], "'4' has no unit, expected a duration"),
        (["task_deadline"], "give a value for task_deadline or --default"),
        (["max_restarts", "x"], "found 'x', expected a whole number from 0 to 1000"),
        (["heartbeat_interval", "5s"], "hhmrs.yaml:3:23: policy.heartbeat_interval: 5s is out of bounds"),
        (["mode", "armed", "--agent", "nobody"], "no agent 'nobody'"),
        (["recoveries.share", "9%", "--agent", "a"], "of the fleet as a whole"),
        (["mode", "observe\n  evil: 1"], "expected one of armed, observe"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(home: Any, words: list[str], told: str) -> None:
    home.write(AGENTS)
    before = home.file.read_text()
    done = home.run("set", *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert home.file.read_text() == before


def test_init_takes_over_the_older_settings(home: Any) -> None:
    home.file.unlink()
    older = {
        "hhmrs": {"heartbeat_interval_s": 60, "enable_llm_switching": False},
        "hmi_display": {"theme": "dark"},
    }
    (home.file.parent / "pas_settings.json").write_text(json.dumps(older))
    done = home.run("init", "--from", "pas_settings.json")
    assert done.returncode == 0, done.stderr
    assert "2 policy keys taken over, 1 older keys not" in done.stdout
    text = home.file.read_text()
    assert "hmi_display.theme = dark" in text
    told = home.json("settings")["settings"]
    assert (told["heartbeat_interval"]["value"], told["max_llm_retries"]["value"]) == ("1m", "0")


@pytest.mark.parametrize("older", ['{"hhmrs": {"max_restarts": "many"}}', '{"hhmrs": ', None])
def test_older_settings_with_problems_write_nothing(home: Any, older: str | None) -> None:
    home.file.unlink()
    if older is not None:
        (home.file.parent / "pas_settings.json").write_text(older)
    done = home.run("init", "--from", "pas_settings.json")
    assert done.returncode == 2
    assert done.stderr.startswith("pas_settings.json:1:"), done.stderr
    assert not home.file.exists()
