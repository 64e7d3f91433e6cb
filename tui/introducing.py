"""The words of the first run, and of a fleet file with problems. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .looks import clean
from .tones import Tone

Piece = tuple[str, Tone, str]
"""Text, its tone, and the action that a click on it does; mostly none."""


@dataclass(frozen=True, slots=True)
class Began:
    """What came of writing the first fleet file."""

    ok: bool
    lines: tuple[str, ...]


def first_lines(folder: str, began: Began | None) -> list[list[Piece]]:
    """The first run, in lines that may be broken at spaces."""
    lines = [
        _said("hhmrs-tui", Tone.BUSY),
        _said("A supervisor for AI coding agents in tmux."),
        [],
        _said(
            "It starts the agents of a fleet file, each in a tmux pane of its own, watches them by "
            "arithmetic alone, and brings back those that hang, crash or go in circles. "
            "What it cannot heal it tells you.",
            Tone.QUIET,
        ),
        [],
    ]
    if began is not None and began.ok:
        lines += [
            _said(clean(line, 400), Tone.GOOD if not n else Tone.QUIET) for n, line in enumerate(began.lines)
        ]
        lines += [[], _offer("enter", "start the daemon and open the fleet", "screen.open")]
        lines += [_offer("q", "edit the file first; `hhmrs` opens it then", "screen.leave")]
        return lines
    if began is not None:
        lines += [_said(clean(line, 400), Tone.SICK) for line in began.lines] + [[]]
    else:
        lines += [_said(f"There is no hhmrs.yaml in {clean(folder, 300)} or above it."), []]
    return [
        *lines,
        _offer("i", "write a first one here, for the agent programs found on this machine", "screen.init"),
        _offer(
            "d", "watch a fleet of scripted agents fail and be healed; nothing of it stays", "screen.demo"
        ),
        _offer("q", "leave", "screen.leave"),
    ]


def broken_lines(problems: Sequence[str]) -> list[list[Piece]]:
    """Why the fleet cannot be opened."""
    count = len(problems)
    return [
        _said(f"The fleet file has {count} problem{'s' if count != 1 else ''}.", Tone.BAD),
        _said("Nothing was started. Mend it and save it: it is read again by itself.", Tone.QUIET),
        [],
        *(_said(clean(problem, 1000)) for problem in problems),
    ]


def _said(text: str, tone: Tone = Tone.TEXT) -> list[Piece]:
    return [(text, tone, "")]


def _offer(key: str, about: str, action: str) -> list[Piece]:
    return [(f"  {key:<7}", Tone.BUSY, action), (about, Tone.TEXT, action)]
