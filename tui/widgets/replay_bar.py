"""Where a replay stands: its moment, its speed, how far it is, the troubles ahead; and who is looked at."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message

from ..document import Agent, Fleet
from ..localtime import local, zone_name
from ..looks import LOOKS, Glyphs, age
from ..player import Player
from ..rows import is_affected
from ..tones import Tone
from ..tree import tally
from .bars import OneLine

ROOMY = 84
"""From so many cells on the day and the fleet's name have room."""


def track(share: float, marks: Sequence[float], begin: float, end: float, width: int) -> list[str]:
    """`width` cells from `begin` to `end`: `here`, `mark` (trouble began in there), `past`, `ahead`."""
    if width <= 0:
        return []
    here = min(width - 1, int(share * width))
    step = (end - begin) / width
    cells = []
    for index in range(width):
        low = begin + index * step
        high = end + 1.0 if index == width - 1 else low + step
        marked = bisect_left(marks, high) > bisect_left(marks, low)
        cells.append("here" if index == here else "mark" if marked else "past" if index < here else "ahead")
    return cells


class ReplayBar(OneLine):
    """Two lines: the clock of the replay with its track, and how many agents were in which phase."""

    class Sought(Message):
        """The track was clicked, so far along it (0..1)."""

        def __init__(self, share: float) -> None:
            self.share = share
            super().__init__()

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__(glyphs, id=id)
        self._track = (0, 0)
        """First cell and width of the track."""

    def put(
        self,
        fleet: Fleet,
        player: Player,
        marks: Sequence[float],
        words: tuple[tuple[str, Tone], ...] = (),
        fault: str = "",
    ) -> None:
        """Show the stand of `player`. `marks`: times of trouble, in order; `words`: how agents are listed;
        `fault`: why the file could not be read."""
        counts = tally(fleet.agents, least=-1)
        key = (
            fleet.name,
            int(player.now),
            player.playing,
            player.speed,
            counts,
            fleet.cascade,
            words,
            fault,
        )
        self.put_line(key, lambda: self._text(fleet, player, marks, words, fault))

    def on_click(self, event: events.Click) -> None:
        first, width = self._track
        if event.y == 0 and 0 <= event.x - first < width:
            self.post_message(self.Sought((event.x - first + 0.5) / width))

    def _text(
        self,
        fleet: Fleet,
        player: Player,
        marks: Sequence[float],
        words: tuple[tuple[str, Tone], ...],
        fault: str,
    ) -> Text:
        text = self._stand(fleet, player, marks).append("\n")
        colours = self.colours
        if fault:
            text.append(" FAULT ", Style(color=colours[Tone.BAD], bold=True, reverse=True))
            return text.append(f" {fault}", colours[Tone.TEXT])
        text.append(f" {len(fleet.agents)} agents by then", colours[Tone.QUIET])
        roomy = self.app.size.width >= ROOMY
        for phase, count in tally(fleet.agents, least=-1):
            look = LOOKS[phase]
            text.append(f"  {self.glyphs.phase(phase)} {count}", colours[look.tone])
            text.append(f" {phase.value}" if roomy else "", colours[look.tone])
        if fleet.cascade:
            text.append(f"  shared cause: {fleet.cascade}", Style(color=colours[Tone.BAD], bold=True))
        for word, tone in words:
            text.append(f"  {self.glyphs.dot} ", colours[Tone.QUIET])
            text.append(word, Style(color=colours[tone], bold=True))
        return text

    def _stand(self, fleet: Fleet, player: Player, marks: Sequence[float]) -> Text:
        colours, wide, plain = self.colours, self.app.size.width >= ROOMY, self.glyphs.plain
        text = Text().append(" REPLAY ", Style(color=colours[Tone.ASK], bold=True, reverse=True))
        if wide:
            text.append(f" {fleet.name}", Style(color=colours[Tone.TEXT], bold=True))
        moment = local(player.now, "%Y-%m-%d %H:%M:%S" if wide else "%H:%M:%S")
        moment += f" {zone_name(player.now)}"
        text.append(f" {moment} ", colours[Tone.TEXT])
        ended = player.now >= player.end
        stands = "end" if ended else ">" if player.playing and plain else "▶" if player.playing else "paused"
        sign = f"{stands} {player.speed}x"
        text.append(
            f" {sign:<8}", Style(color=colours[Tone.GOOD if player.playing else Tone.HOLD], bold=True)
        )
        share = f" {player.share * 100:3.0f}% "
        width = max(0, self.size.width - text.cell_len - len(share) - 1)
        self._track = (text.cell_len, width)
        signs = {"here": "O", "mark": "!", "past": "=", "ahead": "-"} if plain else _SIGNS
        for cell in track(player.share, marks, player.begin, player.end, width):
            text.append(signs[cell], Style(color=colours[_TONES[cell]], bold=cell != "ahead"))
        return text.append(share, colours[Tone.QUIET])


_SIGNS = {"here": "●", "mark": "╿", "past": "━", "ahead": "─"}
_TONES = {"here": Tone.TEXT, "mark": Tone.SICK, "past": Tone.BUSY, "ahead": Tone.QUIET}


class ReplayHead(OneLine):
    """Who is looked at, where it stood, and the views of it."""

    TABS = ("timeline", "explain", "pane")

    def put(self, agent: Agent | None, fleet: Fleet, tab: str) -> None:
        if agent is None:
            self.put_line((None, tab), lambda: Text(" no agent by then", self.colours[Tone.QUIET]))
            return
        since = None if agent.since is None else int(fleet.at - agent.since)
        troubled = fleet.trouble(agent.id) is not None
        key = (agent.id, agent.phase, age(since), agent.attempt, agent.seat, agent.doing, troubled, tab)
        self.put_line(key, lambda: self._text(agent, since, troubled, tab))

    def _text(self, agent: Agent, since: int | None, troubled: bool, tab: str) -> Text:
        colours, dot = self.colours, self.glyphs.dot
        text = Text().append(f" {agent.title}", Style(color=colours[Tone.TEXT], bold=True))
        tone = Tone.TRON if is_affected(agent, troubled) else LOOKS[agent.phase].tone
        mark = f"  {self.glyphs.phase(agent.phase)} {agent.phase.value} {age(since)}"
        text.append(mark, Style(color=colours[tone], bold=True))
        parts = [agent.seat, f"attempt {agent.attempt}" if agent.attempt else "", agent.doing]
        text.append("".join(f"  {dot} {part}" for part in parts if part), colours[Tone.QUIET]).append("\n")
        for number, name in enumerate(self.TABS, 1):
            click = Style(meta={"@click": f"screen.tab('{name}')"})
            here = name == tab
            text.append(" ").append(f"{number}", Style(color=colours[Tone.BUSY], bold=here) + click)
            colour = colours[Tone.TEXT if here else Tone.QUIET]
            text.append(" ").append(name, Style(color=colour, bold=here, underline=here) + click).append(" ")
        return text
