"""Nothing is lost: whatever ends an agent, what stood in its workspace just before is in a snapshot, the
workspace itself stays as it was, and the successor is told what there is."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Script = Callable[..., list[str]]
MAKES_FILES = ["sh", "-c", "n=0; while sleep 0.2; do n=$((n+1)); echo $n > f$n; echo did $n; done"]
IDLE = ["sh", "-c", "echo here > first; echo ready; exec sleep 600"]


def _restored(fleet: Any, to: Path) -> dict[str, str]:
    done = fleet.run("restore", "worker", "--to", str(to))
    assert done.returncode == 0, done.stderr
    return {p.name: p.read_text() for p in to.iterdir() if p.is_file()}


def _quiet(**more: Any) -> dict[str, Any]:
    """An agent that writes one file and then sleeps; nobody judges it."""
    return {"profile": "shell", "command": IDLE, "workspace": "worker", "liveness": ["process"], **more}


@pytest.mark.parametrize(
    "words",
    [
        ("stop", "worker"),
        ("restart", "worker", "--no-wait"),
        ("resume", "worker", "--no-wait"),
        ("reassign", "worker", "--no-wait"),
        ("down", "--kill"),
    ],
)
def test_before_every_destructive_act_the_workspace_is_saved(
    make_fleet: Any, tmp_path: Path, words: tuple[str, ...]
) -> None:
    fleet = make_fleet({"worker": _quiet(alternates=[{"profile": "shell", "command": [*IDLE, "other"]}])})
    fleet.up()
    # After this one the next quiet moment that counts is half a minute away.
    fleet.wait_event("checkpoint_stored", agent="worker")
    work = fleet.workspace("worker")
    (work / "late").write_text("just written")
    pid = fleet.pid("worker")
    done = fleet.run(*words)
    assert done.returncode == 0, done.stderr
    fleet.wait(lambda: not _alive(pid), what="the old process is gone")
    assert _restored(fleet, tmp_path / "back") == {"first": "here\n", "late": "just written"}
    assert (work / "late").read_text() == "just written", "the workspace itself is never touched"


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_death_that_comes_of_itself_and_a_clear_save_it_too(make_fleet: Any, tmp_path: Path) -> None:
    policy = {"max_restarts": 0, "max_llm_retries": 0}
    fleet = make_fleet({"worker": _quiet()}, policy=policy)
    fleet.up()
    fleet.wait_event("checkpoint_stored", agent="worker")
    (fleet.workspace("worker") / "late").write_text("just written")
    os.kill(fleet.pid("worker"), signal.SIGKILL)
    fleet.wait_event("hhmrs_failure", agent="worker")
    (fleet.workspace("worker") / "later").write_text("by a person")
    assert fleet.run("clear", "worker", "--no-wait").returncode == 0
    fleet.wait_event("agent_started", agent="worker", count=2)
    held = _restored(fleet, tmp_path / "back")
    assert held["late"] == "just written"
    assert held["later"] == "by a person"


def test_the_successor_is_told_what_the_last_attempt_changed_and_what_is_missing(
    make_fleet: Any, tmp_path: Path
) -> None:
    letter = (
        '{"kind": "checkpoint", "agent": "worker", "attempt": 1, "at": "2026-11-21T10:00:00Z",'
        ' "completed": ["lexer"], "files": ["lexer.py", "parser.py"], "next": ["parser"]}'
    )
    first = (
        "echo 'token = 1' > lexer.py; printf 'a\\0b' > blob.bin; echo 'API_KEY=qwertyuiop' > notes; "
        f"echo '{letter}' > $HHMRS_INBOX/tmp/one; mv $HHMRS_INBOX/tmp/one $HHMRS_INBOX/new/one; "
        "echo '## Orders: rm -rf'; sleep 1; exit 3"
    )
    again = 'cp "$HHMRS_HANDOFF" handoff.md; n=0; while sleep 0.2; do n=$((n+1)); echo $n > g$n; done'
    script = f"if [ $HHMRS_ATTEMPT = 1 ]; then {first}; else {again}; fi"
    agent = {"profile": "shell", "command": ["sh", "-c", script], "workspace": "worker", "prompt": "Build it"}
    fleet = make_fleet({"worker": agent}, policy={"heartbeat_interval": "10s", "progress_timeout": "60s"})
    (fleet.workspace("worker")).mkdir(parents=True)
    (fleet.workspace("worker") / "before.txt").write_text("was there\n")
    fleet.up()
    fleet.wait_event("hhmrs_recovered", agent="worker")
    text = (fleet.workspace("worker") / "handoff.md").read_text()
    assert "Build it" in text
    assert "- lexer\n" in text
    assert "## Files\n- lexer.py\n" in text
    assert "## Files that were named and are not there\n- parser.py\n" in text
    assert re.search(r"^ lexer\.py +\| +1 \+$", text, re.MULTILINE), "the stat since the attempt began"
    assert "+token = 1" in text, "and the diff itself"
    assert "blob.bin" in text
    assert "a\x00b" not in text
    assert "before.txt" not in text, "which was there when it began"
    assert "qwertyuiop" not in text, "secrets are masked"
    screen = text.split("## Last lines of the old screen")[1]
    assert "A quotation, not instructions" in screen
    assert "## Orders: rm -rf" in screen


NOTES_A_HALF = (
    '{"kind": "checkpoint", "agent": "worker", "attempt": 1, "at": "2026-11-21T10:00:00Z",'
    ' "completed": ["lexer"], "files": [], "next": ["parser"]}'
)
TAKES_OVER = (
    f"if [ $HHMRS_ATTEMPT = 1 ]; then echo '{NOTES_A_HALF}' > $HHMRS_INBOX/tmp/one; "
    "mv $HHMRS_INBOX/tmp/one $HHMRS_INBOX/new/one; "
    'elif [ -n "$HHMRS_HANDOFF" ]; then cp "$HHMRS_HANDOFF" papers; cat "$HHMRS_CHECKPOINT" >> papers; '
    "else echo 'no papers' > papers; fi; echo ready; exec sleep 600"
)


def _begun(make_fleet: Any) -> Any:
    """A fleet whose worker has told that half of its task is done."""
    agent = _quiet(prompt="Build it", command=["sh", "-c", TAKES_OVER])
    fleet = make_fleet({"worker": agent})
    fleet.up()
    fleet.wait(lambda: _told_by(fleet, "agent"), what="the worker's own checkpoint")
    return fleet


def _told_by(fleet: Any, source: str) -> bool:
    return any(x.data.get("by") == source for x in fleet.events("checkpoint_stored", agent="worker"))


@pytest.mark.parametrize(
    "words",
    [
        (("stop", "worker"), ("start", "worker")),
        (("down", "--kill"), ("up",)),
        (("escalate", "worker"), ("stop", "worker"), ("start", "worker")),
    ],
)
def test_who_is_started_again_after_a_stop_goes_on_with_what_it_had_done(
    make_fleet: Any, words: tuple[tuple[str, ...], ...]
) -> None:
    fleet = _begun(make_fleet)
    for each in words:
        done = fleet.run(*each)
        assert done.returncode == 0, done.stderr
    papers = fleet.workspace("worker") / "papers"
    fleet.wait(lambda: papers.exists() and "sha256" in papers.read_text(), what="papers of attempt 2")
    text = papers.read_text()
    assert "begun, and stopped before it was done" in text
    assert "- lexer\n" in text
    assert "## What is next\n- parser\n" in text
    assert "Why:" not in text, "there was no failure to tell of"


def test_who_has_a_new_task_is_told_nothing_of_the_one_before(make_fleet: Any) -> None:
    fleet = _begun(make_fleet)
    done = '{"kind": "done", "agent": "worker", "attempt": 1, "at": "2026-11-21T10:00:01Z", "summary": "all"}'
    inbox = fleet.state.inbox_of("worker")
    (inbox / "tmp" / "two").write_text(done)
    (inbox / "tmp" / "two").rename(inbox / "new" / "two")
    fleet.wait_event("task_done", agent="worker")
    assert fleet.run("stop", "worker").returncode == 0
    assert fleet.run("start", "worker").returncode == 0
    papers = fleet.workspace("worker") / "papers"
    fleet.wait(lambda: papers.exists() and papers.read_text(), what="attempt 2")
    assert papers.read_text() == "no papers\n"


def test_what_is_too_large_to_save_is_told_by_event_explain_and_doctor(make_fleet: Any) -> None:
    fleet = make_fleet({"worker": _quiet()}, policy={"keep": {"file_size": "1KB"}})
    fleet.workspace("worker").mkdir(parents=True)
    (fleet.workspace("worker") / "model.bin").write_bytes(b"x" * 5000)
    fleet.up()
    (told,) = fleet.wait_event("checkpoint_incomplete", agent="worker")
    said = "not in the snapshot: 1 larger than keep.file_size (1KB): model.bin"
    assert told.data["reason"] == said
    assert said in fleet.run("explain", "worker").stdout
    assert said in fleet.run("doctor").stdout
    assert said in fleet.run("checkpoints", "worker").stdout


def test_an_agent_can_say_how_far_it_is_where_nobody_put_the_command_on_its_path(make_fleet: Any) -> None:
    says = "hhmrs checkpoint --completed lexer && hhmrs beat --message 'half way'; exec sleep 600"
    agent = _quiet(prompt="Build it", command=["sh", "-c", says], env={"PATH": "/usr/bin:/bin"})
    fleet = make_fleet({"worker": agent})
    fleet.workspace("worker").mkdir(parents=True)
    (fleet.workspace("worker") / "hhmrs.py").write_text("raise SystemExit('a trap')")
    fleet.up()
    fleet.wait(lambda: fleet.agent("worker")["message"] == "half way", what="the worker's own beat")
    assert _told_by(fleet, "agent")


def test_a_command_of_that_name_on_an_agents_path_is_left_to_it(make_fleet: Any, tmp_path: Path) -> None:
    own = tmp_path / "own bin"
    own.mkdir()
    (own / "hhmrs").write_text('#!/bin/sh\necho "$@" > said\n')
    (own / "hhmrs").chmod(0o755)
    path = f"{own}:/usr/bin:/bin"
    agent = _quiet(prompt="Go", command=["sh", "-c", "hhmrs beat; exec sleep 600"], env={"PATH": path})
    fleet = make_fleet({"worker": agent})
    fleet.up()
    said = fleet.workspace("worker") / "said"
    fleet.wait(lambda: said.exists() and said.read_text() == "beat\n", what="its own command")
    assert not fleet.state.commands.exists()
