"""`check` looks ahead: variables that reach nobody, and what a task that asks for a pull request needs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hhmrs.config.loading import load_fleet
from hhmrs.controller.reports.foresight import ASKED, foresight

TASK = "fix the parser and open a pull request"


def seen(tmp_path: Path, agents: str, environ: dict[str, str], profiles: str = "{}") -> list[str]:
    (tmp_path / "hhmrs.yaml").write_text(
        f"fleet: f\nprofiles: {profiles}\nagents:\n{agents}\n", encoding="utf-8"
    )
    return foresight(load_fleet(tmp_path / "hhmrs.yaml"), {"HOME": str(tmp_path / "home"), **environ})


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The agent's folder: a repository with a remote, on a branch of its own."""
    source, folder = tmp_path / "source", tmp_path / "w"
    for each in (source, folder):
        each.mkdir()
        git(each, "init", "-q")
    git(source, "commit", "-q", "--allow-empty", "-m", "first")
    git(folder, "remote", "add", "origin", str(source))
    git(folder, "-c", "protocol.file.allow=always", "fetch", "-q")
    git(folder, "checkout", "-q", "-b", "work", "origin/main")
    return folder


def test_a_variable_that_reaches_nobody_is_named_and_its_value_is_not(tmp_path: Path) -> None:
    (told,) = seen(tmp_path, "  a: {profile: codex}", {"MISTRAL_API_KEY": "sk-secret", "CODEX_HOME": "/c"})
    assert told.startswith("a: MISTRAL_API_KEY is set here and not passed to codex; ")
    assert "sk-secret" not in told


def test_many_are_cut_short(tmp_path: Path) -> None:
    (told,) = seen(tmp_path, "  a: {profile: codex}", {f"N{n:02d}_TOKEN": "x" for n in range(20)})
    assert "N07_TOKEN and 12 more are set here" in told


@pytest.mark.parametrize(
    ("agents", "profiles"),
    [
        ("  a: {profile: codex, env: {M_TOKEN: '${M_TOKEN}'}}", "{}"),
        ("  a: {profile: codex, env: {KEY: 'Bearer ${M_TOKEN}'}}", "{}"),
        ("  a: {profile: codex}", "{codex: {pass_env: [M_TOKEN]}}"),
        ("  a: {profile: codex}", "{codex: {pass_env: ['*']}}"),
        ("  a: {profile: codex}\n  b: {profile: mine}", "{mine: {like: claude, pass_env: ['M_*']}}"),
        ("  a: {command: [x]}", "{}"),
    ],
)
def test_what_was_given_to_somebody_needs_no_word(tmp_path: Path, agents: str, profiles: str) -> None:
    assert seen(tmp_path, agents, {"M_TOKEN": "x"}, profiles) == []


def test_a_sound_repository_with_a_token_needs_no_word(tmp_path: Path, repository: Path) -> None:
    agents = f"  a: {{profile: copilot, workspace: {repository.name}, prompt: '{TASK}'}}"
    assert seen(tmp_path, agents, {"GH_TOKEN": "x"}) == []


def test_no_repository_no_remote_no_branch_of_its_own(tmp_path: Path, repository: Path) -> None:
    def told(folder: str) -> list[str]:
        agents = f"  a: {{command: [x], workspace: {folder}, prompt: '{TASK}'}}"
        return [line.partition(", but ")[2] for line in seen(tmp_path, agents, {"GH_TOKEN": "x"})]

    assert told("missing") == ["its workspace is no git repository yet"]
    git(repository, "checkout", "-q", "-b", "main", "origin/main")
    assert told("w") == ["its workspace stands on main, the default branch; give it a branch of its own"]
    git(repository, "remote", "set-head", "origin", "--auto")
    git(repository, "checkout", "-q", "-b", "master")
    assert told("w") == [], "the remote says which the default is"
    git(repository, "remote", "remove", "origin")
    assert told("w") == ["its workspace has no git remote to push to"]


def test_a_token_must_reach_the_agent(tmp_path: Path, repository: Path) -> None:
    def told(profile: str, environ: dict[str, str]) -> list[str]:
        agents = f"  a: {{profile: {profile}, workspace: {repository.name}, prompt: '{TASK}'}}"
        lines = seen(tmp_path, agents, environ)
        assert not any("value-of-it" in line for line in lines)
        return [line.partition(", but ")[2] for line in lines if "pull request" in line]

    assert told("codex", {}) == [
        "no token for it is in the environment (GH_TOKEN, GITHUB_TOKEN, GITLAB_TOKEN...)"
    ]
    assert told("codex", {"GH_TOKEN": "value-of-it"}) == [
        "GH_TOKEN, which is set here, is not passed to codex; name it in `pass_env`"
    ]
    assert told("copilot", {"GH_TOKEN": "value-of-it"}) == []
    assert told("copilot", {"GH_TOKEN": ""}) != [], "an empty one is none"
    (tmp_path / "home/.config/gh").mkdir(parents=True)
    (tmp_path / "home/.config/gh/hosts.yml").touch()
    assert told("codex", {}) == [], "gh is logged in by itself"


@pytest.mark.parametrize(
    "text", ["open a pull request", "Pull-requests welcome", "make a PR", "run gh pr create"]
)
def test_tasks_that_ask_for_one(text: str) -> None:
    assert ASKED.search(text)


@pytest.mark.parametrize("text", ["print the PRIMES", "express it", "pull the requests from the queue"])
def test_tasks_that_do_not(text: str) -> None:
    assert not ASKED.search(text)


def test_a_task_without_it_is_not_looked_into(tmp_path: Path) -> None:
    assert seen(tmp_path, "  a: {command: [x], workspace: nowhere, prompt: 'fix the parser'}", {}) == []


def test_the_repository_of_an_agent_starts_nothing(tmp_path: Path, repository: Path) -> None:
    """Its configuration is hostile."""
    git(repository, "config", "core.fsmonitor", f"touch {tmp_path}/owned")
    git(repository, "config", "alias.remote", f"!touch {tmp_path}/owned")
    assert seen(tmp_path, f"  a: {{command: [x], workspace: w, prompt: '{TASK}'}}", {"GH_TOKEN": "x"}) == []
    assert not (tmp_path / "owned").exists()
