"""The one table of commands. The parser, the help, the "did you mean" and docs/commands.md follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Needs = Literal["nothing", "fleet file", "state", "daemon"]
"""What must be there first: a valid fleet file, what an earlier daemon wrote down, or a running daemon."""


@dataclass(frozen=True, slots=True)
class Argument:
    """`flags`: one bare name for a positional, else option strings. `settings`: as argparse takes them."""

    flags: tuple[str, ...]
    help: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def optional(self) -> bool:
        return self.flags[0].startswith("-")


@dataclass(frozen=True, slots=True)
class Command:
    """`entry`: `module:function` below hhmrs.tui.commands; empty for the letters, which cli.py sends off."""

    name: str
    group: str
    needs: Needs
    summary: str
    entry: str
    arguments: tuple[Argument, ...] = ()
    json: bool = False
    one_of: tuple[str, ...] = ()
    """Options of which exactly one must be given."""


def seconds(text: str) -> float:
    """A positive, finite number of seconds; `2m` and its like are welcome too. ValueError otherwise."""
    scale = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    digits = text.rstrip("smh")
    value = float(digits) * scale[text[len(digits) :] or "s"] if text[len(digits) :] in ("", *scale) else -1.0
    if not 0 < value < 1e9:
        raise ValueError(text)
    return value


def number(text: str) -> int:
    """A whole number, zero or more. ValueError otherwise."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def hours(text: str) -> float:
    """A positive number of hours, up to a year. ValueError otherwise."""
    value = float(text)
    if not 0 < value <= 8760:
        raise ValueError(text)
    return value


def speed(text: str) -> int:
    """1 to 3600. ValueError otherwise."""
    return _between(text.removesuffix("x"), 1, 3600)


def port(text: str) -> int:
    """A port number, 0 for any. ValueError otherwise."""
    return _between(text, 0, 65535)


def pages(text: str) -> int:
    """1 to 100. ValueError otherwise."""
    return _between(text, 1, 100)


def _between(text: str, low: int, high: int) -> int:
    value = int(text)
    if not low <= value <= high:
        raise ValueError(text)
    return value


def _flag(name: str, words: str) -> Argument:
    return Argument((name,), words, {"action": "store_true"})


CONFIG = Argument(
    ("--config",), "the fleet file; else hhmrs.yaml in this folder or one above", {"metavar": "FILE"}
)
FLEET = Argument(("--fleet",), "a fleet by its name, wherever its file is", {"metavar": "NAME"})
EVERYWHERE = (CONFIG, FLEET)
JSON = _flag("--json", "machine-readable output")
AGENT = Argument(("agent",), "the agent's id", {"metavar": "AGENT"})
NO_WAIT = _flag("--no-wait", "do not wait for the outcome")
TIMEOUT = Argument(
    ("--timeout",), "how long to wait for the outcome; else as long as the policy lets it take",
    {"metavar": "SECONDS", "type": seconds},
)  # fmt: skip
TO = Argument(("--to",), "any profile of the file or built in, and maybe a model; else its next alternate",
              {"metavar": "PROFILE[:MODEL]"})  # fmt: skip
NOTE = Argument(("--note",), "your own words to the new attempt, a part of its handoff", {"metavar": "TEXT"})
HANDOFF = Argument(
    ("--handoff",), "a Markdown file (- for stdin) that it gets in place of the handoff made for it",
    {"metavar": "FILE"},
)  # fmt: skip
TASK = Argument(("task",), "the task's id, as `tasks` lists it", {"metavar": "TASK"})
INCIDENT = Argument(("incident",), "the incident's id, as `status` and `events` have it",
                    {"metavar": "INCIDENT"})  # fmt: skip
STRATEGY = Argument(("strategy",), "nudge, resume, restart, reassign or escalate", {"metavar": "STRATEGY"})
SEQ = Argument(("seq",), "the checkpoint's number, as `checkpoints` lists it; else the newest",
               {"metavar": "SEQ", "nargs": "?"})  # fmt: skip
