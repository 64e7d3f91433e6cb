"""One long-lived `tmux -C` client: commands in, answers out, 0.1 ms each; a new tmux process takes 2 to 10.

It watches and asks; it never types and never resizes (no `refresh-client -C`, ever). It attaches to the hub
session with `no-output`: a client that takes output and stops reading would freeze the agents' own panes.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from .tmux_words import HUB, command_line

_ANSWER_LIMIT = 16 * 2**20
"""Bytes of one answer; more means that we lost count of the frames."""


class ControlLost(Exception):
    """The connection is gone or answered late; nothing is known about the agents until there is a new one."""


class ControlRefused(Exception):
    """tmux answered that it cannot do that; the message is tmux's own."""


class _Frames(asyncio.SubprocessProtocol):
    """Cuts the byte stream into answers: `%begin T N F` ... `%end T N F`. Everything else is a notice.

    An answer's lines are the panes' own text and may look like anything, guards included, so only the exact
    guard ends it. F is 1 for our commands; the attach itself and hooks answer with 0."""

    def __init__(self, lost: Callable[[str], None]) -> None:
        self._lost = lost
        self._rest = bytearray()
        self._guard: bytes | None = None
        self._size = 0
        self._lines: list[str] = []
        self.waiting: deque[asyncio.Future[list[str]]] = deque()
        self.attached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != 1:
            return
        self._rest += data
        *whole, rest = self._rest.split(b"\n")
        self._rest = bytearray(rest)
        for line in whole:
            self._line(bytes(line))
        if len(self._rest) + self._size > _ANSWER_LIMIT:
            self._lost("an answer of tmux has no end")

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._lost(f"the connection to tmux (fd {fd}) ended{f': {exc}' if exc else ''}")

    def process_exited(self) -> None:
        self.ended.set()
        self._lost("the tmux client ended")

    def _line(self, line: bytes) -> None:
        if self._guard is None:
            if line.startswith(b"%begin "):
                self._guard, self._lines, self._size = line[7:], [], 0
            elif line.startswith(b"%exit"):
                self._lost(f"tmux said {line[:80].decode('utf-8', 'replace').strip()}")
            return
        if line in (b"%end " + self._guard, b"%error " + self._guard):
            guard, self._guard = self._guard, None
            self._answer(guard, refused=line.startswith(b"%error "))
            return
        self._size += len(line)
        self._lines.append(line.decode("utf-8", "replace"))

    def _answer(self, guard: bytes, *, refused: bool) -> None:
        if not guard.endswith(b" 1"):
            if not self.attached.done() and refused:
                self._lost("tmux refused to attach: " + "; ".join(self._lines)[:200])
            elif not self.attached.done():
                self.attached.set_result(None)
            return
        if not self.waiting:
            self._lost("tmux answered a question nobody asked")
            return
        asked = self.waiting.popleft()
        if asked.done():
            return
        if refused:
            asked.set_exception(ControlRefused("; ".join(self._lines)[:300]))
        else:
            asked.set_result(self._lines)


class ControlClient:
    """The connection to the server on `socket`. `on_lost(why)` is called once, on the loop, at its end."""

    def __init__(
        self, socket: str, *, tmux: str = "tmux", on_lost: Callable[[str], None] | None = None
    ) -> None:
        self._argv = [tmux, "-L", socket, "-u", "-N", "-C", "attach-session", "-t", f"={HUB}",
                      "-f", "no-output,ignore-size"]  # fmt: skip
        self._on_lost = on_lost
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._frames: _Frames | None = None
        self.why_lost = ""

    @property
    def alive(self) -> bool:
        return self._stdin is not None and not self.why_lost

    async def connect(self, within: float = 5.0) -> None:
        """Attach. Raises ControlLost."""
        loop = asyncio.get_running_loop()
        environ = {k: v for k, v in os.environ.items() if k not in {"TMUX", "TMUX_PANE"}}
        frames = self._frames = _Frames(self._lose)
        try:
            async with asyncio.timeout(within):
                transport, _ = await loop.subprocess_exec(
                    lambda: frames, *self._argv, stderr=asyncio.subprocess.DEVNULL, env=environ,
                    start_new_session=True,
                )  # fmt: skip
                self._transport = transport
                self._stdin = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
                await frames.attached
        except TimeoutError:
            self._lose(f"tmux did not let us attach within {within:g} s")
        except OSError as e:
            self._lose(f"tmux could not be started: {e.strerror}")
        if self.why_lost:
            await self.close()
            raise ControlLost(self.why_lost)

    async def run(self, *words: str, within: float = 5.0) -> list[str]:
        """The lines tmux answers to one command. Raises ControlRefused, ControlLost (also when late)."""
        answer = (await self.run_all([words], within=within))[0]
        if isinstance(answer, ControlRefused):
            raise answer
        return answer

    async def run_all(
        self, commands: Sequence[Sequence[str]], within: float = 5.0
    ) -> list[list[str] | ControlRefused]:
        """All commands in one go, answers in order. Raises ControlLost when one is later than `within` s."""
        if self._stdin is None or self._frames is None or self.why_lost:
            raise ControlLost(self.why_lost or "not connected to tmux")
        if not commands:
            return []
        lines = b"".join(map(command_line, commands))
        loop = asyncio.get_running_loop()
        asked: list[asyncio.Future[list[str]]] = [loop.create_future() for _ in commands]
        self._frames.waiting.extend(asked)
        # One command a line: each gets its own answer, also when the one before was refused.
        self._stdin.write(lines)
        _, late = await asyncio.wait(asked, timeout=within)
        if late:
            # Answers come in order, so after one that is late no later one could be told apart.
            self._lose(f"tmux did not answer {commands[0][0]} within {within:g} s")
        answers: list[list[str] | ControlRefused] = []
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, BaseException) and not isinstance(answer, ControlRefused):
                raise answer
            answers.append(answer)
        return answers

    async def close(self) -> None:
        """Detach and wait for the client process to be gone. No `on_lost` for this."""
        self._on_lost = None
        self._lose("closed")
        transport, frames = self._transport, self._frames
        if transport is None or frames is None:
            return
        self._transport = self._stdin = None
        if transport.get_returncode() is None:
            transport.kill()
            await frames.ended.wait()
        transport.close()

    def _lose(self, why: str) -> None:
        if self.why_lost:
            return
        self.why_lost = why
        frames = self._frames
        if frames is not None:
            if not frames.attached.done():
                frames.attached.set_result(None)
            while frames.waiting:
                asked = frames.waiting.popleft()
                if not asked.done():
                    asked.set_exception(ControlLost(why))
        if self._on_lost is not None:
            self._on_lost(why)
