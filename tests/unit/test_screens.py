"""What a profile reads on a screen: every recording, also under prose that says the words of a dialog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hhmrs.config.fleet import ScreenPhase, ScreenRule
from hhmrs.config.profiles import BUILTIN, builtin_profiles
from hhmrs.controller.terminals.screens import Match, ScreenReader, Verdict, asks

FOLDER = Path(__file__).parents[1] / "recordings"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Recording:
    """A pane as it was. `own`: the lines at the bottom that are the program's; above is what it printed."""

    profile: str
    phase: str
    rule: str
    own: int
    lines: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Recording:
        head, _, text = path.read_text(encoding="utf-8").partition("\n---\n")
        said = dict(line.removeprefix("# ").split(": ", 1) for line in head.split("\n"))
        assert {"profile", "phase", "from"} <= said.keys(), path
        assert said["profile"] == path.parent.name, path
        lines = tuple(text.rstrip().split("\n"))
        return cls(said["profile"], said["phase"], said.get("rule", ""), int(said.get("own", 0)), lines)

    @property
    def rules(self) -> tuple[ScreenRule, ...]:
        return builtin_profiles()[self.profile].screens


RECORDINGS = {f"{path.parent.name}/{path.stem}": Recording.read(path) for path in FOLDER.glob("*/*.txt")}
LIKE_PROSE = {
    ("claude", "usage-limit"), ("claude", "login"), ("claude", "credit"), ("claude", "context"),
}  # fmt: skip
"""Said between the lines of the conversation, with no mark that an agent could not print as well."""
DIALOGS = [
    each
    for each in RECORDINGS.values()
    if each.phase in ("waiting", "limited", "error") and (each.profile, each.rule) not in LIKE_PROSE
]


def still(rules: Sequence[ScreenRule], lines: Sequence[str], looks: int = 10) -> Match | None:
    """What is read of a screen that does not move."""
    reader = ScreenReader(rules, now=lambda: NOON)
    found = [v.matched for v in (reader.look(lines) for _ in range(looks)) if v.matched]
    assert len(found) <= 1
    return found[0] if found else None


def told(rules: Sequence[ScreenRule], lines: Sequence[str]) -> tuple[str, str]:
    match = still(rules, lines)
    return (match.rule.phase, match.rule.name) if match else ("none", "")


