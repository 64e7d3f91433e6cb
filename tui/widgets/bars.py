"""The one-line parts around the tree: the headline and the key bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from ..document import Fleet
from ..keys.key import Key
from ..looks import LOOKS, Glyphs, age
from ..themes import palette
from ..tones import Tone
from ..tree import tally


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

    def put(self, fleet: Fleet, words: tuple[tuple[str, Tone], ...]) -> None:
        up, counts = fleet.up and fleet.frozen is None, tally(fleet.agents, least=-1)
        quiet = "" if up else old(_last_change(fleet), fleet.at)
        key = (fleet.name, up, fleet.mode, age(fleet.uptime), fleet.cascade, counts, words, quiet)
        self.put_line(key, lambda: self._text(fleet, words, quiet))

    def _text(self, fleet: Fleet, words: tuple[tuple[str, Tone], ...], quiet: str) -> Text:
        colours = self.colours
        text = Text().append(" hhmrs ", Style(color=colours[Tone.BUSY], bold=True))
        if not fleet.name:
            return text.append("reading the fleet ...", colours[Tone.TEXT])
        text.append(fleet.name, Style(color=colours[Tone.TEXT], bold=True))
        text.append(f"  {self.glyphs.dot} ", colours[Tone.QUIET])
        if quiet:
            text.append("unsupervised", colours[Tone.BAD])
            text.append(f", last change {quiet} ago", colours[Tone.QUIET])
        else:
            observing = fleet.mode == "observe"
            mode = "observe: decides, does nothing" if observing else fleet.mode
            text.append(mode, colours[Tone.LIMIT if observing else Tone.GOOD])
            text.append(f" {age(fleet.uptime)}", colours[Tone.QUIET])
        text.append(f"  {self.glyphs.dot} {_agents(len(fleet.agents))}", colours[Tone.QUIET])
        self._arranged(text, words)
        self._counts(text, fleet)
        if fleet.cascade:
            text.append(f"  shared cause: {fleet.cascade}", Style(color=colours[Tone.BAD], bold=True))
        return text

    def _arranged(self, text: Text, words: tuple[tuple[str, Tone], ...]) -> None:
        """How the agents are listed; before the counts, which a narrow screen cuts off."""
        for word, tone in words:
            text.append(f"  {self.glyphs.dot} ", self.colours[Tone.QUIET])
            text.append(word, Style(color=self.colours[tone], bold=True))

    def _counts(self, text: Text, fleet: Fleet) -> None:
        words = self.app.size.width >= 110
        for phase, count in tally(fleet.agents, least=-1):
            look = LOOKS[phase]
            word = f" {phase.value}" if words else ""
            text.append(f"  {self.glyphs.phase(phase)} {count}{word}", self.colours[look.tone])


def _agents(count: int) -> str:
    return f"{count} agent" + ("s" if count != 1 else "")


def _last_change(fleet: Fleet) -> float:
    """When an agent was last seen to change."""
    return max((agent.since or 0.0 for agent in fleet.agents), default=0.0)


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
        colours, text, room = self.colours, Text(" "), self.app.size.width - 1
        for offer in offers:
            size = len(offer.key.shown) + len(offer.label) + 3
            if size > room:
                break
            room -= size
            click = Style(meta={"@click": f"screen.press_key('{offer.key.keys[0]}')"})
            off = offer.reason is not None
            cap = Style(color=colours[Tone.QUIET if off else Tone.BUSY], bold=not off)
            word = Style(color=colours[Tone.QUIET if off else Tone.TEXT], strike=off)
            text.append(offer.key.shown, cap + click).append(" ").append(offer.label, word + click).append(
                "  "
            )
        return text


def old(at: float | None, now: float) -> str:
    """How long ago that was, both in epoch seconds."""
    return age(None if at is None else now - at)
