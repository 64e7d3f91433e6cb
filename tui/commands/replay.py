"""Play a recorded ledger on the screen. No daemon, no fleet file, and nothing is written."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import find_place
from .refusal import usage

if TYPE_CHECKING:
    from ..sources.recording import Recording

QUIET = 1.0
"""Seconds of reading before it is told."""


def replay(call: Call, screen: Screen) -> int:
    if not (sys.stdin.isatty() and screen.tty):
        raise usage(
            f"{PROGRAM} --replay: this is no terminal, the screen cannot be shown; see `{PROGRAM} events`"
        )
    recording = _recording(_path(call))
    from ..player import Player
    from ..replay_app import run_replay
    from ..sources.replay import ReplaySource

    speed = call.get("speed")
    return run_replay(ReplaySource(recording, Player(recording.begin, recording.end, speed=speed)))


def _path(call: Call) -> Path:
    """The ledger that is named; else that of the fleet one stands in."""
    given: str | None = call.get("ledger")
    if given is None:
        return find_place(call).state.ledger
    if "\0" in given:
        raise usage(f"{PROGRAM}: --replay {inert(given, 60)!r} is no file name")
    return Path(given).expanduser()


def _recording(path: Path) -> Recording:
    from ..sources.recording import RecordingError, open_recording

    told, done = _progress(path.name)
    try:
        return open_recording(path, told)
    except RecordingError as error:
        raise usage(f"{PROGRAM}: {inert(error, 1000)}") from None
    finally:
        done()


def _progress(name: str) -> tuple[Callable[[int, int], None], Callable[[], None]]:
    """Tells how far the reading is, in one line that is written over, once it has lasted a while."""
    began, shown = time.monotonic(), False

    def tell(read: int, whole: int) -> None:
        nonlocal shown
        if sys.stderr.isatty() and time.monotonic() - began > QUIET:
            shown = True
            sys.stderr.write(f"\rreading {inert(name, 60)}: {read} of {whole} events ")
            sys.stderr.flush()

    def done() -> None:
        if shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    return tell, done
