"""The first frame before the screen itself is loaded, and the terminal as it is meanwhile.

Keys that are pressed meanwhile are neither echoed nor lost: they wait in the terminal's queue until Textual
reads it. Whatever happens, the terminal is put back as it was, and what was said meanwhile is said then.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from ..config.paths import StateDir
from .looks import Glyphs

PLAIN_FONTS = ("linux", "vt100", "vt220")
"""Terminals whose fonts have hardly more than letters."""
OPEN = "\x1b[?1049h\x1b[?25l"
CLOSE = "\x1b[0m\x1b[?1049l\x1b[?25h"
_ENDS = (signal.SIGTERM, signal.SIGHUP)


class EarlyScreen:
    """The terminal until the screen has it: quiet at once, with an early frame on it from `show` on.

    `before`: how it was. Whoever makes one must call `tell` in the end."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self.before: list[Any] = termios.tcgetattr(self._fd)
        self._said, self._errors = io.StringIO(), sys.stderr
        self._draw: Callable[[], bytes] = bytes
        self.shown = False
        self._handlers: dict[int, Any] = {number: signal.signal(number, _end) for number in _ENDS}
        self._hush()

    def _hush(self) -> None:
        """What is typed from now on is not echoed, and waits for who reads it."""
        attributes = termios.tcgetattr(self._fd)
        attributes[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        attributes[0] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
        nothing = os.fpathconf(self._fd, "PC_VDISABLE").to_bytes(1, "little")
        attributes[6][termios.VSUSP] = attributes[6][termios.VQUIT] = nothing
        attributes[6][termios.VMIN], attributes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSANOW, attributes)

    def show(self, draw: Callable[[], bytes]) -> None:
        """`draw`: gives the bytes of the whole frame, for the terminal as large as it is then."""
        first = draw()
        self._draw, self.shown = draw, True
        self._handlers[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, self._again)
        sys.stderr = self._said
        self._write(OPEN.encode() + first)

    def hand_over(self) -> None:
        """From now on the screen draws: the terminal stays as it is; signals and words go their ways."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        if self.shown:
            sys.stderr = self._errors

    def close(self) -> None:
        """Put the terminal back as it was; it does no harm to do so again."""
        self.hand_over()
        shown, self.shown = self.shown, False
        with contextlib.suppress(OSError, termios.error):
            if shown:
                self._write(CLOSE.encode())
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self.before)

    def tell(self) -> None:
        """What was said meanwhile, on the terminal as it was."""
        self.close()
        self._errors.write(self._said.getvalue())
        self._errors.flush()
        self._said = io.StringIO()

    def _again(self, _number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(Exception):  # only a picture: the screen itself paints soon
            self._write(self._draw())

    def _write(self, sent: bytes) -> None:
        sys.stdout.flush()
        fd = sys.stdout.fileno()
        while sent:
            sent = sent[os.write(fd, sent) :]


def fitting_glyphs() -> Glyphs:
    """ASCII signs when the person asks for them (HHMRS_ASCII=1) or others cannot be shown."""
    asked = os.environ.get("HHMRS_ASCII", "") not in ("", "0") or os.environ.get("TERM") in PLAIN_FONTS
    coding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return Glyphs(asked or not coding.startswith("utf"), not coding.startswith("utf"))


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def show_early(early: EarlyScreen, state: StateDir, config: Path | None, glyphs: Glyphs) -> bool:
    """Draw the fleet at once, where all is as usual with it; whether there is a frame now."""
    try:
        return _show(early, state, config, glyphs)
    except Exception:  # noqa: BLE001  # whatever is wrong is told by the ordinary way, which comes next
        return False


def _show(early: EarlyScreen, state: StateDir, config: Path | None, glyphs: Glyphs) -> bool:
    from .early_frame import frame, most_rows, painted
    from .glimpse import glimpse
    from .remembered import Memory

    left = Memory().left(state.fleet)
    seen = glimpse(state, config, most_rows(shutil.get_terminal_size()), left)
    paint = _paint(glyphs)
    size = shutil.get_terminal_size()
    if seen is None or frame(seen, size, paint) is None:
        return False

    def draw() -> bytes:
        size = shutil.get_terminal_size()
        return painted(frame(seen, size, paint) or (), size[0], paint)

    early.show(draw)
    return True


def _paint(glyphs: Glyphs) -> Any:
    from rich.color import ColorSystem

    from .colours import FACES
    from .early_frame import Paint
    from .remembered import Memory

    wishes = (os.environ.get("TEXTUAL_THEME"), Memory().theme())
    theme = next((wish for wish in wishes if wish in FACES), next(iter(FACES)))
    told, term = os.environ.get("COLORTERM", "").strip().lower(), os.environ.get("TERM", "")
    if "NO_COLOR" in os.environ:
        return Paint(glyphs, theme, None)
    if told in ("truecolor", "24bit") or ("COLORTERM" not in os.environ and os.environ.get("TMUX")):
        return Paint(glyphs, theme, ColorSystem.TRUECOLOR)
    return Paint(glyphs, theme, ColorSystem.EIGHT_BIT if "256" in term else ColorSystem.STANDARD)