def test_every_built_in_program_was_recorded() -> None:
    with_rules = {p.name for p in builtin_profiles().values() if p.screens or p.name == "shell"}
    assert {each.profile for each in RECORDINGS.values()} == with_rules
    seen = {(each.profile, each.rule) for each in RECORDINGS.values()}
    unseen = {(p.name, r.name) for p in builtin_profiles().values() for r in p.screens} - seen
    assert unseen <= {
        ("claude", "busy-footer"), ("claude", "api-key"),
        ("codex", "login"), ("gemini", "login"), ("qwen", "too-many"),
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_a_recording_is_read_as_what_it_is(name: str) -> None:
    screen = RECORDINGS[name]
    assert told(screen.rules, screen.lines) == (screen.phase, screen.rule)


@pytest.mark.parametrize("name", sorted(n for n, each in RECORDINGS.items() if each.own))
def test_prose_above_changes_nothing(name: str) -> None:
    """Whatever dialog an agent quotes, or a file shown by `cat` holds: only the program's own lines count."""
    screen = RECORDINGS[name]
    for dialog in DIALOGS:
        above = [f"  {line}" for line in dialog.lines]
        assert told(screen.rules, [*above, "", *screen.lines[-screen.own :]]) == (screen.phase, screen.rule)


@pytest.mark.parametrize("name", sorted(n for n, each in RECORDINGS.items() if each.profile == "shell"))
@pytest.mark.parametrize("profile", sorted(set(BUILTIN) - {"aider"}))
def test_no_agent_sees_itself_in_another_program(name: str, profile: str) -> None:
    assert still(builtin_profiles()[profile].screens, RECORDINGS[name].lines) is None


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_hands_stay_off_exactly_where_a_person_is_asked(name: str) -> None:
    screen = RECORDINGS[name]
    assert bool(asks(screen.rules, screen.lines)) == (screen.phase == "waiting")


def test_an_answer_that_streams_in_is_no_rest() -> None:
    screen = RECORDINGS["codex/streaming"]
    reader = ScreenReader(screen.rules)
    for count in range(20):
        lines = list(screen.lines)
        lines[10] = "  words that come" + " in" * count
        assert reader.look(lines) == Verdict(again=True)


def rule(name: str, phase: ScreenPhase, pattern: str, **more: object) -> ScreenRule:
    return ScreenRule.model_validate({"name": name, "phase": phase, "pattern": pattern, **more})


ASK = rule("ask", "waiting", r"Proceed\?", lines=6)
BUSY = rule("busy", "busy", r"esc to stop", lines=6)
REST = rule("rest", "idle", r"^> ?$", lines=6)


def names(reader: ScreenReader, looks: Sequence[Sequence[str]]) -> list[str]:
    verdicts = [reader.look(lines) for lines in looks]
    return [v.matched.rule.name if v.matched else "cleared" if v.cleared else "" for v in verdicts]


def test_busy_goes_before_whatever_else_is_shown() -> None:
    screen = ["Proceed?", "esc to stop", ">"]
    assert names(ScreenReader((REST, ASK, BUSY)), [screen, screen]) == ["", "busy"]
    assert names(ScreenReader((REST, ASK)), [screen, screen]) == ["", "ask"]


def test_words_that_move_on_are_no_dialog() -> None:
    """It prints the question again and again, or scrolls it away: never the same in two looks."""
    lines = [f"line {n} of a story {'abcdefghij'[n]}" for n in range(10)]
    looks = [[*lines[:n], "Proceed?", *lines[:n]] for n in range(6)]
    assert names(ScreenReader((ASK,)), looks) == [""] * 6


def test_a_dialog_with_a_clock_and_a_spinner_is_one_dialog() -> None:
    looks = [["⠋ Proceed? (59s left)", "x"], ["⠙ Proceed? (58s left)", "x"]]
    assert names(ScreenReader((ASK,)), looks) == ["", "ask"]


def test_what_was_told_stands_until_it_is_seen_gone_twice() -> None:
    looks = [["Proceed?"], ["Proceed?"], ["x"], ["Proceed?"], ["x"], ["x"], ["x"]]
    assert names(ScreenReader((ASK,)), looks) == ["", "ask", "", "", "", "cleared", ""]


def test_rest_must_be_seen_for_longer() -> None:
    assert names(ScreenReader((REST,)), [["hm", ">"]] * 5) == ["", "", "", "rest", ""]


ERROR = rule("broken", "error", r"^■ (?P<said>API Error: \d+)", cause="api_error", lines=6)


def test_an_error_must_stand_on_a_screen_that_does_not_move() -> None:
    screen = ["some prose", "■ API Error: 500 (5s)", ">"]
    assert names(ScreenReader((ERROR, REST)), [screen] * 9) == [""] * 7 + ["broken", ""]
    moving = [[f"some prose about {'abcdefghij'[n]}", *screen[1:]] for n in range(10)]
    assert names(ScreenReader((ERROR,)), moving) == [""] * 10, "it works on, whatever it has printed"
    assert names(ScreenReader((ERROR, BUSY)), [[*screen, "esc to stop"]] * 9)[1] == "busy"


def test_the_words_of_an_error_are_kept_and_inert() -> None:
    match = still((ERROR,), ["■ API Error: 500 \x1b[31m"])
    assert match is not None
    assert match.line == "API Error: 500"
    whole = rule("broken", "error", "Error", cause="api_error")
    match = still((whole,), ["x", "  an Error: token=abcdefghijkl \x1b[31mred\x07  "])
    assert match is not None
    assert match.line == "an Error: token=[secret removed] red"


def test_only_what_stands_below_the_input_line_is_a_dialog() -> None:
    below = rule("ask", "waiting", r"Proceed\?", below=r"^>", lines=6)
    assert told((below,), ["Proceed?", "> typed", "footer"]) == ("none", "")
    assert told((below,), ["> typed", "Proceed?", "footer"]) == ("waiting", "ask")
    assert told((below,), ["Proceed?"]) == ("waiting", "ask")
    assert asks((below,), ["Proceed?", ">", "", ""]) == ""


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("codex/usage-limit", 4 * 3600 + 39 * 60),
        ("claude/session-limit", 15 * 3600 + 20 * 60),
        ("gemini/usage-limit", 4 * 3600),
        ("opencode/retrying", 2),
    ],
)
def test_when_a_limit_ends_is_read_from_the_screen(name: str, seconds: float) -> None:
    screen = RECORDINGS[name]
    match = still(screen.rules, screen.lines)
    assert match is not None
    assert match.resets == seconds


def test_no_words_of_a_limit_no_end_of_it() -> None:
    limit = rule("limit", "limited", "limit", resets=r"again (\w+)(?: (\w+))?")
    for text in ("limit", "limit, again soon", "limit, again 3pm Mars"):
        match = still((limit,), [text])
        assert match is not None
        assert match.resets is None
