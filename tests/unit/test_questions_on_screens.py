"""What a waiting agent asks, as its letter and its screen say it, and what exactly an answer types."""

from __future__ import annotations

from hhmrs.controller.ports import Event
from hhmrs.tui.questions import SHOWN, bottom, open_letter, question, typed

MENU = [
    "\x1b[1mBash command\x1b[0m",
    "  rm -rf build",
    " Do you want to proceed?",
    " ❯ 1. Yes",
    "   2. Yes, and don't ask again",
    "   3. No, and tell Claude what to do differently (esc)",
    "",
    " Esc to cancel",
    "",
]


def event(seq: int, kind: str, agent: str = "a", **data: object) -> Event:
    return Event(seq, "2026-11-21T10:00:00.000Z", kind, agent, None, None, dict(data))


def test_a_menu_is_answered_by_its_key_without_an_enter() -> None:
    asked = question(MENU)
    assert [reply.label for reply in asked.replies] == [
        "1. Yes",
        "2. Yes, and don't ask again",
        "3. No, and tell Claude what to do differently (esc)",
        "esc: leave it without an answer",
    ]
    assert dict(asked.replies[1].args) == {"text": "2", "answer": "1", "key": "1"}
    assert asked.replies[1].does == "presses the key 2, and no Enter"
    assert asked.lines[0] == "Bash command"


def test_a_numbered_list_that_points_at_nothing_is_a_line_that_is_read() -> None:
    asked = question(["1) name", "2) size", "your choice:"])
    assert [dict(reply.args) for reply in asked.replies] == [
        {"text": "1", "answer": "1"},
        {"text": "2", "answer": "1"},
    ]
    assert asked.replies[0].does == "types '1', then Enter"


def test_the_options_of_a_line_and_the_ones_of_a_letter() -> None:
    assert [r.text for r in question(["go on? (y/N) "]).replies] == ["y", "N"]
    assert [r.text for r in question(["sorted by? [name, size]"]).replies] == ["name", "size"]
    assert question(["it took 3 (of 9) steps", "1. only one"]).replies == ()
    letter = event(1, "agent_asked", question="Which \x1b[31mway\x1b[0m?", options=["left", " ", "right"])
    asked = question(MENU, letter)
    assert (asked.asked, [r.text for r in asked.replies]) == ("Which way?", ["left", "right"])


def test_a_letter_counts_until_it_was_answered_or_another_attempt_began() -> None:
    first, second = event(1, "agent_asked", question="one"), event(5, "agent_asked", question="two")
    assert open_letter([first], "a") is first
    assert open_letter([first], "b") is None
    gone_on = event(2, "agent_phase", **{"from": "waiting", "to": "working"})
    assert open_letter([first, gone_on], "a") is None
    assert open_letter([first, event(3, "agent_started")], "a") is None
    assert (
        open_letter(
            [first, gone_on, second, event(6, "agent_phase", **{"from": "working", "to": "waiting"})], "a"
        )
        is second
    )


def test_what_ticks_is_the_same_question_and_what_is_asked_anew_is_not() -> None:
    first = question([*MENU[:-1], " waiting 12s"])
    assert first.fingerprint == question([*MENU[:-1], " waiting 13s"]).fingerprint
    other = [line.replace("rm -rf build", "rm -rf src") for line in MENU]
    assert question(MENU).fingerprint != question(other).fingerprint


def test_hostile_lines_are_inert_and_few() -> None:
    lines = bottom([*(f"line {n}" for n in range(100)), "\x1b]52;c;eA==\x07[red]x[/] \u202eevil", "", ""])
    assert len(lines) == SHOWN
    assert lines[-1] == "[red]x[/] evil"


def test_words_of_ones_own() -> None:
    assert typed("  ", key=False) == "there is nothing to type"
    assert "not one key" in str(typed("no", key=True))
    reply = typed("use uv", key=False)
    assert not isinstance(reply, str)
    assert dict(reply.args) == {"text": "use uv", "answer": "1"}
