"""What an agent inherits: what every program needs, what its profile names, and no other CLI's variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from hhmrs.config.environment import EVERYBODY, missed, passed
from hhmrs.config.fleet import Profile
from hhmrs.config.loading import ConfigError, load_fleet
from hhmrs.config.profiles import BUILTIN, builtin_profiles

SYSTEM = {"PATH": "/bin", "HOME": "/h", "LC_TIME": "C", "XDG_RUNTIME_DIR": "/run", "HTTPS_PROXY": "p"}
OWN = {
    "claude": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_USE_BEDROCK"),
    "codex": ("OPENAI_API_KEY", "CODEX_HOME", "CODEX_API_KEY"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_CLOUD_PROJECT"),
    "qwen": ("QWEN_HOME", "DASHSCOPE_API_KEY", "OPENAI_BASE_URL"),
    "opencode": ("OPENCODE_CONFIG", "DEEPSEEK_API_KEY"),
    "copilot": ("COPILOT_HOME", "COPILOT_PROVIDER_API_KEY", "GH_TOKEN"),
    "aider": ("AIDER_MODEL", "OPENAI_API_BASE", "OLLAMA_API_BASE"),
    "goose": ("GOOSE_PROVIDER", "GOOSE_MODE", "OLLAMA_HOST"),
    "crush": ("CRUSH_GLOBAL_CONFIG", "GROQ_API_KEY"),
    "cursor": ("CURSOR_API_KEY",),
    "amp": ("AMP_API_KEY", "AMP_URL"),
}
STATE = ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "OPENCODE_CONFIG", "AIDER_MODEL", "CURSOR_API_KEY", "AMP_URL",
         "GOOSE_MODE", "CRUSH_GLOBAL_CONFIG", "GH_TOKEN", "DATABASE_URL", "HHMRS_TASK")  # fmt: skip
"""Variables of one program, and of nobody else."""


def test_every_built_in_cli_is_looked_at() -> None:
    assert {*OWN, "shell"} == set(BUILTIN)


@pytest.mark.parametrize("name", OWN)
def test_a_cli_gets_what_is_its_own_and_no_other_ones_state(name: str) -> None:
    environ = SYSTEM | dict.fromkeys([*OWN[name], *STATE], "x")
    kept = passed(builtin_profiles()[name], environ)
    assert SYSTEM.items() <= kept.items()
    assert set(OWN[name]) <= kept.keys()
    assert not (set(STATE) - set(OWN[name])) & kept.keys()


@pytest.mark.parametrize("name", sorted(set(BUILTIN) - {"shell"}))
def test_no_built_in_cli_gets_all(name: str) -> None:
    profile = builtin_profiles()[name]
    assert passed(profile, {"SOMEBODYS_SECRET": "x", "PATH": "/bin"}) == {"PATH": "/bin"}
    assert "*" not in (profile.pass_env or ("*",))


def test_keys_of_one_provider_are_not_told_to_the_cli_of_another() -> None:
    both = {"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "o"}
    assert passed(builtin_profiles()["claude"], both) == {"ANTHROPIC_API_KEY": "a"}
    assert passed(builtin_profiles()["codex"], both) == {"OPENAI_API_KEY": "o"}


def test_a_program_of_ones_own_inherits_everything_unless_it_chooses() -> None:
    environ = SYSTEM | {"MY_THING": "1", "OTHER": "2"}
    assert passed(builtin_profiles()["shell"], environ) == environ
    assert passed(Profile(name="p", pass_env=("MY_*",)), environ) == SYSTEM | {"MY_THING": "1"}
    assert passed(Profile(name="p", pass_env=()), environ) == SYSTEM


def test_a_star_opens_all_and_what_is_unset_stays_unset() -> None:
    opened = Profile(name="p", pass_env=("*",), unset_env=("OUT*",))
    assert passed(opened, {"ANY": "1", "OUTER": "2"}) == {"ANY": "1"}
    assert passed(Profile(name="p", pass_env=("*_KEY",)), {"A_KEY": "1", "A_KEY_B": "2"}) == {"A_KEY": "1"}


def test_nothing_that_everybody_gets_is_a_key() -> None:
    assert not [
        name for name in EVERYBODY if any(word in name for word in ("TOKEN", "KEY", "SECRET", "PASS"))
    ]


def test_what_looks_like_its_own_and_is_not_passed_is_named() -> None:
    codex = builtin_profiles()["codex"]
    environ = {
        "CODEX_HOME": "1",
        "MISTRAL_API_KEY": "secret",
        "GH_TOKEN": "secret",
        "PATH": "/bin",
        "X": "1",
        "B_TOKEN": "",
    }
    assert missed(codex, environ) == ["GH_TOKEN", "MISTRAL_API_KEY"]
    assert missed(codex, environ, ["MISTRAL_API_KEY"]) == ["GH_TOKEN"]
    assert missed(builtin_profiles()["claude"], {"CLAUDECODE": "1", "CLAUDE_CODE_ENTRYPOINT": "x"}) == []
    assert missed(Profile(name="my-cli", pass_env=()), {"MY_CLI_HOME": "x"}) == ["MY_CLI_HOME"]
    assert missed(builtin_profiles()["shell"], environ) == []


@pytest.mark.parametrize("wrong", ["A*B", "**", "", "A-B", "A=B", "=*"])
def test_what_names_no_variable_is_refused_with_its_place(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "hhmrs.yaml"
    text = f"fleet: f\nagents: {{a: {{command: [x]}}}}\nprofiles:\n  p: {{pass_env: ['{wrong}']}}\n"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"4:\d+: profiles\.p\.pass_env.*no name of an environment variable"
    ):
        load_fleet(path)
