from __future__ import annotations

from pathlib import Path

import pytest

from hhmrs.config.advice import advice
from hhmrs.config.loading import load_fleet

ALONE = "policy: {max_llm_retries: 0}"


def advise(tmp_path: Path, body: str) -> list[str]:
    (tmp_path / "hhmrs.yaml").write_text(f"fleet: f\n{ALONE}\nagents:\n{body}\n", encoding="utf-8")
    return advice(load_fleet(tmp_path / "hhmrs.yaml"))


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("{profile: claude}", "a: claude will stop and ask before it acts"),
        ("{profile: codex, command: [codex, exec]}", "a: its command lacks --no-daemon"),
        ("{command: [x]}", "a: has no prompt, no `ready` probe and no `liveness: [process]`"),
        ("{command: [x], prompt: go, model: m}", "a: profile shell has no `model` arguments"),
        ("{command: [x], prompt: go, policy: {testing: true}}", "a: `testing: true` lifts"),
        ("{command: [x], prompt: go, liveness: [process, beat]}", "a: `liveness` names process"),
        ("{command: [x], prompt: go, policy: {max_llm_retries: 1}}", "a: has no alternates"),
        ("{command: [x], prompt: go, decider: parent}", "a: `decider: parent`, but it has no parent"),
    ],
)
def test_each_surprise_is_one_sentence(tmp_path: Path, agent: str, words: str) -> None:
    found = advise(tmp_path, f"  a: {agent}")
    assert [line.startswith(words) for line in found] == [True], found


@pytest.mark.parametrize(
    "agent",
    [
        "{profile: claude, command: [claude, --dangerously-skip-permissions]}",
        "{profile: gemini, command: [gemini, --approval-mode=yolo]}",
        "{command: [x], prompt: go}",
        "{command: [x], liveness: [process]}",
        "{command: [x], ready: {port: 80}}",
    ],
)
def test_a_sound_agent_needs_no_advice(tmp_path: Path, agent: str) -> None:
    assert advise(tmp_path, f"  a: {agent}") == []


def test_a_pool_is_spoken_of_once_and_its_workspace_is_shared(tmp_path: Path) -> None:
    found = advise(tmp_path, "  p: {command: [x], count: 9}")
    assert [line.split(":")[0] for line in found] == [
        "p", f"p-01, p-02, p-03, p-04, 5 more share the workspace {tmp_path}"
    ]  # fmt: skip
