"""`hhmrs hooks` as people type it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "alone").mkdir()
    return tmp_path / "alone"


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), "HHMRS_STATE_DIR": str(home.parent / "state")}
    command = [sys.executable, "-P", "-m", "hhmrs", "hooks", *words]
    return subprocess.run(
        command, cwd=home, env=kept, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_difference_is_shown_first_and_nothing_is_written(home: Path) -> None:
    done = run(home, "install", "codex", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "+++ " in done.stdout
    assert '+    "Stop": [' in done.stdout
    assert list(home.iterdir()) == []


def test_install_status_remove_and_remove_again(home: Path) -> None:
    done = run(home, "install", "codex")
    assert done.returncode == 0, done.stderr
    assert "Trust all" in done.stdout, "what is left to a person is said"
    found = json.loads(run(home, "status", "--json").stdout)["hooks"]
    events = {one["profile"]: one["events"] for one in found}
    assert "PermissionRequest" in events["codex"]
    assert events["claude"] == []
    assert "6 hooks" in run(home, "status", "codex").stdout
    removed = json.loads(run(home, "remove", "codex", "--json").stdout)
    assert removed["changed"] is True
    again = run(home, "remove", "codex")
    assert again.returncode == 0
    assert "no hooks of ours" in again.stdout
    assert list(home.iterdir()) == []


def test_what_has_no_hook_system_says_what_to_do_instead(home: Path) -> None:
    done = run(home, "install", "aider")
    assert done.returncode == 0
    assert "--notifications-command" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("install", "codx"), "did you mean 'codex'"),
        (("install", "shell"), "no hook system that is known"),
        (("install",), "which PROFILE"),
        (("explode", "codex"), "install, remove, status"),
    ],
)
def test_wrong_words_are_answered_in_a_line(home: Path, words: tuple[str, ...], said: str) -> None:
    done = run(home, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_with_comments_is_refused_with_its_place(home: Path) -> None:
    (home / ".claude").mkdir()
    settings = home / ".claude" / "settings.json"
    settings.write_text('{\n  // mine\n  "a": 1\n}\n')
    done = run(home, "install", "claude")
    assert done.returncode == 1
    assert f"{settings}:2:3: a comment" in done.stderr
    assert settings.read_text() == '{\n  // mine\n  "a": 1\n}\n'
