"""Transcripts and status files through a real daemon, to what `status` shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALM = {"heartbeat_interval": "60s", "progress_timeout": "10m", "testing": False, "missed_heartbeats": 2}
OLD: dict[str, Any] = {
    "transcripts": [{"roots": ["{workspace}"], "file": ".log/*.jsonl", "counts": '"type":"assistant"'}],
    "status_files": [{"pattern": "status.json", "kind": "status"}, {"pattern": "inbox/*", "kind": "inbox"}],
    "bookkeeping": [".log", ".typed"],
}


def test_what_other_sources_saw_is_shown_and_their_files_are_no_work(
    tmp_path: Path, make_fleet: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    agent = {"command": ["sleep", "600"], "profile": "old", "workspace": "w", "prompt": "work"}
    fleet = make_fleet({"a1": agent}, policy=CALM, profiles={"old": OLD})
    work = fleet.folder / "w"
    (work / ".log").mkdir(parents=True)
    (work / "inbox").mkdir()
    log = work / ".log" / "1.jsonl"
    log.write_text('{"type":"user"}\n')
    fleet.up()

    def evidence() -> dict[str, float | None]:
        ages: dict[str, float | None] = fleet.agent("a1")["evidence"]
        return ages

    wait_until(lambda: "found for 1" in means(fleet, "transcripts"), deadline=20)
    for name in (".typed", "inbox/letter"):
        (work / name).write_text("a nudge, typed by ourselves, or a letter of another's\n")
    append(log, '{"type":"user","content":"a nudge, typed by ourselves"}\n')
    (work / "status.json").write_text(
        json.dumps({"status": "running", "progress": 0.25, "message": "parsing"})
    )
    wait_until(lambda: evidence()["beat"] is not None, deadline=20)
    shown = fleet.agent("a1")
    assert (shown["message"], shown["progress"]) == ("parsing", 0.25)
    assert shown["evidence"]["file"] is shown["evidence"]["transcript"] is None
    append(log, '{"type":"assistant"}\n')
    wait_until(lambda: evidence()["transcript"] is not None, deadline=20)
    (work / "parser.py").write_text("x = 1\n")
    wait_until(lambda: evidence()["file"] is not None, deadline=20)
    assert "1 agents" in means(fleet, "status files")


def means(fleet: Any, source: str) -> str:
    try:
        told = json.loads(fleet.state.means.read_text())
    except (OSError, ValueError):
        return ""
    return "".join(one["how"] for one in told["means"] if one["source"] == source)


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
