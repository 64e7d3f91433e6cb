"""What counts, and where it comes from: default, fleet file, an agent's own block, the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hhmrs.config.nodes import read_nodes
from hhmrs.tui.settings import Row, Sheet, diff, own_values, rows, standing, told

TEXT = """\
fleet: n
notify: ["json://localhost"]
policy:
  backoff: &b {initial: 2s}
  quick_look: 90s
  recovery: {crash: []}
agents:
  a: {command: [x], policy: {backoff: *b, task_deadline: 9h}}
  b: {command: [x]}
"""
SHEET = Sheet(Path("hhmrs.yaml"), TEXT.encode(), TEXT, read_nodes(TEXT)[0], (), {"a": "a", "b": "b"}, up=True)


def row(key: str, agent: str | None = None, sheet: Sheet = SHEET) -> Row:
    return next(one for one in rows(sheet, agent) if one.setting.key == key)


def test_values_and_origins() -> None:
    assert (row("task_deadline").value, row("task_deadline").origin) == ("2h", "default")
    assert (row("backoff.initial").value, row("backoff.initial").origin) == ("2s", "fleet file, line 4")
    assert (row("task_deadline", "a").value, row("task_deadline", "a").origin) == (
        "9h",
        "its own block, line 8",
    )
    assert (row("quick_look", "b").value, row("quick_look", "b").own) == ("90s", False)
    assert row("quick_look", "b").origin == "fleet file, line 5"
    assert row("backoff.initial", "a").value == "2s", "through the alias"
    assert (row("recovery.crash").value, row("recovery.crash").own) == ((), True)
    assert row("notify", "a").value == ("json://localhost",)
    assert "the fleet as a whole" in row("notify", "a").off


def test_the_command_line_goes_before_the_file() -> None:
    by_hand = row("quick_look", sheet=replace(SHEET, quick_look=45.0))
    assert (by_hand.value, by_hand.origin) == ("45s", "command line")
    assert "--threshold" in by_hand.off


def test_whether_it_is_in_force() -> None:
    assert standing(SHEET) == "in force now"
    assert "r has it read now" in standing(replace(SHEET, stale=True))
    assert "at its next start" in standing(replace(SHEET, up=False))


def test_all_that_is_told_of_one() -> None:
    text = "\n".join(told(row("task_deadline"), SHEET, None))
    for words in (
        "task_deadline = 2h",
        "default: 2h",
        "with a value of their own: a",
        "at most 10000h",
        "Wall clock",
    ):
        assert words in text
    assert "straight" not in text
    assert "= nothing" in told(row("recovery.crash"), SHEET, None)[0]
    assert own_values(SHEET.root, row("task_deadline").setting) == ("a",)


def test_a_filter_looks_at_keys_and_meanings() -> None:
    assert {one.setting.key for one in rows(SHEET, None, "GRANDPARENT")} == {
        "max_llm_retries",
        "decide_within",
    }
    assert rows(SHEET, None, "no such words") == ()


def test_the_difference_is_told_with_what_stands_around_it() -> None:
    assert diff(TEXT, TEXT.replace("90s", "80s"), around=1) == (
        "@@ -4,3 +4,3 @@",
        "   backoff: &b {initial: 2s}",
        "-  quick_look: 90s",
        "+  quick_look: 80s",
        "   recovery: {crash: []}",
    )
