"""Views that are read: one moves in them, and searches in them. A match is marked without colour as well."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

from .lines import LineView

MATCH = Style(reverse=True)
CHOSEN = Style(reverse=True, bold=True, underline=True)
MOST_MATCHES = 10_000
"""Lines with a match that are gone through; who has more of them asks for too little."""


class ReadView(LineView):
    """`needle`: what is searched for, empty for nothing; capital letters count if there are any in it."""

    needle = ""
    _pattern: re.Pattern[str] | None = None
    _hits: Sequence[int] = ()
    """Lines with a match, in order."""
    _hit = -1
    """The chosen one's place among them."""

    # -- for subclasses ---------------------------------------------------------------------------
    def plain(self, index: int) -> str:
        """Line `index` as text alone."""
        return self.draw(index).plain

    @property
    def lines(self) -> int:
        return len(self._keys)

    # -- moving -----------------------------------------------------------------------------------
    def step(self, by: int) -> None:
        """So many lines down; up when negative."""
        self.scroll_relative(y=by, animate=False, immediate=True)

    def page(self, by: int) -> None:
        self.step(by * max(1, self.size.height - 1))

    def edge(self, side: int) -> None:
        """To the first line when `side` is negative, else to the last."""
        self.scroll_to(y=0 if side < 0 else self.max_scroll_y, animate=False, immediate=True)

    def sideways(self, by: int) -> None:
        self.scroll_relative(x=by, animate=False, immediate=True)

    def reach(self, index: int) -> None:
        """Bring a line into sight, with some of what is around it."""
        top, height = self.scroll_offset.y, self.size.height
        if not top <= index < top + height:
            self.scroll_to(y=max(0, index - height // 3), animate=False, immediate=True)

    # -- searching --------------------------------------------------------------------------------
    def search(self, needle: str) -> None:
        """Mark all matches and go to the first in sight or below, else to the last one."""
        self.needle = needle
        flags = re.IGNORECASE if needle == needle.lower() else re.NOFLAG
        self._pattern = re.compile(re.escape(needle), flags) if needle else None
        self._seek()
        if self._hits:
            self._hit = min(bisect_left(self._hits, self.scroll_offset.y), len(self._hits) - 1)
            self.reach(self._hits[self._hit])
        self.refresh()

    def next_match(self, by: int) -> None:
        """To the next line with a match, the one before when negative; round the ends."""
        if self._hits:
            self._hit = (self._hit + by) % len(self._hits)
            self.reach(self._hits[self._hit])
            self.refresh()

    @property
    def found(self) -> tuple[int, int]:
        """Which match is chosen, counted from 1, and how many lines have one."""
        return self._hit + 1, len(self._hits)

    def show(self, keys: Sequence[object], wide: int = 0) -> None:
        same = keys is self._keys or keys == self._keys
        before = self._hits[self._hit] if self._hits else None
        text = self.plain(before) if before is not None and not same else ""
        super().show(keys, wide)
        if self._pattern is not None and not same:
            self._seek()
            self._find_again(text, before)

    def _seek(self) -> None:
        pattern, hits = self._pattern, []
        if pattern is not None:
            for index in range(len(self._keys)):
                if pattern.search(self.plain(index)):
                    hits.append(index)
                    if len(hits) >= MOST_MATCHES:
                        break
        self._hits, self._hit = hits, -1

    def _find_again(self, text: str, before: int | None) -> None:
        """The chosen match is a line, wherever that went; the nearest one alike, or the nearest."""
        if not self._hits:
            return
        if before is None:
            self._hit = len(self._hits) - 1
            return
        alike = [i for i, index in enumerate(self._hits) if self.plain(index) == text]
        self._hit = min(alike or range(len(self._hits)), key=lambda i: abs(self._hits[i] - before))

    def marked(self, text: Text, index: int, behind: int = 0) -> Text:
        """`text`, line `index` with `behind` cells put before it, with its matches marked."""
        if self._pattern is None:
            return text
        chosen = self._hits and self._hit >= 0 and self._hits[self._hit] == index
        for found in self._pattern.finditer(text.plain, behind):
            text.stylize(CHOSEN if chosen else MATCH, *found.span())
        return text
