"""The web server: a page, its files, its socket and what it hands over, each behind the door.

The browser's side (xterm, and what is spoken over the socket) is textual-serve's; the paths are ours."""

from __future__ import annotations

import asyncio
import contextlib
import html
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from string import Template

import textual_serve
from aiohttp import WSMsgType, web
from textual_serve.download_manager import DownloadManager

from .door import COOKIE, NOT_YOURS, Door
from .program import PageProgram

log = logging.getLogger(__name__)

STATIC = Path(textual_serve.__file__).parent / "static"
MOST_TEXT = 65_536
"""Characters of one message of a browser: more than a person types, or pastes at once."""
FEWEST_CELLS, MOST_CELLS = 5, 1_000
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
        "img-src 'self' data: blob:; connect-src 'self' {socket}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "clipboard-read=(), camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
TOO_MANY = (
    "{count} pages are open, as many as this server may have, for each is a process of its own.\n"
    "Close one and load this again; `hhmrs serve --pages N` allows more.\n"
)
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pages:
    """`argv` runs the screen of one page; at most `most` run at once. `title`: what the page is called."""

    def __init__(self, door: Door, argv: list[str], most: int, title: str) -> None:
        self._door, self._argv, self._most, self._title = door, argv, most, title
        self._downloads = DownloadManager()
        self._open: dict[web.WebSocketResponse, PageProgram] = {}
        self._waiting = 0
        """Sockets that are taken and have no process yet."""

    @property
    def processes(self) -> list[int]:
        """The pids of the pages' processes."""
        return [program.pid for program in self._open.values() if program.pid is not None]

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=MOST_TEXT)
        at = self._door.path
        app.router.add_get(at, self._page)
        app.router.add_get(f"{at}page.js", self._script)
        app.router.add_get(f"{at}ws", self._socket)
        app.router.add_get(f"{at}download/{{key}}", self._download)
        app.router.add_static(f"{at}static", STATIC)
        app.on_shutdown.append(self._close_all)
        return app

    # -- the door ---------------------------------------------------------------------------------
    @web.middleware
    async def _guard(self, request: web.Request, handler: Serve) -> web.StreamResponse:
        """Nothing behind it is reached, and no path tells whether it is there, before all of this holds."""
        socket = f"ws://{request.headers.get('Host', '')}"
        refused = self._door.why_not(request.headers)
        given = request.query.get("token")
        try:
            if refused is not None:
                response: web.StreamResponse = _words(403, refused)
            elif given is not None and request.path == self._door.path and self._door.knows_token(given):
                response = self._let_in()
            elif not self._door.knows_key(request.cookies.get(COOKIE, "")):
                response = _words(403, NOT_YOURS)
            else:
                response = await handler(request)
        except web.HTTPException as no:
            response = _words(no.status, f"{no.status}: {no.reason}\n")
        if not response.prepared:
            for name, value in HEADERS.items():
                response.headers[name] = value.format(socket=socket if refused is None else "")
        return response

    def _let_in(self) -> web.Response:
        """The token goes out of the address: it would stay in its history and on shared screens."""
        response = web.Response(status=303, headers={"Location": self._door.path})
        response.set_cookie(COOKIE, self._door.key, path=self._door.path, httponly=True, samesite="Strict")
        return response

    # -- what is behind it ------------------------------------------------------------------------
    async def _page(self, request: web.Request) -> web.Response:
        if self._full:
            return _words(503, TOO_MANY.format(count=self._most))
        text = _own("page.html")
        font = request.query.get("fontsize", "")
        filled = Template(text).substitute(
            title=html.escape(self._title),
            static=f"{self._door.path}static",
            script=f"{self._door.path}page.js",
            socket=html.escape(f"ws://{request.headers['Host']}{self._door.path}ws"),
            font=font if font.isdecimal() and 6 <= int(font) <= 40 else "16",
        )
        return web.Response(text=filled, content_type="text/html")

    async def _script(self, _: web.Request) -> web.Response:
        return web.Response(text=_own("page.js"), content_type="text/javascript")

    @property
    def _full(self) -> bool:
        return len(self._open) + self._waiting >= self._most

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        """One page: its process lives as long as its socket."""
        if "Origin" not in request.headers:  # every browser sends it with a socket
            return _words(403, NOT_YOURS)
        if self._full:
            return _words(503, TOO_MANY.format(count=self._most))
        socket = web.WebSocketResponse(heartbeat=15, max_msg_size=4 * MOST_TEXT)
        self._waiting += 1
        try:
            await socket.prepare(request)
            program = self._open[socket] = self._program(socket)
        finally:
            self._waiting -= 1
        try:
            await program.start(
                _cells(request.query.get("width"), 80), _cells(request.query.get("height"), 24)
            )
            await self._speak(socket, program)
        except OSError as error:
            log.warning("a page cannot be shown: %s", error)
        finally:
            await asyncio.shield(self._end(socket, program))
        return socket

    def _program(self, socket: web.WebSocketResponse) -> PageProgram:
        async def close() -> None:
            await socket.close()

        async def write(payload: bytes) -> None:
            with contextlib.suppress(ConnectionError):  # the page was closed while this was on its way
                await socket.send_bytes(payload)

        async def tell(text: str) -> None:
            with contextlib.suppress(ConnectionError):
                await socket.send_str(text)

        return PageProgram(
            self._argv,
            write_bytes=write,
            write_str=tell,
            close=close,
            downloads=self._downloads,
            at=self._door.path,
        )

    async def _speak(self, socket: web.WebSocketResponse, program: PageProgram) -> None:
        """Hand on what the browser says until it goes, or the screen ends."""
        hearing = asyncio.create_task(_hear(socket, program))
        ended = asyncio.create_task(program.ended())
        _, left = await asyncio.wait((hearing, ended), return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(hearing, ended, return_exceptions=True)

    async def _end(self, socket: web.WebSocketResponse, program: PageProgram) -> None:
        try:
            await program.stop()
            await socket.close()
        finally:
            self._open.pop(socket, None)

    async def _close_all(self, _: web.Application) -> None:
        await asyncio.gather(*(self._end(*one) for one in list(self._open.items())))

    async def _download(self, request: web.Request) -> web.StreamResponse:
        """A file that the screen hands over."""
        key = request.match_info["key"]
        try:
            found = await self._downloads.get_download_metadata(key)
        except KeyError:
            return _words(404, "This file is no longer offered; ask the screen for it again.\n")
        name = "".join(ch for ch in found.file_name if ch.isalnum() or ch in "-_. ") or "file"
        # Never shown by the browser itself: what stands in it may come from an agent.
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        response = web.StreamResponse(headers={**headers, "Content-Type": "application/octet-stream"})
        for header in ("Cache-Control", "X-Content-Type-Options", "Cross-Origin-Resource-Policy"):
            response.headers[header] = HEADERS[header]
        await response.prepare(request)
        async for chunk in self._downloads.download(key):
            await response.write(chunk)
        await response.write_eof()
        return response


async def _hear(socket: web.WebSocketResponse, program: PageProgram) -> None:
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            continue
        try:
            said = message.json()
        except ValueError:
            continue
        match said:
            case ["stdin", str(text)] if len(text) <= MOST_TEXT:
                await program.send_bytes(text.encode("utf-8", "replace"))
            case ["resize", {"width": int(width), "height": int(height)}]:
                await program.set_terminal_size(_cells(width, 80), _cells(height, 24))
            case ["ping", str(sent)]:
                await socket.send_json(["pong", sent[:40]])
            case ["blur"]:
                await program.blur()
            case ["focus"]:
                await program.focus()
            case _:
                pass  # nothing that a page of ours says


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _cells(given: object, otherwise: int) -> int:
    try:
        value = int(str(given))
    except ValueError:
        return otherwise
    return max(FEWEST_CELLS, min(MOST_CELLS, value))


def _words(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/plain")
