"""The scripts that a fresh machine meets first."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = ("script/setup", "script/demo", "script/test", "script/format", "script/lock")
# What a bare system has before anything is installed.
BARE = (
    "sh",
    "cat",
    "cksum",
    "dirname",
    "env",
    "grep",
    "head",
    "id",
    "mkdir",
    "mv",
    "printf",
    "rm",
    "sed",
    "tr",
)


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_strict_posix_shell(root: Path, script: str) -> None:
    text = (root / script).read_text()

    assert text.startswith("#!/bin/sh\n")
    assert re.search(r"^set -eu$", text, re.MULTILINE)
    assert os.access(root / script, os.X_OK)
    shell = shutil.which("dash") or "sh"
    subprocess.run([shell, "-n", root / script], check=True)


def test_ci_runs_the_same_gates_as_every_desk(root: Path) -> None:
    text = (root / ".ci" / "run").read_text()
    commands = [line for line in text.splitlines() if line and not line.startswith(("#", "set ", "cd "))]

    assert commands == ["exec script/test"]
    assert os.access(root / ".ci" / "run", os.X_OK)


@pytest.fixture
def bare(tmp_path: Path, root: Path) -> Path:
    """A folder for PATH with plain tools only; beside it a clone without .venv, its name with a space."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in BARE:
        found = shutil.which(name)
        if found:
            (tools / name).symlink_to(found)
    clone = tmp_path / "my clone"
    (clone / "script").mkdir(parents=True)
    shutil.copy(root / "script" / "setup", clone / "script")
    return tools


def set_up(bare: Path, *words: str, home: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(bare), **({"HOME": str(bare.parent)} if home else {})}
    return subprocess.run(
        [bare / "sh", bare.parent / "my clone" / "script" / "setup", *words],
        cwd="/",
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def add(tools: Path, name: str, body: str) -> None:
    (tools / name).unlink(missing_ok=True)  # written through the link it would replace the machine's own
    (tools / name).write_text(f"#!/bin/sh\n{body}\n")
    (tools / name).chmod(0o755)


def test_without_a_package_manager_it_says_what_to_install(bare: Path) -> None:
    ran = set_up(bare, "run", home=False)

    assert ran.returncode == 1
    assert ran.stdout == ""
    assert "missing: git" in ran.stderr
    assert "missing: tmux 3.2 or newer" in ran.stderr
    assert "missing: Python 3.11 or newer" in ran.stderr
    assert ran.stderr.splitlines()[-1].endswith("install the above yourself, then run this again")


def test_it_installs_what_is_missing_and_only_that(bare: Path) -> None:
    add(bare, "git", "exit 0")
    add(bare, "id", "echo 0")
    # This apt-get knows a good tmux and no Python at all.
    add(
        bare,
        "apt-get",
        f'echo "$@" >>"{bare}/log"\n'
        'for last in "$@"; do :; done\n'
        f'if [ "$last" = tmux ]; then printf "#!/bin/sh\\necho tmux 3.4\\n" >"{bare}/tmux"; '
        f'env PATH="$PATH:/usr/bin:/bin" chmod 755 "{bare}/tmux"; else exit 100; fi',
    )

    ran = set_up(bare, "dev")

    log = (bare / "log").read_text()
    assert ran.returncode == 1
    assert log.count(" update") == 1
    assert "install -y -qq --no-install-recommends tmux" in log
    assert "python3-venv" in log
    assert " git" not in log
    assert "still missing: Python" in ran.stderr
    assert "still missing: tmux" not in ran.stderr


@pytest.mark.parametrize(
    ("version", "good"),
    [
        ("tmux 3.2", True),
        ("tmux 3.2a", True),
        ("tmux 3.10", True),
        ("tmux next-3.5", True),
        ("tmux 4.0", True),
        ("tmux 3.1c", False),
        ("tmux 2.9", False),
        ("tmux master", False),
    ],
)
def test_it_knows_old_tmux_from_new(bare: Path, version: str, good: bool) -> None:
    add(bare, "tmux", f"echo {version}")

    assert ("missing: tmux" not in set_up(bare, "run").stderr) is good


def test_an_ordinary_user_without_sudo_is_told_so(bare: Path) -> None:
    add(bare, "id", "echo 1000")
    add(bare, "apt-get", f'echo "$@" >>"{bare}/log"')

    ran = set_up(bare, "run")

    assert ran.returncode == 1
    assert "neither root nor sudo" in ran.stderr
    assert not (bare / "log").exists()


def test_a_wrong_word_is_bad_usage(bare: Path) -> None:
    ran = set_up(bare, "everything")

    assert ran.returncode == 2
    assert "usage: script/setup run | dev" in ran.stderr
