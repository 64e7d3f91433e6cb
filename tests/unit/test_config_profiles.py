from __future__ import annotations

import re

import pytest

from hhmrs.config.fleet import Profile, Seat
from hhmrs.config.profiles import (
    BUILTIN,
    LaunchError,
    builtin_profiles,
    can_resume,
    launch_argv,
    launch_env,
    types_prompt,
)

UNSEEN_READY = ("cursor", "amp")
"""Nothing that is written of them says what they show when they are ready."""
LIFE = ("beat", "output", "file", "transcript", "cpu")


def seat(name: str, model: str | None = None, command: tuple[str, ...] = ()) -> Seat:
    return Seat(profile=builtin_profiles()[name], model=model, command=command)


@pytest.mark.parametrize("name", BUILTIN)
def test_built_in_profiles_are_whole(name: str) -> None:
    profile = builtin_profiles()[name]
    assert profile.name == name
    assert profile.liveness == LIFE
    for rule in profile.screens:
        re.compile(rule.pattern)
    if name == "shell":
        assert (profile.command, profile.ready, profile.screens) == ((), None, ())
    else:
        assert profile.command
        assert profile.ready or name in UNSEEN_READY
        assert profile.autonomy_args or name == "goose", "which has a setting instead"
        assert profile.prompt_args or profile.type_prompt == "always"
        assert profile.pass_env, "another CLI's variables are none of its business"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude", ["claude", "--model", "m", "--session-id", "s-1", "go"]),
        ("codex", ["codex", "--no-daemon", "-m", "m", "go"]),
        ("gemini", ["gemini", "-m", "m", "--session-id", "s-1", "-i", "go"]),
        ("opencode", ["opencode", "-m", "m", "--prompt", "go"]),
        ("goose", ["goose", "run", "--model", "m", "-n", "s-1", "-s", "-t", "go"]),
        ("crush", ["crush"]),
        ("cursor", ["cursor-agent", "--model", "m", "go"]),
        ("amp", ["amp"]),
    ],
)
def test_a_start_runs_under_a_session_of_ours_where_there_is_one(name: str, expected: list[str]) -> None:
    assert launch_argv(seat(name, "m"), prompt="go", session="s-1", resume=False) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude", ["claude", "--resume", "s-1", "go"]),
        ("codex", ["codex", "--no-daemon", "resume", "s-1", "go"]),
        ("gemini", ["gemini", "--resume", "s-1", "-i", "go"]),
        ("opencode", ["opencode", "-s", "s-1"]),
        ("goose", ["goose", "run", "-r", "-n", "s-1", "-s", "-t", "go"]),
        ("crush", ["crush", "-C"]),
        ("cursor", ["cursor-agent", "--resume", "s-1", "go"]),
        ("amp", ["amp", "threads", "continue", "s-1"]),
    ],
)
def test_a_resume_brings_the_session_back(name: str, expected: list[str]) -> None:
    assert launch_argv(seat(name), prompt="go", session="s-1", resume=True) == expected


def test_templates_without_a_value_are_left_out_whole() -> None:
    assert launch_argv(seat("claude"), prompt=None, session=None, resume=False) == ["claude"]
    assert launch_argv(seat("gemini"), prompt=None, session="s-1", resume=True) == [
        "gemini",
        "--resume",
        "s-1",
    ]


def test_a_resume_without_a_session_is_a_start() -> None:
    assert launch_argv(seat("codex"), prompt="go", session=None, resume=True) == [
        "codex",
        "--no-daemon",
        "go",
    ]


def test_what_can_be_resumed() -> None:
    assert can_resume(seat("claude"), "s-1")
    assert not can_resume(seat("claude"), None)
    assert not can_resume(seat("claude"), "--evil")
    assert can_resume(seat("aider"), None)
    assert not can_resume(seat("shell", command=("x",)), "s-1")


def test_who_must_be_typed_to() -> None:
    assert [types_prompt(seat(name), resume=False) for name in ("aider", "opencode", "shell")] == [
        True,
        False,
        False,
    ]
    assert [types_prompt(seat(name), resume=True) for name in ("aider", "opencode", "claude")] == [
        True,
        True,
        False,
    ]


def test_the_agents_own_command_replaces_the_profiles() -> None:
    argv = launch_argv(seat("claude", command=("wrap", "claude")), prompt="go", session=None, resume=False)
    assert argv == ["wrap", "claude", "go"]


def test_a_seat_without_a_command_says_what_to_do() -> None:
    with pytest.raises(LaunchError, match=r"profile shell has no command; give the agent one"):
        launch_argv(seat("shell"), prompt=None, session=None, resume=False)


@pytest.mark.parametrize(
    "session", ["--dangerously-skip-permissions", "-x", "a b", "a\nb", "", "x" * 300, "$(id)"]
)
def test_a_session_id_that_is_not_plain_is_none(session: str) -> None:
    assert launch_argv(seat("claude"), prompt=None, session=session, resume=True) == ["claude"]


def test_a_prompt_is_never_an_option_and_is_not_filled_in_again() -> None:
    argv = launch_argv(seat("claude"), prompt="--help {session}\0", session="s-1", resume=False)
    assert argv[-1] == " --help {session}"


def env_seat(env: dict[str, str], unset: tuple[str, ...] = ()) -> Seat:
    return Seat(
        profile=Profile(name="p", command=("x",), env={"A": "profile", "B": "$$5"}, unset_env=unset), env=env
    )


def test_the_environment_is_resolved_at_launch_and_laid_over_the_daemons() -> None:
    env = launch_env(env_seat({"A": "${KEY}-${KEY}", "C": "$HOME ${KEY}"}), {"KEY": "k", "PATH": "/bin"})
    assert env == {"PATH": "/bin", "KEY": "k", "A": "k-k", "B": "$5", "C": "$HOME k"}


def test_what_the_environment_holds_is_not_resolved_again() -> None:
    assert launch_env(env_seat({"A": "${KEY}"}), {"KEY": "${PATH}"})["A"] == "${PATH}"


def test_unset_variables_are_left_out_also_by_their_beginning() -> None:
    env = launch_env(env_seat({}, ("OUTER", "CLAUDE_*")), {"OUTER": "1", "CLAUDE_X": "1", "CLAUDE": "1"})
    assert set(env) == {"CLAUDE", "A", "B"}


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(LaunchError, match=r"C of p needs \$\{TOKEN\}, but that is not set; export TOKEN"):
        launch_env(env_seat({"C": "${TOKEN}"}), {})


@pytest.mark.parametrize(
    ("name", "rule", "screen"),
    [
        ("claude", "permission", "Do you want to proceed?\n  1. Yes\n  2. No"),
        ("claude", "usage-limit", "  You've hit your session limit · resets 4:20am (Europe/Warsaw)"),
        ("claude", "login", "Invalid API key · Please run /login"),
        ("codex", "permission", "Would you like to run the following command?\n› 1. Yes, proceed (y)"),
        ("codex", "usage-limit", "■ You’ve hit your usage limit. Upgrade to Pro or try again at 8:03 AM."),
        ("gemini", "permission", "Apply this change?\n● 1. Allow once"),
        ("gemini", "usage-limit", "Usage limit reached for gemini-2.5-pro.\nAccess resets at 4 PM."),
        ("opencode", "permission", "△ Permission required\n\n Allow once   Allow always   Reject"),
        ("opencode", "retrying", "[retrying in 4s attempt #1]"),
        ("aider", "question", "Open URL for more info? (Y)es/(N)o/(D)on't ask again [Yes]:"),
    ],
)
def test_screen_rules_know_their_screens(name: str, rule: str, screen: str) -> None:
    rules = {each.name: each for each in builtin_profiles()[name].screens}
    matching = [each for each in rules if re.search(rules[each].pattern, screen, re.MULTILINE)]
    assert matching == [rule]


@pytest.mark.parametrize("mark", ["⎿", ">", "│", "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"])
def test_quoted_words_are_no_limit(mark: str) -> None:
    screen = f"  {mark} You've hit your session limit · resets 4:20am (Europe/Warsaw)"
    assert not any(re.search(rule.pattern, screen) for rule in builtin_profiles()["claude"].screens)


def test_the_seconds_of_a_limit_can_be_read() -> None:
    rule = next(rule for rule in builtin_profiles()["opencode"].screens if rule.resets)
    found = re.search(rule.resets or "", "[retrying in 17s attempt #3]")
    assert found
    assert found[1] == "17s"
