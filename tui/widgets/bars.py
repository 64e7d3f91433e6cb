"""The one-line parts around the tree: the headline and the key bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.widgets import Static

from ...healing.agent import Phase
from ..bar_lines import bar_line, headline, old, unseen
from ..document import Agent, Fleet
from ..keys.key import Key
from ..looks import Glyphs, age
from ..themes import palette
from ..tones import Tone
from ..tree import tally

__all__ = ["Headline", "KeyBar", "Offer", "OneLine", "old"]


class OneLine(Static):
    """A line of Rich text, cut at the edge; never parses markup."""

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self.auto_links = False
        self.glyphs = glyphs
        self._shown: object = None

    @property
    def colours(self) -> dict[Tone, str]:
        return palette(self.app.current_theme.dark)

    def put_line(self, key: object, make: Callable[[], Text]) -> None:
        """Paint only when `key` differs from the last one."""
        theme = self.app.theme
        if (key, theme, self.size.width) == self._shown:
            return
        self._shown = (key, theme, self.size.width)
        text = make()
        text.no_wrap, text.overflow = True, "ellipsis"
        self.update(text, layout=False)  # each has its height; a new layout paints everything again


class Headline(OneLine):
    """Fleet, daemon and counts; before the first look, that there was none."""

    _counted: tuple[Sequence[Agent], tuple[tuple[Phase, int], ...]] = ((), ())
    """The agents that were counted last, and how many are in which phase."""

    def put(self, fleet: Fleet, words: tuple[tuple[str, Tone], ...]) -> None:
        if self._counted[0] is not fleet.agents:
            self._counted = (fleet.agents, tally(fleet.agents, least=-1))
        up, counts = fleet.up and fleet.frozen is None, self._counted[1]
        quiet = unseen(fleet)
        key = (fleet.name, up, fleet.mode, age(fleet.uptime), fleet.cascade, counts, words, quiet)
        self.put_line(key, lambda: headline(fleet, words, self.glyphs, self.colours, self.app.size.width))


@dataclass(frozen=True, slots=True)
class Offer:
    """A key in the bar and, when it is off, why."""

    key: Key
    label: str
    reason: str | None = None


class KeyBar(OneLine):
    """The keys that matter now; those that are off stay in sight, struck out. Each can be clicked."""

    def put(self, offers: Sequence[Offer]) -> None:
        self.put_line(
            tuple((o.key.id, o.label, o.reason is None) for o in offers), lambda: self._text(offers)
        )

    def _text(self, offers: Sequence[Offer]) -> Text:
        return bar_line(
            [(o.key, o.label, o.reason is None) for o in offers], self.colours, self.app.size.width
        )
