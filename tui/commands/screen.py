"""What needs a terminal: the screen itself, and the demo."""

from __future__ import annotations

import sys

from .output import Screen
from .parsing import PROGRAM, Call
from .place import Place, find_place
from .refusal import usage
from .supervise import ensure_up


def open_screen(call: Call, screen: Screen) -> int:
    place = find_place(call, Place.is_supervised)
    fleet = place.need_spec()
    if not (sys.stdin.isatty() and screen.tty):
        raise usage(
            f"{PROGRAM}: this is no terminal, the screen cannot be shown; try `{place.hint('status')}`"
        )
    if place.holder() is None:
        screen.say(f"starting the daemon of fleet {fleet.fleet} ...")
        screen.flush()
    ensure_up(place)
    from ..app import run_app
    from ..daemon_source import DaemonSource
    from .panes import terminals_of

    return run_app(DaemonSource(place.state, fleet, terminals_of(place)))


def demo(call: Call, _screen: Screen) -> int:
    from ..demo.runner import run_demo

    headless = bool(call.get("headless"))
    if not (headless or call.json or (sys.stdin.isatty() and sys.stdout.isatty())):
        raise usage(
            f"{PROGRAM} demo: this is no terminal; the demo has no screen; try `{PROGRAM} demo --headless`"
        )
    return run_demo(headless, call.json, keep=bool(call.get("keep")))
