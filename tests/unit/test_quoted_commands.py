"""Every command line that the pages, the help and the messages of the program quote is one that exists."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hhmrs.tui import cli
from hhmrs.tui.commands import table
from hhmrs.tui.commands.parsing import parse
from hhmrs.tui.commands.refusal import Refusal

ROOT = Path(cli.__file__).parents[1]
ROOMS = ("config", "healing", "controller", "tui", "bench")
STANDS_FOR = {
    "SEQ": "1",
    "N": "1",
    "SPAN": "night",
    "STRATEGY": "restart",
    "COMMAND": "status",
    "PORT": "1",
    "SECONDS": "1",
}
"""Words in capitals whose place takes not just any word."""
QUOTED = re.compile(r"`(hhmrs(?:-tui)?(?:\s[^`]*)?)`")
TYPED = re.compile(r"^\$ (hhmrs(?:-tui)?\b[^#\n]*)", re.MULTILINE)
WHOLE = re.compile(r"^(?:then: )?(hhmrs [a-z]+(?: [^:,]*)?)$")
"""A string that is nothing but a command."""


def pages() -> Iterator[tuple[str, str]]:
    """(where, command line) in every page that a person reads."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for found in (*QUOTED.findall(text), *TYPED.findall(text)):
            yield page.name, found


def strings() -> Iterator[tuple[str, str]]:
    """The same in every string of the program; what is put into one later counts as the number 1."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                text = ""
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    text = node.value
                elif isinstance(node, ast.JoinedStr):
                    parts = (p.value if isinstance(p, ast.Constant) else "1" for p in node.values)
                    text = "".join(str(part) for part in parts)
                whole = [one for line in text.splitlines() for one in WHOLE.findall(line)]
                for found in (*QUOTED.findall(text), *whole):
                    yield f"{room}/{file.name}", found


def wrong(line: str) -> str:
    """Why there is no such command; empty when there is."""
    words = [word.strip("[]") for word in shlex.split(line)][1:]
    words = [STANDS_FOR.get(word, word) for word in words if word not in ("...", "…")]
    first = words[0] if words else ""
    if first == "1" or first.endswith(":"):  # put in later; a title that begins with the fleet's name
        return ""
    names = first.split("|")
    if len(words) < 2 or set(names) <= cli.LETTERS:
        return "" if set(names) <= cli.LETTERS | set(table.BY_NAME) else f"no command {first}"
    try:
        _ = parse(words)
    except Refusal as refused:
        return str(refused)
    except SystemExit as left:  # the help of a command that exists
        return "" if not left.code else f"status {left.code}"
    return ""


def test_every_command_that_is_quoted_exists() -> None:
    found = [*pages(), *strings()]
    assert len(found) > 150, "or nobody looks"
    assert {where for where, _ in found} >= {
        "README.md",
        "commands.md",
        "concepts.md",
        "healing/postmortem.py",
    }
    assert [f"{where}: {line}: {why}" for where, line in found if (why := wrong(line))] == []


@pytest.mark.parametrize(
    "line", ["hhmrs stauts", "hhmrs report", "hhmrs up --loudly", "hhmrs restore a --into DIR", "hhmrs set"]
)
def test_one_that_does_not_exist_would_be_found(line: str) -> None:
    # A command's name alone is a name, with anything behind it it is a command line.
    assert bool(wrong(line)) == (line not in ("hhmrs report", "hhmrs set"))


@pytest.mark.parametrize("command", table.COMMANDS, ids=lambda one: one.name or "(none)")
def test_every_command_has_a_help_with_all_its_options(
    command: table.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [command.name, "--help"] if command.name else ["--help"]
    try:
        code = cli.main(words)
    except SystemExit as left:
        code = left.code  # type: ignore[assignment]  # argparse leaves with a number
    said = capsys.readouterr().out
    assert not code
    assert "usage:" in said.lower()
    if command.entry and not command.name.startswith("-") and command.name:
        for argument in command.arguments:
            names = argument.flags if argument.optional else (str(argument.settings["metavar"]),)
            assert any(name in said for name in names), names


def test_a_list_of_commands_in_the_readme_is_one_of_commands() -> None:
    table_of = (ROOT / "README.md").read_text(encoding="utf-8").partition("are one program.")[2]
    rows = re.findall(r"^\| [^|]+ \|(.*)\|$", table_of.partition("Exit codes")[0], re.MULTILINE)
    named = [one for row in rows for one in re.findall(r"`([^`]+)`", row)]
    assert len(named) > 30
    assert [one for one in named if one != "hhmrs-tui" and wrong(f"hhmrs {one}")] == []
