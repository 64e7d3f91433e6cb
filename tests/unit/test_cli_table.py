"""One table of commands drives the parser, the help, the documentation and what may be typed at all."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from hhmrs.tui import cli
from hhmrs.tui.commands import about, parsing, run, table
from hhmrs.tui.commands.run import entry_of

ROOT = Path(about.__file__).parents[2]
LATER = (
    "submit",
    "purge",
    "--install-completion",
)


def imported_by(code: str) -> set[str]:
    """Modules that a fresh interpreter has after `code` which it had not before."""
    probe = f"import sys; before = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.splitlines()[-1].split())


def test_the_entry_imports_nothing_before_it_knows_the_command() -> None:
    assert imported_by("import hhmrs.tui.cli") == {"hhmrs", "hhmrs.tui", "hhmrs.tui.cli"}


def test_a_letter_costs_no_parser() -> None:
    extra = imported_by("from hhmrs.tui.cli import main; main(['beat', '--help'])")
    assert "hhmrs.tui.letters" in extra
    assert not {name for name in extra if name.startswith("hhmrs.tui.commands")}
    assert not extra & {"argparse", "json", "dataclasses", "typing", "re"}


def test_looking_does_not_load_the_screen(tmp_path: Path) -> None:
    fleet = tmp_path / "hhmrs.yaml"
    fleet.write_text("fleet: f\nagents: {a: {profile: shell, command: [sleep, '1']}}\n")
    for command in ("check", "status", "events", "stats", "explain a"):
        words = [*command.split(), "--config", str(fleet)]
        extra = imported_by(
            f"import os; os.environ['HHMRS_STATE_DIR'] = {str(tmp_path / 's')!r}\n"
            f"from hhmrs.tui.cli import main; main({words!r})"
        )
        assert not {name for name in extra if name.partition(".")[0] in ("textual", "rich")}, command


def test_every_command_has_a_function_and_every_letter_is_sent_off() -> None:
    letters = {command.name for command in table.COMMANDS if not command.entry}
    assert letters == cli.LETTERS
    assert len(table.BY_NAME) == len(table.COMMANDS)
    for command in table.COMMANDS:
        if command.entry:
            words = [command.name] if command.name else []
            positionals = ["x" for a in command.arguments if not a.optional]
            choice = list(command.one_of[:1])
            assert callable(entry_of(parsing.parse([*words, *positionals, *choice]))), command.name


@pytest.mark.parametrize("name", LATER)
def test_what_is_not_there_yet_is_not_listed(name: str) -> None:
    assert name not in table.BY_NAME
    assert f"`hhmrs {name}" not in about.markdown()


def test_the_documentation_is_the_table() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    anew = "python -c 'from hhmrs.tui.commands.about import markdown as m; print(m(), end=\"\")'"
    assert written == about.markdown(), f"make it again: {anew} > docs/commands.md"


def test_every_read_command_takes_json() -> None:
    for name in ("status", "events", "explain", "stats", "logs", "check", "rehearse", "doctor", "demo"):
        assert table.BY_NAME[name].json, name


@pytest.mark.parametrize(("module", "name"), [run._CONFIG_ERROR, *run._PLAIN])
def test_the_errors_that_are_told_in_plain_words_are_where_the_command_line_looks(
    module: str, name: str
) -> None:
    # They are named by strings, so that a command does not load a room only to miss its errors.
    assert issubclass(getattr(import_module(f"hhmrs.{module}"), name), Exception)
