"""What a person orders beyond the file's own ladder: any profile with any model, a failed task again."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import psutil

from hhmrs.controller.ledger.writer import LedgerReader

MODEL = ["--model", "{model}"]


def maker(name: str) -> dict[str, Any]:
    """A profile of a program that makes a file each moment."""
    work = f"n=0; while sleep 0.1; do n=$((n+1)); echo $n > {name}-$$-$n; done"
    return {"command": ["sh", "-c", work, name], "model": MODEL, "about": f"the {name} of a test"}


PROFILES = {
    **{name: maker(name) for name in ("one", "two", "three")},
    "gone": {"command": ["hhmrs-no-such-program"]},
}


def table(fleet: Any, name: str) -> list[dict[str, Any]]:
    reader = LedgerReader(fleet.state.ledger)
    try:
        return reader.rows(name)
    finally:
        reader.close()


def seat(fleet: Any) -> tuple[str, str | None]:
    """On which it was started last, as the book has it."""
    started = fleet.events("agent_started", agent="w")[-1].data
    return started["profile"], started["model"]


def test_a_third_seat_by_hand_outlives_the_daemon_and_the_round_goes_on(make_fleet: Any) -> None:
    worker = {"profile": "one", "alternates": [{"profile": "two"}], "workspace": "w", "prompt": "go"}
    policy = {"max_restarts": 1, "reassign_timeout_factor": 2}
    fleet = make_fleet({"w": worker}, policy=policy, profiles=PROFILES)
    fleet.up()
    fleet.wait(lambda: list(fleet.workspace("w").glob("one-*")), what="it works on its own seat")
    first = fleet.pid("w")
    unknown = fleet.run("reassign", "w", "--to", "tree:m1")
    assert unknown.returncode == 2, unknown.stderr
    assert "did you mean 'three'" in unknown.stderr
    missing = fleet.run("reassign", "w", "--to", "gone")
    assert missing.returncode == 1
    assert "command not found" in missing.stderr
    assert fleet.pid("w") == first, "a refusal ends nothing"

    done = fleet.run("reassign", "w", "--to", "three:m1:8b")
    assert done.returncode == 0, done.stderr
    assert seat(fleet) == ("three", "m1:8b")
    by_hand = fleet.pid("w")
    assert psutil.Process(by_hand).cmdline()[-2:] == ["--model", "m1:8b"]
    assert {(r["retry_type"], r["outcome"]) for r in table(fleet, "retry_history")} == {
        ("agent_change", "success"), ("timeout_increase", "success"),
    }  # fmt: skip
    raised = next(r for r in table(fleet, "retry_history") if r["retry_type"] == "timeout_increase")
    assert json.loads(raised["old_config"])["verify_within"] == 3.0
    assert json.loads(raised["new_config"])["verify_within"] == 6.0

    assert fleet.run("down").returncode == 0
    fleet.up()
    shown = fleet.agent("w")
    assert (shown["profile"], shown["model"], shown["pid"]) == ("three", "m1:8b", by_hand)
    os.kill(by_hand, signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered", agent="w", count=2)
    assert seat(fleet) == ("three", "m1:8b"), "level one brings it back where it was"
    os.kill(fleet.pid("w"), signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered", agent="w", count=3)
    last = fleet.events("hhmrs_reassign", agent="w")[-1].data
    assert (last["old_profile"], last["old_model"], last["new_profile"]) == ("three", "m1:8b", "two")
    assert seat(fleet) == ("two", None)


def test_what_a_cli_by_hand_notes_down_of_what_it_was_told_is_no_work(make_fleet: Any) -> None:
    noting = "import time\nwhile True:\n open('notes.md', 'a').write('told\\n')\n time.sleep(0.1)"
    scribe = {"command": [sys.executable, "-c", noting], "bookkeeping": ["notes.md"]}
    worker = {"profile": "one", "workspace": "w", "prompt": "go", "liveness": ["file"]}
    fleet = make_fleet({"w": worker}, policy={"verify_within": "2s"}, profiles={**PROFILES, "scribe": scribe})
    fleet.up()
    fleet.wait(lambda: list(fleet.workspace("w").glob("one-*")), what="it works on its own seat")
    done = fleet.run("reassign", "w", "--to", "scribe")
    assert (fleet.workspace("w") / "notes.md").exists()
    assert done.returncode == 1, done.stdout
    assert "no fresh progress within 2 s" in done.stderr


ASKED = """
import pathlib, sys, time
print("your wish?", flush=True)
asked = sys.stdin.readline()
for n in range(10**6):
    pathlib.Path(f"asked-{n}").write_text(asked)
    time.sleep(0.1)
