"""Carry one call out: find the function of its command, and turn whatever goes wrong into an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module

from .output import Screen, complain, inert
from .parsing import PROGRAM, Call, parse
from .refusal import INTERRUPTED, UNHEALTHY, USAGE, Refusal

_CONFIG_ERROR = ("config.problems", "ConfigError")
_PLAIN = (
    ("config.paths", "StateDirError"),
    ("controller.ledger.errors", "LedgerError"),
    ("controller.ports", "TerminalsError"),
    ("controller.letters.orders", "OrderError"),
    ("controller.daemon.daemon", "DaemonError"),
)
"""Errors whose message already says what happened, where, and what to do next."""

Entry = Callable[[Call, Screen], int]


def run(words: list[str]) -> int:
    """Parse and run; never lets an expected trouble out as a traceback. Returns the exit code."""
    _forgiving(sys.stdout)
    _forgiving(sys.stderr)
    screen = Screen(sys.stdout)
    try:
        code = _carry_out(words, screen)
        screen.flush()
        return code
    except BrokenPipeError:
        _drop_stdout()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED


def _carry_out(words: list[str], screen: Screen) -> int:
    try:
        call = parse(words)
        return entry_of(call)(call, screen)
    except Refusal as no:
        complain(*no.lines)
        return no.code
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:
        code = _told(error)
        if code is None:
            raise
        return code
    except SystemExit as end:  # argparse, after printing `--help`
        return end.code if isinstance(end.code, int) else 0


def entry_of(call: Call) -> Entry:
    module, _, function = call.command.entry.partition(":")
    entry: Entry = getattr(import_module(f"{__package__}.{module}"), function)
    return entry


def _told(error: Exception) -> int | None:
    """Tell a trouble whose message says where and what to do, and give its exit code; None for anything else,
    which is a fault of ours."""
    problems = getattr(error, "problems", None) if _is(error, *_CONFIG_ERROR) else None
    if problems is not None:
        complain(*(inert(problem, 1000) for problem in problems))
        return USAGE
    if isinstance(error, OSError) or any(_is(error, module, name) for module, name in _PLAIN):
        complain(f"{PROGRAM}: {inert(_words(error), 1000)}")
        return UNHEALTHY
    return None


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; see `{PROGRAM} doctor`"
    return str(error)


def _is(error: Exception, module: str, name: str) -> bool:
    """Whether the error is of that class, without importing a module that cannot have raised it."""
    loaded = sys.modules.get(f"hhmrs.{module}")
    return loaded is not None and isinstance(error, getattr(loaded, name))


def _forgiving(stream: object) -> None:
    """A character the terminal's encoding lacks is shown by its code instead of ending the program."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _drop_stdout() -> None:
    """The reader has gone (`| head`). Python's own flush at exit must not complain about it."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass
