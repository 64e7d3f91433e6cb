"""The screen in a browser: a web server on the loopback, behind a token of this start."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from .output import Screen, complain, inert
from .parsing import PROGRAM, Call
from .place import Place, find_place
from .refusal import UNHEALTHY, Refusal, usage
from .supervise import ensure_up

if TYPE_CHECKING:
    from ..serving.door import Door
    from ..serving.pages import Pages

MISSING = (
    f"{PROGRAM} serve: the browser's part is not installed; install it with "
    "`pip install 'hhmrs-tui[serve]'` (in a clone: script/setup dev)"
)


def serve(call: Call, screen: Screen) -> int:
    """Serves until it is interrupted; then every page is closed, and the agents run on."""
    place = find_place(call, Place.is_supervised)
    fleet = place.need_spec()
    address: str = call.get("listen")
    if not address or "\0" in address:
        raise usage(f"{PROGRAM} serve: --listen {inert(address, 60)!r} is no address")
    try:
        from ..serving.pages import Pages
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("aiohttp", "textual_serve"):
            raise
        raise usage(MISSING) from None
    from ..serving.door import Door, is_loopback

    wide = not is_loopback(address)
    door = Door(names=_names() if wide else frozenset(), open_wide=wide)
    if wide:
        complain(*_warning(address))
    ensure_up(place)
    pages = Pages(door, _argv(place), call.get("pages"), f"hhmrs {fleet.fleet}")
    return _run(pages, door, call, screen)


def _argv(place: Place) -> list[str]:
    """The process of one page. `-P`: what lies in the folder it starts in is never taken for a module."""
    config = str(place.config.resolve()) if place.config is not None else ""
    return [sys.executable, "-P", "-m", "hhmrs.tui.serving.page", "--config", config]


def _run(pages: Pages, door: Door, call: Call, screen: Screen) -> int:
    import asyncio

    from ..serving.server import serve_until_told

    address, port = call.get("listen"), call.get("port")

    def ready(url: str) -> None:
        _say(url, call, screen)

    # What textual-serve prints of a page that failed must not get between the lines of a script.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            asyncio.run(serve_until_told(pages.app(), door, address, port, ready))
        except OSError as error:
            where = f"{inert(address, 60)} port {port}" if port else inert(address, 60)
            advice = "give another one with --port, or none for any that is free" if port else "see --listen"
            line = f"{PROGRAM} serve: cannot listen on {where}: {error.strerror or error}; {advice}"
            raise Refusal(UNHEALTHY, inert(line, 1000)) from None
    if not call.json:
        complain("every page is closed; agents and daemon keep running")
    return 0


def _say(url: str, call: Call, screen: Screen) -> None:
    if call.json:
        screen.document({"url": url, "pages": call.get("pages")})
    else:
        screen.say(f"the screen is served at  {screen.bold(url)}")
        screen.say("Whoever has this address can order the agents about. ctrl+c ends it; the agents run on.")
    screen.flush()


def _warning(address: str) -> tuple[str, ...]:
    return (
        f"{PROGRAM} serve: WARNING: {inert(address, 60)} can be reached from other machines. Whoever has the",
        "address that is printed can order the agents about, that is run programs as you; and what goes over",
        "the network is not encrypted. Safer is `ssh -L 8000:127.0.0.1:PORT` to a server on the loopback.",
    )


def _names() -> frozenset[str]:
    import socket

    return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()} - {""})