"""


def test_another_cli_is_up_when_it_says_so_itself_and_then_gets_its_prompt(make_fleet: Any) -> None:
    one = maker("one")
    one["ready"] = {"output": "never seen on the other"}
    asked = {
        "command": [sys.executable, "-c", ASKED],
        "ready": {"output": "your wish"},
        "type_prompt": "always",
    }
    worker = {
        "profile": "one", "alternates": [{"profile": "asked"}], "workspace": "w", "prompt": "go",
    }  # fmt: skip
    fleet = make_fleet({"w": worker}, policy={"verify_within": "10s"}, profiles={"one": one, "asked": asked})
    fleet.up()
    fleet.wait(lambda: list(fleet.workspace("w").glob("one-*")), what="it works on its own seat")
    done = fleet.run("reassign", "w")
    assert done.returncode == 0, done.stderr
    assert list(fleet.workspace("w").glob("asked-*")), "it works, for it was told what to do"
    assert fleet.agent("w")["profile"] == "asked"


def test_a_failed_task_is_reported_listed_and_tried_again(
    make_fleet: Any, notified: tuple[str, list[bytes]]
) -> None:
    url, received = notified
    work = "test -e ../fixed || exit 3; n=0; while sleep 0.1; do n=$((n+1)); echo $n > made-$n; done"
    worker = {"profile": "shell", "command": ["sh", "-c", work], "workspace": "w", "prompt": "go on"}
    fleet = make_fleet({"w": worker}, policy={"max_restarts": 1}, notify=[url])
    fleet.up()
    fleet.wait(lambda: received, what="the notification")
    page = fleet.state.reports / "w-i1.md"
    assert f"post-mortem: {page}" in json.loads(received[0])["message"]
    assert page.stat().st_mode & 0o777 == 0o600
    assert "status 3" in page.read_text()

    listed = json.loads(fleet.run("tasks", "--json").stdout)
    assert listed["retry_queue"] == ["w-1"]
    assert [(t["id"], t["agent"], t["state"]) for t in listed["tasks"]] == [("w-1", "w", "failed")]
    assert "hhmrs retry w-1" in fleet.run("tasks").stdout
    near = fleet.run("retry", "w-2")
    assert near.returncode == 2
    assert "did you mean 'w-1'" in near.stderr

    failed_again = fleet.run("retry", "w-1")
    assert failed_again.returncode == 1, "nothing was mended yet"
    fleet.wait(lambda: fleet.phase("w") == "escalated", what="given up once more")
    fleet.wait((fleet.workspace("w") / ".ESCALATION_REQUIRED").exists, what="marked once more")
    (fleet.folder / "fixed").touch()
    again = fleet.run("retry", "w-1")
    assert again.returncode == 0, again.stderr
    assert json.loads(fleet.run("tasks", "--json").stdout)["tasks"][0]["state"] == "open"
    told = fleet.run("tasks").stdout
    assert "go on" in told, "what is asked"
    assert "exit 3" not in told, "why it failed before is over"
    fleet.wait(
        lambda: not (fleet.workspace("w") / ".ESCALATION_REQUIRED").exists(), what="the marker is gone"
    )
    refused = fleet.run("retry", "w-1")
    assert refused.returncode == 1
    assert "not failed but open" in refused.stderr

    assert fleet.run("down", "--kill").returncode == 0
    report = fleet.run("report", "w-i1")
    assert report.returncode == 0, report.stderr
    assert report.stdout.startswith("# Post-mortem: incident w-i1\n")
    assert "## Lessons" in report.stdout
    document = json.loads(fleet.run("report", "w-i1", "--json").stdout)
    assert (document["agent"], document["task"], document["outcome"]) == ("w", "w-1", "cleared")
    unknown = fleet.run("report", "w-i0")
    assert unknown.returncode == 2
    assert "did you mean" in unknown.stderr
    assert fleet.run("retry", "w-1").returncode == 3, "it acts, so it needs a daemon"
