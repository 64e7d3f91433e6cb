"""Dialogs that a nudge may close: named in a profile, seen twice, and never taken for a question."""

from __future__ import annotations

from pathlib import Path

import pytest

from hhmrs.config.fleet import Dialog, Profile, ScreenRule
from hhmrs.config.loading import ConfigError, load_fleet
from hhmrs.config.profiles import BUILTIN, builtin_profiles
from hhmrs.controller.terminals.screens import ScreenReader, asks, shows

HEAD = "fleet: f\nagents:\n  a: {profile: p, command: [x]}\nprofiles:\n  p:\n"
NEWS = Dialog(name="news", pattern="^What is new", keys=("Escape",))
ASK = ScreenRule(name="ask", phase="waiting", pattern="Proceed")
REST = ScreenRule(name="rest", phase="idle", pattern="^> ?$")


def profile(folder: Path, text: str) -> Profile:
    (folder / "hhmrs.yaml").write_text(f"{HEAD}    {text}\n", encoding="utf-8")
    return load_fleet(folder / "hhmrs.yaml").profiles["p"]


def test_a_profile_names_them_with_their_keys(tmp_path: Path) -> None:
    read = profile(
        tmp_path,
        "dialogs: {news: {pattern: New, keys: [Escape]},\n"
        "      rate: {pattern: Rate, keys: [0, Enter], lines: 9, below: '^> '}}",
    )
    assert read.dialogs == (
        Dialog(name="news", pattern="New", keys=("Escape",)),
        Dialog(name="rate", pattern="Rate", keys=("0", "Enter"), lines=9, below="^> "),
    )
    assert [(rule.name, rule.phase) for rule in read.looked_for] == [("news", "dialog"), ("rate", "dialog")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{x: {pattern: New}}", "keys missing, expected pattern and keys"),
        ("{x: {keys: [Enter]}}", "pattern missing"),
        ("{x: {pattern: New, keys: []}}", "found an empty list, expected a list of one to five keys"),
        ("{x: {pattern: New, keys: [C-c]}}", "no key that may close a dialog"),
        ("{x: {pattern: New, keys: ['-t', Enter]}}", "no key that may close a dialog"),
        ("{x: {pattern: New, keys: [a, b, c, d, e, f]}}", "6 keys, expected at most 5"),
        ("{x: {pattern: '(', keys: [Enter]}}", "is no regular expression"),
        ("{X y: {pattern: New, keys: [Enter]}}", "unsafe name"),
        ("[{pattern: New}]", "expected a mapping of names to dialogs"),
    ],
)
def test_what_is_wrong_with_one_is_said_where_it_stands(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")) as found:
        profile(tmp_path, f"dialogs: {text}")
    assert len(found.value.problems) == 1
    assert found.value.problems[0].line == 6


def test_no_screen_rule_may_call_itself_a_dialog(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="phase"):
        profile(tmp_path, "screens: {x: {phase: dialog, pattern: y}}")


def test_it_must_stand_still_for_two_looks_and_a_question_goes_first() -> None:
    rules = Profile(name="p", screens=(ASK, REST), dialogs=(NEWS,)).looked_for
    reader = ScreenReader(rules)
    screen = ["What is new", " - this", ">"]
    assert reader.look(screen).matched is None
    matched = reader.look(screen).matched
    assert matched is not None
    assert (matched.rule.phase, matched.rule.name) == ("dialog", "news")
    asked = ["What is new", "Proceed?", ">"]
    reader.look(asked)
    matched = reader.look(asked).matched
    assert matched is not None
    assert matched.rule.name == "ask"
    assert (asks(rules, screen), shows(rules, screen, "dialog")) == ("", "news")
    assert asks(rules, asked) == "ask"


def test_a_dialog_may_be_named_as_a_screen_rule_is() -> None:
    twin = ScreenRule(name="news", phase="waiting", pattern="Answer me")
    reader = ScreenReader(Profile(name="p", screens=(twin,), dialogs=(NEWS,)).looked_for)
    seen = []
    for screen in (["Answer me"], ["Answer me"], ["What is new"], ["What is new"]):
        matched = reader.look(screen).matched
        seen += [matched.rule.phase] if matched else []
    assert seen == ["waiting", "dialog"]


UPDATE = """
  ✨ Update available! 0.128.0 -> 0.144.5

  Release notes: https://github.com/openai/codex/releases/latest

› 1. Update now (runs `npm install -g @openai/codex`)
  2. Skip
  3. Skip until next version

  Press enter to continue
""".splitlines()


def test_the_update_of_codex_is_left_for_later_and_no_key_would_install_it() -> None:
    codex = builtin_profiles()["codex"]
    assert shows(codex.looked_for, UPDATE, "dialog") == "update"
    (update,) = codex.dialogs
    assert update.keys == ("Escape",)
    assert asks(codex.screens, UPDATE) == ""
    quoted = [*UPDATE, "› ", "  ? for shortcuts"]
    assert shows(codex.looked_for, quoted, "dialog") == "", "above the input line it is somebody's prose"


@pytest.mark.parametrize("name", BUILTIN)
def test_no_dialog_of_ours_fits_a_question_of_any_program(name: str) -> None:
    recordings = list((Path(__file__).parents[1] / "recordings").glob("*/*.txt"))
    assert len(recordings) > 20
    for path in recordings:
        screen = path.read_text(encoding="utf-8").partition("\n---\n")[2].split("\n")
        assert shows(builtin_profiles()[name].looked_for, screen, "dialog") == "", path


LISTED = """
 ● Understood: hello

╭──────────────────────────────────────────────────────────────────────────────╮
│ Rewind to a previous point                                                   │
│                                                                              │
│ ❯  2. SLOW 12 (just now)                                                     │
│    1. hello, say what you see (3m ago)                                       │
│                                                                              │
│ ↑↓ Navigate · Enter Select · Esc Cancel                                      │
╰──────────────────────────────────────────────────────────────────────────────╯
"""


def test_the_turns_that_copilot_lists_after_escape_twice_are_left_by_one_more() -> None:
    """Both escapes interrupt it; pressed when it has just ended, they open this list."""
    copilot = builtin_profiles()["copilot"]
    shown = LISTED.strip("\n").split("\n")
    assert shows(copilot.looked_for, shown, "dialog") == "rewind"
    assert [each.keys for each in copilot.dialogs] == [("Escape",)]
    assert asks(copilot.screens, shown) == ""
    under = [*shown, "", " ~/work [main]", "─" * 40, "❯", "─" * 40, " / commands · ? help"]
    assert shows(copilot.looked_for, under, "dialog") == ""
