"""A person at a terminal of their own: keys go in by send-keys, what is seen comes out by capture-pane."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hhmrs.tests.system.cli.home import Home

SOCKET = "user"
WINDOW = ("-x", "100", "-y", "30")


@dataclass
class Terminal:
    """The person's own tmux, in which our program is one window; a second one is looked at meanwhile."""

    home: Home

    def tmux(self, *words: str) -> str:
        env = {name: value for name, value in self.home.env.items() if name != "NO_COLOR"}
        done = subprocess.run(
            ["tmux", "-L", SOCKET, "-f", "/dev/null", *words],
            env=env,
            text=True,
            capture_output=True,
            check=False,
        )
        return done.stdout

    def open(self, *words: str) -> None:
        line = shlex.join([sys.executable, "-m", "hhmrs", *words]) + "; echo left with $?; exec cat"
        self._window(line)

    def shell(self) -> None:
        """Only a shell, with the programs of this installation on its PATH."""
        path = f"{Path(sys.executable).parent}:{self.home.env['PATH']}"
        self._window(shlex.join(["env", f"PATH={path}", "PS1=$ ", "sh"]))

    def _window(self, line: str) -> None:
        folder = str(self.home.file.parent)
        self.tmux("new-session", "-d", *WINDOW, "-s", "me", "-c", folder, "-n", "app", line)

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", "-t", "me:app", *keys)

    def type(self, words: str) -> None:
        """Letter by letter, as they are."""
        self.tmux("send-keys", "-t", "me:app", "-l", words)

    def shown(self) -> str:
        return self.tmux("capture-pane", "-p", "-t", "me:app")

    def line(self, words: str) -> str:
        """The first line with these words; empty when there is none."""
        return next((line for line in self.shown().splitlines() if words in line), "")

    def until(self, *words: str) -> None:
        """All of these can be read."""
        self.sees(lambda: all(word in self.shown() for word in words), " and ".join(words))

    def reads(self, pattern: str) -> None:
        """A line of this form can be read."""
        self.sees(lambda: re.search(pattern, self.shown()) is not None, pattern)

    def sees(self, holds: Callable[[], bool], what: str) -> None:
        try:
            self.home.until(holds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.shown()}") from None
