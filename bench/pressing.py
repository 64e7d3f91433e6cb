"""A program under a pty, as a person has it: keys go in, and it is known when their effect was painted."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence

import psutil

_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])"
)
KEPT = 1 << 20
"""Bytes of what it painted last that are searched for an effect; more than any one paint."""


class Pressed:
    """`argv` under a pty of `size` (columns, rows). Times are of time.perf_counter."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], size: tuple[int, int]) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.begun = time.perf_counter()
        self._child = subprocess.Popen(
            argv,
            env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.process = psutil.Process(self._child.pid)
        self._seen = bytearray()
        self._news = threading.Condition()
        self.painted = 0
        """Bytes that it has painted."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            select.select([self._master], [], [])
            try:
                told = os.read(self._master, 1 << 16)
            except OSError:
                told = b""
            with self._news:
                self._seen += told
                self.painted += len(told)
                del self._seen[:-KEPT]
                self._news.notify_all()
            if not told:
                return

    def press(self, key: bytes, sign: bytes, name: bytes, within: float = 5.0) -> float | None:
        """Seconds from the key to the paint that shows `name` behind `sign` (a pattern;
        both without escapes); None: not in time."""
        with self._news:
            self._seen.clear()
            began = time.perf_counter()
            os.write(self._master, key)
        return self._shown(sign, name, began, within)

    def wait_for(self, sign: bytes, name: bytes, within: float) -> float | None:
        """Seconds since it was started until it showed that."""
        return self._shown(sign, name, self.begun, within)

    def _shown(self, sign: bytes, name: bytes, began: float, within: float) -> float | None:
        effect = re.compile(sign + re.escape(name))

        def is_there() -> bool:
            at = self._seen.rfind(name)
            while at >= 0:  # only around the name: to search all of it would slow down what is measured
                if effect.search(_ESCAPE.sub(b"", bytes(self._seen[max(0, at - 400) : at + len(name)]))):
                    return True
                at = self._seen.rfind(name, 0, at)
            return False

        with self._news:
            found = self._news.wait_for(is_there, began + within - time.perf_counter())
            return time.perf_counter() - began if found else None

    def cpu(self, seconds: float) -> float:
        """Percent of one core that it uses in the next `seconds`."""
        before, began = self._used(), time.perf_counter()
        time.sleep(seconds)
        return (self._used() - before) / (time.perf_counter() - began) * 100

    def used(self) -> float:
        """CPU seconds so far, of it and of what it has run and waited for."""
        return self._used()

    def _used(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system + times.children_user + times.children_system

    def memory(self) -> float:
        """Resident MiB."""
        return self.process.memory_info().rss / 2**20

    def close(self) -> None:
        """End it; only what was started here."""
        self._child.terminate()
        try:
            self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        # It ends with the last holder of the other end. Until then the number must not become another's.
        self._reader.join()
        os.close(self._master)
