"""The older system's settings: each key is taken over or named with a reason; nonsense is a plain problem."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hhmrs.config.fleet import Policy
from hhmrs.config.loading import ConfigError, read_fleet
from hhmrs.config.older import Taken, left_lines, policy_lines, take_over
from hhmrs.config.problems import inert
from hhmrs.config.template import init_text

FULL: dict[str, Any] = {
    "hhmrs": {
        "heartbeat_interval_s": 60,
        "timeout_threshold_s": 150,
        "max_restarts": 5,
        "max_llm_retries": 2,
        "enable_auto_restart": True,
        "enable_llm_switching": True,
    },
    "tron_chime": {
        "enabled": True,
        "sound": "ping",
        "volume": 70,
        "on_timeout": True,
        "on_restart": False,
        "on_escalation": True,
        "on_permanent_failure": False,
    },
    "hmi_display": {"show_tron_status_bar": True, "auto_refresh_interval_s": 5, "theme": "dark"},
    "tasks": {"task_timeout_minutes": 30, "max_concurrent_tasks": 5, "retry_failed_tasks": True},
    "notifications": {"email_enabled": False, "email_password": "hunter2", "notify_on_completion": False},
}


def written(tmp: Path, document: object) -> Path:
    path = tmp / "pas_settings.json"
    path.write_text(
        document if isinstance(document, str) else json.dumps(document, indent="\t"), encoding="utf-8"
    )
    return path


def taken(tmp: Path, **sections: Any) -> Taken:
    return take_over(written(tmp, sections))


def policy_of(found: Taken, tmp: Path) -> Policy:
    text = init_text("older", [], policy_lines(found), left_lines(found, "pas_settings.json"))
    return read_fleet(tmp / "hhmrs.yaml", text).policy


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as wrong:
        take_over(path)
    return [str(problem) for problem in wrong.value.problems]


def test_what_it_says_is_in_force_in_the_file_that_is_written(tmp_path: Path) -> None:
    policy = policy_of(take_over(written(tmp_path, FULL)), tmp_path)
    assert (policy.heartbeat_interval, policy.missed_heartbeats, policy.silence) == (60, 3, 180)
    assert (policy.max_restarts, policy.max_llm_retries, policy.task_deadline) == (5, 2, 1800)
    assert policy.alerts.bell == ("timeout", "escalation")


def test_nothing_is_lost(tmp_path: Path) -> None:
    found = take_over(written(tmp_path, FULL))
    text = policy_lines(found) + left_lines(found, "pas_settings.json")
    for section, keys in FULL.items():
        for key in keys:
            assert key in text, f"{section}.{key}"
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("said", "key", "value"),
    [
        ({"heartbeat_interval_s": 5}, "heartbeat_interval", "10s"),
        ({"heartbeat_interval_s": 300}, "heartbeat_interval", "2m"),
        ({"heartbeat_interval_s": 30, "timeout_threshold_s": 30}, "missed_heartbeats", "2"),
        ({"timeout_threshold_s": 61}, "missed_heartbeats", "3"),
        ({"missed_heartbeat_threshold": 4}, "missed_heartbeats", "4"),
        ({"max_restarts": 7, "enable_auto_restart": False}, "max_restarts", "0"),
        ({"enable_llm_switching": False}, "max_llm_retries", "0"),
        ({"max_failed_tasks": 4}, "max_llm_retries", "4"),
    ],
)
def test_each_value(tmp_path: Path, said: dict[str, Any], key: str, value: str) -> None:
    assert {name: text for name, text, _ in taken(tmp_path, hhmrs=said).policy}[key] == value


def test_a_bell_that_was_off_is_off(tmp_path: Path) -> None:
    found = taken(tmp_path, tron_chime={"enabled": False, "on_timeout": True})
    assert policy_of(found, tmp_path).alerts.bell == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "pas_settings.json:1:1: not JSON"),
        ('{"a": 1', "not JSON"),
        ('{"a": NaN}', "NaN is no number"),
        ("[1, 2]", "found no JSON object"),
        ("3", "found no JSON object"),
        ('{"hhmrs": {"max_restarts": "x"}}', ":1:28: hhmrs.max_restarts: found 'x', expected a whole number"),
        ('{"hhmrs": {"max_restarts": 1e999}}', "expected a whole number"),
        ('{"hhmrs": {"max_restarts": -1}}', "expected a whole number"),
        ('{"hhmrs": {"enable_auto_restart": 1}}', "expected true or false"),
        ('{"hhmrs": 3}', "expected an object"),
        ('{"hhmrs": {}, "hhmrs": {}}', "duplicate key 'hhmrs'"),
        ("[" * 100_000, "not JSON"),
        ('{"a": ' * 40 + "1" + "}" * 40, "nested more than"),
        ('{"hhmrs": {"max_restarts": ' + "9" * 5000 + "}}", "expected"),
    ],
    ids=range(14),
)
def test_nonsense_is_a_problem_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    found = problems(written(tmp_path, text))
    assert any(told in problem for problem in found), found
    assert all(problem.isprintable() and len(problem) < 4600 for problem in found)


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    document = {
        "hhmrs": {"max_restarts": "x", "enable_auto_restart": 3},
        "tasks": {"task_timeout_minutes": []},
    }
    assert len(problems(written(tmp_path, document))) == 3


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert "cannot be read" in problems(tmp_path / "none.json")[0]
    (tmp_path / "bytes.json").write_bytes(b'{"a": "\xff"}')
    assert "no UTF-8" in problems(tmp_path / "bytes.json")[0]


def test_hostile_text_stays_a_comment(tmp_path: Path) -> None:
    evil = "x\u001b]0;owned\u0007\u2028\n  mode: observe"
    found = taken(tmp_path, **{evil: {"a": 1}, "hhmrs": {evil: evil, "😀": "😀"}})
    text = init_text("older", [], policy_lines(found), left_lines(found, f"{evil}.json"))
    assert all(c.isprintable() or c == "\n" for c in text)
    assert read_fleet(tmp_path / "hhmrs.yaml", text).policy == Policy()


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """The full file with some values, some keys and some sections of any kind."""
    document: dict[str, Any] = json.loads(json.dumps(FULL))
    for _ in range(draw(st.integers(0, 4))):
        section = draw(st.sampled_from([*FULL]) | st.text(max_size=10))
        if draw(st.booleans()) or not isinstance(document.get(section), dict):
            document[section] = draw(anything | st.dictionaries(st.text(max_size=10), anything, max_size=3))
        else:
            inner = document[section]
            inner[draw(st.sampled_from([*inner, "more"]) if inner else st.text(max_size=9))] = draw(anything)
    return document


@given(document=documents())
def test_any_settings_become_a_valid_file_or_plain_problems(document: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            found = take_over(written(folder, document))
        except ConfigError as wrong:
            assert all(str(problem).isprintable() for problem in wrong.problems)
            return
        policy_of(found, folder)
        text = policy_lines(found) + left_lines(found, "pas_settings.json")
        for section, value in document.items():
            for name in value if section in FULL else [section]:
                assert inert(name) in text, "nothing is lost"
