"""The agent's pane in its own colours: a capture goes in, only lines that differ are decoded and painted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip

from ..inert import inert
from ..looks import clean
from .reading import ReadView
from .still import StillView

__all__ = ["PaneView", "StillView", "settle", "tame"]

_SGR = re.compile(r"\x1b\[([0-9;:]{0,80})m")
_ANY_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])?"
)
WINDOW = 6
"""Lines by which a place in a pane is known again."""
_CARRIED = 16
"""At most this many colour changes are carried from line to line; tmux never needs more."""


@lru_cache(1024)  # most lines of a capture were in the one before
def tame(line: str, width: int = 500) -> str:
    """Keep text and colours of one captured line; every other control or escape is dropped."""
    kept = _ANY_ESCAPE.sub(lambda m: m[0] if _SGR.fullmatch(m[0]) else "", line[: width * 20])
    return inert(kept.replace("\t", "    ").replace("\n", ""))


def settle(lines: Sequence[str]) -> list[str]:
    """Each line made to stand alone: tmux carries colours on to the next line, we decode line by line."""
    carry: list[str] = []
    settled: list[str] = []
    for raw in lines:
        line = tame(raw)
        settled.append("".join(f"\x1b[{codes}m" for codes in carry) + line)
        for codes in _SGR.findall(line):
            if codes in ("", "0"):
                carry = []
            else:
                carry = [*carry, codes][-_CARRIED:] if not codes.startswith("0;") else [codes]
    while settled and not _ANY_ESCAPE.sub("", settled[-1]).strip():
        settled.pop()
    return settled


def moved_up(before: Sequence[object], after: Sequence[object], top: int) -> int:
    """By how many lines what stood from line `top` on stands higher up now: of a pane only the newest lines
    are kept. 0 also where it is there no more."""
    window = list(before[top : top + WINDOW])
    for gone in range(top + 1 if window else 0):
        if list(after[top - gone : top - gone + len(window)]) == window:
            return gone
    return 0


class PaneView(ReadView):
    """Follows the bottom of the pane, as a terminal does, until one scrolls up: then what is read stays where
    it is while the agent prints on."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, follow=True)
        self.agent: str | None = None
        self._blank = True
        self._decoded: dict[str, Text] = {}

    def take(self, agent: str | None, lines: Sequence[str], fault: str = "") -> None:
        """Show a capture of `agent`'s pane, or `fault` instead."""
        if agent != self.agent or self._blank:
            self.agent, self._blank = agent, False
            self._follow = True
            self._keys, self._wide = (), -1
            self.scroll_to(0, self.max_scroll_y, animate=False, immediate=True)
        settled = [f"\x1b[2m{clean(fault)}\x1b[0m"] if fault else settle(lines)
        known = self._decoded
        self._decoded = {line: known.get(line) or Text.from_ansi(line) for line in dict.fromkeys(settled)}
        wide = max((text.cell_len for text in self._decoded.values()), default=0)
        top, at_end = self.scroll_offset.y, self.scroll_offset.y >= self.max_scroll_y
        gone = 0 if at_end else moved_up(self._keys, settled, top)
        self.show(settled, wide)
        if gone:
            self.scroll_to(y=max(0, top - gone), animate=False, immediate=True)

    def turn_to(self, agent: str | None) -> None:
        """Another agent's pane is wanted: what is shown is not its, and goes at once."""
        self.agent, self._blank = agent, True
        self.refresh(Region(0, 0, self.size.width, max(0, min(self.size.height, len(self._keys)))))

    def render_line(self, y: int) -> Strip:
        return self._none if self._blank else super().render_line(y)

    def draw(self, index: int) -> Text:
        return self.marked(self._decoded[str(self._keys[index])].copy(), index)

    def plain(self, index: int) -> str:
        return self._decoded[str(self._keys[index])].plain