TO_FOLDER = Argument(("--to",), "a folder that is new or empty, outside every workspace", {"metavar": "DIR"})
KILL = _flag("--kill", "also end every agent, whole process trees")
HEADLESS = _flag("--headless", "no screen; exit 0 only when every expected recovery was proved")
KEEP = _flag("--keep", "leave its folder there afterwards, for a look")
FOLLOW = _flag("--follow", "go on with new events as they come")
SINCE = Argument(
    ("--since",), "only events after this number", {"metavar": "SEQ", "type": number, "default": 0}
)
ANSWER = _flag("--answer", "type it even while the agent's screen asks for a permission")
ONE_KEY = _flag("--key", "TEXT is one key to press, without an Enter, such as 2, y or Escape: for a menu")
TEXT = Argument(("text",), "what to type", {"metavar": "TEXT", "nargs": "+"})
LINES = Argument(("-n",), "also this many lines from above the screen",
                 {"metavar": "N", "type": number, "default": 0, "dest": "lines"})  # fmt: skip
COLOR = _flag("--color", "keep colours and other escape sequences")
CHECK_NOW = _flag("--check-now", "have the daemon look at every agent at once, and print what it found")
START_DAEMON = _flag("--start-daemon", "run the daemon in the foreground")
VERBOSE = _flag("--verbose", "with --check-now: each agent's evidence and what happens next")
INTERVAL = Argument(("--interval",), "with --start-daemon: time between two looks at every agent",
                    {"metavar": "SECONDS", "type": seconds})  # fmt: skip
THRESHOLD = Argument(("--threshold",), "with --start-daemon: the quick look, that is no progress for so long",
                     {"metavar": "SECONDS", "type": seconds})  # fmt: skip

FROM = Argument(("--from",), "settings of the older system (pas_settings.json) to take over",
                {"metavar": "FILE"})  # fmt: skip
FOR_AGENT = Argument(("--agent",), "of this agent (of its pool, if it is in one), not of the fleet",
                     {"metavar": "AGENT"})  # fmt: skip
SETTING = Argument(("key",), "the setting, as `settings` lists it: task_deadline, backoff.max",
                   {"metavar": "KEY"})  # fmt: skip
NEW_VALUE = Argument(("value",), "its value; of a list the items with commas",
                     {"metavar": "VALUE", "nargs": "?"})  # fmt: skip
TO_DEFAULT = _flag("--default", "take the key out, so that the default (or the fleet's value) counts")
DRY_RUN = _flag("--dry-run", "show what would be written, and write nothing")
PROFILES_WORD = Argument(("what",), "`list` (also without it), or `test`", {"metavar": "WHAT", "nargs": "?"})
PROFILES_NAME = Argument(("name",), "with test: the profile", {"metavar": "NAME", "nargs": "?"})

HOOKS_DOES = Argument(("action",), "install, remove or status", {"metavar": "ACTION"})
HOOKS_PROFILE = Argument(
    ("profile",), "a profile of the fleet file or a built-in one; needed but for status",
    {"metavar": "PROFILE", "nargs": "?"},
)  # fmt: skip

SEED = Argument(("--seed",), "which faults, by chance; the same seed gives the same run (1)",
                {"metavar": "N", "type": number})  # fmt: skip
HOURS = Argument(("--hours",), "how many hours to simulate (6, or fewer where silence is counted in seconds)",
                 {"metavar": "H", "type": hours})  # fmt: skip

LEDGER = Argument(("ledger",), "a ledger.db, a copy of one, or its folder; else the fleet's own",
                  {"metavar": "LEDGER", "nargs": "?"})  # fmt: skip
SPEED = Argument(("--speed",), "seconds of the recording in one second, 1 to 3600; else one that fits",
                 {"metavar": "X", "type": speed})  # fmt: skip
PORT = Argument(("--port",), "the port; else one that is free", {"metavar": "N", "type": port, "default": 0})
LISTEN = Argument(
    ("--listen",), "an address of this machine beside the loopback: others can then reach it; else 127.0.0.1",
    {"metavar": "ADDRESS", "default": "127.0.0.1"},
)  # fmt: skip
PAGES = Argument(("--pages",), "how many pages may be open at once, 1 to 100 (8); each is a process",
                 {"metavar": "N", "type": pages, "default": 8})  # fmt: skip

