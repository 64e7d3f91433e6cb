"""What a command loads: letters next to nothing, the command line no screen library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # pytest gives the fixture; only the checkers need its name
    from hhmrs.tests.architecture.conftest import Installed

# Runs a command line inside one interpreter and notes what it loaded beyond what the start itself had loaded.
PROBE = """
import sys
before = set(sys.modules)
from hhmrs.tui.cli import main
try:
    code = main(sys.argv[2:])
except SystemExit as end:
    code = end.code or 0
loaded = sorted(set(sys.modules) - before)
with open(sys.argv[1], "w") as note:
    note.write("%s %s" % (code, " ".join(loaded)))
"""

LETTER_NEEDS = {"_json", "errno", "hhmrs", "hhmrs.tui", "hhmrs.tui.cli", "hhmrs.tui.letters", "time"}
"""All that writing a letter may load beyond a bare interpreter: two C modules and our own three files."""


def run(place: Installed, tmp_path: Path, *words: str, **environment: str) -> tuple[int, set[str], str]:
    """Exit code, modules loaded, everything printed."""
    note = tmp_path / "note"
    environment.setdefault("HHMRS_STATE_DIR", str(tmp_path / "state"))
    ran = place.run(tmp_path, place.python, "-c", PROBE, note, *words, **environment)
    assert note.exists(), ran.stderr
    code, *loaded = note.read_text().split()
    return int(code), set(loaded), ran.stdout + ran.stderr


def inbox(tmp_path: Path) -> dict[str, str]:
    place = tmp_path / "inbox" / "worker"
    for room in ("tmp", "new"):
        (place / room).mkdir(parents=True)
    return {
        "HHMRS_INBOX": str(place),
        "HHMRS_AGENT": "worker",
        "HHMRS_ATTEMPT": "1",
        "HHMRS_FLEET": "nightly",
    }


def test_a_beat_loads_next_to_nothing(installed: Installed, tmp_path: Path) -> None:
    environment = inbox(tmp_path)

    code, loaded, printed = run(
        installed, tmp_path, "beat", "executing", "--progress", "0.5", "--message", "half way", **environment
    )

    assert code == 0, printed
    (letter,) = (tmp_path / "inbox" / "worker" / "new").iterdir()
    assert json.loads(letter.read_text())["kind"] == "beat"
    assert loaded <= LETTER_NEEDS, loaded - LETTER_NEEDS


@pytest.mark.parametrize(
    "words",
    [
        ["checkpoint", "--completed", "parser", "--next", "tests"],
        ["done", "--summary", "all tests pass"],
        ["fail", "--summary", "no such branch"],
        ["ask", "Which database?", "--option", "sqlite"],
        ["decide", "worker-01-i2", "restart"],
    ],
    ids=lambda words: str(words[0]),
)
def test_other_letters_are_as_light(installed: Installed, tmp_path: Path, words: list[str]) -> None:
    code, loaded, printed = run(installed, tmp_path, *words, **inbox(tmp_path))

    assert code == 0, printed
    assert loaded <= LETTER_NEEDS, loaded - LETTER_NEEDS


def test_the_launcher_itself_is_light(installed: Installed, tmp_path: Path) -> None:
    """The file in bin/ is written by the installer: old ones import `re`, which costs more than the beat."""

    def loaded(*words: str | Path) -> set[str]:
        ran = installed.run(tmp_path, installed.python, "-X", "importtime", *words, **environment)
        assert ran.returncode == 0, ran.stderr
        return {
            line.rpartition("|")[2].strip()
            for line in ran.stderr.splitlines()
            if line.startswith("import time:")
        }

    environment = inbox(tmp_path)
    extra = loaded(installed.command, "beat") - loaded("-c", "pass")

    assert extra <= LETTER_NEEDS, extra - LETTER_NEEDS


FLEET = """
fleet: nightly
agents:
  worker: {profile: shell, command: ["sleep", "600"], prompt: "count sheep"}
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["--daemon", "--help"], 0),
        (["status", "--json"], 3),
        (["events", "--json"], 0),
        (["check"], 0),
        (["nudge", "worker"], 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_the_command_line_loads_no_screen(
    installed: Installed, tmp_path: Path, words: list[str], expected: int
) -> None:
    (tmp_path / "hhmrs.yaml").write_text(FLEET)

    code, loaded, printed = run(installed, tmp_path, *words)

    assert code == expected, printed
    assert {name for name in loaded if name.split(".")[0] in {"textual", "rich", "markdown_it"}} == set()


def test_the_early_frame_needs_neither_the_screen_nor_the_fleet_file(
    installed: Installed, tmp_path: Path
) -> None:
    """It stands there before the half second that those take to be loaded."""
    script = (
        "import sys, hhmrs.tui.cli, hhmrs.tui.commands.run, hhmrs.tui.commands.screen\n"
        "import hhmrs.tui.early, hhmrs.tui.glimpse, hhmrs.tui.early_frame, hhmrs.tui.remembered\n"
        "heavy = {'textual', 'asyncio', 'pydantic', 'yaml', 'libtmux', 'watchdog', 'markdown_it'}\n"
        "ours = {'hhmrs.config.fleet', 'hhmrs.config.loading', 'hhmrs.healing.detect'}\n"
        "print(sorted(n for n in sys.modules if n.split('.')[0] in heavy or n in ours or 'console' in n))\n"
    )
    ran = installed.run(tmp_path, installed.python, "-c", script)

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"


def test_the_daemon_itself_is_free_of_the_screen(installed: Installed, tmp_path: Path) -> None:
    """Every module of the three lower rooms, imported: what the daemon can ever load."""
    script = (
        "import sys, pkgutil, importlib, hhmrs.config, hhmrs.healing, hhmrs.controller\n"
        "for room in (hhmrs.config, hhmrs.healing, hhmrs.controller):\n"
        "    for found in pkgutil.walk_packages(room.__path__, room.__name__ + '.'):\n"
        "        importlib.import_module(found.name)\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in {'textual', 'rich'}))\n"
    )
    ran = installed.run(tmp_path, installed.python, "-c", script)

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"
