"""What needs a terminal: the screen itself, and the demo."""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ...config.problems import ConfigError
from .first import first_run, known_place, mend_first
from .output import Screen
from .parsing import PROGRAM, Call
from .place import Place, find_place, is_fleet_name
from .refusal import NoFleetFile, usage
from .supervise import ensure_up

if TYPE_CHECKING:
    from ..early import EarlyScreen


def open_screen(call: Call, screen: Screen) -> int:
    gc.disable()  # hardly any of what is loaded until the first paint is garbage; `run_app` enables it again
    early = _quiet_terminal(screen)
    try:
        if early is not None and "TEXTUAL_DRIVER" not in os.environ:
            _show_early(early, call.get("config"), call.get("fleet"))
        return _open(call, screen, early)
    finally:
        if early is not None:
            early.tell()
        gc.enable()


def _quiet_terminal(screen: Screen) -> EarlyScreen | None:
    """The terminal, where there is one, from now on without an echo."""
    if not (sys.stdin.isatty() and screen.tty) or os.environ.get("TERM", "dumb") == "dumb":
        return None
    from ..early import EarlyScreen

    return EarlyScreen()


def _show_early(early: EarlyScreen, config: str | None, fleet: str | None) -> None:
    from ...config.paths import StateDir, find_fleet_file, state_root
    from ..early import fitting_glyphs, show_early
    from ..glimpse import find

    try:
        if config is None and fleet is not None:
            state, path = StateDir(state_root(), fleet) if is_fleet_name(fleet) else None, None
        else:
            path = Path(config).expanduser() if config is not None else find_fleet_file(Path.cwd())
            state = find(path, fleet) if path is not None else None
    except (OSError, ValueError, RuntimeError):
        return  # told by the ordinary way
    if state is not None:
        show_early(early, state, path, fitting_glyphs())


def _open(call: Call, screen: Screen, early: EarlyScreen | None) -> int:
    started = time.time()
    terminal = sys.stdin.isatty() and screen.tty
    try:
        place = find_place(call, Place.is_supervised)
    except NoFleetFile:
        if not terminal:
            raise
        gc.enable()
        _leave(early)
        return _open(call, screen, early) if first_run(screen) == "open" else 0
    except ConfigError as error:
        if not terminal:
            raise
        if (place_known := known_place(error)) is None:
            gc.enable()
            _leave(early)
            code = mend_first(error)
            return _open(call, screen, early) if code is None else code
        place = place_known
    if terminal and place.spec is None and place.reader() is not None:
        return _look_only(place, early)
    fleet = place.need_spec()
    if not terminal:
        raise usage(
            f"{PROGRAM}: this is no terminal, the screen cannot be shown; try `{place.hint('status')}`"
        )
    from ...controller.reports.roster import keep_roster
    from ..early import fitting_glyphs, show_early

    holder = place.holder()
    if holder is None or not holder.ready:
        _leave(early)
    else:
        keep_roster(place.state, fleet, started)
        if early is not None and not early.shown and "TEXTUAL_DRIVER" not in os.environ:
            show_early(early, place.state, fleet.path, fitting_glyphs())
    if holder is None:
        screen.say(f"starting the daemon of fleet {fleet.fleet} ...")
        screen.flush()
    ensure_up(place)
    from ..app import run_app
    from ..daemon_source import DaemonSource
    from .panes import terminals_of

    return run_app(DaemonSource(place.state, fleet, terminals_of(place)), early=early)


def _leave(early: EarlyScreen | None) -> None:
    if early is not None:
        early.tell()


def _look_only(place: Place, early: EarlyScreen | None) -> int:
    """No daemon starts by a broken file, but the fleet can be looked at, and one that runs heals on."""
    from ..app import run_app
    from ..daemon_source import DaemonSource
    from .panes import terminals_of

    return run_app(
        DaemonSource(place.state, None, terminals_of(place), config=place.config, flaws=place.problems),
        early=early,
    )


def demo(call: Call, _screen: Screen) -> int:
    from ..demo.runner import run_demo

    headless = bool(call.get("headless"))
    if not (headless or call.json or (sys.stdin.isatty() and sys.stdout.isatty())):
        raise usage(
            f"{PROGRAM} demo: this is no terminal; the demo has no screen; try `{PROGRAM} demo --headless`"
        )
    return run_demo(headless, call.json, keep=bool(call.get("keep")))