SPAN = Argument(("--span",), "night (yesterday 18:00 to today 9:00), day, week, all, or a length: 8h, 3d",
                {"metavar": "SPAN", "default": "all"})  # fmt: skip
EXPORT = Argument(("--export",), "write it to FILE instead: Markdown if it ends in .md, a picture if in .svg",
                  {"metavar": "FILE"})  # fmt: skip
FORCE = _flag("--force", "with --export: write over a file that is there")


def _order(name: str, summary: str, *extra: Argument) -> Command:
    return Command(
        name, "Recover by hand", "daemon", summary, f"recovery:{name}", (AGENT, *extra, NO_WAIT, TIMEOUT)
    )


def _letter(name: str, summary: str) -> Command:
    return Command(name, "For agents", "nothing", summary, "")


COMMANDS: tuple[Command, ...] = (
    Command("", "Run", "fleet file", "open the screen; starts the daemon if none runs", "screen:open_screen"),
    Command(
        "--daemon", "Run", "fleet file", "supervise in the foreground, without a screen", "supervise:daemon"
    ),
    Command(
        "--replay",
        "Run",
        "nothing",
        "play a recorded ledger on the screen; starts nothing and writes nothing",
        "replay:replay",
        (LEDGER, SPEED),
    ),
    Command(
        "serve",
        "Run",
        "fleet file",
        "the screen in a browser, for who has the address it prints; starts the daemon if none runs",
        "serve:serve",
        (PORT, LISTEN, PAGES),
        json=True,
    ),
    Command("up", "Run", "fleet file", "start the daemon in the background", "supervise:up"),
    Command("down", "Run", "daemon", "stop the daemon; the agents run on", "supervise:down", (KILL,)),
    Command(
        "demo",
        "Run",
        "nothing",
        "a small fleet of scripted agents that fail and are recovered",
        "screen:demo",
        (HEADLESS, KEEP),
        json=True,
    ),
    Command(
        "init",
        "Set up",
        "nothing",
        "write a commented hhmrs.yaml for the agents found here",
        "fleetfile:init",
        (FROM,),
    ),
    Command(
        "check",
        "Set up",
        "fleet file",
        "validate the fleet file; print the tree and each agent's worst case",
        "fleetfile:check",
        json=True,
    ),
    Command(
        "settings",
        "Set up",
        "fleet file",
        "every setting: its value, its default, where it comes from",
        "settings:settings",
        (FOR_AGENT,),
        json=True,
    ),
    Command(
        "set",
        "Set up",
        "fleet file",
        "change one setting in the fleet file, comments kept, and have the daemon go by it",
        "settings:change",
        (SETTING, NEW_VALUE, FOR_AGENT, TO_DEFAULT, DRY_RUN),
        json=True,
    ),
    Command(
        "rehearse",
        "Set up",
        "fleet file",
        "this fleet's policy against simulated faults on a fake clock; starts nothing",
        "rehearsal:rehearse",
        (SEED, HOURS),
        json=True,
    ),
    Command(
        "profiles",
        "Set up",
        "nothing",
        "the agent CLIs that are known here; `test NAME` tries one against a scripted model",
        "profiles:profiles",
        (PROFILES_WORD, PROFILES_NAME),
        json=True,
    ),
    Command(
        "doctor",
        "Set up",
        "nothing",
        "check this machine and say how to mend what is wrong",
        "machine:doctor",
        json=True,
    ),
    Command(
        "hooks",
        "Set up",
        "nothing",
        "wire an agent CLI's own hooks to the inbox, take that out again, or list what is wired",
        "hooks:hooks",
        (HOOKS_DOES, HOOKS_PROFILE, DRY_RUN),
        json=True,
    ),
    Command("status", "Look", "state", "the fleet now", "status:status", json=True),
    Command("events", "Look", "state", "the event log", "history:events", (FOLLOW, SINCE), json=True),
    Command(
        "explain",
        "Look",
        "state",
        "why an agent is in its phase, and what happens next",
        "history:explain",
        (AGENT,),
        json=True,
    ),
    Command(
        "stats",
        "Look",
        "state",
        "recoveries, success rates, times and causes, over a span of time",
        "history:stats",
        (SPAN, EXPORT, FORCE),
        json=True,
    ),
    Command(
        "logs", "Look", "state", "an agent's captured output", "panes:logs", (AGENT, LINES, COLOR), json=True
    ),
    Command(
        "tasks",
        "Look",
        "state",
        "every task and what became of it; the failed ones are the retry queue",
        "tasks:tasks",
        json=True,
    ),
    Command(
        "report",
        "Look",
        "state",
        "a post-mortem of one incident, in Markdown",
        "postmortem:report",
        (INCIDENT, EXPORT, FORCE),
        json=True,
    ),
    Command(
        "checkpoints",
        "Look",
        "state",
        "an agent's checkpoints, and the snapshots of its workspace that can be restored",
        "restore:checkpoints",
        (AGENT,),
        json=True,
    ),
    Command(
        "restore",
        "Recover by hand",
        "state",
        "write the workspace as a checkpoint saved it into another folder; the work itself is not touched",
        "restore:restore",
        (AGENT, SEQ, TO_FOLDER),
        json=True,
    ),
    _order("nudge", "wake it: close a dialog, mend its status file, leave and type a message"),
    _order("resume", "end it and bring it back from its last checkpoint", NOTE, HANDOFF),
    _order("restart", "end it and start it afresh with a handoff", NOTE, HANDOFF),
    _order("reassign", "end it and start it on another profile or model", TO, NOTE, HANDOFF),
    _order("escalate", "give up on it and call a person"),
    _order("pause", "hands off: it runs on, unjudged"),
    _order("unpause", "judge it again, from now"),
    _order("stop", "end it, and leave it ended"),
    _order("start", "start it after a stop; it goes on with its open task", NOTE, HANDOFF),
    _order("clear", "close its incident, refill its budgets, remove the marker; start it if it has ended"),
    Command(
        "decide",
        "Recover by hand",
        "daemon",
        "answer an open incident, in place of the parent agent or the policy",
        "decision:decide",
        (INCIDENT, STRATEGY, NO_WAIT, TIMEOUT),
    ),
    Command(
        "retry",
        "Recover by hand",
        "daemon",
        "clear its agent and have it try a failed task again",
        "tasks:retry",
        (TASK, NOTE, HANDOFF, NO_WAIT, TIMEOUT),
    ),
    Command(
        "heal",
        "Recover by hand",
        "daemon",
        "one immediate pass of detection and healing, or the daemon itself",
        "supervise:heal",
        (CHECK_NOW, START_DAEMON, VERBOSE, INTERVAL, THRESHOLD, TIMEOUT),
        one_of=("--check-now", "--start-daemon"),
    ),
    Command(
        "send",
        "Talk",
        "daemon",
        "type text into an agent's pane",
        "panes:send",
        (AGENT, TEXT, ANSWER, ONE_KEY, NO_WAIT, TIMEOUT),
    ),
    Command("attach", "Talk", "daemon", "take over an agent's pane", "panes:attach", (AGENT,)),
    _letter("beat", "I am alive, and this is how far I am"),
    _letter("checkpoint", "what is done, and what comes next"),
    _letter("done", "the task is finished"),
    _letter("fail", "the task cannot be finished"),
    _letter("ask", "a question for a person"),
    Command(
        "mcp",
        "For agents",
        "nothing",
        "the same as tools of an MCP server on stdin and stdout, for the agent's CLI to start",
        "mcp:mcp",
    ),
    Command("--version", "About", "nothing", "print the version", "about:version"),
    Command("--help", "About", "nothing", "print this", "about:overview"),
)

BY_NAME: dict[str, Command] = {command.name: command for command in COMMANDS}
