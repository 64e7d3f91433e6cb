"""Runs the web server until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

from aiohttp import web

from .door import Door


async def serve_until_told(
    app: web.Application, door: Door, address: str, port: int, ready: Callable[[str], None]
) -> None:
    """Listen on `address` and `port` (0: any that is free), tell `ready` the URL, and return after SIGINT,
    SIGTERM or SIGHUP, with every page closed. Raises OSError when it cannot listen."""
    # The lines of a server's log hold addresses with their token.
    logging.getLogger("aiohttp.access").disabled = True
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, over.set)
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address, port)
        await site.start()
        ready(url_of(runner.addresses[0], address, door))
        await over.wait()
    finally:
        await runner.cleanup()


def url_of(bound: tuple[object, ...], address: str, door: Door) -> str:
    """The address to be given to a browser. One that listens everywhere is called by the loopback's."""
    host = "127.0.0.1" if address in ("0.0.0.0", "::", "") else address  # noqa: S104  # compared, not bound
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{bound[1]}{door.path}?token={door.token}"
