"""What the words on the command line mean, and how a wrong one is refused."""

from __future__ import annotations

import pytest

from hhmrs.tui.commands.parsing import parse
from hhmrs.tui.commands.refusal import USAGE, Refusal


def refused(*words: str) -> str:
    with pytest.raises(Refusal) as no:
        parse(list(words))
    assert no.value.code == USAGE
    return "\n".join(no.value.lines)


@pytest.mark.parametrize(
    "words",
    [
        ["--config", "x.yaml", "--fleet", "f", "status", "--json"],
        ["status", "--config", "x.yaml", "--json", "--fleet", "f"],
        ["--config=x.yaml", "status", "--fleet=f", "--json"],
    ],
)
def test_config_and_fleet_stand_before_or_after_the_command(words: list[str]) -> None:
    call = parse(words)
    assert (call.command.name, call.get("config"), call.get("fleet"), call.json) == (
        "status",
        "x.yaml",
        "f",
        True,
    )


def test_what_stands_after_the_command_wins() -> None:
    assert parse(["--config", "a", "status", "--config", "b"]).get("config") == "b"


def test_no_command_opens_the_screen() -> None:
    assert parse([]).command.name == ""
    assert parse(["--fleet", "f"]).command.name == ""


def test_daemon_version_and_help_are_commands() -> None:
    assert parse(["--config", "x", "--daemon"]).command.name == "--daemon"
    assert parse(["--daemon", "--config", "x"]).get("config") == "x"
    assert parse(["--version"]).command.name == "--version"
    assert parse(["-h"]).command.name == "--help"


def test_an_unknown_command_names_the_nearest() -> None:
    assert "did you mean" in refused("stauts")
    assert "status" in refused("stauts")
    assert "did you mean" not in refused("zzzzzz")
    assert "--daemon" in refused("--deamon")


def test_an_unknown_command_is_shown_inert() -> None:
    said = refused("\x1b[31mred\u202e")
    assert said.isprintable() or "\n" in said
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_a_letter_must_come_first() -> None:
    assert "first word" in refused("--config", "x", "beat")


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (["events", "--since", "-1"], "--since"),
        (["events", "--since", "x"], "--since"),
        (["pause"], "AGENT"),
        (["pause", "a", "b"], "b"),
        (["pause", "a", "--timeout", "0"], "--timeout"),
        (["pause", "a", "--timeout", "nan"], "--timeout"),
        (["pause", "a", "--timeout", "inf"], "--timeout"),
        (["status", "--jso"], "--jso"),
        (["up", "--json"], "--json"),
        (["--config"], "--config"),
        (["heal"], "--check-now or --start-daemon"),
        (["heal", "--check-now", "--start-daemon"], "--check-now or --start-daemon"),
    ],
)
def test_wrong_options_are_named(words: list[str], about: str) -> None:
    assert about in refused(*words)


def test_text_may_be_many_words_or_begin_with_a_dash() -> None:
    assert parse(["send", "a", "go", "on", "--answer"]).get("text") == ["go", "on"]
    assert parse(["send", "a", "--", "-v is wrong"]).get("text") == ["-v is wrong"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("1.5", 1.5), ("2m", 120.0), ("500ms", 0.5), ("1h", 3600.0), ("3s", 3.0)]
)
def test_seconds_may_carry_a_unit(text: str, seconds: float) -> None:
    assert parse(["pause", "a", "--timeout", text]).get("timeout") == seconds
