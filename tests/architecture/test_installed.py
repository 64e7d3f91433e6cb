"""The wheel, installed, started from places that are not our clone."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # pytest gives the fixture; only the checkers need its name
    from hhmrs.tests.architecture.conftest import Installed


def test_both_names_and_the_module_are_one_program(installed: Installed, tmp_path: Path) -> None:
    long_name = installed.command.with_name("hhmrs-tui")
    answers = {
        installed.run(tmp_path, *start, "--version").stdout
        for start in ([installed.command], [long_name], [installed.python, "-m", "hhmrs"])
    }

    assert len(answers) == 1
    assert "0.1.0" in answers.pop()


def test_a_project_with_folders_of_our_names_does_no_harm(installed: Installed, tmp_path: Path) -> None:
    """People start the command inside their own projects, with PYTHONPATH=. and their own `config`."""
    for name in ("config", "controller", "healing", "tui"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package was imported')\n")
    fleet = 'fleet: nightly\nagents:\n  worker: {profile: shell, command: ["true"]}\n'
    (tmp_path / "hhmrs.yaml").write_text(fleet)
    state = {"PYTHONPATH": ".", "HHMRS_STATE_DIR": str(tmp_path / "state")}

    version = installed.run(tmp_path, "--version", **state)
    check = installed.run(tmp_path, "check", **state)
    status = installed.run(tmp_path, "status", "--json", **state)

    codes = (version.returncode, check.returncode, status.returncode)
    assert codes == (0, 0, 3), version.stderr + check.stderr + status.stderr
    assert json.loads(status.stdout)["fleet"] == "nightly"


def test_it_runs_without_home_and_without_utf8(installed: Installed, tmp_path: Path) -> None:
    ran = replace(installed, empty={"PATH": installed.empty["PATH"], "LANG": "C"}).run(tmp_path, "--help")

    assert ran.returncode == 0, ran.stderr
    assert "status" in ran.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_of_the_wheel_recovers_its_fleet(installed: Installed, tmp_path: Path) -> None:
    """The whole product in an empty environment: scripted agents fail in a real tmux and are brought back."""
    # A socket's path may be about 100 characters long, a test's own folder is longer.
    sockets = Path(tempfile.mkdtemp(prefix="hhmrs-demo-", dir="/tmp"))
    private = {"HHMRS_STATE_DIR": str(tmp_path / "state"), "TMUX_TMPDIR": str(sockets)}

    ran = installed.run(tmp_path, "demo", "--headless", "--json", **private)

    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    assert json.loads(ran.stdout)
    left = [socket.name for socket in sockets.rglob("*") if answers(socket)]
    assert left == [], "the demo left its tmux servers running"
    shutil.rmtree(sockets)


def answers(socket: Path) -> bool:
    listed = subprocess.run(["tmux", "-S", socket, "list-sessions"], capture_output=True, check=False)
    return listed.returncode == 0
