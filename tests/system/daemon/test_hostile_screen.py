"""The real screen in a real terminal, with agents that would like to steer it: every byte that our program
writes to its terminal is looked at, and so is every line that the terminal then shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

SIZE = (100, 30)
MARKUP = "[red]no markup[/] [@click=app.quit]x[/]"
OURS = re.compile(
    r"\x1b\[[0-9;:]*m|\x1b\[\d+;\d+H"  # colours, and where to draw
    r"|\x1b\[\?(?:7|25|1000|1003|1004|1006|1015|1049|2004|2026|2048)[hl]|\x1b\[\?(?:2026|2048)\$p"  # modes
    r"|\x1b\[[<>=]\d*u|\x1b\]22;[a-z-]*\x07"  # the keyboard's, and the pointer's shape
    r"|\x07|\x1bPtmux;\x1b\x1b\]9;hhmrs [^\x00-\x1f\x7f-\x9f]*\x1b\x1b\\\x1b\\"  # an alert of ours
)
LOUD = ("Cc", "Cf", "Cs", "Zl", "Zp")


@dataclass
class Window:
    """A person's own tmux with our program in it. `record`: every byte that the program wrote."""

    socket: str
    record: Path

    def tmux(self, *words: str) -> str:
        argv = ["tmux", "-L", self.socket, "-f", "/dev/null", *words]
        return subprocess.run(argv, capture_output=True, check=False, encoding="utf-8").stdout

    def open(self, folder: Path, line: str) -> None:
        wait, size = self.record.with_suffix(".go"), ("-x", str(SIZE[0]), "-y", str(SIZE[1]))
        ready = f"while ! test -e {shlex.quote(str(wait))}; do sleep 0.05; done"
        shell = f"{ready}; {line}; echo left with $?; exec cat"
        self.tmux("new-session", "-d", *size, "-s", "me", "-c", str(folder), shell)
        self.tmux("set-option", "-s", "set-clipboard", "on")
        self.tmux("pipe-pane", "-O", "-t", "me", f"cat > {shlex.quote(str(self.record))}")
        wait.touch()

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", "-t", "me", *keys)

    def shown(self) -> list[str]:
        return self.tmux("capture-pane", "-p", "-N", "-t", "me").split("\n")[: SIZE[1]]

    def until(self, word: str, within: float = 20.0, *, there: bool = True) -> None:
        end = time.monotonic() + within
        while (word in "\n".join(self.shown())) is not there:
            assert time.monotonic() < end, f"waited in vain for {word!r}:\n" + "\n".join(self.shown())
            time.sleep(0.05)

    def check(self) -> None:
        """Nothing but our own drawing was written, and each line is as wide as the screen."""
        written = self.record.read_bytes().decode("utf-8", "strict" if self._ended() else "ignore")
        text = OURS.sub("", written)
        found = [
            (at, ch) for at, ch in enumerate(text) if ch not in "\r\n" and unicodedata.category(ch) in LOUD
        ]
        assert not found, [(repr(ch), text[max(0, at - 60) : at + 60]) for at, ch in found[:3]]
        lines = self.shown()
        whole = self._ended() or {cell_len(line) for line in lines} == {SIZE[0]}
        assert whole, "\n".join(lines)
        assert self.tmux("list-buffers") == ""
        assert "EVIL" not in self.tmux("display-message", "-p", "-t", "me", "#{pane_title} #{window_name}")

    def _ended(self) -> bool:
        return any("left with" in line for line in self.shown())


@pytest.fixture
def window(tmux_socket: str, tmp_path: Path) -> Iterator[Window]:
    one = Window(tmux_socket, tmp_path / "record")
    yield one
    one.tmux("kill-server")


@pytest.fixture
def hostile(make_fleet: Any, script: Callable[..., list[str]]) -> Any:
    said = "".join(chr(code) for code in (0x1F469, 0x200D, 0x1F467, 0x1F1E9, 0x1F1EA, 0x301, 0x202E, 0x6F22))
    agents = {
        how: {"profile": "shell", "command": script("hostile", how), "workspace": how, "parent": parent,
              "prompt": f"{said}{MARKUP}", "title": f"{how} {MARKUP} {said}"}
        for how, parent in (("work", None), ("ask", "work"), ("fail", "work"))
    }  # fmt: skip
    del agents["work"]["parent"]
    fleet = make_fleet(agents, policy={"heartbeat_interval": "20s", "max_restarts": 1, "max_llm_retries": 0})
    fleet.up()
    fleet.wait(lambda: fleet.phase("ask") == "waiting", what="one asks")
    fleet.wait(lambda: fleet.phase("fail") == "escalated", 60, "one is given up")
    return fleet


VIEWS = (
    ("1", "1 pane"), ("2", "agent phase"), ("3", "tmux"), ("4", "files in"), ("5", "enter: what"),
    ("6", "now:"), ("7", "cpu"),
)  # fmt: skip
PLACES = (
    ("v", "fine "), ("i", "incidents:"), ("Enter", "Post-mortem"), ("Escape", "incidents:"),
    ("Escape", "? help"), ("d", "this night"), ("Escape", "? help"), (",", "FROM"), ("Escape", "? help"),
    ("?", "Recover"), ("Escape", "? help"), ("C-p", "Search for"), ("Escape", "? help"),
)  # fmt: skip
DIALOGS = (
    ("y", "words of your own"), ("r", "The handoff it gets"), ("c", "Clear"), ("t", "(nothing yet)"),
    ("T", "Not now"), ("L", "What came of"),
)  # fmt: skip


def test_nothing_that_agents_say_reaches_the_terminal_as_more_than_text(hostile: Any, window: Window) -> None:
    command = [sys.executable, "-m", "hhmrs", "--config", str(hostile.config)]
    window.open(hostile.folder, shlex.join(command))
    window.until("? help")
    for agent in ("work", "ask", "fail"):
        window.press("g", *["j"] * ("work", "ask", "fail").index(agent))
        for key, word in VIEWS:
            window.press(key)
            window.until(word)
            window.check()
        if agent == "ask":
            for key, word in DIALOGS:
                window.press(key)
                window.until(word)
                window.check()
                window.press("Escape")
                window.until(word, there=False)
    before = "? help"
    for key, word in PLACES:
        window.press(key)
        if key == "Escape":
            window.until(before, there=False)
        window.until(word)
        window.check()
        before = word
    asked = time.monotonic()
    window.press("?")
    window.until("Recover")
    assert time.monotonic() - asked < 3, "it no longer answers keys"
    window.press("Escape")
    window.until("Recover", there=False)
    window.press("q")
    window.until("left with 0")
    window.check()
