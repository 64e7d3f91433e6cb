"""The real agent CLIs, as script/agents installs them, against the scripted model: no key, and no network."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import LocalModel, Profile
from hhmrs.config.profiles import builtin_profiles
from hhmrs.controller.scripted_model.requests import Asked
from hhmrs.controller.scripted_model.server import ScriptedModel

ROOT = Path(__file__).parents[4]
CACHE = Path(os.environ.get("HHMRS_AGENTS_CACHE") or ROOT / ".cache" / "agents")
WANTED = os.environ.get("HHMRS_REAL_AGENTS", "codex qwen").split()
"""script/soak asks for the others as well."""


NOT_YET = {
    ("opencode", "killed"): "its session id is known only by its hooks, which are not installed here",
    ("opencode", "question"): "with this configuration it asks nobody",
    ("opencode", "spinner"): "it says when it tries again, and is limited until then",
    ("aider", "question"): "with whole files it proposes no command",
    ("aider", "spinner"): "it has none without --pretty",
}
"""(agent, word in a test's name) -> why that is not tested; said by name as skipped."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = any(mark.args[0] == "cli" for mark in metafunc.definition.iter_markers("parametrize"))
    if "cli" in metafunc.fixturenames and not chosen:
        metafunc.parametrize("cli", WANTED, indirect=True)


@dataclass(frozen=True)
class Cli:
    """One program, pointed at the scripted model, with a home of its own (that of the test)."""

    name: str
    profile: Profile
    model: ScriptedModel
    home: Path

    def agent(self, prompt: str, workspace: Path, *, free: bool = True) -> dict[str, Any]:
        """As a fleet file has it. `free`: with the flag by which it asks nobody."""
        local = self._local(workspace)
        for name, text in local.files.items():
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        command = [*self.profile.command, *local.args, *(self.profile.autonomy_args[:1] if free else ())]
        env = {"PATH": f"{CACHE / 'bin'}:{os.environ['PATH']}", "TERM": "xterm-256color", **local.env}
        return {
            "profile": self.name, "command": command, "env": env, "workspace": str(workspace),
            "allow_outside": True, "prompt": prompt,
            **({"model": local.model} if local.model else {}),
        }  # fmt: skip

    def _local(self, workspace: Path) -> LocalModel:
        local = self.profile.local_model
        assert local is not None
        where = {"home": str(self.home), "workspace": str(workspace)}
        return local.filled(address=self.model.address, **where)

    def asked(self, wanted: Callable[[Asked], bool], timeout: float = 40.0) -> Asked:
        found = self.model.requests.wait_for(wanted, timeout)
        if found is None:
            told = [(x.status, x.answer, [u[-60:] for u in x.users]) for x in self.model.requests.all()]
            pytest.fail(
                f"{self.name} did not ask so within {timeout:g} s: {json.dumps(told, indent=1)[-4000:]}"
            )
        return found


@pytest.fixture
def cli(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cli]:
    name = request.param
    program = CACHE / "bin" / builtin_profiles()[name].command[0]
    if not os.access(program, os.X_OK):
        pytest.skip(f"{name} is not installed: run script/agents {name}")
    for (agent, word), why in NOT_YET.items():
        if agent == name and f"_{word}_" in request.node.name:
            pytest.skip(f"{name}: {why}")
    with ScriptedModel() as model:
        yield Cli(name, builtin_profiles()[name], model, Path(os.environ["HOME"]))


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a git repository to work in, without a blank in its path: the scripted model would lose it."""

    def make(name: str) -> Path:
        path = tmp_path / "work" / name
        path.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", "-b", "main"], cwd=path, check=True)
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *who, "commit", "-q", "--allow-empty", "-m", "begin"], cwd=path, check=True)
        return path

    return make
