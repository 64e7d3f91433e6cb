"""What a person reads on stdout: aligned, inert, coloured only where that is wanted; or one JSON document."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO
from unicodedata import category, east_asian_width

from ...config import problems

_STYLES = {"bold": "1", "quiet": "2", "good": "32", "busy": "34", "limit": "33", "hold": "36", "ask": "35",
           "sick": "31", "bad": "1;31", "tron": "38;5;202", "text": "0"}  # fmt: skip


def inert(text: object, limit: int = 400) -> str:
    """One line that cannot steer a terminal or hide its reading direction: such characters become escapes."""
    return problems.inert(str(text), limit)


def width(text: str) -> int:
    """Terminal cells of a text without control characters."""
    return sum(2 if east_asian_width(ch) in "WF" else 0 if category(ch) in ("Mn", "Me") else 1 for ch in text)


def padded(text: str, cells: int) -> str:
    return text + " " * max(0, cells - width(text))


class Screen:
    """stdout for a person. `plain`: no Unicode signs, because the stream's encoding has none."""

    def __init__(self, stream: TextIO, environ: dict[str, str] | None = None) -> None:
        env = dict(os.environ) if environ is None else environ
        self._stream = stream
        self.tty = stream.isatty()
        self.colour = self.tty and not env.get("NO_COLOR") and env.get("TERM") != "dumb"
        self.plain = "utf" not in (stream.encoding or "").lower()

    def say(self, line: str = "") -> None:
        self._stream.write(line + "\n")

    def flush(self) -> None:
        self._stream.flush()

    def document(self, value: Any) -> None:
        """One JSON document. Everything beyond ASCII is escaped, so nothing in it can steer a terminal."""
        import json

        self.say(json.dumps(value, indent=2, allow_nan=False))

    def json_line(self, value: Any) -> None:
        import json

        self.say(json.dumps(value, allow_nan=False))

    def style(self, text: str, name: str) -> str:
        code = _STYLES.get(name, "0")
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code != "0" and text else text

    def bold(self, text: str) -> str:
        return self.style(text, "bold")

    def rails(self, rails: Sequence[bool]) -> str:
        """The lines of a tree before a name: per level whether it goes on; the last is the name's own."""
        blank, passing, branch, last = (
            ("   ", "|  ", "|- ", "`- ") if self.plain else ("   ", "│  ", "├─ ", "└─ ")
        )
        above = "".join(passing if more else blank for more in rails[:-1])
        return above + ((branch if rails[-1] else last) if rails else "")

    def columns(self, rows: Sequence[Sequence[str]], gap: int = 2) -> list[str]:
        """The rows as aligned lines; cells must be unstyled and inert. The last column is not padded."""
        if not rows:
            return []
        widths = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))]
        return [
            (" " * gap).join(padded(c, w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]


def complain(*lines: str) -> None:
    """Lines for stderr. A closed stderr is nobody's trouble."""
    try:
        for line in lines:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (BrokenPipeError, ValueError):
        pass
