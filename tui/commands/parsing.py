"""Words of the command line -> a command of the table and its options.

Only the parser of the one command that was asked for is ever built.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, NoReturn

from .output import inert
from .refusal import usage
from .table import BY_NAME, COMMANDS, EVERYWHERE, JSON, Argument, Command

PROGRAM = "hhmrs"
_FRONT = {
    "--help": "--help",
    "-h": "--help",
    "--version": "--version",
    "-V": "--version",
    "--daemon": "--daemon",
    "--replay": "--replay",
}
"""Options that are commands of their own while no command word was read."""


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked for. `values` has every option of the command by its name, `config` and `fleet` too."""

    command: Command
    values: argparse.Namespace

    def get(self, name: str) -> Any:
        return getattr(self.values, name)

    @property
    def json(self) -> bool:
        return bool(getattr(self.values, "json", False))


class _Parser(argparse.ArgumentParser):
    """argparse that raises a Refusal in our own form instead of ending the program."""

    def error(self, message: str) -> NoReturn:
        raise usage(f"{self.prog}: {inert(message, 300)}", f"see `{self.prog} --help`")


def parse(words: list[str]) -> Call:
    """The call that `words` ask for. Raises Refusal (exit 2) when they make no sense."""
    front, name, rest = _split(words)
    command = BY_NAME.get(name)
    if command is None:
        known = [c.name for c in COMMANDS if c.name]
        raise usage(f"{PROGRAM}: unknown command {inert(name, 60)!r}{_near(name, known)}",
                    f"see `{PROGRAM} --help`")  # fmt: skip
    if name and not name.startswith("-") and not command.entry:
        raise usage(f"{PROGRAM}: {name} must be the first word: `{PROGRAM} {name} ...`")
    values = parser_of(command).parse_args(front + rest)
    _check_choice(command, values)
    return Call(command, values)


def _split(words: list[str]) -> tuple[list[str], str, list[str]]:
    """(--config/--fleet before the command word, the command's name, everything after it)."""
    front: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("--config", "--fleet"):
            front += [word, *rest[:1]]
            del rest[:1]
        elif word.startswith(("--config=", "--fleet=")):
            front.append(word)
        elif word in _FRONT:
            return front, _FRONT[word], rest
        elif word.startswith("--replay="):
            return front, "--replay", [word.removeprefix("--replay="), *rest]
        elif word.startswith("-"):
            known = [c.name for c in COMMANDS if c.name.startswith("-")] + ["--config", "--fleet"]
            raise usage(f"{PROGRAM}: unknown option {inert(word, 60)!r}{_near(word, known)}",
                        f"see `{PROGRAM} --help`; a command's own options follow its name")  # fmt: skip
        else:
            return front, word, rest
    return front, "", []


def _near(word: str, known: list[str]) -> str:
    """Up to three: `stauts` is as near to stats as to status."""
    from difflib import get_close_matches

    near = get_close_matches(word.lower()[:80], known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def parser_of(command: Command) -> argparse.ArgumentParser:
    """The parser of one command, made from its row of the table."""
    spoken = f"{PROGRAM} {command.name}".strip()
    parser = _Parser(prog=spoken, description=command.summary, allow_abbrev=False)
    for argument in arguments_of(command):
        parser.add_argument(*argument.flags, help=argument.help, **dict(argument.settings))
    return parser


def arguments_of(command: Command) -> tuple[Argument, ...]:
    return (*command.arguments, *((JSON,) if command.json else ()), *EVERYWHERE)


def _check_choice(command: Command, values: argparse.Namespace) -> None:
    if not command.one_of:
        return
    given = [flag for flag in command.one_of if getattr(values, flag.lstrip("-").replace("-", "_"))]
    if len(given) != 1:
        choices = " or ".join(command.one_of)
        raise usage(
            f"{PROGRAM} {command.name}: give either {choices}", f"see `{PROGRAM} {command.name} --help`"
        )
