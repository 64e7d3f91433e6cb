"""The post-mortem of an incident: complete, inert, without secrets; its lessons are arithmetic."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, Policy
from hhmrs.config.paths import StateDir
from hhmrs.controller.checkpoints.snapshots import Snapshots
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.controller.reports.postmortems import KEPT, PostMortems, post_mortem_of
from hhmrs.healing.agent import Happening
from hhmrs.healing.lessons import lessons
from hhmrs.healing.markdown import cell, fenced, line
from hhmrs.healing.postmortem import ROWS, Case, Told, Try, post_mortem

MakeSpec = Callable[..., AgentSpec]
T0 = 1_795_255_200.0
HOSTILE = (
    "\x1b]0;owned\x07```\n# Heading\n<script>x</script> [a](javascript:b) \u202e "
    "sk-abcdefghijklmnop1234 | `x` \\"
)
SECTIONS = ["Timeline", "Evidence", "Cause", "Attempts", "Workspace diff", "Lessons"]
STALLED = Case(
    "a-i1", "a", "boss", "stalled", "stalled", "no life for 60.0 s", "2026-11-21T10:00:00.000Z",
    unnoticed=60.0, policy=Policy(), alternates=1,
)  # fmt: skip


def tried(n: int, strategy: str, outcome: str, *, at: float = 0.0, took: float = 31.0, why: str = "") -> Try:
    return Try(n, strategy, at, at + took, outcome, why)


def test_every_section_is_there_in_its_order_even_of_the_barest_incident() -> None:
    bare = Case("x-i1", "x", None, "exited", "unknown", "", "2026-11-21T10:00:00.000Z")
    page = post_mortem(bare, lessons(bare))
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == SECTIONS
    assert "Nothing was tried." in page
    assert "still open" in page


def test_hostile_words_stay_quotations_wherever_they_come_from() -> None:
    told = Told("2026", 1.0, HOSTILE, dict.fromkeys(("why", "matched", "strategy", "from"), HOSTILE))
    incident = replace(told, type="agent_incident")
    tries = (Try(1, HOSTILE, 0.0, 1.0, "failure", HOSTILE, HOSTILE),
             Try(2, HOSTILE, 0.0, 99.0, "success", "", HOSTILE))  # fmt: skip
    case = Case(
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1.0, 1.0, 1.0, 99.0,
        HOSTILE, HOSTILE, (told, incident, replace(told, type="agent_phase")),
        tries, {HOSTILE: (0, 9)}, HOSTILE, HOSTILE, Policy(recovery={HOSTILE: ("nudge",)}), 0, 1.0,
    )  # fmt: skip
    page = post_mortem(case, lessons(case))
    assert "abcdefghijklmnop1234" not in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", page)
    outside = re.sub(r"^(`{3,})text\n.*?\n\1$", "", page, flags=re.MULTILINE | re.DOTALL)
    assert outside != page, "there were quotations"
    assert re.findall(r"^#+ .*$", outside, re.MULTILINE)[1:] == [f"## {title}" for title in SECTIONS]
    for markup in ("<", "[", "`x"):
        assert not re.search(rf"(?<!\\)(?:\\\\)*{re.escape(markup)}", outside.replace("`\\", "\\")), markup
    rows = [row for row in outside.splitlines() if row.startswith("|")]
    bars = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows}
    assert bars <= {3, 5, 8}, "no cell breaks its row"


def test_what_it_printed_last_is_quoted_once_with_how_often_it_ended_so() -> None:
    ends = [
        Told(
            f"10:0{n}",
            float(n),
            "agent_exited",
            {"status": 1, "cause": "crash", "detail": "exit 1", "said": said},
        )
        for n, said in enumerate([["no config", "bye"], ["no config", "bye"], ["```", "# other"], "no list"])
    ]
    page = post_mortem(replace(STALLED, events=tuple(ends)), [])
    assert page.count("no config\nbye\n") == 1
    assert "Last words before its end at 10:01, and 1 x before:" in page
    assert "Last words before its end at 10:02:\n````text\n```\n# other\n````" in page
    assert "no list" not in page


def test_what_a_person_is_to_do_stands_at_the_top_until_it_is_done() -> None:
    given_up = replace(STALLED, escalated=9.0, task="a-1")
    page = post_mortem(given_up, [])
    head = page.split("## ")[0]
    assert "hhmrs explain a, hhmrs logs a; then tried again, to be proved: hhmrs retry a-1; or" in head
    assert "hhmrs retry" not in post_mortem(replace(given_up, closed="2026", lasted=9.0), [])
    assert "hhmrs retry" not in post_mortem(STALLED, [])


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("agent_started", {"attempt": 4, "profile": "claude", "model": "opus"}, "attempt 4 on claude:opus"),
        ("checkpoint_stored", {"checkpoint": 7, "by": "agent"}, "number 7, by agent"),
        (
            "agent_decider_asked",
            {"decider": "boss", "options": ["resume", "escalate"], "otherwise": "resume", "n": 1},
            "boss is asked: resume, escalate; otherwise resume",
        ),
    ],
)
def test_each_row_of_the_timeline_says_something(kind: str, fields: dict[str, object], words: str) -> None:
    page = post_mortem(replace(STALLED, events=(Told("10:00", 0.0, kind, fields),)), [])
    assert f"| {kind} | {words} |" in page.replace("\\_", "_")


@pytest.mark.parametrize("text", ["\\", "\\|", "\\\\|`", "a\\`b", "|\\"])
def test_a_backslash_undoes_no_escape(text: str) -> None:
    shown = cell(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[|`]", shown), shown
    assert re.sub(r"\\(.)", r"\1", shown) == text
    assert line("x" * 900).endswith("…")
    assert fenced("````", 100).startswith("`````text")


def test_a_long_timeline_keeps_its_beginning_and_its_end() -> None:
    events = tuple(Told(f"t{n}", float(n), "agent_phase", {"from": "a", "to": f"b{n}"}) for n in range(500))
    page = post_mortem(replace(STALLED, events=events), [])
    assert "a to b0 " in page
    assert "a to b499 " in page
    assert "a to b250 " not in page
    assert f"{500 - ROWS} more" in page


def said(case: Case) -> str:
    return "\n".join(lessons(case))


def test_what_worked_and_what_did_not_is_told_with_its_time() -> None:
    case = replace(
        STALLED, outcome="recovered", recovered=70.0, closed="t", lasted=70.0,
        tries=(tried(1, "nudge", "failure"), tried(2, "resume", "failure", at=31, took=30),
               replace(tried(3, "reassign", "success", at=62, took=8), seat="codex:o4")),
    )  # fmt: skip
    assert "What worked: reassign on codex:o4 (attempt 3), 8.0 s after it began." in said(case)
    assert "What did not: nudge, resume; 61.0 s went by with it." in said(case)
    assert "out of work for 130.0 s: 60.0 s unnoticed, 70.0 s afterwards" in said(case)


def test_the_shorter_clock_that_would_have_been_right_is_named() -> None:
    assert "`missed_heartbeats: 1` would have noticed it 30.0 s earlier." in said(STALLED)
    once = replace(STALLED, policy=Policy(missed_heartbeats=1), unnoticed=30.0)
    assert "`heartbeat_interval: 10s` would have noticed it 20.0 s earlier." in said(once)
    least = replace(STALLED, policy=Policy(missed_heartbeats=1, heartbeat_interval=10.0), unnoticed=10.0)
    assert "earlier" not in said(least)
    looping = replace(STALLED, symptom="looping", cause="looping", unnoticed=600.0)
    assert "`quick_look` had noticed it 480.0 s earlier" in said(looping)
    known = replace(looping, pauses=100.0)
    assert "`progress_timeout: 2m31s` would have noticed it 450.0 s earlier" in said(known)
    assert "progress_timeout:" not in said(replace(looping, pauses=500.0)), "its own pauses are longer"


def test_a_false_alarm_names_the_clock_that_was_too_short() -> None:
    alone = replace(STALLED, outcome="self", closed="t", lasted=12.0)
    assert "A false alarm: it came back by itself 12.0 s later, before anything was done." in said(alone)
    assert "It rested 72.0 s; the limit is 60 s. A longer `heartbeat_interval`" in said(alone)
    assert "earlier" not in said(alone), "what was no failure need not be seen earlier"


def test_the_ladder_is_judged_by_its_record_alone() -> None:
    assert "proved in" not in said(replace(STALLED, record={"nudge": (0, 2), "resume": (2, 2)})), "too few"
    case = replace(STALLED, record={"nudge": (0, 5), "resume": (9, 10)})
    assert "`nudge` was proved in none of 5 tries for cause stalled" in said(case)
    assert "`recovery: {stalled: [resume, restart, reassign]}`" in said(case)
    assert "`resume` was proved in 9 of 10 tries for cause stalled: put it first." in said(case)
    assert "put it first" not in said(replace(STALLED, record={"nudge": (9, 10), "resume": (10, 10)}))


def test_what_stood_in_the_way_is_named() -> None:
    lost = replace(STALLED, escalated=400.0, alternates=0)
    assert "It has no `alternates`" in said(lost)
    assert "Nothing was tried: cause auth" in said(replace(lost, cause="auth"))
    assert "`task_deadline` of 7200 s" in said(replace(lost, cause="deadline"))
    young = tuple(tried(n, "restart", "failure", took=2.0, why="exited again: exit 1") for n in (1, 2, 3))
    assert "3 attempts died within 30 s each" in said(replace(lost, tries=young))
    assert "died within" not in said(replace(lost, tries=young[:2]))
    tight = replace(STALLED, recovered=29.0, tries=(tried(1, "resume", "success", took=29.0),))
    assert "`verify_within` is 30 s" in said(tight)


# -- from the book --------------------------------------------------------------------------------


@pytest.fixture
def book(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def tell(book: SqliteLedger, at: float, type: str, incident: str | None = None, **fields: Any) -> None:
    book.append([Row("a", None, (Happening(type, "a", T0 + at, incident, fields),))])


def an_incident(book: SqliteLedger) -> None:
    tell(book, 0, "task_opened", task="a-1", text="build it")
    tell(book, 1, "agent_started", attempt=1, profile="claude", model="sonnet")
    tell(book, 99, "agent_exited", status=None, signal=9, cause="killed")
    struck = {"symptom": "exited", "cause": "killed", "detail": "SIGKILL", "matched": "Killed"}
    tell(book, 100, "agent_incident", "a-i1", **struck)
    tell(book, 101, "hhmrs_resume", "a-i1", n=1, strategy="resume", cause="killed", task="a-1")
    tell(book, 102, "agent_started", "a-i1", attempt=2, profile="claude", model="sonnet")
    tell(book, 131, "agent_attempt_failed", "a-i1", n=1, strategy="resume", why="no fresh progress")
    tell(book, 132, "hhmrs_failure", "a-i1", reason="every strategy is spent", cause="killed")


def test_the_book_gives_the_whole_story(book: SqliteLedger, tmp_path: Path, make_spec: MakeSpec) -> None:
    an_incident(book)
    found = post_mortem_of("a-i1", book.reader, Snapshots(tmp_path / "none"), make_spec("a"))
    assert found is not None
    page = found.page()
    assert "build it" in page
    assert re.search(r"\| -1\.0 s \|.*agent_exited \| signal 9: killed", page)
    assert "- matched: Killed" in page
    assert "| 1 | resume | +1.0 s | 30.0 s | claude:sonnet | failure | no fresh progress |" in page
    assert "given up after 32.0 s" in page
    assert "its ladder: resume, restart, reassign, escalate" in page
    assert not (tmp_path / "none").exists(), "reading makes no repository"
    assert post_mortem_of("a-i2", book.reader, Snapshots(tmp_path / "none"), None) is None


def test_the_diff_is_that_of_the_incident_and_no_more(
    book: SqliteLedger, tmp_path: Path, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_incident(book)
    work, snapshots = tmp_path / "work", Snapshots(tmp_path / "state" / "f" / "snapshots")
    work.mkdir()
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    taken = []
    for name, words in (("old.py", "before"), ("made.py", "hello = 1"), ("later.py", "after it all")):
        (work / name).write_text(f"{words}\n")
        taken.append(snapshots.take("a", work).commit)
    times = dict(zip(taken, (T0 + 99, T0 + 131, T0 + 900), strict=True))
    listing = [(commit, times[commit]) for commit, _ in snapshots.listing("a")]
    monkeypatch.setattr(snapshots, "listing", lambda _: listing)
    found = post_mortem_of("a-i1", book.reader, snapshots, make_spec("a"))
    assert found is not None
    assert "made.py" in found.case.changes
    assert "+hello = 1" in found.case.diff
    assert "old.py" not in found.page()
    assert "later.py" not in found.page()


def test_a_page_is_put_away_for_us_alone_and_old_ones_go(
    book: SqliteLedger, tmp_path: Path, make_spec: MakeSpec
) -> None:
    an_incident(book)
    state = StateDir(tmp_path / "state", "f")
    state.create()
    for n in range(KEPT + 3):
        (state.reports / f"b-i{n}.md").write_text("old")
    desk = PostMortems(state, book.reader, Snapshots(state.snapshots))
    page = desk.write("a-i1", make_spec("a"), 0.0)
    assert page is not None
    assert page == state.reports / "a-i1.md"
    assert page.read_text().startswith("# Post-mortem: incident a-i1\n")
    assert page.stat().st_mode & 0o777 == 0o600
    assert len(list(state.reports.iterdir())) == KEPT
    assert desk.write("a-i1", make_spec("a"), 0.0) == page, "twice is harmless"
    assert desk.write("a-i9", make_spec("a"), 0.0) is None
    assert desk.write("../x", make_spec("a"), 0.0) is None
