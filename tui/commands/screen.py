"""What needs a terminal: the screen itself, and the demo."""

from __future__ import annotations

import gc
import sys

from ...config.problems import ConfigError
from .first import first_run, known_place, mend_first
from .output import Screen
from .parsing import PROGRAM, Call
from .place import Place, find_place
from .refusal import NoFleetFile, usage
from .supervise import ensure_up


def open_screen(call: Call, screen: Screen) -> int:
    gc.disable()  # hardly any of what is loaded until the first paint is garbage; `run_app` enables it again
    try:
        return _open(call, screen)
    finally:
        gc.enable()


def _open(call: Call, screen: Screen) -> int:
    terminal = sys.stdin.isatty() and screen.tty
    try:
        place = find_place(call, Place.is_supervised)
    except NoFleetFile:
        if not terminal:
            raise
        gc.enable()
        return _open(call, screen) if first_run(screen) == "open" else 0
    except ConfigError as error:
        if not terminal:
            raise
        if (place_known := known_place(error)) is None:
            gc.enable()
            code = mend_first(error)
            return _open(call, screen) if code is None else code
        place = place_known
    if terminal and place.spec is None and place.reader() is not None:
        return _look_only(place)
    fleet = place.need_spec()
    if not terminal:
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


def _look_only(place: Place) -> int:
    """No daemon starts by a broken file, but the fleet can be looked at, and one that runs heals on."""
    from ..app import run_app
    from ..daemon_source import DaemonSource
    from .panes import terminals_of

    return run_app(
        DaemonSource(place.state, None, terminals_of(place), config=place.config, flaws=place.problems)
    )


def demo(call: Call, _screen: Screen) -> int:
    from ..demo.runner import run_demo

    headless = bool(call.get("headless"))
    if not (headless or call.json or (sys.stdin.isatty() and sys.stdout.isatty())):
        raise usage(
            f"{PROGRAM} demo: this is no terminal; the demo has no screen; try `{PROGRAM} demo --headless`"
        )
    return run_demo(headless, call.json, keep=bool(call.get("keep")))
