"""One long-lived `tmux -C` client: commands in, answers out, 0.1 ms each; a new tmux process takes 2 to 10.

It watches and asks; it never types and never resizes (no `refresh-client -C`, ever). It attaches to the hub
session with `no-output`: a client that takes output and stops reading would freeze the agents' own panes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import cast

from .leftovers import signed
from .tmux_words import HUB, command_line

NO_SESSION = "can't find session"
"""What tmux says to who attaches to a session that is not there."""
_ANSWER_LIMIT = 16 * 2**20
"""Bytes of one answer; more means that we lost count of the frames."""


@lru_cache(maxsize=4096)
def _line(words: tuple[str, ...]) -> bytes:
    """The same few questions are asked of the same panes all day."""
    return command_line(words)


class ControlLost(Exception):
    """The connection is gone; nothing is known about the agents until there is a new one."""


class ControlLate(ControlLost):
    """tmux did not answer in time; nothing is known until it does, on this connection: `caught_up`.

    Not until a new one: a server that stood still for a while may end itself (tmux 3.3a does) when it finds
    several clients that came and went meanwhile."""


class ControlRefused(Exception):
    """tmux answered that it cannot do that; the message is tmux's own."""


class _Batch:
    """Commands written in one go, and what came back for them so far."""

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self.count = count
        self.answers: list[list[str] | ControlRefused] = []
        self.done: asyncio.Future[None] = loop.create_future()
        self.lost = ""

    def lose(self, why: str) -> None:
        self.lost = why
        if not self.done.done():
            self.done.set_result(None)

    def add(self, answer: list[str] | ControlRefused) -> bool:
        """Whether that was the last."""
        self.answers.append(answer)
        if len(self.answers) == self.count and not self.done.done():
            self.done.set_result(None)
        return len(self.answers) == self.count


class _Frames(asyncio.SubprocessProtocol):
    """Cuts the byte stream into answers: `%begin T N F` ... `%end T N F`. Everything else is a notice.

    An answer's lines are the panes' own text and may look like anything, guards included, so only the exact
    guard ends it; where something follows that cannot be a notice, a guard was guessed, and all is void.
    F is 1 for our commands; the attach itself and hooks answer with 0."""

    def __init__(self, lost: Callable[[str], None], noticed: Callable[[str], None]) -> None:
        self._lost = lost
        self._noticed = noticed
        self._rest = bytearray()
        self._guard: bytes | None = None
        self._size = 0
        self._lines: list[str] = []
        self.waiting: deque[_Batch] = deque()
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
        if self._guard is not None:
            if line in (b"%end " + self._guard, b"%error " + self._guard):
                guard, self._guard = self._guard, None
                self._answer(guard, refused=line.startswith(b"%error "))
            else:
                self._size += len(line)
                self._lines.append(line.decode("utf-8", "replace"))
        elif line.startswith(b"%begin "):
            self._guard, self._lines, self._size = line[7:], [], 0
        elif line.startswith(b"%exit"):
            self._lost(f"tmux said {line[:80].decode('utf-8', 'replace').strip()}")
        elif not line.startswith(b"%") or line.startswith((b"%end ", b"%error ")):
            self._lost(f"tmux's answers cannot be told apart any more: {line[:80]!r}")
        else:
            self._noticed(line.partition(b" ")[0].decode("ascii", "replace"))

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
        said = ControlRefused("; ".join(self._lines)[:300]) if refused else self._lines
        if self.waiting[0].add(said):
            self.waiting.popleft()


