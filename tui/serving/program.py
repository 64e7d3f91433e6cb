"""One page's process: textual-serve's service, made to start without a shell and to end in bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping

from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

DRIVER = "hhmrs.tui.serving.driver:PageDriver"
GRACE = 5.0
"""Seconds a page's process has to end by itself, then again after SIGTERM."""


class PageProgram(AppService):
    """`argv` is run for one page. `at`: the path below which files that it hands over are fetched."""

    def __init__(
        self,
        argv: list[str],
        *,
        write_bytes: Callable[[bytes], Awaitable[None]],
        write_str: Callable[[str], Awaitable[None]],
        close: Callable[[], Awaitable[None]],
        downloads: DownloadManager,
        at: str,
    ) -> None:

        async def tell(text: str) -> None:
            await write_str(_fetchable(text, at))

        super().__init__(
            argv[0], write_bytes=write_bytes, write_str=tell, close=close, download_manager=downloads
        )
        self._argv = argv

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        environment: Mapping[str, str] = {
            **self._build_environment(width, height),
            "TEXTUAL_DRIVER": DRIVER,
            "PYTHONIOENCODING": "utf-8",
        }
        process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            # ctrl+c in the server's terminal is for the server, which then ends its pages in good order.
            start_new_session=True,
        )
        assert process.stdin is not None
        self._process, self._stdin = process, process.stdin
        return process

    async def ended(self) -> None:
        """Returns when its process has ended, or speaks no more."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Have it end: asked first, then made to. Safe to call again."""
        task, process = self._task, self._process
        if task is None or process is None:
            return
        self._task = None
        await self._download_manager.cancel_app_downloads(app_service_id=self.app_service_id)
        with contextlib.suppress(OSError):
            await self.send_meta({"type": "quit"})
        for end in (process.terminate, process.kill, None):
            if await _within(process.wait(), GRACE):
                break
            if end is not None:
                end()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _fetchable(text: str, at: str) -> str:
    """What the page is told; a file that the screen hands over is fetched below our path, where the browser's
    cookie goes, and not from the root."""
    match json.loads(text):
        case ["deliver_file_start", str(key)]:
            return json.dumps(["open_url", {"url": f"{at}download/{key}", "new_tab": True}])
        case _:
            return text


async def _within(what: Awaitable[object], seconds: float) -> bool:
    try:
        await asyncio.wait_for(what, seconds)
    except TimeoutError:
        return False
    return True
