"""A gate counts once it was seen red: each tool, with our settings, on a small tree with one fault in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
ROOMS = ("config", "controller", "healing", "tui", "bench", "tests")
ONE_FILE_EACH = {
    "terminals/tmux": "libtmux",
    "processes/processes": "psutil",
    "workspaces/workspaces": "watchdog.events",
    "ledger/connection": "sqlite3",
}


@pytest.fixture
def small(root: Path, tmp_path: Path) -> Path:
    """A healthy little house with our pyproject.toml: the right rooms, the right doors, nothing in them."""
    for room in ROOMS:
        (tmp_path / room).mkdir()
    for room in ROOMS[:4]:
        (tmp_path / room / "__init__.py").touch()
    for ground in (root / "controller").glob("*.py"):
        (tmp_path / "controller" / ground.name).touch()
    for package in (root / "controller").glob("*/__init__.py"):
        (tmp_path / "controller" / package.parent.name).mkdir()
        (tmp_path / "controller" / package.parent.name / "__init__.py").touch()
    (tmp_path / "__init__.py").touch()
    (tmp_path / "__main__.py").write_text("")
    for module, library in ONE_FILE_EACH.items():
        file = tmp_path / "controller" / f"{module}.py"
        file.write_text(f"import {library} as library\n\nprint(library)\n")
    (tmp_path / ".ci" / "typing").mkdir(parents=True)
    (tmp_path / ".ci" / "typing" / "hhmrs").symlink_to("../..")
    shutil.copy(root / "pyproject.toml", tmp_path)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    return tmp_path


def gate(tree: Path, tool: str, *words: str) -> tuple[int, str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree / ".ci" / "typing"),
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
    }
    ran = subprocess.run(
        [BIN / tool, *words], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_the_type_gates_see_every_room_and_the_tests(small: Path) -> None:
    fault = 'def wrong() -> int:\n    return "text"\n'
    for room in ROOMS:
        (small / room / f"test_planted_{room}.py").write_text(fault)
    for outside in ("build/lib/hhmrs", "dist"):
        (small / outside).mkdir(parents=True)
        (small / outside / "stale.py").write_text(fault)

    for tool in ("mypy", "pyright"):
        code, printed = gate(small, tool)
        assert code == 1, printed
        for room in ROOMS:
            assert printed.count(f"test_planted_{room}.py:2") == 1, f"{tool} saw {room} not once:\n{printed}"
        assert "stale.py" not in printed


def test_tests_are_checked_against_the_real_package(small: Path) -> None:
    (small / "healing" / "answer.py").write_text("ANSWER: int = 42\n")
    (small / "tests" / "test_answer.py").write_text(
        "from hhmrs.healing.answer import ANSWER\n\nWORD: str = ANSWER\n"
    )

    for tool in ("mypy", "pyright"):
        code, printed = gate(small, tool)
        assert code == 1, printed
        assert "test_answer.py:3" in printed


@pytest.mark.parametrize(
    ("file", "text", "contract"),
    [
        ("healing/x.py", "from ..controller.terminals import tmux as tmux", "Imports run one way"),
        ("config/x.py", "from ..healing import y as y", "Imports run one way"),
        ("controller/daemon/x.py", "from ...tui import y as y", "Imports run one way"),
        ("controller/processes/x.py", "from ..daemon import y as y", "controller: each package"),
        ("healing/x.py", "import time as time", "healing reaches no clock"),
        ("healing/x.py", "from ..config.y import NAME as NAME", "healing reaches no clock"),
        ("healing/x.py", "import pathlib as pathlib", "healing itself names no path"),
        ("controller/daemon/x.py", "import textual.app as app", "textual and rich only in tui"),
        ("config/x.py", "import rich.text as text", "textual and rich only in tui"),
        ("controller/daemon/x.py", "import libtmux as libtmux", "libtmux only in"),
        ("tui/x.py", "import psutil as psutil", "psutil only in"),
        ("controller/daemon/x.py", "import watchdog.observers as observers", "watchdog only in"),
        ("controller/daemon/x.py", "import sqlite3 as sqlite3", "sqlite3 only in"),
        ("controller/daemon/x.py", "import yaml as yaml", "yaml only in"),
    ],
)
def test_the_import_gate_goes_red(small: Path, file: str, text: str, contract: str) -> None:
    (small / file).write_text(text + "\n")
    for room in ("healing", "tui"):
        (small / room / "y.py").write_text("")
    (small / "controller" / "daemon" / "y.py").write_text("")
    (small / "config" / "y.py").write_text("import os\n\nNAME = os.name\n")

    code, printed = gate(small, "lint-imports", "--no-cache")

    assert code == 1, printed
    broken = [line for line in printed.splitlines() if " BROKEN" in line]
    assert len(broken) == 1, printed
    assert broken[0].startswith(contract)


def test_the_import_gate_goes_green_and_knows_stale_exceptions(small: Path) -> None:
    code, printed = gate(small, "lint-imports", "--no-cache")
    assert code == 0, printed

    (small / "controller" / "terminals" / "tmux.py").write_text("")
    code, printed = gate(small, "lint-imports", "--no-cache")
    assert code == 1
    assert "No matches for ignored import hhmrs.controller.terminals.tmux -> libtmux" in printed


def test_a_fifth_room_needs_a_place_in_the_order(small: Path) -> None:
    (small / "attic").mkdir()
    (small / "attic" / "__init__.py").touch()

    code, printed = gate(small, "lint-imports", "--no-cache")

    assert code == 1
    assert "attic" in printed


def test_a_new_package_of_the_controller_needs_a_place_too(small: Path) -> None:
    (small / "controller" / "cellar").mkdir()
    (small / "controller" / "cellar" / "__init__.py").touch()

    code, printed = gate(small, "lint-imports", "--no-cache")

    assert code == 1
    assert "cellar" in printed


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("import config", "TID251"),
        ("from tui import cli", "TID251"),
        ("from healing.ladder import Ladder", "TID251"),
        ("import controller.engine", "TID251"),
        ("def f(x):\n    return x", "ANN001"),
        ("import os\n\nos.path.join('a', 'b')", "PTH118"),
        ("from datetime import datetime\n\nNOW = datetime.now()", "DTZ005"),
        ("print('x')", "T201"),
        ("import subprocess\n\nsubprocess.run('ls', shell=True)", "S602"),
        ("import pickle\n\npickle.loads(b'')", "S301"),
        ("# TODO: later", "FIX002"),
        ("try:\n    X = 1\nexcept Exception:\n    X = 2", "BLE001"),
        ("X = 1  # noqa", "PGH004"),
        ("import time\n\n\nasync def f() -> None:\n    time.sleep(1)", "ASYNC251"),
    ],
)
def test_the_lint_gate_goes_red(small: Path, text: str, rule: str) -> None:
    (small / "healing" / "planted.py").write_text(text + "\n")

    code, printed = gate(
        small, "ruff", "check", "--no-cache", "--output-format", "concise", "healing/planted.py"
    )

    assert code == 1
    assert rule in printed


def test_relative_imports_between_the_rooms_are_welcome(small: Path) -> None:
    (small / "healing" / "planted.py").write_text(
        "from ..config.fleet import FleetSpec\n\nprivate = FleetSpec\n"
    )

    code, printed = gate(small, "ruff", "check", "--no-cache", "healing/planted.py")

    assert code == 0, printed


def test_the_format_gate_goes_red(small: Path) -> None:
    (small / "healing" / "planted.py").write_text("x = {  'a':1 }\n")

    code, printed = gate(small, "ruff", "format", "--no-cache", "--check", "healing/planted.py")

    assert code == 1
    assert "planted.py" in printed
