"""Each real CLI under a real daemon: prompted, killed, refused, limited, asking, and going round in a circle.

What reached the model is read from the scripted server's own record, never from a screen."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from hhmrs.controller.scripted_model.requests import Asked

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MakeFolder = Callable[[str], Path]
LONG = "".join(
    f"Zeile {n:04}: äöü ß 漢字 🛰  'quoted' \"twice\" $HOME `id` \\ and more words\n" for n in range(270)
)
"""About 20 KB in many lines, with what a shell or a terminal might take for itself."""


def _said(asked: Asked, words: str) -> int:
    """In how many messages of one request the model was given these words."""
    return sum(words in text for text in asked.users)


def _fleet(make_fleet: Any, cli: Any, agent: dict[str, Any], **policy: Any) -> Any:
    patient = {
        "heartbeat_interval": "10s", "missed_heartbeats": 3, "verify_within": "40s", "kill_grace": "3s",
        "progress_timeout": "120s", "quick_look": "100s",
    }  # fmt: skip
    return make_fleet({"one": agent}, policy=patient | policy)


def test_a_long_prompt_arrives_once_and_its_work_is_done(
    make_fleet: Any, cli: Any, folder: MakeFolder
) -> None:
    work = folder("one")
    assert 19_000 < len(LONG.encode()) < 32_000
    prompt = f"FIRST-MARK\n{LONG}WRITE hello.txt größe 漢字"
    fleet = _fleet(make_fleet, cli, cli.agent(prompt, work))
    fleet.up()
    asked = cli.asked(lambda asked: _said(asked, "FIRST-MARK") > 0)
    assert any(prompt in text for text in asked.users), "every byte of it"
    fleet.wait((work / "hello.txt").exists, 30, "the file is written")
    assert (work / "hello.txt").read_text(encoding="utf-8").strip() == "größe 漢字"
    if cli.name != "aider":  # it writes what the answer holds
        cli.asked(lambda asked: asked.answer.startswith("text: Done"))
    second = f"SECOND-MARK\n{LONG[:3000]}äöü 漢字, the end"
    sent = fleet.run("send", "one", second)
    assert sent.returncode == 0, sent.stderr
    asked = cli.asked(lambda asked: _said(asked, "SECOND-MARK") > 0)
    assert any(second in text for text in asked.users)
    assert asked.answer.startswith("text: Understood: SECOND-MARK")
    every = cli.model.requests.all()
    assert max(_said(one, prompt) for one in every) == 1
    assert max(_said(one, second) for one in every) == 1
    assert not fleet.events("agent_incident")


def test_killed_in_the_middle_it_resumes_its_own_session(
    make_fleet: Any, cli: Any, folder: MakeFolder
) -> None:
    work = folder("one")
    (work / "out").mkdir()
    half, whole = (1, 2) if cli.name == "aider" else (2, 4)  # aider: a file an answer
    fleet = _fleet(make_fleet, cli, cli.agent("KEPT-MARK do it\nSTEPS 4 out 2", work))
    fleet.up()
    fleet.wait((work / f"out/step-0{half}.txt").exists, 60, "half of the work")
    fleet.wait(lambda: fleet.agent("one")["evidence"]["transcript"] is not None, 20, "its transcript")
    written = (work / "out/step-01.txt").stat().st_mtime_ns
    before = len(cli.model.requests.all())
    tree = psutil.Process(fleet.pid("one"))
    for process in [*tree.children(recursive=True), tree]:
        os.kill(process.pid, signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered", agent="one", deadline=90)
    fleet.wait((work / f"out/step-0{whole}.txt").exists, 60, "the rest of the work")
    assert [x.type for x in fleet.events("hhmrs_resume", "hhmrs_restart")][:1] == ["hhmrs_resume"]
    incidents = fleet.status()["incidents"]
    assert [x["cause"] for x in incidents] == ["killed"]
    assert [x["strategy"] for x in incidents[0]["attempts"]] == ["resume"]
    assert (work / "out/step-01.txt").stat().st_mtime_ns == written, "what was done is not done again"
    resumed = [one for one in cli.model.requests.all()[before:] if "interrupted" in one.users[-1]]
    assert resumed, "a continuation prompt"
    first, newest = resumed[0].users[:-1], resumed[0].users[-1]
    assert any("KEPT-MARK do it" in text for text in first), "and the conversation before it"
    assert "You go on with work that was interrupted" in newest


def test_a_wrong_key_goes_to_a_person(make_fleet: Any, cli: Any, folder: MakeFolder) -> None:
    fleet = _fleet(make_fleet, cli, cli.agent("E401", folder("one")))
    fleet.up()
    fleet.wait(lambda: fleet.phase("one") == "escalated", 60, "no restart mends a key")
    assert [x["cause"] for x in fleet.status()["incidents"]] == ["auth"]
    assert not fleet.events("hhmrs_restart", "hhmrs_resume", agent="one")


def test_a_question_waits_for_a_person_and_takes_the_answer(
    make_fleet: Any, cli: Any, folder: MakeFolder
) -> None:
    work = folder("one")
    fleet = _fleet(make_fleet, cli, cli.agent("PERM touch asked-for", work, free=False))
    fleet.up()
    fleet.wait(lambda: fleet.phase("one") == "waiting", 60, "its question")
    assert not (work / "asked-for").exists()
    refused = fleet.run("send", "one", "hello")
    assert refused.returncode == 1
    assert "--answer" in refused.stderr
    yes = {"codex": ["y", "--key"], "qwen": ["1", "--key"]}.get(cli.name, ["1", "--key"])
    answered = fleet.run("send", "one", *yes, "--answer")
    assert answered.returncode == 0, answered.stderr
    fleet.wait((work / "asked-for").exists, 30, "it was allowed")
    fleet.wait(lambda: fleet.phase("one") == "working", 20, "it goes on")
    cli.asked(lambda asked: asked.answer.startswith("text: Done"))
    assert not fleet.events("hhmrs_nudge", "hhmrs_resume", "hhmrs_restart")


STUCK = {"codex": "HANG"}
"""codex gives up after some tries; the others try E429 for minutes, and their spinners turn."""


def test_a_spinner_that_turns_is_no_progress(make_fleet: Any, cli: Any, folder: MakeFolder) -> None:
    agent = cli.agent(STUCK.get(cli.name, "E429"), folder("one"))
    fleet = _fleet(
        make_fleet, cli, agent, progress_timeout="12s", quick_look="11s", max_restarts=1, max_llm_retries=0,
        nudge={"rescue": False},
    )  # fmt: skip
    fleet.up()
    timeout = fleet.wait_event("hhmrs_timeout", agent="one", deadline=60)[0]
    assert timeout.data["symptom"] == "looping"
    assert not fleet.events("hhmrs_recovered", agent="one")


@pytest.mark.parametrize("cli", ["codex"], indirect=True)
def test_a_usage_limit_is_waited_for_and_then_it_goes_on(
    make_fleet: Any, cli: Any, folder: MakeFolder
) -> None:
    """codex says until when, to the minute; a restart before that would meet the limit again."""
    fleet = _fleet(make_fleet, cli, cli.agent("EUSAGE 75", folder("one")), quick_look="10s")
    fleet.up()
    first = cli.asked(lambda asked: asked.status == 429)
    fleet.wait(lambda: fleet.phase("one") == "limited", 30, "limited")
    told: list[str] = []

    def names_its_time() -> bool:
        told[:] = filter(None, [fleet.agent("one")["limited_until"]])
        return bool(told)

    fleet.wait(names_its_time, 20, "its time")
    until = datetime.fromisoformat(told[0]).timestamp()
    assert -61 <= until - (first.at + 75) <= 61
    again = cli.asked(lambda asked: asked.status == 200 and "EUSAGE 75" in asked.users[:-1], 200)
    assert again.at >= until, "not before the time that was told"
    assert "do the next piece of work" in again.users[-1]
    assert not fleet.events("hhmrs_failure", "hhmrs_restart")