class ControlClient:
    """The connection to the server on `socket`. `on_lost(why)` is called once, on the loop, at its end;
    `on_notice(kind)` for each notice of tmux's own accord, such as `%sessions-changed`."""

    def __init__(
        self,
        socket: str,
        *,
        tmux: str = "tmux",
        on_lost: Callable[[str], None] | None = None,
        on_notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._argv = [tmux, "-L", socket, "-u", "-N", "-C", "attach-session", "-t", f"={HUB}",
                      "-f", "no-output,ignore-size"]  # fmt: skip
        self._on_lost = on_lost
        self._on_notice = on_notice
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._frames: _Frames | None = None
        self.why_lost = ""

    @property
    def alive(self) -> bool:
        return self._stdin is not None and not self.why_lost

    async def connect(self, within: float = 5.0) -> None:
        """Attach. Raises ControlLost; ControlLate when that takes longer than `within` seconds."""
        loop = asyncio.get_running_loop()
        environ = {k: v for k, v in os.environ.items() if k not in {"TMUX", "TMUX_PANE"}} | signed()
        frames = self._frames = _Frames(self._lose, self._on_notice)
        try:
            transport, _ = await loop.subprocess_exec(
                lambda: frames, *self._argv, stderr=asyncio.subprocess.DEVNULL, env=environ,
                start_new_session=True,
            )  # fmt: skip
            self._transport = transport
            self._stdin = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
            await asyncio.wait([frames.attached], timeout=within)
        except OSError as e:
            self._lose(f"tmux could not be started: {e.strerror}")
        if self.why_lost:
            await self.close()
            raise ControlLost(self.why_lost)
        if not frames.attached.done():
            raise ControlLate(f"tmux did not let us attach within {within:g} s")

    async def caught_up(self, within: float) -> bool:
        """Whether tmux has let us in and answered all it was asked, after at most `within` seconds.
        Raises ControlLost."""
        frames = self._frames
        if frames is None or self.why_lost:
            raise ControlLost(self.why_lost or "not connected to tmux")
        behind = [frames.attached, *(batch.done for batch in frames.waiting)]
        _, missing = await asyncio.wait(behind, timeout=within)
        if self.why_lost:
            raise ControlLost(self.why_lost)
        return not missing

    async def run(self, *words: str, within: float = 5.0) -> list[str]:
        """The lines tmux answers to one command. Raises ControlRefused, ControlLost, ControlLate."""
        answer = (await self.run_all([words], within=within))[0]
        if isinstance(answer, ControlRefused):
            raise answer
        return answer

    async def run_all(
        self, commands: Sequence[Sequence[str]], within: float = 5.0
    ) -> list[list[str] | ControlRefused]:
        """All commands in one go, answers in order. Raises ControlLost; ControlLate when the last of them is
        later than `within` seconds: they come in order, so those that do not matter any more are skipped."""
        if self._stdin is None or self._frames is None or self.why_lost:
            raise ControlLost(self.why_lost or "not connected to tmux")
        if not commands:
            return []
        # Panes' text may hold guards that were guessed and shift all answers. Only when a word that nobody
        # can foresee comes back in its own place were the others in theirs.
        nonce = secrets.token_hex(12)
        batch = _Batch(len(commands) + 1, asyncio.get_running_loop())
        self._frames.waiting.append(batch)
        # One command a line: each gets its own answer, also when the one before was refused.
        asked = b"".join([_line(tuple(words)) for words in commands])
        self._stdin.write(asked + command_line(["display-message", "-p", nonce]))
        await asyncio.wait([batch.done], timeout=within)
        if not batch.done.done():
            raise ControlLate(f"tmux did not answer {commands[0][0]} within {within:g} s")
        if batch.lost:
            raise ControlLost(batch.lost)
        if batch.answers.pop() != [nonce]:
            why = "tmux's answers cannot be told apart any more: somebody guessed their frames"
            self._lose(why)
            raise ControlLost(why)
        return batch.answers

    async def close(self) -> None:
        """Detach and wait for the client process to be gone. No `on_lost` for this."""
        self._on_lost = None
        self._lose("closed")
        transport, frames = self._transport, self._frames
        if transport is None or frames is None:
            return
        self._transport = self._stdin = None
        if not frames.ended.is_set():
            self._kill(transport)
            await frames.ended.wait()
        transport.close()

    @staticmethod
    def _kill(transport: asyncio.SubprocessTransport) -> None:
        # Not transport.kill(): that takes the exit status away from asyncio's own waiting.
        with contextlib.suppress(ProcessLookupError):
            os.kill(transport.get_pid(), signal.SIGKILL)

    def _lose(self, why: str) -> None:
        if self.why_lost:
            return
        self.why_lost = why
        frames = self._frames
        if frames is not None:
            if not frames.attached.done():
                frames.attached.set_result(None)
            while frames.waiting:
                frames.waiting.popleft().lose(why)
        if self._on_lost is not None:
            self._on_lost(why)
