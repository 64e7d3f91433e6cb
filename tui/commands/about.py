"""`--version`, `--help`, and the same table as Markdown for docs/commands.md."""

from __future__ import annotations

from .output import Screen
from .parsing import PROGRAM, Call, arguments_of
from .table import COMMANDS, EVERYWHERE, Argument, Command

EXIT_CODES = (
    (0, "fine"),
    (1, "what was asked about is not healthy, or the action failed"),
    (2, "bad usage or a bad fleet file"),
    (3, "no daemon is running, or its process is stopped"),
)
WORDS = "See `hhmrs COMMAND --help` for its options; --config FILE and --fleet NAME go with every command."


def version(_call: Call, screen: Screen) -> int:
    from ... import __version__

    screen.say(f"hhmrs-tui {__version__}")
    return 0


def overview(_call: Call, screen: Screen) -> int:
    screen.say(f"usage: {PROGRAM} [--config FILE] [--fleet NAME] [COMMAND] ...")
    screen.say("")
    screen.say("Keeps coding agents in tmux alive: sees them fail, brings them back, proves it.")
    width = max(len(_shown(command)) for command in COMMANDS) + 2
    for group, commands in by_group().items():
        screen.say("")
        screen.say(screen.bold(group))
        for command in commands:
            screen.say(f"  {_shown(command):{width}}{command.summary}")
    screen.say("")
    screen.say(WORDS)
    screen.say("Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES) + ".")
    return 0


def by_group() -> dict[str, list[Command]]:
    groups: dict[str, list[Command]] = {}
    for command in COMMANDS:
        groups.setdefault(command.group, []).append(command)
    return groups


def _shown(command: Command) -> str:
    positionals = [
        f"[{a.settings['metavar']}]" if a.settings.get("nargs") == "?" else str(a.settings["metavar"])
        for a in command.arguments
        if not a.optional
    ]
    return " ".join([command.name or "(none)", *positionals])


def markdown() -> str:
    """The whole of docs/commands.md."""
    lines = ["# Commands", "",
             "Made from the table in `tui/commands/table.py`; a test keeps the two equal.",
             "`hhmrs` and `hhmrs-tui` are the same program.", "",
             f"{WORDS}", ""]  # fmt: skip
    for group, commands in by_group().items():
        lines += [f"## {group}", "", "| command | does | needs | options |", "|---|---|---|---|"]
        lines += [_row(command) for command in commands]
        lines.append("")
    lines += ["## Everywhere", "", *(f"- `{_option(a)}`: {a.help}" for a in EVERYWHERE), ""]
    lines += ["## Exit codes", "", *(f"- {code}: {meaning}" for code, meaning in EXIT_CODES)]
    lines.append("- 130: interrupted with Ctrl-C")
    return "\n".join(lines) + "\n"


def _row(command: Command) -> str:
    shown = f"hhmrs {_shown(command)}" if command.name else "hhmrs"
    special = [a for a in arguments_of(command) if a.optional and a not in EVERYWHERE]
    options = "<br>".join(f"`{_option(a)}` {a.help}" for a in special)
    return f"| `{shown}` | {command.summary} | {command.needs} | {options} |"


def _option(argument: Argument) -> str:
    metavar = argument.settings.get("metavar")
    return f"{argument.flags[0]} {metavar}" if metavar else argument.flags[0]
